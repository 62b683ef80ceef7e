// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/auth"
	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/http/route/internal/strictjson"
)

const (
	maxOfUser = 32 // requests of one user at once, of the many that are served: nobody takes them all

	maxOpen = 32 // requests at once of callers who need not be known: they may be slow on purpose

	largeBody  = 1 << 20 // bytes; a body that may be larger waits for nobody's
	maxLarge   = 1       // of those at once: checking one takes about ten times its size
	retryLarge = 5 * time.Second

	// bytesPerValue is what a value of JSON takes in a body at least, taken over the whole: one of ours takes more. A
	// body of nothing but brackets would become thousands of times its size otherwise.
	bytesPerValue = 32
	fewestValues  = 1000
)

// A property that is written in another case is another property.
func init() { huma.ValidateStrictCasing = true }

// shared refuses what a user asks beyond maxOfUser at once. It stands behind auth.Require.
func shared(next http.Handler) http.Handler {
	c := NewCrowd[int64](maxOfUser)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user := auth.User(r.Context()).ID
		if !c.Enter(user) {
			problem.Write(w, r, problem.New(
				http.StatusTooManyRequests, "You have too many requests at once; wait until some are answered.",
			).Retry(time.Second))
			return
		}
		defer c.Leave(user)
		next.ServeHTTP(w, r)
	})
}

// Crowd counts what each of many, such as users or addresses, has at once, within a bound.
type Crowd[K comparable] struct {
	most    int
	mu      sync.Mutex
	running map[K]int
}

// NewCrowd returns a crowd of whom each may have so many.
func NewCrowd[K comparable](most int) *Crowd[K] { return &Crowd[K]{most: most, running: map[K]int{}} }

// Enter counts one more, and reports whether there may be one. Each that may has to Leave.
func (c *Crowd[K]) Enter(who K) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[who] >= c.most {
		return false
	}
	c.running[who]++
	return true
}

// Leave counts one less.
func (c *Crowd[K]) Leave(who K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running[who]--; c.running[who] == 0 {
		delete(c.running, who)
	}
}

// unknown bounds what callers hold who need not be known.
func unknown() func(huma.Context, func(huma.Context)) {
	slots := make(chan struct{}, maxOpen)
	return func(ctx huma.Context, next func(huma.Context)) {
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
			next(ctx)
		default:
			r, w := humachi.Unwrap(ctx)
			problem.Write(w, r, problem.New(
				http.StatusServiceUnavailable, "ADIT has too many of these requests at once; try again in a moment.",
			).Retry(time.Second))
		}
	}
}

// large are the slots of bodies that may be large, of all routes together: of those that are there and being checked.
var large = make(chan struct{}, maxLarge)

// bounded reads a body, and bounds what that and checking it take: how fast it has to come, how much is held, how many
// large ones are checked at once, and how many values one may hold. No place is taken for a body that isn't there.
func bounded(op Operation, user func(*http.Request) int64) func(huma.Context, func(huma.Context)) {
	values := max(op.Body/bytesPerValue, fewestValues)
	return func(ctx huma.Context, next func(huma.Context)) {
		r, w := humachi.Unwrap(ctx)
		if r.Body == nil {
			next(ctx)
			return
		}
		if !op.Raw { // huma takes more for JSON than says so
			r.Body = strictjson.New(r.Body, values)
		}
		if op.Body > SmallBody && (r.ContentLength < 0 || r.ContentLength > SmallBody) {
			pieces, done, err := arriving.read(w, r, op, user(r))
			defer done()
			if err != nil {
				w.Header().Set("Connection", "close")
				problem.Write(w, r, Unread(err))
				return
			}
			if r.Body = pieces; pieces.size > largeBody {
				if waitForLarge(r.Context()) {
					defer func() { <-large }()
				} else {
					problem.Write(w, r, problem.New(
						http.StatusServiceUnavailable, "ADIT is busy with other large requests; try again in a moment.",
					).Retry(retryLarge))
					return
				}
			}
		}
		next(ctx)
	}
}

// largePatience is how long a large body that is there waits for others to be checked.
var largePatience = 10 * time.Second

// waitForLarge takes a slot of large.
func waitForLarge(ctx context.Context) bool {
	timer := time.NewTimer(largePatience)
	defer timer.Stop()
	select {
	case large <- struct{}{}:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// formats has a large body of JSON read by the types of the requests that may have one before it is checked value by
// value, which notes each that is of another kind.
func formats(all map[string]huma.Format) map[string]huma.Format {
	all = maps.Clone(all)
	for name, f := range all {
		decode := f.Unmarshal
		f.Unmarshal = func(data []byte, v any) error {
			if _, first := v.(*any); first && len(data) > largeBody {
				if err := ofLarge(data); err != nil {
					return err
				}
			}
			return decode(data, v)
		}
		all[name] = f
	}
	return all
}

// ofLarge refuses a large body that is of no request that may have one.
func ofLarge(data []byte) (err error) {
	for _, body := range []any{
		&client.BatchToCheck{}, &client.NewBatchQuery{}, &client.NewBatchTransfer{}, &client.NewJob{},
		&client.NewMassTransfer{}, &client.FilterTable{}, &client.NewRecurrence{},
	} {
		strict := json.NewDecoder(bytes.NewReader(data))
		strict.DisallowUnknownFields()
		if err = strict.Decode(body); err == nil {
			return nil
		}
	}
	return err
}
