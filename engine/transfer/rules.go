// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/rejection"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/retrieve"
)

// What a rejection note names is left out by rule, and so is the note: it speaks of instances that the destination
// never sees.
const (
	rejectedAtSource             = "rejected at the source: "
	isNote           deid.Reason = "a note that rejects other instances"
)

// modalityExcluded is the reason of what is left out under a pseudonym, though its series was not known to be of such a
// modality.
const modalityExcluded deid.Reason = "a modality that is excluded under a pseudonym"

// ruledOutOnArrival reports whether an instance that has come is left out by a rule, and takes that down.
func (r *taking) ruledOutOnArrival(o *dimse.Incoming, series string, obj *stream.Object) bool {
	isRejection, err := r.heedNote(o, obj) // whatever becomes of the note
	if err != nil {
		r.Instances.Odd(o.SOPInstanceUID, ledger.UnclearNote)
	}
	reason, rejected := r.Instances.Notes.RejectionOf(o.SOPInstanceUID)
	switch {
	case rejected:
	case isRejection:
		reason = isNote
	case r.NeverTakes(o.SOPClassUID):
		reason = retrieve.ClassNeverTaken
	case r.Excludes(obj.Header().Text(dict.Modality), o.SOPClassUID):
		reason = modalityExcluded
	default:
		return false
	}
	if r.Instances.Leave(o.SOPInstanceUID, series, jobs.LeftOutInstance{UID: o.SOPInstanceUID, Reason: reason}, "") {
		r.Progress.Expected.Add(-1)
	}
	return true
}

// heedNote takes down what an instance that has come rejects, if it is a rejection note, and reports whether it is one.
func (r *taking) heedNote(o *dimse.Incoming, obj *stream.Object) (bool, error) {
	if !r.Reads(o.SOPClassUID) {
		return false, nil
	}
	note, ok, err := rejection.Of(obj)
	r.Instances.Notes.ReadNote(o.SOPInstanceUID, note.Instances, deid.Reason(rejectedAtSource+note.Meaning))
	return ok && err == nil, err
}

// leftOutByRule are the reasons of rules that are no profile's.
var leftOutByRule = []deid.Reason{retrieve.ClassNeverTaken, modalityExcluded, isNote}

// isRule reports whether a reason is that of a rule, and not the profile's.
func isRule(reason deid.Reason) bool {
	return slices.Contains(leftOutByRule, reason) || strings.HasPrefix(string(reason), rejectedAtSource)
}
