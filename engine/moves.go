// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/pacs"
)

// movePlan gives the ways of asking for a series by C-MOVE that may still help: as plan, but what the destination doesn't take as it is
// stored is asked for again under the AE title that takes nothing compressed, for which many servers decompress.
func (r *run) movePlan(s *seriesInventory) []step {
	first := r.firstMoveOffer(s)
	var steps []step
	if r.asksWhole(s) {
		steps = append(steps, r.whole(first))
	}
	steps = append(steps, r.list(first), r.renegotiated(first))
	if first != offerPlain {
		steps = append(steps, r.decompressed)
	}
	return append(steps, func(ctx context.Context, s *seriesInventory) error { return r.singly(ctx, s, first) })
}

// firstMoveOffer is what a series is asked for with at first by C-MOVE.
func (r *run) firstMoveOffer(s *seriesInventory) offer {
	if slices.ContainsFunc(s.classes(), r.refusesCompressed) {
		return offerPlain
	}
	return offerAll
}

// refusesCompressed tells whether the destination was asked to take a SOP class compressed, and doesn't.
func (r *run) refusesCompressed(class string) bool {
	compressed := func(u string) bool { return dict.TransferSyntaxOf(u).Encapsulated }
	return slices.ContainsFunc(r.proposed[class], compressed) && !slices.ContainsFunc(r.accepted[class], compressed)
}

// renegotiated asks again for what came and the destination did not take, if it is found to take that in another transfer syntax: by C-MOVE
// a source sends what it holds, which is not always what could be foreseen.
func (r *run) renegotiated(o offer) step {
	return func(ctx context.Context, s *seriesInventory) error {
		r.settle()
		if covers(r.proposed, r.instances.broughtSyntaxes()) {
			return nil
		}
		if err := r.prepareSink(ctx); err != nil {
			return err
		}
		for class, syntaxes := range r.instances.broughtSyntaxes() {
			if slices.ContainsFunc(syntaxes, func(u string) bool { return r.deliverable(class, u) }) {
				return r.askAgain(ctx, s, o, false)
			}
		}
		return nil
	}
}

// decompressed asks for what the destination did not take in the transfer syntax that it came in, and for what did not come at all: it may
// come uncompressed.
func (r *run) decompressed(ctx context.Context, s *seriesInventory) error {
	err := r.askAgain(ctx, s, offerPlain, true)
	if _, unknown := errors.AsType[*methodError](err); unknown && r.method() == MethodMove {
		r.e.log.InfoContext(ctx, "nothing is decompressed", "task", r.held.TaskID, "err", err) // what is missing keeps its own reason
		return nil
	}
	return err
}

// askAgain asks for what the destination did not take in the transfer syntax that it came in, and on demand for what did not come at all.
// What doesn't come now either keeps its reason.
func (r *run) askAgain(ctx context.Context, s *seriesInventory, o offer, absent bool) error {
	refused := r.untaken(s)
	closeAgain := r.instances.reopen(refused)
	uids := slices.Sorted(maps.Keys(refused))
	if absent {
		uids = r.instances.missing(s, math.MaxInt)
	}
	if len(refused) == 0 && len(uids) == 0 {
		return nil
	}
	defer func() {
		r.settle()
		closeAgain()
	}()
	if !s.listed {
		return r.retrieve(ctx, s, nil, o)
	}
	return r.inChunks(ctx, s, uids, o)
}

// untaken returns what came by C-MOVE of a series in a transfer syntax that the destination does not take.
func (r *run) untaken(s *seriesInventory) map[string]shortfall {
	if r.method() != MethodMove {
		return nil
	}
	return r.instances.untaken(s)
}

// notTaken begins the reason of an instance whose SOP class and transfer syntax the destination doesn't take.
const notTaken = "the destination doesn't take SOP class "

// moveDestination gives the AE title under which the source knows our receiver.
func (r *run) moveDestination(o offer) string {
	own, there := r.e.cfg.AETitle, r.src.Server.MoveDestination
	if o == offerPlain {
		own, there = r.e.cfg.PlainAETitle, r.src.Server.MoveDestinationPlain
	}
	if there != "" {
		return there
	}
	return own
}

// retrieveByMove runs one C-MOVE over an association of from, of the whole series or of the instances named. What it brings comes in by the
// delivery; a slot must be there for the association over which it does.
func (r *run) retrieveByMove(ctx context.Context, from *source, s *seriesInventory, uids []string, o offer) error {
	if uids != nil && len(uids) == 0 || !r.takes(s.classes(), o) {
		return nil
	}
	if r.halted(from.slot) {
		return ErrParked
	}
	id, err := r.beginMove(ctx, false)
	if err != nil {
		return err
	}
	busy := false
	defer func() { r.endMove(ctx, id, busy) }()
	r.e.inbox.Expect(r.delivery, id)
	defer r.e.inbox.Ended(id)
	in := &intake{r: r, asked: s.uid, delivery: r.delivery, stop: make(chan struct{}), patience: r.sinkPatience()}
	r.delivery.begin(s.uid, in)
	defer r.delivery.finish(in)
	leave := r.oversee(in, from.slot)
	defer leave()
	title, since := r.moveDestination(o), time.Now()
	result, err := from.move(ctx, r.inv, s.uid, uids, dimse.MoveRequest{
		Destination: title, MessageID: id, Stop: in.stop, Alive: in.lives(),
	})
	if err != nil {
		if leave(); errors.Is(in.err, ErrParked) {
			return in.err // as by C-GET
		}
		r.heedReach(in)
		err = fmt.Errorf("the retrieve from %s failed: %w", r.src.Name, r.byMethod(err))
		if calls := r.e.turnedAway(ctx, r.src.Name, since); len(calls) > 0 {
			err = fmt.Errorf("%w; %s", err, sayCalls(calls))
		}
		return err
	}
	r.worksBy(MethodMove)
	r.awaitLate(ctx, s, uids, in, result)
	r.delivery.finish(in)
	leave()
	r.heedReach(in)
	if in.err != nil {
		return in.err
	}
	if err := r.heedCalls(ctx, s, uids, in, result, since, title); err != nil {
		return err
	}
	err = r.judgeResult(result, s, uids, in, title, o)
	busy = result.Status.Meaning(dimse.CMove).Outcome == dimse.BackOff && policyOf(err) == policyWait
	return err
}

// heedCalls looks, where something did not come, whether the receiver turned the source away since the C-MOVE began. The
// error is for when nothing came.
func (r *run) heedCalls(
	ctx context.Context, s *seriesInventory, uids []string, in *intake, result dimse.MoveResult, since time.Time, title string,
) error {
	arrived := int(in.received.Load() + in.again.Load())
	claimed := result.Completed.Value + result.Warning.Value
	accounted := result.Completed.Present && result.Failed.Value == 0 && arrived >= claimed && arrived >= asked(s, uids)
	if accounted || !r.lacks(s, uids) || result.Status.Meaning(dimse.CMove).Outcome == dimse.Configure {
		return nil
	}
	calls := r.e.turnedAway(ctx, r.src.Name, since)
	if len(calls) == 0 {
		return nil
	}
	in.barred = sayCalls(calls)
	r.mu.Lock()
	r.barred = in.barred
	r.mu.Unlock()
	if arrived > 0 {
		return nil
	}
	return &methodError{&fault{
		err: fmt.Errorf("the source %s could send nothing to the AE title %s (status %s): %s",
			r.src.Name, title, result.Status, in.barred),
		policy: policyAgain, barred: true,
	}}
}

// heedBarred takes down why what a C-MOVE was to bring is missing: calls of its source were turned away.
func (r *run) heedBarred(s *seriesInventory, uids []string, in *intake, status dimse.Status) {
	if uids == nil {
		uids = r.instances.missing(s, math.MaxInt)
	}
	for _, uid := range uids {
		r.instances.refuse(uid, causeMayPass, status, "the source could not send this image: "+in.barred)
	}
}

// neverCame is the reason of what is missing, and of which nothing else is known.
func (r *run) neverCame() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.barred != "" {
		return "the source did not send them: " + r.barred
	}
	return reasonNeverCame
}

// lives gives what tells, each time that it is asked, whether anything has arrived since, or arrives now: a source may say nothing
// during a C-MOVE.
func (in *intake) lives() func() bool {
	var seen int32
	return func() bool {
		arrived := in.received.Load() + in.again.Load()
		alive := arrived != seen || in.busy()
		seen = arrived
		return alive
	}
}

const (
	moveIDTries  = 100                    // message IDs in a row that are in use
	turnRecheck  = 100 * time.Millisecond // for the end of another task's move
	turnPatience = 30 * time.Second       // after that the slots are given back
	turnsForMore = 8                      // good moves after which one more at once is tried

	leastPatience = 250 * time.Millisecond // with late objects, of a source that had none before
)

// beginMove commits what a C-MOVE is to bring, before it goes out, and gives its message ID. It waits for its turn: at a source that is
// not known to send the Move Originator fields, until no other task moves the study; at one that said that it had too many, until fewer
// run than it takes, over the whole cluster. direct: the objects go to another destination than our receiver.
func (r *run) beginMove(ctx context.Context, direct bool) (uint16, error) {
	p := db.BeginMoveParams{
		SourceID: r.src.ID, StudyUid: r.inv.study, Alone: !r.src.Server.MoveOriginator && !direct, Direct: direct,
		TaskID: r.held.TaskID, LeaseNode: &r.held.Node, LeaseToken: &r.held.Token,
	}
	deadline, tries := time.Now().Add(turnPatience), 0
	for {
		id, err := r.tryMove(ctx, p)
		if !errors.Is(err, pgx.ErrNoRows) && !errors.Is(err, errNoTurn) {
			return uint16(id), err
		}
		crowded := errors.Is(err, errNoTurn)
		if err := holds(ctx, r.e.q, r.held); err != nil {
			return 0, err
		}
		moved := false
		if p.Alone && !crowded {
			moved, err = r.e.q.StudyIsMoved(ctx, db.StudyIsMovedParams{SourceID: p.SourceID, StudyUid: p.StudyUid})
			if err != nil {
				return 0, err
			}
		}
		over := time.Now().After(deadline)
		switch {
		case moved && over:
			return 0, wait("another task moves the same study from DICOM Server %s, which may only be moved once at a time", r.src.Name)
		case crowded && over:
			return 0, wait("DICOM Server %s takes few C-MOVEs at once, and others go first", r.src.Name)
		case moved || crowded:
			if err := pause(ctx, turnRecheck); err != nil {
				return 0, err
			}
			continue
		}
		if tries++; tries == moveIDTries {
			return 0, wait("all message IDs of C-MOVEs are in use; there were too many within an hour")
		}
	}
}

// errNoTurn says that a source has as many C-MOVEs as it takes.
var errNoTurn = errors.New("others go first")

// tryMove begins a C-MOVE if it is its turn: errNoTurn. Where a source takes few at once they are counted one after the other.
func (r *run) tryMove(ctx context.Context, p db.BeginMoveParams) (id int32, err error) {
	id, err = r.e.q.BeginMove(ctx, p)
	if !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	if limit, err := r.e.q.MoveLimit(ctx, p.SourceID); err != nil || limit == 0 {
		return 0, cmp.Or(err, pgx.ErrNoRows)
	}
	p.Counted = true
	err = r.e.inTx(ctx, func(q *db.Queries) error {
		limit, err := q.LockMoveLimit(ctx, p.SourceID)
		if err != nil {
			return err
		}
		running, err := q.RunningMoves(ctx, p.SourceID)
		if err != nil {
			return err
		}
		if running >= int64(limit) {
			return errNoTurn
		}
		id, err = q.BeginMove(ctx, p)
		return err
	})
	return id, err
}

// endMove writes down that a C-MOVE is over, and whether its source had too many. If it can't, the house-keeping does.
func (r *run) endMove(ctx context.Context, id uint16, busy bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushGrace)
	defer cancel()
	err := r.e.q.EndMove(ctx, db.EndMoveParams{
		MessageID: int32(id), LeaseToken: r.held.Token, ServerID: r.src.ID, Busy: busy, ForMore: turnsForMore,
	})
	if err != nil {
		r.e.log.WarnContext(ctx, "the end of a C-MOVE can't be written now", "task", r.held.TaskID, "err", err)
	}
}

// reserveStore takes the slot for the association over which the source sends what a C-MOVE brings, unless the claim came with one. It is
// kept until the run ends. At a cap of 1 there is none: one C-MOVE runs there at a time, and could not run otherwise. Where there is no
// room, the task that has been there longest waits for it; others give up what they hold, so that no two wait for each other.
func (r *run) reserveStore(ctx context.Context) error {
	deadline := time.Now().Add(turnPatience)
	for r.storeSlot == nil {
		slot, room, err := r.e.door.MoveSlot(ctx, r.held.Claimed, r.src.ID)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return ErrFenced
		case err != nil:
			return err
		case slot != nil:
			r.storeSlot, r.slots = slot, append(r.slots, slot)
			return nil
		case room.Cap < 2:
			return nil
		case !room.Eldest || time.Now().After(deadline):
			return wait("a C-MOVE takes two of the connections that DICOM Server %s allows to jobs, and there is one", r.src.Name)
		}
		if err := pause(ctx, turnRecheck); err != nil {
			return err
		}
	}
	return nil
}

// freeStore gives that slot back where the source is not to be moved from any more, unless all else fails.
func (r *run) freeStore(ctx context.Context) {
	if r.storeSlot == nil || r.src.Server.MovesFirst {
		return
	}
	r.gaveBack(ctx, r.storeSlot.Close(ctx))
	r.slots = slices.DeleteFunc(r.slots, func(s *pacs.Slot) bool { return s == r.storeSlot })
	r.storeSlot = nil
}

// heedReach takes down that the source was seen to reach the receiver.
func (r *run) heedReach(in *intake) {
	if in.received.Load()+in.again.Load() > 0 {
		r.reached.Store(true)
		r.worksBy(MethodMove)
	}
}

// awaitLate waits for objects that come later than the final response, while something that was asked for is missing and the source
// doesn't account for it: counts of what came and of what failed that make up for less than was asked for are not believed. Each object
// that comes renews the patience; waiting in vain halves it. "Success, 0 of 0" may be the answer of a source that has only queued the C-MOVE.
func (r *run) awaitLate(ctx context.Context, s *seriesInventory, uids []string, in *intake, result dimse.MoveResult) {
	arrived := func() int { return int(in.received.Load() + in.again.Load()) }
	patience := max(leastPatience, time.Duration(r.src.Server.MovePatienceS)*time.Second>>r.vain.Load())
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for seen := -1; ; {
		changed := r.delivery.changes()
		if !in.busy() && (tellsAll(result, asked(s, uids), arrived()) || !r.lacks(s, uids)) {
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
			timer.Reset(patience) // the association's own timeout ends an object that doesn't go on
		}
	}
}

// tellsAll reports whether the final response of a C-MOVE accounts for all that was asked for and what it says was sent has come, or says that
// nothing was done.
func tellsAll(result dimse.MoveResult, asked, arrived int) bool {
	claimed, failed := result.Completed.Value+result.Warning.Value, result.Failed.Value
	if result.Status.Class() == dimse.ClassFailure && arrived == 0 && claimed == 0 {
		return true
	}
	return result.Completed.Present && claimed+failed >= asked && arrived >= claimed && (claimed > 0 || failed > 0)
}

// asked returns how many instances a retrieve was to bring at least: those named, or those of the whole series; 1 if that is not known.
func asked(s *seriesInventory, uids []string) int {
	if uids != nil {
		return len(uids)
	}
	return max(1, len(s.instances), s.counted)
}

// lacks tells whether something that was asked for has not come: of the instances named, or of the whole series.
func (r *run) lacks(s *seriesInventory, uids []string) bool {
	switch {
	case uids != nil:
		return slices.ContainsFunc(uids, r.instances.absent)
	case s.listed && !s.again:
		return slices.ContainsFunc(slices.Collect(maps.Keys(s.instances)), r.instances.absent)
	}
	return s.counted < 0 || r.instances.known(s.uid) < s.counted
}

func (s *source) moveClass() string {
	if s.node.Server.StudyRootMove {
		return dict.StudyRootQueryRetrieveInformationModelMove
	}
	return dict.PatientRootQueryRetrieveInformationModelMove
}

// openMove opens an association for queries and C-MOVE.
func (s *source) openMove(ctx context.Context) error {
	s.release(ctx)
	if s.inTime > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, s.inTime)
		defer cancel()
	}
	a, err := s.slot.Open(ctx, s.peer, []dimse.Context{
		{AbstractSyntax: s.findClass(), TransferSyntaxes: plainSyntaxes},
		{AbstractSyntax: s.moveClass(), TransferSyntaxes: plainSyntaxes},
	})
	if err != nil {
		return err
	}
	s.a, s.moves, s.proposed = a, true, nil
	return nil
}

// move has the instances of a series sent to us, or only those named.
func (s *source) move(ctx context.Context, inv *inventory, series string, uids []string, rq dimse.MoveRequest) (dimse.MoveResult, error) {
	rq.SOPClassUID, rq.Identifier = s.moveClass(), s.retrieveKeys(inv, series, uids, s.node.Server.StudyRootMove)
	for tries := 0; ; tries++ {
		if s.a == nil || !s.moves {
			if err := s.openMove(ctx); err != nil {
				return dimse.MoveResult{}, err
			}
		}
		result, err := s.a.Move(ctx, rq, nil)
		if _, stale := errors.AsType[*dimse.StaleError](err); !stale || tries == staleTries {
			return result, err
		}
		s.abort() // nothing was sent
	}
}

// retrieveKeys is the identifier of a retrieve of a series, of the whole study if that is empty, or of the instances named.
func (s *source) retrieveKeys(inv *inventory, series string, uids []string, studyRoot bool) *stream.DataSet {
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, "STUDY")
	id.Set(dict.StudyInstanceUID, inv.study)
	if series != "" {
		id.Set(dict.QueryRetrieveLevel, "SERIES")
		id.Set(dict.SeriesInstanceUID, series)
	}
	if !studyRoot {
		setKey(id, dict.PatientID, inv.patientID)
	}
	if len(uids) > 0 {
		id.Set(dict.QueryRetrieveLevel, "IMAGE")
		id.Set(dict.SOPInstanceUID, uids...)
	}
	return id
}

// methodError is a source's answer that it doesn't do a retrieve method at all; another one may work.
type methodError struct{ err error }

func (e *methodError) Error() string { return e.err.Error() }
func (e *methodError) Unwrap() error { return e.err }

// byMethod marks the error of a source that does not accept the method's SOP class, or that rejects or aborts the method's first request:
// another one may work.
func (r *run) byMethod(err error) error {
	if _, ok := errors.AsType[*dimse.NoContextError](err); ok {
		return &methodError{err}
	}
	if _, ok := errors.AsType[*dimse.NoContextsError](err); ok {
		return &methodError{err}
	}
	rejected, isRejected := errors.AsType[*ul.RejectedError](err)
	_, isAborted := errors.AsType[*ul.AbortedError](err)
	_, isLost := errors.AsType[*ul.LostError](err)
	if !isAborted && !isLost && (!isRejected || rejected.Transient()) {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.works[r.method()] {
		return err
	}
	return &methodError{err}
}

// worksBy takes down that a retrieve method was answered, or brought something.
func (r *run) worksBy(method string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.works == nil {
		r.works = map[string]bool{}
	}
	r.works[method] = true
}

// worked reports whether one of the retrieve methods was answered, or brought something.
func (r *run) worked(methods []string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.ContainsFunc(methods, func(m string) bool { return r.works[m] })
}

func (r *run) method() string { return r.methods[r.using] }

// fallBack decides after a series was asked for by one method, whether the next one is tried for what is missing. had is how much of it
// was delivered before; first is the error with which a retrieve by a method before broke off, if one did.
func (r *run) fallBack(s *seriesInventory, had int, err, first error) (next bool, _ error) {
	refused, isRefused := errors.AsType[*methodError](err)
	if err != nil && !isRefused {
		return false, err
	}
	if r.using+1 == len(r.methods) {
		if isRefused && first != nil { // which may pass
			return false, again("%w; and %s can't be used instead: %w", first, r.method(), refused)
		}
		if isRefused && r.using > 0 && r.worked(r.methods[:r.using]) { // what the methods before had to say stands
			r.warn(fmt.Sprintf("%s could not be used for what was missing: %s", r.method(), sentence(refused)))
			r.methods = r.methods[:r.using]
			r.use(0)
			r.preferred = 0
			return false, nil
		}
		return false, err
	}
	r.use(r.using + 1)
	if !r.lacking(s) {
		r.use(r.using - 1)
		return false, nil
	}
	if (isRefused || r.instances.deliveredOf(s.uid) == had) && !s.again { // of no use for the other series either
		r.preferred = r.using
	}
	return true, nil
}

// lacking tells whether something of a series can be proven to be missing.
func (r *run) lacking(s *seriesInventory) bool {
	if !s.provable() && !s.again {
		return r.instances.deliveredOf(s.uid) == 0
	}
	return r.wanting(s)
}
