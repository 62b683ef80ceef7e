// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/gorilla/websocket"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/people"
)

const (
	maxMessage    = 16 << 10 // bytes of a request
	maxTopics     = 200      // of a connection
	maxNotices    = 1000     // events beside those of topics that wait for a slow reader
	heartbeat     = 15 * time.Second
	pingEvery     = 45 * time.Second  // beside heartbeats, which tell only the other side
	silence       = 100 * time.Second // without an answer to a ping
	writeTime     = 10 * time.Second  // for an event
	farewell      = time.Second       // for the other side to take a closing
	answerTime    = 10 * time.Second  // for the database to say whether a topic may be seen
	burst         = 60                // requests at once
	requestsEvery = 100 * time.Millisecond
	bytesOfOne    = 1 << 10 // a long request counts as several: it names many topics
)

// Codes of closings (RFC 6455, 7.4.1).
const (
	closeGoingAway = websocket.CloseGoingAway
	closeBinary    = websocket.CloseUnsupportedData
	closeMalformed = websocket.CloseInvalidFramePayloadData
	closeTooMuch   = client.CloseTooMuch
	closeTryLater  = websocket.CloseTryAgainLater
)

// conn is a connection. What it has subscribed to is under Hub.mu.
type conn struct {
	hub   *Hub
	ws    *websocket.Conn
	ctx   context.Context // of what is done for it; names the caller to the audit log
	again func(context.Context) (people.User, error)
	stir  chan struct{} // there is something to write
	quit  chan struct{} // it is being closed
	once  sync.Once

	user people.User
	subs map[string]*subscription
	gone bool

	mu       sync.Mutex
	notices  []*websocket.PreparedMessage
	beat     *websocket.PreparedMessage // the last heartbeat, if it waits
	searches map[string]*search
	running  int            // searches that have not ended, be it that nobody waits for them
	asking   sync.WaitGroup // for them
}

// serve runs a connection until either side ends it.
func (c *conn) serve() {
	ctx, cancel := context.WithCancel(c.ctx)
	c.ctx = ctx
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.read()
	c.once.Do(func() { close(c.quit) })
	cancel()
	c.hub.leave(c)
	_ = c.ws.Close() // the other side has gone, or was told
	writer.Wait()
	c.asking.Wait()
}

// admitted returns the user if they may still be here.
func (c *conn) admitted(ctx context.Context) (people.User, error) {
	user, err := c.again(ctx)
	if err != nil {
		return user, err
	}
	return user, c.hub.people.Site.Admit(ctx, user)
}

// close tells the other side why the connection ends, and leaves it a moment to take that.
func (c *conn) close(code int, reason string) {
	c.once.Do(func() {
		c.endSearches() // at the servers, too, whether the other side listens or not
		message := websocket.FormatCloseMessage(code, reason)
		_ = c.ws.WriteControl(websocket.CloseMessage, message, time.Now().Add(farewell))
		_ = c.ws.SetReadDeadline(time.Now().Add(farewell))
		close(c.quit)
	})
}

func (c *conn) closing() bool {
	select {
	case <-c.quit:
		return true
	default:
		return false
	}
}

// read does what the other side asks for, until the connection ends.
func (c *conn) read() {
	c.ws.SetReadLimit(maxMessage)
	allowance, last := float64(burst), time.Now()
	// paid reports whether something is not too much, of which so much is allowed.
	paid := func(price float64) bool {
		now := time.Now()
		allowance = min(burst, allowance+float64(now.Sub(last))/float64(requestsEvery)) - price
		last = now
		return allowance >= 0
	}
	alive := func(string) error {
		if c.closing() {
			return nil
		}
		return c.ws.SetReadDeadline(time.Now().Add(silence))
	}
	_ = alive("")
	c.ws.SetPongHandler(alive)
	answer := c.ws.PingHandler()
	c.ws.SetPingHandler(func(text string) error {
		if !paid(1) {
			c.close(closeTooMuch, "Too many pings within a short time.")
			return nil
		}
		return answer(text)
	})
	for {
		kind, from, err := c.ws.NextReader()
		if err != nil {
			return
		}
		if c.closing() { // what comes now is not looked at
			if _, err := io.Copy(io.Discard, from); err != nil {
				return
			}
			continue
		}
		text, err := io.ReadAll(from)
		if err != nil {
			return // too large, of which the library has told the other side; or cut off
		}
		_ = alive("")
		switch {
		case kind != websocket.TextMessage:
			c.close(closeBinary, "Send messages as text.")
		case !paid(1 + float64(len(text))/bytesOfOne):
			c.close(closeTooMuch, "Too many messages within a short time.")
		default:
			c.obey(text)
		}
	}
}

// obey does what a message asks for.
func (c *conn) obey(text []byte) {
	var rq client.LiveRequest
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err := decoder.Decode(&rq)
	if _, end := decoder.Token(); err != nil || !utf8.Valid(text) || !errors.Is(end, io.EOF) || text[0] != '{' {
		c.close(closeMalformed, "A message is not a LiveRequest in JSON; see /api/docs.")
		return
	}
	if len(rq.Subscribe) > maxTopics || len(rq.Unsubscribe) > maxTopics {
		c.close(closeTooMuch, fmt.Sprintf("A message names at most %d topics.", maxTopics))
		return
	}
	for _, name := range rq.Unsubscribe {
		if id, is := searchOf(name); is {
			c.endSearch(id)
			continue
		}
		c.hub.mu.Lock()
		c.hub.detach(c, name)
		c.hub.mu.Unlock()
	}
	for _, name := range rq.Subscribe {
		if c.closing() {
			return
		}
		c.subscribe(name)
	}
	if rq.Search != nil {
		c.beginSearch(*rq.Search)
	}
}

// subscribe adds a topic. It closes the connection if there are too many, or if the database can't say now who may see
// it.
func (c *conn) subscribe(name string) {
	ctx, cancel := context.WithTimeout(c.ctx, answerTime)
	defer cancel()
	for {
		c.hub.mu.Lock()
		user, round := c.user, c.hub.round
		c.hub.mu.Unlock()
		k, err := c.hub.keyOf(ctx, user, name)
		if err == nil {
			err = c.hub.attach(c, name, user, k, attaching{round: round})
		}
		switch {
		case errors.Is(err, errNewRights):
			if user, err = c.admitted(ctx); err != nil {
				c.refused(ctx, err)
				return
			}
			c.hub.mu.Lock()
			c.user = user
			c.hub.mu.Unlock()
			continue
		case errors.Is(err, errTooMany):
			c.close(closeTooMuch, fmt.Sprintf("More than %d topics; unsubscribe from some.", maxTopics))
		case err != nil && problem.Of(ctx, err).Status >= http.StatusInternalServerError:
			c.close(closeTryLater, "ADIT can't look this up now; connect again in a moment.")
		case err != nil:
			c.refuse(ctx, name, err)
		}
		return
	}
}

// say has an event written that is of no topic, or ends one.
func (c *conn) say(message *websocket.PreparedMessage) {
	c.mu.Lock()
	full := len(c.notices) >= maxNotices
	if !full {
		c.notices = append(c.notices, message)
	}
	c.mu.Unlock()
	if full {
		c.close(closeTooMuch, "Answers are not read.")
		return
	}
	wake(c.stir)
}

// endOf is the last event of a topic.
func endOf(name string, p client.Problem) *websocket.PreparedMessage {
	if len(name) > maxName {
		name = name[:maxName]
	}
	return prepare(name, false, append([]byte(`,"ended":`), encoded(p)...))
}

const maxName = 64 // bytes of a topic's name that are sent back

// write tells the other side what is new, until the connection ends. Nothing but the newest is ever waiting.
func (c *conn) write() {
	ping := time.NewTicker(pingEvery)
	defer ping.Stop()
	later := time.NewTimer(time.Hour)
	defer later.Stop()
	for {
		select {
		case <-c.quit:
			return
		case <-ping.C:
			if c.ws.WriteControl(websocket.PingMessage, nil, time.Now().Add(writeTime)) != nil {
				c.cut()
				return
			}
			continue
		case <-c.stir:
		case <-later.C:
		}
		messages, next := c.due(time.Now())
		for _, m := range messages {
			if !c.send(m) {
				c.cut()
				return
			}
		}
		later.Reset(next)
	}
}

// send writes an event; false: it was not taken in time.
func (c *conn) send(m *websocket.PreparedMessage) bool {
	if c.closing() {
		return true
	}
	if err := c.ws.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return false
	}
	c.hub.metrics.events.Inc()
	return c.ws.WritePreparedMessage(m) == nil
}

// cut ends a connection to one who does not read.
func (c *conn) cut() { _ = c.ws.Close() }

func alive() *websocket.PreparedMessage {
	return message(encoded(client.LiveEvent{Heartbeat: new(time.Now().UTC().Truncate(time.Millisecond))}))
}

// due returns what is to be written now, and when to look again though nothing stirs.
func (c *conn) due(now time.Time) (messages []*websocket.PreparedMessage, next time.Duration) {
	c.mu.Lock()
	messages, c.notices = c.notices, nil
	if c.beat != nil {
		messages, c.beat = append(messages, c.beat), nil
	}
	found, next := c.found(now)
	c.mu.Unlock()
	messages = append(messages, found...)
	c.hub.mu.Lock()
	defer c.hub.mu.Unlock()
	for name, s := range c.subs {
		m := s.topic.due(s)
		if m == nil {
			continue
		}
		messages = append(messages, m)
		if s.topic.ended != nil {
			c.hub.detach(c, name)
		}
	}
	return messages, next
}
