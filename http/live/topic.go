// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// kind is what a topic is about.
type kind string

const (
	ofJob     kind = "job"
	ofTask    kind = "task"
	ofServer  kind = "server"
	ofJobs    kind = client.TopicJobs
	ofServers kind = client.TopicServers
	ofStats   kind = client.TopicStats
	ofMe      kind = client.TopicMe
)

// key is a topic as some people see it. Those who see it alike share it.
type key struct {
	kind  kind
	id    int64
	job   int64      // of a task
	sight jobs.Sight // of a job or a task
	user  int64      // who sees it so; 0: all staff
}

func (k key) name() string {
	if k.id != 0 {
		return string(k.kind) + ":" + strconv.FormatInt(k.id, 10)
	}
	return string(k.kind)
}

// keyOf returns the topic of a name as a user sees it. Errors: *refusal.Invalid, refusal.ErrNotFound, or of the
// database.
func (h *Hub) keyOf(ctx context.Context, user people.User, name string) (k key, err error) {
	word, number, one := strings.Cut(name, ":")
	k.kind = kind(word)
	if one {
		k.id, err = strconv.ParseInt(number, 10, 64)
		if err != nil || k.id < 1 || k.name() != name { // a topic has one name
			return k, unknownTopic()
		}
	}
	mine := user.ID
	if user.IsStaff {
		mine = 0
	}
	switch {
	case one && k.kind == ofJob:
		k.sight, err = h.engine.Jobs.SightOf(ctx, user, k.id)
	case one && k.kind == ofTask:
		k.job, k.sight, err = h.engine.Jobs.SightOfTask(ctx, user, k.id)
	case one && k.kind == ofServer:
		err = h.seesServer(ctx, user, k.id)
	case !one && (k.kind == ofJobs || k.kind == ofServers || k.kind == ofStats):
		k.user = mine
	case !one && k.kind == ofMe:
		k.user = user.ID
	default:
		err = unknownTopic()
	}
	return k, err
}

// seesServer returns refusal.ErrNotFound if a user may not use a server. Whether there is one is seen when it is read.
func (h *Hub) seesServer(ctx context.Context, user people.User, id int64) error {
	if user.IsStaff {
		return nil
	}
	uses, err := h.people.Groups.NodeUses(ctx, user.ID)
	if _, may := uses[id]; err != nil || may {
		return err
	}
	return fmt.Errorf("server %d: %w", id, refusal.ErrNotFound)
}

func unknownTopic() error {
	return &refusal.Invalid{
		Field: "subscribe", Reason: "a topic is jobs, job:ID, task:ID, servers, server:ID, stats or me",
	}
}

const (
	maxRows  = 200 // changed rows that a topic remembers
	maxFirst = 100 // jobs of a first state
)

// topic is what is known of a key that somebody has subscribed to. Under Hub.mu.
type topic struct {
	key  key
	user people.User // one of those who see it so
	subs map[*conn]*subscription

	version int64
	same    []byte        // what of the state is news if it differs; nil: all of it
	state   []byte        // members of an event, as JSON with a comma before each: the newest state
	stateAt int64         // version of that
	rows    map[int64]row // changed ones since the first subscription, as far as they are remembered
	floor   int64         // changes up to this version are not in rows any more
	ended   *client.Problem

	// What is to be read: the state, and rows.
	dirty   bool
	changed map[int64]struct{}
	removed map[int64]struct{} // of changed: jobs that were deleted, and those who see the topic could see
	many    bool               // more rows were changed than anybody has named
	newcome bool               // somebody waits for a first state of jobs
	at      time.Time          // not before; zero: at once
	again   time.Time          // when to read it although nobody says that it has changed; zero: never

	last sent // what was built last, for the next one who needs the same
}

type row struct {
	version int64
	line
}

// line is what was read of a row.
type line struct {
	text     []byte // nil: it is gone
	revision int64  // of a job; 0: of another row, whose text alone says whether it is news
}

// same reports whether two lines are no news for each other. A job that was changed and changed back between two looks
// is news: somebody may have read it by REST in between.
func (l line) same(o line) bool { return l.revision == o.revision && bytes.Equal(l.text, o.text) }

// subscription is a connection's part in a topic.
type subscription struct {
	topic *topic
	first bool   // the first state is still to be sent
	list  []byte // first state of jobs, once it is read
	seen  int64  // version that was sent
}

// sent is an event, and from which version it leads to which.
type sent struct {
	first    bool
	from, to int64
	message  *websocket.PreparedMessage
}

// look is what is to be read of a topic.
type look struct {
	topic   *topic
	changed []int64
	removed map[int64]struct{}
	many    bool
	newcome bool
}

// found is what was read of it. A member of state is written as `,"name":value`.
type found struct {
	state []byte
	same  []byte // as that of topic
	rows  map[int64]line
	list  []byte // first state of jobs
	gone  *client.Problem
	again time.Duration // 0: not before something changes
}

// publish takes what was read of a topic, and reports whether there is news.
func (t *topic) publish(l look, f found, now time.Time) (news bool) {
	before := t.version
	if f.gone != nil {
		t.ended = f.gone
		return true
	}
	next := t.version + 1
	if f.same == nil {
		f.same = f.state
	}
	if f.state != nil && !bytes.Equal(f.same, t.same) {
		t.same, t.state, t.stateAt, t.version = f.same, f.state, next, next
	}
	for id, read := range f.rows {
		if old, known := t.rows[id]; known && old.same(read) {
			continue
		}
		t.rows[id], t.version = row{next, read}, next
	}
	if l.many {
		clear(t.rows)
		t.floor, t.version = next, next
	}
	t.forget()
	t.again = time.Time{}
	if f.again > 0 {
		t.again = now.Add(f.again)
	}
	for _, s := range t.subs {
		if l.newcome && s.first && s.list == nil && f.list != nil {
			s.list, s.seen, news = f.list, t.version, true
		}
	}
	return news || t.version > before
}

// forget drops the rows that were changed longest ago.
func (t *topic) forget() {
	if len(t.rows) <= maxRows {
		return
	}
	versions := make([]int64, 0, len(t.rows))
	for _, r := range t.rows {
		versions = append(versions, r.version)
	}
	slices.Sort(versions)
	t.floor = max(t.floor, versions[len(versions)-maxRows-1])
	for id, r := range t.rows {
		if r.version <= t.floor {
			delete(t.rows, id)
		}
	}
}

// due returns what a subscriber is to be told now, nil: nothing.
func (t *topic) due(s *subscription) *websocket.PreparedMessage {
	lists := t.key.kind == ofJobs
	switch {
	case t.ended != nil:
		return endOf(t.key.name(), *t.ended)
	case s.first && lists && s.list != nil:
		s.first = false
		message := prepare(t.key.name(), true, s.list)
		s.list = nil
		return message
	case s.first && (lists || t.state == nil), !s.first && t.version <= s.seen:
		return nil
	}
	if t.last.message == nil || t.last.first != s.first || t.last.from != s.seen || t.last.to != t.version {
		t.last = sent{s.first, s.seen, t.version, prepare(t.key.name(), s.first, t.since(s))}
	}
	s.first, s.seen = false, t.version
	return t.last.message
}

// since returns the members of an event that tells all since what a subscriber has been told.
func (t *topic) since(s *subscription) []byte {
	var b bytes.Buffer
	if t.state != nil && (s.first || t.stateAt > s.seen) {
		b.Write(t.state)
	}
	if s.first {
		return b.Bytes()
	}
	var shown, gone []int64
	for id, r := range t.rows {
		if r.version > s.seen && r.text == nil {
			gone = append(gone, id)
		} else if r.version > s.seen {
			shown = append(shown, id)
		}
	}
	slices.Sort(shown)
	slices.Sort(gone)
	if len(shown) > 0 {
		name := "jobs"
		if t.key.kind == ofJob {
			name = "tasks"
		}
		b.WriteString(`,"` + name + `":[`)
		for i, id := range shown {
			if i > 0 {
				b.WriteByte(',')
			}
			b.Write(t.rows[id].text)
		}
		b.WriteByte(']')
	}
	if len(gone) > 0 {
		b.WriteString(`,"removed":[`)
		for i, id := range gone {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString(strconv.FormatInt(id, 10))
		}
		b.WriteByte(']')
	}
	if t.floor > s.seen {
		b.WriteString(`,"reload":true`)
	}
	return b.Bytes()
}

// prepare makes an event of its members.
func prepare(name string, first bool, members []byte) *websocket.PreparedMessage {
	text := append([]byte(`{"topic":`), encoded(name)...)
	if first {
		text = append(text, `,"first":true`...)
	}
	return message(append(append(text, members...), '}'))
}

func message(text []byte) *websocket.PreparedMessage {
	m, err := websocket.NewPreparedMessage(websocket.TextMessage, text)
	if err != nil {
		panic(err) // it is given a kind of message that there is
	}
	return m
}

// encoded returns as JSON what holds texts, instants and whole numbers.
func encoded(value any) []byte {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // all of that can be encoded
	}
	return text
}
