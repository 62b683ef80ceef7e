// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// confirmHeld asks the destination for the instances of which it said that it holds them already (status 0111), or
// acknowledged another UID. A destination that can't be asked is believed about the former, with a warning: it would
// answer so for ever.
func (r *destination) confirmHeld(ctx context.Context) error {
	held := r.Instances.Summary.Held()
	if r.Dst.Server == nil || len(held) == 0 {
		return nil
	}
	askable := nodes.Searchable(r.Dst.Server)
	found, absent := map[string]bool{}, ", but doesn't list it"
	if askable {
		var err error
		if found, err = r.holdsAlready(ctx, held); err != nil {
			absent = fmt.Sprintf(", which could not be confirmed: %s", err)
		}
	}
	believed := 0
	for uid, f := range held {
		renamed := f.Status != dimse.DuplicateSOPInstance
		if !askable && renamed {
			absent = ", which ADIT can't verify, since the destination supports neither C-FIND nor QIDO-RS"
		}
		if !found[uid] && (askable || renamed) {
			says := "the destination says that it already holds this instance"
			if renamed {
				says = "the destination acknowledged another SOP Instance UID for this instance"
			}
			r.Instances.Unhold(uid, says+absent)
			continue
		}
		if !askable {
			believed++
		}
		if err := r.delivering.receipt(ctx, ledger.Receipt{
			SOPUID: uid, SeriesUID: f.Series, Class: f.Class, Status: f.Status,
		}); err != nil {
			return err
		}
	}
	if believed > 0 {
		r.Warn(fmt.Sprintf(
			"Unverified: the destination says that it already holds %s, which ADIT can't verify, since it "+
				"supports neither C-FIND nor QIDO-RS.",
			fault.Instances(believed),
		))
	}
	return nil
}

// holdsAlready asks the destination for each of them, under the UIDs and the patient that were sent. All associations
// to it are released first.
func (r *destination) holdsAlready(ctx context.Context, held map[string]evidence.Fact) (map[string]bool, error) {
	r.Sink.Close(ctx)
	asker := r.Asker()
	defer asker.Release(ctx)
	found := map[string]bool{}
	for uid, f := range held {
		sent := r.deid.sentUID(uid)
		id := asker.SeriesQuery(
			"IMAGE", source.PresenceKeys, r.deid.sentPatient(), r.deid.sentUID(r.Inv.Study), r.deid.sentUID(f.Series),
		)
		id.Set(dict.SOPInstanceUID, sent)
		for ds, err := range asker.Find(ctx, id) {
			if err != nil {
				return nil, err
			}
			found[uid] = found[uid] || ds.String(dict.SOPInstanceUID) == sent
		}
	}
	return found, nil
}
