// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/test/harness"
)

// manifestOf writes the manifest of a job into a file.
func (w *ward) manifestOf(job int64) string {
	w.t.Helper()
	write, err := w.Engine.Jobs.ExportManifest(w.t.Context(), w.Admin, job, "adit test")
	require.NoError(w.t, err)
	var b bytes.Buffer
	require.NoError(w.t, write(w.t.Context(), &b))
	path := filepath.Join(w.t.TempDir(), "manifest.jsonl")
	require.NoError(w.t, os.WriteFile(path, b.Bytes(), 0o600))
	return path
}

// TestManifestOfAJob: the manifest of a job proves what it wrote, once each, also when the destination broke off and
// the rest was sent later; it says nothing of the originals.
func TestManifestOfAJob(t *testing.T) {
	study := studyOf(
		1, quorra, phantom.SeriesSpec{Kind: phantom.CT, Instances: 8, Rows: 16, Columns: 16},
		phantom.SeriesSpec{Kind: phantom.MR, Instances: 4, Rows: 16, Columns: 16},
	)
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	w.AddServer("destination", "DST", dst.Addr(), nil)
	w.project("proven", func(p *projects.NewProject) { p.Manifest = true })
	w.project("plain", nil)

	plain := w.send(study.StudyInstanceUID, in("plain"))
	w.require(plain, jobs.Success)
	_, err := w.Engine.Jobs.ExportManifest(t.Context(), w.Admin, plain.ID, "adit test")
	require.ErrorContains(t, err, "keeps no manifest")

	job := w.send(study.StudyInstanceUID, in("proven"))
	w.require(job, jobs.Success)
	path := w.manifestOf(job.ID)
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	requireNoTrace(t, study, text)
	dirs, err := filepath.Glob(filepath.Join(w.dir, "adit_selective_transfer_"+itoa(job.ID)+"_*"))
	require.NoError(t, err)
	require.Len(t, dirs, 1)
	r, err := manifest.Check(t.Context(), dirs[0], manifest.Options{Manifest: path})
	require.NoError(t, err)
	require.Empty(t, r.Faults)
	require.Equal(t, 12, r.Files)
	require.Len(t, r.Runs, 1)
	require.True(t, r.Runs[0].Scan)
	require.Equal(t, job.ProfileSha256, r.Runs[0].Hash)

	first := sortedFiles(t, dirs[0])[0]
	b, err := os.ReadFile(first)
	require.NoError(t, err)
	b[len(b)-1] ^= 1
	require.NoError(t, os.WriteFile(first, b, 0o600))
	r, err = manifest.Check(t.Context(), dirs[0], manifest.Options{Manifest: path})
	require.NoError(t, err)
	require.Len(t, r.Faults, 1)

	dst.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{AbortAtObject: 5}})
	sent := w.send(study.StudyInstanceUID, func(tr *jobs.Transfer) { in("proven")(tr); tr.Destination = "destination" })
	w.require(sent, jobs.Success)
	text, err = os.ReadFile(w.manifestOf(sent.ID))
	require.NoError(t, err)
	require.Equal(t, 12, strings.Count(string(text), `"of":"dataset"`))
	for _, stored := range dst.Recorder().Log().Stores {
		require.Equal(t, 1, strings.Count(string(text), `"instance":"`+stored.SOPInstanceUID+`"`))
	}
}

func sortedFiles(t *testing.T, dir string) (paths []string) {
	t.Helper()
	for name := range files(t, dir) {
		paths = append(paths, filepath.Join(dir, name))
	}
	return paths
}

// TestScanHoldsBack: what still tells of the patient is held back and named without the value; a project that doesn't
// want to be scanned gets it.
func TestScanHoldsBack(t *testing.T) {
	study := studyOf(1, quorra) // whose description has the patient's name
	w := newWard(t, harness.Config{}, pacs.Config{Studies: []*phantom.Study{study}})
	w.project("scanned", func(p *projects.NewProject) { p.Profile.Name = "adit" }) // keeps short descriptions
	w.project("not scanned", func(p *projects.NewProject) { p.Profile.Name, p.NoScan = "adit", true })
	job := w.send(study.StudyInstanceUID, in("scanned"))
	task := w.require(job, jobs.Warning, "could not de-identify them safely")
	require.NotContains(t, strings.ToUpper(task.Message), "ZZYZX")
	report, err := w.Engine.Jobs.DeidReport(t.Context(), w.Admin, task.ID)
	require.NoError(t, err)
	require.Equal(t, 3, report.Unsafe[deid.IdentifierLeft])
	require.Empty(t, w.sent(job))

	no := false
	_, err = w.Engine.Projects.Change(t.Context(), w.Admin, "scanned", projects.ProjectChange{Scan: &no})
	require.NoError(t, err)
	w.require(w.send(study.StudyInstanceUID, in("scanned")), jobs.Success)
	w.require(w.send(study.StudyInstanceUID, in("not scanned")), jobs.Success)
}
