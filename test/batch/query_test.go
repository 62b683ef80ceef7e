// SPDX-License-Identifier: AGPL-3.0-or-later

// Package batch tests jobs that are made from files, against real peers.
package batch

import (
	"net"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

func TestMain(m *testing.M) {
	testpeer.Isolate()
	m.Run()
}

func startPACS(t *testing.T, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// ask makes a batch query at some sources, waits for its jobs, and returns them.
func ask(t *testing.T, n *harness.Member, sources []string, rows ...jobs.Query) []jobs.Job {
	t.Helper()
	for i := range rows {
		rows[i].Row = int32(i + 2)
	}
	list, err := n.Engine.Jobs.CreateQueries(t.Context(), n.Admin, jobs.Queries{Sources: sources, Rows: rows})
	require.NoError(t, err)
	for i := range list {
		list[i] = n.Wait(list[i].ID)
	}
	return list
}

// foundBy gives what was found by row.
func foundBy(t *testing.T, n *harness.Member, job int64) map[int32][]batchquery.Result {
	t.Helper()
	list, err := n.Engine.BatchQuery.Results(t.Context(), n.Admin, job, batchquery.ResultFilter{Limit: 1000})
	require.NoError(t, err)
	by := map[int32][]batchquery.Result{}
	for _, r := range list {
		by[r.Row] = append(by[r.Row], r)
	}
	return by
}

// row is a row of a batch query and what comes of it, by the places of studies in phantom.DemoStudies.
type row struct {
	name    string
	query   jobs.Query
	want    []int
	series  int // of the studies, where series are asked for
	status  string
	message string
}

// rows are tried with every peer.
func rows() []row {
	return []row{
		{"a patient's CT", jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}}, []int{0, 1}, 0, jobs.Success, "2 studies found."},
		{"in a range of dates", jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}, StudyDateFrom: "20240109", StudyDateTo: "20241231"}, []int{1}, 0, jobs.Success, "1 study found."},
		{"several modalities", jobs.Query{PatientID: "PHANTOM-002", Modalities: []string{"MR", "US", "XA"}}, []int{2, 3}, 0, jobs.Success, "2 studies found."},
		{"name and birth date", jobs.Query{PatientName: "Phantom^Alpha", PatientBirthDate: "19500101", Modalities: []string{"CT"}}, []int{0, 1}, 0, jobs.Success, "2 studies found."},
		{"in other letters", jobs.Query{PatientName: "PHANTOM^alpha", PatientBirthDate: "19500101", Modalities: []string{"CT"}}, []int{0, 1}, 0, jobs.Success, "2 studies found."},
		{"an umlaut", jobs.Query{PatientName: "Phäntom^Bêta", PatientBirthDate: "19610202", Modalities: []string{"MR"}}, []int{2}, 0, jobs.Success, "1 study found."},
		{"ideographs", jobs.Query{PatientName: "幻影^六", PatientBirthDate: "20050606", Modalities: []string{"US"}}, []int{9}, 0, jobs.Success, "1 study found."},
		{"an accession number", jobs.Query{AccessionNumber: "DEMO-0005"}, []int{4}, 0, jobs.Success, "1 study found."},
		{"a description", jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}, StudyDescription: "ct abdomen*"}, []int{0, 1}, 0, jobs.Success, "2 studies found."},
		{"a whole description", jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}, StudyDescription: "CT ABDOMEN"}, []int{0}, 0, jobs.Success, "1 study found."},
		{"series by description", jobs.Query{PatientID: "PHANTOM-002", Modalities: []string{"MR"}, SeriesDescription: "t? axial"}, []int{2, 2}, 2, jobs.Success, "2 series of 1 study found."},
		{"series by number", jobs.Query{PatientID: "PHANTOM-002", Modalities: []string{"MR"}, SeriesNumbers: []int32{2}}, []int{2}, 1, jobs.Success, "1 series of 1 study found."},
		{"nothing of a known patient", jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"XA"}}, nil, 0, jobs.Success, "Nothing found."},
		{"an unknown patient", jobs.Query{PatientID: "PHANTOM-999", Modalities: []string{"CT"}}, nil, 0, jobs.Failure, "knows no patient with this Patient ID"},
		{"an unknown name", jobs.Query{PatientName: "Phantom^Omega", PatientBirthDate: "19500101", Modalities: []string{"CT"}}, nil, 0, jobs.Failure, "knows no patient with this name and birth date"},
		{"somebody else's ID", jobs.Query{PatientID: "PHANTOM-001", PatientName: "Phäntom^Bêta", Modalities: []string{"CT"}}, nil, 0, jobs.Failure, "under another name or birth date"},
		{"an unknown accession number", jobs.Query{AccessionNumber: "DEMO-9999"}, nil, 0, jobs.Success, "Nothing found."},
	}
}

// tryRows asks everything of a source and compares.
func tryRows(t *testing.T, n *harness.Member, source string, list []row) {
	t.Helper()
	queries := make([]jobs.Query, len(list))
	for i, r := range list {
		queries[i] = r.query
	}
	job := ask(t, n, []string{source}, queries...)[0]
	by := foundBy(t, n, job.ID)
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 500})
	require.NoError(t, err)
	require.Len(t, tasks, len(list))
	studies := phantom.DemoStudies()
	for i, r := range list {
		t.Run(r.name, func(t *testing.T) {
			require.Equal(t, r.status, tasks[i].Status, tasks[i].Message)
			require.Contains(t, tasks[i].Message, r.message)
			var got, want []string
			series := 0
			for _, f := range by[int32(i+2)] {
				got = append(got, f.StudyInstanceUid)
				if f.SeriesInstanceUid != "" {
					series++
				}
				require.NotZero(t, f.Instances)
			}
			for _, at := range r.want {
				want = append(want, studies[at].StudyInstanceUID)
			}
			require.Equal(t, want, got)
			require.Equal(t, r.series, series)
		})
	}
}

func TestQueryAtOwnPACS(t *testing.T) {
	p := startPACS(t, pacs.Config{AETitle: "PACS", Studies: phantom.DemoStudies()})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "PACS", p.Addr(), nil)
	tryRows(t, n, "source", rows())
}

// TestQueryAtSeveralSources: each source has a job of its own, and the results tell where they are from.
func TestQueryAtSeveralSources(t *testing.T) {
	studies := phantom.DemoStudies()
	n := harness.New(t, harness.Config{})
	n.AddServer("first", "FIRST", startPACS(t, pacs.Config{AETitle: "FIRST", Studies: studies[:1]}).Addr(), nil)
	n.AddServer("second", "SECOND", startPACS(t, pacs.Config{AETitle: "SECOND", Studies: studies[1:2]}).Addr(), nil)
	list := ask(
		t, n, []string{"first", "second"},
		jobs.Query{PatientID: "PHANTOM-001", Modalities: []string{"CT"}, Pseudonym: "SUBJ-1"},
	)
	require.Len(t, list, 2)
	require.Equal(t, "first", list[0].Source)
	require.Equal(t, "second", list[1].Source)
	for i, job := range list {
		require.Equal(t, jobs.Success, job.Status)
		of := batchquery.ResultFilter{AllSources: true, Limit: 10}
		found, err := n.Engine.BatchQuery.Results(t.Context(), n.Admin, job.ID, of)
		require.NoError(t, err)
		require.Len(t, found, 2, "asked of either job, those of both")
		own := foundBy(t, n, job.ID)[2]
		require.Len(t, own, 1)
		require.Equal(t, studies[i].StudyInstanceUID, own[0].StudyInstanceUid)
		require.Equal(t, list[i].Source, own[0].Source)
		require.Equal(t, "SUBJ-1", own[0].Pseudonym)
	}
}

// TestQueryOfServerThatComesBack: a row waits for its source, and what it finds is there once, however often it asks.
func TestQueryOfServerThatComesBack(t *testing.T) {
	addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(testpeer.Port(t)))
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "PACS", addr, nil)
	list, err := n.Engine.Jobs.CreateQueries(t.Context(), n.Admin, jobs.Queries{
		Sources: []string{"source"}, Rows: []jobs.Query{{Row: 2, PatientID: "PHANTOM-001", Modalities: []string{"CT"}}},
	})
	require.NoError(t, err)
	n.WaitFor(list[0].ID, func(j jobs.Job) bool { return j.StartedAt != nil && j.NRunning == 0 })
	startPACS(t, pacs.Config{AETitle: "PACS", Listen: addr, Studies: phantom.DemoStudies()})
	require.Equal(t, jobs.Success, n.Wait(list[0].ID).Status)
	require.Len(t, foundBy(t, n, list[0].ID)[2], 2)
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, list[0].ID, jobs.RestartJob))
	require.Equal(t, jobs.Success, n.Wait(list[0].ID).Status)
	require.Len(t, foundBy(t, n, list[0].ID)[2], 2, "once, however often it was asked")
}

// files writes the phantoms' files into a folder.
func files(t *testing.T) (dir string, paths []string) {
	t.Helper()
	dir = t.TempDir()
	for _, s := range phantom.DemoStudies() {
		list, err := s.WriteFiles(dir)
		require.NoError(t, err)
		paths = append(paths, list...)
	}
	return dir, paths
}

func TestQueryAtOrthanc(t *testing.T) {
	o := testpeer.Orthanc(t, nil, map[string]any{"DefaultEncoding": "Utf8"}) // else its answers lack ideographs
	_, paths := files(t)
	for _, p := range paths {
		o.Upload(t, p)
	}
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "ORTHANC", o.Addr, nil)
	tryRows(t, n, "source", rows())
}

func TestQueryAtDcmqrscp(t *testing.T) {
	dir, paths := files(t)
	output, exit := testpeer.Run(t, nil, "dcmqridx", append([]string{dir}, paths...)...)
	require.Zero(t, exit, output)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "QRSCP", testpeer.DcmQRSCP(t, nil, dir).Addr, nil)
	list := rows()
	for i := range list {
		if list[i].query.SeriesDescription != "" { // it says of no series how it is described
			list[i].want, list[i].series, list[i].status, list[i].message = nil, 0, jobs.Warning, "says of no series"
		}
	}
	tryRows(t, n, "source", list)
}
