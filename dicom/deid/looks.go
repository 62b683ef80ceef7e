// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"regexp"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// looks are forms of text that tell who somebody is.
var looks = []struct {
	what string
	form *regexp.Regexp
}{
	{"an e-mail address", regexp.MustCompile(`[\p{L}\d._+-]+@[\p{L}\d-]+\.[\p{L}\d.-]*\p{L}{2}`)},
	{"a name", regexp.MustCompile(`\p{L}{2,}\^\p{L}|\b(?:Dr|Prof|Herrn?|Frau|Mr|Mrs|Ms)\.? +\p{Lu}\p{Ll}`)},
	{"a date", regexp.MustCompile(
		`\b(?:19|20)\d\d([-./])(?:0[1-9]|1[0-2])[-./](?:0[1-9]|[12]\d|3[01])\b|\b(?:0?[1-9]|[12]\d|3[01])([./-])(?:0?[1-9]|1[0-2])[./-](?:19|20)\d\d\b|` +
			`\b(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])\b|\b(?:geb\.|geboren|born|DOB)\s`)},
	{"a telephone number", regexp.MustCompile(`(?:\+|\b00)[1-9]\d(?:[ /()-]*\d){6,12}\b|\b(?:[Tt]el|[Ff]on|[Pp]hone|[Ff]ax)\.?:? *\+?[\d(]`)},
	{"a number of a person", regexp.MustCompile(`(?:^|[^\d.])\d{7,12}(?:$|[^\d.])`)},
}

// LooksLike gives, of text that an object holds, which attributes have what looks like somebody's: clauses such as
// "(0018,0024) has text that looks like a date". It knows no original, so it errs both ways.
func LooksLike(h *stream.Header) (found []string) {
	set, err := charset.New(strings.Split(h.Text(dict.SpecificCharacterSet), `\`))
	if e, ok := h.Get(dict.SpecificCharacterSet); ok {
		set, err = charset.New(strings.Split(trim(string(e.Value)), `\`))
	}
	if err != nil {
		set = ascii
	}
	for t := range h.Tokens() {
		if t.Kind != stream.ValueToken || !t.VR.CharSet() || t.End-t.Value < shortest || t.Tag.IsPrivateCreator() || speaksOfMachines(t.Tag, len(t.Path) == 0) {
			continue
		}
		text := set.Decode(h.ValueOf(t), t.VR)
		for i := range looks {
			l := &looks[i]
			if t.VR == dict.PN && l.what == "a name" {
				continue
			}
			if clause := t.Tag.String() + " has text that looks like " + l.what; l.form.MatchString(text) && !slices.Contains(found, clause) {
				found = append(found, clause)
			}
		}
	}
	return found
}

// speaksOfMachines tells whether an attribute is one of versions, or one that the subject of the de-identification gives.
func speaksOfMachines(tag dict.Tag, top bool) bool {
	switch tag {
	case dict.Manufacturer, dict.ManufacturerModelName, dict.SoftwareVersions, dict.DeidentificationMethod, dict.CodeValue, dict.CodingSchemeVersion:
		return true
	case dict.PatientName, dict.PatientID, dict.PatientComments, dict.ClinicalTrialProtocolID, dict.ClinicalTrialProtocolName, dict.ClinicalTrialSubjectID:
		return top
	}
	return false
}
