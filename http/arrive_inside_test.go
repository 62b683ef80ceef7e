// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/http/route"
)

// A body that comes too slowly is given up before anything else is done; what comes in time arrives as it was sent.
func TestArrived(t *testing.T) {
	got := make(chan string, 1)
	srv := httptest.NewServer(
		arrived(50 * time.Millisecond)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			got <- string(body)
			if err != nil {
				panic(http.ErrAbortHandler)
			}
		})),
	)
	defer srv.Close()
	client := srv.Client()
	post := func(body io.Reader) (int, error) {
		rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, srv.URL, body)
		require.NoError(t, err)
		rsp, err := client.Do(rq)
		if err != nil {
			return 0, err
		}
		return rsp.StatusCode, rsp.Body.Close()
	}
	for name, body := range map[string]string{
		"empty": "", "small": "x", "all of it": strings.Repeat("y", route.SmallBody),
		"large": strings.Repeat("z", 3*route.SmallBody),
	} {
		// with a length, and chunked
		for _, r := range []io.Reader{strings.NewReader(body), io.MultiReader(strings.NewReader(body))} {
			status, err := post(r)
			require.NoError(t, err)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, body, <-got, name)
		}
	}
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("a beginning")) }() // and nothing more
	status, err := post(r)
	if err == nil { // else the client saw the end of the connection first
		require.Equal(t, http.StatusRequestTimeout, status)
	}
	require.NoError(t, w.CloseWithError(errors.New("enough")))
	require.Empty(t, got)
}
