// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// heedDuplicates asks the destination what it holds of the study already, if its settings want that, under the UIDs
// that would be sent. It comes before anything is fetched, whether through ADIT or straight from the source.
func (r *destination) heedDuplicates(ctx context.Context) error {
	if r.Dst.Server == nil {
		return nil
	}
	switch r.Dst.Server.Duplicates {
	case nodes.SkipDuplicates:
		return r.skipDuplicates(ctx)
	case nodes.RefuseDuplicates:
		return r.refuseDuplicates(ctx)
	}
	return nil
}

// skipDuplicates puts into the ledger what the destination lists. What can't be asked for instance by instance is sent
// all the same: a count proves nothing about single instances.
func (r *destination) skipDuplicates(ctx context.Context) error {
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	for _, s := range r.Inv.Series {
		uids := r.Instances.Missing(s, math.MaxInt)
		if len(uids) == 0 && s.Listed || r.HeedsNotes() && s.IsKeyObjects() { // those are read
			continue
		}
		found, known, err := r.heldOf(ctx, asker, s, uids)
		if err != nil {
			return r.unasked(asker, err)
		}
		if !known {
			r.untold = true
			continue
		}
		skip := slices.DeleteFunc(uids, func(uid string) bool { return !found[uid] })
		if err := r.skip(ctx, s, skip); err != nil {
			return err
		}
	}
	return nil
}

// skip counts instances as delivered that the destination was seen to hold.
func (r *destination) skip(ctx context.Context, s *source.SeriesInventory, uids []string) error {
	var batch []ledger.Receipt
	for _, uid := range uids {
		batch = append(batch, ledger.Receipt{
			SOPUID: uid, SeriesUID: s.UID, Class: s.Instances[uid].Class, Status: dimse.DuplicateSOPInstance,
		})
	}
	if err := r.bookSeen(ctx, batch, r.skipped == 0); err != nil {
		return err
	}
	r.skipped += len(batch)
	return nil
}

// bookSeen puts what the destination was seen to have into the ledger, outside the workers' way of it.
func (r *destination) bookSeen(ctx context.Context, batch []ledger.Receipt, first bool) error {
	if len(batch) == 0 {
		return nil
	}
	if err := r.delivering.newLedger().WriteOnce(ctx, batch, first); err != nil {
		return err
	}
	for _, rc := range batch {
		r.Instances.Deliver(rc, true)
	}
	r.Progress.Delivered.Add(int32(len(batch)))
	return nil
}

// refuseDuplicates fails the task if the destination holds something of the study that this task has not brought there.
// Once that was seen not to be so it isn't asked again: what was sent meanwhile may not be in the ledger after a crash.
func (r *destination) refuseDuplicates(ctx context.Context) error {
	if r.Row.DuplicatesPassed || r.Instances.DeliveredOf("") > 0 {
		return nil
	}
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	for _, s := range r.Inv.Series {
		uids := r.Instances.Missing(s, math.MaxInt)
		found, known, err := r.heldOf(ctx, asker, s, uids)
		n := len(found)
		if err == nil && !known { // not even by name: that there is a series of this UID must do
			n, err = r.countHeld(ctx, asker, s)
		}
		if err != nil {
			return r.unasked(asker, err)
		}
		if n > 0 {
			return fault.Permanent("The destination %s already holds %s of series %s, and its settings refuse "+
				"duplicates: nothing was sent. Remove them there, or change the setting for duplicates, then retry.",
				r.Dst.Name, fault.Instances(n), r.deid.sentUID(s.UID))
		}
	}
	r.Row.DuplicatesPassed = true
	return r.svc.Q.PassDuplicates(ctx, db.PassDuplicatesParams{
		ID: r.Held.TaskID, Token: r.Held.Token, DeliveredTo: r.Row.DeliveredTo,
	})
}

// heldOf returns those of the instances of a series, by source SOP Instance UID, that the destination lists. known is
// false if either side doesn't tell single instances.
func (r *destination) heldOf(ctx context.Context, asker *source.Server, s *source.SeriesInventory, uids []string) (
	found map[string]bool, known bool, err error,
) {
	if !s.Listed || !asker.Node.Server.FindImages {
		return nil, false, nil
	}
	sent := make([]string, len(uids))
	for i, uid := range uids {
		sent[i] = r.deid.sentUID(uid)
	}
	listed := map[string]bool{}
	n, err := asker.ListPresent(
		ctx, r.deid.sentPatient(), r.deid.sentUID(r.Inv.Study), r.deid.sentUID(s.UID), nil, listed,
	)
	if n >= source.LeastCap && err == nil { // perhaps not all
		for chunk := range slices.Chunk(
			slices.DeleteFunc(slices.Clone(sent), func(uid string) bool { return listed[uid] }), source.ListChunk,
		) {
			if _, err = asker.ListPresent(
				ctx, r.deid.sentPatient(), r.deid.sentUID(r.Inv.Study), r.deid.sentUID(s.UID), chunk, listed,
			); err != nil {
				break
			}
		}
	}
	switch {
	case fault.Declined(err):
		return nil, false, nil // it knows no IMAGE level
	case err != nil:
		return nil, false, err
	}
	found = map[string]bool{}
	for i, uid := range uids {
		if listed[sent[i]] {
			found[uid] = true
		}
	}
	return found, true, nil
}

// countHeld returns how many instances the destination counts in a series, 1 if it has the series and doesn't count.
func (r *destination) countHeld(ctx context.Context, asker *source.Server, s *source.SeriesInventory) (int, error) {
	there, err := asker.CountPresent(ctx, r.deid.sentPatient(), r.deid.sentUID(r.Inv.Study), r.deid.sentUID(s.UID))
	if err != nil || there == source.SeriesAbsent {
		return 0, err
	}
	return max(1, there), nil
}

func (r *destination) unasked(asker *source.Server, err error) error {
	asker.Abort()
	return &fault.AtDestination{
		Err: fmt.Errorf("ADIT could not ask the destination %s what it already holds: %w", r.Dst.Name, err),
	}
}
