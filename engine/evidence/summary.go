// SPDX-License-Identifier: AGPL-3.0-or-later

package evidence

import (
	"maps"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/source"
)

// Summary is what can be told of all instances together.
type Summary struct{ all *Instances }

// Unplace takes down instances of the study that the source lists for every series alike: it is not known which one
// they are of. A task about chosen series can't tell whether they are its own.
func (in Summary) Unplace(uids []string) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	if len(in.all.chosen) == 0 {
		for _, uid := range uids {
			in.all.of(uid)
		}
	}
}

// Rows returns what was delivered as the ledger has it.
func (in Summary) Rows() (rows []db.DeliveredRow) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid, f := range in.all.facts {
		if f.state == delivered {
			rows = append(rows, db.DeliveredRow{
				SourceSopUid: uid, SeriesUid: f.Series, SopClassUid: f.Class, Bytes: f.bytes,
				Status: int32(f.Status), File: f.file, FileBytes: f.fileBytes,
			})
		}
	}
	return rows
}

// IsUnasked reports whether an instance came and is none of the task's.
func (in Summary) IsUnasked(uid string) bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	_, ok := in.all.unasked[uid]
	return ok
}

// Held returns what has to be confirmed.
func (in Summary) Held() map[string]Fact {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	out := map[string]Fact{}
	for uid, f := range in.all.facts {
		if f.state == heldThere {
			out[uid] = *f
		}
	}
	return out
}

// BroughtSyntaxes returns those, by SOP class.
func (in Summary) BroughtSyntaxes() map[string][]string {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	out := make(map[string][]string, len(in.all.brought))
	for class, syntaxes := range in.all.brought {
		out[class] = slices.Clone(syntaxes)
	}
	return out
}

// Untaken returns what the destination did not take of a series in the transfer syntax that it came in.
func (in Summary) Untaken(s *source.SeriesInventory) map[string]Shortfall {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	found := map[string]Shortfall{}
	for uid, f := range in.all.facts {
		if f.state == outstanding && f.why.Cause == CauseNotTaken && (f.Series == s.UID || s.UID == "") {
			found[uid] = f.why
		}
	}
	return found
}

// KnownOf counts those of the instances that are of a series, of any if it is empty.
func (in Summary) KnownOf(series string, uids map[string]bool) (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range uids {
		s, listed := in.all.listed[uid]
		if f := in.all.facts[uid]; !listed && f != nil {
			s = f.Series
		} else if !listed {
			continue
		}
		if series == "" || s == series {
			n++
		}
	}
	return n
}

// Unplaced counts the instances that are outstanding and whose series is not known.
func (in Summary) Unplaced() (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range in.all.extra[""] {
		if in.all.facts[uid].state == outstanding {
			n++
		}
	}
	return n
}

// Strays returns the series that instances came of and that are not among those of the inventory.
func (in Summary) Strays(inv *source.Inventory) []string {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	found := map[string]bool{}
	for series, uids := range in.all.extra {
		if len(uids) > 0 && in.all.inScope(series) {
			found[series] = true
		}
	}
	for _, s := range inv.Series {
		delete(found, s.UID)
	}
	return slices.Sorted(maps.Keys(found))
}

// Deliveries returns what was delivered, by UID.
func (in Summary) Deliveries() map[string]Fact {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	out := map[string]Fact{}
	for uid, f := range in.all.facts {
		if f.state == delivered {
			out[uid] = *f
		}
	}
	return out
}

// UidsDelivered returns the instances that were delivered.
func (in Summary) UidsDelivered() []string { return slices.Collect(maps.Keys(in.Deliveries())) }

// DeliveredAs counts what was delivered with a status of the destination's.
func (in Summary) DeliveredAs(status dimse.Status) (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for _, f := range in.all.facts {
		if f.state == delivered && f.Status == status {
			n++
		}
	}
	return n
}

// LeftOuts returns what was not sent on purpose, or because it could not be de-identified, in the order of the UIDs.
func (in Summary) LeftOuts() []jobs.LeftOutInstance {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	var all []jobs.LeftOutInstance
	for _, uid := range slices.Sorted(maps.Keys(in.all.facts)) {
		if f := in.all.facts[uid]; f.state == omitted || f.state == outstanding && f.why.Cause == causeUnsafe {
			all = append(all, f.out)
		}
	}
	return all
}

// RuledOut counts what rules leave out.
func (in Summary) RuledOut() (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for _, f := range in.all.facts {
		if f.state == omitted {
			n++
		}
	}
	return n
}

// Remarks returns how many instances the destination took with which remark of its own.
func (in Summary) Remarks() map[dimse.Status]int {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	noted := map[dimse.Status]int{}
	for _, f := range in.all.facts {
		if f.state == delivered && f.Status.Meaning(dimse.CStore).Outcome == dimse.DoneNoted {
			noted[f.Status]++
		}
	}
	return noted
}

// Odds returns the delivered instances of which something is to be known, in order.
func (in Summary) Odds(what ledger.Oddity) (uids []string) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid, f := range in.all.facts {
		if f.state == delivered && f.remarks&what != 0 {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// UnaskedUIDs returns what came and is none of the task's, in order.
func (in Summary) UnaskedUIDs(why unaskedReason) (uids []string) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid, w := range in.all.unasked {
		if w == why {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// doubtful are oddities for which the source is asked again.
const doubtful = ledger.OtherPatient | ledger.MovedSeries | ledger.TwoSeries | ledger.TwoContents

// Doubtful reports whether an instance is not where it belongs, or something about one is odd: then the source is asked
// again.
func (in Summary) Doubtful() bool {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	if len(in.all.unasked) > 0 {
		return true
	}
	for uid := range in.all.listed {
		if in.all.facts[uid] == nil {
			return true
		}
	}
	for _, f := range in.all.facts {
		if f.state == outstanding || f.remarks&doubtful != 0 {
			return true
		}
	}
	return false
}

// Nameless counts the instances of a series that an earlier run missed and that have no UID to be asked for by: only a
// retrieve of the whole that is heard to its end tells whether the source still has them.
func (in Summary) Nameless(series string) (n int) {
	in.all.mu.Lock()
	defer in.all.mu.Unlock()
	for uid := range in.all.extra[series] {
		if in.all.facts[uid].isNameless() {
			n++
		}
	}
	return n
}
