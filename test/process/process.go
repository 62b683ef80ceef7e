// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package process

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
)

// Deadline is how long a test waits for something that must happen; safety only.
const Deadline = time.Minute

// Main runs the tests of a package, and is the command "adit" in the processes that they start.
func Main(m *testing.M, program func(args []string) int) {
	if filepath.Base(os.Args[0]) != "adit" {
		testpeer.Isolate()
		// The race detector lets a process wait a second before it ends; the commands here are many.
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"adit": func() { os.Exit(program(os.Args)) }})
}

// Server is an adit serve that runs as a process of its own.
type Server struct {
	Cmd     *exec.Cmd
	DataDir string
	URL     string
	Banner  string        // what it said when it was ready
	Ended   chan struct{} // closed when it has
	Stderr  *testpeer.Buffer

	t testing.TB
}

// DICOMLine finds the receiver's port in the banner.
var DICOMLine = regexp.MustCompile(`ADIT at [0-9.]+:(\d+)`)

// readyLine has no address if the process serves nobody.
var readyLine = regexp.MustCompile(`is ready(?: at (https?://[0-9.:]+))?`)

// Serve starts a server and waits until it says that it is ready. It ends with the test at the latest.
func Serve(t testing.TB, dataDir string, args ...string) *Server {
	t.Helper()
	s := &Server{t: t, DataDir: dataDir, Ended: make(chan struct{}), Stderr: &testpeer.Buffer{}}
	args = append([]string{
		"serve", "--data-dir", dataDir, "--listen", "127.0.0.1:0", "--dicom-listen", "127.0.0.1:0", "--lease", "2s",
	}, args...)
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	s.Cmd = exec.Command(path, args...)
	s.Cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.Cmd.Stderr = s.Stderr
	out, err := s.Cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.Cmd.Start())
	t.Cleanup(func() {
		_ = s.Cmd.Process.Signal(syscall.SIGTERM)
		s.AwaitEnd()
		testpeer.NoPatients(t, "the log", s.Stderr.String())
		if t.Failed() {
			t.Logf("adit serve wrote:\n%s", s.Stderr.String())
		}
	})
	ready := make(chan struct{})
	go func() {
		defer close(s.Ended)
		read := bufio.NewReader(out)
		var banner strings.Builder
		told := false
		for {
			line, err := read.ReadString('\n')
			banner.WriteString(line)
			// The banner ends with an empty line behind the address or the last hint.
			if m := readyLine.FindStringSubmatch(banner.String()); m != nil &&
				!told && line == "\n" && read.Buffered() == 0 {
				told = true
				s.URL, s.Banner = m[1], banner.String()
				close(ready)
			}
			if err != nil {
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = s.Cmd.Wait()
	}()
	select {
	case <-ready:
	case <-s.Ended:
		t.Fatalf("adit serve ended at once:\n%s", s.Stderr.String())
	case <-time.After(Deadline):
		t.Fatalf("adit serve is not ready:\n%s", s.Stderr.String())
	}
	return s
}

// AwaitEnd waits until the server has ended.
func (s *Server) AwaitEnd() {
	s.t.Helper()
	select {
	case <-s.Ended:
	case <-time.After(Deadline):
		_ = s.Cmd.Process.Kill()
		<-s.Ended
		s.t.Errorf("adit serve did not end:\n%s", s.Stderr.String())
	}
}

// Adit runs a command against the server.
func (s *Server) Adit(args ...string) (out string, code int) {
	s.t.Helper()
	path, err := exec.LookPath("adit")
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*Deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "ADIT_URL="+s.URL, "ADIT_DATA_DIR="+s.DataDir)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// Await asks until what is asked for is so.
func Await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	AwaitWithin(t, Deadline, what, ok)
}

// AwaitWithin is Await with another limit.
func AwaitWithin(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatal(what + " did not happen")
		}
	}
}

// Get asks the server for a page, and returns the status; 0: there was no answer.
func (s *Server) Get(path string) int {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(s.URL + path)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Postmaster returns the process of the PostgreSQL in a data directory.
func Postmaster(t testing.TB, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}
