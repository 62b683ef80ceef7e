// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"bufio"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// slow begins a request whose body doesn't come, and returns when the server waits for it, or has refused to.
func slow(t *testing.T, addr, head, body string) (answer string) {
	t.Helper()
	conn := dial(t, "127.0.0.1", addr)
	_, err := io.WriteString(
		conn, head+"Host: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\r\n",
	)
	require.NoError(t, err)
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	_, _ = io.WriteString(conn, body) // a refused one hangs up
	return line
}

func TestSlowBodies(t *testing.T) {
	s := newSite(t)
	s.addUser(client.NewUser{Username: "reader"})
	addr := strings.TrimPrefix(s.url, "http://")
	for i := range 40 {
		length := "Content-Length: 100\r\n"
		if i%2 == 0 {
			length = "Transfer-Encoding: chunked\r\n"
		}
		require.Contains(
			t, slow(t, addr, "POST /api/v1/session HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\n"+length, "5\r\n{\"use"),
			"100",
		)
	}
	got := s.as("POST", "/api/v1/session", login("reader", password))
	require.Equal(t, 200, got.StatusCode, "slow bodies keep nobody out: %s", got.body)

	var refused string
	for range 40 {
		if line := slow(
			t, addr, "POST /api/v1/session HTTP/1.1\r\nX-Forwarded-For: 192.0.2.7\r\nContent-Length: 100\r\n", "{",
		); !strings.Contains(line, "100") {
			refused = line
			break
		}
	}
	require.Contains(t, refused, "429", "one address has so many on their way")
	got = s.as("POST", "/api/v1/session", login("reader", password), "X-Forwarded-For", "192.0.2.8")
	require.Equal(t, 200, got.StatusCode, "%s", got.body)
}

// Large bodies that come slowly, of somebody who is known, keep nobody from making jobs.
func TestSlowJobs(t *testing.T) {
	s := newSite(t)
	s.addServer("PACS 1", "PACS1", nil)
	s.addServer("PACS 2", "PACS2", nil)
	addr := strings.TrimPrefix(s.url, "http://")
	for range 6 {
		head := "POST /api/v1/jobs HTTP/1.1\r\nAuthorization: Token " + s.token + "\r\nTransfer-Encoding: chunked\r\n"
		require.Contains(t, slow(t, addr, head, "20000\r\n"+strings.Repeat(" ", 0x20000)), "100")
	}
	_, err := s.client.Jobs.Create(t.Context(), transfer("1.2.3"), "")
	require.NoError(t, err)
	large := `{"kind":"selective_transfer","source":"PACS 1","destination":"PACS 2","studies":[{"study_instance_uid":"1.2.4"}]}` +
		strings.Repeat(" ", 2<<20)
	got := s.send("POST", "/api/v1/jobs", large)
	require.Equal(t, 201, got.StatusCode, got.body)
}

// Whatever huma takes for JSON has the same bound, and what is not JSON none of it.
func TestManyValues(t *testing.T) {
	s := newSite(t)
	many := "[" + strings.Repeat("[],", 5000) + "0]"
	deep := strings.Repeat("[", 200) + strings.Repeat("]", 200)
	for _, media := range []string{
		"application/json", "application/json; charset=utf-8", "text/x+json", "TEXT/x+json",
		"application/problem+json", "application/yaml+json", "text/csv+json",
		"text/html; a=+json", "",
	} {
		for name, body := range map[string]string{"many": many, "deep": deep} {
			got := s.send("POST", "/api/v1/tokens", body, "Content-Type", media)
			require.Equal(t, 413, got.StatusCode, "%s as %q: %s", name, media, got.body)
		}
	}
}
