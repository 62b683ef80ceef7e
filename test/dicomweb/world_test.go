// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"bytes"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// The AE titles of the servers of a world, which hold the same.
const (
	dcmtk      = "QRSCP"   // dcmqrscp: DIMSE alone
	orthanc    = "ORTHANC" // by DIMSE
	orthancWeb = "ORTHWEB" // by DICOMweb
)

// world is an ADIT that knows servers of several kinds.
type world struct {
	*process.Server
	token string // of somebody who may do everything
	poor  string // of somebody who may search and retrieve, but not see who patients are

	plain, all string // folders of files: those without compression, and all, of which each server but dcmqrscp has all
}

// studies are small ones of all kinds: with a report, in several series, in implicit VR, compressed, of many frames.
func studies() (list []*phantom.Study) {
	for _, i := range []int{0, 1, 4, 8} {
		spec := phantom.DemoStudies()[i].Spec
		spec.Series = slices.Clone(spec.Series)
		for j := range spec.Series {
			s := &spec.Series[j]
			s.Instances, s.Rows, s.Columns, s.Frames = min(s.Instances, 4), 96, 64, min(s.Frames, 3)
		}
		list = append(list, phantom.New(uint64(9100+i), spec))
	}
	return list
}

// newWorld starts an ADIT and the servers of these names.
func newWorld(t *testing.T, names []string, args ...string) *world {
	t.Helper()
	w := &world{plain: t.TempDir(), all: t.TempDir()}
	for _, st := range studies() {
		_, err := st.WriteFiles(w.all)
		require.NoError(t, err)
		if slices.ContainsFunc(st.Series, func(s *phantom.Series) bool {
			return s.Spec.TransferSyntaxUID == dict.RLELossless
		}) {
			continue
		}
		_, err = st.WriteFiles(w.plain)
		require.NoError(t, err)
	}
	w.serve(t, args...)
	w.addPeers(t, names)
	return w
}

// serve starts ADIT.
func (w *world) serve(t *testing.T, args ...string) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "data")
	// The address of bulk data has to be whole for clients in Python.
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(testpeer.Port(t)))
	args = append([]string{"--database-url", dbtest.URL(t), "--listen", addr, "--public-url", "http://" + addr}, args...)
	w.Server = process.Serve(t, dir, args...)
	token, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	w.token = strings.TrimSpace(string(token))
}

// files are those that a server holds.
func (w *world) files(t *testing.T, name string) (dir string, files []string) {
	t.Helper()
	dir = w.all
	if name == dcmtk {
		dir = w.plain
	}
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	return dir, files
}

// addPeers starts servers, and has ADIT know them.
func (w *world) addPeers(t *testing.T, names []string) {
	t.Helper()
	for _, name := range names {
		_, files := w.files(t, name)
		switch name {
		case dcmtk:
			index := t.TempDir()
			out, code := testpeer.Run(t, nil, "dcmqridx", append([]string{index}, files...)...)
			require.Zero(t, code, out)
			w.addServer(t, name, testpeer.DcmQRSCP(t, []string{testpeer.NoDelay}, index).Port)
		case orthanc:
			o := testpeer.Orthanc(t, []string{testpeer.NoDelay}, nil)
			for _, f := range files {
				o.Upload(t, f)
			}
			w.addServer(t, name, o.Port)
		case orthancWeb:
			ca := testpeer.NewAuthority(t)
			o := testpeer.SecureOrthanc(t, []string{testpeer.NoDelay}, ca)
			for _, f := range files {
				o.Upload(t, f)
			}
			pem, secret := written(t, string(ca.PEM)), written(t, testpeer.OrthancPassword)
			w.must(t, "node", "add", "server", name, "--ae-title", name, "--supports", "qido,wado", "--root-url", o.WebURL,
				"--tls-ca", pem, "--web-auth", "basic", "--web-user", testpeer.OrthancUser, "--web-secret-file", secret)
		}
	}
}

// addServer has ADIT know a server of DIMSE.
func (w *world) addServer(t *testing.T, name string, port int) {
	t.Helper()
	w.must(t, "node", "add", "server", name, "--ae-title", name, "--host", "127.0.0.1", "--port", strconv.Itoa(port),
		"--supports", "find,get")
}

// must runs a command of ADIT, which has to succeed.
func (w *world) must(t *testing.T, args ...string) (out string) {
	t.Helper()
	out, code := w.Adit(args...)
	require.Zero(t, code, out)
	return out
}

// addPoor makes the user who may not see who patients are.
func (w *world) addPoor(t *testing.T, sources ...string) {
	t.Helper()
	file := written(t, "seventeen slow lanterns")
	t.Setenv("ADIT_OWN_PASSWORD_FILE", file)
	w.must(t, "user", "password", "admin", "--keep-tokens", "--password-file", file)
	w.must(t, "group", "add", "readers", "--permissions", "dicomweb_query,dicomweb_retrieve,tokens")
	for _, s := range sources {
		w.must(t, "group", "allow", "readers", s, "--source")
	}
	w.must(t, "user", "add", "reader", "--password-file", file, "--groups", "readers")
	to := filepath.Join(t.TempDir(), "token")
	w.must(t, "token", "create", "--username", "reader", "--output", to, "--data-dir", t.TempDir())
	token, err := os.ReadFile(to)
	require.NoError(t, err)
	w.poor = strings.TrimSpace(string(token))
}

// written returns a file with a text.
func written(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "text")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

// task is what a client's program is told to do.
type task struct {
	URL     string `json:"url"`
	Token   string `json:"token"`
	Poor    string `json:"poor,omitempty"`
	AETitle string `json:"ae_title"`
	Files   string `json:"files"` // folder of what the server holds
	More    any    `json:"more,omitempty"`
}

func (w *world) task(t *testing.T, aeTitle string) task {
	t.Helper()
	dir, _ := w.files(t, aeTitle)
	return task{URL: w.URL, Token: w.token, Poor: w.poor, AETitle: aeTitle, Files: dir}
}

// run has a program check something: it reads what to do from its standard input, and writes the names of its checks as
// a list in JSON. It fails with what is wrong.
func run(t *testing.T, do any, name string, args ...string) {
	t.Helper()
	input, err := json.Marshal(do)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Stdin = bytes.NewReader(input)
	var out, wrong bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &wrong
	err = cmd.Run()
	require.NoError(t, err, "%s\n%s", out.String(), wrong.String())
	var checks []string
	require.NoError(t, json.Unmarshal(out.Bytes(), &checks), "%s", out.String())
	require.NotEmpty(t, checks)
	t.Log(strings.Join(checks, "; "))
}
