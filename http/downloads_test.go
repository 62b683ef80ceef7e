// SPDX-License-Identifier: AGPL-3.0-or-later

package http_test

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"io"
	nethttp "net/http"
	"path"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/people"
)

// unzipped reads a downloaded zip: objects by their names.
func unzipped(t *testing.T, body []byte) map[string]object {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(body), int64(len(body)))
	require.NoError(t, err)
	files := map[string]object{}
	for _, f := range z.File {
		require.Equal(t, zip.Store, f.Method)
		require.Zero(t, f.Flags&8, "it tells its length in front")
		r, err := f.Open()
		require.NoError(t, err)
		files[f.Name] = readObject(t, "", r)
		_, err = io.Copy(io.Discard, r) // up to the checksum
		require.NoError(t, err)
		require.NoError(t, r.Close())
	}
	require.Len(t, files, len(z.File), "no two have the same name")
	return files
}

// download asks for a study as a zip, and asserts the status.
func (s *site) download(study, query string, status int) ([]byte, *nethttp.Response) {
	s.t.Helper()
	got := s.get(s.t.Context(), "/api/v1/servers/pacs/studies/"+study+"/download"+query)
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	require.NoError(s.t, err)
	require.Equal(s.t, status, got.StatusCode, "%.300s", body)
	return body, got
}

// TestDownload: a study comes as a zip, byte for byte; or some of its series.
func TestDownload(t *testing.T) {
	studies := phantom.DemoStudies()
	s, p := searchSite(t, studies)
	for _, study := range studies[:6] {
		sums := map[string][sha256.Size]byte{}
		for _, in := range study.Instances() {
			sums[in.SOPInstanceUID] = in.SHA256()
		}
		body, got := s.download(study.StudyInstanceUID, "", 200)
		require.Equal(t, "application/zip", got.Header.Get("Content-Type"))
		root := "study_download_" + study.StudyInstanceUID
		require.Equal(t, `attachment; filename="`+root+`.zip"`, got.Header.Get("Content-Disposition"))
		files := unzipped(t, body)
		require.Len(t, files, len(sums))
		for name, o := range files {
			require.Equal(t, sums[o.meta.MediaStorageSOPInstanceUID], o.sum)
			require.Equal(t, o.meta.MediaStorageSOPInstanceUID+".dcm", path.Base(name))
			require.True(t, strings.HasPrefix(name, root+"/"), name)
			require.Len(t, strings.Split(name, "/"), 5, "root, patient, study, series, file")
		}
	}
	study := studies[0]
	one := study.Series[0]
	body, _ := s.download(study.StudyInstanceUID, "?series="+one.SeriesInstanceUID, 200)
	require.Len(t, unzipped(t, body), len(one.Instances))

	gets := len(p.Recorder().Log().Gets)
	for query, status := range map[string]int{
		"?series=1.2.3": 404, "?series=" + one.SeriesInstanceUID + ",1.2.3": 404, "?pseudonym=": 422, "?Pseudonym=P": 422,
		"?pseudonym=A%5CB": 422, "?project=nobodys&pseudonym=P": 422,
	} {
		s.download(study.StudyInstanceUID, query, status)
	}
	s.download("1.2.3.4", "", 404)
	s.download("abc", "", 422)
	require.Len(t, p.Recorder().Log().Gets, gets)

	var told int
	require.NoError(t, s.pool.QueryRow(
		t.Context(), "SELECT count(*) FROM audit WHERE action = 'server.download'",
	).Scan(&told))
	require.Equal(t, 7, told)
}

// TestDownloadPseudonym: nothing of the patient goes out under a pseudonym, and no UID of theirs.
func TestDownloadPseudonym(t *testing.T) {
	study := phantom.DemoStudies()[0]
	s, _ := searchSite(t, []*phantom.Study{study})
	server, err := s.client.Servers.Get(t.Context(), "PACS")
	require.NoError(t, err)
	s.token = s.reader("taker", server.ID, people.DirectDownload)
	_, err = s.client.Projects.Add(t.Context(), client.NewProject{Name: "taking", Group: "taker"})
	require.NoError(t, err)
	s.download(study.StudyInstanceUID, "", 403)
	body, got := s.download(study.StudyInstanceUID, "?pseudonym=P-7&project=taking&trial_protocol_id=T1", 200)
	require.NotContains(t, got.Header.Get("Content-Disposition"), study.StudyInstanceUID)
	files := unzipped(t, body)
	require.Len(t, files, len(study.Instances()))
	for name, o := range files {
		require.Equal(t, "P-7", o.header.String(dict.PatientID))
		require.Equal(t, "T1", o.header.String(dict.ClinicalTrialProtocolID))
		require.Equal(t, "P-7", strings.Split(name, "/")[1])
	}
	for _, in := range study.Instances() {
		require.NotContains(t, string(body), in.SOPInstanceUID)
	}
	require.NotContains(t, string(body), study.StudyInstanceUID)
	require.NotContains(t, string(body), study.Spec.Patient.ID)
}

// TestDownloadBroken: what the server breaks off is no zip for anybody, whenever it does.
func TestDownloadBroken(t *testing.T) {
	study := phantom.New(905, phantom.StudySpec{
		Patient: phantom.Patient{ID: "CUT-1", Name: "Cut^One"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 20, Rows: 128, Columns: 128}, {Kind: phantom.CT, Instances: 20, Rows: 128, Columns: 128},
		},
	})
	s, p := searchSite(t, []*phantom.Study{study})
	for _, at := range []int{0, 1, 7, 19} {
		p.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: at + 1}})
		got := s.get(t.Context(), "/api/v1/servers/pacs/studies/"+study.StudyInstanceUID+"/download")
		_, err := io.ReadAll(got.Body)
		_ = got.Body.Close()
		if got.StatusCode == nethttp.StatusOK {
			require.Error(t, err, "after %d", at)
		}
	}
	p.SetMisbehave(pacs.Misbehave{})
	body, _ := s.download(study.StudyInstanceUID, "", 200)
	require.Len(t, unzipped(t, body), 40)
}
