// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/gorilla/websocket"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
)

const (
	maxSearches   = 4 // of a connection at once
	searchTime    = 5 * time.Minute
	searchTopic   = "search:"
	searchPattern = `^[A-Za-z0-9_-]{1,40}$`
)

var searchID = regexp.MustCompile(searchPattern)

// search is one under way, or whose end is still to be told. Under conn.mu.
type search struct {
	cancel  context.CancelFunc
	found   []client.Study // not told yet
	count   int            // of all, told or not
	done    bool
	cut     bool // there are more
	problem *client.Problem
	told    time.Time
}

// searchOf returns the id of a search from the name of its topic.
func searchOf(topic string) (id string, is bool) { return strings.CutPrefix(topic, searchTopic) }

// beginSearch searches for a connection and nobody else.
func (c *conn) beginSearch(rq client.LiveSearch) {
	if !searchID.MatchString(rq.ID) {
		c.close(closeMalformed, "The id of a search has 1 to 40 letters, digits, - and _.")
		return
	}
	c.endSearch(rq.ID)
	ctx, cancel := context.WithTimeout(c.ctx, searchTime)
	s := &search{cancel: cancel}
	c.mu.Lock()
	// One that was ended a moment ago may still hold its association.
	full := len(c.searches) >= maxSearches || c.running >= 2*maxSearches
	if !full {
		c.searches[rq.ID] = s
		c.running++
		c.asking.Add(1)
	}
	c.mu.Unlock()
	if full {
		cancel()
		c.refuse(ctx, searchTopic+rq.ID, &refusal.Conflict{Reason: fmt.Sprintf(
			"%d searches are running over this connection; end one first", maxSearches,
		)})
		return
	}
	c.hub.metrics.searches.Inc()
	go func() {
		defer c.asking.Done()
		defer c.hub.metrics.searches.Dec()
		defer cancel()
		err := c.search(ctx, rq, s)
		c.mu.Lock()
		s.done = true
		c.running--
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // else nobody waits for it
			s.problem = &problem.Of(ctx, err).Problem
		}
		c.mu.Unlock()
		wake(c.stir)
	}()
}

// search asks the server and keeps what it answers until it is told.
func (c *conn) search(ctx context.Context, rq client.LiveSearch, s *search) error {
	c.hub.mu.Lock()
	user := c.user
	c.hub.mu.Unlock()
	if rq.Studies == nil {
		return &refusal.Invalid{Field: "search.studies", Reason: "say which studies are wanted"}
	}
	if err := c.hub.people.Site.Admit(ctx, user); err != nil {
		return err
	}
	wanted := view.StudySearch(*rq.Studies)
	var cut bool
	wanted.Cut = &cut
	for study, err := range c.hub.engine.Query.Studies(ctx, user, rq.Server, wanted) {
		if err != nil {
			return err
		}
		c.mu.Lock()
		s.found = append(s.found, view.Study(study))
		s.count++
		c.mu.Unlock()
		wake(c.stir)
	}
	c.mu.Lock()
	s.cut = cut
	c.mu.Unlock()
	return ctx.Err()
}

// endSearch ends a search, at the server too.
func (c *conn) endSearch(id string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.searches[id]; s != nil {
		s.cancel()
		delete(c.searches, id)
	}
}

// found returns what is to be told of searches now, and when there is more. Under c.mu.
func (c *conn) found(now time.Time) (messages []*websocket.PreparedMessage, next time.Duration) {
	next = time.Hour
	for id, s := range c.searches {
		if len(s.found) == 0 && !s.done {
			continue
		}
		if wait := pace - now.Sub(s.told); wait > 0 && !s.done {
			next = min(next, wait)
			continue
		}
		news := client.LiveFound{Studies: s.found, Count: s.count, Done: s.done, Failed: s.problem != nil, Truncated: s.cut}
		text, err := json.Marshal(news)
		if err != nil {
			panic(err) // it holds texts and numbers
		}
		messages = append(messages, prepare(searchTopic+id, false, append([]byte(`,"found":`), text...)))
		s.found, s.told = nil, now
		if s.done {
			delete(c.searches, id)
			if s.problem != nil {
				messages = append(messages, endOf(searchTopic+id, *s.problem))
			}
		}
	}
	return messages, next
}
