// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/pause"
)

// Moves are the C-MOVEs of a run.
type Moves struct {
	*Task
	methods      *Methods
	associations *Associations
	Inbound      *Inbound     // what they bring; nil without that method
	vain         atomic.Int32 // times that late instances were waited for and none came
	reached      atomic.Bool  // something came

	mu     sync.Mutex
	barred string // what is to be said of calls of the source that the receiver turned away
}

// moveDestination returns the AE title under which the source knows our receiver.
func (r *Moves) moveDestination(o source.Offer) string {
	own, there := r.svc.Config.AETitle, r.Src.Server.MoveDestination
	if o == source.OfferPlain {
		own, there = r.svc.Config.PlainAETitle, r.Src.Server.MoveDestinationPlain
	}
	if there != "" {
		return there
	}
	return own
}

// How long a task waits for its turn: for the end of another task's move, or for a place.
const (
	TurnRecheck  = 100 * time.Millisecond // how often it looks
	TurnPatience = 30 * time.Second       // after that it gives its slots back
)

// errNoTurn says that a source has as many C-MOVEs as it takes.
var errNoTurn = errors.New("others go first")

const (
	moveIDTries   = 100                    // message IDs in a row that are in use
	turnsForMore  = 8                      // good moves after which one more at once is tried
	leastPatience = 250 * time.Millisecond // with late instances, of a source that had none before
)

// BeginMove commits what a C-MOVE is to bring, before it goes out, and gives its message ID. It waits for its turn: at
// a source that is not known to send the Move Originator fields, until no other move of the study runs; at one that
// said that it had too many, until fewer run than it takes, over the whole cluster. direct: the instances go to another
// destination than our receiver.
func (r *Moves) BeginMove(ctx context.Context, direct bool) (uint16, error) {
	p := db.BeginMoveParams{
		SourceID: r.Src.ID, StudyUid: r.Inv.Study, Alone: !r.Src.Server.MoveOriginator && !direct, Direct: direct,
		TaskID: r.Held.TaskID, LeaseMember: &r.Held.Member, LeaseToken: &r.Held.Token,
	}
	t := turn{svc: r.svc, source: r.Src, study: p.StudyUid, alone: p.Alone}
	t.begin = func(q *db.Queries, counted bool) (int32, error) {
		p.Counted = counted
		return q.BeginMove(ctx, p)
	}
	t.holds = func() error { return lease.Holds(ctx, r.svc.Q, r.Held) }
	return t.wait(ctx)
}

// BeginLook does so for somebody who looks at what comes, and has no task. end is called when it has ended.
func (svc *Service) BeginLook(ctx context.Context, from nodes.DICOMNode, study string) (
	id uint16, end func(), err error,
) {
	p := db.BeginLookParams{
		SourceID: from.ID, StudyUid: study, Alone: !from.Server.MoveOriginator, Member: svc.Door.Member(),
	}
	t := turn{svc: svc, source: from, study: study, alone: p.Alone, holds: func() error { return nil }}
	t.begin = func(q *db.Queries, counted bool) (int32, error) {
		p.Counted = counted
		return q.BeginLook(ctx, p)
	}
	id, err = t.wait(ctx)
	return id, func() { svc.endMove(ctx, db.EndMoveParams{MessageID: int32(id), ServerID: from.ID}, false) }, err
}

// turn is what a C-MOVE waits for.
type turn struct {
	svc    *Service
	source nodes.DICOMNode
	study  string
	alone  bool // no other move of the study may run
	// begin writes it down; pgx.ErrNoRows: it can't. counted: fewer run than the source takes.
	begin func(q *db.Queries, counted bool) (int32, error)
	holds func() error // an error if whoever waits may not have it any more
}

// wait begins a C-MOVE when it is its turn, and gives its message ID.
func (t *turn) wait(ctx context.Context) (uint16, error) {
	deadline, tries := time.Now().Add(TurnPatience), 0
	for {
		id, err := t.try(ctx)
		if !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, errNoTurn) {
			return uint16(id), err
		}
		crowded := errors.Is(err, errNoTurn)
		if err := t.holds(); err != nil {
			return 0, err
		}
		moved := false
		if t.alone && !crowded {
			moved, err = t.svc.Q.StudyIsMoved(ctx, db.StudyIsMovedParams{SourceID: t.source.ID, StudyUid: t.study})
			if err != nil {
				return 0, err
			}
		}
		over := time.Now().After(deadline)
		switch {
		case moved && over:
			return 0, fault.Wait(
				"another task is moving the same study from DICOM Server %s, which allows only one move of a study at a time",
				t.source.Name,
			)
		case crowded && over:
			return 0, fault.Wait("DICOM Server %s takes only few C-MOVEs at once, and others go first", t.source.Name)
		case moved || crowded:
			if err := pause.For(ctx, TurnRecheck); err != nil {
				return 0, err
			}
			continue
		}
		if tries++; tries == moveIDTries {
			return 0, fault.Wait("all message IDs for C-MOVEs are in use; there were too many C-MOVEs within an hour")
		}
	}
}

// try begins a C-MOVE if it is its turn: errNoTurn. Where a source takes few at once they are counted one after the
// other.
func (t *turn) try(ctx context.Context) (id int32, err error) {
	id, err = t.begin(t.svc.Q, false)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if limit, err := t.svc.Q.MoveLimit(ctx, t.source.ID); err != nil || limit == 0 {
		return 0, cmp.Or(err, pgx.ErrNoRows)
	}
	err = t.svc.InTx(ctx, func(q *db.Queries) error {
		limit, err := q.LockMoveLimit(ctx, t.source.ID)
		if err != nil {
			return err
		}
		running, err := q.RunningMoves(ctx, t.source.ID)
		if err != nil {
			return err
		}
		if running >= int64(limit) {
			return errNoTurn
		}
		id, err = t.begin(q, true)
		return err
	})
	return id, err
}

// FlushGrace is how long the database may take for what is written after a task was stopped.
const FlushGrace = 10 * time.Second

// EndMove writes down that a C-MOVE is over, and whether its source had too many. If it can't, the housekeeping does.
func (r *Moves) EndMove(ctx context.Context, id uint16, busy bool) {
	r.svc.endMove(ctx, db.EndMoveParams{MessageID: int32(id), LeaseToken: r.Held.Token, ServerID: r.Src.ID}, busy)
}

func (svc *Service) endMove(ctx context.Context, end db.EndMoveParams, busy bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), FlushGrace)
	defer cancel()
	end.Good, end.ForMore = !busy, turnsForMore
	err := svc.Q.EndMove(ctx, end)
	if busy && err == nil {
		err = svc.InTx(ctx, func(q *db.Queries) error {
			if _, err := q.LockMoveLimit(ctx, end.ServerID); err != nil {
				return err
			}
			return q.LowerMoveLimit(ctx, end.ServerID)
		})
	}
	if err != nil {
		svc.Log.WarnContext(ctx, "the end of a C-MOVE can't be recorded now", "message_id", end.MessageID, "err", err)
	}
}

// awaitLate waits for instances that come later than the final response, while something that was asked for is missing
// and the source doesn't account for it: counts of what came and of what failed that make up for less than was asked
// for are not believed. Each instance that comes renews the patience; waiting in vain halves it. "Success, 0 of 0" may
// be the answer of a source that has only queued the C-MOVE.
func (r *Moves) awaitLate(
	ctx context.Context, s *source.SeriesInventory, uids []string, in *Intake, result dimse.MoveResult,
) {
	arrived := func() int { return int(in.received.Load() + in.again.Load()) }
	patience := max(leastPatience, time.Duration(r.Src.Server.MovePatienceS)*time.Second>>r.vain.Load())
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for seen := -1; ; {
		changed := r.Inbound.changes()
		if !in.busy() && (tellsAll(result, Asked(s, uids), arrived()) || !r.lacks(s, uids)) {
			return
		}
		if n := arrived(); n != seen {
			seen = n
			timer.Reset(patience)
		}
		select {
		case <-changed:
		case <-in.stop:
			return
		case <-ctx.Done():
			return
		case <-timer.C:
			if !in.busy() {
				if seen == 0 {
					r.vain.Add(1)
				}
				return
			}
			timer.Reset(patience) // the association's own timeout ends an instance that doesn't go on
		}
	}
}

// tellsAll reports whether the final response of a C-MOVE accounts for all that was asked for and what it says was sent
// has come, or says that nothing was done.
func tellsAll(result dimse.MoveResult, asked, arrived int) bool {
	claimed, failed := result.Completed.Value+result.Warning.Value, result.Failed.Value
	if result.Status.Class() == dimse.ClassFailure && arrived == 0 && claimed == 0 {
		return true
	}
	return result.Completed.Present && claimed+failed >= asked && arrived >= claimed && (claimed > 0 || failed > 0)
}

// heedReach takes down that the source was seen to reach the receiver.
func (r *Moves) heedReach(in *Intake) {
	if in.received.Load()+in.again.Load() > 0 {
		r.reached.Store(true)
		r.methods.worksBy(nodes.MethodMove)
	}
}

// heedCalls looks, where something did not come, whether the receiver turned the source away since the C-MOVE began.
// The error is for when nothing came.
func (r *Moves) heedCalls(
	ctx context.Context, s *source.SeriesInventory, uids []string,
	in *Intake, result dimse.MoveResult, since time.Time, title string,
) error {
	arrived := int(in.received.Load() + in.again.Load())
	claimed := result.Completed.Value + result.Warning.Value
	accounted := result.Completed.Present && result.Failed.Value == 0 && arrived >= claimed && arrived >= Asked(s, uids)
	if accounted || !r.lacks(s, uids) || result.Status.Meaning(dimse.CMove).Outcome == dimse.Configure {
		return nil
	}
	calls := r.svc.receive.TurnedAway(ctx, r.Src.Name, since)
	if len(calls) == 0 {
		return nil
	}
	in.barred = receive.SayCalls(calls)
	r.mu.Lock()
	r.barred = in.barred
	r.mu.Unlock()
	if arrived > 0 {
		return nil
	}
	return &methodError{&fault.Fault{
		Err: fmt.Errorf("the source %s could send nothing to the AE title %s (status %s): %s",
			r.Src.Name, title, result.Status, in.barred),
		Policy: fault.PolicyAgain, Barred: true,
	}}
}

// Asked returns how many instances a retrieve was to bring at least: those named, or those of the whole series; 1 if
// that is not known.
func Asked(s *source.SeriesInventory, uids []string) int {
	if uids != nil {
		return len(uids)
	}
	return max(1, len(s.Instances), s.Counted)
}

// NeverCame is the reason of what is missing, and of which nothing else is known.
func (r *Moves) NeverCame() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.barred != "" {
		return "the source did not send them: " + r.barred
	}
	return evidence.ReasonNeverCame
}

// NotTaken begins the reason of an instance whose SOP class and transfer syntax the destination doesn't take.
const NotTaken = "the destination doesn't take SOP class "

// heedBarred takes down why what a C-MOVE was to bring is missing: calls of its source were turned away.
func (r *Moves) heedBarred(s *source.SeriesInventory, uids []string, in *Intake, status dimse.Status) {
	if uids == nil {
		uids = r.Instances.Missing(s, math.MaxInt)
	}
	for _, uid := range uids {
		r.Instances.Refuse(uid, evidence.CauseMayPass, status, "the source could not send this instance: "+in.barred)
	}
}
