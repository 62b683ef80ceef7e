// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/gorilla/websocket"

	"github.com/adit-go/adit/internal/pause"
)

// The topics of live events. Those of one job, task, server or search are made by TopicOfJob and the like.
const (
	TopicJobs    = "jobs"    // the jobs that one may see
	TopicServers = "servers" // the servers as they are now
	TopicStats   = "stats"   // figures of the last 30 days
	TopicMe      = "me"      // oneself
)

// LiveRequest is a message of a client over the socket of live events: any of its parts.
type LiveRequest struct {
	Subscribe   []string    `json:"subscribe,omitempty" maxItems:"200" doc:"Topics to be told of from now on: jobs, job:ID, task:ID, servers, server:ID, stats, me. Each begins with its present state (first)." example:"[\"jobs\",\"job:4711\"]"`
	Unsubscribe []string    `json:"unsubscribe,omitempty" maxItems:"200" doc:"Topics to be told of no longer. search:ID ends that search, at the server too." example:"[\"job:4711\"]"`
	Search      *LiveSearch `json:"search,omitempty" doc:"A search to begin. What it finds comes as topic search:ID."`
}

// LiveSearch is a search over the socket of live events. Nobody else sees anything of it, and it ends with the socket.
type LiveSearch struct {
	ID        string         `json:"id" minLength:"1" maxLength:"40" pattern:"^[A-Za-z0-9_-]+$" doc:"The caller's name for the search; of letters, digits, - and _. One that runs under the same name is ended." example:"s1"`
	Server    string         `json:"server" doc:"Name of the server." example:"PACS"`
	Studies   *StudyQuery    `json:"studies,omitempty" doc:"Which studies are wanted. One of studies, series and instances is given."`
	Series    *SeriesQuery   `json:"series,omitempty" doc:"Of which study the series are wanted."`
	Instances *InstanceQuery `json:"instances,omitempty" doc:"Of which series the instances are wanted."`
}

// LiveEvent is a message of the server over the socket of live events: a heartbeat, or news of one topic. A topic
// comes at most four times a second, always with its newest state: to who reads slowly some states are not told, the
// last one always is.
type LiveEvent struct {
	Heartbeat *time.Time `json:"heartbeat,omitempty" doc:"A sign of life, every 15 seconds, alone in its event. After 45 seconds without any event the connection is lost." example:"2026-11-23T08:15:30Z"`
	Topic     string     `json:"topic,omitempty" doc:"What the event is about." example:"job:4711"`
	First     bool       `json:"first,omitempty" doc:"The present state, after a subscription: what was known of the topic before is out of date."`
	Ended     *Problem   `json:"ended,omitempty" doc:"Nothing more comes of this topic, and why: it is not there, or is gone, the right to see it was taken away, or the topic can't be understood."`

	Job     *Job        `json:"job,omitempty" doc:"Of job:ID: the job."`
	Task    *Task       `json:"task,omitempty" doc:"Of task:ID: the task, without its series."`
	Tasks   []Task      `json:"tasks,omitempty" doc:"Of job:ID: its tasks that were changed. The first state has none of them: the list of tasks does."`
	Jobs    []Job       `json:"jobs,omitempty" doc:"Of jobs: at first up to 100 jobs that have not ended, newest first; then jobs that were made or changed."`
	Removed []int64     `json:"removed,omitempty" doc:"Of jobs and job:ID: ids of jobs, or of tasks of the job, that are gone." example:"[4712]"`
	Reload  bool        `json:"reload,omitempty" doc:"Of jobs and job:ID: more was changed, or is there, than the event holds. Who shows a list asks for it again."`
	Server  *ServerNow  `json:"server,omitempty" doc:"Of server:ID: what holds of the server now."`
	Servers []ServerNow `json:"servers,omitempty" doc:"Of servers: what holds now of all that one may use; for staff, of all."`
	Stats   *Stats      `json:"stats,omitempty" doc:"Of stats: figures of the last 30 days."`
	Me      *Me         `json:"me,omitempty" doc:"Of me: oneself, with groups and permissions."`
	Found   *LiveFound  `json:"found,omitempty" doc:"Of search:ID: what came since the last event."`
}

// LiveFound is what a search has found since the last event of it.
type LiveFound struct {
	Studies   []Study         `json:"studies,omitempty" doc:"Studies in the order in which the server sent them."`
	Series    []FoundSeries   `json:"series,omitempty" doc:"Series in that order."`
	Instances []FoundInstance `json:"instances,omitempty" doc:"Instances in that order."`
	Count     int             `json:"count" doc:"How many results have been sent so far, these included." example:"37"`
	Done      bool            `json:"done,omitempty" doc:"The search has ended; nothing more comes of its topic."`
	Failed    bool            `json:"failed,omitempty" doc:"With done: the search did not come to its end, and the reason follows in an event with ended."`
	Truncated bool            `json:"truncated,omitempty" doc:"With done: the server has more than the limit."`
}

// Codes with which the server closes the socket of live events, besides 1001 (ADIT ends; connect again), 1003 (a binary
// message), 1007 (a message that is no LiveRequest), 1009 (a message of more than 16 KiB) and 1013 (too busy, or in
// maintenance; connect again later).
const (
	CloseTooMuch         = 1008 // more topics or messages than are taken
	CloseUnauthenticated = 4401 // the session or token has ended
)

// TopicOfJob is the topic of one job.
func TopicOfJob(id int64) string { return fmt.Sprintf("job:%d", id) }

// TopicOfTask is the topic of one task.
func TopicOfTask(id int64) string { return fmt.Sprintf("task:%d", id) }

// TopicOfServer is the topic of one server, by its number.
func TopicOfServer(id int64) string { return fmt.Sprintf("server:%d", id) }

const (
	liveSilence   = 45 * time.Second // without a heartbeat
	liveHandshake = 20 * time.Second
	maxLiveEvent  = 16 << 20 // bytes

	livePath = "/api/v1/live"
)

// Follow yields the events of topics until ctx ends or the loop is left: the present state of each first, then each
// newer one. A connection that is lost is opened again, and first states come anew, so that nothing final is missed;
// only when the server has given no answer for the patience of the client (WithPatience) does it end with
// *UnreachableError. A topic that may not be seen yields an event with Ended; when all have ended the loop ends. Other
// errors end it as *Problem.
func (c Live) Follow(ctx context.Context, topics ...string) iter.Seq2[LiveEvent, error] {
	return func(yield func(LiveEvent, error) bool) {
		if len(topics) == 0 {
			return
		}
		left := map[string]bool{}
		for _, t := range topics {
			left[t] = true
		}
		see := func(e LiveEvent) (more bool) {
			if e.Ended != nil {
				delete(left, e.Topic)
			}
			return yield(e, nil) && len(left) > 0
		}
		ask := func() LiveRequest { return LiveRequest{Subscribe: slices.Sorted(maps.Keys(left))} }
		if err := c.keepConnected(ctx, ask, see); err != nil {
			yield(LiveEvent{}, err)
		}
	}
}

// Studies searches a server for studies and yields each as soon as the server has sent it. Leaving the loop, or the end
// of ctx, ends the search at the server. truncated, if it is not nil, tells afterwards whether there were more. A
// connection that is lost ends it with *UnreachableError: it would have to begin anew.
func (c Live) Studies(ctx context.Context, server string, q StudyQuery, truncated *bool) iter.Seq2[Study, error] {
	wanted := LiveSearch{Server: server, Studies: &q}
	return searchLive(ctx, c, wanted, truncated, func(f *LiveFound) []Study { return f.Studies })
}

// Series is Studies for the series of a study.
func (c Live) Series(ctx context.Context, server string, q SeriesQuery, truncated *bool) iter.Seq2[FoundSeries, error] {
	wanted := LiveSearch{Server: server, Series: &q}
	return searchLive(ctx, c, wanted, truncated, func(f *LiveFound) []FoundSeries { return f.Series })
}

// Instances is Studies for the instances of a series.
func (c Live) Instances(
	ctx context.Context, server string, q InstanceQuery, truncated *bool,
) iter.Seq2[FoundInstance, error] {
	wanted := LiveSearch{Server: server, Instances: &q}
	return searchLive(ctx, c, wanted, truncated, func(f *LiveFound) []FoundInstance { return f.Instances })
}

// searchLive yields what a search finds.
func searchLive[T any](
	ctx context.Context, c Live, wanted LiveSearch, truncated *bool, found func(*LiveFound) []T,
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		fail := func(err error) {
			var none T
			yield(none, err)
		}
		conn, err := c.connect(ctx)
		if err != nil {
			fail(err)
			return
		}
		defer conn.close()
		wanted.ID = "1"
		if err := conn.ask(LiveRequest{Search: &wanted}); err != nil {
			fail(c.lost(ctx, err))
			return
		}
		for {
			e, err := conn.next()
			switch {
			case err != nil:
				fail(c.lost(ctx, err))
				return
			case e.Ended != nil:
				fail(e.Ended)
				return
			case e.Found == nil:
				continue
			}
			for _, item := range found(e.Found) {
				if !yield(item, nil) {
					return
				}
			}
			if e.Found.Done && !e.Found.Failed { // else the reason follows
				if truncated != nil {
					*truncated = e.Found.Truncated
				}
				return
			}
		}
	}
}

// keepConnected asks for something over a connection, and shows each event until see wants no more. A connection that
// is lost is opened again where a call would be made again, and as long.
func (c Live) keepConnected(ctx context.Context, ask func() LiveRequest, see func(LiveEvent) (more bool)) error {
	var lost time.Time
	for n := 0; ; n++ {
		err := c.connected(ctx, ask(), func(e LiveEvent) bool {
			n, lost = 0, time.Time{}
			return e.Heartbeat != nil || see(e)
		})
		if err == nil {
			return nil
		}
		if stopped := ctx.Err(); stopped != nil {
			return stopped
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		wait, again := c.again(get(livePath, nil), err, true, n)
		if !again || time.Since(lost)+wait > c.patience {
			return err
		}
		c.notice(err, wait)
		if stopped := pause.For(ctx, wait); stopped != nil {
			return stopped
		}
	}
}

// connected shows the events of one connection. It ends with nil when see wants no more.
func (c Live) connected(ctx context.Context, ask LiveRequest, see func(LiveEvent) (more bool)) error {
	conn, err := c.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.close()
	if err := conn.ask(ask); err != nil {
		return c.lost(ctx, err)
	}
	for {
		e, err := conn.next()
		if err != nil {
			return c.lost(ctx, err)
		}
		if !see(e) {
			return nil
		}
	}
}

// errNoSocket says that something between here and ADIT lets no WebSocket through.
var errNoSocket = errors.New("no WebSocket can be opened")

// liveConn is a socket of live events.
type liveConn struct {
	ws   *websocket.Conn
	stop func() bool
}

func (c Live) connect(ctx context.Context) (*liveConn, error) {
	target := *c.base
	target.Scheme = map[string]string{"http": "ws", "https": "wss"}[c.base.Scheme]
	dialer := &websocket.Dialer{Proxy: http.ProxyFromEnvironment, HandshakeTimeout: liveHandshake, Jar: c.http.Jar}
	if t, ok := c.http.Transport.(*http.Transport); ok {
		dialer.Proxy, dialer.NetDialContext, dialer.TLSClientConfig = t.Proxy, t.DialContext, t.TLSClientConfig
		if dialer.TLSClientConfig != nil { // which may name HTTP/2
			dialer.TLSClientConfig = dialer.TLSClientConfig.Clone()
			dialer.TLSClientConfig.NextProtos = nil
		}
	}
	header := http.Header{}
	c.sign(header)
	address := target.String() + livePath
	ws, answer, err := dialer.DialContext(ctx, address, header) //nolint:bodyclose // it is read already, says the library
	if answer != nil && err != nil {
		refusal := readProblem(answer)
		if p, ok := errors.AsType[*Problem](refusal); ok && p.foreign && p.Status < http.StatusInternalServerError {
			refusal = fmt.Errorf("%w: %w", errNoSocket, refusal)
		}
		return nil, refusal
	}
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	c.known.Store(true)
	ws.SetReadLimit(maxLiveEvent)
	conn := &liveConn{ws: ws}
	conn.stop = context.AfterFunc(ctx, func() { _ = ws.Close() })
	return conn, nil
}

func (conn *liveConn) ask(rq LiveRequest) error {
	if err := conn.ws.SetWriteDeadline(time.Now().Add(liveHandshake)); err != nil {
		return err
	}
	return conn.ws.WriteJSON(rq)
}

func (conn *liveConn) next() (e LiveEvent, err error) {
	if err := conn.ws.SetReadDeadline(time.Now().Add(liveSilence)); err != nil {
		return e, err
	}
	return e, conn.ws.ReadJSON(&e)
}

// close says goodbye, if the other side is there to hear it.
func (conn *liveConn) close() {
	if conn.stop() {
		goodbye := websocket.FormatCloseMessage(websocket.CloseNormalClosure, "")
		_ = conn.ws.WriteControl(websocket.CloseMessage, goodbye, time.Now().Add(time.Second))
	}
	_ = conn.ws.Close()
}

// lost says why a connection has ended: by the server's word, or without any.
func (c Live) lost(ctx context.Context, err error) error {
	var closed *websocket.CloseError
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if !errors.As(err, &closed) {
		return c.unreachable(ctx, err)
	}
	p := &Problem{Status: http.StatusServiceUnavailable, Code: CodeBusy, Detail: closed.Text, RetryAfter: time.Second}
	switch closed.Code {
	case CloseUnauthenticated:
		p.Status, p.Code, p.RetryAfter = http.StatusUnauthorized, CodeUnauthenticated, 0
	case CloseTooMuch:
		p.Status, p.Code, p.RetryAfter = http.StatusTooManyRequests, CodeTooMany, 0
	case websocket.CloseTryAgainLater, websocket.CloseGoingAway:
	default:
		return c.unreachable(ctx, err)
	}
	p.Title = http.StatusText(p.Status)
	return p
}
