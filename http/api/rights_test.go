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

	"github.com/adit-go/adit/http/rights"
)

var update = flag.Bool("update", false, "write docs/rights.md anew")

const rightsFile = "../../docs/rights.md"

// TestRightsDocument: docs/rights.md is what the table says. After a change of the table:
//
//	go test ./http/api -run TestRightsDocument -update
func TestRightsDocument(t *testing.T) {
	a := Register(chi.NewRouter(), nil, nil, "")
	summaries := map[string]string{}
	for path, item := range a.routes.OpenAPI().Paths {
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

This page is generated from the table in ` + "`http/rights/rights.go`" + `, with which ADIT checks each request. A test tries each
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
	table := rights.Table()
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
