// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// OrthancServer is a running Orthanc.
type OrthancServer struct {
	*Process
	URL    string // of its REST interface, without a trailing slash
	WebURL string // of its DICOMweb services, without a trailing slash; empty: it has none
	Dir    string // its storage

	client http.Client
}

// Orthanc starts Orthanc with AE title ORTHANC, open to all callers, without plug-ins and compression. settings are
// put over these.
func Orthanc(t testing.TB, env []string, settings map[string]any) *OrthancServer {
	t.Helper()
	dir := t.TempDir()
	port, rest := Port(t), Port(t)
	config := map[string]any{
		"Name": "ORTHANC", "DicomAet": "ORTHANC", "DicomPort": port, "HttpPort": rest,
		"RemoteAccessAllowed": true, "AuthenticationEnabled": false,
		"StorageDirectory": filepath.Join(dir, "db"), "IndexDirectory": filepath.Join(dir, "db"),
		"StorageCompression": false, "Plugins": []string{}, "DicomCheckCalledAet": false,
		"DicomAlwaysAllowEcho": true, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true,
		"DicomAlwaysAllowMove": true, "DicomAlwaysAllowStore": true, "UnknownSopClassAccepted": true,
		"DicomThreadsCount": 4,
	}
	maps.Copy(config, settings)
	b, err := json.Marshal(config)
	require.NoError(t, err)
	file := filepath.Join(dir, "orthanc.json")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	// It opens the HTTP listener last.
	p := Start(t, env, rest, "Orthanc", file)
	p.Port, p.Addr = port, net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	return &OrthancServer{
		Process: p, URL: fmt.Sprintf("http://127.0.0.1:%d", rest), Dir: filepath.Join(dir, "db"),
		client: http.Client{Timeout: patience},
	}
}

// Post posts what encodes as body to the REST interface, and decodes the answer into answer unless that is nil.
func (o *OrthancServer) Post(t testing.TB, path string, body, answer any) {
	t.Helper()
	b, err := json.Marshal(body)
	require.NoError(t, err)
	b = o.call(t, http.MethodPost, path, bytes.NewReader(b))
	if answer != nil {
		require.NoError(t, json.Unmarshal(b, answer), "%s", b)
	}
}

// Learn tells it of a modality, or where that is from now on.
func (o *OrthancServer) Learn(t testing.TB, name, aeTitle string, port int) {
	t.Helper()
	b, err := json.Marshal(map[string]any{"AET": aeTitle, "Host": "127.0.0.1", "Port": port})
	require.NoError(t, err)
	o.call(t, http.MethodPut, "/modalities/"+name, bytes.NewReader(b))
}

// Lose deletes an instance.
func (o *OrthancServer) Lose(t testing.TB, sopInstanceUID string) {
	t.Helper()
	var found []string
	o.Post(
		t, "/tools/find",
		map[string]any{"Level": "Instance", "Query": map[string]string{"SOPInstanceUID": sopInstanceUID}}, &found,
	)
	require.Len(t, found, 1)
	o.call(t, http.MethodDelete, "/instances/"+found[0], nil)
}

// Again submits all jobs anew that have failed, and gives how many there were.
func (o *OrthancServer) Again(t testing.TB) (n int) {
	t.Helper()
	var jobs []struct {
		ID    string `json:"ID"`
		State string `json:"State"`
	}
	require.NoError(t, json.Unmarshal(o.call(t, http.MethodGet, "/jobs?expand", nil), &jobs))
	for _, j := range jobs {
		if j.State == "Failure" {
			o.Post(t, "/jobs/"+j.ID+"/resubmit", nil, nil)
			n++
		}
	}
	return n
}

// call speaks to the REST interface and gives the answer.
func (o *OrthancServer) call(t testing.TB, method, path string, body io.Reader) []byte {
	t.Helper()
	rq, err := http.NewRequestWithContext(t.Context(), method, o.URL+path, body)
	require.NoError(t, err)
	rsp, err := o.client.Do(rq)
	require.NoError(t, err)
	defer func() { _ = rsp.Body.Close() }()
	b, err := io.ReadAll(rsp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, rsp.StatusCode, "%s %s: %s", method, path, b)
	return b
}

// Upload puts a DICOM file into its store.
func (o *OrthancServer) Upload(t testing.TB, file string) {
	t.Helper()
	f, err := os.Open(file)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var answer struct {
		Status string `json:"Status"`
	}
	require.NoError(t, json.Unmarshal(o.call(t, http.MethodPost, "/instances", f), &answer))
	require.Equal(t, "Success", answer.Status, file)
}

// Files returns the files of its store, as it gives them out, by SOP Instance UID.
func (o *OrthancServer) Files(t testing.TB) map[string][]byte {
	t.Helper()
	var instances []struct {
		ID            string `json:"ID"`
		MainDicomTags struct {
			SOPInstanceUID string `json:"SOPInstanceUID"`
		} `json:"MainDicomTags"`
	}
	require.NoError(t, json.Unmarshal(o.call(t, http.MethodGet, "/instances?expand", nil), &instances))
	files := map[string][]byte{}
	for _, in := range instances {
		files[in.MainDicomTags.SOPInstanceUID] = o.call(t, http.MethodGet, "/instances/"+in.ID+"/file", nil)
	}
	return files
}

// Studies returns the identifiers by which its REST interface knows its studies.
func (o *OrthancServer) Studies(t testing.TB) []string {
	t.Helper()
	var studies []string
	require.NoError(t, json.Unmarshal(o.call(t, http.MethodGet, "/studies", nil), &studies))
	return studies
}

// CopyTo sends all that it holds to another Orthanc by its own C-STORE.
func (o *OrthancServer) CopyTo(t testing.TB, to *OrthancServer) {
	t.Helper()
	modality, err := json.Marshal(map[string]any{"AET": "ORTHANC", "Host": "127.0.0.1", "Port": to.Port})
	require.NoError(t, err)
	o.call(t, http.MethodPut, "/modalities/peer", bytes.NewReader(modality))
	var answer struct {
		FailedInstancesCount int `json:"FailedInstancesCount"`
	}
	o.Post(t, "/modalities/peer/store", map[string]any{"Resources": o.Studies(t), "Synchronous": true}, &answer)
	require.Zero(t, answer.FailedInstancesCount)
}
