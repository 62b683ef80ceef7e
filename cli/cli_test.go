// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

func TestMain(m *testing.M) { process.Main(m, Main) }

// Each script has a server of its own on a database of its own, with two PACS of phantoms.
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
			s := process.ServePhantoms(tb, dir, "--database-url", dbtest.URL(tb))
			env.Defer(func() {
				_ = s.Cmd.Process.Signal(syscall.SIGTERM)
				s.AwaitEnd()
			})
			token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
			if err != nil {
				return err
			}
			demo := phantom.DemoStudies()
			for name, value := range map[string]string{
				"GORACE": os.Getenv("GORACE"), "ADIT_URL": s.URL, "ADIT_DATA_DIR": dir,
				"TOKEN": strings.TrimSpace(string(token)), "FILES": files,
				"STUDY": demo[0].StudyInstanceUID, "STUDY2": demo[2].StudyInstanceUID,
				"SERIES":      demo[0].Series[1].SeriesInstanceUID,
				"FILES_STUDY": study.StudyInstanceUID, "FILES_COUNT": strconv.Itoa(len(study.Instances())),
				"FREE_PORT":  strconv.Itoa(testpeer.Port(tb)),
				"HTTP_PORT":  s.URL[strings.LastIndex(s.URL, ":")+1:],
				"DICOM_PORT": process.DICOMLine.FindStringSubmatch(s.Banner)[1],
			} {
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			// code N command…: runs a command that exits with N
			"code": func(ts *testscript.TestScript, _ bool, args []string) {
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
	s := process.Serve(t, dir, "--demo")
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	require.Regexp(t, `^[0-9a-f]{40}\n$`, string(token))
	require.Contains(t, s.Banner, strings.TrimSpace(string(token)))
	info, err := os.Stat(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	require.Equal(t, 200, s.Get("/readyz"))

	// Its password opens the page, and stands in no log.
	password := regexp.MustCompile(`(?m)^Log in at \S+ as admin with the password ([a-z]{16})$`).FindStringSubmatch(s.Banner)
	require.NotNil(t, password, s.Banner)
	require.Equal(t, 200, login(t, s, password[1]))
	require.NotContains(t, s.Stderr.String(), password[1])

	// Its jobs end as they are meant to, and one waits.
	process.Await(t, "the end of the demo's jobs", func() bool {
		out, code := s.Adit("job", "list")
		require.Equal(t, 0, code, out)
		status := regexp.MustCompile(`(?m)^\d+ +(\w+)`).FindAllStringSubmatch(out, -1)
		require.Len(t, status, 6, out)
		var all []string
		for _, m := range status {
			all = append(all, m[1])
		}
		return strings.Join(all, " ") == "pending failure warning"+strings.Repeat(" success", 3)
	})
	out, code := s.Adit("job", "get", "6")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "ARCHIVE is closed for jobs now")

	// What it prints is what a newcomer types.
	first := regexp.MustCompile(`(?m)^  \S+ (transfer .*)$`).FindStringSubmatch(s.Banner)
	require.NotNil(t, first, s.Banner)
	out, code = s.Adit(strings.Fields(first[1])...)
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "All tasks succeeded.")

	// Nobody else works in the same directory.
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	for _, args := range [][]string{nil, {"--database-url", "postgres://nowhere/x"}} {
		second, err := exec.Command(
			path, append([]string{"serve", "--data-dir", dir, "--listen", "127.0.0.1:0"}, args...)...,
		).CombinedOutput()
		require.Error(t, err)
		require.Contains(t, string(second), "another ADIT runs in")
	}

	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))
	s.AwaitEnd()
	require.Equal(t, 0, s.Cmd.ProcessState.ExitCode(), s.Stderr.String())
	require.NotContains(t, s.Stderr.String(), strings.TrimSpace(string(token)), "a token is never in the log")

	s = process.Serve(t, dir, "--demo")
	require.NotContains(t, s.Banner, strings.TrimSpace(string(token)), "shown once")
	_, same, _ := strings.Cut(password[0], " as ")
	require.Contains(t, s.Banner, " as "+same, "the same one")
	out, code = s.Adit("job", "list")
	require.Equal(t, 0, code, out)
	require.Contains(t, out, "success")
	out, code = s.Adit("node", "check", "PACS-A")
	require.Equal(t, 0, code, out)
}

// login logs the administrator in, and returns the status of the answer.
func login(t *testing.T, s *process.Server, password string) int {
	t.Helper()
	body, err := json.Marshal(map[string]string{"username": "admin", "password": password})
	require.NoError(t, err)
	rq, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL+"/api/v1/session", bytes.NewReader(body))
	require.NoError(t, err)
	rq.Header.Set("Content-Type", "application/json")
	resp, err := (&http.Client{Timeout: process.Deadline}).Do(rq)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	return resp.StatusCode
}

// The first SIGTERM lets tasks come to a stop and says so in readyz; the second ends at once.
func TestSecondSignal(t *testing.T) {
	dir, folder := filepath.Join(t.TempDir(), "data"), t.TempDir()
	s := process.Serve(t, dir, "--database-url", dbtest.URL(t), "--shutdown-timeout", "10m")
	h := process.NewHeld(t)
	h.AddTo(s, folder)
	out, code := s.Adit("transfer", "--source", "held", "--destination", "disk", "--study", h.Study.StudyInstanceUID)
	require.Equal(t, 0, code, out)
	h.AwaitReached(t)

	// Interrupting a command that waits leaves the job alone, and says so.
	ctx, interrupt := context.WithCancel(t.Context())
	var said testpeer.Buffer
	waited := make(chan int, 1)
	go func() {
		waited <- run(ctx, []string{
			"adit", "transfer", "--url", s.URL, "--data-dir", dir, "--source", "held",
			"--destination", "disk", "--study", h.Study.StudyInstanceUID, "--wait",
		}, command.Streams{Out: &said, Err: &said})
	}()
	process.Await(t, "progress", func() bool {
		return strings.Contains(said.String(), "Job 2 was made") && strings.Contains(said.String(), "tasks ended")
	})
	interrupt()
	require.Equal(t, command.ExitFailure, <-waited)
	require.Contains(t, said.String(), "interrupted; job 2 goes on")

	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))
	process.Await(t, "readyz 503", func() bool { return s.Get("/readyz") == 503 })
	require.Equal(t, 200, s.Get("/healthz"))
	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))
	s.AwaitEnd()
	require.NotEqual(t, 0, s.Cmd.ProcessState.ExitCode())
}
