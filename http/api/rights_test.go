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

This page is generated from the table in ` + "`http/api/rights.go`" + `, with which ADIT checks each request. A test tries each
route in each role, with and without the permissions.

- *Anybody*: without a session or token. *Every user*: with one. *Owner*: the user to whom the job, task, token or
  project belongs, and staff; for others it does not exist (404). *Member*: people who belong to the project; for
  others it does not exist, and staff is refused. *Staff*: superusers are staff.
- *Permissions* belong to groups. A user has those of all their groups, and superusers have all. If several are joined
  by "or", one is enough. The section of that name must not be locked, except for staff.
- *DICOM nodes*: one of the user's groups must have access to the node that the request names. This holds for
  superusers, too.
- *Password*: whether the request needs a session that gave its password within ten minutes (` + "`password_needed`" + `); an
  API token is not enough. Empty: it changes nothing. The table is in ` + "`audit/acts.go`" + `.

| Route | What it does | For | Permissions | DICOM nodes | Depends on the request | Password |
|---|---|---|---|---|---|---|
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
		fmt.Fprintf(
			&out, "| `%s` | %s | %s | %s | %s | %s | %s |\n", route, summaries[route],
			r.Who, r.Permissions(), strings.Join(nodes, ", "), r.Also, r.Password(),
		)
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
	rights["POST /api/v1/secrets"] = staff
	defer delete(rights, "POST /api/v1/secrets")
	for _, acts := range [][]string{nil, {"secret.make"}} { // none, and one that nobody thought of
		rights["POST /api/v1/secrets"] = staff.does(acts...)
		require.PanicsWithValue(
			t, "api: nothing says whether POST /api/v1/secrets takes the password (rights.go and audit/acts.go)",
			func() {
				rightOf(operation{method: "POST", path: "/secrets"})
			},
		)
	}
	for route, r := range Rights() {
		require.NotEmpty(t, r.Who, route)
		require.Equal(t, r.Who == Staff, r.Needs.Staff, route)
		require.False(t, r.Who == Anybody && r.takesPermission(), route)
	}
}
