// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/test/harness"
)

// ofPatient are small studies of a patient on days in a row.
func ofPatient(n int) (list []*phantom.Study) {
	for i := range n {
		list = append(list, phantom.New(uint64(100+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha", BirthDate: "19500101"},
			Date:    time.Date(2024, 1, 1+i, 0, 0, 0, 0, time.UTC).Format("20060102"), Time: "120000",
			Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: 16, Columns: 16}},
		}))
	}
	return list
}

// lying is a PACS of some studies that lies in its searches.
func lying(studies []*phantom.Study, faults pacs.WebSearchFaults) pacs.Config {
	return pacs.Config{Studies: studies, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{Search: faults}}}
}

// TestSearch: what a search gives, and whether it says that there may be more, of servers that give their answers in
// different ways.
func TestSearch(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	for name, tt := range map[string]struct {
		faults pacs.WebSearchFaults
		most   int // studies that are there
		found  int
		cut    bool
	}{
		"no pages, and no limits": {
			pacs.WebSearchFaults{IgnoreOffset: true, IgnoreLimit: true, IgnoreKeys: true}, 30, 30, false,
		},
		"as it should be":                      {pacs.WebSearchFaults{}, 30, 30, false},
		"in small pages":                       {pacs.WebSearchFaults{Cap: 7, Warn: true}, 30, 30, false},
		"nothing is 204":                       {pacs.WebSearchFaults{NoContent: true}, 30, 30, false},
		"each twice":                           {pacs.WebSearchFaults{Twice: true}, 30, 30, false},
		"no pages, and one is not full":        {pacs.WebSearchFaults{IgnoreOffset: true}, 30, 30, false},
		"no pages, and one was all it gave":    {pacs.WebSearchFaults{IgnoreOffset: true, Cap: 7, Warn: true}, 30, 7, true},
		"no pages, and more than one":          {pacs.WebSearchFaults{IgnoreOffset: true}, 230, 200, true},
		"keys are ignored":                     {pacs.WebSearchFaults{IgnoreKeys: true}, 30, 30, false},
		"keys are ignored, and there is a cap": {pacs.WebSearchFaults{IgnoreKeys: true, Cap: 7, Warn: true}, 30, 30, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPACS(t, lying(ofPatient(tt.most), tt.faults))
			server := "s" + p.Addr()[len("127.0.0.1:"):]
			n.AddServer(server, server, p.Addr(), byWeb(p))
			cut := false
			found := 0
			for _, err := range n.Engine.Query.Studies(
				t.Context(), n.Admin, server, query.Search{PatientID: "PHANTOM-001", Cut: &cut},
			) {
				require.NoError(t, err)
				found++
			}
			require.Equal(t, tt.found, found)
			require.Equal(t, tt.cut, cut)
		})
	}
}

// TestWithoutPages: a server that refuses to go on behind the first answers gives whole searches, and whole studies.
func TestWithoutPages(t *testing.T) {
	n := harness.New(t, harness.Config{})
	studies := append(ofPatient(9), mixed(5))
	p := startPACS(t, pacs.Config{Studies: studies})
	at, err := url.Parse(strings.TrimSuffix(p.WebURL(), "/dicom-web"))
	require.NoError(t, err)
	behind := httputil.NewSingleHostReverseProxy(at)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Has("offset") {
			http.Error(w, "unknown", http.StatusInternalServerError)
			return
		}
		behind.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	n.AddServer("pacs", "PACS", p.Addr(), func(s *nodes.NewServer) {
		byWeb(p)(s)
		s.DICOMweb.RootURL = front.URL + "/dicom-web"
	})
	dst := startPACS(t, pacs.Config{Memory: 1 << 30})
	n.AddServer("to", "TO", dst.Addr(), byWeb(dst))
	cut, found := false, 0
	for _, err := range n.Engine.Query.Studies(
		t.Context(), n.Admin, "pacs", query.Search{PatientID: "PHANTOM-001", Cut: &cut},
	) {
		require.NoError(t, err)
		found++
	}
	require.Equal(t, 9, found)
	require.False(t, cut)
	study := studies[9]
	job := n.Wait(n.Transfer("pacs", "to", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
	requireSame(t, p, dst, len(study.Instances()))
	require.True(t, slices.ContainsFunc(p.Recorder().Log().Requests, func(r pacs.WebRequest) bool {
		return r.Service == "metadata"
	}), "a list of one page proves nothing by itself")
}

// TestBlankAnswers: where a proxy answers in place of its server with success and nothing else, nobody is told that
// there is nothing. A list for a transfer is taken from the metadata.
func TestBlankAnswers(t *testing.T) {
	for name, tt := range map[string]struct {
		blank func(r *http.Request) bool // what is answered so
		body  string
		found bool // else the search fails
	}{
		"the server is away": {
			func(*http.Request) bool { return true }, "", false,
		},
		"it finds nothing": {
			func(r *http.Request) bool { return !strings.Contains(r.URL.Path, "/series") }, "null", false,
		},
		"at the end of lists": {
			func(r *http.Request) bool { return r.URL.Query().Has("offset") }, "null", true,
		},
		"no lists of instances": {
			func(r *http.Request) bool {
				return strings.HasSuffix(r.URL.Path, "/instances") || r.URL.RawQuery == "limit=1"
			},
			"", true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := harness.New(t, harness.Config{})
			study := mixed(5)
			p := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
			at, err := url.Parse(strings.TrimSuffix(p.WebURL(), "/dicom-web"))
			require.NoError(t, err)
			behind := httputil.NewSingleHostReverseProxy(at)
			front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.blank(r) {
					w.Header().Set("Content-Type", "application/dicom+json")
					_, _ = w.Write([]byte(tt.body))
					return
				}
				behind.ServeHTTP(w, r)
			}))
			t.Cleanup(front.Close)
			n.AddServer("pacs", "PACS", p.Addr(), func(s *nodes.NewServer) {
				byWeb(p)(s)
				s.DICOMweb.RootURL = front.URL + "/dicom-web"
			})
			found, failed := 0, false
			for _, err := range n.Engine.Query.Studies(
				t.Context(), n.Admin, "pacs", query.Search{PatientID: study.Spec.Patient.ID},
			) {
				if failed = err != nil; !failed {
					found++
				}
			}
			require.Equal(t, !tt.found, failed)
			if !tt.found {
				require.Zero(t, found)
				return
			}
			require.Equal(t, 1, found)
			dst := startPACS(t, pacs.Config{Memory: 1 << 30})
			n.AddServer("to", "TO", dst.Addr(), byWeb(dst))
			job := n.Wait(n.Transfer("pacs", "to", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, p, dst, len(study.Instances()))
		})
	}
}

// TestDestinationWithoutPages: what a destination lists of what it was sent counts, though no list of its is shown to
// be whole.
func TestDestinationWithoutPages(t *testing.T) {
	study := ct(7, 5)
	uid := study.Instances()[2].SOPInstanceUID
	for name, store := range map[string]pacs.WebStoreFaults{
		"verified": {}, "one is not mentioned": {Unmentioned: []string{uid}}, "one is not mentioned, and lost": {
			Unmentioned: []string{uid}, Lose: []string{uid},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := harness.New(t, harness.Config{})
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{Memory: 1 << 30, Misbehave: pacs.Misbehave{Web: pacs.WebFaults{
				Search: pacs.WebSearchFaults{IgnoreOffset: true}, Store: store,
			}}})
			n.AddServer("source", "SRC", src.Addr(), byWeb(src))
			n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) {
				byWeb(dst)(s)
				s.Verify.Method = nodes.VerifyPresence
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			if len(store.Lose) > 0 {
				require.NotEqual(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
				return
			}
			require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
			requireSame(t, src, dst, 5)
		})
	}
}

// TestSearchOfWhoDoesNotAskForCuts: a search that can't be shown to be whole ends with an error for who has no other
// way of being told.
func TestSearchOfWhoDoesNotAskForCuts(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	p := startPACS(t, lying(ofPatient(9), pacs.WebSearchFaults{IgnoreOffset: true, Cap: 5, Warn: true}))
	n.AddServer("pacs", "PACS", p.Addr(), byWeb(p))
	var last error
	found := 0
	for _, err := range n.Engine.Query.Studies(t.Context(), n.Admin, "pacs", query.Search{PatientID: "PHANTOM-001"}) {
		if last = err; err == nil {
			found++
		}
	}
	require.Equal(t, 5, found)
	require.ErrorContains(t, last, "may have more than its 5 answers")
}

// TestBatchQuery: rows of a batch query say whether their source may have more.
func TestBatchQuery(t *testing.T) {
	n := harness.New(t, harness.Config{})
	for name, tt := range map[string]struct {
		faults  pacs.WebSearchFaults
		query   jobs.Query
		found   int
		status  string
		message string
	}{
		"whole":    {pacs.WebSearchFaults{}, jobs.Query{PatientID: "PHANTOM-001"}, 9, jobs.Success, "9 studies found."},
		"no pages": {pacs.WebSearchFaults{IgnoreOffset: true}, jobs.Query{PatientID: "PHANTOM-001"}, 9, jobs.Success, "9 studies found."},
		"cut": {
			pacs.WebSearchFaults{IgnoreOffset: true, Cap: 5, Warn: true},
			jobs.Query{PatientID: "PHANTOM-001"},
			5, jobs.Warning, "there may be more",
		},
		"series of a cut list": {
			pacs.WebSearchFaults{IgnoreOffset: true, Cap: 5, Warn: true},
			jobs.Query{PatientID: "PHANTOM-001", SeriesNumbers: []int32{1}},
			5, jobs.Warning, "there may be more",
		},
		"none in a cut list": {
			pacs.WebSearchFaults{IgnoreKeys: true, IgnoreOffset: true, Cap: 5, Warn: true},
			jobs.Query{PatientID: "PHANTOM-009"},
			0, jobs.Failure, "it may have more than it gave",
		},
		"nobody": {
			pacs.WebSearchFaults{}, jobs.Query{PatientID: "PHANTOM-009"}, 0, jobs.Failure, "knows no patient",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := startPACS(t, lying(ofPatient(9), tt.faults))
			server := "b" + p.Addr()[len("127.0.0.1:"):]
			n.AddServer(server, server, p.Addr(), byWeb(p))
			tt.query.Row = 2
			list, err := n.Engine.Jobs.CreateQueries(
				t.Context(), n.Admin, jobs.Queries{Sources: []string{server}, Rows: []jobs.Query{tt.query}},
			)
			require.NoError(t, err)
			job := n.Wait(list[0].ID)
			task := n.Task(job.ID)
			require.Equal(t, tt.status, task.Status, task.Message)
			require.Contains(t, task.Message, tt.message)
			results, err := n.Engine.BatchQuery.Results(t.Context(), n.Admin, job.ID, batchquery.ResultFilter{Limit: 1000})
			require.NoError(t, err)
			require.Len(t, results, tt.found)
		})
	}
}

// TestMassTransfer: a mass transfer finds every study of its days, whatever pages its source gives, without a doubt.
func TestMassTransfer(t *testing.T) {
	n := harness.New(t, harness.Config{})
	for name, faults := range map[string]pacs.WebSearchFaults{
		"whole": {}, "no pages": {IgnoreOffset: true}, "no pages, and a limit that it tells of": {IgnoreOffset: true, Cap: 5, Warn: true},
		"no pages, and a limit": {IgnoreOffset: true, Cap: 5},
	} {
		t.Run(name, func(t *testing.T) {
			studies := ofPatient(12)
			p := startPACS(t, lying(studies, faults))
			server := "m" + p.Addr()[len("127.0.0.1:"):]
			n.AddServer(server, server, p.Addr(), byWeb(p))
			dst := startPACS(t, pacs.Config{Memory: 1 << 20})
			n.AddServer("to-"+server, "to-"+server, dst.Addr(), byWeb(dst))
			job, err := n.Engine.Mass.Create(t.Context(), n.Admin, mass.Order{
				Transfer: jobs.Transfer{Source: server, Destination: "to-" + server},
				First:    time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC), Last: time.Date(2024, 1, 12, 0, 0, 0, 0, time.UTC),
				Filters: mass.Filters{{Modality: "CT"}},
			})
			require.NoError(t, err)
			job = n.Wait(job.ID)
			tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 100})
			require.NoError(t, err)
			require.Equal(t, jobs.Success, job.Status, "%+v", tasks)
			require.Len(t, slices.Compact(slices.Sorted(slices.Values(pacs.UIDs(dst.Recorder().Log().Stores)))), len(studies))
		})
	}
}
