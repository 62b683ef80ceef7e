// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write docs/rights.md anew")

const rightsFile = "../../docs/rights.md"

// TestRightsDocument: docs/rights.md is what the table says. After a change of the table:
//
//	go test ./http/api -run TestRightsDocument -update
func TestRightsDocument(t *testing.T) {
	a := Register(chi.NewRouter(), nil, nil, "")
	summaries := map[string]string{}
	for path, item := range a.huma.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{
			"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete,
		} {
			if op != nil {
				summaries[method+" "+path] = op.Summary
			}
		}
	}
	text := rightsDocument(summaries)
	if *update {
		require.NoError(t, os.WriteFile(rightsFile, []byte(text), 0o644))
	}
	is, err := os.ReadFile(rightsFile)
	require.NoError(t, err)
	require.Equal(t, text, string(is), "go test ./http/api -run TestRightsDocument -update")
}

func rightsDocument(summaries map[string]string) string {
	var out strings.Builder
	out.WriteString(`# Who may do what

This page is generated from the table in ` + "`http/api/rights.go`" + `, by which ADIT checks each request. A test asks each route as each role,
with and without the permissions.

- *Anybody*: without a session or token. *Every user*: with one. *Owner*: the user whose object it is, and staff; it does not exist for
  others (404). *Member*: who belongs to the project; it does not exist for others, and staff is refused. *Staff*: superusers are staff.
- *Permissions* belong to groups; a user has those of all their groups, and superusers have all. Where several are joined by "or", one is
  enough. Its section must not be locked, except for staff.
- *DICOM nodes*: one of the user's groups must have access to the node that the request names. This holds for superusers, too.

| Route | What it does | For | Permissions | DICOM nodes | Depends on the request |
|---|---|---|---|---|---|
`)
	table := Rights()
	for _, route := range slices.SortedFunc(maps.Keys(table), byPath) {
		r := table[route]
		var nodes []string
		if r.Source {
			nodes = append(nodes, "source")
		}
		if r.Destination {
			nodes = append(nodes, "destination")
		}
		fmt.Fprintf(&out, "| `%s` | %s | %s | %s | %s | %s |\n", route, summaries[route], r.Who, r.Permissions(), strings.Join(nodes, ", "), r.Also)
	}
	return out.String()
}

func byPath(a, b string) int {
	methodA, pathA, _ := strings.Cut(a, " ")
	methodB, pathB, _ := strings.Cut(b, " ")
	return strings.Compare(pathA+" "+methodA, pathB+" "+methodB)
}

// A route that nobody said who may use can't be served.
func TestRouteWithoutARight(t *testing.T) {
	require.PanicsWithValue(t, "api: GET /api/v1/secrets is not in the table of rights (rights.go)", func() {
		rightOf(operation{method: "GET", path: "/secrets"})
	})
	for route, r := range Rights() {
		require.NotEmpty(t, r.Who, route)
		require.Equal(t, r.Who == Staff, r.Needs.Staff, route)
		require.False(t, r.Who == Anybody && r.takesPermission(), route)
	}
}
