// SPDX-License-Identifier: AGPL-3.0-or-later

package client_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// fate is what becomes of what passes through a network while it is bad.
type fate struct {
	name     string
	requests bool // reach the server
	answers  int  // bytes of an answer that come through
	silent   bool // connections are not cut but go nowhere, until the network is mended and they are cut
	once     bool // it is only for the first one
}

// The ways in which networks fail for a while.
var (
	cut        = fate{name: "cut"}
	blackHole  = fate{name: "black hole", silent: true}
	noAnswers  = fate{name: "no answers", requests: true, silent: true}
	beginnings = fate{name: "beginnings of answers", requests: true, answers: 100}
)

// network is a proxy before a server that loses what it is told to.
type network struct {
	url  string
	lost chan struct{} // gets one for each request or answer that was lost

	target   string
	listener net.Listener
	all      sync.WaitGroup

	mu     sync.Mutex
	fate   *fate
	mended chan struct{}
	conns  map[net.Conn]bool
}

// newNetwork starts a proxy before the site, which ends with the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	u, err := url.Parse(os.Getenv("ADIT_URL"))
	require.NoError(t, err)
	n := &network{
		target: u.Host, lost: make(chan struct{}, 10000), mended: make(chan struct{}), conns: map[net.Conn]bool{},
	}
	n.listen(t, "127.0.0.1:0")
	n.url = "http://" + n.listener.Addr().String()
	t.Cleanup(func() {
		_ = n.listener.Close()
		n.mend()
		n.cutAll()
		n.all.Wait()
	})
	return n
}

func (n *network) listen(t *testing.T, addr string) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	require.NoError(t, err)
	n.listener = l
	n.all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.all.Go(func() { n.serve(c) })
		}
	})
}

// fail makes the network bad.
func (n *network) fail(f fate) {
	n.mu.Lock()
	n.fate = &f
	n.mu.Unlock()
	if !f.silent && !f.requests {
		n.cutAll()
	}
}

// mend makes it good again. What had been held back is cut.
func (n *network) mend() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fate = nil
	close(n.mended)
	n.mended = make(chan struct{})
}

// awaitLost waits until a request or an answer was lost.
func (n *network) awaitLost(t *testing.T) {
	t.Helper()
	select {
	case <-n.lost:
	case <-time.After(deadline):
		t.Error("nothing was sent into the bad network")
	}
}

func (n *network) now() (*fate, chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fate, n.mended
}

// took is told that a fate has come over something.
func (n *network) took(f *fate) {
	n.mu.Lock()
	if f.once && n.fate == f {
		n.fate = nil
	}
	n.mu.Unlock()
	n.lost <- struct{}{}
}

func (n *network) cutAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for c := range n.conns {
		hangUp(c)
	}
}

// hangUp closes a connection as one that breaks.
func hangUp(c net.Conn) {
	if tcp, ok := c.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.Close()
}

func (n *network) serve(c net.Conn) {
	s, err := net.Dial("tcp", n.target)
	if err != nil {
		hangUp(c)
		return
	}
	n.mu.Lock()
	n.conns[c] = true
	n.mu.Unlock()
	end := func() {
		hangUp(c)
		hangUp(s)
	}
	var both sync.WaitGroup
	both.Go(func() {
		defer end()
		n.pump(c, s, func(f *fate, _ int) int {
			if f.requests {
				return 1 << 30
			}
			return 0
		})
	})
	both.Go(func() {
		defer end()
		n.pump(s, c, func(f *fate, passed int) int { return max(f.answers-passed, 0) })
	})
	both.Wait()
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
}

// pump copies until something is lost; room says how many bytes may pass yet.
func (n *network) pump(from, to net.Conn, room func(f *fate, passed int) int) {
	buf := make([]byte, 32<<10)
	passed := 0
	for {
		read, err := from.Read(buf)
		if err != nil {
			return
		}
		f, mended := n.now()
		if f == nil {
			passed = 0
		} else if r := room(f, passed); r < read {
			_, _ = to.Write(buf[:r])
			n.took(f)
			if f.silent {
				<-mended
			}
			return
		}
		if passed += read; f == nil {
			passed = 0
		}
		if _, err := to.Write(buf[:read]); err != nil {
			return
		}
	}
}

// order is a job that stays pending.
func order() client.NewJob {
	return client.NewJob{
		Kind: client.SelectiveTransfer, Source: "archive", Destination: "research",
		Studies: []client.NewStudy{{StudyInstanceUID: "1.2.826.0.1.3680043.8.498.7"}},
	}
}

// TestNetworkLost: a program whose network is lost for a while finishes its work, wherever in it that was.
func TestNetworkLost(t *testing.T) {
	for _, f := range []fate{cut, blackHole, noAnswers, beginnings} {
		t.Run(f.name, func(t *testing.T) {
			workThrough(t, f, func(n *network) {
				if n.awaitLost(t); !f.silent { // else the call waits for it
					n.awaitLost(t)
				}
			})
		})
	}
}

// workThrough does one work after the other, each through a network that is bad from its beginning until bad returns.
func workThrough(t *testing.T, f fate, bad func(n *network)) {
	t.Helper()
	n := newNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*deadline)
	defer cancel()
	c := siteAt(t, n.url, client.WithHTTPClient(&http.Client{Transport: &http.Transport{}}))
	direct := siteAt(t, os.Getenv("ADIT_URL"))
	var made []int64
	for range 3 {
		job, err := c.Jobs.Create(ctx, order(), "")
		require.NoError(t, err)
		made = append(made, job.ID)
	}
	t.Cleanup(func() {
		for _, id := range made {
			_ = direct.Jobs.Delete(context.Background(), id)
		}
	})
	var mending sync.WaitGroup
	fails := func() {
		n.fail(f)
		mending.Go(func() {
			bad(n)
			n.mend()
		})
	}
	lost := func(what string, work func()) {
		t.Helper()
		t.Log(what)
		fails()
		work()
		mending.Wait()
	}
	lost("read", func() {
		job, err := c.Jobs.Get(ctx, made[0])
		require.NoError(t, err)
		require.Equal(t, made[0], job.ID)
	})
	lost("make a job", func() {
		before := len(jobsOf(ctx, t, direct, "archive"))
		job, err := c.Jobs.Create(ctx, order(), "")
		require.NoError(t, err)
		made = append(made, job.ID)
		require.Len(t, jobsOf(ctx, t, direct, "archive"), before+1, "once, however often it was sent")
	})
	lost("change it", func() {
		job, err := c.Jobs.Change(ctx, made[0], client.JobChange{Priority: new(5)})
		require.NoError(t, err)
		require.Equal(t, 5, job.Priority)
	})
	lost("search", func() {
		found, err := c.Servers.Search(ctx, "PACS", client.StudyQuery{StudyDateFrom: "20240101"})
		require.NoError(t, err)
		require.Len(t, found.Items, 4)
	})
	lost("download", func() {
		var out bytes.Buffer
		require.NoError(t, c.Jobs.Deidentification(ctx, made[0], &out))
		require.Contains(t, out.String(), "pseudonym")
	})
	lost("delete", func() { require.NoError(t, c.Jobs.Delete(ctx, made[1])) })
	var listed []int64
	for job, err := range c.Jobs.List(ctx, client.JobFilter{Source: "archive", Limit: 1}) {
		require.NoError(t, err)
		if listed = append(listed, job.ID); len(listed) == 1 {
			fails()
		}
	}
	mending.Wait()
	require.Equal(t, jobsOf(ctx, t, direct, "archive"), listed, "each once")
}

func jobsOf(ctx context.Context, t *testing.T, c *client.Client, source string) (ids []int64) {
	t.Helper()
	for job, err := range c.Jobs.List(ctx, client.JobFilter{Source: source}) {
		require.NoError(t, err)
		ids = append(ids, job.ID)
	}
	return ids
}

// TestLostAnswers: what was done, and whose answer was lost, is not done twice, and nobody is told that it was refused
// without being told why that may be.
func TestLostAnswers(t *testing.T) {
	n := newNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := siteAt(t, n.url, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	job, err := c.Jobs.Create(ctx, order(), "")
	require.NoError(t, err)
	job, err = c.Jobs.Get(ctx, job.ID)
	require.NoError(t, err)
	lose := func() { n.fail(fate{requests: true, once: true}) }

	lose()
	_, err = c.Jobs.Change(ctx, job.ID, client.JobChange{Priority: new(6)}, client.IfMatch(job.ETag))
	var unclear *client.LostAnswerError
	require.ErrorAs(t, err, &unclear)
	require.True(t, client.IsCode(err, client.CodeChangedMeanwhile))
	job, err = c.Jobs.Get(ctx, job.ID)
	require.NoError(t, err)
	require.Equal(t, 6, job.Priority)

	lose()
	_, err = c.Jobs.Act(ctx, job.ID, client.CancelJob)
	var away *client.UnreachableError
	require.ErrorAs(t, err, &away, "an action is not repeated")
	require.True(t, away.MaybeDone)
	require.ErrorContains(t, err, "look before you ask again")
	job, err = c.Jobs.Get(ctx, job.ID)
	require.NoError(t, err)
	require.Equal(t, client.Canceled, job.Status)

	lose()
	require.NoError(t, c.Jobs.Delete(ctx, job.ID), "gone is gone")
	err = c.Jobs.Delete(ctx, job.ID)
	require.True(t, client.IsCode(err, client.CodeNotFound), "what was never there is a refusal")
	require.NotErrorAs(t, err, &unclear)
}

// TestSession: a client of a session says when that has ended, and begins and ends one over a bad network.
func TestSession(t *testing.T) {
	n := newNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := siteAt(t, n.url, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	lose := func() { n.fail(fate{requests: true, once: true}) }
	_, err := c.Account.Get(ctx)
	require.NoError(t, err)

	_, err = c.LogIn(ctx, client.Login{Username: "researcher", Password: "a wrong secret"})
	require.True(t, client.IsCode(err, client.CodeUnauthenticated), err)
	var ended *client.SessionEndedError
	require.NotErrorAs(t, err, &ended)

	lose()
	in, err := c.LogIn(ctx, client.Login{Username: "researcher", Password: password})
	require.NoError(t, err)
	me, err := in.Account.Get(ctx)
	require.NoError(t, err)
	require.Equal(t, "researcher", me.Username)
	lose()
	require.NoError(t, in.Confirm(ctx, password))
	err = in.Confirm(ctx, "a wrong secret")
	require.Error(t, err)
	require.NotErrorAs(t, err, &ended)
	lose()
	require.NoError(t, in.LogOut(ctx))
	_, err = in.Account.Get(ctx)
	require.ErrorAs(t, err, &ended)
	require.True(t, client.IsCode(err, client.CodeUnauthenticated))
	for _, err := range in.Jobs.List(ctx, client.JobFilter{}) {
		require.ErrorAs(t, err, &ended)
	}
}

// TestNobodyThere: a wrong address is told at once, and a server that has answered is waited for.
func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	told := 0
	c, err := client.New(
		"http://"+l.Addr().String(), client.WithNotice(func(error, time.Duration) { told++ }),
	)
	require.NoError(t, err)
	_, err = c.Account.Get(t.Context())
	var away *client.UnreachableError
	require.ErrorAs(t, err, &away)
	require.False(t, away.MaybeDone)
	require.Zero(t, told, "nobody listens there")

	srv := httptest.NewTLSServer(http.NotFoundHandler())
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	c, err = client.New(srv.URL, client.WithNotice(func(error, time.Duration) { told++ }))
	require.NoError(t, err)
	_, err = c.Account.Get(t.Context())
	require.ErrorAs(t, err, &away)
	require.Zero(t, told, "its certificate will not get better")
}

// TestStartsAgain: a server that is started again is waited for, also by what must not be done twice.
func TestStartsAgain(t *testing.T) {
	n := newNetwork(t)
	var once sync.Once
	gone := make(chan struct{})
	c := siteAt(
		t, n.url, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}),
		client.WithNotice(func(error, time.Duration) { once.Do(func() { close(gone) }) }),
	)
	_, err := c.Account.Get(t.Context())
	require.NoError(t, err)
	require.NoError(t, n.listener.Close())
	var mended sync.WaitGroup
	mended.Go(func() {
		<-gone
		n.listen(t, n.listener.Addr().String())
	})
	job, err := c.Jobs.Create(t.Context(), order(), "")
	require.NoError(t, err)
	mended.Wait()
	_, err = c.Jobs.Act(t.Context(), job.ID, client.CancelJob)
	require.NoError(t, err)
	require.NoError(t, c.Jobs.Delete(t.Context(), job.ID))
}

// TestWait: Wait tells of a job at once and whenever it has changed, and ends with it, over a bad network too.
func TestWait(t *testing.T) {
	n := newNetwork(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	c := siteAt(t, n.url, client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	job, err := c.Jobs.Create(ctx, order(), "")
	require.NoError(t, err)
	var seen []string
	ended, err := c.Jobs.Wait(ctx, job.ID, func(job client.Job) {
		seen = append(seen, job.Status)
		if len(seen) > 1 {
			return
		}
		n.fail(fate{requests: true, once: true})
		_, err := siteAt(t, os.Getenv("ADIT_URL")).Jobs.Act(ctx, job.ID, client.CancelJob)
		require.NoError(t, err)
	})
	require.NoError(t, err)
	require.Equal(t, client.Canceled, ended.Status)
	require.Equal(t, client.Pending, seen[0])
	require.Equal(t, client.Canceled, seen[len(seen)-1])

	_, err = c.Jobs.Wait(ctx, job.ID+1000, nil)
	require.True(t, client.IsCode(err, client.CodeNotFound))
	require.NoError(t, c.Jobs.Delete(ctx, job.ID))

	job, err = c.Jobs.Create(ctx, order(), "")
	require.NoError(t, err)
	short, stop := context.WithCancel(ctx)
	last, err := c.Jobs.Wait(short, job.ID, func(client.Job) { stop() })
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, job.ID, last.ID)
	require.NoError(t, c.Jobs.Delete(ctx, job.ID))
}

// TestBrokenDownload: a part is never taken for the whole, and what broke before its first byte is asked for again.
func TestBrokenDownload(t *testing.T) {
	asked := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		switch r.URL.Path {
		case "/api/v1/jobs/1/manifest": // the first time it breaks before, then within
			w.WriteHeader(http.StatusOK)
			if asked > 1 {
				_, _ = io.WriteString(w, strings.Repeat("x", 5000))
			}
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		case "/api/v1/jobs/2/manifest": // what a proxy of old makes of it
			endless(w, strings.Repeat("x", 5000))
		case "/api/v1/jobs/3":
			if asked == 1 {
				endless(w, `{"id":3,"status":"succ`)
				return
			}
			_, _ = io.WriteString(w, `{"id":3,"status":"success"}`)
		}
	}))
	defer srv.Close()
	srv.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	c, err := client.New(srv.URL)
	require.NoError(t, err)
	for job, times := range map[int64]int{1: 2, 2: 1} {
		asked = 0
		var out bytes.Buffer
		err := c.Jobs.Manifest(t.Context(), job, &out)
		var broken *client.BrokenAnswerError
		require.ErrorAs(t, err, &broken)
		require.EqualValues(t, 5000, broken.Written)
		require.Equal(t, 5000, out.Len())
		require.ErrorContains(t, err, "5000 bytes that were written are not the whole")
		require.Equal(t, times, asked)
	}
	asked = 0
	job, err := c.Jobs.Get(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, client.Success, job.Status)
	require.Equal(t, 2, asked)

	full := errors.New("no space left on device")
	c = siteAt(t, os.Getenv("ADIT_URL"))
	err = c.Projects.ExportLinkage(t.Context(), "Default", writer(func() error { return full }))
	require.Equal(t, full, err, "the writer's own error")
}

// endless answers without a length, as HTTP/1.0 does.
func endless(w http.ResponseWriter, text string) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	_, _ = io.WriteString(c, "HTTP/1.0 200 OK\r\n\r\n"+text)
	_ = c.Close()
}

type writer func() error

func (w writer) Write([]byte) (int, error) { return 0, w() }
