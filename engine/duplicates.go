// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
)

// What becomes of images that a destination holds already.
const (
	SendDuplicates   = "send"   // they are sent all the same; what it makes of them is up to it
	SkipDuplicates   = "skip"   // it is asked for them by C-FIND before anything is fetched, and those that it lists are not sent
	RefuseDuplicates = "refuse" // a task fails before anything is sent, if the destination lists one of its images
)

// heedDuplicates asks the destination what it holds of the study already, if its settings want that, under the UIDs that would be sent. It
// comes before anything is fetched, whether through ADIT or straight from the source.
func (r *run) heedDuplicates(ctx context.Context) error {
	if r.dst.Server == nil {
		return nil
	}
	switch r.dst.Server.Duplicates {
	case SkipDuplicates:
		return r.skipDuplicates(ctx)
	case RefuseDuplicates:
		return r.refuseDuplicates(ctx)
	}
	return nil
}

// skipDuplicates puts into the ledger what the destination lists. What can't be asked for image by image is sent all the same: a count
// proves nothing about single images.
func (r *run) skipDuplicates(ctx context.Context) error {
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	for _, s := range r.inv.series {
		uids := r.instances.missing(s, math.MaxInt)
		if len(uids) == 0 && s.listed || r.heedsNotes() && s.isKeyObjects() { // those are read
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

// refuseDuplicates fails the task if the destination holds something of the study that this task has not brought there. Once that was seen
// not to be so it isn't asked again: what was sent meanwhile may not be in the ledger after a crash.
func (r *run) refuseDuplicates(ctx context.Context) error {
	if r.task.DuplicatesPassed || r.instances.deliveredOf("") > 0 {
		return nil
	}
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	for _, s := range r.inv.series {
		uids := r.instances.missing(s, math.MaxInt)
		found, known, err := r.heldOf(ctx, asker, s, uids)
		n := len(found)
		if err == nil && !known { // not even by name: that there is a series of this UID must do
			n, err = r.countHeld(ctx, asker, s)
		}
		if err != nil {
			return r.unasked(asker, err)
		}
		if n > 0 {
			return permanent("The destination %s holds %s of series %s already, and its settings refuse duplicates: nothing was sent. Remove them there, or change what becomes of duplicates, then retry.",
				r.dst.Name, images(n), r.sentUID(s.uid))
		}
	}
	r.task.DuplicatesPassed = true
	return r.e.q.PassDuplicates(ctx, db.PassDuplicatesParams{ID: r.held.TaskID, Token: r.held.Token})
}

func (r *run) unasked(asker *source, err error) error {
	asker.abort()
	return &atDestination{fmt.Errorf("the destination %s could not be asked what it holds already: %w", r.dst.Name, err)}
}

// heldOf gives those of the instances of a series, by source SOP Instance UID, that the destination lists. known is false if either side
// doesn't tell single instances.
func (r *run) heldOf(ctx context.Context, asker *source, s *seriesInventory, uids []string) (found map[string]bool, known bool, err error) {
	if !s.listed || !asker.node.Server.FindImages {
		return nil, false, nil
	}
	sent := make([]string, len(uids))
	for i, uid := range uids {
		sent[i] = r.sentUID(uid)
	}
	listed := map[string]bool{}
	n, err := listPresent(ctx, asker, r.sentPatient(), r.sentUID(r.inv.study), r.sentUID(s.uid), nil, listed)
	if n >= leastCap && err == nil { // perhaps not all
		for chunk := range slices.Chunk(slices.DeleteFunc(slices.Clone(sent), func(uid string) bool { return listed[uid] }), listChunk) {
			if _, err = listPresent(ctx, asker, r.sentPatient(), r.sentUID(r.inv.study), r.sentUID(s.uid), chunk, listed); err != nil {
				break
			}
		}
	}
	var status *dimse.StatusError
	switch {
	case errors.As(err, &status) && !outOfResources(status.Status):
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

// countHeld gives how many instances the destination counts in a series, 1 if it has the series and doesn't count.
func (r *run) countHeld(ctx context.Context, asker *source, s *seriesInventory) (int, error) {
	there, err := countPresent(ctx, asker, r.sentPatient(), r.sentUID(r.inv.study), r.sentUID(s.uid))
	if err != nil || there == seriesAbsent {
		return 0, err
	}
	return max(1, there), nil
}

// skip counts instances as delivered that the destination was seen to hold.
func (r *run) skip(ctx context.Context, s *seriesInventory, uids []string) error {
	var batch []receipt
	for _, uid := range uids {
		batch = append(batch, receipt{sopUID: uid, seriesUID: s.uid, class: s.instances[uid].class, status: dimse.DuplicateSOPInstance})
	}
	if err := r.bookSeen(ctx, batch, r.skipped == 0); err != nil {
		return err
	}
	r.skipped += len(batch)
	return nil
}

// bookSeen puts what the destination was seen to have into the ledger, outside the workers' way of it.
func (r *run) bookSeen(ctx context.Context, batch []receipt, first bool) error {
	if len(batch) == 0 {
		return nil
	}
	if err := r.newLedger().writeOnce(ctx, batch, first); err != nil {
		return err
	}
	for _, rc := range batch {
		r.instances.deliver(rc, true)
	}
	r.progress.Delivered.Add(int32(len(batch)))
	return nil
}
