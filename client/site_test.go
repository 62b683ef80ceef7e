// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

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
	adithttp "github.com/adit-go/adit/http"
	"github.com/adit-go/adit/http/live"
	"github.com/adit-go/adit/http/live/livetest"
	"github.com/adit-go/adit/people"
)

const (
	deadline = time.Minute // safety only

	siteToken = "0123456789abcdef0123456789abcdef01234567"
	password  = "correct horse battery staple"
)

// TestMain serves an ADIT for the examples, which starts with the first request to it.
func TestMain(m *testing.M) {
	roots, err := os.MkdirTemp("", "adit-client-")
	if err != nil {
		panic(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { site().ServeHTTP(w, r) }))
	for name, value := range map[string]string{
		"ADIT_URL": s.URL, "ADIT_TOKEN": siteToken, "ADIT_USER": "researcher", "ADIT_PASSWORD": password,
		"STUDIES": filepath.Join(roots, "studies"),
	} {
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	s.Close()
	ever.end()
	_ = os.RemoveAll(roots)
	os.Exit(code)
}

// process is a test that lasts as long as the process, for what is shared by all examples.
type process struct {
	testing.TB
	cleanups []func()
}

var ever = &process{}

func (p *process) Helper()                   {}
func (p *process) Cleanup(fn func())         { p.cleanups = append(p.cleanups, fn) }
func (p *process) Context() context.Context  { return context.Background() }
func (p *process) FailNow()                  { panic("the site of the examples can't be started") }
func (p *process) Errorf(f string, a ...any) { fmt.Fprintf(os.Stderr, f+"\n", a...) }

func (p *process) end() {
	for len(p.cleanups) > 0 {
		last := p.cleanups[len(p.cleanups)-1]
		p.cleanups = p.cleanups[:len(p.cleanups)-1]
		last()
	}
}

// site is an ADIT with two PACS, of which PACS has the demo's studies and research none, and a third server, archive,
// that is paused.
var site = sync.OnceValue(func() http.Handler {
	t := ever
	ctx := t.Context()
	url := dbtest.URL(t)
	pool, err := db.Open(ctx, url, db.Options{})
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	who := people.New(pool, people.NewKey())
	require.NoError(t, who.Bootstrap(ctx, func(string) error { return nil }))
	_, err = pool.Exec(ctx, `UPDATE api_tokens SET sha256 = sha256($1::bytea)`, siteToken)
	require.NoError(t, err)
	folder := os.Getenv("STUDIES")
	require.NoError(t, os.Mkdir(folder, 0o700))
	log := slog.New(slog.DiscardHandler)
	eng := engine.New(pool, who, door.NewDoor(pool), log, base.Config{FolderRoots: []string{filepath.Dir(folder)}})
	member, err := actors.Start(actors.Config{
		Engine: eng, DatabaseURL: url, Lease: 10 * time.Second, Log: log,
		Registration: lease.Registration{DataDirID: uuid.New(), Name: "example", Version: "test"},
	})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), deadline)
		defer cancel()
		require.NoError(t, member.Stop(ctx))
	})
	metrics := prometheus.NewRegistry()
	handler := adithttp.New(adithttp.Config{
		Engine: eng, People: who, Version: "test", Log: log, Metrics: metrics,
		Live:  livetest.Hub(t, live.Config{Engine: eng, People: who, Log: log, Metrics: metrics}),
		Ready: func(context.Context) error { return nil },
	})
	srv := httptest.NewServer(handler)
	t.Cleanup(srv.Close)
	c, err := client.New(srv.URL, client.WithToken(siteToken))
	require.NoError(t, err)
	furnish(ctx, t, c)
	_, err = pool.Exec(ctx, `
		INSERT INTO api_use (day, user_id, token_id, token, operation, requests, client_errors, server_errors, bytes, last_at)
		SELECT '2026-01-15', id, 12, 'nightly export', 'list-jobs', 1440, 3, 0, 1, now() FROM users WHERE username = 'researcher'`)
	require.NoError(t, err)
	return handler
})

// furnish gives a site servers and people.
func furnish(ctx context.Context, t testing.TB, c *client.Client) {
	studies := map[string][]*phantom.Study{"PACS": phantom.DemoStudies()[:4]}
	for _, name := range []string{"PACS", "research", "archive"} {
		p, err := pacs.Start(pacs.Config{AETitle: strings.ToUpper(name), Studies: studies[name]})
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, p.Close()) })
		_, err = c.Servers.Add(ctx, client.ServerSettings{
			Name: name, AETitle: strings.ToUpper(name), Host: "127.0.0.1", Port: p.Port(),
			Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
		})
		require.NoError(t, err)
		_, err = c.Groups.SetAccess(ctx, client.Access{Group: "Radiology", Node: name, Source: true, Destination: true})
		require.NoError(t, err)
	}
	_, err := c.Servers.Pause(ctx, "archive")
	require.NoError(t, err)
	_, err = c.Users.Add(ctx, client.NewUser{
		Username: "researcher", Password: password, Groups: []string{"Radiology"},
		Person: client.Person{FirstName: "Given", LastName: "Family", Department: "Radiology"},
	})
	require.NoError(t, err)
}

// siteAt returns a client of the site by way of an address.
func siteAt(t testing.TB, address string, opts ...client.Option) *client.Client {
	t.Helper()
	c, err := client.New(address, append([]client.Option{client.WithToken(siteToken)}, opts...)...)
	require.NoError(t, err)
	return c
}
