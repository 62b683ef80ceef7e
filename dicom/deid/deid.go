// SPDX-License-Identifier: AGPL-3.0-or-later

// Package deid de-identifies DICOM objects by PS3.15 Annex E: a Profile says what is done to which attribute, a Subject
// whose object it is and under which key, and a Session of the two rewrites the headers of that subject's objects.
// It fails closed: what it doesn't know goes, what it can't read makes the object an UnsafeError. See DESIGN.md.
package deid

import "fmt"

// Action is what is done to an attribute.
type Action uint8

// The actions. The first five are the codes K, X, Z, D and U of PS3.15 Table E.1-1; Clean and Shift are its C.
const (
	Keep     Action = iota // sequences: their items are de-identified
	Remove                 //
	Empty                  // zero length, or no items
	Dummy                  // a value that says nothing
	MapUID                 // another UID, the same for the same one under the same key
	Clean                  // only the words of the vocabulary are kept
	Shift                  // moved by the patient's offset in days
	Hash                   // 14 of A–Z0–9, the same for the same value under the same key
	Replace                // by what the profile says
	Truncate               // a date to January 1st of its year
	Edit                   // replaced by a regular expression
	Assign                 // what the subject gives: pseudonym, trial, method
	actions
)

var actionNames = [actions]string{"keep", "remove", "empty", "dummy", "uid", "clean", "shift", "hash", "replace", "truncate", "regex", "assign"}

// String gives the action's name in profiles and reports.
func (a Action) String() string { return actionNames[a] }

// Report says what was done to an object. It is complete when the object has been read to its end: what follows the
// header is decided while it passes.
type Report struct {
	SOPInstanceUID string       // as received
	Counts         [actions]int // attributes at all depths, by Action; those behind the header too
	Behind         int          // of those removed, the ones behind the header: private groups, padding, signatures, and what was too large for it
	Codes          []string     // of CID 7050, as (0012,0064) says what was done; not to be changed
	ToUTF8         bool         // the object's text was moved to ISO_IR 192
	AssumedCharset string       // what its text was read in, as it declares no character set but has other bytes than ASCII; else empty
	Done           []Done       // by attribute, if the subject's Account is wanted; shared among reports, not to be changed
}

// Count gives how many attributes an action was done to.
func (r *Report) Count(a Action) int { return r.Counts[a] }

// Reason says why an object isn't sent.
type Reason string

// Why a profile refuses an object (RefusedError), or it can't be de-identified (UnsafeError).
const (
	BurnedIn             Reason = "burned-in"             // Burned In Annotation YES, or not said where text in the image is likely
	EncapsulatedDocument Reason = "encapsulated-document" // a PDF, CDA or model
	PixelsElsewhere      Reason = "pixels-elsewhere"      // pixel data is referenced by a JPIP address
	Recognizable         Reason = "recognizable"          // Recognizable Visual Features YES

	OverlayInPixels Reason = "overlay-in-pixels" // an overlay lies in bits of the pixel data that can't be cleared
	Unparsable      Reason = "unparsable"
	UnknownSOPClass Reason = "unknown-sop-class"
	Undecodable     Reason = "undecodable-text"
	OtherPatient    Reason = "other-patient"
)

// RefusedError says that the profile leaves the object out. It isn't sent, and a note counts it.
type RefusedError struct {
	Reason         Reason
	SOPInstanceUID string // as received
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("instance %s is not sent: %s", e.SOPInstanceUID, refusals[e.Reason])
}

var refusals = map[Reason]string{
	BurnedIn:             "its image has, or may have, text burned in, which the profile refuses",
	EncapsulatedDocument: "it is an encapsulated document, which the profile refuses",
	PixelsElsewhere:      "its pixel data lies elsewhere (JPIP), which the profile refuses",
	Recognizable:         "it says that the patient can be recognized in its image, which the profile refuses",
}

// UnsafeError says that the object can't be de-identified. It isn't sent, and a Warning names it. Neither message nor cause holds
// a value of it other than its UID.
type UnsafeError struct {
	Reason         Reason
	SOPInstanceUID string // as received
	Detail         string // a clause such as "(0010,4000) has text that …"
	Err            error  // the cause, if there is one
}

func (e *UnsafeError) Error() string {
	s := fmt.Sprintf("instance %s cannot be de-identified and is not sent: %s", e.SOPInstanceUID, e.Detail)
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *UnsafeError) Unwrap() error { return e.Err }
