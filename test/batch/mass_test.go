// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"context"
	"encoding/csv"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

var adult = phantom.Patient{ID: "MASS-1", Name: "Mass^Adult", BirthDate: "19800101", Sex: "F"}

// cohort is a few days of a small hospital: 3 and 5 January have a CT of an adult, 4 January nothing that a mass
// transfer of them takes.
func cohort() []*phantom.Study {
	small := func(kind phantom.Kind, n int, description string) phantom.SeriesSpec {
		return phantom.SeriesSpec{Kind: kind, Instances: n, Rows: 16, Columns: 16, Description: description}
	}
	child := phantom.Patient{ID: "MASS-2", Name: "Mass^Child", BirthDate: "20150101", Sex: "M"}
	of := func(
		seed uint64, who phantom.Patient, date, clock, description string, series ...phantom.SeriesSpec,
	) *phantom.Study {
		return phantom.New(seed, phantom.StudySpec{
			Patient: who, Date: date, Time: clock, Description: description, Series: series,
		})
	}
	report := small(phantom.Report, 1, "Report")
	return []*phantom.Study{
		of(9101, adult, "20240103", "120000", "CT head",
			small(phantom.CT, 3, "Axial"), small(phantom.CT, 1, "Scout"), report),
		of(9102, adult, "20240104", "101500", "MR head", small(phantom.MR, 2, "T1")),
		of(9103, child, "20240104", "111500", "CT head", small(phantom.CT, 2, "Axial")),
		of(9104, adult, "20240105", "235959.5", "CT HEAD, again", small(phantom.CT, 2, "Axial")),
		of(9105, adult, "20240110", "101500", "CT head", small(phantom.CT, 2, "Axial")), // another day
	}
}

func order(source, destination string) mass.Order {
	return mass.Order{
		Transfer: jobs.Transfer{Source: source, Destination: destination},
		First:    time.Date(2024, 1, 3, 0, 0, 0, 0, time.UTC), Last: time.Date(2024, 1, 5, 0, 0, 0, 0, time.UTC),
		Filters: mass.Filters{
			{Modality: "CT", StudyDescription: "ct head*", MinAge: new(18)}, {Mode: mass.Exclude, SeriesDescription: "SCOUT"},
		},
	}
}

func volumesOf(t *testing.T, n *harness.Member, job int64) map[string]string {
	t.Helper()
	list, err := n.Engine.Mass.Volumes(t.Context(), n.Admin, job, mass.VolumeFilter{Limit: 500})
	require.NoError(t, err)
	of := map[string]string{}
	for _, v := range list {
		of[v.Volume.SeriesInstanceUid] = v.Status
	}
	return of
}

// tryMass makes a dry run, which moves nothing, and begins it: the destination has exactly what the filters take.
func tryMass(t *testing.T, n *harness.Member, dst *pacs.PACS, studies []*phantom.Study, status string) {
	t.Helper()
	o := order("source", "destination")
	o.DryRun = true
	// of which a dry run needs nothing
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "destination", true))
	job, err := n.Engine.Mass.Create(t.Context(), n.Admin, o)
	require.NoError(t, err)
	job = n.Wait(job.ID)
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "destination", false))
	require.Equal(t, status, job.Status)
	require.Empty(t, dst.Recorder().Log().Stores, "a dry run moves nothing")
	axial, again := studies[0].Series[0].SeriesInstanceUID, studies[3].Series[0].SeriesInstanceUID
	require.Equal(t, map[string]string{axial: "found", again: "found"}, volumesOf(t, n, job.ID))
	m, err := n.Engine.Mass.Get(t.Context(), n.Admin, job.ID)
	require.NoError(t, err)
	c := m.Count
	require.Equal(t, []int64{1, 2, 2, 5}, []int64{c.Patients, c.Studies, c.Series, c.Instances})
	days, err := n.Engine.Mass.Partitions(t.Context(), n.Admin, job.ID, 0, 10)
	require.NoError(t, err)
	require.Len(t, days, 3)
	for i, want := range []int32{1, 0, 1} {
		require.Equal(t, want, days[i].Series, days[i].FirstDay)
	}
	require.Contains(t, days[1].Message, "No series found.")

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.BeginJob))
	job = n.Wait(job.ID)
	require.Equal(t, status, job.Status)
	require.Equal(t, map[string]string{axial: jobs.Success, again: jobs.Success}, volumesOf(t, n, job.ID))
	var stored []string
	for _, s := range dst.Recorder().Log().Stores {
		stored = append(stored, s.SOPInstanceUID)
	}
	var want []string
	for _, in := range slices.Concat(studies[0].Series[0].Instances, studies[3].Series[0].Instances) {
		want = append(want, in.SOPInstanceUID)
	}
	require.ElementsMatch(t, want, stored)
	require.Error(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.BeginJob), "once")
}

func TestMassAtOwnPACS(t *testing.T) {
	t.Parallel()
	studies, n, dst := cohort(), harness.New(t, harness.Config{}), startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies}).Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	tryMass(t, n, dst, studies, jobs.Success)
}

func TestMassAtOrthanc(t *testing.T) {
	t.Parallel()
	o := testpeer.Orthanc(t, nil, nil)
	studies, n, dst := cohort(), harness.New(t, harness.Config{}), startPACS(t, pacs.Config{AETitle: "DST"})
	for _, path := range filesOf(t, t.TempDir(), studies) {
		o.Upload(t, path)
	}
	n.AddServer("source", "ORTHANC", o.Addr, nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	tryMass(t, n, dst, studies, jobs.Success)
}

// TestMassAtDcmqrscp: it says of no series how it is described, so that a filter by that takes nothing, and says so.
func TestMassAtDcmqrscp(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	studies, n, dst := cohort(), harness.New(t, harness.Config{}), startPACS(t, pacs.Config{AETitle: "DST"})
	output, exit := testpeer.Run(t, nil, "dcmqridx", append([]string{dir}, filesOf(t, dir, studies)...)...)
	require.Zero(t, exit, output)
	n.AddServer("source", "QRSCP", testpeer.DcmQRSCP(t, nil, dir).Addr, nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	o := order("source", "destination")
	o.Filters = mass.Filters{{Modality: "CT", SeriesDescription: "axial"}}
	job, err := n.Engine.Mass.Create(t.Context(), n.Admin, o)
	require.NoError(t, err)
	require.Equal(t, jobs.Warning, n.Wait(job.ID).Status)
	require.Empty(t, volumesOf(t, n, job.ID))
	list, err := n.Engine.Mass.Partitions(t.Context(), n.Admin, job.ID, 0, 1)
	require.NoError(t, err)
	require.Contains(t, list[0].Message, "does not say how its series are described")

	o.Filters = mass.Filters{{Modality: "CT", MinAge: new(18), MinInstances: new(2)}}
	job, err = n.Engine.Mass.Create(t.Context(), n.Admin, o)
	require.NoError(t, err)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	require.Equal(t, map[string]string{
		studies[0].Series[0].SeriesInstanceUID: jobs.Success, studies[3].Series[0].SeriesInstanceUID: jobs.Success,
	}, volumesOf(t, n, job.ID))
}

func filesOf(t *testing.T, dir string, studies []*phantom.Study) (paths []string) {
	t.Helper()
	for _, s := range studies {
		list, err := s.WriteFiles(dir)
		require.NoError(t, err)
		paths = append(paths, list...)
	}
	return paths
}

// TestMassOfSourcesThatHide: of a source that keeps studies to itself all are found, or it is named what can't be
// proven.
func TestMassOfSourcesThatHide(t *testing.T) {
	t.Parallel()
	var studies []*phantom.Study
	for i := range 130 {
		spec := phantom.StudySpec{
			Patient: adult, Date: "20240104", Time: fmt.Sprintf("%02d%02d00", i%24, i*7%60), Description: "CT head",
			Series: []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 16, Columns: 16, Description: "Axial"}},
		}
		spec.Patient.ID = fmt.Sprintf("%c-%03d", "012AB"[i%5], i)
		switch i {
		case 70:
			spec.Time = "120000"
		case 71:
			spec.Time = "235959.5"
		case 72, 73, 74:
			spec.Untimed = true
		}
		studies = append(studies, phantom.New(uint64(9300+i), spec))
	}
	for _, test := range []struct {
		name   string
		find   pacs.FindFaults
		status string
	}{
		{"a silent limit", pacs.FindFaults{Study: pacs.ListFaults{Cap: 50}}, jobs.Success},
		{"a silent limit that is no round number", pacs.FindFaults{Study: pacs.ListFaults{Cap: 33}}, jobs.Success},
		{"no modalities", pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.ModalitiesInStudy}, OmitKeys: []dict.Tag{dict.ModalitiesInStudy}, Study: pacs.ListFaults{Cap: 50}}, jobs.Success},
		{"no times", pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyTime}, Study: pacs.ListFaults{Cap: 50}}, jobs.Success},
		{
			"neither times nor Patient IDs",
			pacs.FindFaults{IgnoreKeys: []dict.Tag{dict.StudyTime, dict.PatientID}, Study: pacs.ListFaults{Cap: 50}},
			jobs.Warning,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: studies, Misbehave: pacs.Misbehave{Find: test.find},
			}).Addr(), nil)
			n.AddServer("destination", "DST", "127.0.0.1:1", nil)
			o := order("source", "destination")
			o.DryRun, o.Weekly = true, true
			job, err := n.Engine.Mass.Create(t.Context(), n.Admin, o)
			require.NoError(t, err)
			require.Equal(t, test.status, n.Wait(job.ID).Status)
			if test.status == jobs.Success {
				require.Len(t, volumesOf(t, n, job.ID), len(studies))
			} else {
				require.Contains(t, n.Task(job.ID).Message, "On 2024-01-04 the source did not tell all studies")
			}
		})
	}
}

// TestMassGoesOn: a partition whose source is away waits; what failed is retried and fetches only what is missing; a
// member that goes away in the middle takes nothing along, and nothing is there twice.
func TestMassGoesOn(t *testing.T) {
	t.Parallel()
	studies, n := cohort(), harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	refused := studies[3].Series[0].Instances[1].SOPInstanceUID
	dst.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{Statuses: map[string]dimse.Status{refused: 0xC000}}})
	job, err := n.Engine.Mass.Create(t.Context(), n.Admin, order("source", "destination"))
	require.NoError(t, err)
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.EqualValues(t, 1, job.NFailure, "one study hurts no other")
	before := len(dst.Recorder().Log().Stores)
	dst.SetMisbehave(pacs.Misbehave{})
	n.Stop(time.Second)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
	n.Start()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	require.Len(t, dst.Recorder().Log().Stores, before+1, "only what was missing")

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RestartJob))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status)
	require.EqualValues(t, 5, job.NSuccess, "three partitions and two studies, as before")
	require.Len(t, volumesOf(t, n, job.ID), 2)
}

// TestMassIntoFolder: folders have the names that users know, of values as they were sent, and the table of volumes
// says what went where.
func TestMassIntoFolder(t *testing.T) {
	t.Parallel()
	for _, pseudonymize := range []bool{false, true} {
		studies, n, dir := cohort(), harness.New(t, harness.Config{}), t.TempDir()
		n.AddServer("source", "SRC", startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies}).Addr(), nil)
		n.AddFolder("folder", dir)
		o := order("source", "folder")
		o.Pseudonymize = pseudonymize
		job, err := n.Engine.Mass.Create(t.Context(), n.Admin, o)
		require.NoError(t, err)
		job = n.Wait(job.ID)
		require.Equal(t, jobs.Success, job.Status)
		var folders []string
		require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".dcm") && !slices.Contains(folders, filepath.Dir(path)) {
				folders = append(folders, filepath.Dir(path))
			}
			return err
		}))
		require.Len(t, folders, 2)
		rest, err := filepath.Rel(dir, folders[0])
		require.NoError(t, err)
		parts := strings.Split(rest, string(os.PathSeparator))
		require.Len(t, parts, 5)
		require.Regexp(t, fmt.Sprintf(`^adit_mass_transfer_%d_\d{8}_`, job.ID), parts[0])
		if !pseudonymize {
			require.Equal(t, []string{"20240103", "MASS-1", "CT head_20240103_120000", "Axial_1"}, parts[1:])
		} else {
			require.NotContains(t, rest, "MASS-1")
		}

		table := table(t, func(ctx context.Context) (write, error) {
			return n.Engine.Mass.Export(ctx, n.Admin, job.ID, batch.FormatCSV)
		})
		rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(table, []byte("\ufeff")))).ReadAll()
		require.NoError(t, err)
		require.Len(t, rows, 3)
		at := func(column string) string { return rows[1][slices.Index(rows[0], column)] }
		require.Equal(t, "20240103", at("partition_key"))
		require.Equal(t, "MASS-1", at("patient_id"))
		require.Equal(t, jobs.Success, at("status"))
		require.Equal(t, "3", at("delivered"))
		require.Equal(t, pseudonymize, at("pseudonym") != "")
		require.Equal(t, pseudonymize, at("series_instance_uid_pseudonymized") != "")
		require.NotEqual(t, at("series_instance_uid"), at("series_instance_uid_pseudonymized"))
	}
}

// TestMassOfTenYears makes 3,653 partitions at once.
func TestMassOfTenYears(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", nil)
	n.AddServer("destination", "DST", "127.0.0.1:2", nil)
	o := order("source", "destination")
	o.First, o.Last = time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2024, 12, 31, 0, 0, 0, 0, time.UTC)
	began := time.Now()
	job, err := n.Engine.Mass.Create(t.Context(), n.Admin, o)
	require.NoError(t, err)
	require.EqualValues(t, 3653, job.NPending)
	t.Logf("made in %s", time.Since(began))
}
