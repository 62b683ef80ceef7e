// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Telling says that what was given to be written into the instance, a pseudonym or what a trial is called, tells who
// the patient is.
const Telling Reason = "telling-pseudonym"

// Identifiers are the values of an instance that tell who its patient is. The zero value has none.
type Identifiers struct {
	list []telling
	days []tellingDay
}

// telling is a value that tells who somebody is, folded.
type telling struct {
	text []rune
	of   dict.Tag
	word bool // of a name, which stands in other texts too
	run  bool // digits of a number, which count as a whole run of digits
}

type tellingDay struct {
	day int
	of  dict.Tag
}

// tellingTags are the attributes whose values a patient must not be called by.
var tellingTags = [...]dict.Tag{
	dict.PatientID, dict.PatientName, dict.PatientBirthDate, dict.AccessionNumber,
	dict.OtherPatientIDs, dict.OtherPatientNames, dict.OtherPatientIDsSequence,
	dict.PatientBirthName, dict.PatientMotherBirthName, dict.AdmissionID,
	dict.StudyID, dict.MedicalRecordLocator, dict.PatientTelephoneNumbers,
	dict.FillerOrderNumberImagingServiceRequest, dict.PlacerOrderNumberImagingServiceRequest,
	dict.StudyDate, dict.StudyInstanceUID, dict.SeriesInstanceUID,
}

// IdentifiersOf returns what tells who the patient of an instance is. A study's date does where the profile doesn't
// leave it as it is.
func (p *Profile) IdentifiersOf(o *stream.Object) Identifiers {
	return identifiersOf(o, p.rules)
}

func identifiersOf(o *stream.Object, p *rules.Profile) Identifiers {
	var ids Identifiers
	h := o.Header()
	for _, tag := range tellingTags {
		e, ok := h.Get(tag)
		if !ok || len(values.Trimmed(e.Value)) == 0 || tag == dict.StudyDate && p.RuleOf(tag).Action == Keep {
			continue
		}
		if tag == dict.OtherPatientIDsSequence {
			// What can't be read the rewriter judges.
			_ = values.EachIn(e.Value, stream.EncodingOf(o.TransferSyntax()), 0, func(in stream.Head, value []byte) {
				if in.Tag == dict.PatientID {
					ids.addNumber(h.Charset().Decode(value, dict.LO), tag)
				}
			})
			continue
		}
		switch text := h.Charset().Decode(e.Value, dict.VROf(tag)); dict.VROf(tag) {
		case dict.PN:
			ids.addName(text, tag)
			ids.addName(words.WithoutUmlauts(text), tag)
		case dict.DA:
			for _, day := range dates.Written([]byte(text)) {
				ids.days = append(ids.days, tellingDay{day, tag})
			}
		default:
			ids.addNumber(text, tag)
		}
	}
	return ids
}

func (ids *Identifiers) add(text []rune, of dict.Tag, word bool) {
	if len(text) > 0 {
		ids.list = append(ids.list, telling{text: text, of: of, word: word})
	}
}

func (ids *Identifiers) addNumber(text string, of dict.Tag) {
	for value := range strings.SplitSeq(text, `\`) {
		whole, apart := words.BareLetters(value)
		if of == dict.StudyID && len(whole) < 4 { // a serial number
			continue
		}
		ids.add(whole, of, false)
		short := []rune(strings.TrimLeft(string(whole), "0"))
		if len(short) < len(whole) && len(short) >= 4 &&
			!slices.ContainsFunc(whole, func(r rune) bool { return !unicode.IsDigit(r) }) {
			ids.add(short, of, false)
		}
		if dict.VROf(of) != dict.UI {
			ids.addDigits(whole, apart, of)
		}
	}
}

// addDigits adds the digits of a number without the zeros in front: all, and those that stand together, if they are
// more than a year.
func (ids *Identifiers) addDigits(number []rune, apart []bool, of dict.Tag) {
	for i, run := range runsOf(number, apart) {
		if len(run) >= 4 && (i == 0 || len(run) >= 5) {
			ids.list = append(ids.list, telling{text: run, of: of, run: true})
		}
	}
}

// runsOf returns the digits of a text, first all and then those that stand together, each without the zeros in front.
func runsOf(text []rune, apart []bool) (runs [][]rune) {
	runs = append(runs, nil)
	for i, r := range text {
		if !unicode.IsDigit(r) {
			continue
		}
		runs[0] = append(runs[0], r)
		if i == 0 || apart[i] || !unicode.IsDigit(text[i-1]) {
			runs = append(runs, nil)
		}
		runs[len(runs)-1] = append(runs[len(runs)-1], r)
	}
	for i := range runs {
		for len(runs[i]) > 0 && runs[i][0] == '0' {
			runs[i] = runs[i][1:]
		}
	}
	return runs
}

// addName adds a name as a whole, in both orders, and its words.
func (ids *Identifiers) addName(text string, of dict.Tag) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		parts := strings.Split(name, "^")
		whole, _ := words.BareLetters(name)
		if isNoName(string(whole)) {
			continue
		}
		if ids.add(whole, of, false); len(parts) > 1 {
			first, _ := words.BareLetters(parts[0])
			second, _ := words.BareLetters(parts[1])
			if len(first) > 1 && len(second) > 1 {
				ids.add(append(slices.Clone(first), second...), of, false)
				ids.add(append(slices.Clone(second), first...), of, false)
			}
		}
		for _, part := range parts[:min(3, len(parts))] { // without prefix and suffix
			for word := range strings.FieldsFuncSeq(part, splitsWords) {
				if w, _ := words.BareLetters(word); !isNoName(string(w)) &&
					(len(w) >= 3 || len(w) == 2 && w[0] > 0x2E80) {
					ids.add(w, of, true)
				}
			}
		}
	}
}

func splitsWords(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsMark(r) && !unicode.IsDigit(r)
}

// isNoName reports whether a word stands where there is no name, or for no person.
func isNoName(w string) bool {
	switch w {
	case "patient", "test", "phantom", "anonymous", "anonym", "anon", "unknown", "unbekannt", "study",
		"subject", "subj", "case", "pseudonym", "baby", "boy", "girl", "male", "female", "none":
		return true
	}
	return false
}

// Equal reports whether the identifiers of two objects are the same, so that In says the same of them.
func (ids *Identifiers) Equal(other *Identifiers) bool {
	return slices.Equal(ids.days, other.days) && slices.EqualFunc(ids.list, other.list, func(a, b telling) bool {
		return a.of == b.of && a.word == b.word && a.run == b.run && slices.Equal(a.text, b.text)
	})
}

// In returns the attribute whose value a pseudonym is or holds, however it is written: in another case, without
// accents, with other separators, a name in another order, a date in another form, a number with other letters. In a
// text, such as what a trial is called, single words of a name are words like others.
func (ids *Identifiers) In(given string, isText bool) (of dict.Tag, ok bool) {
	chosen := !isToken(given) // else letters and digits lie by chance
	text, apart := words.BareLetters(given)
	long, apartLong := words.BareLetters(words.WithoutUmlauts(given))
	for i := range ids.list {
		if t := &ids.list[i]; t.in(text, apart, chosen, isText) || t.in(long, apartLong, chosen, isText) {
			return t.of, true
		}
	}
	written := dates.Written([]byte(given))
	if chosen && !isText {
		written = append(written, dates.Written([]byte(string(text)))...)
	}
	for _, d := range ids.days {
		if slices.Contains(written, d.day) || chosen && d.short(text, apart) {
			return d.of, true
		}
	}
	return 0, false
}

// short reports whether a text has a day in six digits, beside letters or not.
func (d *tellingDay) short(text []rune, apart []bool) bool {
	year, month, day := dates.Civil(d.day)
	for _, n := range [...][3]int{{year, month, day}, {day, month, year}, {month, day, year}} {
		digits := fmt.Sprintf("%02d%02d%02d", n[0]%100, n[1]%100, n[2]%100)
		if t := (telling{text: []rune(digits)}); t.in(text, apart, true, true) {
			return true
		}
	}
	return false
}

// in reports whether a value is a folded text, or stands in it apart from what is around. What is long does so wherever
// it is.
func (t *telling) in(text []rune, apart []bool, chosen, isText bool) bool {
	if slices.Equal(t.text, text) {
		return true
	}
	if t.run {
		return (chosen && !isText || len(t.text) >= 6) && t.isRun(text, apart)
	}
	least, anywhere := 4, 6
	switch {
	case t.word && isText:
		return false
	case !chosen:
		least = 6
	case t.word:
		least, anywhere = 3, 5
		if t.text[0] > 0x2E80 { // of a script without letters
			least, anywhere = 2, 2
		}
	}
	return len(t.text) >= least && t.stands(text, apart, len(t.text) >= anywhere && !isText)
}

// isRun reports whether it is the digits of a text, or some that stand together.
func (t *telling) isRun(text []rune, apart []bool) bool {
	return slices.ContainsFunc(runsOf(text, apart), func(run []rune) bool { return slices.Equal(run, t.text) })
}

// stands reports whether it is somewhere in a text, or apart from what is around.
func (t *telling) stands(text []rune, apart []bool, anywhere bool) bool {
	n := len(t.text)
	for i := 0; i+n <= len(text); i++ {
		if !slices.Equal(text[i:i+n], t.text) {
			continue
		}
		begins := i == 0 || apart[i] || kindOf(text[i-1]) != kindOf(text[i])
		ends := i+n == len(text) || apart[i+n] || kindOf(text[i+n-1]) != kindOf(text[i+n])
		if anywhere || begins && ends {
			return true
		}
	}
	return false
}

// kindOf tells letters from digits.
func kindOf(r rune) bool { return unicode.IsDigit(r) }

// isToken reports whether a text has the form of a pseudonym that a key gives.
func isToken(s string) bool {
	return len(s) == token && strings.Trim(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789") == ""
}

// BareID returns an ID or a pseudonym as it is compared with those of other patients: its letters and digits alone,
// without case, accents and width. One that has none stays as it is.
func BareID(id string) string {
	if bare, _ := words.BareLetters(id); len(bare) > 0 {
		return string(bare)
	}
	return id
}

// tells refuses an instance of whose patient something is told by what is to be written into it.
func (s *Session) tells(o *stream.Object, uid string) error {
	h := o.Header()
	key := s.spare[:0]
	for _, tag := range tellingTags { // of a series' instances they are equal
		e, _ := h.Get(tag)
		key = append(append(key, e.Value...), 0)
	}
	if s.spare = key; bytes.Equal(key, s.discreet) {
		return nil
	}
	ids := identifiersOf(o, s.p)
	given := []struct {
		what, text string
		isText     bool
	}{
		{"the pseudonym", s.subject.Pseudonym, false},
		{"the trial's ID", s.subject.TrialID, true},
		{"the trial's name", s.subject.TrialName, true},
	}
	for i := range s.p.Overrides {
		if v := &s.p.Overrides[i]; v.Action == Replace {
			given = append(given, struct {
				what, text string
				isText     bool
			}{"what " + v.Why + " writes", v.With, true})
		}
	}
	for _, g := range given {
		if of, tells := ids.In(g.text, g.isText); tells {
			return &UnsafeError{
				Reason: Telling, SOPInstanceUID: uid,
				Detail: g.what + " tells " + rules.Named(of) + " of the patient; choose another",
			}
		}
	}
	s.discreet = append(s.discreet[:0], key...)
	return nil
}
