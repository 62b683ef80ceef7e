// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/engine/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// own is our AE title, and that of the receiver for what is sent as it is stored; plain is the one for what is
// decompressed.
const own, plain = "ADIT", "ADIT_LE"

// TestInbound: what a server sends by C-MOVE comes through the inbound of a run and the intake of the C-MOVE as if the
// source had brought it itself: both keep the promises of a source.
func TestInbound(t *testing.T) {
	sourcetest.Run(t, func(t *testing.T, studies ...*phantom.Study) sourcetest.Subject {
		p := sourcetest.NewPACS(t, studies)
		of := &db.Server{ID: 1, StudyRootFind: true, StudyRootMove: true, FindImages: true}
		from := &source.Server{
			Node: nodes.DICOMNode{ID: of.ID, Name: "peer", Server: of}, Slot: door.NewDoor(nil).Slot(1, of.ID),
			Heard: &atomic.Bool{},
			Peer: door.Peer{
				ServerID: of.ID, Name: "peer", Addr: p.Line.Addr,
				CalledAE: "PACS", CallingAE: own, IdleTimeout: time.Minute,
			},
		}
		r := newInboundReceiver(t)
		p.AddMoveDestination(own, r.addr)
		p.AddMoveDestination(plain, r.addr)
		subject := p.Subject(from)
		subject.Get = r.from(from)
		return subject
	})
}

// inboundReceiver gives what arrives to the inbound of one run at a time, as the receiver of a node does.
type inboundReceiver struct {
	addr string
	mu   sync.Mutex
	open *Inbound
}

func newInboundReceiver(t *testing.T) *inboundReceiver {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &inboundReceiver{addr: l.Addr().String()}
	ctx, stop := context.WithCancel(context.Background())
	served := make(chan error, 1)
	s := &dimse.Server{Choose: receive.Choose(func(called string) bool { return called == plain }), Store: r.store}
	go func() { served <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-served)
	})
	return r
}

func (r *inboundReceiver) store(
	ctx context.Context, a *dimse.ServerAssociation, in *dimse.Incoming,
) dimse.StoreResponse {
	arrival := receive.NewArrival(in, a.Abort)
	defer arrival.Close()
	r.mu.Lock()
	open := r.open
	r.mu.Unlock()
	if status, _, ok := open.Take(ctx, arrival); ok {
		return dimse.StoreResponse{Status: status}
	}
	return dimse.StoreResponse{Status: dimse.RefusedNotAuthorized}
}

// from gets by C-MOVE as Retrieval.retrieveByMove does, without what stands in the database.
func (r *inboundReceiver) from(from source.Source) sourcetest.Getter {
	return func(
		ctx context.Context, w source.Wanted, rq source.Request, stop <-chan struct{}, take dimse.StoreHandler,
	) (dimse.GetResult, error) {
		run, end := context.WithCancel(ctx)
		defer end()
		task := &Task{Inv: rq.Of, Instances: evidence.NewInstances(rq.Of.Study, nil)}
		task.Src.Server = &db.Server{}
		to := &suiteTaker{task: task, take: take}
		peer := door.Peer{ServerID: 1, CallingAE: own}
		moves := &Moves{Task: task, Inbound: NewInbound(run, peer, task.Instances, to, nil)}
		defer moves.Inbound.Close()
		r.mu.Lock()
		r.open = moves.Inbound
		r.mu.Unlock()

		in := &Intake{
			to: to, instances: task.Instances, Asked: rq.Series, inbound: moves.Inbound, stop: make(chan struct{}),
			Patience: time.Minute,
		}
		moves.Inbound.begin(rq.Series, in)
		defer moves.Inbound.finish(in)
		done, left := make(chan struct{}), make(chan struct{})
		defer func() { close(done); <-left }()
		go func() {
			defer close(left)
			select {
			case <-stop:
				in.Halt(fault.ErrParked)
			case <-done:
			}
		}()
		mover, _ := from.Mover()
		result, err := mover.Move(ctx, rq, dimse.MoveRequest{
			Destination: titleFor(w.Syntaxes), MessageID: 1, Stop: in.stop, Alive: in.lives(),
		})
		if err == nil {
			moves.awaitLate(ctx, seriesIn(rq.Of, rq.Series), rq.UIDs, in, result)
		}
		return result, err
	}
}

// titleFor returns the AE title under which nothing comes that isn't wanted.
func titleFor(wanted map[string][]string) string {
	for _, syntaxes := range wanted {
		if slices.ContainsFunc(syntaxes, func(u string) bool { return dict.TransferSyntaxOf(u).Encapsulated }) {
			return own
		}
	}
	return plain
}

// seriesIn returns a series of an inventory, or one that stands for all.
func seriesIn(inv *source.Inventory, uid string) *source.SeriesInventory {
	all := &source.SeriesInventory{}
	for _, s := range inv.Series {
		if s.UID == uid {
			return s
		}
		all.Counted += s.Counted
	}
	return all
}

// suiteTaker hands on to the suite what arrives, one after the other, and takes down what became of it.
type suiteTaker struct {
	task *Task
	take dimse.StoreHandler
	one  sync.Mutex
}

func (s *suiteTaker) Take(ctx context.Context, in *Intake, a *receive.Arrival) dimse.Status {
	s.one.Lock()
	defer s.one.Unlock()
	status := s.take(ctx, a.Incoming)
	if status.Class() == dimse.ClassFailure {
		s.task.Instances.Fail(a.SOPInstanceUID, evidence.CauseMayPass, status, "the suite refuses it")
	} else {
		s.task.Instances.Deliver(
			ledger.Receipt{SOPUID: a.SOPInstanceUID, SeriesUID: in.Asked, Class: a.SOPClassUID}, false,
		)
	}
	return status
}

func (s *suiteTaker) Copy(*Intake, *receive.Arrival) {}

func (s *suiteTaker) Drain(_ context.Context, o *dimse.Incoming) { _, _ = io.Copy(io.Discard, o.Data) }
