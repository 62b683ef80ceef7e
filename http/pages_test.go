// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	adithttp "github.com/adit-go/adit/http"
)

// TestPages: browsers get the pages, at whatever address; programs get what the API says.
func TestPages(t *testing.T) {
	script := strings.Repeat("console.log('adit');", 200)
	pages := adithttp.Pages(fstest.MapFS{
		"index.html":          {Data: []byte("<!doctype html><title>ADIT</title>")},
		"assets/main-4f2a.js": {Data: []byte(script)},
		".vite/manifest.json": {Data: []byte("{}")},
		".gitkeep":            {},
		"favicon.svg":         {Data: []byte("<svg/>")},
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	get := func(path string, header ...string) *http.Response {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		pages.ServeHTTP(w, r)
		return w.Result()
	}
	const browser = "text/html,application/xhtml+xml,*/*;q=0.8"
	for _, tc := range []struct {
		name, path, accept, mediaType string
		status                        int
	}{
		{"the start", "/", browser, "text/html; charset=utf-8", 200},
		{"the start, by curl", "/", "*/*", "text/html; charset=utf-8", 200},
		{"the start, by a program that says nothing", "/", "", "text/html; charset=utf-8", 200},
		{"the start, by a program that wants something else", "/", "application/json", "", 404},
		{"DICOMweb", "/dicom-web/PACS/nothing", browser, "", 404},
		{"a page", "/jobs/12?status=failure", browser, "text/html; charset=utf-8", 200},
		{"a program at a page", "/jobs/12", "*/*", "", 404},
		{"the API", "/api/v1/nothing", browser, "", 404},
		{"a script", "/assets/main-4f2a.js", "*/*", "text/javascript; charset=utf-8", 200},
		{"a script of another version", "/assets/main-0000.js", "*/*", "", 404},
		{"an image", "/favicon.svg", "image/*", "image/svg+xml", 200},
		{"a folder", "/assets", "*/*", "", 404},
		{"what is hidden", "/.gitkeep", "*/*", "", 404},
		{"the list of what was built", "/.vite/manifest.json", "*/*", "", 404},
		{"out of the folder", "/../pages.go", "*/*", "", 404},
	} {
		t.Run(tc.name, func(t *testing.T) {
			answer := get(tc.path, "Accept", tc.accept)
			require.NoError(t, answer.Body.Close())
			require.Equal(t, tc.status, answer.StatusCode)
			require.Equal(t, tc.mediaType, answer.Header.Get("Content-Type"))
		})
	}

	packed := get("/assets/main-4f2a.js", "Accept-Encoding", "gzip, br")
	defer packed.Body.Close()
	require.Equal(t, "gzip", packed.Header.Get("Content-Encoding"))
	require.Equal(t, "public, max-age=31536000, immutable", packed.Header.Get("Cache-Control"))
	z, err := gzip.NewReader(packed.Body)
	require.NoError(t, err)
	content, err := io.ReadAll(z)
	require.NoError(t, err)
	require.Equal(t, script, string(content))

	start := get("/", "Accept", browser)
	require.NoError(t, start.Body.Close())
	require.Equal(t, "no-cache", start.Header.Get("Cache-Control"), "a new version is seen at once")
	same := get("/", "Accept", browser, "If-None-Match", start.Header.Get("ETag"))
	require.NoError(t, same.Body.Close())
	require.Equal(t, http.StatusNotModified, same.StatusCode)
}

// TestPagesNotBuilt: a program without pages says how to get them.
func TestPagesNotBuilt(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
	r.Header.Set("Accept", "text/html")
	w := httptest.NewRecorder()
	adithttp.Pages(fstest.MapFS{".gitkeep": {}}, http.NotFound).ServeHTTP(w, r)
	require.Contains(t, w.Body.String(), "make build")
}
