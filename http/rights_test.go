// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	nethttp "net/http"
	"slices"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/people"
)

// TestRights asks each route as each role with no permission at all, with those that the table of rights names one by
// one, and with their sections locked. TestMatrix asks each with all permissions; that both say the same of a route is
// tested here.
func TestRights(t *testing.T) {
	m := newMatrix(t)
	table := rights.Table()
	router, ok := m.handler.(chi.Routes)
	require.True(t, ok)
	served := map[string]bool{}
	require.NoError(t, chi.Walk(router,
		func(method, route string, _ nethttp.Handler, _ ...func(nethttp.Handler) nethttp.Handler) error {
			served[method+" "+route] = true
			require.Contains(
				t, table, method+" "+route, "the table of rights (http/rights/rights.go) doesn't say who may use it",
			)
			return nil
		},
	))
	for route := range table {
		require.Contains(t, served, route, "it is in the table of rights, and not served")
	}
	bare := map[string]person{}
	for _, role := range roles {
		m.addPerson("bare-"+role, both, role == "staff" || role == "superuser", role == "superuser")
		bare[role] = m.people["bare-"+role]
	}
	for _, r := range routes {
		right := table[r.route]
		if r.takes != nil {
			right.Needs = *r.takes
		}
		for i, want := range []int{r.want.owner, r.want.user, r.want.staff, r.want.superuser} {
			require.Equal(
				t, r.expected(right, roles[i], people.AllPermissions(), nil), want,
				"%s as %s: the matrix and the table differ", r.route, roles[i],
			)
		}
		require.Equal(t, r.needs, nodesOf(right), "%s: the matrix and the table differ", r.route)
		require.Equal(t, right.Who == rights.Anybody, r.open != 0, "%s: the matrix and the table differ", r.route)
		if r.costly {
			continue // takes no permission
		}
		t.Run(r.route, func(t *testing.T) {
			m.t = t
			for what, state := range r.states(right) {
				for _, role := range roles {
					m.withOnly(bare[role], state.permissions...)
				}
				m.lock(state.locked...)
				for _, role := range roles {
					owner := m.people["stranger"]
					if role == "owner" {
						owner = bare[role]
					}
					m.check(
						t, r, bare[role], owner,
						r.expected(right, role, state.permissions, state.locked), role+" with "+what,
					)
				}
				m.lock()
			}
		})
	}
	m.t = t
}

func nodesOf(r rights.Right) (nodes right) {
	if r.Source {
		nodes |= source
	}
	if r.Destination {
		nodes |= destination
	}
	return nodes
}

// besides are permissions that a row's own request takes, as its right says in words.
var besides = map[string][]string{
	"POST /api/v1/jobs":                    {people.TransferUnpseudonymized},
	"POST /api/v1/quarantine/{id}:release": {people.TransferUnpseudonymized},
	"PATCH /api/v1/jobs/{id}":              {people.Urgent},

	// Staff gives what it has itself.
	"PATCH /api/v1/groups/{group}":                  {people.Explorer},
	"PUT /api/v1/groups/{group}/members/{username}": {people.Upload},
}

// state is which permissions people have, and what is locked.
type state struct{ permissions, locked []string }

// states are those that a route is asked in.
func (r row) states(right rights.Right) map[string]state {
	needs := slices.Concat(right.Needs.Permissions, besides[r.route])
	all := map[string]state{"no permission": {}}
	if len(needs) > 0 {
		all["just enough"] = state{permissions: needs}
	}
	for i, p := range needs {
		all["all but "+p] = state{
			permissions: slices.Concat(slices.Delete(slices.Clone(needs), i, i+1), right.Needs.Sections),
		}
	}
	for _, p := range right.Needs.Sections {
		all["only "+p] = state{permissions: append(slices.Clone(needs), p)}
		all["only "+p+", locked"] = state{append(slices.Clone(needs), p), []string{p}}
		all["all, "+p+" locked"] = state{slices.Concat(needs, right.Needs.Sections), []string{p}}
	}
	if len(right.Needs.Sections) > 0 {
		all["all locked"] = state{slices.Concat(needs, right.Needs.Sections), right.Needs.Sections}
	}
	return all
}

// expected is the answer that the table of rights asks for, where the caller has access to source and destination.
func (r row) expected(right rights.Right, role string, permissions, locked []string) int {
	staff, superuser := role == "staff" || role == "superuser", role == "superuser"
	has := func(p string) bool { return superuser || slices.Contains(permissions, p) }
	lacks := func(p string) bool { return !has(p) }
	open := func(p string) bool { return has(p) && (staff || !slices.Contains(locked, p)) }
	switch {
	case right.Who == rights.Staff && !staff, slices.ContainsFunc(right.Needs.Permissions, lacks):
		return 403
	case len(right.Needs.Sections) > 0 && !slices.ContainsFunc(right.Needs.Sections, open):
		return 403
	case (right.Who == rights.Owner || right.Who == rights.Member) && role == "user":
		return 404
	case right.Who == rights.Member && staff, slices.ContainsFunc(besides[r.route], lacks):
		return 403
	}
	for _, status := range []int{r.want.owner, r.want.superuser} {
		if status != 403 && status != 404 {
			return status
		}
	}
	return 0
}

// withOnly leaves a person's group no permissions but these.
func (m *matrix) withOnly(p person, permissions ...string) {
	m.t.Helper()
	m.exec(`DELETE FROM group_permissions WHERE group_id = (SELECT id FROM groups WHERE name = $1)`, p.group)
	m.exec(
		`INSERT INTO group_permissions (group_id, permission) SELECT g.id, p FROM groups g, unnest($2::text[]) p WHERE g.name = $1`,
		p.group, permissions,
	)
}

func (m *matrix) lock(sections ...string) {
	m.t.Helper()
	sections = append([]string{}, sections...)
	_, err := m.client.Site.ChangeSettings(m.t.Context(), client.SettingsChange{LockedSections: &sections})
	require.NoError(m.t, err)
}

// TestSearchTakesAPermission: access to a source alone reads nothing, and a locked section is closed to a search as
// well.
func TestSearchTakesAPermission(t *testing.T) {
	m := newMatrix(t)
	user, staff, superuser := m.people["user3"], m.people["staff3"], m.people["superuser3"]
	search := row{route: "POST /api/v1/servers/SRC/studies:search"}
	const allowed, refused = 503, 403 // nothing listens there
	for name, c := range map[string]struct {
		who         person
		permissions []string
		locked      []string
		want        int
	}{
		"no permission":                            {user, nil, nil, refused},
		"permissions of other things":              {user, []string{people.Tokens, people.Urgent, people.TransferUnpseudonymized, people.Upload}, nil, refused},
		"selective transfer":                       {user, []string{people.SelectiveTransfer}, nil, allowed},
		"explorer":                                 {user, []string{people.Explorer}, nil, allowed},
		"both, both locked":                        {user, []string{people.SelectiveTransfer, people.Explorer}, []string{people.SelectiveTransfer, people.Explorer}, refused},
		"both, one locked":                         {user, []string{people.SelectiveTransfer, people.Explorer}, []string{people.SelectiveTransfer}, allowed},
		"one, and that is locked":                  {user, []string{people.Explorer}, []string{people.Explorer}, refused},
		"one, and the other is locked":             {user, []string{people.Explorer}, []string{people.SelectiveTransfer}, allowed},
		"staff without a permission":               {staff, nil, nil, refused},
		"staff where it is locked":                 {staff, []string{people.Explorer}, []string{people.Explorer}, allowed},
		"superusers have every permission":         {superuser, nil, nil, allowed},
		"superusers, locked":                       {superuser, nil, []string{people.SelectiveTransfer, people.Explorer}, allowed},
		"a permission, without access to a source": {m.people["user0"], []string{people.Explorer}, nil, refused},
	} {
		t.Run(name, func(t *testing.T) {
			m.t = t
			m.withOnly(c.who, c.permissions...)
			m.lock(c.locked...)
			before := m.one(`SELECT count(*) FROM audit WHERE action = 'server.search'`)
			got := m.ask(search, c.who, "/api/v1/servers/SRC/studies:search", `{"patient_id":"HOSPITAL-4711"}`)
			require.Equal(t, c.want, got.StatusCode, got.body)
			if c.want == refused {
				require.Equal(t, before, m.one(`SELECT count(*) FROM audit WHERE action = 'server.search'`))
			}
		})
	}
	m.t = t
}
