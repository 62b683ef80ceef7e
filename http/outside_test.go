// SPDX-License-Identifier: AGPL-3.0-or-later

package http

import (
	"context"
	"crypto/tls"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/http/problem"
	"github.com/adit-go/adit/internal/testpeer"
)

func TestOutside(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	for name, test := range map[string]struct {
		peer   string // 10.0.0.1:80 if empty
		header string // "Name: value" by line
		want   string // caller, scheme, host; none: refused
	}{
		"no proxy":                {peer: "192.0.2.1:4711", want: "192.0.2.1:4711 http adit"},
		"nobody is believed":      {peer: "192.0.2.1:4711", header: "X-Forwarded-For: 1.1.1.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: evil\nForwarded: for=1.1.1.1;proto=https", want: "192.0.2.1:4711 http adit"},
		"a proxy":                 {header: "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https\nX-Forwarded-Host: adit.example", want: "192.0.2.1:0 https adit.example"},
		"a proxy says nothing":    {want: "10.0.0.1:80 http adit"},
		"what the caller invents": {header: "X-Forwarded-For: 1.1.1.1, 192.0.2.1", want: "192.0.2.1:0 http adit"},
		"on lines of its own":     {header: "X-Forwarded-For: 1.1.1.1\nX-Forwarded-For: 192.0.2.1\nX-Forwarded-For: 10.9.9.9", want: "192.0.2.1:0 http adit"},
		"two proxies":             {header: "X-Forwarded-For: 192.0.2.1, 10.0.0.2", want: "192.0.2.1:0 http adit"},
		"proxies only":            {header: "X-Forwarded-For: 10.0.0.3, 10.0.0.2", want: "10.0.0.3:0 http adit"},
		"no address":              {header: "X-Forwarded-For: 1.1.1.1, unknown, 10.0.0.2", want: "10.0.0.2:0 http adit"},
		"with port":               {header: "X-Forwarded-For: 192.0.2.1:55", want: "192.0.2.1:0 http adit"},
		"IPv6":                    {peer: "[fd00::1]:80", header: "X-Forwarded-For: 2001:db8::7", want: "[2001:db8::7]:0 http adit"},
		"IPv6 with port":          {header: "X-Forwarded-For: [2001:db8::7]:1", want: "[2001:db8::7]:0 http adit"},
		"IPv4 in IPv6":            {peer: "[::ffff:10.0.0.1]:80", header: "X-Forwarded-For: ::ffff:192.0.2.1", want: "192.0.2.1:0 http adit"},
		"proto of the nearest":    {header: "X-Forwarded-For: 192.0.2.1\nX-Forwarded-Proto: https, http", want: "192.0.2.1:0 http adit"},
		"RFC 7239":                {header: `Forwarded: for=192.0.2.1;proto=https;host="adit.example:8443"`, want: "192.0.2.1:0 https adit.example:8443"},
		"RFC 7239, IPv6":          {header: `Forwarded: For="[2001:db8::7]:4711" ; Proto=HTTPS`, want: "[2001:db8::7]:0 https adit"},
		"RFC 7239, two proxies":   {header: "Forwarded: for=1.1.1.1;proto=http;host=evil, for=192.0.2.1;proto=https;host=adit.example, for=10.0.0.2;proto=http;host=inner", want: "192.0.2.1:0 https adit.example"},
		"RFC 7239, hidden":        {header: "Forwarded: for=_hidden;proto=https", want: "10.0.0.1:80 https adit"},
		"both, alike":             {header: "X-Forwarded-For: 192.0.2.1\nForwarded: for=192.0.2.1", want: "192.0.2.1:0 http adit"},
		"both, not alike":         {header: "X-Forwarded-For: 192.0.2.1\nForwarded: for=1.1.1.1"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://adit/x", http.NoBody)
			if r.RemoteAddr = test.peer; r.RemoteAddr == "" {
				r.RemoteAddr = "10.0.0.1:80"
			}
			for line := range strings.Lines(test.header) {
				name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
				r.Header.Add(name, value)
			}
			got := ""
			w := httptest.NewRecorder()
			outside(nil, proxies)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				got = fmt.Sprint(r.RemoteAddr, " ", r.URL.Scheme, " ", r.Host)
			})).ServeHTTP(w, r)
			require.Equal(t, test.want, got)
			if test.want == "" {
				require.Equal(t, 400, w.Code)
				require.Contains(t, w.Body.String(), "name two senders")
			}
		})
	}
}

func FuzzOutside(f *testing.F) {
	f.Add("192.0.2.1, 10.0.0.1", "for=192.0.2.1;proto=https", "https")
	f.Add("[::1]:5,", `for="[::1]:5";;=,`, ",")
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	f.Fuzz(func(t *testing.T, usual, standard, proto string) {
		r := httptest.NewRequest(http.MethodGet, "http://adit/x", http.NoBody)
		r.RemoteAddr = "10.0.0.1:80"
		r.Header.Set("X-Forwarded-For", usual)
		r.Header.Set("Forwarded", standard)
		r.Header.Set("X-Forwarded-Proto", proto)
		outside(nil, proxies)(
			http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}),
		).ServeHTTP(httptest.NewRecorder(), r)
		_, err := netip.ParseAddrPort(r.RemoteAddr) // what it knows of r is written there
		require.NoError(t, err)
		require.Contains(t, []string{"", "http", "https"}, r.URL.Scheme)
	})
}

func TestScheme(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "adit.example"}
	plain := httptest.NewRequest(http.MethodGet, "http://adit/x", http.NoBody)
	encrypted := httptest.NewRequest(http.MethodGet, "http://adit/x", http.NoBody)
	encrypted.TLS = &tls.ConnectionState{}
	for _, test := range []struct {
		public *url.URL
		r      *http.Request
		hsts   bool
	}{
		{nil, plain, false},
		{public, plain, true},
		{nil, encrypted, true},
		{&url.URL{Scheme: "http", Host: "adit.example"}, plain, false},
	} {
		w := httptest.NewRecorder()
		outside(test.public, nil)(hardened(http.NotFoundHandler())).ServeHTTP(w, test.r)
		require.Equal(t, test.hsts, w.Header().Get("Strict-Transport-Security") != "")
	}
}

func TestOurHost(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "adit.example:8443"}
	for host, want := range map[string]struct{ public, plain, encrypted int }{
		"127.0.0.1:8080": {204, 204, 204}, "[::1]:8080": {204, 204, 204},
		"::1": {204, 204, 204}, "10.1.2.3": {204, 204, 204}, "localhost:8080": {204, 204, 204},
		"adit.example:8443": {204, 421, 204}, "adit.example": {204, 421, 204}, "ADIT.example:1": {204, 421, 204},
		"pacs7.clinic.example": {421, 204, 204}, "PACS7:8080": {421, 204, 204}, "pacs7.evil.example": {421, 421, 204},
		"evil.example": {421, 421, 204}, "adit.example.evil": {421, 421, 204},
		"xadit.example": {421, 421, 204}, "": {421, 421, 204},
		"127.0.0.1.evil.example":      {421, 421, 204},
		"localhost.evil.example:8080": {421, 421, 204}, "0x7f.1": {421, 421, 204},
	} {
		ask := func(public *url.URL, machine, scheme string) (int, string) {
			r := httptest.NewRequest(http.MethodGet, "/x", http.NoBody)
			r.Host, r.URL.Scheme = host, scheme
			w := httptest.NewRecorder()
			done := http.HandlerFunc(
				func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
			)
			ourHost(public, machine)(done).ServeHTTP(w, r)
			return w.Code, w.Body.String()
		}
		got, _ := ask(public, "pacs7.clinic.example", "https")
		require.Equal(t, want.public, got, "%s, with a public address", host)
		got, said := ask(nil, "pacs7.clinic.example", "http")
		require.Equal(t, want.plain, got, "%s, plain", host)
		require.Equal(t, got == 421, strings.Contains(said, "--public-url"))
		got, _ = ask(nil, "pacs7.clinic.example", "https")
		require.Equal(t, want.encrypted, got, "%s, encrypted", host)
		if got, _ = ask(nil, "", "http"); want.encrypted != want.plain {
			require.Equal(t, 421, got, "%s, where the machine has no name", host)
		}
	}
}

// The Host header may be what a proxy makes of it; the public address is ours all the same, and no other.
func TestSameOriginBehindProxy(t *testing.T) {
	public := &url.URL{Scheme: "https", Host: "adit.example"}
	for origin, want := range map[string]int{
		"https://adit.example": 204, "https://evil.example": 403, "http://adit.example": 403, "null": 403,
	} {
		r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:8080/x", http.NoBody)
		r.Header.Set("Origin", origin)
		w := httptest.NewRecorder()
		sameOrigin(public, nil)(
			http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }),
		).ServeHTTP(w, r)
		require.Equal(t, want, w.Code, origin)
	}
}

func TestAdmin(t *testing.T) {
	get := func(profiles bool, host, path string, header ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, "http://"+host+path, http.NoBody)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		ready := func(context.Context) error { return nil }
		Admin(prometheus.NewRegistry(), ready, profiles, testpeer.Log(t)).ServeHTTP(w, r)
		return w
	}
	require.Equal(t, 200, get(true, "localhost", "/metrics").Code)
	require.Equal(t, 200, get(false, "10.0.0.1", "/readyz").Code, "where no people are served, it is the only probe")
	require.Equal(t, 200, get(true, "127.0.0.1:9464", "/debug/pprof/").Code)
	require.Contains(t, get(true, "localhost", "/debug/pprof/goroutine?debug=1").Body.String(), "goroutine profile")
	require.Equal(t, 403, get(true, "evil.example", "/debug/pprof/").Code, "a name that was pointed here")
	require.Equal(t, 403, get(true, "localhost", "/metrics", "Sec-Fetch-Site", "cross-site").Code)
	require.Equal(t, 403, get(true, "localhost", "/metrics", "Origin", "null").Code)
	require.Equal(t, 404, get(true, "localhost", "/api/v1/jobs").Code)
	// Where other machines reach it, it is asked by any name, and shows no inside.
	require.Equal(t, 200, get(false, "adit.example", "/metrics").Code)
	require.Equal(t, 404, get(false, "adit.example", "/debug/pprof/").Code)
}

// TestFramed: a page of ours may read in a frame why something is refused; all else is in no frame.
func TestFramed(t *testing.T) {
	refuses := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		problem.Refuse(w, r, http.StatusNotFound, "There is no such study.")
	})
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(http.StatusOK)
	})
	for name, test := range map[string]struct {
		next            http.Handler
		dest            string
		policy, written string
	}{
		"refused in a frame": {refuses, "iframe", refusalPolicy, "application/json"},
		"refused elsewhere":  {refuses, "empty", contentPolicy, problem.Type},
		"refused a program":  {refuses, "", contentPolicy, problem.Type},
		"a page in a frame":  {page, "iframe", contentPolicy, "text/html; charset=utf-8"},
	} {
		t.Run(name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "http://adit/api/v1/x", http.NoBody)
			r.Header.Set("Sec-Fetch-Dest", test.dest)
			w := httptest.NewRecorder()
			hardened(framed(test.next)).ServeHTTP(w, r)
			require.Equal(t, test.policy, w.Header().Get("Content-Security-Policy"))
			require.Equal(t, test.written, w.Header().Get("Content-Type"))
		})
	}
}
