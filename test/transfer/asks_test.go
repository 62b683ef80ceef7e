// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// asked is what a source was asked, counted where it answers.
type asked struct{ associations, studies, series, images, retrieves int }

func askedOf(l pacs.Log) (a asked) {
	for _, q := range l.Finds {
		switch q.Level {
		case "STUDY":
			a.studies++
		case "SERIES":
			a.series++
		case "IMAGE":
			a.images++
		}
	}
	a.associations, a.retrieves = l.Total, len(l.Gets)+len(l.Moves)
	return a
}

func (a asked) since(b asked) asked {
	return asked{
		a.associations - b.associations, a.studies - b.studies,
		a.series - b.series, a.images - b.images, a.retrieves - b.retrieves,
	}
}

// dated is a study of some series of some instances, taken at a date and time.
func dated(seed uint64, date, clock string, series, instances int) *phantom.Study {
	spec := phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"}, Date: date, Time: clock,
	}
	for range series {
		spec.Series = append(
			spec.Series, phantom.SeriesSpec{Kind: phantom.CT, Instances: instances, Rows: 16, Columns: 16},
		)
	}
	return phantom.New(seed, spec)
}

// TestAsked: what a source is asked for one study, after another one has shown what the two nodes have in common. No
// list is asked for twice without a reason, and one association is enough where it can be known what for.
func TestAsked(t *testing.T) {
	const old, clock = "20240102", "080000"
	counts := func(tag dict.Tag, n string) func(*pacs.Config, *phantom.Study) {
		return func(c *pacs.Config, s *phantom.Study) {
			answers := func(uid string) map[string]map[dict.Tag][]string {
				return map[string]map[dict.Tag][]string{uid: {tag: {n}}}
			}
			if tag == dict.NumberOfStudyRelatedInstances {
				c.Misbehave.Find.Study.Answers = answers(s.StudyInstanceUID)
			} else {
				c.Misbehave.Find.Series.Answers = answers(s.Series[0].SeriesInstanceUID)
			}
		}
	}
	omits := func(keys ...dict.Tag) func(*pacs.Config, *phantom.Study) {
		return func(c *pacs.Config, _ *phantom.Study) { c.Misbehave.Find.OmitKeys = keys }
	}
	never := time.Duration(0)
	ago := func(d time.Duration) (date, clock string) {
		at := time.Now().Add(-d)
		return at.Format("20060102"), at.Format("150405")
	}
	hour, minute := ago(time.Hour)
	tomorrow, _ := ago(-24 * time.Hour)
	noon, ofNoon := ago(30 * time.Hour)
	n := harness.New(t, harness.Config{Workers: 8})
	_, err := n.People.Site.ChangeSettings(t.Context(), n.Admin, func(s *people.Settings) { s.MaxJobsPerHour = 0 })
	require.NoError(t, err)
	var number atomic.Int32
	for _, tt := range []struct {
		name        string
		date, clock string
		series      int
		instances   int
		peer        func(*pacs.Config, *phantom.Study)
		server      func(*nodes.NewServer)
		want        asked
		byMove      *asked // where it differs by C-MOVE
		status      string // Success, if empty
	}{
		{name: "one instance", want: asked{1, 1, 1, 1, 1}},
		{name: "four instances", instances: 4, want: asked{1, 1, 1, 1, 1}},
		{name: "three series", series: 3, instances: 2, want: asked{1, 1, 1, 3, 3}},
		{name: "without IMAGE level", server: func(s *nodes.NewServer) { s.FindImages = new(false) }, want: asked{1, 1, 1, 0, 1}},
		{name: "without counts", instances: 3, peer: omits(dict.NumberOfStudyRelatedInstances, dict.NumberOfSeriesRelatedInstances), want: asked{1, 1, 1, 1, 1}},
		{
			name: "counts that are known to be wrong", instances: 3,
			server: func(s *nodes.NewServer) { s.Rules.IgnoreCounts = true },
			peer:   counts(dict.NumberOfSeriesRelatedInstances, "9"), want: asked{1, 1, 1, 1, 1},
		},
		{name: "a day and six hours old", date: noon, clock: ofNoon, want: asked{1, 1, 1, 1, 1}},
		{name: "an hour old", date: hour, clock: minute, want: asked{1, 1, 2, 2, 1}},
		{name: "an hour old, and none counts as young", date: hour, clock: minute, server: func(s *nodes.NewServer) { s.Rules.YoungStudy = &never }, want: asked{1, 1, 1, 1, 1}},
		{name: "of tomorrow", date: tomorrow, clock: clock, want: asked{1, 1, 2, 2, 1}},
		{name: "without a date", peer: omits(dict.StudyDate), want: asked{1, 1, 2, 2, 1}},
		{name: "of today without a time", date: hour, peer: omits(dict.StudyTime), want: asked{1, 1, 2, 2, 1}},
		{name: "of old without a time", peer: omits(dict.StudyTime), want: asked{1, 1, 1, 1, 1}},
		{
			name: "a series' count above its list",
			peer: counts(dict.NumberOfSeriesRelatedInstances, "2"), status: jobs.Warning,
			want: asked{2, 1, 2, 2, 2}, byMove: &asked{1, 1, 2, 2, 2}, // asked for once more in all transfer syntaxes
		},
		{
			name: "the study's count above its lists",
			peer: counts(dict.NumberOfStudyRelatedInstances, "2"), status: jobs.Warning,
			want: asked{3, 1, 2, 2, 3}, byMove: &asked{1, 1, 2, 2, 2},
		},
		{name: "the study's count below its lists", instances: 2, peer: counts(dict.NumberOfStudyRelatedInstances, "1"), want: asked{1, 1, 2, 2, 1}},
		{
			name: "a retrieve that says to have sent more", peer: func(c *pacs.Config, _ *phantom.Study) {
				said := dimse.Counts{Completed: dimse.Counted(3)}
				c.Misbehave.Get.Counts, c.Misbehave.Move.Counts = &said, &said
			}, want: asked{1, 1, 2, 2, 1},
		},
		{
			name: "an instance that is not listed", instances: 3, peer: func(c *pacs.Config, s *phantom.Study) {
				c.Misbehave.Find.Image.Hidden = []string{s.Instances()[1].SOPInstanceUID}
				omits(dict.NumberOfStudyRelatedInstances, dict.NumberOfSeriesRelatedInstances)(c, s)
			}, want: asked{1, 1, 2, 2, 1},
		},
	} {
		for method, moves := range map[string]bool{"C-GET": false, "C-MOVE": true} {
			t.Run(tt.name+" by "+method, func(t *testing.T) {
				t.Parallel()
				date, at := tt.date, tt.clock
				if date == "" {
					date, at = old, clock
				}
				first, study := dated(1, old, clock, 1, 1), dated(2, date, at, max(1, tt.series), max(1, tt.instances))
				ae := fmt.Sprintf("SRC%d", number.Add(1))
				source, destination := "from "+ae, "to "+ae
				cfg := pacs.Config{AETitle: ae, Studies: []*phantom.Study{first, study}, MoveDestinations: movesTo(n)}
				src, dst := startPACS(t, cfg), startPACS(t, pacs.Config{})
				n.AddServer(source, ae, src.Addr(), func(s *nodes.NewServer) {
					s.AssociationsPerTask, s.Retrieve.MovePatience = 1, time.Second
					if moves {
						byMove(s)
					}
					if tt.server != nil {
						tt.server(s)
					}
				})
				n.AddServer(destination, "D"+ae, dst.Addr(), nil)
				require.Equal(
					t, jobs.Success, n.Wait(n.Transfer(source, destination, first.StudyInstanceUID).ID).Status,
				)
				before := askedOf(src.Recorder().Log())
				if tt.peer != nil {
					tt.peer(&cfg, study)
					src.SetMisbehave(cfg.Misbehave)
				}
				job := n.Wait(n.Transfer(source, destination, study.StudyInstanceUID).ID)
				want, status := tt.want, tt.status
				if moves && tt.byMove != nil {
					want = *tt.byMove
				}
				if status == "" {
					status = jobs.Success
				}
				require.Equal(t, status, job.Status, "%+v", n.Task(job.ID))
				require.Equal(t, want, askedOf(src.Recorder().Log()).since(before))
			})
		}
	}
}

// TestAskedApart: what was foreseen of a source, and is not so, costs one association, and no task.
func TestAskedApart(t *testing.T) {
	study := func(seed uint64, kind phantom.Kind) *phantom.Study {
		return phantom.New(seed, phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
			Series:  []phantom.SeriesSpec{{Kind: kind, Instances: 1, Rows: 16, Columns: 16}},
		})
	}
	for _, tt := range []struct {
		name     string
		fault    pacs.AssociationFaults
		rejected int
		opened   int // while there is a fault
		then     int // for the task after that
	}{
		{name: "too many presentation contexts", fault: pacs.AssociationFaults{Contexts: 20}, rejected: 1, opened: 2, then: 2},
		{name: "no room for once", fault: pacs.AssociationFaults{Reject: pacs.RejectLimit, First: 1}, rejected: 1, opened: 1, then: 1},
		// with a C-ECHO
		{name: "an AE title that is not known for once", fault: pacs.AssociationFaults{Reject: pacs.RejectCallingAE, First: 1}, rejected: 1, opened: 2, then: 1},
		{name: "not one context for once", fault: pacs.AssociationFaults{NoContexts: true, First: 1}, opened: 3, then: 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var all []*phantom.Study
			for i, kind := range []phantom.Kind{phantom.CT, phantom.MR, phantom.CT, phantom.CT} {
				all = append(all, study(uint64(i+1), kind))
			}
			src, dst := startPACS(t, pacs.Config{AETitle: "SRC", Studies: all}),
				startPACS(t, pacs.Config{AETitle: "DST"})
			n := harness.New(t, harness.Config{})
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			move := func(i int) (status string, opened, rejected int) {
				before := src.Recorder().Log()
				job := n.Wait(n.Transfer("source", "destination", all[i].StudyInstanceUID).ID)
				after := src.Recorder().Log()
				return job.Status, after.Total - before.Total, after.Rejected - before.Rejected
			}
			for i := range 2 {
				status, _, _ := move(i)
				require.Equal(t, jobs.Success, status)
			}
			src.SetMisbehave(pacs.Misbehave{Association: tt.fault})
			status, opened, rejected := move(2)
			require.Equal(t, jobs.Success, status)
			require.Equal(t, []int{tt.opened, tt.rejected}, []int{opened, rejected})
			status, opened, rejected = move(3)
			require.Equal(t, jobs.Success, status)
			require.Equal(t, []int{tt.then, 0}, []int{opened, rejected})
		})
	}
}
