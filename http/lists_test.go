// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	nethttp "net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// statements are what the database is asked.
type statements struct {
	mu   sync.Mutex
	seen map[string]int
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, _, _ := strings.Cut(strings.TrimPrefix(q.SQL, "-- name: "), "\n")
	s.seen[line]++
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// reset begins to count anew, and returns what was counted.
func (s *statements) reset() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = map[string]int{}
	return seen
}

// pages are the addresses of all lists, by the document: operations whose answer has items.
func pages(t *testing.T, s *site) (routes []string) {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]struct {
			Responses map[string]struct {
				Content map[string]struct {
					Schema *schema `json:"schema"`
				} `json:"content"`
			} `json:"responses"`
		} `json:"paths"`
	}
	var all openAPI
	require.NoError(t, json.Unmarshal([]byte(s.send("GET", "/api/v1/openapi.json", "").body), &doc))
	require.NoError(t, json.Unmarshal([]byte(s.send("GET", "/api/v1/openapi.json", "").body), &all))
	for path, operations := range doc.Paths {
		for method, op := range operations {
			for _, content := range op.Responses["200"].Content {
				if content.Schema == nil {
					continue
				}
				if _, ok := all.resolve(content.Schema).Properties["items"]; ok {
					routes = append(routes, strings.ToUpper(method)+" "+path)
				}
			}
		}
	}
	slices.Sort(routes)
	return routes
}

// bodies are those of lists that are asked for by POST; unasked are lists that need more than a database.
var (
	listBodies  = map[string]string{"/projects/{name}/linkage:search": `{}`, "/audit:search": `{}`}
	listUnasked = map[string]string{
		"/servers/{name}/studies:search": "it asks a PACS", "/servers/{name}/series:search": "as well",
		"/servers/{name}/instances:search": "as well",
	}
)

// TestListsAskOnce: a list asks the database as often for 40 rows as for 2, whatever it is a list of. A new list has
// its rows in grow.
func TestListsAskOnce(t *testing.T) {
	trace := &statements{seen: map[string]int{}}
	m := &matrix{site: newTracedSite(t, trace)}
	m.src, m.dst = m.addServer("SRC", "SRC", nil).ID, m.addServer("DST", "DST", nil).ID
	const reader = "a-token-of-somebody-who-is-no-staff"
	m.exec(`WITH u AS (INSERT INTO users (username, active_group_id) SELECT 'reader', min(id) FROM groups RETURNING id)
		INSERT INTO api_tokens (user_id, description, sha256) SELECT id, 'test', sha256($1::text::bytea) FROM u`, reader)
	job := m.one(`INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_pending, n_failure)
		SELECT 'selective_transfer', u.id, p.id, $1, $2, 3, 1000, 1000 FROM users u, projects p WHERE u.is_superuser LIMIT 1 RETURNING id`, m.src, m.dst)
	project, group := "", ""
	require.NoError(t, m.pool.QueryRow(t.Context(), `SELECT p.name, g.name FROM projects p JOIN groups g ON g.id = p.group_id LIMIT 1`).Scan(&project, &group))
	m.exec(`INSERT INTO group_members (group_id, user_id) SELECT g.id, u.id FROM groups g, users u WHERE g.name = $1 AND (u.is_superuser OR u.username = 'reader') ON CONFLICT DO NOTHING`, group)
	m.exec(`INSERT INTO group_permissions (group_id, permission) SELECT id, p FROM groups, unnest(ARRAY['linkage', 'quarantine']) p WHERE name = $1 ON CONFLICT DO NOTHING`, group)
	task := m.one(`INSERT INTO tasks (job_id, seq, study_instance_uid) VALUES ($1, 100000, '1.2') RETURNING id`, job)

	query := m.one(`INSERT INTO jobs (kind, owner_id, project_id, source_id, priority, n_success)
		SELECT 'batch_query', u.id, p.id, $1, 3, 1 FROM users u, projects p WHERE u.is_superuser LIMIT 1 RETURNING id`, m.src)
	found := m.one(`INSERT INTO tasks (job_id, seq, study_instance_uid, status, rows) VALUES ($1, 1, '', 'success', '{2}') RETURNING id`, query)
	m.asked(query)
	massJob := m.one(`INSERT INTO jobs (kind, owner_id, project_id, source_id, destination_id, priority, n_pending)
		SELECT 'mass_transfer', u.id, p.id, $1, $2, 1, 1000 FROM users u, projects p WHERE u.is_superuser LIMIT 1 RETURNING id`, m.src, m.dst)

	grow := func(from, to int) {
		t.Helper()
		for n := from; n < to; n++ {
			name := fmt.Sprintf("n%d", n)
			m.addServer(name, name, nil)
			_, err := m.client.Folders.Add(t.Context(), client.FolderSettings{Name: "f" + name, Path: t.TempDir()})
			require.NoError(t, err)
			_, err = m.client.Projects.Add(t.Context(), client.NewProject{Name: "p" + name})
			require.NoError(t, err)
			made, err := m.client.Jobs.Create(t.Context(), client.NewJob{
				Kind: client.SelectiveTransfer, Source: "SRC", Destination: name,
				Studies: []client.NewStudy{{StudyInstanceUID: "1.2.3"}, {StudyInstanceUID: "1.2.4"}},
			}, "")
			require.NoError(t, err)
			m.exec(`INSERT INTO job_samples (job_id, at, done, delivered, bytes) SELECT $1, now() - n * interval '1 minute', 3 - n, 0, 0 FROM generate_series(1, 3) n`, made.ID)
			m.exec(`INSERT INTO users (username, mail) VALUES ($1::text, $1 || '@example.org')`, "u"+name)
			m.exec(`INSERT INTO groups (name) VALUES ($1)`, "g"+name)
			m.exec(`INSERT INTO group_members (group_id, user_id) SELECT g.id, u.id FROM groups g, users u WHERE u.username = $1 AND g.name IN ($2, $3)`, "u"+name, "g"+name, group)
			m.exec(`INSERT INTO node_access (group_id, dicom_node_id, is_source) SELECT g.id, d.id, true FROM groups g, dicom_nodes d WHERE g.name IN ($1, $3) AND d.name = $2 ON CONFLICT DO NOTHING`, "g"+name, name, group)
			m.exec(`INSERT INTO api_tokens (user_id, description, sha256) SELECT id, $1::text, sha256($1::text::bytea) FROM users WHERE is_superuser LIMIT 1`, name)
			m.exec(`INSERT INTO api_use (day, user_id, token_id, token, operation, requests, client_errors, server_errors, bytes, last_at)
				SELECT now(), id, 0, '', $1, 1, 0, 0, 0, now() FROM users WHERE is_superuser LIMIT 1`, name)
			m.exec(`INSERT INTO registrations (username, mail) VALUES ($1::text, $1 || '@example.org')`, "r"+name)
			m.exec(`INSERT INTO outbox (recipient, subject, body, status, ended_at) VALUES ('x@example.org', 'x', 'x', 'given_up', now())`)
			m.exec(`INSERT INTO tasks (job_id, seq, study_instance_uid, status, message, reason, not_before) VALUES ($1, 2 * $2::integer + 1, '1.2', 'pending', '', '', now() + interval '1 hour'), ($1, 2 * $2 + 2, '1.2', 'failure', $3, $3, now())`,
				job, n, "It failed like "+name)
			m.exec(`INSERT INTO task_log (task_id, line) VALUES ($1, $2)`, task, name)
			m.exec(`INSERT INTO recurrences (owner_id, kind, title, settings, weekdays, at_minute) SELECT id, 'batch_query', '', '{"query":{}}', '{}', 0 FROM users WHERE is_superuser LIMIT 1`)
			day := m.one(`INSERT INTO tasks (job_id, seq) VALUES ($1, $2) RETURNING id`, massJob, n+1)
			m.addVolume(massJob, day, fmt.Sprintf("1.2.%d", n+1))
			m.addResult(query, found, fmt.Sprintf("1.2.%d", n+1))
			m.exec(`INSERT INTO linkage (project_id, trial, pseudonym, identity, patient_id) SELECT id, '', $1, $1, $1 FROM projects WHERE name = $2`, name, project)
			m.exec(`INSERT INTO deid_profiles (name, version, sha256, text) VALUES ($1, '1', $1, $2)`,
				name, "name: "+name+"\nversion: \"1\"\nbase: ps3.15-basic\n")
			m.exec(`INSERT INTO unsolicited_instances (day, server, calling_ae, address, sop_class_uid, instances, quarantined, first_at, last_at) VALUES (now(), $1, '', '', '', 1, 0, now(), now())`, name)
			m.exec(`INSERT INTO quarantine (folder, file, server, calling_ae, address, sop_class_uid, sop_instance_uid, transfer_syntax_uid, bytes)
				VALUES (gen_random_uuid(), gen_random_uuid(), '', '', '', '', '', '', 1)`)
			m.exec(`INSERT INTO members (id, data_dir_id, name, version, schema_min, schema_max) VALUES (gen_random_uuid(), gen_random_uuid(), $1, '', 0, 0)`, name)
			m.exec(`INSERT INTO rejected_callers (server, calling_ae, called_ae, address, reason, calls, first_at, last_at) VALUES ($1, '', '', '', '', 1, now(), now())`, name)
		}
	}
	places := strings.NewReplacer(
		"/jobs/{id}/partitions", fmt.Sprintf("/jobs/%d/partitions", massJob),
		"/jobs/{id}/volumes", fmt.Sprintf("/jobs/%d/volumes", massJob),
		"/jobs/{id}/results", fmt.Sprintf("/jobs/%d/results", query), "/jobs/{id}", fmt.Sprintf("/jobs/%d", job),
		"/tasks/{id}", fmt.Sprintf("/tasks/%d", task),
		"{group}", group, "{name}", project,
	)
	routes := pages(t, m.site)
	require.Greater(t, len(routes), 15)
	ask := func(token, route string) (items int, asked map[string]int) {
		t.Helper()
		method, path, _ := strings.Cut(route, " ")
		bare := strings.TrimPrefix(path, "/api/v1")
		query := "?limit=500"
		if method == nethttp.MethodPost {
			query = ""
		}
		for tries := 0; tries < 2; { // the second time nothing has to be looked up for the first time
			trace.reset()
			res := m.send(method, places.Replace(path)+query, listBodies[bare], "Authorization", "Token "+token)
			if res.StatusCode == nethttp.StatusUnprocessableEntity && query != "" { // it has no pages
				query = ""
				continue
			}
			if token != m.token && res.StatusCode != nethttp.StatusOK { // it is for others
				return 0, nil
			}
			require.Equal(t, nethttp.StatusOK, res.StatusCode, "%s: %s", route, res.body)
			var page struct {
				Items []json.RawMessage `json:"items"`
			}
			require.NoError(t, json.Unmarshal([]byte(res.body), &page))
			items, asked = len(page.Items), trace.reset()
			tries++
		}
		return items, asked
	}
	type answer struct {
		items int
		asked map[string]int
	}
	few := map[string]answer{}
	grow(0, 2)
	for _, route := range routes {
		if _, bare, _ := strings.Cut(route, "/api/v1"); listUnasked[bare] != "" {
			continue
		}
		for _, token := range []string{m.token, reader} {
			items, asked := ask(token, route)
			few[token+" "+route] = answer{items, asked}
		}
	}
	grow(2, 40)
	for _, key := range slices.Sorted(maps.Keys(few)) {
		token, route, _ := strings.Cut(key, " ")
		items, asked := ask(token, route)
		if token == m.token {
			require.GreaterOrEqual(t, items, 40, "%s has rows of its own in grow", route)
			require.Greater(t, items, few[key].items, route)
		}
		require.Equal(t, few[key].asked, asked, "%s: statements for few rows, and for many", route)
	}
}
