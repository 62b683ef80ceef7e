// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"go/doc"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// script answers requests one after the other, without a network, so that time can be a test's own.
type script struct {
	t        *testing.T
	answers  []func() *http.Response
	requests []*http.Request
	bodies   []string
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	require.NoError(s.t, err)
	s.requests, s.bodies = append(s.requests, r), append(s.bodies, string(body))
	require.NotEmpty(s.t, s.answers, "one request more than the script has")
	next := s.answers[0]
	s.answers = s.answers[1:]
	if next == nil {
		return nil, errors.New("connection refused")
	}
	return next(), nil
}

func answer(status int, body string, header ...string) func() *http.Response {
	return func() *http.Response {
		h := http.Header{}
		for i := 0; i+1 < len(header); i += 2 {
			h.Set(header[i], header[i+1])
		}
		return &http.Response{
			StatusCode: status, Status: http.StatusText(status),
			Header: h, Body: io.NopCloser(strings.NewReader(body)),
		}
	}
}

func scripted(t *testing.T, answers ...func() *http.Response) (*client.Client, *script) {
	t.Helper()
	s := &script{t: t, answers: answers}
	c, err := client.New(
		"http://adit.example/", client.WithToken("t0ken"), client.WithHTTPClient(&http.Client{Transport: s}),
		client.WithPatience(15*time.Second),
	)
	require.NoError(t, err)
	return c, s
}

const busy = `{"title":"Service Unavailable","status":503,"detail":"The server is busy."}`

func TestRetriesWhatAsksForIt(t *testing.T) {
	for name, test := range map[string]struct {
		answers []func() *http.Response
		call    func(context.Context, *client.Client) error
		sent    int
		took    time.Duration // at least; jitter adds a quarter at most
		status  int           // of the problem; 0: none
	}{
		"a read after the time asked for": {
			answers: []func() *http.Response{
				answer(503, busy, "Retry-After", "4"),
				answer(429, busy, "Retry-After", "2"), answer(200, `{"username":"x"}`),
			},
			call: getMe, sent: 3, took: 6 * time.Second,
		},
		"no longer than patience lasts": {
			answers: []func() *http.Response{
				answer(503, busy, "Retry-After", "10"), answer(503, busy, "Retry-After", "6"),
			},
			call: getMe, sent: 2, took: 10 * time.Second, status: 503,
		},
		"not if asked to wait too long": {
			answers: []func() *http.Response{answer(503, busy, "Retry-After", "30")},
			call:    getMe, sent: 1, status: 503,
		},
		"not without Retry-After": {
			answers: []func() *http.Response{answer(503, busy)},
			call:    getMe, sent: 1, status: 503,
		},
		"not for ever": {
			answers: []func() *http.Response{
				answer(503, busy, "Retry-After", "4"), answer(503, busy, "Retry-After", "4"),
				answer(503, busy, "Retry-After", "4"), answer(503, busy, "Retry-After", "4"),
			},
			call: getMe, sent: 4, took: 12 * time.Second, status: 503,
		},
		"an action that was turned away by too many others": {
			answers: []func() *http.Response{answer(429, busy, "Retry-After", "1"), answer(200, `{"id":7}`)},
			call:    retryJob, sent: 2, took: time.Second,
		},
		"a job, which has a key": {
			answers: []func() *http.Response{answer(503, busy, "Retry-After", "1"), answer(201, `{"id":7}`)},
			call: func(ctx context.Context, c *client.Client) error {
				_, err := c.Jobs.Create(ctx, client.NewJob{}, "")
				return err
			},
			sent: 2, took: time.Second,
		},
		"not an action, which may have been done": {
			answers: []func() *http.Response{answer(503, busy, "Retry-After", "1")},
			call:    retryJob, sent: 1, status: 503,
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := scripted(t, test.answers...)
				start := time.Now()
				err := test.call(t.Context(), c)
				require.GreaterOrEqual(t, time.Since(start), test.took)
				require.LessOrEqual(t, time.Since(start), test.took*5/4)
				require.Len(t, s.requests, test.sent)
				for _, r := range s.requests {
					require.Equal(t, "Token t0ken", r.Header.Get("Authorization"))
					require.Equal(t, s.requests[0].Header.Get("Idempotency-Key"), r.Header.Get("Idempotency-Key"))
				}
				if test.status == 0 {
					require.NoError(t, err)
					return
				}
				var p *client.Problem
				require.ErrorAs(t, err, &p)
				require.Equal(t, test.status, p.Status)
				require.Equal(t, "The server is busy.", err.Error())
			})
		})
	}
}

func getMe(ctx context.Context, c *client.Client) error {
	_, err := c.Account.Get(ctx)
	return err
}

func retryJob(ctx context.Context, c *client.Client) error {
	_, err := c.Jobs.Act(ctx, 7, client.RetryJob)
	return err
}

// TestLosesPatience: a lost network is borne as long as patience lasts, with pauses that grow; without patience nothing
// is sent twice.
func TestLosesPatience(t *testing.T) {
	for patience, sent := range map[time.Duration][2]int{0: {1, 1}, time.Second: {3, 4}, 20 * time.Second: {7, 10}} {
		synctest.Test(t, func(t *testing.T) {
			s := &script{t: t, answers: make([]func() *http.Response, 100)}
			var told []time.Duration
			c, err := client.New(
				"http://adit.example", client.WithHTTPClient(&http.Client{Transport: s}), client.WithPatience(patience),
				client.WithNotice(func(err error, in time.Duration) {
					var away *client.UnreachableError
					require.ErrorAs(t, err, &away)
					told = append(told, in)
				}),
			)
			require.NoError(t, err)
			start := time.Now()
			var away *client.UnreachableError
			require.ErrorAs(t, getMe(t.Context(), c), &away)
			require.LessOrEqual(t, time.Since(start), patience)
			require.GreaterOrEqual(t, len(s.requests), sent[0])
			require.LessOrEqual(t, len(s.requests), sent[1])
			require.Len(t, told, len(s.requests)-1)
		})
	}
}

func TestWaitEndsWithTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, answer(503, busy, "Retry-After", "10"))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, getMe(ctx, c), context.DeadlineExceeded)
	})
}

func TestListsPageByPage(t *testing.T) {
	c, s := scripted(
		t, answer(200, `{"items":[{"id":3},{"id":2}],"next_cursor":"2"}`), answer(200, `{"items":[{"id":1}]}`),
	)
	var ids []int64
	for j, err := range c.Jobs.List(t.Context(), client.JobFilter{Status: client.Failure, Limit: 2}) {
		require.NoError(t, err)
		ids = append(ids, j.ID)
	}
	require.Equal(t, []int64{3, 2, 1}, ids)
	require.Equal(t, "limit=2&status=failure", s.requests[0].URL.RawQuery)
	require.Equal(t, "cursor=2&limit=2&status=failure", s.requests[1].URL.RawQuery)

	c, s = scripted(t, answer(200, `{"items":[{"id":3},{"id":2}],"next_cursor":"2"}`))
	for range c.Jobs.List(t.Context(), client.JobFilter{}) {
		break
	}
	require.Len(t, s.requests, 1, "leaving the loop asks for no more")

	c, _ = scripted(t, answer(200, `{"items":[{"id":3}],"next_cursor":"3"}`), answer(500, `{"detail":"Broken."}`))
	ids = nil
	var last error
	for j, err := range c.Jobs.List(t.Context(), client.JobFilter{}) {
		if err != nil {
			last = err
			continue
		}
		ids = append(ids, j.ID)
	}
	require.Equal(t, []int64{3}, ids)
	require.EqualError(t, last, "Broken.")
}

func TestNamesAreOneSegment(t *testing.T) {
	for name, path := range map[string]string{
		"PACS 1": "/api/v1/nodes/PACS%201:check", "a/b": "/api/v1/nodes/a%2Fb:check",
		"a:b": "/api/v1/nodes/a%3Ab:check", "50%": "/api/v1/nodes/50%25:check",
	} {
		c, s := scripted(t, answer(200, `{"checks":[],"suggestions":[]}`))
		_, err := c.Nodes.Check(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, path, s.requests[0].URL.EscapedPath())
	}
}

// TestApplySuggestions: settings within settings are changed as such, and nothing else is.
func TestApplySuggestions(t *testing.T) {
	c, s := scripted(t, answer(200, `{}`))
	_, err := c.Servers.Apply(t.Context(), "PACS", []client.Suggestion{
		{Setting: "supports.study_root_get", Suggested: false},
		{Setting: "supports.study_root_move", Suggested: true},
		{Setting: "result_limit", Suggested: 100},
		{Setting: "tls.use", Suggested: true},
	})
	require.NoError(t, err)
	require.Equal(t, "PATCH", s.requests[0].Method)
	require.JSONEq(
		t, `{"supports":{"study_root_get":false,"study_root_move":true},"result_limit":100,"tls":{"use":true}}`,
		s.bodies[0],
	)
}

func TestErrorsAreSentences(t *testing.T) {
	c, _ := scripted(t, answer(422,
		`{"title":"Unprocessable Entity","status":422,"detail":"The request can't be used.","errors":[{"field":"port","message":"too big"}]}`,
	))
	_, err := c.Servers.Add(t.Context(), client.ServerSettings{})
	require.EqualError(t, err, "The request can't be used.\n  port: too big")

	c, _ = scripted(t, answer(502, `<html>Bad gateway</html>`))
	require.ErrorContains(t, getMe(t.Context(), c), "not in the way of ADIT")

	synctest.Test(t, func(t *testing.T) {
		c, _ := scripted(t, make([]func() *http.Response, 100)...)
		_, err := c.Servers.Search(t.Context(), "PACS", client.StudyQuery{PatientName: "Doe^Jane"})
		var away *client.UnreachableError
		require.ErrorAs(t, err, &away)
		require.NotContains(t, err.Error(), "Doe")
		require.False(t, away.MaybeDone, "a search changes nothing")
	})

	_, err = client.New("adit.example:8080")
	require.ErrorContains(t, err, "looks like http://127.0.0.1:8080")
}

func TestTokenStaysWithItsServer(t *testing.T) {
	stolen := make(chan string, 1)
	thief := httptest.NewServer(
		http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { stolen <- r.Header.Get("Authorization") }),
	)
	defer thief.Close()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(
			w, r, thief.URL, http.StatusFound,
		)
	}))
	defer srv.Close()
	c, err := client.New(srv.URL, client.WithToken("t0ken"))
	require.NoError(t, err)
	require.Error(t, getMe(t.Context(), c))
	require.Empty(t, stolen)
}

func TestFlatJSON(t *testing.T) {
	text, err := json.Marshal(client.Server{ID: 3, ServerSettings: client.ServerSettings{Name: "PACS"}})
	require.NoError(t, err)
	require.Contains(t, string(text), `"id":3,"name":"PACS"`)
}

// TestEveryResourceSpeaks: each resource of a client, that of a session too, has what speaks to the server.
func TestEveryResourceSpeaks(t *testing.T) {
	c, _ := scripted(t, answer(200, `{}`))
	in, err := c.LogIn(t.Context(), client.Login{})
	require.NoError(t, err)
	for _, c := range []*client.Client{c, in} {
		all := reflect.ValueOf(c).Elem()
		for i := range all.NumField() {
			caller := all.Field(i)
			if caller.Kind() == reflect.Struct {
				caller = caller.Field(0)
			}
			require.True(t, all.Field(0).Equal(caller), all.Type().Field(i).Name)
		}
	}
}

// TestStudies: a search that was truncated ends with an error, and one that failed has no studies.
func TestStudies(t *testing.T) {
	for body, want := range map[string]struct {
		studies int
		err     error
	}{
		`{"items":[{"patient_id":"1"},{"patient_id":"2"}],"truncated":true}`: {2, client.ErrTruncated},
		`{"items":[{"patient_id":"1"}],"truncated":false}`:                   {1, nil},
		`{"items":[]}`: {0, nil},
	} {
		c, _ := scripted(t, answer(200, body))
		n, last := 0, error(nil)
		for _, err := range c.Servers.Studies(t.Context(), "PACS", client.StudyQuery{}) {
			if last = err; err == nil {
				n++
			}
		}
		require.Equal(t, want.studies, n, body)
		require.ErrorIs(t, last, want.err)
	}
	c, _ := scripted(t, answer(409, `{"detail":"No.","code":"conflict"}`))
	for _, err := range c.Servers.Studies(t.Context(), "PACS", client.StudyQuery{}) {
		require.True(t, client.IsCode(err, client.CodeConflict))
	}
}

// TestEveryResourceHasAnExample: the Go documentation shows how each resource is used, by code that runs against a real
// server.
func TestEveryResourceHasAnExample(t *testing.T) {
	var examples []string
	for _, name := range []string{"example_test.go", "example_program_test.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		require.NoError(t, err)
		for _, e := range doc.Examples(file) {
			require.True(t, e.Output != "" || e.EmptyOutput, "%s is not run", e.Name)
			examples = append(examples, e.Name)
		}
	}
	for f := range reflect.TypeFor[client.Client]().Fields() {
		if f.IsExported() {
			require.True(t, slices.ContainsFunc(examples, func(name string) bool {
				return name == f.Type.Name() || strings.HasPrefix(name, f.Type.Name()+"_")
			}), "there is no Example%s_…", f.Type.Name())
		}
	}
}
