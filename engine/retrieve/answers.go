// SPDX-License-Identifier: AGPL-3.0-or-later

package retrieve

import (
	"fmt"
	"math"
	"slices"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/source"
)

// Answers are what final responses of retrieves say about single instances.
type Answers struct {
	*Task
	negotiation *Negotiation
	methods     *Methods
	moves       *Moves
}

// refusing are the outcomes of a retrieve that say that something was not sent.
var refusing = []dimse.Outcome{dimse.BackOff, dimse.Incomplete, dimse.Permanent, dimse.Failed}

// judgeResult draws from a final response what it says about single instances. What it claims of success is not
// believed: the ledger counts. destination is the AE title that a C-MOVE named; empty for a C-GET.
func (r *Answers) judgeResult(
	result dimse.GetResult, s *source.SeriesInventory, asked []string, in *Intake, destination string, o source.Offer,
) error {
	meaning := result.Status.Meaning(dimse.CGet)
	switch meaning.Outcome {
	case dimse.BackOff:
		if in.received.Load() == 0 && len(asked) != 1 && !tried(result) {
			if destination != "" {
				return fault.Full(
					"DICOM Server %s is out of resources, or can't reach the AE title %s (status %s)",
					r.Src.Name, destination, result.Status,
				)
			}
			return fault.Full("DICOM Server %s is out of resources (status %s)", r.Src.Name, result.Status)
		}
	case dimse.Configure:
		if destination != "" {
			return &methodError{fault.Permanent(
				"The source %s answered the C-MOVE to the AE title %s with status %s: %s.",
				r.Src.Name, destination, result.Status, meaning.Text,
			)}
		}
		return &methodError{fault.Permanent(
			"The source %s answered the retrieve with status %s: %s.", r.Src.Name, result.Status, meaning.Text,
		)}
	}
	if r.Instances.Scope.OnlyReads(s.UID) {
		return nil // nothing of it is missing
	}
	s.Ended = s.Ended || asked == nil && in.barred == "" &&
		slices.Contains([]dimse.Outcome{dimse.Done, dimse.DoneNoted, dimse.Incomplete}, meaning.Outcome)
	if asked == nil {
		s.Claimed = max(s.Claimed, result.Completed.Value+result.Warning.Value)
	}
	refused := slices.Contains(refusing, meaning.Outcome) || result.Failed.Value > 0
	if asked == nil && refused {
		r.heedFailures(s, in, result)
	}
	if in.barred != "" {
		r.moves.heedBarred(s, asked, in, result.Status)
		return nil
	}
	if refused {
		r.heedRefused(result, s, asked, destination, o)
	}
	return nil
}

// heedFailures takes a final response for evidence that says that more failed than what is known by name and did not
// come: as much as a count. What came is no such evidence, though it failed: it was refused here, or the source has not
// heard that it was taken, because its connection broke before.
func (r *Answers) heedFailures(s *source.SeriesInventory, in *Intake, result dimse.GetResult) {
	known := r.Instances.Known(s.UID)
	in.mu.Lock()
	named := 0
	for _, uid := range result.FailedSOPInstanceUIDs {
		if in.came[uid] {
			named++
		}
	}
	failed := result.Failed.Value - max(named, int(in.refused.Load()))
	failed -= known - r.Instances.Summary.KnownOf(s.UID, in.came)
	in.mu.Unlock()
	if failed <= 0 {
		return
	}
	if s.UID == "" {
		r.Inv.Counted = max(r.Inv.Counted, known+failed)
	}
	s.Counted = max(s.Counted, known+failed)
}

// heedRefused takes down which instances a source says that it did not send, and why.
func (r *Answers) heedRefused(
	result dimse.GetResult, s *source.SeriesInventory, asked []string, destination string, o source.Offer,
) {
	alone := len(asked) == 1
	uids := asked
	if !alone {
		uids = r.FailedOf(s, asked, result, result.Status.Meaning(dimse.CGet).Outcome)
	}
	for _, uid := range uids {
		last := alone && (destination != "" || o == source.OfferAll) // nothing more can be offered
		c, reason := r.refusal(last, s.Instances[uid], o, result, destination)
		status := result.Status
		if r.methods.byWeb() {
			status = 0 // it is ours
		}
		r.Instances.Refuse(uid, c, status, reason)
	}
}

const (
	refusedForGood = "the source refuses to send this instance, even when asked for it alone"
	refusedInList  = "the source could not send this instance"
	refusedSyntax  = "the source doesn't send this instance in a transfer syntax that the destination takes"
	refusedUnknown = "the source doesn't send this instance in any registered transfer syntax that the destination " +
		"takes, even when asked for it alone"
	refusedUnnamed = "the source doesn't send this instance, even when asked for it alone; it doesn't name its " +
		"SOP class, so only the usual ones of the modality were asked for"
)

// noSuchInstance are the statuses that say that an instance is not available, whether or not the source tried to send
// it.
var noSuchInstance = []dimse.Status{dimse.NoSuchSOPInstance, dimse.InvalidSOPInstance}

// refusal says why the source did not send an instance, as far as that is known. last reports that it was asked
// for alone, and with all that can be offered. Only a source that tried to send it refuses it for good; and by C-MOVE
// only one that was seen to reach the receiver, since it answers alike when it can't. It is not said to refuse what it
// was perhaps not asked for in the transfer syntax that it holds.
func (r *Answers) refusal(
	last bool, i source.Instance, o source.Offer, result dimse.GetResult, destination string,
) (evidence.Cause, string) {
	asStored := destination != "" || r.methods.byWeb() && !r.negotiation.plainOnly(i.Class)
	meaning, known := result.Status.Meaning(dimse.CGet), r.negotiation.askedAsHeld(i, o, asStored)
	mayPass := fmt.Sprintf("the source answered the retrieve with status %s: %s", result.Status, meaning.Text)
	if r.methods.byWeb() { // by a status of HTTP
		mayPass = "the source answered the retrieve by WADO-RS: " + meaning.Text
	}
	switch {
	case !tried(result) && meaning.Outcome == dimse.Failed && destination == "":
		return evidence.CauseMayPass, mayPass
	case last && !known && (len(i.Syntaxes) > 0 || r.negotiation.plainOnly(i.Class)):
		return evidence.CauseSyntax, refusedSyntax
	case destination != "" && !r.moves.reached.Load():
		return evidence.CauseMayPass, fmt.Sprintf(
			"the source could send nothing to the AE title %s (status %s): perhaps it can't reach ADIT's receiver; "+
				"check the address and port that it has for this title, the firewalls between, and that it calls by "+
				"its own AE title",
			destination, result.Status,
		)
	case !tried(result) && !slices.Contains(noSuchInstance, result.Status):
		return evidence.CauseMayPass, mayPass
	case !last, meaning.Outcome == dimse.BackOff:
		return evidence.CauseInList, refusedInList
	}
	return evidence.CauseRefused, forGood(known, i.Class)
}

// forGood says that the source does not send an instance, as far as it was asked for it.
func forGood(known bool, class string) string {
	switch {
	case known:
		return refusedForGood
	case class == "":
		return refusedUnnamed
	}
	return refusedUnknown
}

// FailedOf returns the instances that a request for several failed with: those that the answer names, whether or not
// they are listed. An answer that the source could do nothing at all holds for all that was asked for.
func (r *Answers) FailedOf(
	s *source.SeriesInventory, asked []string, result dimse.GetResult, outcome dimse.Outcome,
) []string {
	named := slices.DeleteFunc(slices.Clone(result.FailedSOPInstanceUIDs), func(uid string) bool {
		return !fault.ValidUID(uid) || asked != nil && !slices.Contains(asked, uid) ||
			r.Instances.Summary.IsUnasked(uid)
	})
	if len(named) > 0 || tried(result) || outcome != dimse.Failed {
		for _, uid := range named {
			if _, listed := r.Instances.SeriesOf(uid); !listed && s.UID != "" {
				r.Instances.Came(uid, s.UID, "")
			}
		}
		return named
	}
	return r.Instances.Missing(s, math.MaxInt)
}

// tried reports whether the source got as far as sending, and failed with every instance, or names those that it failed
// with. DCMTK, and what is built on it, then answers "out of resources" (A702) where it holds the instances in a
// transfer syntax that was not negotiated: waiting would be for ever. Beside A701, which says that it could not even
// count them, pynetdicom writes down as failed what it has not begun with.
func tried(r dimse.GetResult) bool {
	if r.Status == dimse.OutOfResourcesMatches {
		return false
	}
	c := r.Counts
	return len(r.FailedSOPInstanceUIDs) > 0 ||
		c.Failed.Value > 0 && c.Completed.Value+c.Warning.Value+c.Remaining.Value == 0
}
