// SPDX-License-Identifier: AGPL-3.0-or-later

// Package api serves the REST API under /api/v1. Handlers are thin: decode, call engine or people, convert, write. The
// types of requests and responses are client's; this is the only place that converts between them and engine's.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
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
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

const (
	prefix = "/api/v1"

	defaultLimit = 50
	quick        = 30 * time.Second // for what asks the database only
	patient      = 5 * time.Minute  // for what asks a PACS, each step of which has an idle timeout of its own

	// SmallBody is how many bytes of a body are read before it is known who sends it, and the most that nearly all routes take.
	SmallBody = 64 << 10
	jobBody   = 24 << 20 // 100,000 studies
)

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
	cfg.Info.Description = "Automated DICOM Transfer: DICOM nodes, searches, jobs and tasks. Errors are problem+json (RFC 9457)."
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"token": {
			Type: "apiKey", In: "header", Name: "Authorization",
			Description: "`Token` and an API token of 40 hexadecimal characters; `Bearer` works as well.",
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
		r.Use(auth.Require(who, refuseCaller), shared)
		a.huma = humachi.New(r, cfg)
		a.registerSession()
		a.registerMe()
		a.registerTokens()
		a.registerUsers()
		a.registerGroups()
		a.registerAccess()
		a.registerRegistrations()
		a.registerNodes()
		a.registerServers()
		a.registerFolders()
		a.registerStudies()
		a.registerJobs()
		a.registerTasks()
		a.registerSchedule()
		a.registerQuarantine()
		a.registerCallers()
		a.registerDeidentification()
		a.registerProjects()
		a.registerLinkage()
		a.registerProfiles()
		a.registerSite()
		a.registerAudit()
	})
	document := sync.OnceValues(func() ([]byte, error) { return json.MarshalIndent(a.huma.OpenAPI(), "", "  ") })
	router.Get(prefix+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		doc, err := document()
		if err != nil {
			WriteProblem(w, r, err)
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
	tag          string
	status       int           // of success; 200 if 0
	timeout      time.Duration // quick if 0
	body         int64         // most bytes of the body; SmallBody if 0
	errors       []int         // statuses beyond 401, 422, 500 and 503
	raw          bool          // the body is no JSON, whatever its Content-Type says
	csv          bool          // the answer is a table, as asTable gives it
	lines        bool          // the answer is JSON lines, as asTable gives them
	always       bool          // in maintenance too, for people without staff rights
}

// handle adds a route for those whom rights names. The handler gets the caller; its errors become problems.
func handle[I, O any](a *API, op operation, fn func(ctx context.Context, user people.User, in *I) (*O, error)) {
	op.errors = append([]int{401}, op.errors...)
	right := rightOf(op)
	if right.takesPermission() && !slices.Contains(op.errors, http.StatusForbidden) {
		op.errors = append(op.errors, http.StatusForbidden)
	}
	register(a.huma, op, nil, func(ctx context.Context, in *I) (*O, error) {
		user := auth.User(ctx)
		if !op.always {
			if err := a.people.Admit(ctx, user); err != nil {
				return nil, err
			}
		}
		if right.takesPermission() {
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

func register[I, O any](to huma.API, op operation, security []map[string][]string, fn func(ctx context.Context, in *I) (*O, error)) {
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
	if op.lines {
		responses = map[string]*huma.Response{"200": {
			Description: "A JSON object a line, in UTF-8.",
			Content:     map[string]*huma.MediaType{jsonLines: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	huma.Register(to, huma.Operation{
		Responses: responses, OperationID: op.id, Method: op.method, Path: prefix + op.path, Summary: op.summary, Description: rightOf(op).String(),
		Tags: []string{op.tag}, DefaultStatus: op.status,
		MaxBodyBytes: op.body, BodyReadTimeout: -1, Security: security, Middlewares: huma.Middlewares{documented, bounded(op, sender)}, // bounded reads the body
		Errors: append([]int{422, 500, 503}, op.errors...),
	}, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, op.timeout)
		defer cancel()
		out, err := fn(ctx, in)
		if op.timeout == quick && errors.Is(err, context.DeadlineExceeded) {
			return nil, databaseAway(retryDatabase)
		}
		if err != nil {
			return nil, problemOf(ctx, err)
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

// created is an answer about something that was made, and where it is.
type created[T any] struct {
	Location string `header:"Location"`
	Body     T
}

// madeAt answers with what was made under a path, whose last part is its name or number.
func madeAt[T any](path, name string, what T) *created[T] {
	return &created[T]{Location: prefix + path + "/" + url.PathEscape(name), Body: what}
}

// table is an answer in CSV.
type table struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition"`
	Body               func(huma.Context)
}

const jsonLines = "application/jsonl"

// asTable streams a table. Where that fails in its midst the connection is cut: nobody may take a part for the whole.
func asTable(name string, write func(ctx context.Context, w io.Writer) error) *table {
	return &table{
		ContentType: "text/csv; charset=utf-8", ContentDisposition: `attachment; filename="` + name + `"`,
		Body: func(rq huma.Context) {
			if err := write(rq.Context(), rq.BodyWriter()); err != nil {
				logger(rq.Context()).ErrorContext(rq.Context(), "a table could not be written", "table", name, "error", err)
				panic(http.ErrAbortHandler)
			}
		},
	}
}

// none is an answer without content (204).
type none struct{}

// Paging is a part of a list that is asked for.
type Paging struct {
	Cursor string `query:"cursor" maxLength:"20" doc:"next_cursor of the page before; absent for the first one."`
	Limit  int    `query:"limit" minimum:"1" maximum:"500" default:"50" doc:"Most items on this page."`
}

// after reads the cursor: the key of the last item of the page before.
func (p Paging) after() (int64, error) {
	if p.Cursor == "" {
		return 0, nil
	}
	key, err := strconv.ParseInt(p.Cursor, 10, 64)
	if err != nil || key < 1 {
		return 0, &engine.Invalid{Field: "cursor", Reason: "this is not a next_cursor of a list; start without a cursor"}
	}
	return key, nil
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
			return &engine.Invalid{Field: field, Reason: "it must not hold control characters, or others that can't be seen"}
		}
	}
	return nil
}

// plainText refuses control characters, which no name has and some of which no database keeps.
func plainText(fields map[string]string) error {
	for field, value := range fields {
		if strings.ContainsFunc(value, unicode.IsControl) {
			return &engine.Invalid{Field: field, Reason: "it must not hold control characters"}
		}
	}
	return nil
}
