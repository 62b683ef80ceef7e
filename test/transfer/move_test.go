// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// byMove makes a server one that may only C-MOVE.
func byMove(s *nodes.NewServer) {
	s.Supports.StudyRootGet, s.Supports.StudyRootMove = false, true
}

func movesTo(n *harness.Member) map[string]string {
	return map[string]string{"ADIT": n.ReceiverAddr, "ADIT_LE": n.ReceiverAddr}
}

// TestMove: a source that may only C-MOVE.
func TestMove(t *testing.T) {
	study := ct(1, 40)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n)})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)

	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
	requireSame(t, src, dst, 40)
	moves := src.Recorder().Log().Moves
	require.Len(t, moves, 1)
	require.Equal(t, "ADIT", moves[0].MoveDestination)
	require.Equal(t, "SERIES", moves[0].Level)
	requireOutcomes(t, n, "source", map[string]int{"taken": 40})
	var running int
	require.NoError(
		t, n.Pool.QueryRow(t.Context(), "SELECT count(*) FROM expectations WHERE ended_at IS NULL").Scan(&running),
	)
	require.Zero(t, running)
}

// requireOutcomes asserts what became of the objects that a server sent to the receiver.
func requireOutcomes(t *testing.T, n *harness.Member, server string, want map[string]int) {
	t.Helper()
	var lines strings.Builder
	fmt.Fprintln(
		&lines, "# HELP adit_receiver_objects_total Instances that servers sent to the receiver, by what happened to them.",
	)
	fmt.Fprintln(&lines, "# TYPE adit_receiver_objects_total counter")
	for outcome, count := range want {
		fmt.Fprintf(&lines, "adit_receiver_objects_total{outcome=%q,server=%q} %d\n", outcome, server, count)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.Collectors()...)
	require.NoError(t, testutil.GatherAndCompare(
		registry, strings.NewReader(lines.String()), "adit_receiver_objects_total",
	))
}

// moved is what a misbehaving source makes of a transfer of twelve instances by C-MOVE.
type moved struct {
	name     string
	src      pacs.Misbehave
	settings func(s *nodes.NewServer) // after byMove
	unknown  bool                     // the source doesn't know our receiver

	status    string
	message   string
	delivered int
	failures  int
	named     []int
	moves     int // C-MOVEs that the source saw; 0: any number
	gets      bool
}

func move(f pacs.MoveFaults) pacs.Misbehave { return pacs.Misbehave{Move: f} }

func also(m pacs.Misbehave, get pacs.GetFaults) pacs.Misbehave {
	m.Get = get
	return m
}

func patient(s *nodes.NewServer)   { s.Retrieve.MovePatience = time.Minute }
func impatient(s *nodes.NewServer) { s.Retrieve.MovePatience = time.Second }

// getToo makes a server one that supports C-GET as well.
func getToo(s *nodes.NewServer) { s.Supports.StudyRootGet = true }

// TestMoveMisbehaves: each way in which a source errs in C-MOVE has one right outcome.
func TestMoveMisbehaves(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 8})
	all := func(m moved) moved {
		m.status, m.delivered = jobs.Success, images
		return m
	}
	success := new(dimse.Status)
	for _, m := range []moved{
		all(moved{name: "behaves", moves: 1}),
		all(moved{name: "sends no originator fields", src: move(pacs.MoveFaults{NoOriginator: true}), moves: 1}),
		all(moved{name: "uses several associations", src: move(pacs.MoveFaults{Associations: 3}), moves: 1}),
		all(moved{
			name: "several associations, no originator fields, out of order", moves: 1,
			src: move(
				pacs.MoveFaults{Associations: 4, NoOriginator: true, GetFaults: pacs.GetFaults{OutOfOrder: true}},
			),
		}),
		all(moved{
			name: "calls under another AE title, which is configured",
			src:  move(pacs.MoveFaults{CallingAE: "ARCHIVE 1"}), moves: 1,
			settings: func(s *nodes.NewServer) { s.Retrieve.OtherAETitles = []string{"ARCHIVE 1"} },
		}),
		{
			name: "calls under an AE title that nobody knows", src: move(pacs.MoveFaults{CallingAE: "STRANGER"}),
			status:   jobs.Failure,
			message:  "could send nothing to the AE title ADIT ", // said by who asked, or by who turned it away
			failures: attempts,
		},
		all(moved{name: "sends the last ones late", src: move(pacs.MoveFaults{Late: 3}), settings: patient, moves: 1}),
		all(moved{
			name: "sends the last ones late, without originator fields and counts", settings: patient, moves: 1,
			src: move(pacs.MoveFaults{Late: 3, NoOriginator: true, GetFaults: pacs.GetFaults{NoCounts: true}}),
		}),
		all(moved{
			name: "sends one twice",
			src:  move(pacs.MoveFaults{GetFaults: pacs.GetFaults{SendTwice: 7}}), moves: 1,
		}),
		all(moved{
			name: "sends no pending responses and no counts",
			src:  move(pacs.MoveFaults{GetFaults: pacs.GetFaults{NoPending: true, NoCounts: true}}), moves: 1,
		}),
		all(moved{
			name: "says success though one failed, once", moves: 2,
			src: move(
				pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, Refuse: []string{uidOf(4)}, FinalStatus: success}},
			),
		}),
		all(moved{
			name: "says success after 9, once", moves: 2,
			src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, SuccessAfter: 9}}),
		}),
		all(moved{
			name: "answers B000 with a list of what failed, once", moves: 2,
			src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, Refuse: []string{uidOf(4), uidOf(5)}}}),
		}),
		{
			name: "refuses one for good", src: move(pacs.MoveFaults{
				GetFaults: pacs.GetFaults{Refuse: []string{uidOf(4)}, RefusedStatus: dimse.CannotUnderstand},
			}),
			status: jobs.Warning, message: "1 instance is undeliverable", delivered: images - 1, named: []int{4},
		},
		{
			name: "says success, 0 of 0", src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{Empty: true}}),
			status: jobs.Failure, message: "12 instances are missing", failures: attempts,
		},
		{
			name: "doesn't know our receiver", unknown: true, moves: 1,
			status: jobs.Failure, message: "answered the C-MOVE to the AE title ADIT with status A801H",
		},
		all(moved{
			name: "drops the C-MOVE's association at the fifth, once",
			src:  move(pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, DropAtObject: 5}}),
		}),
		all(moved{
			name: "sends half an instance, once", failures: 1,
			src: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, Truncate: map[string]int64{uidOf(4): 5000}}}),
		}),
		{
			name:   "sends half an instance, always",
			src:    move(pacs.MoveFaults{GetFaults: pacs.GetFaults{Truncate: map[string]int64{uidOf(4): 5000}}}),
			status: jobs.Failure, message: "the instance that the source sent is damaged",
			delivered: images - 1, failures: attempts, named: []int{4},
		},
		all(moved{
			name: "knows no IMAGE level", moves: 1,
			src: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
		}),
		all(moved{
			name: "knows no IMAGE level, sends no originator fields, and late", settings: patient, moves: 1,
			src: pacs.Misbehave{
				Find: pacs.FindFaults{ImageLevelRefused: true},
				Move: pacs.MoveFaults{NoOriginator: true, Late: 4},
			},
		}),
		all(moved{
			name:     "refuses C-GET",
			src:      also(pacs.Misbehave{}, pacs.GetFaults{Status: dimse.RefusedNotAuthorized}),
			settings: getToo, moves: 1, gets: true,
		}),
		all(moved{
			name: "sends nothing by C-GET", src: also(pacs.Misbehave{}, pacs.GetFaults{Empty: true}),
			settings: getToo, moves: 1, gets: true,
		}),
		all(moved{
			name: "refuses one by C-GET for good, but not by C-MOVE", settings: getToo, moves: 1, gets: true,
			src: also(
				pacs.Misbehave{}, pacs.GetFaults{Refuse: []string{uidOf(4)}, RefusedStatus: dimse.CannotUnderstand},
			),
		}),
		{
			name:     "refuses one by C-GET for good, and doesn't know our receiver",
			settings: getToo, unknown: true, moves: 1, gets: true,
			src: also(
				pacs.Misbehave{}, pacs.GetFaults{Refuse: []string{uidOf(4)}, RefusedStatus: dimse.CannotUnderstand},
			),
			status: jobs.Warning, message: "1 instance is undeliverable", delivered: images - 1, named: []int{4},
		},
		all(moved{
			name: "is to be moved from first", moves: 1,
			settings: func(s *nodes.NewServer) {
				getToo(s)
				s.Retrieve.Methods = []string{nodes.MethodMove, nodes.MethodGet}
			},
		}),
	} {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			m.run(t, n)
		})
	}
}

func (m *moved) run(t *testing.T, n *harness.Member) {
	study := outcomeStudy()
	cfg := pacs.Config{Studies: []*phantom.Study{study}, Misbehave: m.src}
	if !m.unknown {
		cfg.MoveDestinations = movesTo(n)
	}
	src, dst := startPACS(t, cfg), startPACS(t, pacs.Config{})
	source, destination := addPair(n, src, dst, func(s *nodes.NewServer) {
		byMove(s)
		impatient(s)
		if m.settings != nil {
			m.settings(s)
		}
	})
	job := n.Wait(n.Transfer(source, destination, study.StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Equal(t, m.status, job.Status, task.Message)
	require.Contains(t, task.Message, m.message)
	require.EqualValues(t, m.failures, task.Failures, task.Message)
	require.EqualValues(t, m.delivered, task.Delivered)
	requireStored(t, dst, m.delivered)
	if m.named != nil {
		require.Equal(t, m.named, namedIn(t, n, task.ID))
	}
	log := src.Recorder().Log()
	if m.moves > 0 {
		require.Len(t, log.Moves, m.moves)
	}
	require.Equal(t, m.gets, len(log.Gets) > 0)
}

// TestMoveAtLast: objects that come when their task has ended are taken from the source, and discarded.
func TestMoveAtLast(t *testing.T) {
	hold := pacs.StopAt(pacs.AtLate, 0)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()}, MoveDestinations: movesTo(n), Gate: hold.Gate,
		Misbehave: move(pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1}, Late: 3}),
	})
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		byMove(s)
		impatient(s)
	})
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	requireStored(t, dst, images)
	require.Len(t, src.Recorder().Log().Moves, 2, "what was late was asked for again")
	hold.Release()
	require.NoError(t, src.Recorder().WaitSent(t.Context(), images+3))
	for _, s := range src.Recorder().Log().Sent {
		require.Zero(t, s.Status)
	}
	requireStored(t, dst, images)
	requireOutcomes(t, n, "source", map[string]int{"taken": images, "late": 3})
}

// storeInto sends an instance to the receiver as if by a server's C-MOVE, and gives the status.
func storeInto(
	ctx context.Context, t *testing.T, n *harness.Member,
	callingAE string, in *phantom.Instance, originator string, id uint16,
) dimse.Status {
	t.Helper()
	a, err := dimse.Dial(ctx, dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: callingAE, CalledAE: "ADIT",
		Contexts: []dimse.Context{{AbstractSyntax: in.SOPClassUID, TransferSyntaxes: []string{in.TransferSyntaxUID}}},
	})
	require.NoError(t, err)
	defer func() { require.NoError(t, a.Release(ctx)) }()
	data := in.Open()
	defer func() { require.NoError(t, data.Close()) }()
	rsp, err := a.Store(ctx, dimse.StoreRequest{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		MoveOriginatorAETitle: originator, MoveOriginatorMessageID: id,
	}, data)
	require.NoError(t, err)
	return rsp.Status
}

// TestUnsolicitedInstances: what nobody asked for is refused for good, whatever it says of itself, and disturbs no
// transfer.
func TestUnsolicitedInstances(t *testing.T) {
	hold := pacs.StopAt(pacs.AtSubOperation, 6)
	n := harness.New(t, harness.Config{})
	wanted, foreign := outcomeStudy(), ct(77, 2)
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{wanted}, MoveDestinations: movesTo(n), Gate: hold.Gate},
	)
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", wanted.StudyInstanceUID)
	<-hold.Reached()
	id := src.Recorder().Log().Moves[0].MessageID
	ctx := t.Context()
	require.Equal(t, dimse.RefusedNotAuthorized, storeInto(ctx, t, n, "SRC", foreign.Instances()[0], "", 0))
	require.Equal(t, dimse.RefusedNotAuthorized, storeInto(ctx, t, n, "SRC", foreign.Instances()[1], "OTHER", 1))
	require.Equal(
		t, dimse.RefusedNotAuthorized,
		storeInto(ctx, t, n, "SRC", foreign.Instances()[0], "ADIT", id), "whatever it says",
	)
	require.Equal(
		t, dimse.RefusedNotAuthorized, storeInto(ctx, t, n, "DST", wanted.Instances()[11], "ADIT", id),
		"of another server than the one that was asked",
	)
	require.Equal(t, dimse.Success, storeInto(ctx, t, n, "SRC", wanted.Instances()[11], "", 0), "it is missing: taken")
	require.Equal(t, dimse.Success, storeInto(ctx, t, n, "SRC", wanted.Instances()[11], "ADIT", id), "a duplicate")
	hold.Release()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
	requireStored(t, dst, images)
	_, err := dimse.Dial(ctx, dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "NOBODY", CalledAE: "ADIT", Contexts: []dimse.Context{
			{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
		},
	})
	require.ErrorContains(t, err, `calling AE title "NOBODY" not recognized`)
	_, err = dimse.Dial(ctx, dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "SRC", CalledAE: "OTHER", Contexts: []dimse.Context{
			{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}},
		},
	})
	require.ErrorContains(t, err, `called AE title "OTHER" not recognized`)
}

// TestMoveFromUnrulySource: a source without originator fields that sends late, twice, over several associations, out
// of order and under another AE title than its own, while strangers' objects come between: everything is complete, or
// named as missing.
func TestMoveFromUnrulySource(t *testing.T) {
	t.Parallel()
	unruly := pacs.MoveFaults{
		NoOriginator: true, Late: 3, Associations: 3, CallingAE: "ARCHIVE 1",
		GetFaults: pacs.GetFaults{SendTwice: 5, OutOfOrder: true, NoCounts: true, NoPending: true},
	}
	withheld := unruly
	withheld.Refuse = []string{uidOf(4), uidOf(9)}
	for name, tt := range map[string]struct {
		faults pacs.MoveFaults
		status string
		named  []int
	}{
		"complete":           {unruly, jobs.Success, nil},
		"two are never sent": {withheld, jobs.Failure, []int{4, 9}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			hold := pacs.StopAt(pacs.AtSubOperation, 6)
			n := harness.New(t, harness.Config{})
			wanted, foreign := outcomeStudy(), ct(78, 3)
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{wanted},
				MoveDestinations: movesTo(n), Misbehave: move(tt.faults), Gate: hold.Gate,
			})
			dst := startPACS(t, pacs.Config{})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				byMove(s)
				impatient(s)
				s.Retrieve.OtherAETitles = []string{"ARCHIVE 1"}
			})
			n.AddServer("destination", "DST", dst.Addr(), nil)
			job := n.Transfer("source", "destination", wanted.StudyInstanceUID)
			<-hold.Reached()
			for i, callingAE := range []string{"SRC", "ARCHIVE 1", "DST"} {
				require.Equal(t, dimse.RefusedNotAuthorized, storeInto(
					t.Context(), t, n, callingAE, foreign.Instances()[i], "", 0,
				))
			}
			hold.Release()
			job = n.Wait(job.ID)
			require.Equal(t, tt.status, job.Status, n.Task(job.ID).Message)
			requireStored(t, dst, images-len(tt.named))
			if tt.named != nil {
				require.Contains(t, n.Task(job.ID).Message, "2 instances are missing at the destination")
				require.ElementsMatch(t, tt.named, namedIn(t, n, n.Task(job.ID).ID))
			}
		})
	}
}

// TestTwoTasksOfOneStudy: two tasks that move a series each of one study, to two destinations, don't mix, whether or
// not the source says whose objects it sends; neither do two that move the same series.
func TestTwoTasksOfOneStudy(t *testing.T) {
	study := phantom.New(31, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 12, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 12, Rows: 64, Columns: 64},
		},
	})
	for _, tt := range []struct {
		name   string
		knows  bool // it sends the originator fields, and is known to
		second int  // series of the second task
	}{
		{"two series, with originator fields", true, 1},
		{"two series, without", false, 1},
		{"the same series, with originator fields", true, 0},
		{"the same series, without", false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			var mu sync.Mutex
			together, most := 0, 0
			both := make(chan struct{})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n),
				Misbehave: move(pacs.MoveFaults{NoOriginator: !tt.knows}),
				Gate: func(ctx context.Context, e pacs.Event) {
					mu.Lock()
					switch e.Kind {
					case pacs.AtMove:
						together++
						if most = max(most, together); tt.knows && together == 2 {
							close(both)
						}
					case pacs.AtMoveEnd:
						together--
					default:
					}
					mu.Unlock()
					if e.Kind == pacs.AtMove && tt.knows { // both run at once
						select {
						case <-both:
						case <-ctx.Done():
						}
					}
				},
			})
			n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
				byMove(s)
				s.Retrieve.MoveOriginator = tt.knows
			})
			var list []jobs.Job
			var destinations []*pacs.PACS
			for i, series := range []int{0, tt.second} {
				dst := startPACS(t, pacs.Config{})
				destinations = append(destinations, dst)
				name := fmt.Sprintf("DST%d", i)
				n.AddServer(name, name, dst.Addr(), nil)
				list = append(list, n.Create(jobs.Transfer{Source: "source", Destination: name, Studies: []jobs.Study{{
					StudyInstanceUID:   study.StudyInstanceUID,
					SeriesInstanceUIDs: []string{study.Series[series].SeriesInstanceUID},
				}}}))
			}
			for i, series := range []int{0, tt.second} {
				job := n.Wait(list[i].ID)
				require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
				var want []string
				for _, in := range study.Series[series].Instances {
					want = append(want, in.SOPInstanceUID)
				}
				require.ElementsMatch(t, want, pacs.UIDs(destinations[i].Recorder().Log().Stores))
			}
			require.Len(t, src.Recorder().Log().Moves, 2)
			if !tt.knows {
				require.Equal(
					t, 1, most, "two moves of one study at once, of a source that doesn't say whose objects it sends",
				)
			}
		})
	}
}

// TestManyMovesAtOnce: a source that takes two C-MOVEs at a time is asked by twenty tasks; those that it refuses go on
// later, and no attempt is counted.
func TestManyMovesAtOnce(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 20})
	var studies []*phantom.Study
	var uids []string
	for i := range 10 {
		studies = append(studies, ct(uint64(100+i), 6))
		uids = append(uids, studies[i].StudyInstanceUID)
	}
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: studies, MoveDestinations: movesTo(n),
		Misbehave: move(pacs.MoveFaults{Limit: 2}),
	})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	wide := 20
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		byMove(s)
		s.BatchCap = &wide
	})
	n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) { s.BatchCap = &wide })
	job, tasks := finish(t, n, n.Transfer("source", "destination", uids...))
	require.Equal(t, jobs.Success, job.Status)
	for _, task := range tasks {
		require.Zero(t, task.Failures+task.Losses)
		require.EqualValues(t, 6, task.Delivered)
	}
	requireSame(t, src, dst, 60)
}

// TestCanceledMove: a C-MOVE that is canceled ends at once, and what the source still sends is taken from it.
func TestCanceledMove(t *testing.T) {
	hold := pacs.StopAt(pacs.AtSubOperation, 6)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{outcomeStudy()}, MoveDestinations: movesTo(n), Gate: hold.Gate,
	})
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID)
	<-hold.Reached()
	id := src.Recorder().Log().Moves[0].MessageID
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.CancelJob))
	require.Equal(t, jobs.Canceled, n.Wait(job.ID).Status)
	require.NoError(t, src.Recorder().WaitOpen(t.Context(), 0))
	require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", outcomeStudy().Instances()[9], "ADIT", id))
	require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", outcomeStudy().Instances()[9], "", 0))
	hold.Release()

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.ResumeJob))
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
	requireStored(t, dst, images)
}
