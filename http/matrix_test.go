// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

// The matrix: who gets what on which route. TestMatrix walks the routes that the router has, in every role and with
// every right to DICOM nodes, and asserts
//   - the status of each answer;
//   - that "not found" for what is somebody else's is the same, header by header and byte by byte, as for what isn't
//     there;
//   - that a request that changes something leaves exactly one row in the audit log, and one that is refused none.
//
// To add a route, add it to the table in http/rights/rights.go, and a row to the table in matrix_routes_test.go;
// without both the tests fail. A row says
//   - want: the statuses for the owner, another user, staff and a superuser, all of whom have all rights and
//     permissions; every, owned and ofStaff are the usual ones. The anonymous, the disabled and the expired get 401
//     unless open says otherwise;
//   - needs: rights to SRC or DST without which everybody gets 403; with hidden 404, as for a server that isn't there;
//   - on: what makes the object that the path names, anew for each request, and gives the values of its {…} in their
//     order. It is told its owner: the caller where the caller is the owner, else a stranger;
//   - body: what is sent; {n} becomes a number not used before, {1}, {2}… the values that on gave;
//   - costly, if it hashes a password, which takes half a second.

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	nethttp "net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/people"
)

// answers are the statuses for a caller with all rights: the owner of the object, another user, staff, a superuser.
type answers struct{ owner, user, staff, superuser int }

// every: open to all who are known.
func every(status int) answers { return answers{status, status, status, status} }

// owned: for the owner, and for staff; nobody else learns that it is there.
func owned(status int) answers { return answers{status, 404, status, status} }

// ofStaff: reserved to staff, which superusers are.
func ofStaff(status int) answers { return answers{403, 403, status, status} }

// right to DICOM nodes: to read from SRC, to write to DST.
type right int

const (
	source right = 1 << iota
	destination
	both = source | destination
)

type row struct {
	route  string // as the router has it, "METHOD /path"
	want   answers
	needs  right
	hidden bool
	open   int // status for callers who are not known; 0: 401
	on     func(m *matrix, owner person) []string
	query  string
	header []string
	body   string
	costly bool // it hashes a password: asked with all rights only, as no right matters
	// what this body takes beyond the table, which leaves it to what is asked for
	takes *people.Action
}

// person is somebody in the matrix.
type person struct {
	id    int64
	name  string
	token string
	group string // their only one
}

// matrix is a site with people in all roles.
type matrix struct {
	*site
	http     *nethttp.Client
	src, dst int64 // DICOM nodes SRC and DST
	people   map[string]person
	n        int // of objects made
}

// roles are those who may be known. Each is there once for each combination of rights.
var roles = []string{"owner", "user", "staff", "superuser"}

func newMatrix(t *testing.T) *matrix {
	t.Helper()
	m := &matrix{
		site: newSite(t), http: &nethttp.Client{Transport: &nethttp.Transport{}, Timeout: deadline},
		people: map[string]person{},
	}
	t.Cleanup(m.http.CloseIdleConnections)
	m.src, m.dst = m.addServer("SRC", "SRC", nil).ID, m.addServer("DST", "DST", nil).ID
	m.exec(`DELETE FROM node_access`)
	// Numbers of the same length, so that an answer about one that isn't there can be compared with one about one that
	// is.
	m.exec(`ALTER TABLE jobs ALTER id RESTART 100000; ALTER TABLE tasks ALTER id RESTART 100000; ALTER TABLE api_tokens ALTER id RESTART 100000`)
	for _, rights := range []right{0, source, destination, both} {
		for _, role := range roles {
			m.addPerson(
				fmt.Sprintf("%s%d", role, rights), rights, role == "staff" || role == "superuser", role == "superuser",
			)
		}
	}
	m.addPerson("stranger", both, false, false)
	m.addPerson("disabled", both, true, true)
	m.exec(`UPDATE users SET is_active = false WHERE username = 'disabled'`)
	m.addPerson("expired", both, true, true)
	m.exec(`UPDATE api_tokens SET expires_at = now() - interval '1 second' WHERE user_id = (SELECT id FROM users WHERE username = 'expired')`)
	m.people["anonymous"] = person{}
	return m
}

func (m *matrix) exec(sql string, args ...any) {
	m.t.Helper()
	_, err := m.pool.Exec(m.t.Context(), sql, args...)
	require.NoError(m.t, err)
}

// one runs a statement that gives one row with one value.
func (m *matrix) one(sql string, args ...any) (v int64) {
	m.t.Helper()
	require.NoError(m.t, m.pool.QueryRow(m.t.Context(), sql, args...).Scan(&v))
	return v
}

// number returns one that was not given before.
func (m *matrix) number() int {
	m.n++
	return 10000 + m.n
}

// addPerson makes a user with a group of their own that has all permissions, a default project, and a token.
func (m *matrix) addPerson(name string, rights right, staff, superuser bool) {
	m.t.Helper()
	sum := sha256.Sum256([]byte(name))
	p := person{name: name, group: "group of " + name, token: hex.EncodeToString(sum[:20])}
	hash := sha256.Sum256([]byte(p.token))
	group := m.one(`INSERT INTO groups (name) VALUES ($1) RETURNING id`, p.group)
	m.exec(`INSERT INTO group_permissions (group_id, permission) SELECT $1, permission FROM group_permissions WHERE group_id = (SELECT min(id) FROM groups)`, group)
	m.exec(`INSERT INTO node_access (group_id, dicom_node_id, is_source, is_destination) VALUES ($1, $2, $3, false), ($1, $4, false, $5)`,
		group, m.src, rights&source != 0, m.dst, rights&destination != 0)
	p.id = m.one(
		`INSERT INTO users (username, mail, is_staff, is_superuser, active_group_id) VALUES ($1, $1 || '@example.org', $2, $3, $4) RETURNING id`,
		name, staff, superuser, group,
	)
	m.exec(`INSERT INTO group_members (group_id, user_id) VALUES ($1, $2)`, group, p.id)
	m.exec(
		`INSERT INTO projects (name, group_id, is_default, sealed_key) SELECT $1, $2, true, sealed_key FROM projects LIMIT 1`,
		"default of "+name, group,
	)
	m.exec(`INSERT INTO api_tokens (user_id, description, sha256) VALUES ($1, 'matrix', $2)`, p.id, hash[:])
	m.people[name] = p
}

// ask makes a request as somebody, from an address of its own, as limits count by address.
func (m *matrix) ask(r row, who person, path, body string) reply {
	m.t.Helper()
	method, _, _ := strings.Cut(r.route, " ")
	req, err := nethttp.NewRequestWithContext(m.t.Context(), method, m.url+path+r.query, strings.NewReader(body))
	require.NoError(m.t, err)
	if who.token != "" {
		req.Header.Set("Authorization", "Token "+who.token)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(r.header); i += 2 {
		req.Header.Set(r.header[i], r.header[i+1])
	}
	n := m.number()
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.0.%d.%d", n/250%250, n%250))
	resp, err := m.http.Do(req)
	require.NoError(m.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(m.t, err)
	return reply{resp, string(text)}
}

var placeholder = regexp.MustCompile(`\{[^}]+\}`)

// fill puts values into the places of a path.
func fill(path string, values []string) string {
	return placeholder.ReplaceAllStringFunc(path, func(string) string {
		v := values[0]
		values = values[1:]
		return v
	})
}

// check asks once and tells what is not as it should be.
func (m *matrix) check(t *testing.T, r row, who person, owner person, want int, as string) {
	t.Helper()
	method, pattern, _ := strings.Cut(r.route, " ")
	var values []string
	if r.on != nil {
		values = r.on(m, owner)
	}
	path := fill(pattern, values)
	body := strings.ReplaceAll(r.body, "{n}", strconv.Itoa(m.number()))
	for i, v := range values {
		body = strings.ReplaceAll(body, fmt.Sprintf("{%d}", i+1), v)
	}
	before := m.one(`SELECT count(*) FROM audit`)
	got := m.ask(r, who, path, body)
	entries := m.one(`SELECT count(*) FROM audit`) - before
	if got.StatusCode != want {
		t.Errorf("%s: %d instead of %d: %s", as, got.StatusCode, want, got.body)
		return
	}
	switch {
	case want >= 300 && want != 503 && entries != 0: // 503: asked, but the PACS is away
		t.Errorf("%s: refused, but %d rows in the audit log", as, entries)
	case want < 300 && rights.Table()[r.route].Reads:
		require.Zero(t, entries, as)
	case want < 300 && method != nethttp.MethodGet && entries != 1:
		t.Errorf("%s: %d rows in the audit log instead of one", as, entries)
	case want < 300 && method != nethttp.MethodGet:
		require.Contains(t, rights.Table()[r.route].Acts, m.lastAct(), "the table of rights says what the route does")
	}
	if want == nethttp.StatusNotFound && len(values) > 0 {
		m.sameAsNothing(t, r, who, pattern, body, values, got, as)
	}
}

// lastAct is what the last row of the audit log tells of.
func (m *matrix) lastAct() (act string) {
	m.t.Helper()
	require.NoError(m.t, m.pool.QueryRow(m.t.Context(),
		`SELECT CASE WHEN action = 'rights.grant' THEN detail::jsonb ->> 'by' ELSE action END FROM audit ORDER BY id DESC LIMIT 1`).Scan(&act))
	return act
}

// sameAsNothing asks for something of that name that isn't there.
func (m *matrix) sameAsNothing(
	t *testing.T, r row, who person, pattern, body string, values []string, got reply, as string,
) {
	t.Helper()
	absent := slices.Clone(values)
	absent[0] = "9" + absent[0][1:]
	nothing := m.ask(r, who, fill(pattern, absent), body)
	hide := func(text, value string) string { // but not within another number
		return regexp.MustCompile(`\b`+regexp.QuoteMeta(value)+`\b`).ReplaceAllString(text, "IT")
	}
	if nothing.StatusCode != got.StatusCode || hide(nothing.body, absent[0]) != hide(got.body, values[0]) {
		t.Errorf(
			"%s: what is somebody else's answers %d %s, what isn't there %d %s",
			as, got.StatusCode, got.body, nothing.StatusCode, nothing.body,
		)
	}
	for _, h := range []nethttp.Header{got.Header, nothing.Header} {
		h.Del("Date")
		h.Del("X-Request-ID")
	}
	require.Equal(t, nothing.Header, got.Header, as)
}

func TestMatrix(t *testing.T) {
	m := newMatrix(t)
	served := map[string]bool{}
	router, ok := m.handler.(chi.Routes)
	require.True(t, ok)
	require.NoError(t, chi.Walk(router,
		func(method, route string, _ nethttp.Handler, _ ...func(nethttp.Handler) nethttp.Handler) error {
			served[method+" "+route] = true
			return nil
		},
	))
	rows := map[string]bool{}
	for _, r := range routes {
		require.False(t, rows[r.route], "%s is there twice", r.route)
		rows[r.route] = true
		if !served[r.route] {
			t.Errorf("%s is in the matrix, and not served", r.route)
			continue
		}
		t.Run(r.route, func(t *testing.T) {
			m.t = t
			stranger := m.people["stranger"]
			unknown := r.open
			if unknown == 0 {
				unknown = 401
			}
			for _, who := range []string{"anonymous", "disabled", "expired"} {
				m.check(t, r, m.people[who], stranger, unknown, who)
			}
			combinations := []right{0, source, destination, both}
			if r.costly {
				combinations = combinations[3:]
			}
			for _, rights := range combinations {
				for i, want := range []int{r.want.owner, r.want.user, r.want.staff, r.want.superuser} {
					who := m.people[fmt.Sprintf("%s%d", roles[i], rights)]
					if want != 404 && r.needs&^rights != 0 {
						if want = 403; r.hidden {
							want = 404
						}
					}
					owner := stranger
					if roles[i] == "owner" {
						owner = who
					}
					m.check(t, r, who, owner, want, who.name)
				}
			}
		})
	}
	m.t = t
	for route := range served {
		if !rows[route] {
			t.Errorf("%s has no row in the matrix: add it to matrix_routes_test.go", route)
		}
	}
	require.NotContains(t, m.log.String(), "level=ERROR", "nothing that nobody foresaw")
}
