// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
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

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
)

const deadline = time.Minute // safety only

func TestMain(m *testing.M) {
	if filepath.Base(os.Args[0]) != "adit" {
		testpeer.Isolate()
		// The race detector lets a process wait a second before it ends; the commands here are many.
		if err := os.Setenv("GORACE", "atexit_sleep_ms=0"); err != nil {
			panic(err)
		}
	}
	testscript.Main(m, map[string]func(){"adit": func() { os.Exit(Main(os.Args)) }})
}

// serving is an adit serve that runs as a process of its own.
type serving struct {
	t       testing.TB
	cmd     *exec.Cmd
	dataDir string
	url     string
	banner  string
	ended   chan struct{}
	stderr  *testpeer.Buffer
}

var dicomLine = regexp.MustCompile(`ADIT at [0-9.]+:(\d+)`)

var readyLine = regexp.MustCompile(`is ready at (https?://[0-9.:]+)`)

// serve starts a server and waits until it says that it is ready. It ends with the test at the latest.
func serve(t testing.TB, dataDir string, args ...string) *serving {
	t.Helper()
	s := &serving{t: t, dataDir: dataDir, ended: make(chan struct{}), stderr: &testpeer.Buffer{}}
	args = append([]string{"serve", "--data-dir", dataDir, "--listen", "127.0.0.1:0", "--dicom-listen", "127.0.0.1:0", "--lease", "2s"}, args...)
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	s.cmd = exec.Command(path, args...)
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	s.cmd.Stderr = s.stderr
	out, err := s.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, s.cmd.Start())
	t.Cleanup(func() {
		_ = s.cmd.Process.Signal(syscall.SIGTERM)
		s.awaitEnd()
		testpeer.NoPatients(t, "the log", s.stderr.String())
		if t.Failed() {
			t.Logf("adit serve wrote:\n%s", s.stderr.String())
		}
	})
	ready := make(chan struct{})
	go func() {
		defer close(s.ended)
		read := bufio.NewReader(out)
		var banner strings.Builder
		told := false
		for {
			line, err := read.ReadString('\n')
			banner.WriteString(line)
			// The banner ends with an empty line behind the address or the last hint.
			if m := readyLine.FindStringSubmatch(banner.String()); m != nil && !told && line == "\n" && read.Buffered() == 0 {
				told = true
				s.url, s.banner = m[1], banner.String()
				close(ready)
			}
			if err != nil {
				break
			}
		}
		_, _ = io.Copy(io.Discard, out)
		_ = s.cmd.Wait()
	}()
	select {
	case <-ready:
	case <-s.ended:
		t.Fatalf("adit serve ended at once:\n%s", s.stderr.String())
	case <-time.After(deadline):
		t.Fatalf("adit serve is not ready:\n%s", s.stderr.String())
	}
	return s
}

func (s *serving) awaitEnd() {
	s.t.Helper()
	select {
	case <-s.ended:
	case <-time.After(deadline):
		_ = s.cmd.Process.Kill()
		<-s.ended
		s.t.Errorf("adit serve did not end:\n%s", s.stderr.String())
	}
}

// adit runs a command against the server.
func (s *serving) adit(args ...string) (out string, code int) {
	s.t.Helper()
	path, err := exec.LookPath("adit")
	require.NoError(s.t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 2*deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "ADIT_URL="+s.url, "ADIT_DATA_DIR="+s.dataDir)
	text, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		require.NoError(s.t, err)
	}
	return string(text), cmd.ProcessState.ExitCode()
}

// await asks until what is asked for is so.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	end := time.After(deadline)
	for !ok() {
		select {
		case <-ticker.C:
		case <-end:
			t.Fatal(what + " did not happen")
		}
	}
}

func (s *serving) get(path string) int {
	resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get(s.url + path)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

// Each script has a server of its own on a database of its own, with the demo's PACS.
func TestScripts(t *testing.T) {
	study := phantom.DemoStudies()[11]
	files := t.TempDir()
	_, err := study.WriteFiles(files)
	require.NoError(t, err)
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			tb, ok := env.T().(testing.TB)
			if !ok {
				tb = t
			}
			dir := filepath.Join(env.WorkDir, "data")
			s := serve(tb, dir, "--demo", "--database-url", dbtest.URL(tb))
			env.Defer(func() {
				_ = s.cmd.Process.Signal(syscall.SIGTERM)
				s.awaitEnd()
			})
			token, err := os.ReadFile(filepath.Join(dir, tokenFile))
			if err != nil {
				return err
			}
			demo := phantom.DemoStudies()
			for name, value := range map[string]string{
				"GORACE": os.Getenv("GORACE"), "ADIT_URL": s.url, "ADIT_DATA_DIR": dir, "TOKEN": strings.TrimSpace(string(token)), "FILES": files,
				"STUDY": demo[0].StudyInstanceUID, "STUDY2": demo[2].StudyInstanceUID, "SERIES": demo[0].Series[1].SeriesInstanceUID,
				"FILES_STUDY": study.StudyInstanceUID, "FILES_COUNT": strconv.Itoa(len(study.Instances())), "FREE_PORT": strconv.Itoa(testpeer.Port(tb)),
				"HTTP_PORT":  s.url[strings.LastIndex(s.url, ":")+1:],
				"DICOM_PORT": dicomLine.FindStringSubmatch(s.banner)[1],
			} {
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"code": func(ts *testscript.TestScript, _ bool, args []string) { // code N command…: runs a command that exits with N
				want, err := strconv.Atoi(args[0])
				ts.Check(err)
				err = ts.Exec(args[1], args[2:]...)
				got := 0
				if exit, ok := errors.AsType[*exec.ExitError](err); ok {
					got = exit.ExitCode()
				} else {
					ts.Check(err)
				}
				if got != want {
					ts.Fatalf("exit code %d, want %d\n%s%s", got, want, ts.ReadFile("stdout"), ts.ReadFile("stderr"))
				}
			},
			"port": func(ts *testscript.TestScript, _ bool, args []string) { // port NAME VAR: the port of a server
				ts.Check(ts.Exec("adit", "node", "list"))
				m := regexp.MustCompile(`(?m)^` + args[0] + ` .*:(\d+)`).FindStringSubmatch(ts.ReadFile("stdout"))
				if m == nil {
					ts.Fatalf("no server %s", args[0])
				}
				ts.Setenv(args[1], m[1])
			},
		},
	})
}

func TestStartAndStop(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, dir, "--demo")
	token, err := os.ReadFile(filepath.Join(dir, tokenFile))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40}\n$`, string(token))
	require.Contains(t, s.banner, strings.TrimSpace(string(token)))
	info, err := os.Stat(filepath.Join(dir, tokenFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, 200, s.get("/readyz"))

	// What it prints is what a newcomer types.
	first := regexp.MustCompile(`(?m)^  \S+ (transfer .*)$`).FindStringSubmatch(s.banner)
	require.NotNil(t, first, s.banner)
	out, code := s.adit(strings.Fields(first[1])...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "All tasks succeeded.")

	// Nobody else works in the same directory.
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	for _, args := range [][]string{nil, {"--database-url", "postgres://nowhere/x"}} {
		second, err := exec.Command(path, append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(second), "another ADIT runs in")
	}

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.awaitEnd()
	require.Equal(t, 0, s.cmd.ProcessState.ExitCode(), s.stderr.String())
	require.NotContains(t, s.stderr.String(), strings.TrimSpace(string(token)), "a token is never in the log")

	s = serve(t, dir, "--demo")
	require.NotContains(t, s.banner, strings.TrimSpace(string(token)), "shown once")
	out, code = s.adit("job", "list")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "success")
	out, code = s.adit("node", "check", "demo-source")
	require.Equal(t, 0, code, out)
}

func postmaster(t testing.TB, dir string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
	require.NoError(t, err)
	line, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(line)
	require.NoError(t, err)
	return pid
}

// held is a PACS whose C-GET stops before an object until it is let go.
type held struct {
	*pacs.PACS
	study   *phantom.Study
	reached chan struct{}
	release func()
}

func newHeld(t testing.TB) *held {
	t.Helper()
	h := &held{study: phantom.DemoStudies()[0], reached: make(chan struct{})}
	let := make(chan struct{})
	var once, reachOnce sync.Once
	h.release = func() { once.Do(func() { close(let) }) }
	var err error
	h.PACS, err = pacs.Start(pacs.Config{
		AETitle: "HELD", Studies: []*phantom.Study{h.study},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.Number == 20 {
				reachOnce.Do(func() { close(h.reached) })
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

// addTo adds the PACS as a source, and a folder as destination.
func (h *held) addTo(s *serving, folder string) {
	s.t.Helper()
	out, code := s.adit("node", "add", "server", "held", "--ae-title", "HELD", "--host", "127.0.0.1", "--port", strconv.Itoa(h.Port()), "--supports", "find,get")
	require.Equal(s.t, 0, code, out)
	out, code = s.adit("node", "add", "folder", "disk", "--path", folder)
	require.Equal(s.t, 0, code, out)
}

func (h *held) awaitReached(t testing.TB) {
	t.Helper()
	select {
	case <-h.reached:
	case <-time.After(deadline):
		t.Fatal("the transfer did not begin")
	}
}

type result struct {
	out  string
	code int
}

// transfer waits for a transfer of the study on another goroutine.
func (h *held) transfer(s *serving) <-chan result {
	done := make(chan result, 1)
	go func() {
		out, code := s.adit("transfer", "--source", "held", "--destination", "disk", "--study", h.study.StudyInstanceUID, "--wait")
		done <- result{out, code}
	}()
	return done
}

func awaitResult(t testing.TB, done <-chan result) result {
	t.Helper()
	select {
	case r := <-done:
		return r
	case <-time.After(2 * deadline):
		t.Fatal("the command did not end")
		return result{}
	}
}

func countFiles(t testing.TB, dir string) int {
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

// The database is killed in mid-transfer: it is started again, and the job ends in Success.
func TestDatabaseKilled(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := serve(t, dir)
	h := newHeld(t)
	h.addTo(s, folder)
	done := h.transfer(s)
	h.awaitReached(t)
	before := postmaster(t, dir)
	require.NoError(t, syscall.Kill(before, syscall.SIGKILL))
	await(t, "a new postmaster", func() bool {
		text, err := os.ReadFile(filepath.Join(dir, "postgres", "data", "postmaster.pid"))
		return err == nil && !strings.HasPrefix(string(text), strconv.Itoa(before)+"\n") && s.get("/readyz") == 200
	})
	h.release()
	r := awaitResult(t, done)
	require.Equal(t, 0, r.code, r.out)
	require.Equal(t, len(h.study.Instances()), countFiles(t, folder))
}

// The server is killed in mid-transfer and started again: the command that waits notices, and goes on waiting.
func TestServerKilled(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	port := strconv.Itoa(testpeer.Port(t))
	s := serve(t, dir, "--listen", "127.0.0.1:"+port)
	h := newHeld(t)
	h.addTo(s, folder)
	done := h.transfer(s)
	h.awaitReached(t)
	require.NoError(t, s.cmd.Process.Kill())
	<-s.ended
	h.release()
	serve(t, dir, "--listen", "127.0.0.1:"+port)
	r := awaitResult(t, done)
	require.Equal(t, 0, r.code, r.out)
	require.Contains(t, r.out, "All tasks succeeded.")
	require.Equal(t, len(h.study.Instances()), countFiles(t, folder))
}

// The first SIGTERM lets tasks come to a stop and says so in readyz; the second ends at once.
func TestSecondSignal(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := serve(t, dir, "--database-url", dbtest.URL(t), "--shutdown-timeout", "10m")
	h := newHeld(t)
	h.addTo(s, folder)
	out, code := s.adit("transfer", "--source", "held", "--destination", "disk", "--study", h.study.StudyInstanceUID)
	require.Equal(t, 0, code, out)
	h.awaitReached(t)

	// Interrupting a command that waits leaves the job alone, and says so.
	ctx, interrupt := context.WithCancel(t.Context())
	var said testpeer.Buffer
	waited := make(chan int, 1)
	go func() {
		waited <- run(ctx, []string{
			"adit", "transfer", "--url", s.url, "--data-dir", dir, "--source", "held", "--destination", "disk", "--study", h.study.StudyInstanceUID, "--wait",
		}, streams{&said, &said})
	}()
	await(t, "progress", func() bool {
		return strings.Contains(said.String(), "Job 2 was made") && strings.Contains(said.String(), "tasks ended")
	})
	interrupt()
	require.Equal(t, exitFailure, <-waited)
	require.Contains(t, said.String(), "interrupted; job 2 goes on")

	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	await(t, "readyz 503", func() bool { return s.get("/readyz") == 503 })
	require.Equal(t, 200, s.get("/healthz"))
	require.NoError(t, s.cmd.Process.Signal(syscall.SIGTERM))
	s.awaitEnd()
	require.NotEqual(t, 0, s.cmd.ProcessState.ExitCode())
}

// TestDatabaseBroken: what keeps the embedded database from running is said, and waited for: the server stays up,
// isn't ready, and goes on by itself.
func TestDatabaseBroken(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := serve(t, dir)
	version := filepath.Join(dir, "postgres", "data", "PG_VERSION")
	was, err := os.ReadFile(version)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(version, []byte("9\n"), 0o600))
	require.NoError(t, syscall.Kill(postmaster(t, dir), syscall.SIGKILL))
	await(t, "readyz 503", func() bool { return s.get("/readyz") == 503 })
	require.Equal(t, 200, s.get("/healthz"))
	await(t, "a second try", func() bool {
		return strings.Count(s.stderr.String(), "another major version of PostgreSQL than those installed") >= 2
	})
	require.NoError(t, os.WriteFile(version, was, 0o600))
	await(t, "readyz 200", func() bool { return s.get("/readyz") == 200 })
}

// TestPauses: the first try is made at once, later ones after a second, two, and a minute at the most.
func TestPauses(t *testing.T) {
	var p pauses
	var got []time.Duration
	for range 9 {
		got = append(got, p.next())
	}
	require.Equal(t, []time.Duration{0, time.Second, 2 * time.Second, 4 * time.Second, 8 * time.Second, 16 * time.Second, 32 * time.Second, time.Minute, time.Minute}, got)
	p = 1000
	require.Equal(t, time.Minute, p.next())
}

// TestDatabaseAway: a database of somebody else's care that doesn't answer yet is waited for, and one that can't be
// had ends the start; both with a sentence.
func TestDatabaseAway(t *testing.T) {
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	run := func(url string) (*exec.Cmd, *testpeer.Buffer) {
		out := &testpeer.Buffer{}
		cmd := exec.Command(path, "serve", "--data-dir", filepath.Join(t.TempDir(), "data"), "--listen", "127.0.0.1:0", "--dicom-listen", "", "--database-url", url)
		cmd.Stdout, cmd.Stderr = out, out
		require.NoError(t, cmd.Start())
		t.Cleanup(func() { _ = cmd.Process.Kill() })
		return cmd, out
	}
	cmd, out := run(fmt.Sprintf("postgres://u:pa55@127.0.0.1:%d/x", testpeer.Port(t)))
	await(t, "a second try", func() bool {
		return strings.Count(out.String(), "the database can't be used yet; ADIT starts when it can") >= 2
	})
	require.NotContains(t, out.String(), "pa55")
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, cmd.Wait(), "told to end before it had begun")

	gone, err := url.Parse(dbtest.URL(t))
	require.NoError(t, err)
	gone.Path = "/nowhere"
	cmd, out = run(gone.String())
	require.Error(t, cmd.Wait())
	require.Contains(t, out.String(), "adit: ")
}
