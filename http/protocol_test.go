// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	nethttp "net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestUnknownParameters: a parameter that an address does not know is refused, so that a slip of the pen is not taken
// for an answer.
func TestUnknownParameters(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ address, field string }{
		{"/api/v1/jobs?state=failure", "state"},
		{"/api/v1/jobs?limit=1&limit=2", "limit"},
		{"/api/v1/jobs?Status=failure", ""}, // no slip of ours: it may be anything
		{"/api/v1/jobs?" + marker + "=1", ""},
		{"/api/v1/me?limit=1", "limit"},
		{"/api/v1/jobs?status=failure;limit=1", ""},
	} {
		r := s.send("GET", c.address, "")
		require.Equal(t, 422, r.StatusCode, c.address)
		p := r.problem(t)
		require.Equal(t, client.CodeInvalid, p.Code, c.address)
		require.NotContains(t, r.body, marker)
		if c.field != "" {
			require.Equal(t, c.field, p.Errors[0].Field, c.address)
		}
	}
	require.Equal(t, 422, s.send("DELETE", "/api/v1/nodes/x?force=true", "").StatusCode)
	require.Equal(t, 200, s.send("GET", "/api/v1/jobs?status=failure&limit=1", "").StatusCode)
	require.Equal(
		t, 401, s.send("GET", "/api/v1/jobs?state=failure", "", "Authorization", "").StatusCode,
		"who is not known learns nothing",
	)
}

// TestMethods: HEAD answers as GET without a body; an address says what it takes.
func TestMethods(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS", "PACS", nil)
	for _, address := range []string{"/healthz", "/api/v1/openapi.json", "/api/v1/jobs", "/api/v1/nodes/PACS"} {
		get, head := s.send("GET", address, ""), s.send("HEAD", address, "")
		require.Equal(t, 200, head.StatusCode, address)
		require.Equal(t, get.Header.Get("Content-Type"), head.Header.Get("Content-Type"), address)
		require.Empty(t, head.body, address)
	}
	require.Equal(t, 404, s.send("HEAD", "/api/v1/nodes/nowhere", "").StatusCode)
	require.Equal(t, 401, s.send("HEAD", "/api/v1/jobs", "", "Authorization", "").StatusCode)
	for _, c := range []struct{ method, address, allow string }{
		{"PUT", "/api/v1/jobs", "GET, HEAD, POST"},
		{"POST", "/api/v1/nodes/PACS", "GET, HEAD, DELETE"},
		{"GET", "/api/v1/password-resets", "POST"},
		{"HEAD", "/api/v1/password-resets", "POST"},
		{"PATCH", "/healthz", "GET, HEAD"},
		{"PROPFIND", "/api/v1/me", "GET, HEAD, PATCH"},
		// An action is an address of its own.
		{"GET", "/api/v1/jobs/1:cancel", "POST"},
		{"PUT", "/api/v1/jobs/1:cancel", "POST"},
		{"DELETE", "/api/v1/nodes/PACS:check", "POST"},
	} {
		r := s.send(c.method, c.address, "")
		require.Equal(t, 405, r.StatusCode, c.address)
		require.Equal(t, c.allow, r.Header.Get("Allow"), c.address)
		if c.method != "HEAD" {
			require.Equal(t, client.CodeMethodNotAllowed, r.problem(t).Code)
		}
	}
	r := s.send("OPTIONS", "/api/v1/jobs", "")
	require.Equal(t, 204, r.StatusCode)
	require.Equal(t, "GET, HEAD, POST", r.Header.Get("Allow"))
	require.Empty(t, r.Header.Get("Access-Control-Allow-Origin"))
	require.Equal(t, 404, s.send("OPTIONS", "/api/v1/nothing", "").StatusCode)
	require.Equal(t, "POST", s.send("OPTIONS", "/api/v1/jobs/1:cancel", "").Header.Get("Allow"))
}

// TestProblemCodes: programs go by a code, which each kind of refusal has, and by a type made of it.
func TestProblemCodes(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS", "PACS", nil)
	for _, c := range []struct {
		method, address, body, token string
		status                       int
		code                         string
	}{
		{"GET", "/api/v1/nothing", "", s.token, 404, client.CodeNotFound},
		{"GET", "/api/v1/jobs/99", "", s.token, 404, client.CodeNotFound},
		{"GET", "/api/v1/jobs", "", "", 401, client.CodeUnauthenticated},
		{"GET", "/api/v1/jobs?limit=0", "", s.token, 422, client.CodeInvalid},
		{"POST", "/api/v1/servers", "{", s.token, 400, client.CodeMalformed},
		{"POST", "/api/v1/servers", strings.Repeat("[", 100000), s.token, 413, client.CodeTooLarge},
		{"POST", "/api/v1/servers", `{"name":"PACS","ae_title":"B","host":"h","port":1,"supports":{"study_root_find":true}}`, s.token, 409, client.CodeConflict},
		{"PUT", "/api/v1/jobs", "", s.token, 405, client.CodeMethodNotAllowed},
		{"POST", "/api/v1/servers/PACS/studies:search", `{"patient_id":"A1"}`, s.token, 503, client.CodeServerUnavailable},
	} {
		token := c.token
		if token != "" {
			token = "Token " + token
		}
		r := s.send(c.method, c.address, c.body, "Authorization", token)
		require.Equal(t, c.status, r.StatusCode, "%s %s: %s", c.method, c.address, r.body)
		p := r.problem(t)
		require.Equal(t, c.code, p.Code, "%s %s", c.method, c.address)
		require.Equal(t, "urn:adit:problem:"+c.code, p.Type)
	}
	r := s.send("POST", "/api/v1/servers", "x", "Content-Type", "text/plain")
	require.Equal(t, client.CodeUnsupportedMediaType, r.problem(t).Code)
}

// TestWhereThingsAre: what was made is where Location says, under its own name, and is removed there.
func TestWhereThingsAre(t *testing.T) {
	s := newSite(t)
	for _, c := range []struct{ address, body, at string }{
		{"/api/v1/servers", `{"name":"A b%c","ae_title":"A","host":"h","port":1,"supports":{"store":true}}`, "/api/v1/servers/A%20b%25c"},
		{"/api/v1/folders", `{"name":"disk","path":"` + t.TempDir() + `"}`, "/api/v1/folders/disk"},
		{"/api/v1/users", `{"username":"ann"}`, "/api/v1/users/ann"},
		{"/api/v1/groups", `{"name":"Neuro 1"}`, "/api/v1/groups/Neuro%201"},
	} {
		r := s.send("POST", c.address, c.body)
		require.Equal(t, 201, r.StatusCode, r.body)
		require.Equal(t, c.at, r.Header.Get("Location"))
		require.JSONEq(t, r.body, s.send("GET", c.at, "").body)
		require.Equal(t, 204, s.send("DELETE", c.at, "").StatusCode)
		require.Equal(t, 404, s.send("GET", c.at, "").StatusCode)
	}
	s.addServer("PACS", "PACS", nil)
	require.Equal(t, 404, s.send("GET", "/api/v1/folders/PACS", "").StatusCode, "a server is no folder")
	require.Equal(t, 404, s.send("DELETE", "/api/v1/folders/PACS", "").StatusCode)
	require.Equal(t, 200, s.send("GET", "/api/v1/servers/pacs", "").StatusCode)
	r := s.send("POST", "/api/v1/projects", `{"name":"heart","group":"Radiology"}`)
	require.Equal(t, 201, r.StatusCode, r.body)
	require.Equal(t, 200, s.send("GET", r.Header.Get("Location"), "").StatusCode)
}

// TestGivenUp: a request whose sender has gone, or that is cut short as the server stops, says that it may be sent
// again.
func TestGivenUp(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	rq := httptest.NewRequestWithContext(ctx, nethttp.MethodGet, "http://localhost/api/v1/jobs", nethttp.NoBody)
	rq.Header.Set("Authorization", "Token "+s.token)
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, rq)
	require.Equal(t, 503, w.Code)
	require.NotEmpty(t, w.Header().Get("Retry-After"))
}
