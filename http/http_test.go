// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/multitracer"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/reading"
	"github.com/adit-go/adit/http"
	"github.com/adit-go/adit/http/live"
	"github.com/adit-go/adit/http/live/livetest"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/people"
)

const deadline = time.Minute // safety only

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServer()...) }

// site is a running ADIT with its outside.
type site struct {
	t      *testing.T
	url    string
	token  string
	pool   *pgxpool.Pool
	dbURL  string
	client *client.Client
	people *people.Service
	key    people.Key
	log    *testpeer.Buffer
	ready  func(context.Context) error
	engine *engine.Engine

	handler, admin nethttp.Handler
}

// newSite starts an ADIT that runs no tasks: they stay pending.
func newSite(t *testing.T) *site {
	t.Helper()
	return newTracedSite(t, nil)
}

// newTracedSite has all statements of the site told to a tracer, unless it is nil.
func newTracedSite(t *testing.T, trace pgx.QueryTracer) *site {
	t.Helper()
	s := &site{t: t, dbURL: dbtest.URL(t), log: &testpeer.Buffer{}, ready: func(context.Context) error { return nil }}
	ctx := t.Context()
	var err error
	s.pool, err = db.Open(ctx, s.dbURL, db.Options{})
	require.NoError(t, err)
	if trace != nil {
		traced := s.pool.Config()
		s.pool.Close()
		traced.ConnConfig.Tracer = multitracer.New(traced.ConnConfig.Tracer, trace)
		s.pool, err = pgxpool.NewWithConfig(ctx, traced)
		require.NoError(t, err)
	}
	t.Cleanup(s.pool.Close)
	s.key = people.NewKey()
	who := people.New(s.pool, s.key)
	require.NoError(t, who.Bootstrap(ctx, func(token string) error { s.token = token; return nil }))
	s.people = who
	log := testpeer.Log(t, s.log)
	doors := door.NewDoor(s.pool)
	eng := engine.New(
		s.pool, who, doors, log, base.Config{
			FolderRoots: []string{filepath.Dir(filepath.Dir(t.TempDir()))}, ReceiverPort: 11112,
		},
	)
	cache, err := reading.OpenCache(filepath.Join(t.TempDir(), "series"), 1e9)
	require.NoError(t, err)
	eng.Reading.SetCache(cache)
	s.engine = eng
	s.register(doors)
	metrics := prometheus.NewRegistry()
	s.admin = http.Admin(metrics, func(context.Context) error { return nil }, true, log)
	s.handler = http.New(http.Config{
		Pages:  fstest.MapFS{},
		Live:   livetest.Hub(t, live.Config{Engine: eng, People: who, Log: log, Metrics: metrics}),
		Engine: eng, People: who, Version: "test", Log: log, Metrics: metrics,
		About: http.About{
			Name: "ADIT", Version: "test", License: "AGPL-3.0-or-later", Source: "https://example.org/source",
		},
		Ready:   func(ctx context.Context) error { return s.ready(ctx) },
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
	})
	srv := httptest.NewServer(s.handler)
	transport := &nethttp.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	t.Cleanup(srv.Close)
	s.url = srv.URL
	s.client, err = client.New(
		s.url, client.WithToken(s.token), client.WithPatience(0),
		client.WithHTTPClient(&nethttp.Client{Transport: transport}),
	)
	require.NoError(t, err)
	return s
}

// work runs what jobs ask for.
func (s *site) work() {
	s.t.Helper()
	log := testpeer.Log(s.t, s.log)
	member, err := actors.Start(actors.Config{
		Engine:      engine.New(s.pool, people.New(s.pool, s.key), door.NewDoor(s.pool), log, base.Config{}),
		DatabaseURL: s.dbURL, Lease: 10 * time.Second, Log: log,
		Registration: lease.Registration{DataDirID: uuid.New(), Name: "test", Roles: lease.Roles, Version: "test"},
	})
	require.NoError(s.t, err)
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		require.NoError(s.t, member.Stop(ctx))
	})
}

// register gives interactive slots an owner, as a member does.
func (s *site) register(doors *door.Door) {
	s.t.Helper()
	id := uuid.New()
	_, err := s.pool.Exec(
		s.t.Context(),
		`INSERT INTO members (id, data_dir_id, name, roles, version, schema_min, schema_max) VALUES ($1, $2, 'test', '{}', 'test', 0, 0)`,
		id, uuid.New(),
	)
	require.NoError(s.t, err)
	doors.SetMember(id)
}

type reply struct {
	*nethttp.Response
	body string
}

// problem decodes a refusal.
func (r reply) problem(t *testing.T) client.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"), r.body)
	var p client.Problem
	require.NoError(t, json.Unmarshal([]byte(r.body), &p))
	require.Equal(t, r.StatusCode, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Detail)
	return p
}

// send makes a request by hand. A header with a plus before its name stands beside one that is there.
func (s *site) send(method, path, body string, header ...string) reply {
	s.t.Helper()
	req, err := nethttp.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	require.NoError(s.t, err)
	req.Header.Set("Authorization", "Token "+s.token)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		if name, more := strings.CutPrefix(header[i], "+"); more {
			req.Header.Add(name, header[i+1])
		} else {
			req.Header.Set(name, header[i+1])
		}
	}
	transport := &nethttp.Transport{DisableKeepAlives: true}
	resp, err := (&nethttp.Client{Transport: transport, Timeout: deadline}).Do(req)
	require.NoError(s.t, err)
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	require.NoError(s.t, err)
	if resp.StatusCode >= 400 {
		testpeer.NoPatients(s.t, "a refusal", string(text))
	}
	return reply{resp, string(text)}
}

func all() client.Supports {
	return client.Supports{StudyRootFind: true, StudyRootGet: true, StudyRootMove: true, Store: true}
}

// addServer adds a server that nobody listens for, unless change names one.
func (s *site) addServer(name, aeTitle string, change func(*client.ServerSettings)) client.Server {
	s.t.Helper()
	settings := client.ServerSettings{Name: name, AETitle: aeTitle, Host: "127.0.0.1", Port: 1, Supports: all()}
	if change != nil {
		change(&settings)
	}
	added, err := s.client.Servers.Add(s.t.Context(), settings)
	require.NoError(s.t, err)
	return added
}

// otherUser makes somebody without staff rights, in no group, and gives a client of theirs.
func (s *site) otherUser() *client.Client {
	s.t.Helper()
	const token = "00112233445566778899aabbccddeeff00112233"
	_, err := s.pool.Exec(s.t.Context(), `WITH u AS (INSERT INTO users (username) VALUES ('other') RETURNING id)
		INSERT INTO api_tokens (user_id, description, sha256) SELECT id, 'test', sha256('`+token+`') FROM u`)
	require.NoError(s.t, err)
	transport := &nethttp.Transport{DisableKeepAlives: true}
	c, err := client.New(
		s.url, client.WithToken(token), client.WithPatience(0),
		client.WithHTTPClient(&nethttp.Client{Transport: transport}),
	)
	require.NoError(s.t, err)
	return c
}

func status(err error) int {
	if p, ok := errors.AsType[*client.Problem](err); ok {
		return p.Status
	}
	return 0
}

func TestHealthAndMetrics(t *testing.T) {
	s := newSite(t)
	r := s.send("GET", "/healthz", "", "Authorization", "")
	require.Equal(t, 200, r.StatusCode)
	r = s.send("GET", "/readyz", "", "Authorization", "")
	require.Equal(t, 200, r.StatusCode)
	s.ready = func(context.Context) error { return errors.New("ADIT is shutting down.") }
	r = s.send("GET", "/readyz", "", "Authorization", "")
	require.Equal(t, 503, r.StatusCode)
	require.Equal(t, "ADIT is shutting down.\n", r.body)
	s.send("GET", "/api/v1/jobs/99", "")
	require.Equal(t, 404, s.send("GET", "/metrics", "").StatusCode, "metrics are for those who run the process")
	w := httptest.NewRecorder()
	s.admin.ServeHTTP(w, httptest.NewRequest(nethttp.MethodGet, "http://localhost/metrics", nethttp.NoBody))
	require.Equal(t, 200, w.Code)
	require.Contains(
		t, w.Body.String(),
		`adit_http_request_duration_seconds_count{method="GET",route="/api/v1/jobs/{id}",status="404"} 1`,
	)
}

// document is the part of an OpenAPI document that is looked at.
type document struct {
	OpenAPI string                                `json:"openapi"`
	Paths   map[string]map[string]json.RawMessage `json:"paths"`
}

func TestDocument(t *testing.T) {
	s := newSite(t)
	r := s.send("GET", "/api/v1/openapi.json", "", "Authorization", "")
	require.Equal(t, 200, r.StatusCode)
	var doc document
	require.NoError(t, json.Unmarshal([]byte(r.body), &doc))
	require.Equal(t, "3.1.0", doc.OpenAPI)
	require.NotContains(t, r.body, `"$schema"`)
	ids := map[string]bool{}
	for path, operations := range doc.Paths {
		for method, raw := range operations {
			var op struct {
				ID        string         `json:"operationId"`
				Summary   string         `json:"summary"`
				Responses map[string]any `json:"responses"`
			}
			require.NoError(t, json.Unmarshal(raw, &op))
			require.NotEmpty(t, op.ID)
			require.NotEmpty(t, op.Summary, op.ID)
			require.False(t, ids[op.ID], "%s is there twice", op.ID)
			ids[op.ID] = true
			if slices.Contains([]string{"begin-session", "request-password", "reset-password", "register"}, op.ID) {
				continue // open to who is not known yet
			}
			require.Contains(t, op.Responses, "401", op.ID)

			filled := strings.NewReplacer("{id}", "1", "{name}", "x").Replace(path)
			refused := s.send(strings.ToUpper(method), filled, "", "Authorization", "")
			require.Equal(t, 401, refused.StatusCode, "%s %s needs no token", method, path)
			require.Equal(t, `Token realm="ADIT"`, refused.Header.Get("WWW-Authenticate"))
		}
	}
	for _, id := range []string{
		"get-me", "list-nodes", "get-node", "check-node", "delete-node",
		"list-servers", "add-server", "list-folders", "add-folder", "search-studies",
		"create-job", "list-jobs", "get-job", "delete-job", "cancel-job", "resume-job",
		"retry-job", "restart-job", "verify-job", "pause-job", "continue-job",
		"list-tasks", "get-task", "get-task-log", "delete-task", "reset-task", "kill-task",
		"list-projects", "add-project", "get-project", "change-project", "list-profiles",
		"add-profile", "search-audit", "search-linkage", "export-linkage", "import-linkage",
		"get-task-deidentification", "get-job-deidentification", "export-job-deidentification",
	} {
		require.True(t, ids[id], "%s is missing", id)
	}
	// Each reference leads somewhere.
	var whole map[string]any
	require.NoError(t, json.Unmarshal([]byte(r.body), &whole))
	walk(whole, func(ref string) {
		var at any = whole
		for part := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
			m, _ := at.(map[string]any)
			at = m[part]
		}
		require.NotNil(t, at, ref)
	})
}

func walk(v any, visit func(ref string)) {
	switch v := v.(type) {
	case map[string]any:
		for key, value := range v {
			if ref, ok := value.(string); ok && key == "$ref" {
				visit(ref)
			}
			walk(value, visit)
		}
	case []any:
		for _, value := range v {
			walk(value, visit)
		}
	}
}

func TestTokens(t *testing.T) {
	s := newSite(t)
	for header, want := range map[string]int{
		"Token " + s.token:                   200,
		"token " + s.token:                   200,
		"Bearer " + s.token:                  200,
		"Bearer " + strings.ToUpper(s.token): 200,
		"Basic " + s.token:                   401,
		s.token:                              401,
		"Token " + s.token[:39]:              401,
		"Token " + strings.Repeat("0", 40):   401,
	} {
		r := s.send("GET", "/api/v1/me", "", "Authorization", header)
		require.Equal(t, want, r.StatusCode, header)
		if want == 401 {
			require.NotContains(t, r.body, s.token[:20])
			r.problem(t)
		}
	}
	require.NotContains(t, s.log.String(), s.token)

	_, err := s.pool.Exec(t.Context(), `UPDATE api_tokens SET expires_at = now() - interval '1 second'`)
	require.NoError(t, err)
	require.Equal(t, 401, s.send("GET", "/api/v1/me", "").StatusCode)
}

// secret is what nobody may read in an answer or in the log.
const secret = "Doe^Jane-4711"

// manyDigits are a secret where a number is wanted: more than a port, a time or an ID has.
const manyDigits = "4711081547110815"

func TestProblems(t *testing.T) {
	s := newSite(t)
	folder := t.TempDir()
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	_, err := s.client.Folders.Add(t.Context(), client.FolderSettings{Name: "Folder", Path: folder})
	require.NoError(t, err)
	const job = `{"kind":"selective_transfer","source":"PACS 1","destination":"PACS 2","studies":[{"study_instance_uid":"1.2.3"%s}]%s}`
	for name, test := range map[string]struct {
		method, path, body string
		status             int
		detail             string
		field              string
		header             []string
	}{
		"no such address":      {method: "GET", path: "/api/v1/patients", status: 404, detail: "nothing at this address"},
		"wrong method":         {method: "PATCH", path: "/api/v1/jobs", status: 405, detail: "does not support the method"},
		"not JSON":             {method: "POST", path: "/api/v1/jobs", body: `{"kind": ` + secret, status: 400, detail: "not valid JSON"},
		"name no text":         {method: "GET", path: "/api/v1/nodes/%FF", status: 400, detail: "not valid text"},
		"name with NUL":        {method: "GET", path: "/api/v1/nodes/a%00b", status: 400, detail: "not valid text"},
		"query no text":        {method: "GET", path: "/api/v1/users?search=%C3", status: 400, detail: "not valid text"},
		"query badly escaped":  {method: "GET", path: "/api/v1/jobs?status=%zz", status: 400, detail: "not valid text"},
		"key no text":          {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", ""), header: []string{"Idempotency-Key", "\xff"}, status: 400},
		"source with NUL":      {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), "PACS 1", `\u0000`, 1), status: 422, field: "source"},
		"patient ID with NUL":  {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"patient_id":"\u0000"`, ""), status: 422, field: "studies[0].patient_id"},
		"server with NUL":      {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","host":"h\u0000","port":104,"supports":{"store":true}}`, status: 422, field: "host"},
		"calling AE with NUL":  {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","calling_ae_title":"\u0000","host":"h","port":104,"supports":{"store":true}}`, status: 422, field: "calling_ae_title"},
		"path with NUL":        {method: "POST", path: "/api/v1/folders", body: `{"name":"F","path":"/tmp/\u0000"}`, status: 422, field: "path"},
		"numbers too big":      {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","host":"h","port":104,"result_limit":5000000000,"supports":{"store":true}}`, status: 422, field: "result_limit"},
		"cap too big":          {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","host":"h","port":104,"batch_cap":5000000000,"supports":{"store":true}}`, status: 422, field: "batch_cap"},
		"no body":              {method: "POST", path: "/api/v1/jobs", status: 400, detail: "body is required"},
		"another media type":   {method: "POST", path: "/api/v1/jobs", body: secret, header: []string{"Content-Type", "text/csv"}, status: 415, detail: "Content-Type: application/json"},
		"curl's media type":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", ""), header: []string{"Content-Type", "application/x-www-form-urlencoded"}, status: 415, detail: "Content-Type: application/json"},
		"wrong type":           {method: "POST", path: "/api/v1/jobs", body: `{"kind":"selective_transfer","source":["` + secret + `"],"destination":"x","studies":[{"study_instance_uid":"1"}]}`, status: 422, detail: "expected string", field: "source"},
		"number for a text":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"patient_id":`+manyDigits, ""), status: 422, detail: "expected string", field: "studies[0].patient_id"},
		"unknown property":     {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"patient":"`+secret+`"`), status: 422, detail: "unexpected property", field: "patient"},
		"unknown kind":         {method: "POST", path: "/api/v1/jobs", body: `{"kind":"` + secret + `","source":"a","destination":"b","studies":[{"study_instance_uid":"1"}]}`, status: 422, field: "kind"},
		"no study":             {method: "POST", path: "/api/v1/jobs", body: `{"kind":"selective_transfer","source":"PACS 1","destination":"PACS 2","studies":[]}`, status: 422, field: "studies"},
		"bad UID":              {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), "1.2.3", secret, 1), status: 422, detail: "not a DICOM UID", field: "studies[0].study_instance_uid"},
		"bad patient ID":       {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"patient_id":"`+secret+`*"`, ""), status: 422, field: "studies[0].patient_id"},
		"pseudonym":            {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"pseudonym":"`+secret+`"`, ""), status: 422, detail: "have a special meaning in DICOM"},
		"empty pseudonym":      {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"pseudonym":""`, ""), status: 422, field: "studies[0].pseudonym"},
		"some pseudonyms":      {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"pseudonym":"A"},{"study_instance_uid":"1.2.4"`, ""), status: 422, detail: "others have one", field: "studies[1].pseudonym"},
		"no destination":       {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), `"destination":"PACS 2",`, "", 1), status: 422, detail: "destination: is missing", field: "destination"},
		"a day as a time":      {method: "GET", path: "/api/v1/jobs?created_from=2026-11-30", status: 422, detail: "with its zone", field: "created_from"},
		"long trial name":      {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"trial_protocol_name":"`+strings.Repeat(secret, 6)+`"`), status: 422, field: "trial_protocol_name"},
		"unknown source":       {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), "PACS 1", "PACS 9", 1), status: 422, detail: `no DICOM node named "PACS 9"`, field: "source"},
		"folder as source":     {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), "PACS 1", "Folder", 1), status: 422, field: "source"},
		"same node twice":      {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), "PACS 2", "PACS 1", 1), status: 422, field: "destination"},
		"large body":           {method: "POST", path: "/api/v1/folders", body: `{"name":"` + strings.Repeat("x", 65<<10) + `"}`, status: 413, detail: "in several requests"},
		"key twice":            {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"source":"`+secret+`"`), status: 422, detail: "source: given more than once", field: "source"},
		"key twice, escaped":   {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"sourc\u0065":"`+secret+`"`), status: 422, field: "source"},
		"key twice, within":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"pseudonym":"A","pseudonym":"B"`, ""), status: 422, field: "pseudonym"},
		"unknown key twice":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"`+secret+`":1,"`+secret+`":2`), status: 422, detail: "more than once"},
		"key in other case":    {method: "POST", path: "/api/v1/jobs", body: strings.Replace(fmt.Sprintf(job, "", ""), `"source"`, `"Source"`, 1), status: 422, detail: "unexpected property"},
		"key in both cases":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"Source":"`+secret+`"`), status: 422},
		"key of a long s":      {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"\u017fource":"`+secret+`"`), status: 422},
		"no UTF-8":             {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, ",\"patient_id\":\"\xff\"", ""), status: 422, detail: "not valid Unicode"},
		"half a pair":          {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"patient_id":"\ud800"`, ""), status: 422, detail: "not valid Unicode"},
		"half a pair in a key": {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", `,"\udc00":1`), status: 422, detail: "not valid Unicode"},
		"UTF-16":               {method: "POST", path: "/api/v1/jobs", body: "\xff\xfe{\x00}\x00", status: 400},
		"two tokens":           {method: "GET", path: "/api/v1/me", header: []string{"+Authorization", "Token " + secret}, status: 400, detail: "Authorization was sent more than once"},
		"two media types":      {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", ""), header: []string{"+Content-Type", "text/csv"}, status: 400, detail: "Content-Type was sent more than once"},
		"two keys":             {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", ""), header: []string{"+Idempotency-Key", "a", "+Idempotency-Key", "b"}, status: 400, detail: "Idempotency-Key was sent more than once"},
		"project turned":       {method: "POST", path: "/api/v1/projects", body: `{"name":"a\u202eb"}`, status: 422, field: "name"},
		"project, odd blank":   {method: "POST", path: "/api/v1/projects", body: `{"name":"a\u00a0b"}`, status: 422, field: "name"},
		"server, uncomposed":   {method: "POST", path: "/api/v1/folders", body: `{"name":"Mu\u0308ller","path":"/tmp"}`, status: 422, field: "name"},
		"group, two blanks":    {method: "POST", path: "/api/v1/groups", body: `{"name":"a  b"}`, status: 422, field: "name"},
		"subject turned":       {method: "POST", path: "/api/v1/mails", body: `{"subject":"a\u202eb","text":"x"}`, status: 422, field: "subject"},
		"mail turned":          {method: "POST", path: "/api/v1/mails", body: `{"subject":"a","text":"x\u2067y"}`, status: 422, field: "text"},
		"announcement turned":  {method: "PUT", path: "/api/v1/announcement", body: `{"text":"x\u202ey"}`, status: 422, field: "text"},
		"message turned":       {method: "PATCH", path: "/api/v1/settings", body: `{"maintenance_message":"x\u202ey"}`, status: 422, field: "maintenance_message"},
		"compressed":           {method: "POST", path: "/api/v1/groups", body: `{"name":"a"}`, header: []string{"Content-Encoding", "gzip"}, status: 415, detail: "not compressed"},
		"compressed, as is":    {method: "POST", path: "/api/v1/groups", body: `{"name":"PACS"`, header: []string{"Content-Encoding", "Identity"}, status: 400, detail: "not valid JSON"},
		"another charset":      {method: "POST", path: "/api/v1/groups", body: `{"name":"a"}`, header: []string{"Content-Type", "application/json; charset=iso-8859-1"}, status: 415, detail: "UTF-8"},
		"charset in capitals":  {method: "POST", path: "/api/v1/groups", body: `{"name":"a"`, header: []string{"Content-Type", `application/json; Charset="UTF-8"`}, status: 400, detail: "not valid JSON"},
		"group named ..":       {method: "POST", path: "/api/v1/groups", body: `{"name":".."}`, status: 422, field: "name"},
		"semicolons":           {method: "GET", path: "/api/v1/jobs?limit=1;status=failure&limit=2", status: 422, detail: "can't be read"},
		"no such job":          {method: "GET", path: "/api/v1/jobs/4711", status: 404},
		"job by name":          {method: "GET", path: "/api/v1/jobs/" + url.PathEscape(secret), status: 422, field: "id"},
		"null":                 {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, `,"patient_id":null`, ""), status: 422, detail: "must not be null", field: "patient_id"},
		"empty time":           {method: "GET", path: "/api/v1/jobs?created_to=", status: 422, detail: "it is empty", field: "created_to"},
		"empty number":         {method: "GET", path: "/api/v1/jobs?limit=", status: 422, detail: "it is empty", field: "limit"},
		"empty choice":         {method: "GET", path: "/api/v1/jobs?status=", status: 422, detail: "it is empty", field: "status"},
		"unknown action":       {method: "POST", path: "/api/v1/jobs/1:explode", status: 405},
		"no such task":         {method: "GET", path: "/api/v1/tasks/4711", status: 404},
		"bad cursor":           {method: "GET", path: "/api/v1/jobs?cursor=" + url.QueryEscape(secret), status: 422, field: "cursor"},
		"negative cursor":      {method: "GET", path: "/api/v1/jobs?cursor=-5", status: 422, field: "cursor"},
		"limit too high":       {method: "GET", path: "/api/v1/jobs?limit=501", status: 422, field: "limit"},
		"limit zero":           {method: "GET", path: "/api/v1/jobs?limit=0", status: 422, field: "limit"},
		"limit a name":         {method: "GET", path: "/api/v1/jobs?limit=" + url.QueryEscape(secret), status: 422, field: "limit"},
		"unknown status":       {method: "GET", path: "/api/v1/jobs?status=" + url.QueryEscape(secret), status: 422, field: "status"},
		"no such node":         {method: "GET", path: "/api/v1/nodes/PACS%209", status: 404},
		"AE title taken":       {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS1","host":"h","port":104,"supports":{"store":true}}`, status: 409, detail: "already has this AE title"},
		"name taken":           {method: "POST", path: "/api/v1/servers", body: `{"name":"pacs 1","ae_title":"PACS3","host":"h","port":104,"supports":{"store":true}}`, status: 409, detail: "already exists"},
		"bad port":             {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","host":"h","port":70000,"supports":{"store":true}}`, status: 422, field: "port"},
		"no service":           {method: "POST", path: "/api/v1/servers", body: `{"name":"PACS 3","ae_title":"PACS3","host":"h","port":104,"supports":{}}`, status: 422, field: "supports"},
		"folder not there":     {method: "POST", path: "/api/v1/folders", body: `{"name":"F","path":"` + folder + `/nowhere"}`, status: 422, detail: "there is no folder", field: "path"},
		"folder relative":      {method: "POST", path: "/api/v1/folders", body: `{"name":"F","path":"tmp"}`, status: 422, field: "path"},
		"search for all":       {method: "POST", path: "/api/v1/servers/PACS%201/studies:search", body: `{}`, status: 422, detail: "at least one criterion"},
		"search by bad date":   {method: "POST", path: "/api/v1/servers/PACS%201/studies:search", body: `{"study_date_from":"` + secret + `"}`, status: 422, field: "study_date_from"},
		"search with wildcard": {method: "POST", path: "/api/v1/servers/PACS%201/studies:search", body: `{"patient_id":"` + secret + `*"}`, status: 422, field: "patient_id"},
		"search a folder":      {method: "POST", path: "/api/v1/servers/Folder/studies:search", body: `{"patient_id":"1"}`, status: 422},
		"search nowhere":       {method: "POST", path: "/api/v1/servers/x/studies:search", body: `{"patient_id":"` + secret + `"}`, status: 404},
		"search a dead server": {method: "POST", path: "/api/v1/servers/PACS%201/studies:search", body: `{"patient_id":"` + secret + `"}`, status: 503, detail: "nothing listens there"},
		"from another site":    {method: "POST", path: "/api/v1/jobs", body: fmt.Sprintf(job, "", ""), header: []string{"Sec-Fetch-Site", "cross-site"}, status: 403, detail: "another site"},
	} {
		t.Run(name, func(t *testing.T) {
			r := s.send(test.method, test.path, test.body, test.header...)
			require.Equal(t, test.status, r.StatusCode, r.body)
			p := r.problem(t)
			require.Contains(t, p.Detail+fmt.Sprint(p.Errors), test.detail)
			if test.field != "" {
				require.NotEmpty(t, p.Errors, r.body)
				require.Equal(t, test.field, p.Errors[0].Field)
			}
			for _, value := range []string{"Jane", manyDigits} {
				require.NotContains(t, r.body, value)
			}
			require.NotEmpty(t, r.Header.Get("X-Request-ID"))
		})
	}
	require.NotContains(t, s.log.String(), "Jane")
	require.Contains(t, s.log.String(), "route=/api/v1/servers/{name}/studies:search")
}

func TestFaultOfOurOwn(t *testing.T) {
	s := newSite(t)
	s.ready = func(context.Context) error { panic(secret) }
	r := s.send("GET", "/readyz", "")
	p := r.problem(t)
	require.Equal(t, 500, p.Status)
	require.Equal(t, r.Header.Get("X-Request-ID"), p.RequestID)
	require.NotContains(t, r.body, "Jane")
	require.Contains(t, s.log.String(), "request="+p.RequestID)

	_, err := s.pool.Exec(t.Context(), `ALTER TABLE jobs RENAME TO no_jobs`)
	require.NoError(t, err)
	r = s.send("GET", "/api/v1/jobs", "")
	p = r.problem(t)
	require.Equal(t, 500, p.Status)
	require.NotContains(t, r.body, "relation", "what the database says is for the log")
	require.Contains(t, p.Detail, p.RequestID)
	require.Contains(t, s.log.String(), "relation")
}

func TestDatabaseLost(t *testing.T) {
	s := newSite(t)
	other, err := url.Parse(s.dbURL)
	require.NoError(t, err)
	other.Path = "/adit"
	admin, err := pgx.Connect(t.Context(), other.String())
	require.NoError(t, err)
	defer func() { _ = admin.Close(context.Background()) }()
	name := s.pool.Config().ConnConfig.Database
	_, err = admin.Exec(t.Context(), `ALTER DATABASE `+name+` ALLOW_CONNECTIONS false`)
	require.NoError(t, err)
	_, err = admin.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1`, name)
	require.NoError(t, err)
	for range 3 {
		r := s.send("GET", "/api/v1/jobs", "")
		p := r.problem(t)
		require.Equal(t, 503, p.Status, s.log.String())
		require.Contains(t, p.Detail, "database doesn't answer")
		require.Equal(t, "2", r.Header.Get("Retry-After"))
	}
	_, err = admin.Exec(t.Context(), `ALTER DATABASE `+name+` ALLOW_CONNECTIONS true`)
	require.NoError(t, err)
	require.Equal(t, 200, s.send("GET", "/api/v1/jobs", "").StatusCode)
}

func TestNodes(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	names := []string{"PACS 1", "a:b", "50% of 100%25", "Röntgen+MR", "a?b#c"}
	batch := 0
	for i, name := range names {
		added := s.addServer(name, fmt.Sprintf("AE%d", i), func(c *client.ServerSettings) {
			c.BatchCap, c.IdleTimeout, c.CallingAETitle = &batch, 90, "OTHER"
		})
		require.Equal(t, name, added.Name)
		got, err := s.client.Nodes.Get(ctx, name)
		require.NoError(t, err, name)
		require.Equal(t, client.KindServer, got.Kind)
		require.Equal(t, added, *got.Server)
		require.Equal(t, 0, *added.BatchCap)
		require.Equal(t, 2, *added.InteractiveCap)
		require.Equal(t, 90, added.IdleTimeout)
		require.Equal(t, all(), added.Supports)
	}
	dir := t.TempDir()
	folder, err := s.client.Folders.Add(ctx, client.FolderSettings{Name: "Folder", Path: dir})
	require.NoError(t, err)
	require.Equal(t, dir, folder.Path)

	var listed []string
	for n, err := range s.client.Nodes.List(ctx) {
		require.NoError(t, err)
		listed = append(listed, n.Name)
	}
	require.Equal(t, append(append([]string{}, names...), "Folder"), listed)

	// Servers and folders apart, over several pages.
	listed = nil
	cursor := ""
	for {
		r := s.send("GET", "/api/v1/servers?limit=2&cursor="+cursor, "")
		var page client.Page[client.Server]
		require.NoError(t, json.Unmarshal([]byte(r.body), &page))
		require.LessOrEqual(t, len(page.Items), 2)
		for _, item := range page.Items {
			listed = append(listed, item.Name)
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	require.Equal(t, names, listed)
	r := s.send("GET", "/api/v1/folders?limit=1", "")
	var page client.Page[client.Folder]
	require.NoError(t, json.Unmarshal([]byte(r.body), &page))
	require.Len(t, page.Items, 1)
	require.Empty(t, page.NextCursor)

	report, err := s.client.Nodes.Check(ctx, "Folder")
	require.NoError(t, err)
	require.True(t, report.Checks[0].OK)
	report, err = s.client.Nodes.Check(ctx, "a:b")
	require.NoError(t, err)
	require.False(t, report.Checks[0].OK)
	require.Contains(t, report.Checks[0].Detail, "nothing listens there")

	other := s.otherUser()
	_, err = other.Folders.Add(ctx, client.FolderSettings{Name: "F", Path: dir})
	require.Equal(t, 403, status(err))
	require.Equal(t, 403, status(other.Nodes.Delete(ctx, "PACS 1")))

	require.NoError(t, s.client.Nodes.Delete(ctx, "a:b"))
	require.Equal(t, 404, status(s.client.Nodes.Delete(ctx, "a:b")))
}

// TestChangeServer: what isn't named stays, a key never comes back, and what a check suggests can be taken as it is.
func TestChangeServer(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	ca := testpeer.NewAuthority(t)
	own := ca.Issue(t, "adit.example")
	added := s.addServer("PACS", "PACS", func(c *client.ServerSettings) {
		c.TLS = client.TLS{
			Use: true, Verify: "authority", Authorities: string(ca.PEM),
			Certificate: string(own.Certificate), Key: string(own.Key),
		}
	})
	require.Empty(t, added.TLS.Key)
	require.Equal(t, client.TLS{
		Use: true, Profile: "bcp195-rfc9325", Verify: "authority",
		Authorities: string(ca.PEM), Certificate: string(own.Certificate),
	}, added.TLS)

	limit, host, no := 50, "pacs.example", false
	changed, err := s.client.Servers.Change(ctx, "pacs", client.ServerChange{
		ResultLimit: &limit, Host: &host, Supports: &client.SupportsChange{StudyRootGet: &no},
		TLS: &client.TLSChange{ServerName: &host},
	})
	require.NoError(t, err)
	want := added
	require.NotEqual(t, added.ETag, changed.ETag)
	want.ETag = changed.ETag
	want.ResultLimit, want.Host, want.Supports.StudyRootGet, want.TLS.ServerName = 50, host, false, host
	require.Equal(t, want, changed)
	changed, err = s.client.Servers.Change(ctx, "PACS", client.ServerChange{
		Retrieve: &client.RetrieveChange{AddAddressRanges: []string{"10.1.2.3", "10.2.0.0/16"}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"10.1.2.3", "10.2.0.0/16"}, changed.Retrieve.AddressRanges)
	changed, err = s.client.Servers.Change(ctx, "PACS", client.ServerChange{
		Retrieve: &client.RetrieveChange{AddAddressRanges: []string{"10.1.2.4", "10.1.2.3"}},
	})
	require.NoError(t, err)
	require.Equal(t, []string{"10.1.2.3", "10.2.0.0/16", "10.1.2.4"}, changed.Retrieve.AddressRanges, "each once")
	_, err = s.client.Servers.Change(
		ctx, "PACS", client.ServerChange{Retrieve: &client.RetrieveChange{AddressRanges: &[]string{}}},
	)
	require.NoError(t, err)
	for body, status := range map[string]int{
		`{"port": 0}`: 422, `{"nonsense": 1}`: 422, `{"tls":{"profile":"ssl"}}`: 422,
		`{"tls":{"certificate":"x"}}`: 422, `{"result_limit": -1}`: 422,
		`{"host":"a\u0000b"}`: 422,
	} {
		r := s.send("PATCH", "/api/v1/servers/PACS", body)
		require.Equal(t, status, r.StatusCode, "%s: %s", body, r.body)
	}
	require.Equal(t, 404, s.send("PATCH", "/api/v1/servers/nobody", `{}`).StatusCode)
	_, err = s.otherUser().Servers.Change(ctx, "PACS", client.ServerChange{})
	require.Equal(t, 403, status(err))
	got, err := s.client.Nodes.Get(ctx, "PACS")
	require.NoError(t, err)
	want.ETag = "" // which has GET /servers/{name}
	require.Equal(t, want, *got.Server)
	require.NotContains(t, s.send("GET", "/api/v1/nodes", "").body+s.log.String(), "PRIVATE KEY")

	p, err := pacs.Start(pacs.Config{
		Studies:   phantom.DemoStudies()[:1],
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
	})
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	s.addServer("errs", "ERRS", func(c *client.ServerSettings) {
		c.Port, c.Supports = p.Port(), client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true}
	})
	report, err := s.client.Nodes.Check(ctx, "errs")
	require.NoError(t, err)
	settings := map[string]any{}
	for _, sg := range report.Suggestions {
		settings[sg.Setting] = sg.Suggested
	}
	var lines client.CheckReport
	for line, err := range s.client.Nodes.CheckLines(ctx, "errs") {
		require.NoError(t, err)
		if line.Check != nil {
			lines.Checks = append(lines.Checks, *line.Check)
		} else {
			lines.Suggestions = append(lines.Suggestions, *line.Suggestion)
		}
	}
	require.Equal(t, report.Suggestions, lines.Suggestions)
	require.Len(t, lines.Checks, len(report.Checks))
	for _, err := range s.client.Nodes.CheckLines(ctx, "nobody") {
		require.Equal(t, 404, status(err), "what comes before the first line is a problem")
	}
	tried := client.ServerSettings{Name: "tried", AETitle: "TRIED", Host: "127.0.0.1", Port: p.Port()}
	whole, err := s.client.Servers.Check(ctx, tried)
	require.NoError(t, err)
	require.NotEmpty(t, whole.Suggestions)
	for line, err := range s.client.Servers.CheckLines(ctx, tried) {
		require.NoError(t, err)
		require.Equal(t, "association", line.Check.Name)
		break
	}
	require.Equal(t, map[string]any{"find_images": false}, settings)
	changed, err = s.client.Servers.Apply(ctx, "errs", report.Suggestions)
	require.NoError(t, err)
	require.False(t, *changed.FindImages)
	require.True(t, changed.Supports.StudyRootGet)
	report, err = s.client.Nodes.Check(ctx, "errs")
	require.NoError(t, err)
	require.Empty(t, report.Suggestions)
}

func transfer(studies ...string) client.NewJob {
	job := client.NewJob{Kind: client.SelectiveTransfer, Source: "PACS 1", Destination: "PACS 2"}
	for _, uid := range studies {
		job.Studies = append(job.Studies, client.NewStudy{StudyInstanceUID: uid, PatientID: "P1"})
	}
	return job
}

func TestJobs(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	var ids []int64
	for i := range 5 {
		job, err := s.client.Jobs.Create(ctx, transfer(fmt.Sprintf("1.2.%d", i), "1.2.99", "1.2.100"), "")
		require.NoError(t, err)
		require.Equal(t, client.Pending, job.Status)
		require.Equal(t, client.TaskCounts{Pending: 3}, job.Tasks)
		require.Equal(t, "admin", job.Owner)
		ids = append(ids, job.ID)
	}
	var listed []int64
	for j, err := range s.client.Jobs.List(ctx, client.JobFilter{Limit: 2}) {
		require.NoError(t, err)
		listed = append(listed, j.ID)
	}
	require.Equal(t, []int64{ids[4], ids[3], ids[2], ids[1], ids[0]}, listed)

	// Canceled and resumed, and what is not allowed then.
	job, err := s.client.Jobs.Act(ctx, ids[0], client.CancelJob)
	require.NoError(t, err)
	require.Equal(t, client.Canceled, job.Status)
	require.Equal(t, "All tasks were canceled.", job.Message)
	for _, action := range []client.JobAction{
		client.CancelJob, client.RetryJob, client.VerifyJob, client.PauseJob, client.ContinueJob,
	} {
		_, err = s.client.Jobs.Act(ctx, ids[0], action)
		require.Equal(t, 409, status(err), action)
	}
	listed = nil
	for j, err := range s.client.Jobs.List(ctx, client.JobFilter{Status: client.Canceled}) {
		require.NoError(t, err)
		listed = append(listed, j.ID)
	}
	require.Equal(t, ids[:1], listed)
	for _, action := range []client.JobAction{
		client.ResumeJob, client.PauseJob, client.ContinueJob, client.CancelJob, client.RestartJob,
	} {
		_, err = s.client.Jobs.Act(ctx, ids[0], action)
		require.NoError(t, err, action)
	}

	// Tasks.
	var tasks []client.Task
	for task, err := range s.client.Tasks.List(ctx, ids[1], client.TaskFilter{Limit: 1}) {
		require.NoError(t, err)
		tasks = append(tasks, task)
	}
	require.Len(t, tasks, 3)
	require.Equal(t, "1.2.1", tasks[0].StudyInstanceUID)
	require.Equal(t, "P1", tasks[0].PatientID)
	require.NotEmpty(t, tasks[0].WhyWaiting)
	task, err := s.client.Tasks.Get(ctx, tasks[0].ID)
	require.NoError(t, err)
	require.Equal(t, tasks[0].ID, task.ID)
	for range s.client.Tasks.Log(ctx, task.ID) {
		t.Fatal("nothing has happened yet")
	}
	_, err = s.client.Tasks.Act(ctx, task.ID, client.KillTask)
	require.Equal(t, 409, status(err))
	_, err = s.client.Tasks.Act(ctx, task.ID, client.ResetTask)
	require.Equal(t, 409, status(err))
	require.NoError(t, s.client.Tasks.Delete(ctx, tasks[0].ID))
	require.NoError(t, s.client.Tasks.Delete(ctx, tasks[1].ID))
	require.Equal(t, 409, status(s.client.Tasks.Delete(ctx, tasks[2].ID)), "the last one")

	// Somebody else sees nothing of it.
	other := s.otherUser()
	_, err = other.Jobs.Get(ctx, ids[1])
	require.Equal(t, 404, status(err))
	_, err = other.Tasks.Get(ctx, tasks[2].ID)
	require.Equal(t, 404, status(err))
	_, err = other.Jobs.Act(ctx, ids[1], client.CancelJob)
	require.Equal(t, 404, status(err))
	require.Equal(t, 404, status(other.Jobs.Delete(ctx, ids[1])))
	for range other.Jobs.List(ctx, client.JobFilter{}) {
		t.Fatal("a job of somebody else was listed")
	}
	_, err = other.Jobs.Create(ctx, transfer("1.2.3"), "")
	require.Equal(t, 403, status(err))

	require.NoError(t, s.client.Jobs.Delete(ctx, ids[1]))
	require.Equal(t, 404, status(s.client.Jobs.Delete(ctx, ids[1])))
	require.Equal(t, 409, status(s.client.Nodes.Delete(ctx, "PACS 1")), "jobs name it")
}

func TestMissingInstances(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	job, err := s.client.Jobs.Create(ctx, transfer("1.2.3"), "")
	require.NoError(t, err)
	_, err = s.pool.Exec(ctx, `INSERT INTO task_series (task_id, series_uid, expected, delivered, bytes, missing)
		SELECT id, '1.2.3.4', 40, 38, 1000, '[{"uid":"1.2.3.4.5","status":42752,"reason":"out of resources"},{"uid":"1.2.3.4.6","status":0,"reason":"never came"}]'
		FROM tasks WHERE job_id = $1`, job.ID)
	require.NoError(t, err)
	for listed, err := range s.client.Tasks.List(ctx, job.ID, client.TaskFilter{}) {
		require.NoError(t, err)
		task, err := s.client.Tasks.Get(ctx, listed.ID)
		require.NoError(t, err)
		require.Equal(t, []client.Series{{
			SeriesInstanceUID: "1.2.3.4", Expected: 40, Delivered: 38, Bytes: 1000, Missing: []client.MissingInstance{
				{SOPInstanceUID: "1.2.3.4.5", Status: "A700", Reason: "out of resources"},
				{SOPInstanceUID: "1.2.3.4.6", Reason: "never came"},
			},
		}}, task.Series)
	}
}

func TestIdempotency(t *testing.T) {
	s := newSite(t)
	ctx := t.Context()
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	first, err := s.client.Jobs.Create(ctx, transfer("1.2.3"), "key")
	require.NoError(t, err)
	again, err := s.client.Jobs.Create(ctx, transfer("1.2.3"), "key")
	require.NoError(t, err)
	require.Equal(t, first.ID, again.ID)
	_, err = s.client.Jobs.Create(ctx, transfer("1.2.4"), "key")
	require.Equal(t, 422, status(err))
	other, err := s.client.Jobs.Create(ctx, transfer("1.2.3"), "another key")
	require.NoError(t, err)
	require.NotEqual(t, first.ID, other.ID)

	// At the same time: one job, whoever wins.
	results := make(chan int64, 8)
	for range cap(results) {
		go func() {
			job, err := s.client.Jobs.Create(ctx, transfer("1.2.5"), "at once")
			if err != nil && status(err) != 409 {
				t.Error(err)
			}
			results <- job.ID
		}()
	}
	made := map[int64]bool{}
	for range cap(results) {
		if id := <-results; id != 0 {
			made[id] = true
		}
	}
	require.Len(t, made, 1)
}

func TestSearch(t *testing.T) {
	studies := phantom.DemoStudies()[:3]
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	web := webServer(t)

	s := newSite(t)
	ctx := t.Context()
	at := func(addr string) func(*client.ServerSettings) {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		n, err := strconv.Atoi(port)
		require.NoError(t, err)
		return func(c *client.ServerSettings) { c.Host, c.Port = host, n }
	}
	s.addServer("PACS", "PACS", at(p.Addr()))
	s.addServer("Wrong AE title", "WRONG", at(p.Addr()))
	s.addServer("Web", "WEB", at(web))
	s.addServer("Nobody", "NOBODY", nil)
	s.addServer("Closed", "CLOSED", func(c *client.ServerSettings) { c.InteractiveCap = new(int) })

	found, err := s.client.Servers.Search(ctx, "PACS", client.StudyQuery{PatientName: "Phantom, Alpha"})
	require.NoError(t, err)
	require.Len(t, found.Items, 2)
	require.Equal(t, "PHANTOM-001", found.Items[0].PatientID)
	require.NotEmpty(t, found.Items[0].ModalitiesInStudy)
	require.Equal(t, len(studies[0].Instances()), *found.Items[0].Instances)
	found, err = s.client.Servers.Search(
		ctx, "pacs", client.StudyQuery{StudyDateFrom: "2024-02-01", StudyDateTo: "20240301"},
	)
	require.NoError(t, err)
	require.Len(t, found.Items, 1)
	require.Equal(t, "Phäntom^Bêta", found.Items[0].PatientName)
	found, err = s.client.Servers.Search(ctx, "PACS", client.StudyQuery{PatientID: "nobody"})
	require.NoError(t, err)
	require.Empty(t, found.Items)

	for name, want := range map[string]struct {
		status int
		retry  bool
		detail string
	}{
		"Wrong AE title": {502, false, "AE title"},
		"Web":            {502, false, "HTTP"},
		"Nobody":         {503, true, "nothing listens"},
		"Closed":         {503, false, "closed for interactive use"},
	} {
		_, err := s.client.Servers.Search(ctx, name, client.StudyQuery{PatientID: "HOSPITAL-4711"})
		var problem *client.Problem
		require.ErrorAs(t, err, &problem, name)
		require.Equal(t, want.status, problem.Status, name)
		require.Equal(t, want.retry, problem.RetryAfter > 0, name)
		require.Contains(t, problem.Detail, want.detail)
	}
	for name, faults := range map[string]pacs.FindFaults{
		"garbled": {Garbled: true}, "cut off": {CutOff: true}, "refused": {Status: 0xC001},
	} {
		p.SetMisbehave(pacs.Misbehave{Find: faults})
		_, err := s.client.Servers.Search(ctx, "PACS", client.StudyQuery{PatientName: "Phantom*"})
		var problem *client.Problem
		require.ErrorAs(t, err, &problem, name)
		require.Equal(t, 502, problem.Status, "%s: %s", name, problem.Detail)
		require.Contains(t, problem.Detail, "DICOM Server PACS", name)
	}
	p.SetMisbehave(pacs.Misbehave{})
	report, err := s.client.Nodes.Check(ctx, "PACS")
	require.NoError(t, err)
	require.Equal(t, "association", report.Checks[0].Name)
	for _, c := range report.Checks {
		require.True(t, c.OK || c.Name == "move", "%+v", c) // that PACS knows no Move Destination
		require.NotEmpty(t, c.Detail)
	}
	report, err = s.client.Nodes.Check(ctx, "Nobody")
	require.NoError(t, err)
	require.False(t, report.Checks[0].OK)
	require.Contains(t, report.Checks[0].Detail, "nothing listens")
	require.NotContains(t, s.log.String(), "HOSPITAL")
}

// webServer answers whatever comes as a web server does that sees no HTTP.
func webServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-done
	})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 10))
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

// A transfer from end to end: made, run by actors, watched by the client.
func TestTransfer(t *testing.T) {
	study := phantom.DemoStudies()[11]
	source, err := pacs.Start(pacs.Config{AETitle: "SOURCE", Studies: []*phantom.Study{study}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, source.Close()) })
	s := newSite(t)
	s.work()
	s.addServer("PACS 1", "SOURCE", func(c *client.ServerSettings) { c.Port = source.Port() })
	dir := t.TempDir()
	_, err = s.client.Folders.Add(t.Context(), client.FolderSettings{Name: "PACS 2", Path: dir})
	require.NoError(t, err)
	order := transfer(study.StudyInstanceUID)
	order.Studies[0].PatientID = ""
	job, err := s.client.Jobs.Create(t.Context(), order, "")
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for !client.Final(job.Status) {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			t.Fatal("the job did not end")
		}
		job, err = s.client.Jobs.Get(ctx, job.ID)
		require.NoError(t, err)
	}
	require.Equal(t, client.Success, job.Status)
	for task, err := range s.client.Tasks.List(ctx, job.ID, client.TaskFilter{}) {
		require.NoError(t, err)
		task, err = s.client.Tasks.Get(ctx, task.ID)
		require.NoError(t, err)
		require.Equal(t, len(study.Instances()), task.Delivered)
		require.Len(t, task.Series, len(study.Series))
		require.Empty(t, task.Series[0].Missing)
	}
}
