// SPDX-License-Identifier: AGPL-3.0-or-later

// Package match tells whether the values of an attribute are what a query asks for (PS3.4 C.2.2.2).
package match

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// Values reports whether one of the values is what one of the wanted asks for (PS3.4 C.2.2.2): a single value, a list
// of UIDs, wild cards, a range. Nothing wanted, or * alone, is universal matching.
func Values(vr dict.VR, wanted, values []string) bool {
	if !slices.ContainsFunc(wanted, func(w string) bool { return strings.Trim(w, "*") != "" }) {
		return true // universal
	}
	return slices.ContainsFunc(wanted, func(w string) bool {
		return slices.ContainsFunc(values, func(v string) bool { return matchOne(vr, w, v) })
	})
}

func matchOne(vr dict.VR, want, value string) bool {
	switch vr {
	case dict.UI, dict.US, dict.UL:
		return want == value
	case dict.IS:
		return strings.TrimLeft(want, "+0") == strings.TrimLeft(value, "+0")
	case dict.DA, dict.TM, dict.DT:
		return inRange(vr, want, value)
	case dict.PN:
		return matchName(want, value)
	}
	return wildcard(want, value)
}

// inRange matches dates and times: "a-b", "-b", "a-" and "a", both ends included. A time of less precision stands for
// all that begins so.
func inRange(vr dict.VR, want, value string) bool {
	if value == "" {
		return false
	}
	if vr == dict.DA { // the form of ACR-NEMA
		want, value = strings.ReplaceAll(want, ".", ""), strings.ReplaceAll(value, ".", "")
	}
	from, to, isRange := strings.Cut(want, "-")
	if !isRange {
		return strings.HasPrefix(value, want)
	}
	return (from == "" || value >= from) && (to == "" || value <= to || strings.HasPrefix(value, to))
}

// matchName matches one of the component groups, or all of them together, without regard to case and trailing
// delimiters.
func matchName(want, value string) bool {
	want, value = foldName(want), foldName(value)
	if wildcard(want, value) {
		return true
	}
	return slices.ContainsFunc(
		strings.Split(value, "="), func(group string) bool { return wildcard(want, foldName(group)) },
	)
}

func foldName(s string) string { return strings.TrimRight(strings.ToLower(s), "^= ") }

// wildcard matches with * for any characters and ? for one. It takes time in proportion to both lengths at most.
func wildcard(pattern, s string) bool {
	p, t := []rune(pattern), []rune(s)
	star, mark := -1, 0 // the last *, and up to where it has eaten
	i, k := 0, 0
	for k < len(t) {
		switch {
		case i < len(p) && p[i] == '*':
			star, mark = i, k
			i++
		case i < len(p) && (p[i] == '?' || p[i] == t[k]):
			i++
			k++
		case star >= 0:
			mark++
			i, k = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(string(p[i:]), "*") == ""
}
