// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
)

// directTitle gives the AE title under which the source sends to the destination by itself; none where that is not set up, where something
// is to be changed on the way, where nobody could tell afterwards what has arrived, or where a rate is to be kept to.
func (r *run) directTitle() string {
	if r.dst.Server == nil || r.deid != nil || r.inv == nil || r.hasKeyObjects() {
		return ""
	}
	src, dst := r.src.Server, r.dst.Server
	if !src.StudyRootMove && !src.PatientRootMove || !dst.StudyRootFind && !dst.PatientRootFind || !dst.FindImages {
		return ""
	}
	if r.e.paces.server(r.src.ID).limited() || r.e.paces.server(r.dst.ID).limited() {
		return ""
	}
	for _, s := range r.inv.series {
		refused := func(class string) bool { return slices.Contains(dst.RefusedSopClasses, class) }
		if !s.listed || len(dst.RefusedSopClasses) > 0 && slices.ContainsFunc(s.classes(), refused) {
			return ""
		}
	}
	return r.src.Direct[r.dst.Name]
}

const (
	firstLook   = 100 * time.Millisecond // after a direct C-MOVE, at what the destination has; doubles
	longestLook = 2 * time.Second
)

// moveDirectly has the source send each series straight to the destination, where that is set up. Only what the destination lists
// afterwards counts; what it doesn't is fetched through ADIT. The slots are those of the claim: the source's for its association, the
// destination's for the one that the source opens there, and in between for asking it; and one more of the source's for that association.
func (r *run) moveDirectly(ctx context.Context) error {
	defer r.freeStore(ctx)
	title := r.directTitle()
	if title == "" {
		return nil
	}
	r.mustVerify = true
	for _, s := range r.inv.series {
		if isClosed(r.park) {
			return ErrParked
		}
		uids := r.instances.missing(s, math.MaxInt)
		if len(uids) == 0 {
			continue
		}
		err := r.moveSeriesDirectly(ctx, s, uids, title)
		if cause := stopped(ctx); cause != nil {
			return cause
		}
		if errors.Is(err, ErrFenced) || DatabaseTrouble(err) != nil {
			return err
		}
		if err != nil {
			r.source.abort()
			r.e.log.InfoContext(ctx, "a series could not be moved directly and is fetched", "task", r.held.TaskID, "series", s.uid, "err", err)
			r.warn(fmt.Sprintf("The C-MOVE from %s straight to %s failed, and the rest went through ADIT: %s", r.src.Name, r.dst.Name, sentence(err)))
			return nil
		}
	}
	return nil
}

// moveSeriesDirectly asks for a series as a whole, or for the instances that are missing of it.
func (r *run) moveSeriesDirectly(ctx context.Context, s *seriesInventory, uids []string, title string) error {
	before, err := r.thereBefore(ctx, s, uids)
	if err != nil {
		return err
	}
	named := [][]string{nil}
	if len(uids) < len(s.instances) {
		named = slices.Collect(slices.Chunk(uids, listChunk))
	}
	for _, list := range named {
		result, err := r.moveOnceDirectly(ctx, s, list, title)
		if list == nil {
			r.failedOf(s, nil, result, result.Status.Meaning(dimse.CMove).Outcome)
			if total := result.Completed.Value + result.Warning.Value + result.Failed.Value; total > r.instances.known(s.uid) {
				s.counted = max(s.counted, total) // as much evidence as a count
			}
		}
		if n := result.Completed.Value + result.Warning.Value; err != nil || result.Status.Class() == dimse.ClassFailure || n < asked(s, list) {
			// The source doesn't say itself that it sent them all: those are fetched.
			uids = slices.DeleteFunc(slices.Clone(uids), func(uid string) bool { return before[uid] })
		}
		if cause := stopped(ctx); cause != nil {
			return cause
		}
		if err != nil { // some may have arrived nevertheless
			r.source.abort()
			return errors.Join(err, r.lookFor(ctx, s, uids, before, result))
		}
		if err := r.lookFor(ctx, s, uids, before, result); err != nil {
			return err
		}
		if result.Status.Meaning(dimse.CMove).Outcome == dimse.Configure {
			return fmt.Errorf("it answered status %s for the AE title %s: %s", result.Status, title, result.Status.Meaning(dimse.CMove).Text)
		}
	}
	return nil
}

func (r *run) moveOnceDirectly(ctx context.Context, s *seriesInventory, uids []string, title string) (dimse.MoveResult, error) {
	if err := r.reserveStore(ctx); err != nil {
		return dimse.MoveResult{}, err
	}
	id, err := r.beginMove(ctx, true)
	if err != nil {
		return dimse.MoveResult{}, err
	}
	busy := false
	defer func() { r.endMove(ctx, id, busy) }()
	result, err := r.source.move(ctx, r.inv, s.uid, uids, dimse.MoveRequest{Destination: title, MessageID: id, Stop: r.reins.halt})
	busy = err == nil && result.Status.Meaning(dimse.CMove).Outcome == dimse.BackOff
	return result, err
}

// thereBefore asks the destination which of the instances it has before anything is moved: to find them afterwards proves nothing.
func (r *run) thereBefore(ctx context.Context, s *seriesInventory, uids []string) (map[string]bool, error) {
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	found, _, err := present(ctx, asker, r.inv.patientID, r.inv.study, s.uid, uids, len(s.instances), -1)
	if err != nil {
		asker.abort()
		return nil, &atDestination{fmt.Errorf("the destination %s could not be asked what it has: %w", r.dst.Name, err)}
	}
	return found, nil
}

// lookFor asks the destination what has arrived, until all has, or the patience with late objects is over. What the source says that it
// could not send is not waited for.
func (r *run) lookFor(ctx context.Context, s *seriesInventory, uids []string, before map[string]bool, result dimse.MoveResult) error {
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	patience := time.Now().Add(time.Duration(r.src.Server.MovePatienceS) * time.Second)
	for look := firstLook; ; look = min(2*look, longestLook) {
		found, _, err := present(ctx, asker, r.inv.patientID, r.inv.study, s.uid, uids, len(s.instances), -1)
		if err != nil {
			return &atDestination{fmt.Errorf("the destination %s could not be asked what has arrived: %w", r.dst.Name, err)}
		}
		if err := r.receiveDirectly(ctx, s, uids, before, found); err != nil {
			return err
		}
		left := len(r.instances.unsettled(uids))
		sent := result.Completed.Value + result.Warning.Value
		if left == 0 || time.Now().After(patience) || result.Status.Class() == dimse.ClassFailure && len(uids)-left >= sent {
			return nil
		}
		if err := pause(ctx, look); err != nil {
			return err
		}
	}
}

// receiveDirectly puts into the ledger what the destination was seen to have: what it had before as held already, like a duplicate.
func (r *run) receiveDirectly(ctx context.Context, s *seriesInventory, uids []string, before, found map[string]bool) error {
	var batch []receipt
	direct := 0
	for _, uid := range r.instances.unsettled(uids) {
		if !found[uid] {
			continue
		}
		rc := receipt{sopUID: uid, seriesUID: s.uid, class: s.instances[uid].class}
		if before[uid] {
			rc.status = dimse.DuplicateSOPInstance
		} else {
			direct++
		}
		batch = append(batch, rc)
	}
	if err := r.bookSeen(ctx, batch, r.direct == 0); err != nil {
		return err
	}
	r.direct += direct
	r.e.metrics.instances.WithLabelValues(r.src.Name, r.dst.Name).Add(float64(direct))
	return nil
}
