// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/test/harness"
)

func verifiedBy(method string, patience time.Duration) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) { s.Verify = nodes.Verify{Method: method, Patience: patience} }
}

// quick verifies often.
func quick() harness.Config {
	return harness.Config{Engine: base.Config{VerifyPause: 10 * time.Millisecond}}
}

// requireVerified asserts how many instances of a task are verified, in all and in its series, and which are named as
// unverified.
func requireVerified(t *testing.T, n *harness.Member, task jobs.Task, verified int, named ...string) {
	t.Helper()
	require.EqualValues(t, verified, task.Verified, task.Message)
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
	require.NoError(t, err)
	sum, missing := 0, []string{}
	for _, s := range series {
		sum += s.Verified
		for _, m := range s.Missing {
			require.Contains(t, m.Reason, "unverified: ")
			missing = append(missing, m.SOPInstanceUID)
		}
	}
	require.Equal(t, verified, sum)
	require.ElementsMatch(t, named, missing)
}

func requireLedger(t *testing.T, n *harness.Member, delivered, verifications int) {
	t.Helper()
	var rows, open int
	require.NoError(t, n.Pool.QueryRow(
		t.Context(), "SELECT (SELECT count(*) FROM delivered), (SELECT count(*) FROM verifications)",
	).Scan(&rows, &open))
	require.Equal(t, delivered, rows, "rows in the ledger")
	require.Equal(t, verifications, open)
}

// TestPresence: a destination that lists everything is asked once; one that indexes late is asked again until all is
// there, and nothing is sent twice. Meanwhile no slot is held.
func TestPresence(t *testing.T) {
	study := ct(41, 12)
	late := []string{study.Instances()[3].SOPInstanceUID, study.Instances()[7].SOPInstanceUID}
	for name, m := range map[string]struct {
		dst   pacs.Misbehave
		finds int // at the destination
		count bool
	}{
		"all at once":               {finds: 1},
		"indexed late":              {dst: pacs.Misbehave{Find: pacs.FindFaults{First: 3, Unlisted: late}}, finds: 4},
		"no IMAGE level":            {dst: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}}, finds: 2, count: true},
		"asked when it drops it":    {dst: pacs.Misbehave{Association: pacs.AssociationFaults{DropIdle: time.Minute}}, finds: 1},
		"a find that fails at once": {dst: pacs.Misbehave{Find: pacs.FindFaults{First: 1, Status: 0xC001}}, finds: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: m.dst})
			n := harness.New(t, quick())
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) {
				verifiedBy(nodes.VerifyPresence, time.Minute)(s)
				if m.count {
					s.FindImages = new(bool)
				}
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.Contains(t, task.Message, "Verified by presence.")
			require.Len(t, dst.Recorder().Log().Finds, m.finds)
			requireVerified(t, n, task, 12)
			requireSame(t, src, dst, 12)
			requireLedger(t, n, 0, 0)
		})
	}
}

// TestPresenceByCount: a destination that can only count proves by it what it did not have before, and nothing else.
func TestPresenceByCount(t *testing.T) {
	study := ct(141, 6)
	for name, m := range map[string]struct {
		images bool // it is believed to know the IMAGE level
		before int  // instances of the series that are there already
		lose   int  // instances that it acknowledges and does not keep
		status string
	}{
		"none before":                   {status: jobs.Success},
		"none before, and one is lost":  {lose: 1, status: jobs.Warning},
		"a stranger in place of a loss": {before: 1, lose: 1, status: jobs.Warning},
		"some before":                   {before: 2, status: jobs.Warning},
		"not asked before":              {images: true, status: jobs.Warning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: pacs.Misbehave{
				Find:  pacs.FindFaults{ImageLevelRefused: true},
				Store: pacs.StoreFaults{Lose: sopUIDs(study.Instances()[:m.lose])},
			}})
			for i := range m.before {
				dst.AddInstance(
					study.Instances()[0], map[dict.Tag]string{dict.SOPInstanceUID: fmt.Sprintf("1.2.3.%d", i)},
				)
			}
			n := harness.New(t, quick())
			n.AddServer("source", "SRC", src.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) {
				verifiedBy(nodes.VerifyPresence, time.Second)(s)
				s.FindImages = &m.images
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, m.status, job.Status, task.Message)
			if m.status == jobs.Warning {
				require.Contains(t, task.Message, "Unverified: ")
			}
		})
	}
}

// TestPresenceHoldsNothing: between two checks a task waits without a slot, and says why.
func TestPresenceHoldsNothing(t *testing.T) {
	study := ct(42, 12)
	lost := study.Instances()[5].SOPInstanceUID
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{
		AETitle: "DST", Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Lose: []string{lost}}},
	})
	n := harness.New(t, harness.Config{Engine: base.Config{VerifyPause: 10 * time.Minute}})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyPresence, time.Hour))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	n.WaitFor(id, func(j jobs.Job) bool { return j.NPending == 1 && j.StartedAt != nil })
	task := n.Task(id)
	require.Contains(t, task.WhyWaiting, "everything was sent, but DICOM Server destination does not show 1 instance of 12 yet")
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", true))
	require.NotContains(t, n.Task(id).WhyWaiting, "source", "which is not needed any more")
	require.EqualValues(t, 11, task.Verified)
	var slots int
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
	require.Zero(t, slots)
	requireLedger(t, n, 12, 1)

	// It goes on in another process: the destination has found what it had lost, and the source is not asked at all.
	n.Stop(harness.Deadline)
	finds := len(src.Recorder().Log().Finds)
	dst.AddStudies(study)
	_, err := n.Pool.Exec(t.Context(), "UPDATE verifications SET due_at = now()")
	require.NoError(t, err)
	n.Start()
	job := n.Wait(id)
	require.Equal(t, jobs.Success, job.Status, n.Task(id).Message)
	requireVerified(t, n, n.Task(id), 12)
	require.Len(t, src.Recorder().Log().Finds, finds)
	require.Len(t, dst.Recorder().Log().Stores, 12)
	requireLedger(t, n, 0, 0)
}

// TestRestartWhileVerifying: the member is stopped while the destination is being asked, and another run asks again,
// without a word to the source.
func TestRestartWhileVerifying(t *testing.T) {
	study := ct(48, 12)
	hold := pacs.StopAt(pacs.AtFind, 0)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Gate: hold.Gate})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyPresence, time.Minute))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	select {
	case <-hold.Reached():
	case <-time.After(harness.Deadline):
		t.Fatal("the destination was not asked")
	}
	n.Stop(0)
	require.Equal(t, jobs.Pending, n.Task(id).Status)
	requireLedger(t, n, 12, 1)
	asked := len(src.Recorder().Log().Finds)
	hold.Release()
	n.Start()
	job := n.Wait(id)
	require.Equal(t, jobs.Success, job.Status, n.Task(id).Message)
	requireVerified(t, n, n.Task(id), 12)
	require.Len(t, src.Recorder().Log().Finds, asked)
	require.Len(t, dst.Recorder().Log().Stores, 12)
	requireLedger(t, n, 0, 0)
}

// TestLostAtDestination: what a destination acknowledged and hasn't is named; nothing is sent again, neither by itself
// nor by a retry, which only asks again.
func TestLostAtDestination(t *testing.T) {
	study := ct(43, 12)
	lost := study.Instances()[5].SOPInstanceUID
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{
		AETitle: "DST", Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{Lose: []string{lost}}},
	})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyPresence, time.Second))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	requireUnverified := func() {
		job := n.Wait(id)
		task := n.Task(id)
		require.Equal(t, jobs.Warning, job.Status, task.Message)
		require.Contains(
			t, task.Message,
			"Unverified: of 12 instances, 1 instance is not known to be at the destination: the destination acknowledged this instance, but didn't list it within 1s.",
		)
		require.EqualValues(t, 12, task.Delivered)
		require.Zero(t, task.Failures)
		requireVerified(t, n, task, 11, lost)
		require.Len(t, dst.Recorder().Log().Stores, 12)
		require.Len(t, src.Recorder().Log().Sent, 12)
		requireLedger(t, n, 12, 1)
	}
	requireUnverified()
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.RetryJob))
	requireUnverified()

	dst.AddStudies(study) // found again
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.RetryJob))
	job := n.Wait(id)
	require.Equal(t, jobs.Success, job.Status, n.Task(id).Message)
	requireVerified(t, n, n.Task(id), 12)
	require.Len(t, dst.Recorder().Log().Stores, 12)
	var conflict *refusal.Conflict
	require.ErrorAs(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.RetryJob), &conflict)
}

// TestCancelWhileVerifying: within a second, while the destination is being asked; and afterwards it goes on where it
// was.
func TestCancelWhileVerifying(t *testing.T) {
	study := ct(44, 12)
	hold := pacs.StopAt(pacs.AtFind, 0)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Gate: hold.Gate})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), verifiedBy(nodes.VerifyPresence, time.Minute))
	id := n.Transfer("source", "destination", study.StudyInstanceUID).ID
	select {
	case <-hold.Reached():
	case <-time.After(harness.Deadline):
		t.Fatal("the destination was not asked")
	}
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.CancelJob))
	job := n.Wait(id) // the destination is held, and answers only afterwards
	require.Equal(t, jobs.Canceled, job.Status)
	hold.Release()
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, jobs.ResumeJob))
	job = n.Wait(id)
	require.Equal(t, jobs.Success, job.Status, n.Task(id).Message)
	requireVerified(t, n, n.Task(id), 12)
	require.Len(t, dst.Recorder().Log().Stores, 12)
}

// TestPresencePseudonymized: the destination is asked for the UIDs that were sent, the task speaks of those of the
// source.
func TestPresencePseudonymized(t *testing.T) {
	study := ct(45, 12)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, quick())
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) {
		s.Supports.StudyRootFind, s.Supports.PatientRootFind = false, true
		verifiedBy(nodes.VerifyPresence, time.Second)(s)
	})
	job := n.Wait(n.Create(pseudonymously("source", "destination", study.StudyInstanceUID, "P-0001")).ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	requireVerified(t, n, n.Task(job.ID), 12)
	finds := dst.Recorder().Log().Finds
	require.Len(t, finds, 1)
	for _, uid := range uidsOf(study) {
		require.NotContains(t, fmt.Sprint(finds[0]), uid)
	}

	sent := dst.Recorder().Log().Stores[4].SOPInstanceUID
	dst.SetMisbehave(pacs.Misbehave{Find: pacs.FindFaults{Unlisted: []string{sent}}})
	job = n.Wait(n.Create(pseudonymously("source", "destination", study.StudyInstanceUID, "P-0001")).ID)
	require.Equal(t, jobs.Warning, job.Status)
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, n.Task(job.ID).ID)
	require.NoError(t, err)
	require.Len(t, series[0].Missing, 1)
	require.Contains(t, uidsOf(study), series[0].Missing[0].SOPInstanceUID)
}

// directly lets a source send to the destination by itself.
func directly(s *nodes.NewServer) {
	s.Supports.StudyRootMove = true
	s.Retrieve.Direct = map[string]string{"destination": "DST"}
	s.Retrieve.MovePatience = time.Second
}

// TestDirect: the source sends straight to the destination; what isn't there afterwards goes through ADIT, and each
// instance goes once.
func TestDirect(t *testing.T) {
	study := ct(46, 12)
	miss := []string{study.Instances()[2].SOPInstanceUID, study.Instances()[9].SOPInstanceUID}
	for name, m := range map[string]struct {
		src     pacs.Misbehave
		dst     pacs.Misbehave
		title   string
		through int // ADIT
		status  string
	}{
		"all":                                  {status: jobs.Success},
		"two are not sent":                     {src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{Refuse: miss}}), through: 2, status: jobs.Success},
		"two are sent late":                    {src: move(pacs.MoveFaults{Late: 2}), status: jobs.Success},
		"success, 0 of 0":                      {src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{Empty: true}}), through: 12, status: jobs.Success},
		"the destination refuses two, once":    {dst: pacs.Misbehave{Store: pacs.StoreFaults{First: 12, Statuses: map[string]dimse.Status{miss[0]: 0xA700, miss[1]: 0xC000}}}, through: 2, status: jobs.Success},
		"the source doesn't know the AE title": {title: "NOBODY", through: 12, status: jobs.Warning},
		"the connection is lost":               {src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{DropAtObject: 5}}), through: 8, status: jobs.Warning},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: m.dst})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: m.src,
				MoveDestinations: map[string]string{"DST": dst.Addr()},
			})
			n := harness.New(t, quick())
			n.AddServer("destination", "DST", dst.Addr(), nil)
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				directly(s)
				if m.title != "" {
					s.Retrieve.Direct["destination"] = m.title
				}
			})
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, m.status, job.Status, task.Message)
			require.EqualValues(t, 12, task.Delivered)
			requireVerified(t, n, task, 12)
			through, stored := 0, map[string]int{}
			for _, s := range dst.Recorder().Log().Stores {
				if s.Status != 0 {
					continue
				}
				if stored[s.SOPInstanceUID]++; s.CallingAE == "ADIT" {
					through++
				}
			}
			require.Len(t, stored, 12)
			for uid, times := range stored {
				require.Equal(t, 1, times, uid)
			}
			require.Equal(t, m.through, through, task.Message)
			requireLedger(t, n, 0, 0)
		})
	}
}

// TestDirectFindsOldOnes: what the destination had before a direct C-MOVE is no proof that the source sent anything.
func TestDirectFindsOldOnes(t *testing.T) {
	study := ct(146, 12)
	for name, m := range map[string]struct {
		src     pacs.MoveFaults
		message string
		through int // ADIT
	}{
		"the source sends nothing":           {pacs.MoveFaults{GetFaults: pacs.GetFaults{Empty: true}}, "12 instances transferred, ", 12},
		"the source refuses":                 {pacs.MoveFaults{GetFaults: pacs.GetFaults{Refuse: sopUIDs(study.Instances())}}, "12 instances transferred, ", 12},
		"the source sends what is there too": {pacs.MoveFaults{}, "12 instances were at the destination already", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dst := startPACS(t, pacs.Config{AETitle: "DST", Studies: []*phantom.Study{study}})
			source := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, Misbehave: move(m.src),
				MoveDestinations: map[string]string{"DST": dst.Addr()},
			})
			n := harness.New(t, quick())
			n.AddServer("destination", "DST", dst.Addr(), nil)
			n.AddServer("source", "SRC", source.Addr(), directly)
			job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.Contains(t, task.Message, m.message)
			through := 0
			for _, s := range dst.Recorder().Log().Stores {
				if s.CallingAE == "ADIT" {
					through++
				}
			}
			require.Equal(t, m.through, through)
			require.NotContains(t, task.Message, "directly from the source")
		})
	}
}

// TestDirectNotWherePseudonymized: what is to be changed goes through ADIT.
func TestDirectNotWherePseudonymized(t *testing.T) {
	study := ct(47, 12)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: map[string]string{"DST": dst.Addr()},
	})
	n := harness.New(t, quick())
	n.AddServer("destination", "DST", dst.Addr(), nil)
	n.AddServer("source", "SRC", src.Addr(), directly)
	trial := jobs.Transfer{
		Source: "source", Destination: "destination", TrialProtocolID: "T",
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID}},
	}
	for _, transfer := range []jobs.Transfer{
		trial, pseudonymously("source", "destination", study.StudyInstanceUID, "P-1"),
	} {
		job := n.Wait(n.Create(transfer).ID)
		require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	}
	require.Empty(t, src.Recorder().Log().Moves)
	for _, s := range dst.Recorder().Log().Stores {
		require.Equal(t, "ADIT", s.CallingAE)
	}
}
