// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"compress/gzip"
	"context"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The page that shows the document is whole and comes from here alone.
func TestDocsPage(t *testing.T) {
	s := newSite(t)
	page := s.send("GET", "/api/docs", "", "Authorization", "")
	require.Equal(t, 200, page.StatusCode)
	require.Equal(t, "text/html; charset=utf-8", page.Header.Get("Content-Type"))
	require.NotContains(t, page.body, "//", "nothing from elsewhere")
	require.NotContains(t, page.body, "<style", "which the policy of our pages does not allow")
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".png": "image/png",
	}
	assets := regexp.MustCompile(`(?:src|href)="(/api/docs/[^"]+)"`).FindAllStringSubmatch(page.body, -1)
	require.Len(t, assets, 4)
	for _, asset := range assets {
		plain := s.send("GET", asset[1], "", "Authorization", "", "Accept-Encoding", "identity")
		require.Equal(t, 200, plain.StatusCode, asset[1])
		require.Equal(t, types[asset[1][strings.LastIndexByte(asset[1], '.'):]], plain.Header.Get("Content-Type"))
		require.Empty(t, plain.Header.Get("Content-Encoding"))

		packed := s.send("GET", asset[1], "", "Authorization", "", "Accept-Encoding", "gzip")
		text := packed.body
		if packed.Header.Get("Content-Encoding") == "gzip" {
			unpack, err := gzip.NewReader(strings.NewReader(packed.body))
			require.NoError(t, err)
			all, err := io.ReadAll(unpack)
			require.NoError(t, err)
			text = string(all)
		}
		require.Equal(t, plain.body, text)
	}
	require.Equal(t, 404, s.send("GET", "/api/docs/nothing.js", "", "Authorization", "").StatusCode)
}

// A browser shows the operations, and refuses nothing that the page wants to do.
func TestDocsInABrowser(t *testing.T) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		t.Skip("there is no chromium here")
	}
	s := newSite(t)
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
		"--user-data-dir="+t.TempDir(), "--virtual-time-budget=30000", "--enable-logging=stderr",
		"--dump-dom", s.url+"/api/docs")
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	var said strings.Builder
	cmd.Stderr = &said
	dom, err := cmd.Output()
	require.NoError(t, err, said.String())
	require.Contains(t, string(dom), `id="operations-Jobs-create-job"`)
	require.NotContains(t, said.String(), "CONSOLE", "the browser has nothing to complain of")
	require.NotContains(t, string(dom), "errors-wrapper")
}
