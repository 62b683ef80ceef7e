// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package process

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// Held is a PACS whose C-GET stops before an object until it is let go.
type Held struct {
	*pacs.PACS
	Study   *phantom.Study
	Reached chan struct{} // closed when it has stopped
	Release func()        // lets it go
}

// NewHeld starts one, which ends with the test.
func NewHeld(t testing.TB) *Held {
	t.Helper()
	h := &Held{Study: phantom.DemoStudies()[0], Reached: make(chan struct{})}
	let := make(chan struct{})
	var once, reachOnce sync.Once
	h.Release = func() { once.Do(func() { close(let) }) }
	var err error
	h.PACS, err = pacs.Start(pacs.Config{
		AETitle: "HELD", Studies: []*phantom.Study{h.Study},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.Number == 20 {
				reachOnce.Do(func() { close(h.Reached) })
				select {
				case <-let:
				case <-ctx.Done():
				}
			}
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, h.Close()) })
	return h
}

// AddTo adds the PACS as a source, and a folder as destination.
func (h *Held) AddTo(s *Server, folder string) {
	s.t.Helper()
	out, code := s.Adit(
		"node", "add", "server", "held", "--ae-title", "HELD", "--host",
		"127.0.0.1", "--port", strconv.Itoa(h.Port()), "--supports", "find,get",
	)
	require.Equal(s.t, 0, code, out)
	out, code = s.Adit("node", "add", "folder", "disk", "--path", folder)
	require.Equal(s.t, 0, code, out)
}

// AwaitReached waits until the C-GET has stopped.
func (h *Held) AwaitReached(t testing.TB) {
	t.Helper()
	select {
	case <-h.Reached:
	case <-time.After(Deadline):
		t.Fatal("the transfer did not begin")
	}
}

// Result is what a command said, and its exit code.
type Result struct {
	Out  string
	Code int
}

// Transfer waits for a transfer of the study on another goroutine.
func (h *Held) Transfer(s *Server) <-chan Result {
	done := make(chan Result, 1)
	go func() {
		out, code := s.Adit(
			"transfer", "--source", "held", "--destination", "disk", "--study", h.Study.StudyInstanceUID, "--wait",
		)
		done <- Result{out, code}
	}()
	return done
}

// AwaitResult waits for the end of a command.
func AwaitResult(t testing.TB, done <-chan Result) Result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(2 * Deadline):
		t.Fatal("the command did not end")
		return Result{}
	}
}

// CountFiles counts the DICOM files below a folder.
func CountFiles(t testing.TB, dir string) int {
	t.Helper()
	n := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		if strings.HasSuffix(path, ".dcm") {
			n++
		}
		return err
	}))
	return n
}
