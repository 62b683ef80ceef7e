// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/server"
	"github.com/adit-go/adit/test/process"
)

// archive adds a PACS that keeps what it is sent, and returns it with the token of ADIT.
func archive(t *testing.T) (p *pacs.PACS, s *process.Server, token string) {
	t.Helper()
	p, err := pacs.Start(pacs.Config{AETitle: "ARCHIVE"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	dir := filepath.Join(t.TempDir(), "data")
	s = process.ServePhantoms(t, dir, "--database-url", dbtest.URL(t))
	out, code := s.Adit(
		"node", "add", "server", "ARCHIVE", "--ae-title", "ARCHIVE", "--host", "127.0.0.1",
		"--port", strconv.Itoa(p.Port()), "--supports", "store",
	)
	require.Zero(t, code, out)
	text, err := os.ReadFile(filepath.Join(dir, server.TokenFile))
	require.NoError(t, err)
	return p, s, strings.TrimSpace(string(text))
}

// requireWhole asserts that a PACS got all instances of a study, byte for byte, each time that it got one.
func requireWhole(t *testing.T, p *pacs.PACS, st *phantom.Study) {
	t.Helper()
	got := map[string]string{}
	for _, stored := range p.Recorder().Log().Stores {
		got[stored.SOPInstanceUID] += stored.SHA256 + " "
	}
	require.Len(t, got, len(st.Instances()))
	for _, in := range st.Instances() {
		sum := in.SHA256()
		require.Empty(t, strings.ReplaceAll(got[in.SOPInstanceUID], hex.EncodeToString(sum[:])+" ", ""))
	}
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
}

// TestPythonStores: adit-client and dicomweb-client store one image, a thousand, and none, through ADIT, as they are.
func TestPythonStores(t *testing.T) {
	python := testpeer.Python(t, "dicomweb")
	p, s, token := archive(t)
	st := phantom.New(1000, phantom.StudySpec{
		Patient: phantom.Patient{ID: "STORE", Name: "Store^All"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1000, Rows: 32, Columns: 32}},
	})
	folder := t.TempDir()
	_, err := st.WriteFiles(folder)
	require.NoError(t, err)
	cmd := exec.CommandContext(t.Context(), python, "store.py", s.URL, token, "ARCHIVE", folder, "ARCHIVE")
	out, err := cmd.Output()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		t.Fatalf("%s", exit.Stderr)
	}
	require.NoError(t, err)
	var got map[string]struct {
		Stored int `json:"stored"`
		Failed int `json:"failed"`
	}
	require.NoError(t, json.Unmarshal(out, &got))
	for name, want := range map[string]int{"one": 1, "bare": 1, "all": 1000, "none": 0, "plain": 1000, "study": 1000} {
		require.Equal(t, want, got[name].Stored, name)
		require.Zero(t, got[name].Failed, name)
	}
	requireWhole(t, p, st)
}

// TestOrthancStores: Orthanc sends what it has through ADIT to a PACS that knows DIMSE alone.
func TestOrthancStores(t *testing.T) {
	p, s, token := archive(t)
	o := testpeer.Orthanc(t, nil, map[string]any{
		"Plugins": []string{testpeer.OrthancPlugin},
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/", "Servers": map[string]any{
			"adit": map[string]any{
				"Url": s.URL + "/dicom-web/ARCHIVE/", "HttpHeaders": map[string]string{"Authorization": "Token " + token},
			},
		}},
	})
	st := phantom.New(1001, phantom.StudySpec{
		Patient: phantom.Patient{ID: "STORE", Name: "Store^All"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 30}, {Kind: phantom.MR, Instances: 5}},
	})
	files, err := st.WriteFiles(t.TempDir())
	require.NoError(t, err)
	for _, file := range files {
		o.Upload(t, file)
	}
	o.Post(t, "/dicom-web/servers/adit/stow", map[string]any{"Resources": o.Studies(t), "Synchronous": true}, nil)
	requireWhole(t, p, st)
}
