// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// deadline is how long a test waits for something that must happen; safety only.
const deadline = 90 * time.Second

// server is an adit serve with its embedded PostgreSQL, as processes of their own.
type server struct {
	*client.Client
	t     *testing.T
	cmd   *exec.Cmd
	dir   string
	url   string
	said  *testpeer.Buffer
	ended chan struct{}
}

var readyLine = regexp.MustCompile(`is ready at (http://[0-9.]+:[0-9]+)`)

// serve starts a server on a data directory and waits until it is ready. It ends with the test at the latest.
func serve(t *testing.T, dir string, args ...string) *server {
	t.Helper()
	s := &server{t: t, dir: dir, said: &testpeer.Buffer{}, ended: make(chan struct{})}
	args = append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--dicom-listen", ""}, args...)
	s.cmd = exec.Command(program, args...)
	s.cmd.SysProcAttr = dieWithParent()
	s.cmd.Stderr = s.said
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		s.awaitEnd()
		testpeer.NoPatients(t, "the log", s.said.String())
		if t.Failed() {
			t.Logf("adit serve wrote:\n%s", s.said)
		}
	})
	ready := make(chan string, 1)
	go func() {
		defer close(s.ended)
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if m := readyLine.FindStringSubmatch(lines.Text()); m != nil {
				ready <- m[1]
			}
		}
		_, _ = io.Copy(io.Discard, out) // what the scanner gave up
		_ = s.cmd.Wait()                // its state says the same
	}()
	select {
	case s.url = <-ready:
	case <-s.ended:
		t.Fatalf("adit serve ended at once:\n%s", s.said)
	case <-time.After(deadline):
		t.Fatalf("adit serve is not ready:\n%s", s.said)
	}
	token, err := os.ReadFile(filepath.Join(dir, "admin.token"))
	require.NoError(t, err)
	s.Client, err = client.New(
		s.url, client.WithToken(strings.TrimSpace(string(token))), client.WithPatience(time.Millisecond),
		client.WithHTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}),
	)
	require.NoError(t, err)
	return s
}

// template is a data directory in which a server has run once: making a database takes longer than most tests.
var template = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(filepath.Dir(program), "template")
	cmd := exec.Command(program, "serve", "--data-dir", dir, "--listen", "127.0.0.1:0", "--dicom-listen", "")
	cmd.SysProcAttr = dieWithParent()
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		return "", err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if readyLine.MatchString(lines.Text()) {
			err = cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	return dir, errors.Join(err, cmd.Wait())
})

// newDataDir returns a data directory for a server of its own.
func newDataDir(t *testing.T) string {
	t.Helper()
	made, err := template()
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "data")
	out, err := exec.Command("cp", "-a", made, dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
	return dir
}

// signal sends a signal to the server alone.
func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	require.NoError(s.t, s.cmd.Process.Signal(sig))
}

// awaitEnd waits until the server has ended.
func (s *server) awaitEnd() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(deadline):
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Errorf("adit serve did not end:\n%s", s.said)
	}
}

// kill ends the server as kill -9 does.
func (s *server) kill() {
	s.t.Helper()
	s.signal(syscall.SIGKILL)
	s.awaitEnd()
}

// postmaster is the process of the embedded PostgreSQL; 0 while there is none.
func (s *server) postmaster() int {
	text, err := os.ReadFile(filepath.Join(s.dir, "postgres", "data", "postmaster.pid"))
	if err != nil {
		return 0
	}
	line, _, _ := strings.Cut(string(text), "\n")
	pid, _ := strconv.Atoi(line) // 0 while it is being written
	return pid
}

// adit runs a command against the server.
func (s *server) adit(args ...string) (out string, code int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "ADIT_URL="+s.url, "ADIT_DATA_DIR="+s.dir)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

func (s *server) status(path string) int {
	rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: deadline}).Get(s.url + path)
	if err != nil {
		return 0
	}
	_ = rsp.Body.Close() // nothing in it that matters
	return rsp.StatusCode
}

// addServer adds a PACS, of which a task may use so many associations; 0: as many as by default.
func (s *server) addServer(name, addr string, perTask int) {
	s.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(s.t, err)
	number, err := strconv.Atoi(port)
	require.NoError(s.t, err)
	_, err = s.Servers.Add(s.t.Context(), client.ServerSettings{
		Name: name, AETitle: strings.ToUpper(name), Host: host, Port: number,
		Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true}, AssociationsPerTask: perTask,
	})
	require.NoError(s.t, err)
}

// transfer makes a job for a study.
func (s *server) transfer(source, destination, study string) client.Job {
	s.t.Helper()
	job, err := s.Jobs.Create(s.t.Context(), client.NewJob{
		Kind: client.SelectiveTransfer, Source: source, Destination: destination,
		Studies: []client.NewStudy{{StudyInstanceUID: study}},
	}, "")
	require.NoError(s.t, err)
	return job
}

// task returns the only task of a job.
func (s *server) task(job int64) client.Task {
	s.t.Helper()
	for t, err := range s.Tasks.List(s.t.Context(), job, client.TaskFilter{Limit: 1}) {
		require.NoError(s.t, err)
		return t
	}
	s.t.Fatal("the job has no task")
	return client.Task{}
}

// awaitFinal waits until a job has ended, while the server may be away.
func (s *server) awaitFinal(job int64) client.Job {
	s.t.Helper()
	var j client.Job
	await(s.t, "the end of the job", func() bool {
		var err error
		j, err = s.Jobs.Get(s.t.Context(), job)
		return err == nil && client.Final(j.Status)
	})
	return j
}

// await asks until what is asked for is so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	process.AwaitWithin(t, deadline, what, ok)
}

// newPACS starts a PACS in this process, which no kill here hurts.
func newPACS(t *testing.T, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	return p
}

// newStudy makes a study of small instances in several series.
func newStudy(seed uint64, series, images int) *phantom.Study {
	spec := phantom.StudySpec{
		Patient: phantom.Patient{ID: "F" + strconv.FormatUint(seed, 10), Name: "Fault^Ada", Sex: "O"},
	}
	for range series {
		spec.Series = append(
			spec.Series, phantom.SeriesSpec{Kind: phantom.CT, Instances: images, Rows: 16, Columns: 16},
		)
	}
	return phantom.New(seed, spec)
}

// receive waits for something from a channel.
func receive[T any](t *testing.T, what string, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(deadline):
		t.Fatal(what + " did not happen")
		panic("unreachable")
	}
}
