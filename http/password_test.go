// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// asks are the requests that take the password, by route, besides those whose act always does: what gives somebody more
// than before, or sends data elsewhere. {1}, {2} … are what the row's on made.
var asks = map[string][]string{
	"PATCH /api/v1/me":               {`{"mail":"thief@example.org"}`, `{"phone":"1"}`, `{"active_group":"{group}","mail":""}`},
	"PATCH /api/v1/users/{username}": {`{"mail":"thief@example.org"}`, `{"is_active":true}`, `{"is_active":false,"phone":"1"}`, `{"is_staff":true}`},
	"POST /api/v1/groups":            {`{"name":"puppets","permissions":["explorer"]}`},
	"PATCH /api/v1/groups/{group}":   {`{"permissions":["linkage"]}`, `{"name":"x","permissions":["explorer"]}`},
	"PUT /api/v1/access":             {`{"group":"{1}","node":"SRC","source":true,"destination":false}`, `{"group":"{group}","node":"SRC","source":true,"destination":true}`},
	"PATCH /api/v1/servers/{name}":   {`{"host":"thief.example.org"}`, `{"port":4711}`, `{"ae_title":"THIEF"}`, `{"tls":{"use":true}}`, `{"retrieve":{"add_address_ranges":["0.0.0.0/0"]}}`, `{"retrieve":{"other_ae_titles":["THIEF"]}}`, `{"supports":{"patient_root_find":true}}`, `{"batch_cap":3,"host":"thief"}`, `{"issuer_of_patient_id":"X"}`},
	"PATCH /api/v1/folders/{name}":   {`{"adopt":true}`, `{"adopt":true,"quota_gb":3}`},
	"PATCH /api/v1/projects/{name}":  {`{"members":["user0"]}`, `{"profile":"adit"}`, `{"salt":"5f"}`, `{"scan":false}`, `{"description":"x","members":["user0"]}`},
	"PATCH /api/v1/settings":         {`{"locked_sections":[]}`, `{"keep_mails":3,"locked_sections":["upload"]}`},
}

// frees are the requests that a token makes, by route, where its row in the matrix shows one that takes the password.
var frees = map[string][]string{
	"PATCH /api/v1/me":               {`{"active_group":"{group}","preferences":{}}`},
	"PATCH /api/v1/groups/{group}":   {`{"permissions":[]}`, `{"name":"other{n}"}`},
	"PUT /api/v1/access":             {`{"group":"group of user3","node":"SRC","source":false,"destination":false}`, `{"group":"{1}","node":"SRC","source":false,"destination":false}`},
	"PATCH /api/v1/servers/{name}":   {`{"batch_cap":1}`, `{"result_limit":10,"idle_timeout":5}`, `{"rules":{"max_pdu":32768}}`, `{"verify":{"method":"presence"}}`},
	"PATCH /api/v1/projects/{name}":  {`{"description":"x"}`, `{"members":[]}`, `{"scan":true,"manifest":true}`, `{}`},
	"PATCH /api/v1/settings":         {`{"locked_sections":["explorer","upload"]}`, `{"maintenance":true}`, `{"maintenance":false}`, `{"max_studies":10}`},
	"PATCH /api/v1/folders/{name}":   {`{"quota_gb":3}`},
	"POST /api/v1/groups":            {`{"name":"empty{n}"}`},
	"PATCH /api/v1/users/{username}": {`{"is_active":false}`},
}

// always are the routes whose every change takes the password.
var always = []string{
	"POST /api/v1/tokens", "POST /api/v1/users", "PUT /api/v1/users/{username}/password",
	"PUT /api/v1/groups/{group}/members/{username}",
	"POST /api/v1/registrations/{id}:approve", "POST /api/v1/servers", "POST /api/v1/folders", "POST /api/v1/projects",
}

// TestPasswordByRoute asks each route that changes something as a superuser with a password, by a token and by a
// session that was confirmed a while ago. What widens what somebody can reach, or says where data goes, is refused and
// changes nothing; everything else is done.
func TestPasswordByRoute(t *testing.T) {
	m := newMatrix(t)
	m.addPerson("thief", both, true, true)
	who := m.people["thief"]
	m.exec(`UPDATE users SET password_hash = 'x' WHERE username = 'thief'`)
	m.exec(
		`DELETE FROM group_permissions WHERE group_id = (SELECT id FROM groups WHERE name = $1) AND permission = 'linkage'`,
		who.group,
	)
	for _, r := range routes {
		// which asks by itself
		if strings.HasPrefix(r.route, "GET ") || r.want.superuser >= 300 ||
			r.open != 0 || r.route == "PUT /api/v1/me/password" {
			continue
		}
		t.Run(r.route, func(t *testing.T) {
			m.t = t
			ask := func(body string) reply {
				t.Helper()
				m.lock("explorer", "upload")
				var values []string
				if r.on != nil {
					values = r.on(m, m.people["stranger"])
				}
				_, pattern, _ := strings.Cut(r.route, " ")
				return m.ask(r, who, fill(pattern, values), m.written(body, who, values))
			}
			refused, free := asks[r.route], frees[r.route]
			if slices.Contains(always, r.route) {
				refused = append(refused, r.body)
			}
			if len(refused)+len(free) == 0 {
				free = append(free, r.body)
			}
			for _, body := range refused {
				before := m.one(`SELECT count(*) FROM audit WHERE username = 'thief'`)
				got := ask(body)
				require.Equal(t, nethttp.StatusForbidden, got.StatusCode, "%s: %s", body, got.body)
				require.Equal(t, client.CodePasswordNeeded, got.problem(t).Code, body)
				require.Equal(t, before, m.one(`SELECT count(*) FROM audit WHERE username = 'thief'`), body)
			}
			for _, body := range free {
				got := ask(body)
				require.Less(t, got.StatusCode, 300, "%s: %s", body, got.body)
			}
		})
	}
	m.t = t
}

// written fills in the places of a body.
func (m *matrix) written(body string, who person, values []string) string {
	body = strings.ReplaceAll(strings.ReplaceAll(body, "{n}", strconv.Itoa(m.number())), "{group}", who.group)
	for i, v := range values {
		body = strings.ReplaceAll(body, "{"+string(rune('1'+i))+"}", v)
	}
	return body
}
