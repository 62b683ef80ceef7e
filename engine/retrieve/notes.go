// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"context"
	"maps"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
)

// readNotes fetches the key objects of a study before all else, so that what they reject is not fetched. Those of
// series that the task is not about are only read. Nothing is sent on while it is not known what they reject.
func (r *Retrieval) readNotes(ctx context.Context) error {
	if !r.HeedsNotes() {
		return nil
	}
	for _, s := range r.Inv.Series {
		if !s.IsKeyObjects() {
			continue
		}
		if err := r.moveSeries(ctx, s); err != nil {
			return err
		}
		if r.Instances.Notes.Unread(s) > 0 {
			return r.unreadNotes(s)
		}
	}
	for _, uid := range r.Inv.NoteSeries {
		if err := r.onlyRead(ctx,
			&source.SeriesInventory{UID: uid, Counted: -1, Kinds: []string{dict.KeyObjectSelectionDocumentStorage}},
		); err != nil {
			return err
		}
	}
	r.Instances.Notes.LeaveRejected(r.Inv)
	r.CountExpected()
	return nil
}

// onlyRead reads the key objects of a series that the task is not about.
func (r *Retrieval) onlyRead(ctx context.Context, s *source.SeriesInventory) error {
	if err := r.Listing.listInstances(ctx, r.Associations.Source, r.Inv, s, source.ImageKeys); err != nil {
		return err
	}
	maps.DeleteFunc(s.Instances, func(_ string, i source.Instance) bool {
		return i.Class != "" && i.Class != dict.KeyObjectSelectionDocumentStorage
	})
	if s.Listed && r.Instances.Notes.Unread(s) == 0 {
		return nil
	}
	r.Methods.use(r.Methods.preferred)
	err := r.retrieve(ctx, s, nil, source.OfferLossless)
	if cause := fault.Stopped(ctx); cause != nil {
		return cause
	}
	if err != nil && !answered(err) {
		return err
	}
	if r.Instances.Notes.Unread(s) > 0 {
		return r.unreadNotes(s)
	}
	return nil
}

func (r *Retrieval) unreadNotes(s *source.SeriesInventory) error {
	return fault.Again(
		"the key objects of series %s at %s could not be read, so ADIT does not know which instances they reject, and "+
			"sent nothing more; "+
			"retry later, or send rejected instances as well (adit transfer --rejected send)", s.UID, r.Src.Name,
	)
}
