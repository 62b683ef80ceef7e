// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
)

// heedUnanswered asks a destination that is stored to by STOW-RS for what an earlier run was about to send, and had no
// answer about: its process or a connection ended first. What the destination lists counts as delivered. Where it can't
// be asked all is sent again, as it was; so is all of a pseudonymized task, whose report counts what is sent.
func (r *destination) heedUnanswered(ctx context.Context) error {
	if r.Dst.Server == nil || !nodes.StoresByWeb(r.Dst.Server) || !nodes.Searchable(r.Dst.Server) ||
		jobs.Pseudonymized(r.Row, r.Job.Job) {
		return nil
	}
	list, err := r.svc.Q.IntendedStores(ctx, r.Held.TaskID)
	if err != nil || len(list) == 0 {
		return err
	}
	sent := make(map[string]bool, len(list))
	for _, uid := range list {
		sent[uid] = true
	}
	asker := r.Asker()
	defer func() { asker.Release(ctx) }()
	n := 0
	for _, s := range r.Inv.Series {
		uids := slices.DeleteFunc(
			r.Instances.Missing(s, math.MaxInt), func(uid string) bool { return !sent[r.deid.sentUID(uid)] },
		)
		if len(uids) == 0 {
			continue
		}
		found, _, err := r.heldOf(ctx, asker, s, uids)
		if err != nil {
			return r.unasked(asker, err)
		}
		var batch []ledger.Receipt
		for _, uid := range uids {
			if found[uid] {
				batch = append(batch, ledger.Receipt{
					SOPUID: uid, SeriesUID: s.UID, Class: s.Instances[uid].Class, Status: dimse.DuplicateSOPInstance,
				})
			}
		}
		if err := r.bookSeen(ctx, batch, r.skipped+n == 0); err != nil {
			return err
		}
		n += len(batch)
	}
	if n > 0 {
		r.remarks = append(r.remarks, fmt.Sprintf(
			"%s sent before without an answer, and found at the destination.", fault.InstancesWere(n),
		))
	}
	return nil
}
