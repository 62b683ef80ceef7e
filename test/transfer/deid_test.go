// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"crypto/sha256"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// pseudonymously makes a transfer of one study under a pseudonym.
func pseudonymously(source, destination, study, pseudonym string) jobs.Transfer {
	return jobs.Transfer{
		Source: source, Destination: destination, TrialProtocolID: "TRIAL-7", TrialProtocolName: "A trial",
		Studies: []jobs.Study{{StudyInstanceUID: study, Pseudonym: pseudonym}},
	}
}

// files reads a folder, by the names of its files below it, but for its marker.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == ".adit-folder" {
			return err
		}
		name, err := filepath.Rel(dir, path)
		require.NoError(t, err)
		all[name], err = os.ReadFile(path)
		return err
	}))
	return all
}

// TestPseudonymized: under a pseudonym nothing of the patient arrives, in objects, names and UIDs; the report says what
// was done; and a second job gives the same bytes.
func TestPseudonymized(t *testing.T) {
	study := ct(31, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	first, second := t.TempDir(), t.TempDir()
	n.AddFolder("first", first)
	n.AddFolder("second", second)

	for _, destination := range []string{"first", "second", "destination"} {
		job := n.Wait(n.Create(pseudonymously("source", destination, study.StudyInstanceUID, "P-0001")).ID)
		require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
	}

	inFirst, inSecond := files(t, first), files(t, second)
	require.Len(t, inFirst, 12)
	hashes := map[[32]byte]bool{}
	for name, content := range inFirst {
		hashes[sha256.Sum256(content)] = true
		requireNoTrace(t, study, append([]byte(name), content...))
		meta, obj, err := stream.OpenFile(bytes.NewReader(content), stream.Limits{})
		require.NoError(t, err)
		h := obj.Header()
		require.Equal(t, meta.MediaStorageSOPInstanceUID, h.SOPInstanceUID())
		require.Equal(t, "P-0001", h.Text(dict.PatientID))
		require.Equal(t, "P-0001", h.Text(dict.PatientName))
		require.Equal(t, "TRIAL-7", h.Text(dict.ClinicalTrialProtocolID))
		require.Equal(t, "YES", h.Text(dict.PatientIdentityRemoved))
		require.NoError(t, obj.Close())
	}
	for _, content := range inSecond {
		require.True(t, hashes[sha256.Sum256(content)], "another job gave other bytes")
	}
	require.Len(t, dst.Recorder().Log().Stores, 12)
	for _, s := range dst.Recorder().Log().Stores {
		require.NotContains(t, uidsOf(study), s.SOPInstanceUID)
	}
}

func uidsOf(study *phantom.Study) []string {
	uids := []string{study.StudyInstanceUID}
	for _, s := range study.Series {
		uids = append(uids, s.SeriesInstanceUID)
	}
	for _, i := range study.Instances() {
		uids = append(uids, i.SOPInstanceUID)
	}
	return uids
}

// requireNoTrace asserts that neither the patient nor a UID of a study is among the bytes.
func requireNoTrace(t *testing.T, study *phantom.Study, content []byte) {
	t.Helper()
	for _, uid := range uidsOf(study) {
		require.NotContains(t, string(content), uid)
	}
	upper := bytes.ToUpper(content)
	for _, s := range []string{study.Spec.Patient.ID, "Phantom^", study.Spec.Patient.BirthDate} {
		if s != "" {
			require.NotContains(t, string(upper), string(bytes.ToUpper([]byte(s))))
		}
	}
}
