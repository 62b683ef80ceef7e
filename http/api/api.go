// SPDX-License-Identifier: AGPL-3.0-or-later

// Package api serves the REST API under /api/v1. Handlers are thin: decode, call engine or people, convert, write. The
// types of requests and responses are client's; this is the only place that converts between them and engine's.
package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

const (
	prefix = "/api/v1"

	defaultLimit = 50
	quick        = 30 * time.Second // for what asks the database only
	patient      = 5 * time.Minute  // for what asks a PACS, each step of which has an idle timeout of its own

	// SmallBody is how many bytes of a body are read before it is known who sends it, and the most that nearly all
	// routes take.
	SmallBody = 64 << 10
	jobBody   = 24 << 20 // 100,000 studies
)

// Lists are lists, if empty ones: null is none, neither in a request nor in an answer.
func init() { huma.DefaultArrayNullable = false }

// API serves what an engine does.
type API struct {
	engine *engine.Engine
	people *people.Service
	huma   huma.API
	open   huma.API // for routes that need no user
}

// Register adds the routes of the API to a router. The document of the API is open to everybody; all else needs a
// user.
func Register(router chi.Router, e *engine.Engine, who *people.Service, version string) *API {
	cfg := huma.DefaultConfig("ADIT", version)
	cfg.CreateHooks = nil // no $schema in answers
	cfg.Formats = formats(cfg.Formats)
	cfg.OpenAPIPath, cfg.DocsPath, cfg.SchemasPath = "", "", ""
	information(&cfg)
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {
			Type: "http", Scheme: "bearer",
			Description: "An API token of 40 hexadecimal characters. `Token` works in the place of `Bearer`.",
		},
		"session": {
			Type: "apiKey", In: "cookie", Name: "adit_session",
			Description: "The cookie of a session (POST /session); over HTTPS it is called `__Host-adit_session`.",
		},
	}
	cfg.Security = []map[string][]string{{"token": {}}, {"session": {}}}

	a := &API{engine: e, people: who}
	router.Group(func(r chi.Router) {
		r.Use(auth.Anyone)
		a.open = humachi.New(r, cfg)
		a.open.UseMiddleware(unknown())
	})
	router.Group(func(r chi.Router) {
		r.Use(auth.Require(who, problem.RefuseCaller), counted(who), shared)
		a.huma = humachi.New(r, cfg)
		a.huma.UseMiddleware(named)
		for _, of := range []interface{ register() }{
			&sessionRoutes{a}, &meRoutes{a}, &tokensRoutes{a}, &usersRoutes{a}, &groupsRoutes{a},
			&accessRoutes{a}, &registrationsRoutes{a}, &nodesRoutes{a}, &checksRoutes{a}, &serversRoutes{a}, &serverUseRoutes{a},
			&foldersRoutes{a}, &studiesRoutes{a}, &jobsRoutes{a}, &batchRoutes{a}, &massRoutes{a}, &recurrencesRoutes{a}, &failuresRoutes{a}, &tasksRoutes{a},
			&scheduleRoutes{a}, &quarantineRoutes{a}, &callersRoutes{a}, &deidentificationRoutes{a}, &projectsRoutes{a},
			&linkageRoutes{a}, &profilesRoutes{a}, &siteRoutes{a}, &auditRoutes{a}, &useRoutes{a},
		} {
			of.register()
		}
	})
	a.describeLive()
	document := sync.OnceValues(a.document)
	router.Get(prefix+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := document()
		if err != nil {
			problem.Write(w, r, err)
			return
		}
		w.Header().Set("Content-Type", "application/openapi+json")
		_, _ = w.Write(doc)
	})
	return a
}

// operation describes a route.
type operation struct {
	method, path string
	id           string // names the operation in the document, and the methods of generated clients
	summary      string
	description  string // what it does, when to use it, and what happens then; who may use it stands behind it
	example      string // of the body that it takes, or of the table that it answers; else from the schemas
	tag          string
	status       int           // of success; 200 if 0
	timeout      time.Duration // quick if 0
	body         int64         // most bytes of the body; SmallBody if 0
	errors       []int         // statuses beyond those that follow from the route (failures)
	raw          bool          // the body is no JSON, whatever its Content-Type says
	editable     bool          // the answer, if it is a GET, has an ETag; else it heeds If-Match
	csv          bool          // the answer is a table, as asTable gives it
	xlsx         bool          // the table is a workbook, unless CSV is asked for
	lines        bool          // the answer is JSON lines, as asTable gives them
	parts        reflect.Type  // the answer is of this type as a whole, or JSON lines for who accepts them
	always       bool          // in maintenance too, for people without staff rights
}

// route names an operation as the table of rights does.
func (op operation) route() string { return op.method + " " + prefix + op.path }

// handle adds a route for those whom rights names. The handler gets the caller; its errors become problems.
func handle[I, O any](a *API, op operation, fn func(ctx context.Context, user people.User, in *I) (*O, error)) {
	op.errors = append([]int{401}, op.errors...)
	right := rights.Of(op.route())
	if right.TakesPermission() && !slices.Contains(op.errors, http.StatusForbidden) {
		op.errors = append(op.errors, http.StatusForbidden)
	}
	register(a.huma, op, nil, func(ctx context.Context, in *I) (*O, error) {
		user := auth.User(ctx)
		if c, ok := any(in).(interface{ expected() string }); ok {
			ctx = version.Expect(ctx, c.expected())
		}
		if !op.always {
			if err := a.people.Site.Admit(ctx, user); err != nil {
				return nil, err
			}
		}
		if right.TakesPermission() {
			if err := a.people.Check(ctx, user.ID, right.Needs); err != nil {
				return nil, err
			}
		}
		return fn(ctx, user, in)
	})
}

// handleOpen adds a route for callers who need not be known.
func handleOpen[I, O any](a *API, op operation, fn func(ctx context.Context, in *I) (*O, error)) {
	register(a.open, op, []map[string][]string{}, fn)
}

func register[I, O any](
	to huma.API, op operation, security []map[string][]string, fn func(ctx context.Context, in *I) (*O, error),
) {
	if op.timeout == 0 {
		op.timeout = quick
	}
	if op.body == 0 {
		op.body = SmallBody
	}
	var responses map[string]*huma.Response
	if op.csv {
		responses = map[string]*huma.Response{"200": {
			Description: "The table, in UTF-8.",
			Content:     map[string]*huma.MediaType{"text/csv": {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	if op.xlsx {
		responses["200"].Content[workbook] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
	}
	if op.lines {
		responses = map[string]*huma.Response{"200": {
			Description: "A JSON object a line, in UTF-8.",
			Content:     map[string]*huma.MediaType{jsonLines: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	if op.parts != nil {
		responses = map[string]*huma.Response{"200": {
			Description: "The whole; in parts, a JSON object a line, for who accepts " + jsonLines + ".",
			Content: map[string]*huma.MediaType{
				"application/json": {Schema: to.OpenAPI().Components.Schemas.Schema(op.parts, true, op.parts.Name())},
			},
		}}
	}
	switch {
	case op.editable && op.method == http.MethodGet:
		responses = map[string]*huma.Response{"304": {Description: "You have it already, by If-None-Match."}}
	case op.editable:
		op.errors = append(op.errors, http.StatusPreconditionFailed)
	}
	huma.Register(to, huma.Operation{
		Responses: responses, OperationID: op.id, Method: op.method,
		Path: prefix + op.path, Summary: op.summary, Description: op.description + " " + rights.Of(op.route()).String(),
		Metadata: map[string]any{exampleKey: op.example},
		Tags:     []string{op.tag}, DefaultStatus: op.status,
		// bounded reads the body
		MaxBodyBytes: op.body, BodyReadTimeout: -1, Security: security,
		Middlewares: huma.Middlewares{documented, bounded(op, sender)},
		Errors:      append([]int{422, 500, 503}, op.errors...),
	}, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, op.timeout)
		defer cancel()
		out, err := fn(ctx, in)
		if op.timeout == quick && errors.Is(err, context.DeadlineExceeded) {
			return nil, problem.DatabaseAway()
		}
		if err != nil {
			return nil, problem.Of(ctx, err)
		}
		return out, nil
	})
}

// sender is who sent a request that only those send who are known.
func sender(r *http.Request) int64 { return auth.User(r.Context()).ID }

// body is an answer.
type body[T any] struct {
	Body T
}

// IfMatch is a part of a change that is made only to what the caller has seen.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"1000" example:"\"mZ3Wl7bKp0sYcQvTn4Rd\"" doc:"ETag of what you have seen. If it was changed meanwhile, nothing is done, and the answer is 412 (changed_meanwhile)."`
}

func (c *IfMatch) expected() string { return c.IfMatch }

// IfNoneMatch is a part of a request for what the caller may have already.
type IfNoneMatch struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" example:"\"mZ3Wl7bKp0sYcQvTn4Rd\"" doc:"ETag of what you have. If it is still so, the answer is 304, without a body."`
}

// current is an answer about something that people edit, with its version. Who has that version gets none of it.
type current[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"Version of what may be changed about it; send it as If-Match with a change."`
	Body   T
}

// unlessKnown answers with something and its version, or that the caller has it already.
func unlessKnown[T any](c IfNoneMatch, tag string, what T) *current[T] {
	if version.Known(c.IfNoneMatch, tag) {
		return &current[T]{http.StatusNotModified, tag, what}
	}
	return &current[T]{http.StatusOK, tag, what}
}

// changed is an answer about something that was changed, with its version.
type changed[T any] struct {
	ETag string `header:"ETag" doc:"Version of what it is now."`
	Body T
}

// created is an answer about something that was made, and where it is.
type created[T any] struct {
	Location string `header:"Location" doc:"The address of what was made." example:"/api/v1/jobs/4711"`
	Body     T
}

// madeAt answers with what was made under a path, whose last part is its name or number.
func madeAt[T any](path, name string, what T) *created[T] {
	return &created[T]{Location: prefix + path + "/" + url.PathEscape(name), Body: what}
}

// table is an answer in CSV.
type table struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition" doc:"The name to save it under." example:"attachment; filename=\"job-4711.csv\""`
	Body               func(huma.Context)
}

const (
	jsonLines = "application/jsonl"
	workbook  = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// asTable streams a table. Where that fails in its midst the connection is cut: nobody may take a part for the whole.
func asTable(name string, write func(ctx context.Context, w io.Writer) error) *table {
	return &table{
		ContentType: "text/csv; charset=utf-8", ContentDisposition: `attachment; filename="` + name + `"`,
		Body: func(rq huma.Context) {
			if err := write(rq.Context(), rq.BodyWriter()); err != nil {
				if rq.Context().Err() != nil { // nobody waits for it any more
					panic(http.ErrAbortHandler)
				}
				problem.Logger(rq.Context()).ErrorContext(
					rq.Context(), "a table could not be written", "table", name, "error", err,
				)
				panic(http.ErrAbortHandler)
			}
		},
	}
}

// none is an answer without content (204).
type none struct{}

// Paging is a part of a list that is asked for.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"2000" doc:"The next_cursor of the page before; absent for the first one." example:"WyItaWQiLCI0MiJd"`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page."`
}

// after reads the cursor: the key of the last item of the page before.
func (p Paging) after() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	key, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || key < 1 {
		return 0, page.Unknown()
	}
	return key, nil
}

// ordered converts what a list in an order gave, like pageOf.
func ordered[E, C any](
	rows []E, limit int, o page.Order, convert func(E) C, place func(E) (value string, key int64),
) *body[client.Page[C]] {
	out := pageOf(rows, limit, convert, func(E) int64 { return 0 })
	if out.Body.Truncated {
		out.Body.NextCursor = o.Next(place(rows[limit-1]))
	}
	return out
}

// pageOf converts what a list gave. One item more than the limit was asked for, and tells that there is a next page.
func pageOf[E, C any](rows []E, limit int, convert func(E) C, key func(E) int64) *body[client.Page[C]] {
	out := client.Page[C]{Items: make([]C, 0, min(len(rows), limit))}
	for i, row := range rows {
		if i == limit {
			out.NextCursor, out.Truncated = strconv.FormatInt(key(rows[i-1]), 10), true
			break
		}
		out.Items = append(out.Items, convert(row))
	}
	return &body[client.Page[C]]{out}
}

// plainName refuses what a name that people read must not hide.
func plainName(fields map[string]string) error {
	for field, value := range fields {
		if !text.Plain(value) {
			return &refusal.Invalid{
				Field: field, Reason: "it must not contain control characters or other invisible characters",
			}
		}
	}
	return nil
}

// plainText refuses control characters, which no name has and some of which no database keeps.
func plainText(fields map[string]string) error {
	for field, value := range fields {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return &refusal.Invalid{Field: field, Reason: "it must not contain control characters"}
		}
	}
	return nil
}
