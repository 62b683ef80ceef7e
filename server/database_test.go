// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// The database is killed in mid-transfer: it is started again, and the job ends in Success.
func TestDatabaseKilled(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := process.Serve(t, dir)
	h := process.NewHeld(t)
	h.AddTo(s, folder)
	done := h.Transfer(s)
	h.AwaitReached(t)
	before := process.Postmaster(t, dir)
	require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
	process.Await(t, "a new postmaster", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
		return err == nil && !strings.HasPrefix(string(text), strconv.Itoa(before)+"\n") && s.Get("/readyz") == 200
	})
	h.Release()
	r := process.AwaitResult(t, done)
	require.Equal(t, 0, r.Code, r.Out)
	require.Equal(t, len(h.Study.Instances()), process.CountFiles(t, folder))
}

// The server is killed in mid-transfer and started again: the command that waits notices, and goes on waiting.
func TestServerKilled(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	port := strconv.Itoa(testpeer.Port(t))
	s := process.Serve(t, dir, "--listen", "127.0.0.1:"+port)
	h := process.NewHeld(t)
	h.AddTo(s, folder)
	done := h.Transfer(s)
	h.AwaitReached(t)
	require.NoError(t, s.Cmd.Process.Kill())
	<-s.Ended
	h.Release()
	process.Serve(t, dir, "--listen", "127.0.0.1:"+port)
	r := process.AwaitResult(t, done)
	require.Equal(t, 0, r.Code, r.Out)
	require.Contains(t, r.Out, "All tasks succeeded.")
	require.Equal(t, len(h.Study.Instances()), process.CountFiles(t, folder))
}

// TestDatabaseBroken: what keeps the embedded database from running is said, and waited for: the server stays up,
// isn't ready, and goes on by itself.
func TestDatabaseBroken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := process.Serve(t, dir)
	version := filepath.Join(dir, "postgres", "data", "PG_VERSION")
	was, err := os.ReadFile(version)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(version, []byte("9\n"), 0o600))
	require.NoError(t, syscall.Kill(process.Postmaster(t, dir), syscall.SIGKILL))
	process.Await(t, "readyz 503", func() bool { return s.Get("/readyz") == 503 })
	require.Equal(t, 200, s.Get("/healthz"))
	process.Await(t, "a second try", func() bool {
		return strings.Count(s.Stderr.String(), "a major version of PostgreSQL that is not installed") >= 2
	})
	require.NoError(t, os.WriteFile(version, was, 0o600))
	process.Await(t, "readyz 200", func() bool { return s.Get("/readyz") == 200 })
}

// TestDatabaseAway: a database of somebody else's care that doesn't answer yet is waited for, and one that is not
// available ends the start; both with a sentence.
func TestDatabaseAway(t *testing.T) {
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	run := func(url string) (*exec.Cmd, *testpeer.Buffer) {
		out := &testpeer.Buffer{}
		cmd := exec.Command(
			path, "serve", "--data-dir", filepath.Join(t.TempDir(), "data"),
			"--listen", "127.0.0.1:0", "--dicom-listen", "", "--database-url", url,
		)
		cmd.Stdout, cmd.Stderr = out, out
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, out
	}
	cmd, out := run(fmt.Sprintf("postgres://u:pa55@127.0.0.1:%d/x", testpeer.Port(t)))
	process.Await(t, "a second try", func() bool {
		return strings.Count(out.String(), "the database is not ready yet; ADIT starts when it is") >= 2
	})
	require.NotContains(t, out.String(), "pa55")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "told to end before it had begun")

	gone, err := url.Parse(dbtest.URL(t))
	require.NoError(t, err)
	gone.Path = "/nowhere"
	cmd, out = run(gone.String())
	require.Error(t, cmd.Wait())
	require.Contains(t, out.String(), "adit serve: ")
}
