// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/source"
)

// arrived is what the doctor sees of an instance that it had moved.
type arrived struct {
	mu         sync.Mutex
	bytes      int64
	syntax     string
	originator bool // it named the C-MOVE that it belongs to
	taken      chan struct{}
}

// move has the server send one instance to our receiver, as it would in a transfer. Without a receiver in this process
// the instance is refused; but a server that gets so far knows the AE title.
func (d *doctor) move(ctx context.Context, src *source.Server, sp *sampled) {
	s := d.node.Server
	if !s.StudyRootMove && !s.PatientRootMove || !d.offers[src.MoveClass()] {
		return
	}
	if d.unsaved {
		d.knows(ctx, src, sp)
		return
	}
	if moved, err := d.svc.Q.StudyIsMoved(ctx, db.StudyIsMovedParams{
		SourceID: d.node.ID, StudyUid: sp.inv.Study,
	}); err != nil || moved {
		d.goodf("move", "Not tried: a transfer is moving the only available study now.")
		return
	}
	back, ok := d.wayBack(ctx)
	if !ok {
		return
	}
	defer func() {
		if err := back.Close(ctx); err != nil {
			d.svc.Log.WarnContext(ctx, "a slot can't be given back now", "server", d.node.Name, "err", err)
		}
	}()
	id, end, err := d.svc.retrieve.BeginLook(ctx, d.node, sp.inv.Study)
	if !d.tried("move", err) {
		return
	}
	defer end()
	got := &arrived{taken: make(chan struct{}, 1)}
	delivery := d.expect(ctx, src, sp, got, id)
	d.svc.retrieve.Inbox().Open(delivery)
	defer d.svc.retrieve.Inbox().Close(delivery)
	d.svc.retrieve.Inbox().Expect(delivery, id)
	defer d.svc.retrieve.Inbox().Ended(id)

	start, stop := time.Now(), make(chan struct{})
	over := context.AfterFunc(ctx, func() { close(stop) })
	defer over()
	one := source.Request{Of: sp.inv, Series: sp.series.UID, UIDs: sp.instances[:min(1, len(sp.instances))]}
	result, err := src.Move(ctx, one, dimse.MoveRequest{
		Destination: d.title, MessageID: id, Stop: stop,
	})
	if err == nil && result.Completed.Value > 0 {
		d.awaitLate(ctx, got)
	}
	d.judgeMove(got, result, err, time.Since(start), d.svc.receive.TurnedAway(ctx, d.node.Name, start))
}

// knows asks a server that is not one of ours for one instance, to see whether it knows the AE title. The receiver
// turns its call away.
func (d *doctor) knows(ctx context.Context, src *source.Server, sp *sampled) {
	id, err := d.svc.Q.NextMoveMessageID(ctx)
	if !d.tried("move", err) {
		return
	}
	stop := make(chan struct{})
	over := context.AfterFunc(ctx, func() { close(stop) })
	defer over()
	one := source.Request{Of: sp.inv, Series: sp.series.UID, UIDs: sp.instances[:min(1, len(sp.instances))]}
	result, err := src.Move(ctx, one, dimse.MoveRequest{Destination: d.title, MessageID: uint16(id), Stop: stop})
	switch {
	case err != nil:
		d.badf("move", "%s", fault.Sentence(err))
	case result.Status.Meaning(dimse.CMove).Outcome == dimse.Configure:
		d.unknownTitle(result.Status)
	default:
		d.goodf("move", "The server knows the Move Destination %s. ADIT takes what it sends once the server is saved.",
			d.title)
	}
}

func (d *doctor) unknownTitle(status dimse.Status) {
	d.badf("move", "The server doesn't know the Move Destination %s (status %s): have its administrator enter "+
		"this AE title there with the address and port of "+
		"ADIT's receiver, or set the title under which the receiver is known there (move_destination).",
		d.title, status)
}

// wayBack takes the slot of the association over which the server sends the instance. Without one nothing is tried:
// people have no more associations there than their cap allows.
func (d *doctor) wayBack(ctx context.Context) (*door.Slot, bool) {
	const why = "Not tried: a C-MOVE takes two connections, and DICOM Server "
	room, err := d.svc.Q.InteractiveRoom(ctx, d.node.ID)
	if !d.tried("move", err) {
		return nil, false
	}
	if !room.Stale && room.Cap < 2 {
		d.goodf("move",
			why+"%s allows searches and checks only one now (interactive cap). Allow two and check again, or see "+
				"whether a transfer works.",
			d.node.Name,
		)
		return nil, false
	}
	slot, err := d.svc.Door.Interactive(ctx, d.peer)
	if _, busy := errors.AsType[*door.Busy](err); busy {
		d.goodf("move", why+"%s has no second one free for checks now. Check again later.", d.node.Name)
		return nil, false
	}
	return slot, d.tried("move", err)
}

// expect makes a delivery that looks at what arrives.
func (d *doctor) expect(
	ctx context.Context, src *source.Server, sp *sampled, got *arrived, id uint16,
) *retrieve.Inbound {
	inv := *sp.inv
	inv.Series = []*source.SeriesInventory{sp.series}
	expected := evidence.NewInstances(inv.Study, nil)
	expected.List(&inv)
	return retrieve.NewInbound(ctx, src.Peer, expected, nil, func(a *receive.Arrival) dimse.Status {
		n, err := io.Copy(io.Discard, a.Data)
		if err != nil {
			return dimse.ProcessingFailure
		}
		got.mu.Lock()
		defer got.mu.Unlock()
		got.bytes += n
		got.syntax = a.TransferSyntaxUID
		got.originator = a.MoveOriginatorMessageID == id &&
			strings.Trim(a.MoveOriginatorAETitle, " ") == src.Peer.CallingAE
		select {
		case got.taken <- struct{}{}:
		default:
		}
		return dimse.Success
	})
}

// awaitLate waits for an instance that comes later than the answer that says that it was sent.
func (d *doctor) awaitLate(ctx context.Context, got *arrived) {
	if !d.svc.retrieve.Inbox().Listens() {
		return
	}
	timer := time.NewTimer(time.Duration(d.node.Server.MovePatienceS) * time.Second)
	defer timer.Stop()
	select {
	case <-got.taken:
	case <-timer.C:
	case <-ctx.Done():
	}
}

func (d *doctor) judgeMove(
	got *arrived, result dimse.MoveResult, err error, took time.Duration, calls []receive.RejectedCaller,
) {
	got.mu.Lock()
	defer got.mu.Unlock()
	meaning := result.Status.Meaning(dimse.CMove)
	d.suggestAddresses(calls)
	counts := fmt.Sprintf("%d sent, %d failed", result.Completed.Value+result.Warning.Value, result.Failed.Value)
	switch {
	case err != nil:
		d.badf("move", "%s", fault.Sentence(err))
	case meaning.Outcome == dimse.Configure:
		d.unknownTitle(result.Status)
	case got.syntax == "" && len(calls) > 0:
		d.badf("move", "The server knows the Move Destination %s, but its call was turned away (%s, status %s): %s.",
			d.title, counts, result.Status, receive.SayCalls(calls))
	case got.syntax != "":
		d.goodf(
			"move", "An instance of %s arrived in %s as %s.", fault.Megabytes(got.bytes),
			milliseconds(took), dict.TransferSyntaxOf(got.syntax).Name,
		)
		if got.originator != d.node.Server.MoveOriginator {
			why := "its C-STORE requests name the C-MOVE that they belong to: several tasks may move one study at once"
			if !got.originator {
				why = "its C-STORE requests don't name the C-MOVE that they belong to: only one task may move a study " +
					"at a time"
			}
			d.suggest("retrieve.move_originator", d.node.Server.MoveOriginator, got.originator, why)
		}
	case !d.svc.retrieve.Inbox().Listens():
		d.goodf("move",
			"The server knows the Move Destination %s (%s), but no receiver runs in this process (--dicom-listen), "+
				"so nothing could arrive.",
			d.title, counts,
		)
	case result.Failed.Value > 0 || result.Completed.Value > 0:
		d.badf("move", "The server knows the Move Destination %s, but nothing arrived here (%s, status %s): check "+
			"which address and port it has for this AE title, the "+
			"firewalls between, and whether it calls under its own AE title.", d.title, counts, result.Status)
	default:
		d.badf(
			"move", "The server answered with status %s, and nothing arrived: %s. Look into its log.",
			result.Status, meaning.Text,
		)
	}
}

// suggestAddresses takes down from where the server called when it was asked for an instance, and is not known to.
// Staff has to say whether that was the server.
func (d *doctor) suggestAddresses(calls []receive.RejectedCaller) {
	now := append([]string{}, d.node.Server.AddressRanges...)
	suggested := nodes.Retrieve{AddressRanges: now}
	for _, c := range calls {
		if c.Reason == nodes.CallAddress || c.Reason == nodes.CallHost {
			suggested.AddAddresses(c.Address)
		}
	}
	if len(suggested.AddressRanges) > len(now) {
		d.suggest("retrieve.address_ranges", now, suggested.AddressRanges,
			"a call came from there when ADIT asked it for an instance; make sure that this was the server")
	}
}
