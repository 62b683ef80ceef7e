// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"regexp"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// looks are forms of text that tell who somebody is; dates are read as the scan reads them.
var looks = []struct {
	what string
	form *regexp.Regexp
}{
	{"an e-mail address", regexp.MustCompile(`[\p{L}\d._+-]+@[\p{L}\d-]+\.[\p{L}\d.-]*\p{L}{2}`)},
	{"a name", regexp.MustCompile(`\p{L}{2,}\^\p{L}|\p{Lo}\^\p{Lo}|\b(?:(?:Dr|Prof|Herrn?|Frau|Mr|Mrs|Ms)\.?|Pat\.|Patient:) *\p{Lu}\p{Ll}`)},
	{"a date", regexp.MustCompile(`\b(?:geb\.|geboren|born|DOB)\s`)},
	{"a telephone number", regexp.MustCompile(`(?:\+|\b00)[1-9]\d(?:[ /()-]*\d){6,12}\b|(?:\b0\d{2,5}[ /-] ?|\(0\d{1,5}\) ?)\d{4,}\b|\b(?:[Tt]el|[Ff]on|[Pp]hone|[Ff]ax)\.?:? *\+?[\d(]`)},
	{"a number of a person", regexp.MustCompile(`(?:^|[^\d.])\d{7,12}(?:$|[^\d.])|\b[A-Z]{2,5}[-_]\d{6,12}\b|\b(?:MRN|PID|Pat\.?-?(?:Nr|ID|No)|Fall-?[Nn]r)[.:# ]*\d{3,}`)},
}

// turnedName is a name as lists have it, unless its words are known: "Thorax, Abdomen".
var turnedName = regexp.MustCompile(`\b\p{Lu}\p{Ll}{3,}(?:-\p{Lu}\p{Ll}+)?, \p{Lu}\p{Ll}+\b`)

// LooksLike gives, of text that an instance holds, which attributes have what looks like somebody's: clauses such as
// "(0018,0024) has text that looks like a date". It knows no original, so it errs both ways.
func LooksLike(h *stream.Header) (found []string) {
	set, err := charset.New(strings.Split(h.Text(dict.SpecificCharacterSet), `\`))
	if e, ok := h.Get(dict.SpecificCharacterSet); ok {
		set, err = charset.New(strings.Split(values.Trim(string(e.Value)), `\`))
	}
	if err != nil {
		set = values.ASCII
	}
	var read textDates
	for t := range h.Tokens() {
		if t.Kind != stream.ValueToken || t.End-t.Value < shortest ||
			t.Tag.IsPrivateCreator() || speaksOfMachines(t.Tag, len(t.Path) == 0) {
			continue
		}
		value := values.Unpadded(h.ValueOf(t))
		if !mayTell(t.VR, value) {
			continue
		}
		texts := []string{decodeText(value, dict.LO, set)}
		if !values.PlainASCII(value) {
			texts = append(texts, readings(value, set)...)
		}
		for _, what := range looksOf(texts, &read) {
			if clause := t.Tag.String() + " has text that looks like " + what; !slices.Contains(found, clause) {
				found = append(found, clause)
			}
		}
	}
	return found
}

// mayTell reports whether a value is text that may be somebody's: not a number, a date or a UID by its VR, and of an
// unknown VR if it is text by itself.
func mayTell(vr dict.VR, value []byte) bool {
	switch vr {
	case dict.UI:
		return false
	case dict.UN, 0:
		return isWritten(value)
	}
	return vr.Text() && !numeric(vr)
}

// looksOf returns what a value looks like, by what it may say.
func looksOf(texts []string, read *textDates) (found []string) {
	add := func(what string) {
		if !slices.Contains(found, what) {
			found = append(found, what)
		}
	}
	for _, text := range texts {
		if slices.ContainsFunc(
			read.read(dates.Plain([]byte(text)), true), func(d textDate) bool { return d.whole || d.apart },
		) {
			add("a date")
		}
		if slices.ContainsFunc(
			turnedName.FindAllString(text, -1), func(name string) bool { return !allStandard(name) },
		) {
			add("a name")
		}
		for i := range looks {
			if looks[i].form.MatchString(text) {
				add(looks[i].what)
			}
		}
	}
	return found
}

// speaksOfMachines reports whether an attribute is one of versions, or one that the subject of the de-identification
// gives.
func speaksOfMachines(tag dict.Tag, top bool) bool {
	switch tag {
	case dict.Manufacturer, dict.ManufacturerModelName, dict.SoftwareVersions, dict.DeidentificationMethod,
		dict.CodeValue, dict.CodingSchemeVersion:
		return true
	case dict.PatientName, dict.PatientID, dict.PatientComments, dict.ClinicalTrialProtocolID,
		dict.ClinicalTrialProtocolName, dict.ClinicalTrialSubjectID:
		return top
	}
	return false
}
