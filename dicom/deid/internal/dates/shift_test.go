// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

func TestShift(t *testing.T) {
	for _, c := range []struct {
		vr       string
		in, want string // want empty: it can't be shifted
	}{
		{"DA", "20240301", "20240229"},
		{"DA", "20240101 ", "20231231 "},
		{"DA", `20240301\\20000301`, `20240229\\20000229`},
		{"DA", `20240301\19000101`, ""}, // one that can't be shifted beside one that can
		{"DA", "19720301", "19720229"},
		{"DA", "20240230", ""},
		{"DA", "2024.03.01", ""},
		{"DA", "20240301-20240401", ""},
		{"DA", "Doe^Jane", ""},
		{"DA", `20240301\Doe`, ""},
		{"DA", "00010101", ""},
		{"DT", "20240301101500.123456+0100", "20240229101500.123456+0100"},
		{"DT", "20240301", "20240229"},
		{"DT", "2024030110", "2024022910"},
		{"DT", "20240301-0500", "20240229-0500"},
		{"DT", "202403", ""},
		{"DT", "20240301Jane", ""},
		{"TM", "101500.25", "101500.25"},
		{"TM", "10:15:00", "10:15:00"},
		{"TM", "Jane", ""},
		{"TM", "101500-111500", ""},
		{"SH", "+0100", "+0100"},
		{"SH", "Jane", ""},
		{"OB", "20240301", ""},
	} {
		out, ok := AppendShifted([]byte("x"), []byte(c.in), vrOf(c.vr), -1, nil)
		require.Equal(t, c.want != "", ok, c.in)
		require.Equal(t, "x"+c.want, string(out), c.in)
	}
}

func vrOf(s string) dict.VR { return dict.VR(s[0])<<8 | dict.VR(s[1]) }

// FuzzShift: what is moved has its form still, and comes back by the same number of days.
func FuzzShift(f *testing.F) {
	for _, value := range []string{
		"20240229", "20240229101500.123456-0530", `20240229\20240301 `, "00010101",
		"99991231", "20240230", "2024.02.29", `\`, "20240101+0000", "-0500",
	} {
		f.Add([]byte(value), uint16(100), true)
		f.Add([]byte(value), uint16(730), false)
	}
	f.Fuzz(func(t *testing.T, value []byte, by uint16, stamp bool) {
		vr, offset := dict.DA, -int(by)
		if stamp {
			vr = dict.DT
		}
		out, ok := AppendShifted(nil, value, vr, offset, nil)
		if !ok {
			return
		}
		require.Len(t, out, len(value))
		if back, ok := AppendShifted(nil, out, vr, -offset, nil); ok { // not where it came to a placeholder
			require.Equal(t, string(value), string(back))
		}
	})
}
