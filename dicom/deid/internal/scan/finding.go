// SPDX-License-Identifier: AGPL-3.0-or-later

// Package scan searches the result for what the original held: names, numbers, addresses, dates and UIDs, and values
// that must not stay. It knows the published table and the profile as its author wrote it, but none of the rules that
// the rewriter works by, because it exists to catch mistakes in them. Builds for the browser leave it out (scan_js.go).
package scan

import (
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// Finding is something of the original that what goes out still holds. It doesn't hold its value.
type Finding struct {
	Path  string   // of the attribute that holds it: tags from the outermost sequence on, items counted from 1
	Tag   dict.Tag // the last of the path
	Kind  Kind
	Of    dict.Tag // the attribute that tells it; 0 where the attribute is at fault by itself
	Known bool     // another instance of the patient told it, or the answer to a search
}

// Kind is what a finding is.
type Kind string

// The kinds of findings.
const (
	NameLeft    Kind = "a name"
	NumberLeft  Kind = "an ID or a number"
	AddressLeft Kind = "an address or an institution"
	DateLeft    Kind = "a date"
	UIDLeft     Kind = "a UID"
	ValueLeft   Kind = "its original value"             // though the attribute is one whose value must not stay
	WordLeft    Kind = "a word that is not on the list" // in text that is cleaned
	PrivateLeft Kind = "a private attribute that no rule keeps"
)

// Rule returns, as a clause, by which rule of the scan a finding of this kind is one.
func (k Kind) Rule() string {
	switch k {
	case NameLeft:
		return "a name that must not stay may occur nowhere: no word of it of five letters or more, nor family and " +
			"given name together"
	case NumberLeft:
		return "an ID or number that must not stay may occur nowhere"
	case AddressLeft:
		return "an address or institution that must not stay may occur nowhere"
	case DateLeft:
		return "a date that must be removed or shifted may occur nowhere; where dates are shifted, none within 31 days of " +
			"one may occur in text"
	case UIDLeft:
		return "a UID that is replaced may occur nowhere"
	case ValueLeft:
		return "by table and profile the attribute must be removed or changed"
	case WordLeft:
		return "text that is cleaned may contain only words of the vocabulary"
	}
	return "a private attribute is removed unless the standard lists it as safe, or a rule of the profile keeps it"
}

// String returns a clause such as "(0018,0024) still holds a name, that of (0010,0010)".
func (f Finding) String() string {
	s := f.Path + " still holds " + string(f.Kind)
	if f.Of != 0 {
		s += fmt.Sprintf(", that of %s", f.Of)
	}
	if f.Known {
		s += " in what was known of the patient before"
	}
	return s
}
