// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/rights"
)

// documented refuses parameters of a query that the address does not have, that are there twice, or that are empty and
// no text: to leave them out would answer another question than the one that was asked.
func documented(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	if IsAction(ctx.Operation().Path, r.URL.RawPath) {
		w.Header().Set("Allow", http.MethodPost)
		RefuseMethod(w, r)
		return
	}
	query, err := url.ParseQuery(r.URL.RawQuery) // what can't be read is left out of query
	var faults []client.FieldError
	for _, name := range slices.Sorted(maps.Keys(query)) {
		known := slices.IndexFunc(
			ctx.Operation().Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name },
		)
		switch {
		case known < 0:
			faults = append(faults, client.FieldError{Field: ownName(name), Message: "there is no such parameter here"})
		case len(query[name]) > 1:
			faults = append(faults, client.FieldError{Field: name, Message: "given more than once"})
		case query[name][0] == "" && !isText(ctx.Operation().Parameters[known].Schema):
			faults = append(faults, client.FieldError{Field: name, Message: "it is empty; give a value, or leave it out"})
		}
	}
	if err != nil || r.URL.RawQuery != "" && len(query) == 0 {
		faults = append(faults, client.FieldError{Message: "the parameters behind the ? can't be read"})
	}
	if len(faults) == 0 {
		next(ctx)
		return
	}
	p := problem.New(http.StatusUnprocessableEntity, fmt.Sprintf("The request can't be used: %s.", describe(faults[0])))
	p.Errors = faults[:min(len(faults), maxErrors)]
	problem.Write(w, r, p)
}

// isText reports whether a schema takes any text, and so an empty one.
func isText(s *huma.Schema) bool {
	return s.Type == huma.TypeString && s.Format == "" && len(s.Enum) == 0 && s.MinLength == nil
}

// IsAction reports whether what a router took for the address of an object, as in /jobs/{id}, is that of an action, as
// in /jobs/1:cancel.
func IsAction(pattern, path string) bool {
	_, action, found := strings.Cut(path[strings.LastIndexByte(path, '/')+1:], ":")
	if !found {
		return false
	}
	return rights.Known(http.MethodPost + " " + pattern + ":" + action[strings.LastIndexByte(action, ':')+1:])
}

// RefuseMethod answers a request whose address takes other methods.
func RefuseMethod(w http.ResponseWriter, r *http.Request) {
	problem.Refuse(
		w, r, http.StatusMethodNotAllowed,
		"This address does not support the method; /api/docs describes those that it does.",
	)
}
