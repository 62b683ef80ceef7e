// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dict"
)

// CheckKey returns why a value of a matching key cannot match anything (PS3.4 C.2.2.2, PS3.5 6.2), nil if it can: a
// server would find nothing, and not say why. The empty value matches everything. The error doesn't quote the value.
// What servers are known to have in spite of the standard passes: an accession number of more than 16 characters.
func CheckKey(vr dict.VR, value string) error {
	switch {
	case value == "":
		return nil
	case !utf8.ValidString(value):
		return errors.New("not valid UTF-8")
	case strings.ContainsFunc(value, unicode.IsControl):
		return errors.New("must not hold control characters")
	case strings.TrimSpace(value) == "":
		return errors.New("only blanks, which match everything")
	}
	return checkForm(vr, value)
}

// checkForm checks what the VR demands.
func checkForm(vr dict.VR, value string) error {
	switch vr {
	case dict.UI:
		if !dict.ValidUID(value) {
			return errors.New(
				"not a DICOM UID: it must be numbers with dots between them, at most 64 characters, without wildcards",
			)
		}
	case dict.DA:
		return checkRange(value, "YYYYMMDD", parseDate)
	case dict.TM:
		return checkRange(value, "HHMMSS", parseTime)
	case dict.PN:
		return checkName(value)
	case dict.CS:
		if len(value) > 16 || !codeForm().MatchString(value) {
			return errors.New(
				"a code of at most 16 capital letters, digits, spaces and underscores; * and ? are wildcards",
			)
		}
	case dict.AE, dict.LO, dict.SH:
		if limit := map[dict.VR]int{dict.AE: 16, dict.LO: 64, dict.SH: 64}[vr]; utf8.RuneCountInString(value) > limit {
			return fmt.Errorf("at most %d characters", limit)
		}
	case dict.AS:
		if !ageForm().MatchString(value) {
			return errors.New("not an age of the form 042Y, 006M, 003W or 010D")
		}
	case dict.SQ:
		return errors.New("a sequence, which has no value of its own")
	}
	return checkNumber(vr, value)
}

func checkNumber(vr dict.VR, value string) error {
	value = strings.TrimSpace(value)
	switch vr {
	case dict.IS, dict.US, dict.SS, dict.UL, dict.SL, dict.UV, dict.SV:
		if _, err := strconv.ParseInt(value, 10, 64); err != nil {
			return errors.New("not a whole number")
		}
	case dict.DS, dict.FL, dict.FD:
		if _, err := strconv.ParseFloat(value, 64); err != nil {
			return errors.New("not a number")
		}
	}
	return nil
}

// The expressions are compiled when they are first needed, as the start of a program would pay for it.
var (
	codeForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[A-Z0-9 _*?]+$`) })
	ageForm  = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\d{3}[DWMY]$`) })
)

// checkRange checks a single value, "from-", "-to" and "from-to", both ends included.
func checkRange(value, form string, parse func(string, bool) (time.Time, bool)) error {
	first, last, isRange := strings.Cut(value, "-")
	if !isRange {
		last = first
	}
	from, fromOK := parse(first, false)
	to, toOK := parse(last, true)
	switch {
	case isRange && first == "" && last == "":
		return errors.New("a range without an end")
	case first != "" && !fromOK, last != "" && !toOK:
		return fmt.Errorf("not of the form %s, or not in the calendar or on the clock; a range has one hyphen", form)
	case first != "" && last != "" && to.Before(from):
		return errors.New("a range that ends before it begins")
	}
	return nil
}

func parseDate(s string, _ bool) (time.Time, bool) {
	t, err := time.Parse("20060102", s)
	return t, err == nil
}

// parseTime reads HH, HHMM, HHMMSS and fractions of a second. One of less precision ends with the last instant that
// begins so.
func parseTime(s string, last bool) (time.Time, bool) {
	whole, fraction, _ := strings.Cut(s, ".")
	forms := map[int]time.Duration{2: time.Hour, 4: time.Minute, 6: time.Second}
	unit, ok := forms[len(whole)]
	if !ok || strings.Contains(s, ".") && (unit != time.Second || fraction == "" || len(fraction) > 6) {
		return time.Time{}, false
	}
	t, err := time.Parse("150405.999999999"[:len(whole)], whole)
	if err != nil {
		return time.Time{}, false
	}
	if fraction != "" {
		n, err := strconv.ParseUint((fraction + "000000")[:6], 10, 32)
		if err != nil {
			return time.Time{}, false
		}
		t, unit = t.Add(time.Duration(n)*time.Microsecond), time.Microsecond
	}
	if last {
		t = t.Add(unit - 1)
	}
	return t, true
}

const (
	maxNameGroups     = 3
	maxNameComponents = 5
	maxNameGroup      = 64 // characters
)

// checkName checks a person name: component groups with "=" between them, components with "^".
func checkName(value string) error {
	groups := strings.Split(value, "=")
	if len(groups) > maxNameGroups {
		return fmt.Errorf("a name has at most %d component groups, with = between them", maxNameGroups)
	}
	for _, g := range groups {
		switch {
		case utf8.RuneCountInString(g) > maxNameGroup:
			return fmt.Errorf("a name has at most %d characters", maxNameGroup)
		case strings.Count(g, "^") >= maxNameComponents:
			return fmt.Errorf("a name has at most %d components, with ^ between them", maxNameComponents)
		}
	}
	return nil
}
