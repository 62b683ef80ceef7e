// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

// Package browser runs the tests of the web pages: Debian's Chromium against the program with a database and two
// Orthancs. What is done in the browser is written in ui/e2e/flows, a file for each test.
package browser

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/test/process"
)

var (
	pictures = flag.String("pictures", "", "FOLDER that pictures of all pages are written to")
	only     = flag.String("only", "", "REGEXP of the states that pictures are taken of; all by default")
)

// TestScreenshots takes pictures of all pages of a demo, in all their states.
func TestScreenshots(t *testing.T) {
	if *pictures == "" {
		t.Skip("make screenshots takes them")
	}
	adit := process.Serve(t, filepath.Join(t.TempDir(), "data"), "--demo", "--lease", "10s")
	found := regexp.MustCompile(`as admin with the password (\S+)`).FindStringSubmatch(adit.Banner)
	require.Len(t, found, 2, adit.Banner)
	known, err := json.Marshal(world{URL: adit.URL, Password: found[1]})
	require.NoError(t, err)
	node := exec.CommandContext(t.Context(), "node", "e2e/pictures.mjs", *pictures, *only)
	node.Dir = "../../ui"
	node.Env = append(os.Environ(), "ADIT_WORLD="+string(known))
	out, err := node.CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// TestCrawl runs the flow that takes longest, beside the others.
func TestCrawl(t *testing.T) {
	t.Parallel()
	run(t, crawl, newWorld(t, crawl, startPeers(t)))
}

const crawl = "crawl"

// TestPages runs each other file of ui/e2e/flows.
func TestPages(t *testing.T) {
	t.Parallel()
	flows, err := filepath.Glob("../../ui/e2e/flows/*.mjs")
	require.NoError(t, err)
	require.NotEmpty(t, flows)
	both := startPeers(t)
	for _, flow := range flows {
		name := strings.TrimSuffix(filepath.Base(flow), ".mjs")
		if name == crawl {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, name, newWorld(t, name, both))
		})
	}
}

// run runs a flow, and shows what it says if it fails. A line that begins with @ is a wish, which is granted and
// answered by a line.
func run(t *testing.T, flow string, w *world) {
	known, err := json.Marshal(w)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 20*process.Deadline)
	defer cancel()
	node := exec.CommandContext(ctx, "node", "e2e/run.mjs", flow)
	node.Dir = "../../ui"
	node.Env = append(os.Environ(), "ADIT_WORLD="+string(known))
	node.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	node.Cancel = func() error { return syscall.Kill(-node.Process.Pid, syscall.SIGKILL) }
	node.WaitDelay = 5 * time.Second
	var faults bytes.Buffer
	node.Stderr = &faults
	said, err := node.StdoutPipe()
	require.NoError(t, err)
	answer, err := node.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, node.Start())
	for lines := bufio.NewScanner(said); lines.Scan(); {
		wish, ok := strings.CutPrefix(lines.Text(), "@")
		if !ok {
			t.Log(lines.Text())
			continue
		}
		w.grant(t, wish)
		_, err := io.WriteString(answer, "done\n")
		require.NoError(t, err)
	}
	if err := node.Wait(); err != nil {
		t.Errorf("%s: %v\n%s", flow, err, faults.String())
	}
}
