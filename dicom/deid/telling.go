// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Telling says that what was given to be written into the object, a pseudonym or what a trial is called, tells who the patient is.
const Telling Reason = "telling-pseudonym"

// Identifiers are the values of an object that tell who its patient is. The zero value has none.
type Identifiers struct {
	list []telling
	days []tellingDay
}

// telling is a value that tells who somebody is, folded.
type telling struct {
	text []rune
	of   dict.Tag
	word bool // of a name, which stands in other texts too
}

type tellingDay struct {
	day int
	of  dict.Tag
}

// tellingTags are the attributes whose values a patient must not be called by.
var tellingTags = [...]dict.Tag{
	dict.PatientID, dict.PatientName, dict.PatientBirthDate, dict.AccessionNumber, dict.OtherPatientIDs, dict.OtherPatientNames, dict.OtherPatientIDsSequence,
	dict.PatientBirthName, dict.PatientMotherBirthName, dict.AdmissionID, dict.StudyID, dict.MedicalRecordLocator, dict.PatientTelephoneNumbers,
	dict.FillerOrderNumberImagingServiceRequest, dict.PlacerOrderNumberImagingServiceRequest,
	dict.StudyDate, dict.StudyInstanceUID, dict.SeriesInstanceUID,
}

// IdentifiersOf returns what tells who the patient of an object is. A study's date does where the profile doesn't leave it as it is.
func (p *Profile) IdentifiersOf(o *stream.Object) Identifiers {
	var ids Identifiers
	h := o.Header()
	for _, tag := range tellingTags {
		e, ok := h.Get(tag)
		if !ok || len(trimmed(e.Value)) == 0 || tag == dict.StudyDate && p.ruleOf(tag).action == Keep {
			continue
		}
		if tag == dict.OtherPatientIDsSequence {
			// What can't be read the rewriter judges.
			_ = eachValueIn(e.Value, stream.EncodingOf(o.TransferSyntax()), 0, func(in stream.Head, value []byte) {
				if in.Tag == dict.PatientID {
					ids.addNumber(h.Charset().Decode(value, dict.LO), tag)
				}
			})
			continue
		}
		switch text := h.Charset().Decode(e.Value, dict.VROf(tag)); dict.VROf(tag) {
		case dict.PN:
			ids.addName(text, tag)
			ids.addName(withoutUmlauts(text), tag)
		case dict.DA:
			for _, day := range writtenDates([]byte(text)) {
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
		ids.list = append(ids.list, telling{text, of, word})
	}
}

func (ids *Identifiers) addNumber(text string, of dict.Tag) {
	for value := range strings.SplitSeq(text, `\`) {
		whole, _ := bareLetters(value)
		if of == dict.StudyID && len(whole) < 4 { // a serial number
			continue
		}
		ids.add(whole, of, false)
		short := []rune(strings.TrimLeft(string(whole), "0"))
		if len(short) < len(whole) && len(short) >= 4 && !slices.ContainsFunc(whole, func(r rune) bool { return !unicode.IsDigit(r) }) {
			ids.add(short, of, false)
		}
	}
}

// addName adds a name as a whole, in both orders, and its words.
func (ids *Identifiers) addName(text string, of dict.Tag) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		parts := strings.Split(name, "^")
		whole, _ := bareLetters(name)
		if isNoName(string(whole)) {
			continue
		}
		if ids.add(whole, of, false); len(parts) > 1 {
			first, _ := bareLetters(parts[0])
			second, _ := bareLetters(parts[1])
			if len(first) > 1 && len(second) > 1 {
				ids.add(append(slices.Clone(first), second...), of, false)
				ids.add(append(slices.Clone(second), first...), of, false)
			}
		}
		for _, part := range parts[:min(3, len(parts))] { // without prefix and suffix
			for word := range strings.FieldsFuncSeq(part, splitsWords) {
				if w, _ := bareLetters(word); !isNoName(string(w)) && (len(w) >= 3 || len(w) == 2 && w[0] > 0x2E80) {
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
	case "patient", "test", "phantom", "anonymous", "anonym", "anon", "unknown", "unbekannt", "study", "subject", "subj", "case", "pseudonym", "baby", "boy", "girl", "male", "female", "none":
		return true
	}
	return false
}

// In returns the attribute whose value a pseudonym is or holds, however it is written: in another case, without accents, with other separators, a name in
// another order, a date in another form. In a text, such as what a trial is called, single words of a name are words like others.
func (ids *Identifiers) In(given string, isText bool) (of dict.Tag, ok bool) {
	chosen := !isToken(given) // else letters and digits lie by chance
	text, apart := bareLetters(given)
	long, apartLong := bareLetters(withoutUmlauts(given))
	for i := range ids.list {
		if t := &ids.list[i]; t.in(text, apart, chosen, isText) || t.in(long, apartLong, chosen, isText) {
			return t.of, true
		}
	}
	written := writtenDates([]byte(given))
	if chosen && !isText {
		written = append(written, writtenDates([]byte(string(text)))...)
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
	year, month, day := civil(d.day)
	for _, n := range [...][3]int{{year, month, day}, {day, month, year}, {month, day, year}} {
		digits := fmt.Sprintf("%02d%02d%02d", n[0]%100, n[1]%100, n[2]%100)
		if t := (telling{text: []rune(digits)}); t.in(text, apart, true, true) {
			return true
		}
	}
	return false
}

// in reports whether a value is a folded text, or stands in it apart from what is around. What is long does so wherever it is.
func (t *telling) in(text []rune, apart []bool, chosen, isText bool) bool {
	if slices.Equal(t.text, text) {
		return true
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
	n := len(t.text)
	if n < least {
		return false
	}
	for i := 0; i+n <= len(text); i++ {
		if !slices.Equal(text[i:i+n], t.text) {
			continue
		}
		begins := i == 0 || apart[i] || kindOf(text[i-1]) != kindOf(text[i])
		ends := i+n == len(text) || apart[i+n] || kindOf(text[i+n-1]) != kindOf(text[i+n])
		if n >= anywhere && !isText || begins && ends {
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

// bareLetters returns the letters and digits of a text without case, accents and width, and before which of them something else stood.
func bareLetters(s string) (text []rune, apart []bool) {
	gap := false
	for _, r := range s {
		if r >= 0xFF01 && r <= 0xFF5E { // full width
			r -= 0xFEE0
		}
		switch {
		case unicode.IsMark(r):
			continue
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
			gap = true
			continue
		}
		r = plainLetter(unicode.ToLower(r))
		text, apart, gap = append(text, r), append(apart, gap), false
	}
	return text, apart
}

// BareID returns an ID or a pseudonym as it is compared with those of other patients: its letters and digits alone, without case, accents and width. One
// that has none stays as it is.
func BareID(id string) string {
	if bare, _ := bareLetters(id); len(bare) > 0 {
		return string(bare)
	}
	return id
}

// withoutUmlauts writes German text as those do who have no umlauts.
func withoutUmlauts(s string) string { return umlauts.Replace(s) }

var umlauts = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "Ä", "AE", "Ö", "OE", "Ü", "UE", "ß", "ss", "a\u0308", "ae", "o\u0308", "oe", "u\u0308", "ue", "A\u0308", "AE", "O\u0308", "OE", "U\u0308", "UE")

// plainLetter returns a Latin letter in lower case without what is above, below or across it.
func plainLetter(r rune) rune {
	if r >= 0xDF && r < 0x180 {
		return rune(latinLetters[r-0xDF])
	}
	return r
}

// latinLetters are those of U+00DF to U+017F.
var latinLetters = "saaaaaaaceeeeiiiidnooooo" + "/ouuuuyty" + "aaaaaa" + "cccccccc" + "dddd" + "eeeeeeeeee" + "gggggggg" + "hhhh" + "iiiiiiiiii" + "ii" + "jj" + "kkk" + "llllllllll" +
	"nnnnnnnnn" + "oooooo" + "oo" + "rrrrrr" + "ssssssss" + "tttttt" + "uuuuuuuuuuuu" + "ww" + "yyy" + "zzzzzz" + "s"

// tells refuses an object of whose patient something is told by what is to be written into it.
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
	ids := s.p.IdentifiersOf(o)
	given := []struct {
		what, text string
		isText     bool
	}{
		{"the pseudonym", s.subject.Pseudonym, false}, {"the trial's ID", s.subject.TrialID, true}, {"the trial's name", s.subject.TrialName, true},
	}
	for i := range s.p.overrides {
		if v := &s.p.overrides[i]; v.action == Replace {
			given = append(given, struct {
				what, text string
				isText     bool
			}{"what " + v.why + " writes", v.with, true})
		}
	}
	for _, g := range given {
		if of, tells := ids.In(g.text, g.isText); tells {
			return &UnsafeError{Reason: Telling, SOPInstanceUID: uid, Detail: g.what + " tells " + named(of) + " of the patient; choose another"}
		}
	}
	s.discreet = append(s.discreet[:0], key...)
	return nil
}
