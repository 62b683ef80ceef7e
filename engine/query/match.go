// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"bytes"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// criteria are what a search filters by besides the patient's ID.
type criteria uint8

const (
	byName criteria = 1 << iota
	byAccession
	byModality
	byDate
	byTime
	byBirthDate
	byDescription
	identity // of the patient or the study
)

// judge filters again what servers don't filter by: some ignore keys that they don't index. lacks are the criteria that
// the answer says nothing about, against those that it doesn't meet. Text may be in another character set than the
// server declares: what fits under any reading of it fits, and is described in that reading. Who the patient is isn't
// guessed.
func (s Search) judge(ds *stream.DataSet) (study FoundStudy, lacks, against criteria) {
	study = foundStudy(ds)
	if !readsOtherwise(ds) {
		lacks, against = s.compare(study, study.PatientID)
		return study, lacks, against
	}
	lacks, against = s.compare(study.undecoded(ds), study.PatientID)
	if against == 0 || against&identity != 0 {
		return study, lacks, against
	}
	for _, set := range charset.Undeclared() {
		other := foundStudy(ds.ReadAs(set))
		if lacks, against := s.compare(other.undecoded(ds), study.PatientID); against == 0 {
			other.PatientID = study.PatientID
			return other, lacks, 0
		}
	}
	return study, lacks, against
}

// compared are the attributes of free text that a search is compared with.
var compared = []dict.Tag{dict.PatientName, dict.AccessionNumber, dict.StudyDescription}

// readsOtherwise reports whether the text of an answer means something else in another character set.
func readsOtherwise(ds *stream.DataSet) bool {
	return slices.ContainsFunc(compared, func(tag dict.Tag) bool {
		e, _ := ds.Get(tag)
		return slices.ContainsFunc(e.Value, func(c byte) bool { return c >= 0x80 || c == 0x1B })
	})
}

// undecoded returns the study with what could not be decoded as nothing that matches. A replacement character that the
// server itself sent stands for a character that it has lost.
func (f FoundStudy) undecoded(ds *stream.DataSet) FoundStudy {
	for i, text := range []*string{&f.PatientName, &f.AccessionNumber, &f.StudyDescription} {
		if e, _ := ds.Get(compared[i]); !bytes.Contains(e.Value, []byte(string(lost))) {
			*text = strings.ReplaceAll(*text, string(lost), "\x00")
		}
	}
	return f
}

// compare judges one reading of an answer, of the patient given. What says whose the study is must be there: an answer
// without it is no match.
func (s Search) compare(f FoundStudy, patientID string) (lacks, against criteria) {
	if f.StudyInstanceUID == "" || s.StudyInstanceUID != "" && f.StudyInstanceUID != s.StudyInstanceUID ||
		s.PatientID != "" && patientID != s.PatientID {
		return 0, identity
	}
	note := func(c criteria, wanted, there, met bool) {
		switch {
		case !wanted || there && met:
		case there:
			against |= c
		default:
			lacks |= c
		}
	}
	accession := s.AccessionNumber != "" && matchesAccession(s.AccessionNumber, f.AccessionNumber)
	if s.tellsNobody(f, accession) {
		return 0, identity
	}
	note(byName, s.PatientName != "" && f.PatientName != "", true, matchesName(dicomName(s.PatientName), f.PatientName))
	note(byAccession, s.AccessionNumber != "", f.AccessionNumber != "", accession)
	note(byModality, s.Modality != "", len(f.ModalitiesInStudy) > 0, HasModality(f.ModalitiesInStudy, s.Modality))
	within := func(c criteria, value, from, to string) {
		note(c, from+to != "", value != "", value >= from && (to == "" || value <= to))
	}
	within(byDate, DateOf(f.StudyDate), s.StudyDateFrom, s.StudyDateTo)
	within(byTime, timeOf(f.StudyTime), s.StudyTimeFrom, s.StudyTimeTo)
	within(byBirthDate, DateOf(f.PatientBirthDate), s.PatientBirthDateFrom, s.PatientBirthDateTo)
	note(byDescription, s.StudyDescription != "", f.StudyDescription != "",
		matchesText(s.StudyDescription, f.StudyDescription))
	return lacks, against
}

// matchesText matches a text with * for any characters and ? for one, without regard to case, accents and blanks.
func matchesText(wanted, value string) bool {
	return wildcard([]rune(foldName(wanted)), []rune(foldName(strings.ReplaceAll(value, "?", string(lost)))))
}

// tellsNobody reports whether nobody knows from an answer whose study it is. Who is identified by an ID needs nothing
// else, and who is by an accession number needs no name.
func (s Search) tellsNobody(f FoundStudy, accession bool) bool {
	if s.PatientID != "" {
		return false
	}
	return s.PatientName != "" && f.PatientName == "" && !accession ||
		s.AccessionNumber != "" && f.AccessionNumber == ""
}

// longestSH is the length of a value of VR SH (PS3.5 6.2). Accession numbers are longer in places, and cut by some
// servers.
const longestSH = 16

func matchesAccession(wanted, value string) bool {
	return strings.EqualFold(value, wanted) || len(wanted) > longestSH && strings.EqualFold(value, wanted[:longestSH])
}

// HasModality reports whether a list of modalities has one, in any case; it also finds it in a list that a server has
// put into one value.
func HasModality(values []string, wanted string) bool {
	return slices.ContainsFunc(values, func(v string) bool {
		return strings.EqualFold(v, wanted) ||
			slices.ContainsFunc(strings.FieldsFunc(v, func(r rune) bool { return strings.ContainsRune(`\/,; `, r) }),
				func(m string) bool { return strings.EqualFold(m, wanted) })
	})
}

// DateOf returns a date in the form YYYYMMDD, also of the form of ACR-NEMA; empty if it is none, and can't be compared.
func DateOf(value string) string {
	digits := strings.NewReplacer(".", "", "-", "").Replace(value)
	if len(digits) != 8 || strings.Trim(digits, "0123456789") != "" || strings.Trim(digits, "0") == "" {
		return ""
	}
	return digits
}

// timeOf returns a time in the form HHMMSS, also of the form of ACR-NEMA; empty if it is none, and can't be compared.
func timeOf(value string) string {
	digits, _, _ := strings.Cut(strings.ReplaceAll(value, ":", ""), ".")
	if n := len(digits); n < 2 || n > 6 || n%2 != 0 || strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits + "000000"[len(digits):]
}

// matchesName matches a person name as C-FIND does (PS3.4 C.2.2.2.1, C.2.2.2.4), without regard to case and accents:
// with * for any characters and ? for one, against any of the component groups, or group by group if the wanted name
// has several. A group that the answer lacks can't be compared, unless it lacks all. A wanted name that ends early, as
// a family name alone does, matches whatever follows, since servers differ in that.
func matchesName(wanted, value string) bool {
	have := strings.Split(value, "=")
	for i := range have {
		have[i] = foldName(strings.ReplaceAll(have[i], "?", string(lost)))
	}
	met, compared := false, false
	for i, w := range strings.Split(wanted, "=") {
		if w = foldName(w); w == "" {
			continue
		}
		compared = true
		switch {
		case slices.ContainsFunc(have, func(group string) bool { return group != "" && matchesGroup(w, group) }):
			met = true
		case i < len(have) && have[i] != "" || !strings.Contains(wanted, "="):
			return false
		}
	}
	return met || !compared
}

func matchesGroup(wanted, group string) bool {
	return wildcard([]rune(wanted), []rune(group)) || wildcard([]rune(wanted+"^*"), []rune(group))
}

// foldName takes case, accents, blanks around components, further ones within and empty components at the end from a
// component group.
func foldName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(unicode.ToUpper(r)) // both, for letters that have two small forms
	}, norm.NFKD.String(s))
	components := strings.Split(strings.ReplaceAll(norm.NFC.String(s), "ß", "ss"), "^")
	for i, c := range components {
		components[i] = strings.Join(strings.Fields(c), " ")
	}
	return strings.TrimRight(strings.Join(components, "^"), "^")
}

// lost stands for a character that a server could not write, or for one of the bytes of such a character.
const lost = unicode.ReplacementChar

// wildcard matches with * for any characters and ? for one in the pattern, and with lost for any in the text, in time
// proportional to the product of both lengths.
func wildcard(pattern, s []rune) bool {
	reached := make([]bool, len(s)+1) // by what came of the pattern: up to here in the text
	reached[0] = true
	for _, p := range pattern {
		next := make([]bool, len(s)+1)
		next[0] = p == '*' && reached[0]
		for i, c := range s {
			if p == '*' {
				next[i+1] = reached[i+1] || next[i]
			} else {
				next[i+1] = reached[i] && (p == '?' || p == c || c == lost && p != '^')
			}
			next[i+1] = next[i+1] || c == lost && i > 0 && s[i-1] == lost && next[i]
		}
		reached = next
	}
	return reached[len(s)]
}
