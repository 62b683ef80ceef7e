// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package contract

import (
	"context"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/http/rights"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

var long = flag.Duration("long", 0, "how long schemathesis tries requests of chance; 0: none")

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// demo is a server with two PACS of phantoms, and its administrator's token.
type demo struct {
	*process.Server
	token  string
	python string
}

func newDemo(t *testing.T) *demo {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	s := process.ServePhantoms(t, dir, "--lease", "1m", "--database-url", dbtest.URL(t))
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	return &demo{s, strings.TrimSpace(string(token)), testpeer.Python(t, "contract")}
}

// run runs a Python program, which must end well.
func (d *demo) run(t *testing.T, env []string, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), *long+10*process.Deadline)
	defer cancel()
	cmd := exec.CommandContext(ctx, d.python, args...)
	cmd.Env = append(append(os.Environ(), "NO_COLOR=1", "COLUMNS=200", "PYTHONDONTWRITEBYTECODE=1",
		"HYPOTHESIS_STORAGE_DIRECTORY="+t.TempDir()), env...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	return string(out)
}

// TestGeneratedClient: the generator makes a client of the document without a warning, and that makes a job, follows it
// until it ends, lists its tasks, and gets problems as what they are.
func TestGeneratedClient(t *testing.T) {
	d := newDemo(t)
	made := filepath.Join(t.TempDir(), "adit_client")
	said := d.run(t, nil, "-m", "openapi_python_client", "generate", "--url", d.URL+"/api/v1/openapi.json",
		"--config", "generator.yaml", "--meta", "none", "--output-path", made)
	require.NotContains(t, strings.ToLower(said), "warning")
	require.NotContains(t, strings.ToLower(said), "error")
	names, err := filepath.Glob(filepath.Join(made, "models", "*.py"))
	require.NoError(t, err)
	require.Greater(t, len(names), 50)
	for _, name := range names {
		require.NotRegexp(t, `_type_\d`, filepath.Base(name), "a form that the generator can't name")
	}
	study := phantom.DemoStudies()[0]
	said = d.run(t, []string{
		"PYTHONPATH=" + filepath.Dir(made), "ADIT_URL=" + d.URL, "ADIT_TOKEN=" + d.token,
		"STUDY=" + study.StudyInstanceUID,
	}, "client.py")
	require.Equal(t, "success\n"+study.StudyInstanceUID+" success "+strconv.Itoa(len(study.Instances()))+"\n"+
		"404 not_found\n422 invalid studies\n", said)
}

// TestDocument: what the server answers is what its document says, whatever schemathesis sends it: by a token, and by a
// session that may do what takes the password.
func TestDocument(t *testing.T) {
	const password = "seventeen slow lanterns"
	d := newDemo(t)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(password), 0o600))
	t.Setenv("ADIT_OWN_PASSWORD_FILE", file)
	for _, args := range [][]string{
		{"user", "password", "admin", "--keep-tokens", "--password-file", file},
		{"group", "add", "contract"},
		{"user", "add", "contract", "--password-file", file},
	} {
		out, code := d.Adit(args...)
		require.Equal(t, 0, code, out)
	}
	c, err := client.New(d.URL, client.WithToken(d.token))
	require.NoError(t, err)
	_, err = c.Jobs.Create(t.Context(), client.NewJob{
		Kind: "selective_transfer", Source: "PACS-A", Destination: "RESEARCH",
		Studies: []client.NewStudy{{StudyInstanceUID: phantom.DemoStudies()[0].StudyInstanceUID}},
	}, "")
	require.NoError(t, err)
	for _, by := range []struct{ name, header, credential string }{
		{"token", "Authorization", "Token " + d.token}, // first: its bad tokens are counted, and more would be throttled
		{"session", "Cookie", d.login(t, password)},
	} {
		t.Run(by.name, func(t *testing.T) { d.try(t, by.name, by.header, by.credential) })
	}
	require.NotContains(t, d.Stderr.String(), `"level":"ERROR"`)
}

// login begins a session, and returns its cookie.
func (d *demo) login(t *testing.T, password string) string {
	t.Helper()
	body := strings.NewReader(`{"username": "admin", "password": "` + password + `"}`)
	resp, err := (&http.Client{Timeout: process.Deadline}).Post(d.URL+"/api/v1/session", "application/json", body)
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Len(t, resp.Cookies(), 1, resp.Status)
	return resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
}

// try runs schemathesis with a credential.
func (d *demo) try(t *testing.T, name, header, credential string) {
	t.Helper()
	args := []string{
		"-c", "from schemathesis.cli import schemathesis; schemathesis()", "--config-file", "schemathesis.toml",
		"run", d.URL + "/api/v1/openapi.json",
	}
	if name == "session" {
		// The session goes along where schemathesis leaves out the token only. What a token may do was tried with one.
		args = append(args, "--exclude-checks", "ignored_auth")
		for route, right := range rights.Table() {
			if password := right.Password(); password != "" && password != "no" {
				args = append(args, "--include-name", route)
			}
		}
	}
	if *long > 0 {
		args = append(args, "--max-time", strconv.Itoa(int(*long/time.Second)))
	} else {
		args = append(args, "--phases", "examples,coverage", "--generation-deterministic")
		if name == "session" { // what is not valid is refused with a token, too, before the password is asked for
			args = append(args, "--mode", "positive")
		}
	}
	if dir := os.Getenv("ADIT_CONTRACT_REPORT"); dir != "" {
		args = append(args, "--report", "ndjson", "--report-ndjson-path", filepath.Join(dir, name+".ndjson"))
	}
	hooks, err := filepath.Abs("hooks.py")
	require.NoError(t, err)
	t.Log(d.run(t, []string{
		"ADIT_HOOKS=" + hooks, "ADIT_HEADER=" + header, "ADIT_CREDENTIAL=" + credential,
		"ADIT_OWN_TOKEN=1", "ADIT_OWN_USER=admin",
	}, args...))
}
