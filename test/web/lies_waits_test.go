// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// beside has a server offer DICOMweb beside C-FIND and C-GET.
func beside(p *pacs.PACS) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.Supports.WADO, s.Supports.QIDO, s.DICOMweb.RootURL = true, true, p.WebURL()
	}
}

func answering(status int, retryAfter string) pacs.WebAnswerFaults {
	return pacs.WebAnswerFaults{Status: status, RetryAfter: retryAfter}
}

// awaitWait waits until a task has waited for a server, and says why.
func awaitWait(n *harness.Member, job int64, why string) (task jobs.Task) {
	n.WaitFor(job, func(j jobs.Job) bool {
		task = n.Task(j.ID)
		return j.Done() || task.Status == jobs.Pending && strings.Contains(task.WhyWaiting, why)
	})
	return task
}

// TestBusyServers: a server that has no room makes the task wait, with the reason shown and without an attempt counted.
// When it has room again, the transfer goes on, and nothing is stored twice.
func TestBusyServers(t *testing.T) {
	n := harness.New(t, quick())
	soon := time.Now().Add(3 * time.Second).UTC().Format(http.TimeFormat)
	study := liars(6)
	source := func(f pacs.WebFaults) pacs.WebFaults { return f }
	for _, tt := range []struct {
		name     string
		src, dst pacs.WebFaults
		also     bool // the source offers C-GET, too: the same server has no room for that either
		why      string
	}{
		{name: "source, all", src: source(pacs.WebFaults{Any: answering(503, "")}), why: "status 503"},
		{name: "source, searches", src: pacs.WebFaults{Search: pacs.WebSearchFaults{AnswerFaults: answering(429, "1")}}, why: "status 429"},
		{name: "source, retrieves", src: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: answering(503, "1")}}, why: "status 503"},
		{name: "source, retrieves, until a date", src: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: answering(429, soon)}}, why: "status 429"},
		{name: "source, retrieves, and it offers C-GET", also: true, src: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: answering(503, "1")}}, why: "status 503"},
		{name: "destination, all", dst: pacs.WebFaults{Any: answering(503, "")}, why: "status 503"},
		{name: "destination, stores", dst: pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: answering(503, "1")}}, why: "status 503"},
		{name: "destination, stores, until a date", dst: pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: answering(429, soon)}}, why: "status 429"},
		{name: "destination, its storage", dst: pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: answering(507, "")}}, why: "status 507"},
		{name: "destination, each instance", dst: refusing(0xA700, pacs.WebStoreFaults{}, all...)(study), why: "A700H"},
		{name: "destination, each instance, as status 503", dst: refusing(503, pacs.WebStoreFaults{}, all...)(study), why: "is out of resources"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Web: tt.src}})
			dst := startPACS(t, pacs.Config{Misbehave: pacs.Misbehave{Web: tt.dst}})
			reach := byWeb
			if tt.also {
				reach = beside
			}
			job := n.Transfer(add(n, src, reach(src)), add(n, dst, byWeb(dst)), study.StudyInstanceUID)
			task := awaitWait(n, job.ID, tt.why)
			require.Equal(t, jobs.Pending, task.Status, task.Message)
			require.Zero(t, task.Failures+task.Losses)

			src.SetMisbehave(pacs.Misbehave{})
			dst.SetMisbehave(pacs.Misbehave{})
			n.Wait(job.ID)
			task = n.Task(job.ID)
			require.Zero(t, task.Failures+task.Losses)
			told{delivered: -1}.require(t, n, task, study, dst)
		})
	}
}

// TestRetryAfter: a server that says when to come again is left alone for that long.
func TestRetryAfter(t *testing.T) {
	n := harness.New(t, quick())
	study := liars(11)
	oneByOne := func(s *nodes.NewServer) { s.AssociationsPerTask = 1 }
	for name, service := range map[string]string{"source": "retrieve", "destination": "store", "search": "search"} {
		t.Run(name, func(t *testing.T) {
			busy := answering(503, "2")
			busy.First = 1
			var src, dst pacs.Misbehave
			of := &src
			switch service {
			case "retrieve":
				src.Web.Retrieve.AnswerFaults = busy
			case "search":
				src.Web.Search.AnswerFaults = busy
			default:
				dst.Web.Store.AnswerFaults, of = busy, &dst
			}
			from := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: src})
			to := startPACS(t, pacs.Config{Misbehave: dst})
			job := n.Wait(n.Transfer(
				add(n, from, byWeb(from), oneByOne), add(n, to, byWeb(to), oneByOne), study.StudyInstanceUID,
			).ID)
			task := n.Task(job.ID)
			require.Zero(t, task.Failures+task.Losses)
			told{delivered: -1}.require(t, n, task, study, to)
			p := map[*pacs.Misbehave]*pacs.PACS{&src: from, &dst: to}[of]
			var times []time.Time
			for _, r := range p.Recorder().Log().Requests {
				if r.Service == service {
					times = append(times, r.Time)
				}
			}
			require.GreaterOrEqual(t, times[1].Sub(times[0]), 2*time.Second)
		})
	}
}

var all = func() (list []int) {
	for i := range objects {
		list = append(list, i)
	}
	return list
}()

// TestNearline: a study that has to be brought back makes the task wait, without an attempt counted.
func TestNearline(t *testing.T) {
	n := harness.New(t, quick())
	study := liars(7)
	for name, a := range map[string]pacs.ArchiveFaults{
		"answers 503": {Availability: "NEARLINE", Retrieves: 2, Status: dimse.OutOfResourcesSubOps},
		"answers 404": {Availability: "NEARLINE", Retrieves: 2},
	} {
		t.Run(name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Archive: a}})
			dst := startPACS(t, pacs.Config{})
			job := n.Wait(n.Transfer(add(n, src, byWeb(src)), add(n, dst), study.StudyInstanceUID).ID)
			require.True(t, job.Done())
			task := n.Task(job.ID)
			require.Zero(t, task.Failures+task.Losses)
			told{delivered: -1}.require(t, n, task, study, dst)
		})
	}
}

// TestOtherMethods: what WADO-RS does not bring comes by C-GET, where that is offered, and by C-MOVE at last.
func TestOtherMethods(t *testing.T) {
	n := harness.New(t, quick())
	study := liars(9)
	retrieve := func(f pacs.WebRetrieveFaults) pacs.Misbehave { return pacs.Misbehave{Web: pacs.WebFaults{Retrieve: f}} }
	for _, tt := range []struct {
		name   string
		says   pacs.Misbehave
		change func(*nodes.NewServer)
		gets   bool // C-GET has to be used
		moves  bool // C-MOVE has to be
	}{
		{name: "no faults"},
		{name: "no retrieves: 501", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: answering(501, "")}), gets: true},
		{name: "not allowed: 401", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: answering(401, "")}), gets: true},
		{name: "not allowed: 403", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: answering(403, "")}), gets: true},
		{name: "fails: 500", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: answering(500, "")}), gets: true},
		{name: "a page of HTML", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: pacs.WebAnswerFaults{
			Status: 200, ContentType: "text/html", Body: "<html>Please log in</html>",
		}}), gets: true},
		{name: "drops each answer", says: retrieve(pacs.WebRetrieveFaults{
			AnswerFaults: pacs.WebAnswerFaults{Cut: pacs.CutDrop},
		}), gets: true},
		{name: "leaves some out, without a sign", says: retrieve(pacs.WebRetrieveFaults{Missing: uids(study, 3, 17)}), gets: true},
		{name: "leaves some out: 206", says: retrieve(pacs.WebRetrieveFaults{Missing: uids(study, 3, 17), Partial: true}), gets: true},
		{name: "nothing listens for DICOMweb", change: func(s *nodes.NewServer) { s.DICOMweb.RootURL = "http://127.0.0.1:1/dicom-web" }, gets: true},
		{
			name: "neither WADO-RS nor C-GET", says: pacs.Misbehave{
				Web: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: answering(501, "")}},
				Get: pacs.GetFaults{Status: dimse.RefusedSOPClass},
			},
			change: func(s *nodes.NewServer) { s.Supports.StudyRootMove = true }, gets: true, moves: true,
		},
		{
			name: "WADO-RS, else C-MOVE alone", says: retrieve(pacs.WebRetrieveFaults{AnswerFaults: answering(501, "")}),
			change: func(s *nodes.NewServer) { s.Supports.StudyRootGet, s.Supports.StudyRootMove = false, true }, moves: true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := startPACS(t, pacs.Config{
				Studies: []*phantom.Study{study}, Misbehave: tt.says, MoveDestinations: map[string]string{"ADIT": n.ReceiverAddr},
			})
			dst := startPACS(t, pacs.Config{})
			job := n.Wait(n.Transfer(add(n, src, beside(src), tt.change), add(n, dst), study.StudyInstanceUID).ID)
			told{delivered: -1}.require(t, n, n.Task(job.ID), study, dst)
			log := src.Recorder().Log()
			require.Equal(t, tt.gets, len(log.Gets) > 0, "C-GET")
			require.Equal(t, tt.moves, len(log.Moves) > 0, "C-MOVE")
		})
	}
}

// TestNobodyElseIsAsked: a server that sends requests on to another one is not followed: the other one sees nothing, no
// UIDs and no credentials. The task waits until that has been put right.
func TestNobodyElseIsAsked(t *testing.T) {
	var seen atomic.Int64
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		seen.Add(1)
		w.WriteHeader(http.StatusOK)
	}))
	t.Cleanup(elsewhere.Close)
	away := pacs.WebAnswerFaults{Redirect: elsewhere.URL}
	n := harness.New(t, quick())
	study := liars(10)
	for _, tt := range []struct {
		name     string
		src, dst pacs.WebFaults
	}{
		{name: "searches", src: pacs.WebFaults{Search: pacs.WebSearchFaults{AnswerFaults: away}}},
		{name: "retrieves", src: pacs.WebFaults{Retrieve: pacs.WebRetrieveFaults{AnswerFaults: away}}},
		{name: "stores", dst: pacs.WebFaults{Store: pacs.WebStoreFaults{AnswerFaults: away}}},
		{name: "all", dst: pacs.WebFaults{Any: away}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			web := &pacs.WebConfig{Credentials: []string{pacs.BasicAuth("adit", secret)}}
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: pacs.Misbehave{Web: tt.src}, Web: web})
			dst := startPACS(t, pacs.Config{Misbehave: pacs.Misbehave{Web: tt.dst}, Web: web})
			job := n.Transfer(
				add(n, src, byWeb(src), basic("adit", secret)), add(n, dst, byWeb(dst), basic("adit", secret)), study.StudyInstanceUID,
			)
			task := awaitWait(n, job.ID, "redirect")
			t.Logf("%s %s %s", task.Status, task.WhyWaiting, task.Message)
			require.Contains(t, task.WhyWaiting+task.Message, "redirect")
			require.NotEqual(t, jobs.Success, task.Status)
			src.SetMisbehave(pacs.Misbehave{})
			dst.SetMisbehave(pacs.Misbehave{})
			if task.Status == jobs.Failure {
				require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.RetryJob))
			}
			n.Wait(job.ID)
			told{delivered: -1}.require(t, n, n.Task(job.ID), study, dst)
			require.Zero(t, seen.Load(), "another server was asked")
		})
	}
}
