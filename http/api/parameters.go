// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"fmt"
	"maps"
	"net/http"
	"slices"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/adit-go/adit/client"
)

// documented refuses parameters of a query that the address does not have, or that are there twice: to leave them out would answer another
// question than the one that was asked.
func documented(ctx huma.Context, next func(huma.Context)) {
	r, w := humachi.Unwrap(ctx)
	query := r.URL.Query()
	var faults []client.FieldError
	for _, name := range slices.Sorted(maps.Keys(query)) {
		known := slices.ContainsFunc(ctx.Operation().Parameters, func(p *huma.Param) bool { return p.In == "query" && p.Name == name })
		switch {
		case !known:
			faults = append(faults, client.FieldError{Field: ownName(name), Message: "there is no such parameter here"})
		case len(query[name]) > 1:
			faults = append(faults, client.FieldError{Field: name, Message: "it is there more than once"})
		}
	}
	if r.URL.RawQuery != "" && len(query) == 0 {
		faults = append(faults, client.FieldError{Message: "the parameters behind the ? can't be read"})
	}
	if len(faults) == 0 {
		next(ctx)
		return
	}
	p := newProblem(http.StatusUnprocessableEntity, fmt.Sprintf("The request can't be used: %s.", describe(faults[0])))
	p.Errors = faults[:min(len(faults), maxErrors)]
	WriteProblem(w, r, p)
}
