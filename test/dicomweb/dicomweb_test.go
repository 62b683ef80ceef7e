// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomweb tests the proxy for DICOMweb with the clients that people use.
package dicomweb

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

func TestMain(m *testing.M) { process.Main(m, cli.Main) }

// TestPython: the original's Python client, and the one that it stands on, find and get through ADIT what servers have,
// whatever those speak.
func TestPython(t *testing.T) {
	python := testpeer.Python(t, "dicomweb")
	servers := []string{dcmtk, orthanc, orthancWeb}
	w := newWorld(t, servers)
	w.addPoor(t, servers...)
	for _, name := range servers {
		for _, script := range []string{"adit.py", "web.py"} {
			t.Run(script+" "+name, func(t *testing.T) { run(t, w.task(t, name), python, script) })
		}
	}
}

// TestNode: so do the clients of JavaScript, on which viewers stand.
func TestNode(t *testing.T) {
	packages := testpeer.Node(t, "node", "dicomweb-node")
	servers := []string{dcmtk, orthanc}
	w := newWorld(t, servers)
	for _, name := range servers {
		t.Run(name, func(t *testing.T) { run(t, w.task(t, name), "node", "node/clients.mjs", packages) })
	}
}

// TestOrthancIsClient: an Orthanc finds and gets through ADIT what another server has, and has the same then.
func TestOrthancIsClient(t *testing.T) {
	w := newWorld(t, []string{orthanc})
	dir, _ := w.files(t, orthanc)
	o := testpeer.Orthanc(t, []string{testpeer.NoDelay}, map[string]any{
		"Plugins": []string{testpeer.OrthancPlugin},
		"DicomWeb": map[string]any{"Enable": true, "Servers": map[string]any{"adit": map[string]any{
			"Url": w.URL + "/dicom-web/" + orthanc, "HttpHeaders": map[string]string{"Authorization": "Token " + w.token},
		}}},
	})
	var found []map[string]any
	o.Post(t, "/dicom-web/servers/adit/qido", map[string]any{
		"Uri": "/studies", "Arguments": map[string]string{"00100020": "PHANTOM-*"},
	}, &found)
	require.Len(t, found, len(studies()))
	for _, st := range studies() {
		o.Post(t, "/dicom-web/servers/adit/retrieve", map[string]any{
			"Resources": []map[string]string{{"Study": st.StudyInstanceUID}}, "Synchronous": true,
		}, nil)
	}
	got := o.Files(t)
	for _, st := range studies() {
		for _, in := range st.Instances() {
			file, err := os.ReadFile(filepath.Join(dir, in.SOPInstanceUID+".dcm"))
			require.NoError(t, err)
			require.Equal(t, dataSet(t, file), dataSet(t, got[in.SOPInstanceUID]), in.SOPInstanceUID)
			delete(got, in.SOPInstanceUID)
		}
	}
	require.Empty(t, got)
}

// dataSet is the sum of what stands behind the file meta information.
func dataSet(t *testing.T, file []byte) (sum [sha256.Size]byte) {
	t.Helper()
	_, obj, err := stream.OpenFile(bytes.NewReader(file), stream.Limits{})
	require.NoError(t, err)
	defer func() { _ = obj.Close() }()
	h := sha256.New()
	_, err = obj.WriteTo(h)
	require.NoError(t, err)
	h.Sum(sum[:0])
	return sum
}
