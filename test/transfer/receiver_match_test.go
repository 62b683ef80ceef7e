// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// storeAs sends an object to the receiver under a SOP Instance UID, as SRC does for a C-MOVE (0: that names none), and
// returns the status.
func storeAs(t *testing.T, n *harness.Member, o held, uid string, id uint16) dimse.Status {
	t.Helper()
	a, err := dimse.Dial(t.Context(), dimse.Config{
		Addr: n.ReceiverAddr, CallingAE: "SRC", CalledAE: "ADIT",
		Contexts: []dimse.Context{{AbstractSyntax: o.class, TransferSyntaxes: []string{o.syntax}}},
	})
	require.NoError(t, err)
	rq := dimse.StoreRequest{SOPClassUID: o.class, SOPInstanceUID: uid, TransferSyntaxUID: o.syntax}
	if id != 0 {
		rq.MoveOriginatorAETitle, rq.MoveOriginatorMessageID = "ADIT", id
	}
	rsp, err := a.Store(t.Context(), rq, bytes.NewReader(o.data))
	require.NoError(t, errors.Join(err, a.Release(t.Context())))
	return rsp.Status
}

// TestImpostors: an object that isn't inside what it was announced as is delivered to nobody, and never answered as if
// it were taken; the true one is taken in its place.
func TestImpostors(t *testing.T) {
	hold := pacs.StopAt(pacs.AtSubOperation, 6)
	n := harness.New(t, harness.Config{})
	study := outcomeStudy()
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n), Gate: hold.Gate,
	})
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-hold.Reached()
	id := src.Recorder().Log().Moves[0].MessageID
	last := study.Instances()[11]
	for name, change := range map[string]func(*stream.DataSet){
		"another instance":     func(ds *stream.DataSet) { ds.Set(dict.SOPInstanceUID, uidOf(10)) },
		"an instance's path":   func(ds *stream.DataSet) { ds.Set(dict.SOPInstanceUID, "../../"+uidOf(11)) },
		"no instance":          func(ds *stream.DataSet) { ds.Remove(dict.SOPInstanceUID) },
		"another study":        func(ds *stream.DataSet) { ds.Set(dict.StudyInstanceUID, "1.2.3") },
		"a study of odd bytes": func(ds *stream.DataSet) { ds.Set(dict.StudyInstanceUID, "\xff\xfe") },
		"no study":             func(ds *stream.DataSet) { ds.Remove(dict.StudyInstanceUID) },
		"another class":        func(ds *stream.DataSet) { ds.Set(dict.SOPClassUID, dict.MRImageStorage) },
	} {
		o := altered(t, last, change)
		o.class = last.SOPClassUID
		for _, names := range []uint16{0, id} {
			require.Equal(t, dimse.ClassFailure, storeAs(t, n, o, last.SOPInstanceUID, names).Class(), name)
			require.NotContains(t, pacs.UIDs(dst.Recorder().Log().Stores), last.SOPInstanceUID, name)
		}
		if uid := "1.2.3.4.5"; strings.HasPrefix(name, "another") { // under a name that nobody knows
			require.Equal(t, dimse.ClassFailure, storeAs(t, n, o, uid, 0).Class(), name)
			require.Equal(t, dimse.ClassFailure, storeAs(t, n, o, uid, id).Class(), name)
		}
	}
	require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", last, "ADIT", id), "the true one")
	hold.Release()
	n.Wait(job.ID)
	requireStored(t, dst, images)
}

// TestNamedMoveFirst: what a source sends for a C-MOVE goes to the task that it names, though another one lists it and
// misses it, and its own only counts.
func TestNamedMoveFirst(t *testing.T) {
	n := harness.New(t, harness.Config{})
	study := outcomeStudy()
	held, arrived := make(chan struct{}), make(chan struct{}, 2)
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n),
		Misbehave: pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind != pacs.AtSubOperation || e.Number != 6 {
				return
			}
			select {
			case arrived <- struct{}{}:
			case <-ctx.Done():
			}
			select {
			case <-held:
			case <-ctx.Done():
			}
		},
	})
	n.AddServer("source", "SRC", src.Addr(), func(s *nodes.NewServer) {
		byMove(s)
		s.Retrieve.MoveOriginator = true
	})
	var list []jobs.Job
	var destinations []*pacs.PACS
	for _, name := range []string{"COUNTS", "LISTS"} {
		dst := startPACS(t, pacs.Config{})
		destinations = append(destinations, dst)
		n.AddServer(name, name, dst.Addr(), nil)
		list = append(list, n.Transfer("source", name, study.StudyInstanceUID))
		<-arrived
		src.SetMisbehave(pacs.Misbehave{})
	}
	moves := src.Recorder().Log().Moves
	require.Len(t, moves, 2)
	for _, dst := range destinations { // what was sent before the sixth
		require.NoError(t, dst.Recorder().Wait(t.Context(), func(l *pacs.Log) bool { return len(l.Stores) == 5 }))
	}
	last := study.Instances()[11]
	for i := range 2 {
		require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", last, "ADIT", moves[i].MessageID))
		require.NoError(t, destinations[i].Recorder().Wait(
			t.Context(), func(l *pacs.Log) bool { return len(l.Stores) == 6 },
		))
		require.Contains(t, pacs.UIDs(destinations[i].Recorder().Log().Stores), last.SOPInstanceUID)
		require.Len(t, destinations[1].Recorder().Log().Stores, 5+i, "the other one gets its own")
	}
	close(held)
	for i, job := range list {
		require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
		requireStored(t, destinations[i], images)
	}
}

// TestUnaskedSeries: a series of a study that is being moved, which nobody asked for, is no late one: it is refused and
// told to staff. When the C-MOVE is over it may be one that was asked for, and is taken from the source.
func TestUnaskedSeries(t *testing.T) {
	study := phantom.New(32, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 12, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 2, Rows: 64, Columns: 64},
		},
	})
	hold := pacs.StopAt(pacs.AtSubOperation, 6)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{
		AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n), Gate: hold.Gate,
	})
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Create(jobs.Transfer{Source: "source", Destination: "destination", Studies: []jobs.Study{{
		StudyInstanceUID: study.StudyInstanceUID, SeriesInstanceUIDs: []string{study.Series[0].SeriesInstanceUID},
	}}})
	<-hold.Reached()
	id := src.Recorder().Log().Moves[0].MessageID
	unasked := study.Series[1].Instances[0]
	require.Equal(t, dimse.RefusedNotAuthorized, storeInto(t.Context(), t, n, "SRC", unasked, "ADIT", id))
	require.Equal(t, dimse.RefusedNotAuthorized, storeInto(t.Context(), t, n, "SRC", unasked, "", 0))
	hold.Release()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
	require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", unasked, "ADIT", id), "late")
	require.Equal(t, dimse.Success, storeInto(t.Context(), t, n, "SRC", unasked, "", 0), "late")
	require.Len(t, dst.Recorder().Log().Stores, 12)
	requireOutcomes(t, n, "source", map[string]int{"taken": 12, "unsolicited": 2, "late": 2})
	counts, err := n.Engine.Quarantine.UnsolicitedCounts(t.Context(), n.Admin, 0, 10)
	require.NoError(t, err)
	require.Len(t, counts, 1)
	require.EqualValues(t, 2, counts[0].Instances)
}
