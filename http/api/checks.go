// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"encoding/json"
	"iter"
	"mime"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// checksRoutes are the routes of this file.
type checksRoutes struct{ *API }

func (a *checksRoutes) register() {
	const asLines = " With `Accept: application/jsonl` each check comes as a line when it is done, and the suggestions " +
		"after the last one; a connection that is cut says that the report is not whole."
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/nodes/{name}:check", ID: "check-node",
		Tag: nodesTag, Timeout: route.Patient, Errors: []int{404, 429}, Parts: reflect.TypeFor[client.CheckReport](),
		Summary: "Check a server or folder",
		Description: "Calls a server and tries each service that it is said to offer, or tries to write to a " +
			"folder. The report says what was seen and suggests settings; a check that failed is still an answer " +
			"with status 200." + asLines,
	}, func(_ context.Context, user people.User, in *NodeName) (*parts, error) {
		return checked(func(ctx context.Context) iter.Seq2[doctor.Finding, error] { //nolint:contextcheck // the body is written when the handler has returned, with the context of the request
			return a.engine.Doctor.Findings(ctx, user, in.Name)
		}), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/servers:check", ID: "check-unsaved-server", Body: settingsBody,
		Tag: nodesTag, Timeout: route.Patient, Errors: []int{409, 429}, Parts: reflect.TypeFor[client.CheckReport](),
		Summary: "Check a server that is not saved",
		Description: "Calls a server by settings that are not kept, as they would be sent to add it. If they name no " +
			"service, it is asked for all but STOW-RS, which would store something, and those that it offers are " +
			"suggested. Each user checks one at a time (409)." +
			asLines,
		Example: `{"name": "PACS", "ae_title": "PACS", "host": "pacs.example.org", "port": 104, "supports": {}}`,
	}, func(_ context.Context, user people.User, in *struct{ Body client.ServerSettings }) (*parts, error) {
		s, err := engineSettings(in.Body)
		if err != nil {
			return nil, err
		}
		return checked(func(ctx context.Context) iter.Seq2[doctor.Finding, error] { //nolint:contextcheck // as above
			return a.engine.Doctor.FindingsOfUnsaved(ctx, user, s)
		}), nil
	})
}

// parts is an answer that comes as a whole, or in parts, a line for each.
type parts struct {
	Body func(huma.Context)
}

// checked answers with what a check finds: line by line to those who take JSON lines. A refusal that comes before
// anything was found is a problem, as from every handler; one that comes later cuts the connection, so that nobody
// takes a part for the whole.
func checked(find func(context.Context) iter.Seq2[doctor.Finding, error]) *parts {
	return &parts{Body: func(rq huma.Context) {
		r, w := humachi.Unwrap(rq)
		ctx, cancel := context.WithTimeout(r.Context(), route.Patient)
		defer cancel()
		out := &lines{w: w, on: takesLines(r)}
		report := client.CheckReport{Checks: []client.Check{}, Suggestions: []client.Suggestion{}}
		for f, err := range find(ctx) {
			switch {
			case err != nil && out.begun:
				problem.Logger(ctx).ErrorContext(ctx, "a check could not be finished", "error", err)
				panic(http.ErrAbortHandler)
			case err != nil:
				problem.Write(w, r, problem.Of(ctx, err))
				return
			}
			line := view.Finding(f)
			if line.Check != nil {
				report.Checks = append(report.Checks, *line.Check)
			} else {
				report.Suggestions = append(report.Suggestions, *line.Suggestion)
			}
			if !out.write(line) {
				return // nobody listens any more, and the check ends
			}
		}
		if !out.on {
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(report) // whoever has gone misses nothing
		}
	}}
}

// lines writes values as JSON lines, each when it is there; nothing if it is not on.
type lines struct {
	w     http.ResponseWriter
	on    bool
	begun bool
}

func (l *lines) write(value any) bool {
	if !l.on {
		return true
	}
	if !l.begun {
		l.w.Header().Set("Content-Type", route.JSONLines)
		l.begun = true
	}
	return json.NewEncoder(l.w).Encode(value) == nil && http.NewResponseController(l.w).Flush() == nil
}

// takesLines reports whether a request asks for JSON lines by name.
func takesLines(r *http.Request) bool {
	for part := range strings.SplitSeq(strings.Join(r.Header.Values("Accept"), ","), ",") {
		if kind, _, err := mime.ParseMediaType(part); err == nil && kind == route.JSONLines {
			return true
		}
	}
	return false
}
