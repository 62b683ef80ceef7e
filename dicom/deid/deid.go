// SPDX-License-Identifier: AGPL-3.0-or-later

// Package deid de-identifies DICOM instances by PS3.15 Annex E. A Profile says what happens to each attribute, a
// Subject says whose instances they are and under which key, and a Session of the two rewrites the headers of that
// subject's instances. It fails closed: it removes what it doesn't know, and refuses an instance that it can't read
// with an UnsafeError. See DESIGN.md.
package deid

import (
	"fmt"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
)

// Action is what is done to an attribute.
type Action = rules.Action

// The actions. The first five are the codes K, X, Z, D and U of PS3.15 Table E.1-1; Clean and Shift are its C.
const (
	Keep     = rules.Keep     // sequences: their items are de-identified
	Remove   = rules.Remove   //
	Empty    = rules.Empty    // zero length, or no items
	Dummy    = rules.Dummy    // a value that says nothing
	MapUID   = rules.MapUID   // another UID, the same for the same one under the same key
	Clean    = rules.Clean    // only the words of the vocabulary are kept
	Shift    = rules.Shift    // moved by the patient's offset in days
	Hash     = rules.Hash     // 14 of A–Z0–9, the same for the same value under the same key
	Replace  = rules.Replace  // by what the profile says
	Truncate = rules.Truncate // a date to January 1st of its year
	Edit     = rules.Edit     // replaced by a regular expression
	Assign   = rules.Assign   // what the subject gives: pseudonym, trial, method
)

// Report says what was done to an instance. It is complete when the instance has been read to its end: what follows the
// header is decided while it passes.
type Report struct {
	SOPInstanceUID string             // as received
	Counts         [rules.Actions]int // attributes at all depths, by Action; those behind the header too
	// bytes of pixel data that stand behind the image, as large as Rows, Columns and frames make it: they stay
	Trailing int64
	// of those removed, the ones behind the header: private groups, padding, signatures, and what was too large for it
	Behind int
	Codes  []string // of CID 7050, as (0012,0064) says what was done; not to be changed
	ToUTF8 bool     // the instance's text was moved to ISO_IR 192
	// what its text was read in, as it declares no character set but has other bytes than ASCII; else empty
	AssumedCharset string
	Done           []Done // by attribute, if the subject's Account is wanted; shared among reports, not to be changed
}

// Count returns how many attributes an action was done to.
func (r *Report) Count(a Action) int { return r.Counts[a] }

// Reason says why an instance isn't sent.
type Reason = rules.Reason

// Why a profile refuses an instance, or an instance can't be de-identified unless the profile lets it pass.
const (
	// Burned In Annotation YES, or not said where text in the image is likely
	BurnedIn             = rules.BurnedIn
	EncapsulatedDocument = rules.EncapsulatedDocument // a PDF, CDA or model
	PixelsElsewhere      = rules.PixelsElsewhere      // pixel data is referenced by a JPIP address
	Recognizable         = rules.Recognizable         // Recognizable Visual Features YES
	UnknownSOPClass      = rules.UnknownSOPClass      //
	Undecodable          = rules.Undecodable          //
)

// Why an instance can't be de-identified (UnsafeError), whatever the profile.
const (
	OverlayInPixels Reason = "overlay-in-pixels" // an overlay lies in bits of the pixel data that can't be cleared
	Unparsable      Reason = "unparsable"
	OtherPatient    Reason = "other-patient"
)

// RefusedError says that the profile leaves the instance out. It isn't sent, and a note counts it.
type RefusedError struct {
	Reason         Reason
	SOPInstanceUID string // as received
	Detail         string // a clause that says by which attribute, without its value
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("instance %s is not sent: %s (%s)", e.SOPInstanceUID, refusals[e.Reason], e.Detail)
}

var refusals = map[Reason]string{
	BurnedIn:             "its image has, or may have, text burned in, which the profile refuses",
	EncapsulatedDocument: "it is an encapsulated document, which the profile refuses",
	PixelsElsewhere:      "its pixel data is stored elsewhere (JPIP), which the profile refuses",
	Recognizable:         "it says that the patient can be recognized in its image, which the profile refuses",
}

// UnsafeError says that the instance can't be de-identified. It isn't sent, and a Warning names it. Neither message nor
// cause holds a value of it other than its UID.
type UnsafeError struct {
	Reason         Reason
	SOPInstanceUID string    // as received
	Detail         string    // a clause such as "(0010,4000) has text that …"
	Err            error     // the cause, if there is one
	Findings       []Finding // of IdentifierLeft
}

func (e *UnsafeError) Error() string {
	s := fmt.Sprintf("instance %s cannot be de-identified and is not sent: %s", e.SOPInstanceUID, e.Detail)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *UnsafeError) Unwrap() error { return e.Err }
