// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

const moveClass = dict.StudyRootQueryRetrieveInformationModelMove

// moving is a PACS with one study, and a receiver that it knows as DEST.
type moving struct {
	source, receiver *pacs.PACS
	study            *phantom.Study
	all              []string
}

func startMoving(t testing.TB, n int, faults pacs.MoveFaults, gate func(context.Context, pacs.Event)) moving {
	t.Helper()
	st := ctStudy(1, n)
	receiver := start(t, pacs.Config{AETitle: "DEST", Memory: 1 << 20})
	source := start(t, pacs.Config{
		AETitle: "PACS", Studies: []*phantom.Study{st}, MoveDestinations: map[string]string{"DEST": receiver.Addr()},
		Misbehave: pacs.Misbehave{Move: faults}, Gate: gate,
	})
	return moving{source, receiver, st, uids(st)}
}

func (m moving) dial(t testing.TB) *dimse.Association {
	t.Helper()
	cfg := config(m.source)
	cfg.Contexts = []dimse.Context{{AbstractSyntax: moveClass, TransferSyntaxes: []string{explicit}}}
	a, err := dimse.Dial(limit(t), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	return a
}

func (m moving) request() dimse.MoveRequest {
	return dimse.MoveRequest{
		SOPClassUID: moveClass, Identifier: keys("STUDY", "StudyInstanceUID", m.study.StudyInstanceUID),
		Destination: "DEST", MessageID: 4711,
	}
}

// move returns the final response and the counts of sub-operations still to come in the pending ones.
func (m moving) move(t testing.TB) (r dimse.MoveResult, remaining []int, err error) {
	t.Helper()
	r, err = m.dial(t).Move(
		limit(t), m.request(), func(c dimse.Counts) { remaining = append(remaining, c.Remaining.Value) },
	)
	return r, remaining, err
}

func TestMove(t *testing.T) {
	m := startMoving(t, 3, pacs.MoveFaults{}, nil)
	r, remaining, err := m.move(t)
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
	require.Equal(t, dimse.Counted(3), r.Completed)
	require.Equal(t, dimse.Counted(0), r.Failed)
	require.Equal(t, []int{2, 1, 0}, remaining)
	log := m.receiver.Recorder().Log()
	require.Len(t, log.Stores, 3)
	for i, in := range m.study.Instances() {
		got := log.Stores[i]
		require.Equal(t, in.SOPInstanceUID, got.SOPInstanceUID)
		require.Equal(t, hexOf(in), got.SHA256)
		require.Equal(t, "PACS", got.CallingAE)
		require.Equal(t, "TEST", got.MoveOriginatorAE)
		require.EqualValues(t, 4711, got.MoveOriginatorID)
	}
	require.Equal(t, 1, log.Total)
	require.Zero(t, log.Lost)
	asked := m.source.Recorder().Log()
	require.Len(t, asked.Moves, 1)
	require.Equal(t, "DEST", asked.Moves[0].MoveDestination)
	require.EqualValues(t, 4711, asked.Moves[0].MessageID)
	require.Equal(t, []string{m.study.StudyInstanceUID}, asked.Moves[0].StudyInstanceUIDs)
	require.Equal(t, m.all, pacs.UIDs(asked.Sent))
}

func TestMoveFaults(t *testing.T) {
	const n = 6
	all := uids(ctStudy(1, n))
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	type counts struct{ completed, failed dimse.Count }
	counted := func(completed, failed int) counts { return counts{dimse.Counted(completed), dimse.Counted(failed)} }
	for _, test := range []struct {
		name         string
		faults       pacs.MoveFaults
		status       dimse.Status
		counts       counts
		stored       []string
		associations int
		check        func(t *testing.T, stores []pacs.Transfer)
	}{
		{
			"no Move Originator",
			pacs.MoveFaults{NoOriginator: true},
			0, counted(n, 0), all, 1,
			func(t *testing.T, stores []pacs.Transfer) {
				for _, s := range stores {
					require.Empty(t, s.MoveOriginatorAE)
					require.Zero(t, s.MoveOriginatorID)
				}
			},
		},
		{
			"three associations",
			pacs.MoveFaults{Associations: 3},
			0, counted(n, 0), all, 3,
			func(t *testing.T, stores []pacs.Transfer) {
				for i, s := range stores {
					require.Equal(t, i%3+1, s.Association)
					require.EqualValues(t, 4711, s.MoveOriginatorID)
				}
			},
		},
		{
			"another calling AE title",
			pacs.MoveFaults{CallingAE: "GATEWAY7"},
			0, counted(n, 0), all, 1,
			func(t *testing.T, stores []pacs.Transfer) {
				for _, s := range stores {
					require.Equal(t, "GATEWAY7", s.CallingAE)
				}
			},
		},
		{"out of order", pacs.MoveFaults{GetFaults: pacs.GetFaults{OutOfOrder: true}}, 0, counted(n, 0), reversed, 1, nil},
		{"duplicate", pacs.MoveFaults{GetFaults: pacs.GetFaults{SendTwice: 2}}, 0, counted(n+1, 0), slices.Insert(slices.Clone(all), 2, all[1]), 1, nil},
		{"success though one failed", pacs.MoveFaults{GetFaults: pacs.GetFaults{Refuse: all[2:3], FinalStatus: new(dimse.Success), NoCounts: true}}, 0, counts{}, slices.Delete(slices.Clone(all), 2, 3), 1, nil},
		{"success, 0 of 0", pacs.MoveFaults{GetFaults: pacs.GetFaults{Empty: true}}, 0, counted(0, 0), []string{}, 0, nil},
		{"final without counts", pacs.MoveFaults{GetFaults: pacs.GetFaults{NoCounts: true}}, 0, counts{}, all, 1, nil},
		{"one refused", pacs.MoveFaults{GetFaults: pacs.GetFaults{Refuse: all[:1]}}, dimse.SubOperationsIncomplete, counted(n-1, 1), all[1:], 1, nil},
		{"out of resources", pacs.MoveFaults{GetFaults: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}}, dimse.OutOfResourcesMatches, counts{}, []string{}, 0, nil},
		{
			"truncated",
			pacs.MoveFaults{GetFaults: pacs.GetFaults{Truncate: map[string]int64{all[1]: 1000}}},
			dimse.SubOperationsIncomplete, counted(n-1, 1), all, 1,
			func(t *testing.T, stores []pacs.Transfer) {
				require.EqualValues(t, 1000, stores[1].Bytes)
				require.EqualValues(t, dimse.CannotUnderstand, stores[1].Status)
			},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			m := startMoving(t, n, test.faults, nil)
			r, _, err := m.move(t)
			require.NoError(t, err)
			require.Equal(t, test.status, r.Status)
			got := counts{r.Completed, r.Failed}
			require.Equal(t, test.counts, got)
			log := m.receiver.Recorder().Log()
			require.Equal(t, test.stored, pacs.UIDs(log.Stores))
			require.Equal(t, test.associations, log.Total)
			require.Zero(t, log.Lost)
			if test.check != nil {
				test.check(t, log.Stores)
			}
		})
	}
}

// The last two come when the final response has long counted them, and the C-MOVE's association is gone.
func TestMoveLate(t *testing.T) {
	stop := pacs.StopAt(pacs.AtLate, 0)
	m := startMoving(t, 5, pacs.MoveFaults{Late: 2}, stop.Gate)
	a := m.dial(t)
	r, err := a.Move(limit(t), m.request(), nil)
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
	require.Equal(t, dimse.Counted(5), r.Completed)
	require.NoError(t, a.Release(limit(t)))
	<-stop.Reached()
	require.Equal(t, m.all[:3], pacs.UIDs(m.receiver.Recorder().Log().Stores))
	stop.Release()
	require.NoError(t, m.receiver.Recorder().WaitStores(limit(t), 5))
	require.Equal(t, m.all, pacs.UIDs(m.receiver.Recorder().Log().Stores))
	require.EqualValues(t, 4711, m.receiver.Recorder().Log().Stores[4].MoveOriginatorID)
	require.NoError(t, m.receiver.Recorder().WaitOpen(limit(t), 0))
}

// A PACS that ends while late ones are held waits for nobody.
func TestMoveLateEndsWithThePACS(t *testing.T) {
	stop := pacs.StopAt(pacs.AtLate, 0)
	m := startMoving(t, 2, pacs.MoveFaults{Late: 1}, stop.Gate)
	_, _, err := m.move(t)
	require.NoError(t, err)
	<-stop.Reached() // and the cleanup closes the PACS
}

// With two moves under way, the third is answered A702; when one has ended, it is served.
func TestMoveLimit(t *testing.T) {
	let := make(chan struct{})
	m := startMoving(t, 1, pacs.MoveFaults{Limit: 2}, func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtSubOperation {
			select {
			case <-let:
			case <-ctx.Done():
			}
		}
	})
	statuses := make(chan dimse.Status, 2)
	for range 2 {
		a := m.dial(t)
		go func() {
			r, err := a.Move(t.Context(), m.request(), nil)
			if err != nil {
				r.Status = dimse.ProcessingFailure
			}
			statuses <- r.Status
		}()
	}
	require.NoError(t, m.source.Recorder().WaitMoves(limit(t), 2))
	r, _, err := m.move(t)
	require.NoError(t, err)
	require.Equal(t, dimse.OutOfResourcesSubOps, r.Status)
	close(let)
	require.Equal(t, []dimse.Status{0, 0}, []dimse.Status{<-statuses, <-statuses})
	r, _, err = m.move(t)
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
}

func TestMoveUnknownDestination(t *testing.T) {
	m := startMoving(t, 1, pacs.MoveFaults{}, nil)
	rq := m.request()
	rq.Destination = "NOBODY"
	r, err := m.dial(t).Move(limit(t), rq, nil)
	require.NoError(t, err)
	require.Equal(t, dimse.MoveDestinationUnknown, r.Status)

	// An address at which nobody listens: every sub-operation fails. It is tried once.
	m.source.AddMoveDestination("NOBODY", "127.0.0.1:1")
	r, err = m.dial(t).Move(limit(t), rq, nil)
	require.NoError(t, err)
	require.Equal(t, dimse.OutOfResourcesSubOps, r.Status)
	require.Equal(t, dimse.Counted(1), r.Failed)
	require.Equal(t, m.all, r.FailedSOPInstanceUIDs)
}

// The destination drops the association inside an instance: that one fails, and the others come over another.
func TestMoveDestinationDrops(t *testing.T) {
	m := startMoving(t, 3, pacs.MoveFaults{}, nil)
	m.receiver.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{DropAtObject: 2, DropAfterBytes: 100}})
	r, _, err := m.move(t)
	require.NoError(t, err)
	require.Equal(t, dimse.SubOperationsIncomplete, r.Status)
	require.Equal(t, m.all[1:2], r.FailedSOPInstanceUIDs)
	require.Equal(t, []string{m.all[0], m.all[2]}, pacs.UIDs(m.receiver.Recorder().Log().Stores))
}

// A source that breaks down inside an instance: neither the C-MOVE nor its sub-operation is ever answered.
func TestMoveDrops(t *testing.T) {
	m := startMoving(
		t, 3, pacs.MoveFaults{GetFaults: pacs.GetFaults{First: 1, DropAtObject: 2, DropAfterBytes: 100}}, nil,
	)
	_, _, err := m.move(t)
	require.ErrorAs(t, err, new(*ul.LostError))
	require.NoError(t, m.receiver.Recorder().WaitOpen(limit(t), 0))
	require.Equal(t, m.all[:1], pacs.UIDs(m.receiver.Recorder().Log().Stores))
	require.Equal(t, 1, m.receiver.Recorder().Log().Lost)
	r, _, err := m.move(t)
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
}

// C-CANCEL comes at the third instance: it is heeded, ignored, or answered by an abort when the PACS finds the time.
func TestMoveCancel(t *testing.T) {
	for _, test := range []struct {
		name   string
		faults pacs.GetFaults
		status dimse.Status
		stored int
		aborts bool
	}{
		{"heeded", pacs.GetFaults{}, dimse.Canceled, 2, false},
		{"ignored", pacs.GetFaults{IgnoreCancel: true}, dimse.Success, 5, false},
		{"aborted", pacs.GetFaults{AbortOnCancel: true}, 0, 2, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			held, aborting := make(chan struct{}), make(chan struct{})
			m := startMoving(t, 5, pacs.MoveFaults{GetFaults: test.faults}, func(ctx context.Context, e pacs.Event) {
				switch {
				case e.Kind == pacs.AtSubOperation && e.Number == 3:
					close(held)
					select {
					case <-e.Canceled:
					case <-ctx.Done():
					}
				case e.Kind == pacs.AtCancelAbort:
					close(aborting)
				}
			})
			rq := m.request()
			rq.Stop = held
			r, err := m.dial(t).Move(limit(t), rq, nil)
			if test.aborts {
				require.ErrorAs(t, err, new(*ul.AbortedError))
				<-aborting
			} else {
				require.NoError(t, err)
				require.Equal(t, test.status, r.Status)
			}
			require.NoError(t, m.receiver.Recorder().WaitOpen(limit(t), 0))
			require.Len(t, m.receiver.Recorder().Log().Stores, test.stored)
		})
	}
}

// DCMTK asks, and DCMTK receives.
func TestMoveSCU(t *testing.T) {
	st := ctStudy(1, 4)
	dir := t.TempDir()
	storescp := testpeer.StoreSCP(t, []string{testpeer.NoDelay}, dir)
	p := start(t, pacs.Config{
		AETitle: "PACS", Studies: []*phantom.Study{st}, MoveDestinations: map[string]string{"STORESCP": storescp.Addr},
	})
	args := []string{
		"-S", "-aem", "STORESCP", "-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=" + st.StudyInstanceUID,
	}
	out, exit := dcmtk(t, p, "movescu", args...)
	require.Zero(t, exit, out)
	got := dataSets(t, dir)
	require.Len(t, got, 4)
	for _, uid := range uids(st) {
		require.Contains(t, got, uid)
	}

	args[2] = "NOBODY"
	out, exit = dcmtk(t, p, "movescu", args...)
	require.NotZero(t, exit, out)
	require.Contains(t, out, "MoveDestinationUnknown")
}
