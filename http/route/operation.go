// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"context"
	"errors"
	"net/http"
	"reflect"
	"slices"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

const (
	// Prefix is what the paths of all routes begin with.
	Prefix = "/api/v1"

	// Quick is the timeout of what asks the database only.
	Quick = 30 * time.Second

	// Patient is the timeout of what asks a PACS, each step of which has an idle timeout of its own.
	Patient = 5 * time.Minute

	// SmallBody is how many bytes of a body are read before it is known who sends it, and the most that nearly all
	// routes take.
	SmallBody = 64 << 10
)

// Operation describes a route.
type Operation struct {
	Method, Path string
	ID           string // names the operation in the document, and the methods of generated clients
	Summary      string
	Description  string // what it does, when to use it, and what happens then; who may use it stands behind it
	Example      string // of the body that it takes, or of the table that it answers; else from the schemas
	Tag          string
	Status       int           // of success; 200 if 0
	Timeout      time.Duration // Quick if 0
	Body         int64         // most bytes of the body; SmallBody if 0
	Errors       []int         // statuses beyond those that follow from the route (failures)
	Raw          bool          // the body is no JSON, whatever its Content-Type says
	Editable     bool          // the answer, if it is a GET, has an ETag; else it heeds If-Match
	CSV          bool          // the answer is a table in CSV, as AsTable gives it
	XLSX         bool          // the answer is a table in a workbook; with CSV, whichever is asked for
	Zip          bool          // the answer is a Zip
	Lines        bool          // the answer is JSON lines, as AsTable gives them
	Parts        reflect.Type  // the answer is of this type as a whole, or JSON lines for who accepts them
	Always       bool          // in maintenance too, for people without staff rights
}

// route names an operation as the table of rights does.
func (op Operation) route() string { return op.Method + " " + Prefix + op.Path }

// Handle adds a route for those whom rights names. The handler gets the caller; its errors become problems.
func Handle[I, O any](s *Set, op Operation, fn func(ctx context.Context, user people.User, in *I) (*O, error)) {
	op.Errors = append([]int{401}, op.Errors...)
	right := rights.Of(op.route())
	if right.TakesPermission() && !slices.Contains(op.Errors, http.StatusForbidden) {
		op.Errors = append(op.Errors, http.StatusForbidden)
	}
	register(s.known, op, nil, func(ctx context.Context, in *I) (*O, error) {
		user := auth.User(ctx)
		if c, ok := any(in).(interface{ expected() string }); ok {
			ctx = version.Expect(ctx, c.expected())
		}
		if !op.Always {
			if err := s.people.Site.Admit(ctx, user); err != nil {
				return nil, err
			}
		}
		if right.TakesPermission() {
			if err := s.people.Check(ctx, user.ID, right.Needs); err != nil {
				return nil, err
			}
		}
		return fn(ctx, user, in)
	})
}

// HandleOpen adds a route for callers who need not be known.
func HandleOpen[I, O any](s *Set, op Operation, fn func(ctx context.Context, in *I) (*O, error)) {
	register(s.open, op, []map[string][]string{}, fn)
}

func register[I, O any](
	to huma.API, op Operation, security []map[string][]string, fn func(ctx context.Context, in *I) (*O, error),
) {
	if op.Timeout == 0 {
		op.Timeout = Quick
	}
	if op.Body == 0 {
		op.Body = SmallBody
	}
	var responses map[string]*huma.Response
	if op.CSV || op.XLSX {
		content := map[string]*huma.MediaType{}
		if op.CSV {
			content["text/csv"] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
		}
		if op.XLSX {
			content[Workbook] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}
		}
		responses = map[string]*huma.Response{"200": {Description: "The table; CSV is in UTF-8.", Content: content}}
	}
	if op.Zip {
		responses = map[string]*huma.Response{"200": {
			Description: "The zip.",
			Content:     map[string]*huma.MediaType{Zipped: {Schema: &huma.Schema{Type: huma.TypeString, Format: "binary"}}},
		}}
	}
	if op.Lines {
		responses = map[string]*huma.Response{"200": {
			Description: "A JSON object a line, in UTF-8.",
			Content:     map[string]*huma.MediaType{JSONLines: {Schema: &huma.Schema{Type: huma.TypeString}}},
		}}
	}
	if op.Parts != nil {
		responses = map[string]*huma.Response{"200": {
			Description: "The whole; in parts, a JSON object a line, for who accepts " + JSONLines + ".",
			Content: map[string]*huma.MediaType{
				"application/json": {Schema: to.OpenAPI().Components.Schemas.Schema(op.Parts, true, op.Parts.Name())},
			},
		}}
	}
	switch {
	case op.Editable && op.Method == http.MethodGet:
		responses = map[string]*huma.Response{"304": {Description: "You have it already, by If-None-Match."}}
	case op.Editable:
		op.Errors = append(op.Errors, http.StatusPreconditionFailed)
	}
	huma.Register(to, huma.Operation{
		Responses: responses, OperationID: op.ID, Method: op.Method,
		Path: Prefix + op.Path, Summary: op.Summary, Description: op.Description + " " + rights.Of(op.route()).String(),
		Metadata: map[string]any{ExampleKey: op.Example},
		Tags:     []string{op.Tag}, DefaultStatus: op.Status,
		// bounded reads the body
		MaxBodyBytes: op.Body, BodyReadTimeout: -1, Security: security,
		Middlewares: huma.Middlewares{documented, bounded(op, sender)},
		Errors:      append([]int{422, 500, 503}, op.Errors...),
	}, func(ctx context.Context, in *I) (*O, error) {
		ctx, cancel := context.WithTimeout(ctx, op.Timeout)
		defer cancel()
		out, err := fn(ctx, in)
		if op.Timeout == Quick && errors.Is(err, context.DeadlineExceeded) {
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
