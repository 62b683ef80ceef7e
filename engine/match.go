// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// matches filters again what servers don't filter by: some ignore keys that they don't index. What an answer leaves out can't be compared,
// and is let pass only where it tells no patient from another.
func (s Search) matches(f FoundStudy) bool {
	// Who is identified otherwise needs no name, nor an accession number.
	byID := s.PatientID != "" && f.PatientID == s.PatientID
	byAccession := s.AccessionNumber != "" && matchesAccession(s.AccessionNumber, f.AccessionNumber)
	switch {
	case f.StudyInstanceUID == "",
		s.PatientID != "" && !byID,
		s.AccessionNumber != "" && !byAccession && !(byID && f.AccessionNumber == ""),
		s.PatientName != "" && !matchesName(dicomName(s.PatientName), f.PatientName) && !(f.PatientName == "" && (byID || byAccession)),
		s.Modality != "" && len(f.ModalitiesInStudy) > 0 && !slices.ContainsFunc(f.ModalitiesInStudy, func(m string) bool { return strings.EqualFold(m, s.Modality) }),
		!inDates(s.StudyDateFrom, s.StudyDateTo, f.StudyDate):
		return false
	}
	return true
}

// longestSH is the length of a value of VR SH (PS3.5 6.2). Accession numbers are longer in places, and cut by some servers.
const longestSH = 16

func matchesAccession(wanted, value string) bool {
	return value == wanted || len(wanted) > longestSH && value == wanted[:longestSH]
}

// inDates tells whether a date lies within a range, both ends included. A study without a date lies in each.
func inDates(from, to, date string) bool {
	date = strings.ReplaceAll(date, ".", "") // the form of ACR-NEMA
	return date == "" || (from == "" || date >= from) && (to == "" || date <= to)
}

// matchesName matches a person name as C-FIND does (PS3.4 C.2.2.2.1, C.2.2.2.4), without regard to case and accents: with * for any characters
// and ? for one, against any of the component groups, or group by group if the wanted name has several. A wanted name that ends
// early, as a family name alone does, matches whatever follows, since servers differ in that.
func matchesName(wanted, value string) bool {
	if strings.Contains(wanted, "=") {
		want, have := strings.Split(wanted, "="), strings.Split(value, "=")
		for i, w := range want {
			if w = foldName(w); w != "" && (i >= len(have) || !matchesGroup(w, foldName(have[i]))) {
				return false
			}
		}
		return true
	}
	wanted = foldName(wanted)
	return wanted == "" || slices.ContainsFunc(strings.Split(value, "="), func(group string) bool { return matchesGroup(wanted, foldName(group)) })
}

func matchesGroup(wanted, group string) bool {
	return wildcard([]rune(wanted), []rune(group)) || wildcard([]rune(wanted+"^*"), []rune(group))
}

// foldName takes case, accents, blanks around components and empty ones at the end from a component group.
func foldName(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Mn, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, norm.NFKD.String(s))
	components := strings.Split(norm.NFC.String(s), "^")
	for i, c := range components {
		components[i] = strings.TrimSpace(c)
	}
	return strings.TrimRight(strings.Join(components, "^"), "^")
}

// wildcard matches with * for any characters and ? for one, in time proportional to the product of both lengths.
func wildcard(pattern, s []rune) bool {
	star, mark, p, i := -1, 0, 0, 0
	for i < len(s) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, i
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == s[i]):
			p++
			i++
		case star >= 0: // the last * takes one more
			mark++
			p, i = star+1, mark
		default:
			return false
		}
	}
	for p < len(pattern) && pattern[p] == '*' {
		p++
	}
	return p == len(pattern)
}
