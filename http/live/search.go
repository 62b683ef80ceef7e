// SPDX-License-Identifier: AGPL-3.0-or-later

package live

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/gorilla/websocket"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

const (
	maxSearches = 4    // of a connection at once
	maxStudies  = 1000 // of one search, as by REST
	searchTime  = 5 * time.Minute
	searchTopic = "search:"
)

// searchID is compiled when it is first needed, as the start of a program would pay for it.
var searchID = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Za-z0-9_-]{1,40}$`) })

// search is one under way, or whose end is still to be told. Under conn.mu.
type search struct {
	server  string
	first   bool // that it has begun is still to be told
	cancel  context.CancelFunc
	news    client.LiveFound // what is not told yet
	problem *client.Problem
	told    time.Time
}

// searchOf returns the id of a search from the name of its topic.
func searchOf(topic string) (id string, is bool) { return strings.CutPrefix(topic, searchTopic) }

// beginSearch searches for a connection and nobody else.
func (c *conn) beginSearch(rq client.LiveSearch) {
	if !searchID().MatchString(rq.ID) {
		c.close(closeMalformed, "The id of a search has 1 to 40 letters, digits, - and _.")
		return
	}
	c.endSearch(rq.ID)
	if rq.Studies != nil && rq.Studies.Limit > maxStudies || rq.Series != nil && rq.Series.Limit > query.MaxSeries ||
		rq.Instances != nil && rq.Instances.Limit > query.MaxInstances {
		c.refuse(c.ctx, searchTopic+rq.ID, &refusal.Invalid{
			Field: "limit", Reason: fmt.Sprintf("at most %d, and %d instances", maxStudies, query.MaxInstances),
		})
		return
	}
	ctx, cancel := context.WithTimeout(c.ctx, searchTime)
	s := &search{cancel: cancel, server: rq.Server, first: true}
	c.mu.Lock()
	// One that was ended a moment ago may still hold its association.
	full := len(c.searches) >= maxSearches || c.running >= 2*maxSearches
	if !full {
		c.searches[rq.ID] = s
		wake(c.stir)
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
		s.news.Done = true
		c.running--
		if err != nil && !errors.Is(ctx.Err(), context.Canceled) { // else nobody waits for it
			s.problem, s.news.Failed = &problem.Of(ctx, err).Problem, true
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
	if err := c.hub.people.Site.Admit(ctx, user); err != nil {
		return err
	}
	var cut bool
	var err error
	ask := c.hub.engine.Query
	switch {
	case rq.Studies != nil && rq.Series == nil && rq.Instances == nil:
		found := ask.Studies(ctx, user, rq.Server, view.StudySearch(*rq.Studies, &cut))
		err = take(c, s, found, &s.news.Studies, view.Study)
	case rq.Series != nil && rq.Studies == nil && rq.Instances == nil:
		found := ask.Series(ctx, user, rq.Server, view.SeriesSearch(*rq.Series, &cut))
		err = take(c, s, found, &s.news.Series, view.FoundSeries)
	case rq.Instances != nil && rq.Studies == nil && rq.Series == nil:
		found := ask.Instances(ctx, user, rq.Server, view.InstanceSearch(*rq.Instances, &cut))
		err = take(c, s, found, &s.news.Instances, view.FoundInstance)
	default:
		return &refusal.Invalid{Field: "search", Reason: "say what is wanted: studies, series or instances"}
	}
	c.mu.Lock()
	s.news.Truncated = cut
	c.mu.Unlock()
	return errors.Join(err, ctx.Err())
}

// take keeps what a search yields, until it is told.
func take[E, C any](c *conn, s *search, found iter.Seq2[E, error], news *[]C, convert func(E) C) error {
	for item, err := range found {
		if err != nil {
			return err
		}
		c.mu.Lock()
		*news = append(*news, convert(item))
		s.news.Count++
		c.mu.Unlock()
		wake(c.stir)
	}
	return nil
}

// judgeSearches ends the searches that a user may not make any more.
func (c *conn) judgeSearches(ctx context.Context, user people.User) {
	c.mu.Lock()
	servers := make(map[string]string, len(c.searches))
	for id, s := range c.searches {
		servers[id] = s.server
	}
	c.mu.Unlock()
	for id, server := range servers {
		err := c.hub.engine.Query.May(ctx, user, server)
		if err == nil {
			continue
		}
		if p := problem.Of(ctx, err).Problem; p.Status < http.StatusInternalServerError {
			c.endSearch(id)
			c.say(endOf(searchTopic+id, p))
		}
	}
}

// endSearches ends all searches.
func (c *conn) endSearches() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, s := range c.searches {
		s.cancel()
		delete(c.searches, id)
	}
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
		quiet := len(s.news.Studies)+len(s.news.Series)+len(s.news.Instances) == 0
		if quiet && !s.news.Done && !s.first {
			continue
		}
		if wait := pace - now.Sub(s.told); wait > 0 && !s.news.Done && !s.first {
			next = min(next, wait)
			continue
		}
		messages = append(messages, prepare(searchTopic+id, s.first, append([]byte(`,"found":`), encoded(s.news)...)))
		s.first, s.told = false, now
		s.news.Studies, s.news.Series, s.news.Instances = nil, nil, nil
		if s.news.Done {
			delete(c.searches, id)
			if s.problem != nil {
				messages = append(messages, endOf(searchTopic+id, *s.problem))
			}
		}
	}
	return messages, next
}
