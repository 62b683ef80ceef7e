// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"context"
	"fmt"
	"io"
	"net"
	nethttp "net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// listener is somebody who is told of what changes.
type listener struct {
	t  *testing.T
	ws *websocket.Conn
}

// listen connects with the headers given, by the administrator's token if there are none.
func (s *site) listen(header ...string) (*listener, *nethttp.Response) {
	s.t.Helper()
	h := nethttp.Header{}
	if len(header) == 0 {
		header = []string{"Authorization", "Token " + s.token}
	}
	for i := 0; i < len(header); i += 2 {
		h.Set(header[i], header[i+1])
	}
	dialer := websocket.Dialer{}
	ws, answer, err := dialer.DialContext(s.t.Context(), "ws"+strings.TrimPrefix(s.url, "http")+"/api/v1/live", h)
	if err != nil {
		require.NotNil(s.t, answer, err)
		s.t.Cleanup(func() { _ = answer.Body.Close() })
		return nil, answer
	}
	s.t.Cleanup(func() { _ = ws.Close() })
	return &listener{s.t, ws}, answer
}

func (l *listener) send(rq client.LiveRequest) {
	l.t.Helper()
	require.NoError(l.t, l.ws.WriteJSON(rq))
}

// next returns the next event that is no heartbeat.
func (l *listener) next() client.LiveEvent {
	l.t.Helper()
	require.NoError(l.t, l.ws.SetReadDeadline(time.Now().Add(deadline)))
	for {
		var e client.LiveEvent
		require.NoError(l.t, l.ws.ReadJSON(&e))
		if e.Heartbeat == nil {
			return e
		}
	}
}

// until returns the first event that is as wanted.
func (l *listener) until(wanted func(client.LiveEvent) bool) client.LiveEvent {
	l.t.Helper()
	for {
		if e := l.next(); wanted(e) {
			return e
		}
	}
}

// closed returns the code with which the connection is closed.
func (l *listener) closed() int {
	l.t.Helper()
	require.NoError(l.t, l.ws.SetReadDeadline(time.Now().Add(deadline)))
	for {
		_, _, err := l.ws.ReadMessage()
		if err == nil {
			continue
		}
		var closed *websocket.CloseError
		require.ErrorAs(l.t, err, &closed)
		return closed.Code
	}
}

func (s *site) newJob(c *client.Client, studies ...string) client.Job {
	s.t.Helper()
	job, err := c.Jobs.Create(s.t.Context(), transfer(studies...), "")
	require.NoError(s.t, err)
	return job
}

// pair adds the servers that transfer names.
func (s *site) pair() {
	s.t.Helper()
	s.addServer("PACS 1", "SRC", nil)
	s.addServer("PACS 2", "DST", nil)
}

// TestLive: first states, then each newer one, of all that can be watched.
func TestLive(t *testing.T) {
	s := newSite(t)
	s.pair()
	old := s.newJob(s.client, "1.2.1")
	l, _ := s.listen()
	l.send(client.LiveRequest{Subscribe: []string{
		"jobs", client.TopicOfJob(old.ID), "servers", "stats", "me",
	}})
	first := map[string]client.LiveEvent{}
	for len(first) < 5 {
		e := l.next()
		require.True(t, e.First, e.Topic)
		first[e.Topic] = e
	}
	require.Equal(t, old.ID, first["jobs"].Jobs[0].ID)
	require.Equal(t, client.Pending, first[client.TopicOfJob(old.ID)].Job.Status)
	require.Len(t, first["servers"].Servers, 2)
	require.EqualValues(t, 1, first["stats"].Stats.Jobs[client.Pending])
	require.Equal(t, "admin", first["me"].Me.Username)

	job := s.newJob(s.client, "1.2.2", "1.2.3")
	e := l.until(func(e client.LiveEvent) bool {
		return e.Topic == "jobs" && slices.ContainsFunc(e.Jobs, func(j client.Job) bool { return j.ID == job.ID })
	})
	require.False(t, e.First)

	tasks, err := collect(s.client.Tasks.List(t.Context(), job.ID, client.TaskFilter{}))
	require.NoError(t, err)
	l.send(client.LiveRequest{
		Subscribe: []string{client.TopicOfJob(job.ID), client.TopicOfTask(tasks[1].ID)}, Unsubscribe: []string{"jobs"},
	})
	e = l.until(func(e client.LiveEvent) bool { return e.Topic == client.TopicOfTask(tasks[1].ID) })
	require.Equal(t, "1.2.3", e.Task.StudyInstanceUID)
	require.NotEmpty(t, e.Task.WhyWaiting)
	_, err = s.client.Jobs.Act(t.Context(), job.ID, client.CancelJob)
	require.NoError(t, err)
	l.until(func(e client.LiveEvent) bool { return e.Task != nil && e.Task.Status == client.Canceled })
	seen := map[int64]string{}
	l2, _ := s.listen()
	l2.send(client.LiveRequest{Subscribe: []string{client.TopicOfJob(job.ID)}})
	e = l2.next()
	require.Equal(t, client.Canceled, e.Job.Status)
	require.Empty(t, e.Tasks, "the list of tasks has them")

	_, err = s.client.Jobs.Act(t.Context(), job.ID, client.ResumeJob)
	require.NoError(t, err)
	for len(seen) < 2 {
		for _, task := range l2.next().Tasks {
			seen[task.ID] = task.Status
		}
	}
	require.Equal(t, map[int64]string{tasks[0].ID: client.Pending, tasks[1].ID: client.Pending}, seen)

	require.NoError(t, s.client.Jobs.Delete(t.Context(), job.ID))
	e = l2.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, client.CodeNotFound, e.Ended.Code)
	l.until(func(e client.LiveEvent) bool {
		return e.Topic == client.TopicOfTask(tasks[1].ID) && e.Ended != nil && e.Ended.Status == 404
	})
	phone := "0123"
	_, err = s.client.Account.Change(t.Context(), client.MeChange{PersonChange: client.PersonChange{Phone: &phone}})
	require.NoError(t, err)
	l.until(func(e client.LiveEvent) bool { return e.Me != nil && e.Me.Phone == phone })
	_, err = s.client.Servers.Pause(t.Context(), "PACS 1")
	require.NoError(t, err)
	l.until(func(e client.LiveEvent) bool { return e.Servers != nil && e.Servers[0].Paused })
	l.send(client.LiveRequest{Subscribe: []string{"stats"}})
	l.until(func(e client.LiveEvent) bool { return e.Stats != nil && e.Stats.Jobs[client.Pending] == 1 })
}

// TestLiveOfOthers: what belongs to others is not there, and is not told of.
func TestLiveOfOthers(t *testing.T) {
	s := newSite(t)
	s.pair()
	job := s.newJob(s.client, "1.2.1")
	s.otherUser()
	l, _ := s.listen("Authorization", "Token 00112233445566778899aabbccddeeff00112233")
	tasks, err := collect(s.client.Tasks.List(t.Context(), job.ID, client.TaskFilter{}))
	require.NoError(t, err)
	server, err := s.client.Servers.Get(t.Context(), "PACS 1")
	require.NoError(t, err)
	for _, topic := range []string{
		client.TopicOfJob(job.ID), client.TopicOfTask(tasks[0].ID), client.TopicOfServer(server.ID),
		"job:99", "task:99", "server:99",
	} {
		l.send(client.LiveRequest{Subscribe: []string{topic}})
		e := l.next()
		require.Equal(t, topic, e.Topic)
		require.Equal(t, client.CodeNotFound, e.Ended.Code, topic)
		require.NotContains(t, e.Ended.Detail, "somebody")
	}
	for _, topic := range []string{
		"", "job:01", "job:+1", "job", "job:", "job:x", "job:0", "jobs:1", "search:1", "patients", "me:1", "job:-1",
	} {
		l.send(client.LiveRequest{Subscribe: []string{topic}})
		e := l.next()
		require.NotNil(t, e.Ended, topic)
		require.Equal(t, client.CodeInvalid, e.Ended.Code, topic)
	}
	l.send(client.LiveRequest{Subscribe: []string{"jobs", "servers"}})
	for range 2 {
		e := l.next()
		require.True(t, e.First)
		require.Empty(t, e.Jobs)
		require.Empty(t, e.Servers)
	}
	s.newJob(s.client, "1.2.2")
	require.NoError(t, s.client.Jobs.Delete(t.Context(), job.ID))
	l.send(client.LiveRequest{Subscribe: []string{"stats"}})
	e := l.next()
	require.Equal(t, "stats", e.Topic, "nothing was told of the jobs of others")
	require.Empty(t, e.Stats.Jobs)
}

// TestLiveRights: what may not be seen any more ends, without a word from who watches.
func TestLiveRights(t *testing.T) {
	s := newSite(t)
	s.pair()
	job := s.newJob(s.client, "1.2.1")
	s.addUser(client.NewUser{Username: "reader", IsStaff: true})
	got := s.as("POST", "/api/v1/session", login("reader", password))
	require.Equal(t, 200, got.StatusCode, got.body)
	cookie := []string{"Cookie", got.Cookies()[0].Name + "=" + got.Cookies()[0].Value}
	l, _ := s.listen(cookie...)
	l.send(client.LiveRequest{Subscribe: []string{client.TopicOfJob(job.ID), "jobs", "me"}})
	for range 3 {
		require.True(t, l.next().First)
	}
	no := false
	_, err := s.client.Users.Change(t.Context(), "reader", client.UserChange{IsStaff: &no})
	require.NoError(t, err)
	gone, mine := false, false
	for !gone || !mine {
		switch e := l.next(); {
		case e.Ended != nil:
			require.Equal(t, client.TopicOfJob(job.ID), e.Topic)
			require.Equal(t, client.CodeNotFound, e.Ended.Code)
			gone = true
		case e.Topic == "jobs":
			require.True(t, e.First, "the list is another one now")
			require.Empty(t, e.Jobs)
			mine = true
		}
	}
	require.Equal(t, 204, s.as("DELETE", "/api/v1/session", "", cookie...).StatusCode)
	require.Equal(t, client.CloseUnauthenticated, l.closed())

	const token = "aa112233445566778899aabbccddeeff00112233"
	_, err = s.pool.Exec(t.Context(), `INSERT INTO api_tokens (user_id, description, sha256)
		SELECT id, 'test', sha256($1) FROM users WHERE username = 'admin'`, []byte(token))
	require.NoError(t, err)
	l, _ = s.listen("Authorization", "Bearer "+token)
	l.send(client.LiveRequest{Subscribe: []string{"me"}})
	require.True(t, l.next().First)
	_, err = s.pool.Exec(t.Context(), "DELETE FROM api_tokens WHERE sha256 = sha256($1)", []byte(token))
	require.NoError(t, err)
	require.Equal(t, client.CloseUnauthenticated, l.closed())

	s.addUser(client.NewUser{Username: "guest"})
	got = s.as("POST", "/api/v1/session", login("guest", password))
	l, _ = s.listen("Cookie", got.Cookies()[0].Name+"="+got.Cookies()[0].Value)
	l.send(client.LiveRequest{Subscribe: []string{"me"}})
	require.True(t, l.next().First)
	yes := true
	_, err = s.client.Site.ChangeSettings(t.Context(), client.SettingsChange{Maintenance: &yes})
	require.NoError(t, err)
	require.Equal(t, websocket.CloseTryAgainLater, l.closed())
}

// TestLiveDoor: who is let in, and from where.
func TestLiveDoor(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader"})
	got := s.as("POST", "/api/v1/session", login("reader", password))
	cookie := got.Cookies()[0].Name + "=" + got.Cookies()[0].Value
	for name, tt := range map[string]struct {
		header []string
		status int
	}{
		"a token":                     {[]string{"Authorization", "Token " + s.token}, 101},
		"a bad token":                 {[]string{"Authorization", "Token " + strings.Repeat("0", 40)}, 401},
		"nothing":                     {[]string{"X-None", "1"}, 401},
		"a session":                   {[]string{"Cookie", cookie}, 101},
		"a session, from our page":    {[]string{"Cookie", cookie, "Origin", s.url}, 101},
		"a session, from another":     {[]string{"Cookie", cookie, "Origin", "https://evil.example"}, 403},
		"from our page without TLS":   {[]string{"Cookie", cookie, "Origin", strings.Replace(s.url, "http", "https", 1)}, 403},
		"from no page":                {[]string{"Cookie", cookie, "Origin", "null"}, 403},
		"a token, from another page":  {[]string{"Authorization", "Token " + s.token, "Origin", "https://evil.example"}, 403},
		"a token in a subprotocol":    {[]string{"Sec-WebSocket-Protocol", s.token}, 401},
		"another version":             {[]string{"Authorization", "Token " + s.token, "Sec-WebSocket-Version", "7"}, 400},
		"a bad cookie":                {[]string{"Cookie", "adit_session=x"}, 401},
		"another name of this server": {[]string{"Authorization", "Token " + s.token, "X-Forwarded-Host", "evil.example", "X-Forwarded-For", "192.0.2.1"}, 421},
	} {
		if name == "another version" {
			r := s.send("GET", "/api/v1/live", "", "Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "7")
			require.Equal(t, tt.status, r.StatusCode, name)
			require.Equal(t, "application/problem+json", r.Header.Get("Content-Type"))
			continue
		}
		l, answer := s.listen(tt.header...)
		require.Equal(t, tt.status, answer.StatusCode, name)
		if l != nil {
			l.send(client.LiveRequest{Subscribe: []string{"me"}})
			require.True(t, l.next().First, name)
		}
	}
	require.Equal(t, 401, s.as("GET", "/api/v1/live?token="+s.token, "").StatusCode)
	require.NotContains(t, s.log.String(), "evil.example")
}

// TestLiveBounds: what is too much, or can't be understood, ends the connection with the code that says so.
func TestLiveBounds(t *testing.T) {
	s := newSite(t)
	many := func(n int) (topics []string) {
		for i := range n {
			topics = append(topics, fmt.Sprintf("job:%d", i+1))
		}
		return topics
	}
	_, err := s.pool.Exec(t.Context(), `INSERT INTO jobs (kind, owner_id, project_id, priority, n_pending)
		SELECT 'selective_transfer', (SELECT min(id) FROM users), (SELECT min(id) FROM projects), 2, 1 FROM generate_series(1, 300)`)
	require.NoError(t, err)
	for name, tt := range map[string]struct {
		code int
		send func(ws *websocket.Conn)
	}{
		"no JSON":           {1007, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte("{")) }},
		"two values":        {1007, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte("{}{}")) }},
		"a list":            {1007, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte("[]")) }},
		"an unknown member": {1007, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte(`{"publish":1}`)) }},
		"null":              {1007, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, []byte("null")) }},
		"no UTF-8": {1007, func(ws *websocket.Conn) {
			_ = ws.WriteMessage(websocket.TextMessage, []byte("{\"subscribe\":[\"\xff\"]}"))
		}},
		"a bad search": {1007, func(ws *websocket.Conn) { _ = ws.WriteJSON(client.LiveRequest{Search: &client.LiveSearch{ID: "a b"}}) }},
		"binary":       {1003, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.BinaryMessage, []byte("{}")) }},
		"huge":         {1009, func(ws *websocket.Conn) { _ = ws.WriteMessage(websocket.TextMessage, make([]byte, 17<<10)) }},
		"huge in fragments": {1009, func(ws *websocket.Conn) {
			w, err := ws.NextWriter(websocket.TextMessage)
			for range 64 {
				if err == nil {
					_, err = w.Write(make([]byte, 4<<10))
				}
			}
		}},
		"1,000 topics": {1008, func(ws *websocket.Conn) {
			all := many(1000)
			for len(all) > 0 {
				_ = ws.WriteJSON(client.LiveRequest{Subscribe: all[:100]})
				all = all[100:]
			}
		}},
		"one name a thousand times": {1008, func(ws *websocket.Conn) {
			_ = ws.WriteJSON(client.LiveRequest{Subscribe: slices.Repeat([]string{"me"}, 1000)})
		}},
		"empty fragments": {1008, func(ws *websocket.Conn) {
			conn := ws.NetConn()
			_, err := conn.Write([]byte{0x01, 0x80, 0, 0, 0, 0})        // text, not its end, masked by zeros
			many := slices.Repeat([]byte{0x00, 0x80, 0, 0, 0, 0}, 1000) // continued, not its end
			for i := 0; err == nil && i < 1000; i++ {
				_, err = conn.Write(many)
			}
		}},
		"pings": {1008, func(ws *websocket.Conn) {
			for range 2000 {
				if ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(deadline)) != nil {
					return
				}
			}
		}},
		"a flood": {1008, func(ws *websocket.Conn) {
			for range 2000 {
				if ws.WriteMessage(websocket.TextMessage, []byte("{}")) != nil {
					return
				}
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			l, _ := s.listen()
			l.t = t
			go tt.send(l.ws)
			require.Equal(t, tt.code, l.closed())
		})
	}
	l, _ := s.listen()
	l.send(client.LiveRequest{Subscribe: many(200)})
	for range 200 {
		require.True(t, l.next().First, "as many as are allowed are served")
	}
}

// TestLiveSearch: results come as the PACS sends them, to who asked alone, and a search that is ended ends there, too.
func TestLiveSearch(t *testing.T) {
	s := newSite(t)
	var studies []*phantom.Study
	for i := range 6 {
		studies = append(studies, phantom.New(uint64(900+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: fmt.Sprintf("SEARCH-%d", i/3)}, Series: []phantom.SeriesSpec{{Instances: 1}},
		}))
	}
	var mu sync.Mutex
	matches := map[int]int{} // by association
	held, canceled := make(chan int, 10), make(chan int, 10)
	var release atomic.Bool
	p, err := pacs.Start(pacs.Config{AETitle: "SRC", Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		mu.Lock()
		matches[e.Association]++
		third := e.Kind == pacs.AtMatch && matches[e.Association] == 4 // the start counts, too
		mu.Unlock()
		if !third || release.Load() {
			return
		}
		held <- e.Association
		select {
		case <-e.Canceled:
			canceled <- e.Association
		case <-ctx.Done():
		}
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s.addServer("source", "SRC", func(c *client.ServerSettings) {
		host, port, err := net.SplitHostPort(p.Addr())
		require.NoError(t, err)
		c.Host = host
		c.Port, err = strconv.Atoi(port)
		require.NoError(t, err)
		c.InteractiveCap = new(2)
	})
	one, _ := s.listen()
	two, _ := s.listen()
	for i, l := range []*listener{one, two} {
		l.send(client.LiveRequest{Search: &client.LiveSearch{
			ID: "s", Server: "source", Studies: &client.StudyQuery{PatientID: fmt.Sprintf("SEARCH-%d", i)},
		}})
	}
	for i, l := range []*listener{one, two} {
		require.True(t, l.next().First, "what is told of a search of the same id before is over")
		count := 0
		for count < 2 { // the third one is held at the PACS
			e := l.next()
			require.Equal(t, "search:s", e.Topic)
			require.Nil(t, e.Ended)
			for _, study := range e.Found.Studies {
				require.Equal(t, fmt.Sprintf("SEARCH-%d", i), study.PatientID)
			}
			count += len(e.Found.Studies)
			require.False(t, e.Found.Done)
			require.Equal(t, count, e.Found.Count)
		}
	}
	a, b := <-held, <-held
	one.send(client.LiveRequest{Unsubscribe: []string{"search:s"}})
	first := <-canceled
	require.Contains(t, []int{a, b}, first)
	require.NoError(t, two.ws.Close())
	require.NotEqual(t, first, <-canceled, "a connection that ends takes its searches along")
	release.Store(true)

	one.send(client.LiveRequest{Search: &client.LiveSearch{
		ID: "t", Server: "SOURCE", Studies: &client.StudyQuery{PatientID: "SEARCH-*", Limit: 4},
	}})
	e := one.next()
	require.Equal(t, "search:t", e.Topic, "nothing more comes of the search that was ended")
	e = one.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, client.CodeInvalid, e.Ended.Code, "the patient ID is to be exact")
	one.send(client.LiveRequest{Search: &client.LiveSearch{
		ID: "u", Server: "source", Studies: &client.StudyQuery{Modality: "CT", Limit: 4},
	}})
	last := one.until(func(e client.LiveEvent) bool { return e.Found != nil && e.Found.Done })
	require.Equal(t, 4, last.Found.Count)
	require.True(t, last.Found.Truncated)
	one.send(client.LiveRequest{Search: &client.LiveSearch{ID: "v", Server: "nobody", Studies: &client.StudyQuery{Modality: "CT"}}})
	e = one.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, client.CodeNotFound, e.Ended.Code)
	one.send(client.LiveRequest{Search: &client.LiveSearch{
		ID: "v", Server: "source", Studies: &client.StudyQuery{Modality: "CT", Limit: 1001},
	}})
	e = one.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, client.CodeInvalid, e.Ended.Code)
	s.otherUser()
	other, _ := s.listen("Authorization", "Token 00112233445566778899aabbccddeeff00112233")
	other.send(client.LiveRequest{Search: &client.LiveSearch{ID: "w", Server: "source", Studies: &client.StudyQuery{Modality: "CT"}}})
	e = other.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, client.CodeForbidden, e.Ended.Code, e.Ended.Detail)
	require.NotContains(t, s.log.String(), "SEARCH-")

	found := 0
	truncated := false
	for study, err := range s.client.Live.Studies(t.Context(), "source", client.StudyQuery{Modality: "CT"}, &truncated) {
		require.NoError(t, err)
		require.NotEmpty(t, study.StudyInstanceUID)
		found++
	}
	require.Equal(t, 6, found)
	require.False(t, truncated)
	of := client.SeriesQuery{StudyInstanceUID: studies[0].StudyInstanceUID}
	for series, err := range s.client.Live.Series(t.Context(), "source", of, nil) {
		require.NoError(t, err)
		in := client.InstanceQuery{StudyInstanceUID: of.StudyInstanceUID, SeriesInstanceUID: series.SeriesInstanceUID}
		for instance, err := range s.client.Live.Instances(t.Context(), "source", in, &truncated) {
			require.NoError(t, err)
			require.Equal(t, studies[0].Instances()[0].SOPInstanceUID, instance.SOPInstanceUID)
			found++
		}
	}
	require.Equal(t, 7, found)
}

// TestLiveSearchOfRights: a search ends, at the PACS too, when the right to make it is taken away.
func TestLiveSearchOfRights(t *testing.T) {
	s := newSite(t)
	study := phantom.New(950, phantom.StudySpec{Series: []phantom.SeriesSpec{{Instances: 1}}})
	held, canceled := make(chan struct{}, 1), make(chan struct{}, 1)
	hold := func(ctx context.Context, e pacs.Event) {
		if e.Kind != pacs.AtMatch {
			return
		}
		held <- struct{}{}
		select {
		case <-e.Canceled:
			canceled <- struct{}{}
		case <-ctx.Done():
		}
	}
	p, err := pacs.Start(pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: hold})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	s.addServer("source", "SRC", func(c *client.ServerSettings) { c.Port = p.Port() })
	s.otherUser()
	_, err = s.client.Groups.Add(t.Context(), client.NewGroup{Name: "readers", Permissions: []string{"explorer"}})
	require.NoError(t, err)
	require.NoError(t, s.client.Groups.AddMember(t.Context(), "readers", "other"))
	allow := func(may bool) {
		t.Helper()
		_, err := s.client.Groups.SetAccess(t.Context(), client.Access{Group: "readers", Node: "source", Source: may})
		require.NoError(t, err)
	}
	allow(true)
	l, _ := s.listen("Authorization", "Token 00112233445566778899aabbccddeeff00112233")
	l.send(client.LiveRequest{Search: &client.LiveSearch{ID: "s", Server: "source", Studies: &client.StudyQuery{Modality: "CT"}}})
	<-held
	allow(false)
	<-canceled
	e := l.until(func(e client.LiveEvent) bool { return e.Ended != nil })
	require.Equal(t, "search:s", e.Topic)
	require.Equal(t, client.CodeForbidden, e.Ended.Code)
}

// TestLiveSameTopicTwice: two who watch a server, one of whom stops and begins again, are both told.
func TestLiveSameTopicTwice(t *testing.T) {
	s := newSite(t)
	s.pair()
	server, err := s.client.Servers.Get(t.Context(), "PACS 1")
	require.NoError(t, err)
	topic := []string{client.TopicOfServer(server.ID)}
	one, _ := s.listen()
	two, _ := s.listen()
	for _, l := range []*listener{one, two} {
		l.send(client.LiveRequest{Subscribe: topic})
		require.True(t, l.next().First)
	}
	one.send(client.LiveRequest{Unsubscribe: topic})
	one.send(client.LiveRequest{Subscribe: topic})
	require.True(t, one.next().First)
	_, err = s.client.Servers.Pause(t.Context(), "PACS 1")
	require.NoError(t, err)
	for _, l := range []*listener{one, two} {
		l.until(func(e client.LiveEvent) bool { return e.Server != nil && e.Server.Paused })
	}
}

// TestLiveChangedBack: a job that is changed and changed back between two looks is told of, since somebody may have
// read it by REST in between; one that is only looked at again is not.
func TestLiveChangedBack(t *testing.T) {
	s := newSite(t)
	s.pair()
	job, other := s.newJob(s.client, "1.2.1"), s.newJob(s.client, "1.2.2")
	for _, topic := range []string{"jobs", client.TopicOfJob(job.ID)} {
		l, _ := s.listen()
		l.send(client.LiveRequest{Subscribe: []string{topic}})
		require.True(t, l.next().First)
		touch := func(id int64, change string) {
			_, err := s.pool.Exec(t.Context(), `UPDATE jobs SET `+change+` WHERE id = $1`, id)
			require.NoError(t, err)
		}
		told := func() client.Job {
			e := l.next()
			if e.Job != nil {
				return *e.Job
			}
			require.Len(t, e.Jobs, 1)
			return e.Jobs[0]
		}
		touch(job.ID, "version = version + 1") // a list of jobs has told no row before
		require.Equal(t, job.ID, told().ID)
		touch(job.ID, "version = version + 2") // paused and continued
		require.False(t, told().Paused)
		touch(job.ID, "version = version") // the hub looks, and finds no news
		touch(other.ID, "version = version + 1")
		if topic == "jobs" {
			require.Equal(t, other.ID, told().ID)
		}
		touch(job.ID, "paused = NOT paused, version = version + 1")
		paused := told()
		require.Equal(t, job.ID, paused.ID)
		require.True(t, paused.Paused)
		touch(job.ID, "paused = NOT paused, version = version + 1")
	}
}

// TestLiveByClient: the Go client follows a job to its end over a connection that is lost meanwhile.
func TestLiveByClient(t *testing.T) {
	s := newSite(t)
	s.pair()
	job := s.newJob(s.client, "1.2.1")
	relay := newCutter(t, strings.TrimPrefix(s.url, "http://"))
	c, err := client.New("http://"+relay.Addr().String(), client.WithToken(s.token))
	require.NoError(t, err)
	step := 0
	for e, err := range c.Live.Follow(t.Context(), client.TopicOfJob(job.ID), "job:999") {
		require.NoError(t, err)
		switch {
		case e.Topic == "job:999":
			require.Equal(t, client.CodeNotFound, e.Ended.Code)
		case step == 0:
			require.True(t, e.First)
			relay.cut()
			_, err := s.client.Jobs.Act(t.Context(), job.ID, client.CancelJob)
			require.NoError(t, err)
			step = 1
		case step == 1 && e.Job != nil && e.Job.Status == client.Canceled:
			require.True(t, e.First, "what was missed is in the state that comes first")
			step = 2
			require.NoError(t, s.client.Jobs.Delete(t.Context(), job.ID))
		case step == 2:
			require.NotNil(t, e.Ended)
			step = 3
		}
	}
	require.Equal(t, 3, step)
	bad, err := client.New(s.url, client.WithToken(strings.Repeat("0", 40)))
	require.NoError(t, err)
	for _, err := range bad.Live.Follow(t.Context(), "jobs") {
		var p *client.Problem
		require.ErrorAs(t, err, &p)
		require.Equal(t, 401, p.Status)
	}
}

// cutter relays connections, until they are cut.
type cutter struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
}

func newCutter(t *testing.T, to string) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	c := &cutter{Listener: l}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", to)
			if err != nil {
				_ = in.Close()
				continue
			}
			c.mu.Lock()
			c.conns = append(c.conns, in, out)
			c.mu.Unlock()
			all.Go(func() { _, _ = io.Copy(in, out) })
			all.Go(func() { _, _ = io.Copy(out, in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.cut()
		all.Wait()
	})
	return c
}

// cut ends all connections.
func (c *cutter) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.conns {
		_ = conn.Close()
	}
	c.conns = nil
}
