// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/scan"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// IdentifierLeft says that the scan found something of the original in what would have gone out.
const IdentifierLeft Reason = "identifier-left"

// Known is what is known of a patient before the first instance: names, IDs, numbers, addresses and birth dates that
// the scan looks for in each of the patient's instances. The zero value is nothing. It is the same in whatever order it
// was put together.
type Known = scan.Known

// Finding is something of the original that what goes out still holds. It doesn't hold its value.
type Finding = scan.Finding

// Kind is what a finding is.
type Kind = scan.Kind

// The kinds of findings.
const (
	NameLeft    = scan.NameLeft
	NumberLeft  = scan.NumberLeft
	AddressLeft = scan.AddressLeft
	DateLeft    = scan.DateLeft
	UIDLeft     = scan.UIDLeft
	ValueLeft   = scan.ValueLeft // though the attribute is one whose value must not stay
	WordLeft    = scan.WordLeft  // in text that is cleaned
	PrivateLeft = scan.PrivateLeft
)

// scanOf returns what the scan of the result has to know.
func (s *Session) scanOf() scan.Subject {
	of := scan.Subject{Profile: s.p, Offset: s.offset, Known: &s.subject.Known, Charsets: s.sets, Creators: s.creators}
	for _, a := range s.assigned {
		switch {
		case a.tag == dict.DeidentificationMethod:
			of.Method = a.text
		case !a.ifAbsent:
			of.Given = append(of.Given, a.tag)
		}
	}
	return of
}

// judge scans an instance, and makes findings an error that names them.
func (s *Session) judge(o *stream.Object, in, out []byte, uid string) error {
	found, err := s.scan.Run(o, in, out, s.w.read)
	if err != nil {
		return err
	}
	return shout(found, uid)
}

// shout makes findings an error that names them, nil if there are none.
func shout(found []Finding, uid string) error {
	if !scan.Built || len(found) == 0 { // without the scan nothing of this is linked
		return nil
	}
	clauses := make([]string, len(found))
	for i, f := range found {
		clauses[i] = f.String()
	}
	return &UnsafeError{
		Reason: IdentifierLeft, SOPInstanceUID: uid, Findings: slices.Clone(found),
		Detail: "the scan of the result found: " + strings.Join(clauses, "; ") +
			". Give these attributes a rule in the profile (remove, empty, clean)",
	}
}
