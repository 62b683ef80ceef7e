// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
)

func TestCountedJSON(t *testing.T) {
	for body, fits := range map[string]bool{
		`{"a":[1,2,3]}`:                       true,
		`{"a":[1,2,3,4]}`:                     false,
		`{"a":"[{,,,,,,"}`:                    true,
		`{"a":"\"[{,,,,"}`:                    true,
		`{"a":"\\",[{,,,,}`:                   false,
		`[[[[[`:                               false,
		`"` + strings.Repeat("[", 1000) + `"`: true,
	} {
		for _, r := range []io.Reader{strings.NewReader(body), oneByte{strings.NewReader(body)}} {
			_, err := io.ReadAll(&countedJSON{ReadCloser: io.NopCloser(r), left: 4})
			require.Equal(t, fits, err == nil, body)
			require.Equal(t, !fits, errors.Is(err, errTooManyValues), body)
		}
	}
}

// oneByte reads one byte at a time: a text may be parted anywhere.
type oneByte struct{ io.Reader }

func (r oneByte) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(1, len(p))]) }

func TestCrowd(t *testing.T) {
	c := crowd{running: map[int64]int{}}
	for range maxOfUser {
		require.True(t, c.enter(1))
	}
	require.False(t, c.enter(1))
	require.True(t, c.enter(2))
	c.leave(1)
	require.True(t, c.enter(1))
	for range maxOfUser {
		c.leave(1)
	}
	c.leave(2)
	require.Empty(t, c.running, "who has none is forgotten")
}

// held serves a route that stays until it is let go, behind a middleware.
func held(t *testing.T, middleware func(huma.Context, func(huma.Context))) (ask func(length int64) int, entered <-chan struct{}, leave func()) {
	t.Helper()
	router := chi.NewRouter()
	api := humachi.New(router, huma.DefaultConfig("x", "1"))
	in, out := make(chan struct{}, 1000), make(chan struct{})
	huma.Register(api, huma.Operation{OperationID: "x", Method: http.MethodPost, Path: "/x", Middlewares: huma.Middlewares{middleware}},
		func(context.Context, *struct{}) (*struct{}, error) {
			in <- struct{}{}
			<-out
			return nil, nil //nolint:nilnil // no content
		})
	return func(length int64) int {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/x", http.NoBody)
		r.ContentLength = length
		router.ServeHTTP(w, r)
		if w.Code >= 400 {
			require.NotEmpty(t, w.Header().Get("Retry-After"))
		}
		return w.Code
	}, in, func() { close(out) }
}

// What callers hold who aren't known ends at a limit, and so do large bodies; what is let go can be had again.
func TestLimits(t *testing.T) {
	for name, test := range map[string]struct {
		middleware     func(huma.Context, func(huma.Context))
		length, beside int64 // of the requests that are held; of one that passes all the same, if there is
		most           int
	}{
		"unknown": {unknown(), 0, -2, maxOpen},
		"large":   {bounded(4 * largeBody), largeBody + 1, largeBody, maxLarge},
		"chunked": {bounded(4 * largeBody), -1, 0, maxLarge},
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
}
