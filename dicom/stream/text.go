// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// trimText takes padding away: blanks around (they have no meaning, PS3.5 6.2), nulls behind.
func trimText(s string) string { return strings.Trim(s, " \x00") }

// trimValue is trimText but for the VRs whose leading blanks have a meaning.
func trimValue(s string, vr dict.VR) string {
	switch vr {
	case dict.LT, dict.ST, dict.UT, dict.UC, dict.UR:
		return strings.TrimRight(s, " \x00")
	}
	return trimText(s)
}

func firstValue(s string, vr dict.VR) string {
	if vr.MultiValued() {
		s, _, _ = strings.Cut(s, `\`)
	}
	return trimValue(s, vr)
}

func values(s string, vr dict.VR) []string {
	if s = trimValue(s, vr); s == "" {
		return nil
	}
	if !vr.MultiValued() {
		return []string{s}
	}
	list := strings.Split(s, `\`)
	for i := range list {
		list[i] = trimValue(list[i], vr)
	}
	return list
}
