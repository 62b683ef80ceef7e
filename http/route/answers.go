// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"context"
	"io"
	"net/http"
	"net/url"

	"github.com/danielgtaylor/huma/v2"

	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/internal/version"
)

// Body is an answer.
type Body[T any] struct {
	Body T
}

// Answer answers with something.
func Answer[T any](what T) *Body[T] { return &Body[T]{what} }

// IfMatch is a part of a change that is made only to what the caller has seen.
type IfMatch struct {
	IfMatch string `header:"If-Match" maxLength:"1000" example:"\"mZ3Wl7bKp0sYcQvTn4Rd\"" doc:"ETag of what you have seen. If it was changed meanwhile, nothing is done, and the answer is 412 (changed_meanwhile)."`
}

func (c *IfMatch) expected() string { return c.IfMatch }

// IfNoneMatch is a part of a request for what the caller may have already.
type IfNoneMatch struct {
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" example:"\"mZ3Wl7bKp0sYcQvTn4Rd\"" doc:"ETag of what you have. If it is still so, the answer is 304, without a body."`
}

// Current is an answer about something that people edit, with its version. Who has that version gets none of it.
type Current[T any] struct {
	Status int
	ETag   string `header:"ETag" doc:"Version of what may be changed about it; send it as If-Match with a change."`
	Body   T
}

// UnlessKnown answers with something and its version, or that the caller has it already.
func UnlessKnown[T any](c IfNoneMatch, tag string, what T) *Current[T] {
	if version.Known(c.IfNoneMatch, tag) {
		return &Current[T]{http.StatusNotModified, tag, what}
	}
	return &Current[T]{http.StatusOK, tag, what}
}

// Changed is an answer about something that was changed, with its version.
type Changed[T any] struct {
	ETag string `header:"ETag" doc:"Version of what it is now."`
	Body T
}

// ChangedTo answers with what something was changed to, and its version.
func ChangedTo[T any](tag string, what T) *Changed[T] { return &Changed[T]{tag, what} }

// Created is an answer about something that was made, and where it is.
type Created[T any] struct {
	Location string `header:"Location" doc:"The address of what was made." example:"/api/v1/jobs/4711"`
	Body     T
}

// MadeAt answers with what was made under a path, whose last part is its name or number.
func MadeAt[T any](path, name string, what T) *Created[T] {
	return &Created[T]{Location: Prefix + path + "/" + url.PathEscape(name), Body: what}
}

// Table is an answer in CSV.
type Table struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition" doc:"The name to save it under." example:"attachment; filename=\"job-4711.csv\""`
	Body               func(huma.Context)
}

// Zip is an answer that is a zip.
type Zip struct {
	ContentType        string `header:"Content-Type"`
	ContentDisposition string `header:"Content-Disposition" doc:"The name to save it under." example:"attachment; filename=\"study_download_1.2.826.0.1.3680043.8.498.1.zip\""`
	CacheControl       string `header:"Cache-Control" doc:"It is not to be kept on the way."`
	Body               func(huma.Context)
}

// Media types of answers besides JSON and CSV.
const (
	JSONLines = "application/jsonl"
	Zipped    = "application/zip"
	Workbook  = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
)

// AsTable streams a table. Where that fails in its midst the connection is cut: nobody may take a part for the whole.
func AsTable(name string, write func(ctx context.Context, w io.Writer) error) *Table {
	return &Table{
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

// None is an answer without content (204).
type None struct{}
