// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/retrieve"
	"github.com/adit-go/adit/engine/source"
	"github.com/adit-go/adit/internal/pause"
)

// direct has the source send to the destination by itself.
type direct struct {
	*retrieve.Task
	svc          *Service
	deid         *deidentification
	destination  *destination
	associations *retrieve.Associations
	moves        *retrieve.Moves
	answers      *retrieve.Answers
}

// moveDirectly has the source send each series straight to the destination, where that is set up. Only what the
// destination lists afterwards counts; what it doesn't is fetched through ADIT. The slots are those of the claim: the
// source's for its association, the destination's for the one that the source opens there, and in between for asking
// it; and one more of the source's for that association.
func (r *direct) moveDirectly(ctx context.Context) error {
	defer r.associations.FreeStore(ctx)
	title := r.directTitle()
	if title == "" {
		return nil
	}
	r.destination.mustVerify = true
	for _, s := range r.Inv.Series {
		if lease.IsClosed(r.Park) {
			return fault.ErrParked
		}
		uids := r.Instances.Missing(s, math.MaxInt)
		if len(uids) == 0 {
			continue
		}
		err := r.moveSeriesDirectly(ctx, s, uids, title)
		if cause := fault.Stopped(ctx); cause != nil {
			return cause
		}
		if errors.Is(err, fault.ErrFenced) || fault.DatabaseTrouble(err) != nil {
			return err
		}
		if err != nil {
			r.associations.Source.Abort()
			r.svc.Log.InfoContext(
				ctx, "a series could not be moved directly; ADIT fetches it",
				"task", r.Held.TaskID, "series", s.UID, "err", err,
			)
			r.Warn(fmt.Sprintf(
				"The direct C-MOVE from %s to %s failed, and the rest went through ADIT: %s",
				r.Src.Name, r.Dst.Name, fault.Sentence(err),
			))
			return nil
		}
	}
	return nil
}

// directTitle returns the AE title under which the source sends to the destination by itself; none where that is not
// set up, where something is to be changed on the way, where nobody could tell afterwards what has arrived, or where a
// rate is to be kept to.
func (r *direct) directTitle() string {
	if r.Dst.Server == nil || r.deid.changes() || r.Inv == nil || r.HasKeyObjects() {
		return ""
	}
	src, dst := r.Src.Server, r.Dst.Server
	if !src.StudyRootMove && !src.PatientRootMove || !nodes.Searchable(dst) || !dst.FindImages {
		return ""
	}
	if r.svc.Paces.Server(r.Src.ID).Limited() || r.svc.Paces.Server(r.Dst.ID).Limited() {
		return ""
	}
	for _, s := range r.Inv.Series {
		refused := func(class string) bool { return slices.Contains(dst.RefusedSopClasses, class) }
		if !s.Listed || len(dst.RefusedSopClasses) > 0 && slices.ContainsFunc(s.Classes(), refused) {
			return ""
		}
	}
	return r.Src.Direct[r.Dst.Name]
}

// moveSeriesDirectly asks for a series as a whole, or for the instances that are missing of it.
func (r *direct) moveSeriesDirectly(ctx context.Context, s *source.SeriesInventory, uids []string, title string) error {
	before, err := r.thereBefore(ctx, s, uids)
	if err != nil {
		return err
	}
	named := [][]string{nil}
	if len(uids) < len(s.Instances) {
		named = slices.Collect(slices.Chunk(uids, source.ListChunk))
	}
	for _, list := range named {
		result, err := r.moveOnceDirectly(ctx, s, list, title)
		if list == nil {
			r.answers.FailedOf(s, nil, result, result.Status.Meaning(dimse.CMove).Outcome)
			if total := result.Completed.Value + result.Warning.Value +
				result.Failed.Value; total > r.Instances.Known(s.UID) {
				s.Counted = max(s.Counted, total) // as much evidence as a count
			}
		}
		if n := result.Completed.Value + result.Warning.Value; err != nil ||
			result.Status.Class() == dimse.ClassFailure || n < retrieve.Asked(s, list) {
			// The source doesn't say itself that it sent them all: those are fetched.
			uids = slices.DeleteFunc(slices.Clone(uids), func(uid string) bool { return before[uid] })
		}
		if cause := fault.Stopped(ctx); cause != nil {
			return cause
		}
		if err != nil { // some may have arrived nevertheless
			r.associations.Source.Abort()
			return errors.Join(err, r.lookFor(ctx, s, uids, before, result))
		}
		if err := r.lookFor(ctx, s, uids, before, result); err != nil {
			return err
		}
		if result.Status.Meaning(dimse.CMove).Outcome == dimse.Configure {
			return fmt.Errorf(
				"it answered status %s for the AE title %s: %s",
				result.Status, title, result.Status.Meaning(dimse.CMove).Text,
			)
		}
	}
	return nil
}

// thereBefore asks the destination which of the instances it has before anything is moved: to find them afterwards
// proves nothing.
func (r *direct) thereBefore(ctx context.Context, s *source.SeriesInventory, uids []string) (map[string]bool, error) {
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	found, _, err := asker.Present(ctx, r.Inv.PatientID, r.Inv.Study, s.UID, uids, len(s.Instances), -1)
	if err != nil {
		asker.Abort()
		return nil, &fault.AtDestination{
			Err: fmt.Errorf("ADIT could not ask the destination %s what it has: %w", r.Dst.Name, err),
		}
	}
	return found, nil
}

func (r *direct) moveOnceDirectly(
	ctx context.Context, s *source.SeriesInventory, uids []string, title string,
) (dimse.MoveResult, error) {
	mover, ok := r.associations.Source.Mover()
	if !ok {
		return dimse.MoveResult{}, fault.Permanent("The source %s does not support C-MOVE.", r.Src.Name)
	}
	if err := r.associations.ReserveStore(ctx); err != nil {
		return dimse.MoveResult{}, err
	}
	id, err := r.moves.BeginMove(ctx, true)
	if err != nil {
		return dimse.MoveResult{}, err
	}
	busy := false
	defer func() { r.moves.EndMove(ctx, id, busy) }()
	result, err := mover.Move(ctx, source.Request{Of: r.Inv, Series: s.UID, UIDs: uids}, dimse.MoveRequest{
		Destination: title, MessageID: id, Stop: r.Signals.Halted,
	})
	busy = err == nil && result.Status.Meaning(dimse.CMove).Outcome == dimse.BackOff
	return result, err
}

const (
	firstLook   = 100 * time.Millisecond // after a direct C-MOVE, at what the destination has; doubles
	longestLook = 2 * time.Second
)

// lookFor asks the destination what has arrived, until all has, or the patience with late instances is over. What the
// source says that it could not send is not waited for.
func (r *direct) lookFor(
	ctx context.Context, s *source.SeriesInventory, uids []string, before map[string]bool, result dimse.MoveResult,
) error {
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	patience := time.Now().Add(time.Duration(r.Src.Server.MovePatienceS) * time.Second)
	for look := firstLook; ; look = min(2*look, longestLook) {
		found, _, err := asker.Present(ctx, r.Inv.PatientID, r.Inv.Study, s.UID, uids, len(s.Instances), -1)
		if err != nil {
			return &fault.AtDestination{
				Err: fmt.Errorf("ADIT could not ask the destination %s what has arrived: %w", r.Dst.Name, err),
			}
		}
		if err := r.receiveDirectly(ctx, s, uids, before, found); err != nil {
			return err
		}
		left := len(r.Instances.Unsettled(uids))
		sent := result.Completed.Value + result.Warning.Value
		if left == 0 || time.Now().After(patience) ||
			result.Status.Class() == dimse.ClassFailure && len(uids)-left >= sent {
			return nil
		}
		if err := pause.For(ctx, look); err != nil {
			return err
		}
	}
}

// receiveDirectly puts into the ledger what the destination was seen to have: what it had before as held already, like
// a duplicate.
func (r *direct) receiveDirectly(
	ctx context.Context, s *source.SeriesInventory, uids []string, before, found map[string]bool,
) error {
	var batch []ledger.Receipt
	direct := 0
	for _, uid := range r.Instances.Unsettled(uids) {
		if !found[uid] {
			continue
		}
		rc := ledger.Receipt{SOPUID: uid, SeriesUID: s.UID, Class: s.Instances[uid].Class}
		if before[uid] {
			rc.Status = dimse.DuplicateSOPInstance
		} else {
			direct++
		}
		batch = append(batch, rc)
	}
	if err := r.destination.bookSeen(ctx, batch, r.destination.direct == 0); err != nil {
		return err
	}
	r.destination.direct += direct
	r.svc.Metrics.Instances.WithLabelValues(r.Src.Name, r.Dst.Name).Add(float64(direct))
	return nil
}
