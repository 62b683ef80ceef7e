// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/dicom/charset"
)

// This is what zz_settings.go tidies values up with, and checks them by.

func trimBlanks(text string) string { return strings.Trim(text, " ") }

// each returns a list of what becomes of the entries of another one.
func each(list []string, tidy func(string) string) []string {
	out := slices.Clone(list)
	for i, text := range out {
		out[i] = tidy(text)
	}
	return out
}

// wholeSeconds returns a length of time as it is kept: whole seconds, and not less than so many. What is negative stays
// wrong.
func wholeSeconds(d time.Duration, least int) time.Duration {
	if d < 0 {
		return d
	}
	return max(d.Truncate(time.Second), time.Duration(least)*time.Second)
}

func between[T cmp.Ordered](value, least, most T) bool { return value >= least && value <= most }

// every reports whether all entries of a list are valid.
func every(list []string, valid func(string) bool) bool {
	return !slices.ContainsFunc(list, func(text string) bool { return !valid(text) })
}

// only reports whether a list has no entries but certain ones.
func only(list, of []string) bool {
	return every(list, func(text string) bool { return slices.Contains(of, text) })
}

func validRange(text string) bool {
	_, err := addressRange(text)
	return err == nil
}

// validCharset reports whether a text is a value of Specific Character Set.
func validCharset(text string) bool {
	_, err := charset.New(strings.Split(text, `\`))
	return err == nil
}
