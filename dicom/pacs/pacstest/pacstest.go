// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pacstest runs a PACS of package pacs as a child process, for tests that kill processes or measure memory.
package pacstest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// Study is a synthetic study as phantom.New makes it.
type Study struct {
	Seed uint64
	Spec phantom.StudySpec
}

// Process is a PACS in a process of its own. It ends with the test, and with the process of the test.
type Process struct {
	Addr   string // host:port of its DICOM side
	WebURL string // root of DICOMweb with the flag -web

	control string
	cmd     *exec.Cmd
	ended   chan struct{}
}

// binary builds pacsd once for each test program. It has no name any more when it is run, so that nothing is
// left behind: what is returned stands for the open file.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "pacsd-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a left-over is no reason to fail
	path := filepath.Join(dir, "pacsd")
	out, err := exec.CommandContext(
		context.Background(), "go", "build", "-o", path, "github.com/adit-go/adit/dicom/pacs/internal/pacsd",
	).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("building pacsd: %w\n%s", err, out)
	}
	program, err = os.Open(path)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("/proc/self/fd/%d", program.Fd()), nil
})

// program stays open for as long as the test program runs.
var program *os.File

// Start starts a PACS with the flags of pacsd, such as "-demo", "-web", "-ae-title=PACS", "-folder=…".
func Start(t testing.TB, flags ...string) *Process {
	t.Helper()
	path, err := binary()
	require.NoError(t, err)
	p := &Process{ended: make(chan struct{}), cmd: exec.CommandContext(context.Background(), path, flags...)}
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = stdin.Close() // asks it to end
		<-p.ended
	})
	var hello struct {
		Addr    string `json:"addr"`
		Control string `json:"control"`
		Web     string `json:"web"`
	}
	err = json.NewDecoder(stdout).Decode(&hello)
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait() // an error if it was killed
	}()
	require.NoError(t, err)
	p.Addr, p.control, p.WebURL = hello.Addr, hello.Control, hello.Web
	return p
}

// Kill ends the process at once, as kill -9 does, and waits until it is gone.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // it may have ended already
	<-p.ended
}

// Pid is its process ID.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Log tells what the PACS saw.
func (p *Process) Log(t testing.TB) pacs.Log {
	t.Helper()
	return p.log(t.Context(), t, "/log")
}

// Wait waits until the count that is named (stores, sent, gets, moves, finds, requests) is at least n, or open is
// exactly n.
func (p *Process) Wait(ctx context.Context, t testing.TB, name string, n int) pacs.Log {
	t.Helper()
	return p.log(ctx, t, fmt.Sprintf("/wait?%s=%d", name, n))
}

// SetMisbehave replaces the faults.
func (p *Process) SetMisbehave(t testing.TB, m pacs.Misbehave) {
	t.Helper()
	p.do(t.Context(), t, http.MethodPut, "/misbehave", m)
}

// AddStudies adds synthetic studies.
func (p *Process) AddStudies(t testing.TB, studies ...Study) {
	t.Helper()
	p.do(t.Context(), t, http.MethodPost, "/studies", studies)
}

func (p *Process) log(ctx context.Context, t testing.TB, path string) pacs.Log {
	t.Helper()
	var l pacs.Log
	err := json.Unmarshal(p.do(ctx, t, http.MethodGet, path, nil), &l) //nolint:musttag // Go speaks to Go
	require.NoError(t, err)
	return l
}

func (p *Process) do(ctx context.Context, t testing.TB, method, path string, body any) []byte {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	rq, err := http.NewRequestWithContext(ctx, method, "http://"+p.control+path, bytes.NewReader(b))
	require.NoError(t, err)
	rq.Close = true // no idle connection for goleak to find
	rsp, err := http.DefaultTransport.RoundTrip(rq)
	require.NoError(t, err)
	defer func() { _ = rsp.Body.Close() }() // read only
	answer, err := io.ReadAll(rsp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, rsp.StatusCode, "%s", answer)
	return answer
}
