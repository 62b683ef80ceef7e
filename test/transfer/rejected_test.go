// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// rejectedStudy is a study of two series of four instances, of which a key object rejects two, one of each; and a key
// object of interest.
func rejectedStudy() (st *phantom.Study, rejected []string) {
	spec := phantom.SeriesSpec{Kind: phantom.CT, Instances: 4, Rows: 16, Columns: 16}
	st = phantom.New(150, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{spec, spec},
	})
	two := []*phantom.Instance{st.Series[0].Instances[1], st.Series[1].Instances[3]}
	st.Select(phantom.Title{Code: "113000", Meaning: "Of Interest"}, st.Series[0].Instances[0])
	st.Select(phantom.Title{Code: "113037", Meaning: "Rejected for Patient Safety Reasons"}, two...)
	return st, sopUIDs(two)
}

// TestRejected: what a rejection note of the source names is left out and noted, and not even fetched where the note
// can be read first; the note goes with it.
func TestRejected(t *testing.T) {
	yes, no := true, false
	for name, m := range map[string]struct {
		setting    *bool
		pseudonym  bool
		server     func(*nodes.NewServer)
		faults     pacs.Misbehave
		excluded   []string
		series     []int
		store      []string // transfer syntaxes that the destination takes
		sent       int      // rejected instances that the source is made to send all the same
		status     string
		stored     int
		message    string
		notMessage string
	}{
		"left out":                                  {setting: &yes, status: jobs.Success, stored: 7, message: "2 instances left out: rejected at the source: Rejected for Patient Safety Reasons."},
		"sent, since nobody asked for it":           {status: jobs.Success, stored: 10, notMessage: "left out"},
		"sent, as the job says":                     {setting: &no, pseudonym: true, status: jobs.Success, stored: 10, notMessage: "rejected"},
		"left out under a pseudonym":                {pseudonym: true, status: jobs.Success, stored: 7, message: "rejected at the source"},
		"left out by C-MOVE":                        {setting: &yes, server: byMove, status: jobs.Success, stored: 7, message: "rejected at the source"},
		"key objects are excluded":                  {pseudonym: true, excluded: []string{"KO"}, status: jobs.Success, stored: 6, message: "rejected at the source"},
		"one series chosen, the note is in another": {setting: &yes, series: []int{0}, status: jobs.Success, stored: 3, message: "1 instance left out: rejected at the source"},
		"one series chosen, by C-MOVE":              {setting: &yes, series: []int{0}, server: byMove, status: jobs.Success, stored: 3, message: "1 instance left out: rejected at the source"},
		"no IMAGE level": {
			setting: &yes, faults: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}}, sent: 2,
			status: jobs.Success, stored: 7, message: "2 instances left out: rejected at the source",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st, rejected := rejectedStudy()
			n := harness.New(t, harness.Config{Engine: base.Config{ExcludedModalities: m.excluded}})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{st}, MoveDestinations: movesTo(n), Misbehave: m.faults,
			})
			dst := startPACS(t, pacs.Config{AETitle: "DST"})
			n.AddServer("source", "SRC", src.Addr(), m.server)
			n.AddServer("destination", "DST", dst.Addr(), nil)
			study := jobs.Study{StudyInstanceUID: st.StudyInstanceUID}
			for _, i := range m.series {
				study.SeriesInstanceUIDs = append(study.SeriesInstanceUIDs, st.Series[i].SeriesInstanceUID)
			}
			job := n.Wait(n.Create(jobs.Transfer{
				Source: "source", Destination: "destination", Studies: []jobs.Study{study},
				Pseudonymize: m.pseudonym, LeaveOutRejected: m.setting,
			}).ID)
			task := n.Task(job.ID)
			require.Equal(t, m.status, job.Status, task.Message)
			require.Contains(t, task.Message, m.message)
			if m.notMessage != "" {
				require.NotContains(t, task.Message, m.notMessage)
			}
			require.EqualValues(t, m.stored, task.Delivered, task.Message)
			require.Equal(t, m.stored, int(task.Expected), task.Message)
			stored := 0
			for _, s := range dst.Recorder().Log().Stores {
				if dimse.Status(s.Status) == dimse.Success {
					stored++
				}
			}
			require.Equal(t, m.stored, stored)
			sent := 0
			for _, s := range src.Recorder().Log().Sent {
				if s.SOPInstanceUID == rejected[0] || s.SOPInstanceUID == rejected[1] {
					sent++
				}
			}
			if m.status == jobs.Success && m.message != "" {
				require.Equal(t, m.sent, sent, "rejected instances that were fetched all the same")
			}
		})
	}
}

// TestRejectedLater: what was sent before a note rejected it is said.
func TestRejectedLater(t *testing.T) {
	st, rejected := rejectedStudy()
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{
		// without a date it may be young
		Find: pacs.FindFaults{
			Series:   pacs.ListFaults{First: 1, Hidden: []string{st.Series[3].SeriesInstanceUID}},
			OmitKeys: []dict.Tag{dict.NumberOfStudyRelatedInstances, dict.StudyDate},
		},
	}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	yes := true
	job := n.Wait(n.Create(jobs.Transfer{
		Source: "source", Destination: "destination",
		Studies: []jobs.Study{{StudyInstanceUID: st.StudyInstanceUID}}, LeaveOutRejected: &yes,
	}).ID)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Warning, job.Status, task.Message)
	require.Contains(t, task.Message, "2 instances were sent before they were known to be rejected at the source: ")
	require.Contains(t, task.Message, rejected[0])
}
