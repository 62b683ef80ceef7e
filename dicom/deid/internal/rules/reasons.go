// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

// Reason says why an instance isn't sent.
type Reason string

// Why a profile refuses an instance, or an instance can't be de-identified unless the profile lets it pass.
const (
	// Burned In Annotation YES, or not said where text in the image is likely
	BurnedIn             Reason = "burned-in"
	EncapsulatedDocument Reason = "encapsulated-document" // a PDF, CDA or model
	PixelsElsewhere      Reason = "pixels-elsewhere"      // pixel data is referenced by a JPIP address
	Recognizable         Reason = "recognizable"          // Recognizable Visual Features YES
	UnknownSOPClass      Reason = "unknown-sop-class"
	Undecodable          Reason = "undecodable-text"
)
