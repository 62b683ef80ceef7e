// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"
)

// CheckReport is what the check of a DICOM node found.
type CheckReport struct {
	Checks      []Check      `json:"checks" nullable:"false" doc:"What was tried, in this order."`
	Suggestions []Suggestion `json:"suggestions" nullable:"false" doc:"Changes of the server's settings that fit what was seen."`
}

// Suggestion is a setting of a server that doesn't fit what was seen of it.
type Suggestion struct {
	Setting   string `json:"setting" example:"supports.study_root_get" doc:"Path of the setting in what changes a server."`
	Now       any    `json:"now" doc:"Value that the setting has; its type is that of the setting." example:"false"`
	Suggested any    `json:"suggested" doc:"Value that fits what was seen; its type is that of the setting." example:"true"`
	Why       string `json:"why" doc:"What was seen, in a sentence." example:"PACS accepts C-GET in the Study Root model."`
}

// Check is one thing that was tried at a DICOM node.
type Check struct {
	Name   string `json:"name" example:"echo" doc:"What was tried."`
	OK     bool   `json:"ok" doc:"Whether it succeeded." example:"true"`
	Detail string `json:"detail" doc:"What was seen, and what to do if it failed." example:"PACS answered C-ECHO after 12 ms."`
}

// CheckLine is one line of a check that is answered line by line: a check, or, after all of these, a suggestion.
type CheckLine struct {
	Check      *Check      `json:"check,omitempty"`
	Suggestion *Suggestion `json:"suggestion,omitempty"`
}

// Check tries whether a server answers and offers what it is configured with, or whether a folder is writable. What
// was found is the result; a check that failed is not an error of the call.
func (c Nodes) Check(ctx context.Context, name string) (CheckReport, error) {
	var report CheckReport
	rq := request{method: http.MethodPost, path: "/api/v1/nodes/" + escape(name) + ":check", repeatable: true, reads: true}
	return report, c.do(ctx, rq, &report)
}

// CheckLines is Check that yields what is found as it is found. Leaving the loop ends the check.
func (c Nodes) CheckLines(ctx context.Context, name string) iter.Seq2[CheckLine, error] {
	return streamed[CheckLine](ctx, c.caller, request{
		method: http.MethodPost, path: "/api/v1/nodes/" + escape(name) + ":check", repeatable: true, reads: true,
	})
}

// Check tries a server that is not saved, by the settings that would be saved. If they name no service, those that it
// offers are suggested. It is for staff.
func (c Servers) Check(ctx context.Context, s ServerSettings) (CheckReport, error) {
	var report CheckReport
	return report, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers:check", body: s}, &report)
}

// CheckLines is Check that yields what is found as it is found. Leaving the loop ends the check.
func (c Servers) CheckLines(ctx context.Context, s ServerSettings) iter.Seq2[CheckLine, error] {
	return streamed[CheckLine](ctx, c.caller, request{
		method: http.MethodPost, path: "/api/v1/servers:check", body: s,
	})
}

// errLeft says that nobody wants the rest of an answer.
var errLeft = errors.New("the loop was left")

// streamed makes a call whose answer comes in lines, and yields each as it comes.
func streamed[T any](ctx context.Context, c *caller, rq request) iter.Seq2[T, error] {
	rq.header = http.Header{"Accept": {jsonLines}}
	return func(yield func(T, error) bool) {
		err := c.send(ctx, rq, func(answer *http.Response) error {
			d := json.NewDecoder(io.LimitReader(answer.Body, maxAnswer))
			for {
				var item T
				switch err := d.Decode(&item); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return err
				case !yield(item, nil):
					return errLeft
				}
			}
		})
		if err != nil && !errors.Is(err, errLeft) {
			var none T
			yield(none, err)
		}
	}
}
