// SPDX-License-Identifier: AGPL-3.0-or-later

package route

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
)

func TestCrowd(t *testing.T) {
	c := NewCrowd[int64](maxOfUser)
	for range maxOfUser {
		require.True(t, c.Enter(1))
	}
	require.False(t, c.Enter(1))
	require.True(t, c.Enter(2))
	c.Leave(1)
	require.True(t, c.Enter(1))
	for range maxOfUser {
		c.Leave(1)
	}
	c.Leave(2)
	require.Empty(t, c.running, "who has none is forgotten")
}

// held serves a route that stays until it is let go, behind a middleware.
func held(t *testing.T, middleware func(huma.Context, func(huma.Context))) (
	ask func(length int) int, entered <-chan struct{}, leave func(),
) {
	t.Helper()
	router := chi.NewRouter()
	api := humachi.New(router, huma.DefaultConfig("x", "1"))
	in, out := make(chan struct{}, 1000), make(chan struct{})
	huma.Register(api, huma.Operation{
		OperationID: "x", Method: http.MethodPost, Path: "/x", Middlewares: huma.Middlewares{middleware},
	},
		func(context.Context, *struct{}) (*struct{}, error) {
			in <- struct{}{}
			<-out
			return nil, nil //nolint:nilnil // no content
		})
	return func(length int) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/x", io.LimitReader(blanks{}, int64(length)))
		r.ContentLength = -1
		router.ServeHTTP(w, r)
		if w.Code >= 400 {
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
		return w.Code
	}, in, func() { close(out) }
}

// blanks have no end.
type blanks struct{}

func (blanks) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	return len(p), nil
}

// anyone is a user of their own for each body.
func anyone() func(*http.Request) int64 {
	var last atomic.Int64
	return func(*http.Request) int64 { return last.Add(1) }
}

// What callers hold who aren't known ends at a limit, and so do large bodies; what is released is available again.
func TestLimits(t *testing.T) {
	op := Operation{Body: 4 * largeBody, Timeout: time.Minute}
	patience := largePatience
	largePatience = time.Millisecond
	t.Cleanup(func() { largePatience = patience })
	for name, test := range map[string]struct {
		middleware     func(huma.Context, func(huma.Context))
		length, beside int // of the requests that are held; of one that passes all the same, if there is
		most           int
	}{
		"unknown": {unknown(), 0, -2, maxOpen},
		"large":   {bounded(op, anyone()), largeBody + 1, largeBody, maxLarge},
	} {
		t.Run(name, func(t *testing.T) {
			ask, entered, leave := held(t, test.middleware)
			var all sync.WaitGroup
			for range test.most {
				all.Go(func() { _ = ask(test.length) })
			}
			for range test.most {
				<-entered
			}
			require.Equal(t, http.StatusServiceUnavailable, ask(test.length))
			if test.beside >= 0 {
				all.Go(func() { _ = ask(test.beside) })
				<-entered
			}
			leave()
			all.Wait()
			require.Equal(t, http.StatusNoContent, ask(test.length))
		})
	}
	require.Empty(t, arriving.of)
	require.Zero(t, arriving.all)
}

// A body that is on its way takes no place, and of the memory only what of it is there.
func TestSlowLargeBodies(t *testing.T) {
	op := Operation{Body: 24 * largeBody, Timeout: time.Minute}
	ask, _, leave := held(t, bounded(op, anyone()))
	leave()
	router := chi.NewRouter()
	api := humachi.New(router, huma.DefaultConfig("x", "1"))
	huma.Register(api, huma.Operation{
		OperationID: "x", Method: http.MethodPost, Path: "/x",
		Middlewares: huma.Middlewares{bounded(op, anyone())},
	}, func(context.Context, *struct{}) (*struct{}, error) { return nil, nil }) //nolint:nilnil // no content
	var slow sync.WaitGroup
	const many = 4 * maxLarge
	started := make(chan struct{}, many)
	var ends []*io.PipeWriter
	for range many {
		body, end := io.Pipe()
		ends = append(ends, end)
		slow.Go(func() {
			r := httptest.NewRequest(http.MethodPost, "/x", body)
			r.ContentLength = -1
			router.ServeHTTP(httptest.NewRecorder(), r)
		})
		go func() {
			_, _ = end.Write(make([]byte, 2*piece)) // it returns when all was read
			started <- struct{}{}
		}()
	}
	for range many {
		<-started
	}
	require.Equal(t, http.StatusNoContent, ask(2*largeBody), "many slow bodies keep nobody out")
	for _, end := range ends {
		require.NoError(t, end.CloseWithError(io.ErrUnexpectedEOF))
	}
	slow.Wait()
	require.Zero(t, arriving.all)
}

// One user's bodies take a part of the memory for bodies, and give it back.
func TestHeldBodies(t *testing.T) {
	h := holding{of: map[int64]int64{}}
	require.True(t, h.take(1, heldOfUser))
	require.False(t, h.take(1, 1))
	require.True(t, h.take(2, heldOfUser))
	require.False(t, h.take(3, heldOfUser), "all together")
	h.give(1, heldOfUser)
	require.True(t, h.take(3, heldOfUser))
	h.give(2, heldOfUser)
	h.give(3, heldOfUser)
	require.Empty(t, h.of)
	require.Zero(t, h.all)
}
