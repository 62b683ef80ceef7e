// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDerivations holds values that must never change: objects that were sent carry them. They were computed
// by a program of another language from the layout in DESIGN.md.
func TestDerivations(t *testing.T) {
	d := newDeriver(testKey)
	require.Equal(t, "2.25.29207512405901210660390646915802827053", d.uid(1, []byte("1.2.3.3")))
	require.Equal(t, "2.25.187335502849946867450231563448134787391", d.uid(2, []byte("1.2.3.3")))
	require.Equal(t, "1PDA17HWFCH0US", testKey.Pseudonym(PatientIdentity("P-4711", "HOSP", "1.2")))
	require.Equal(t, "JCHDF4CO0Q2F95", string(d.appendToken(nil, "value", []byte("A-99"))))
	require.Equal(t, -120, d.dateOffset(PatientIdentity("P-4711", "HOSP", "1.2")))
}

func TestUID(t *testing.T) {
	d := newDeriver(testKey)
	for _, original := range []string{"1.2", "1.2.3", strings.Repeat("1.2", 21)} {
		uid := d.uid(0, []byte(original))
		n, ok := new(big.Int).SetString(strings.TrimPrefix(uid, "2.25."), 10)
		require.True(t, ok)
		b := n.FillBytes(make([]byte, 16))
		require.EqualValues(t, 8, b[6]>>4, "version")
		require.EqualValues(t, 2, b[8]>>6, "variant")
		require.LessOrEqual(t, len(uid), 44)
	}
}

func TestDateOffset(t *testing.T) {
	d := newDeriver(testKey)
	seen := map[int]bool{}
	for i := range 5000 {
		o := d.dateOffset(Identity(strings.Repeat("x", i%50) + string(rune('A'+i/50))))
		require.GreaterOrEqual(t, o, -730)
		require.LessOrEqual(t, o, -62)
		seen[o] = true
	}
	require.Greater(t, len(seen), 600)
}

func TestPatientIdentity(t *testing.T) {
	require.Equal(t, PatientIdentity(" 7 ", "A", "1.2"), PatientIdentity("7\x00", "A", "1.3"))
	require.NotEqual(t, PatientIdentity("7", "A", ""), PatientIdentity("7", "B", ""))
	require.NotEqual(t, PatientIdentity("7A", "", ""), PatientIdentity("7", "A", ""))
	require.NotEqual(t, PatientIdentity("", "A", "1.2"), PatientIdentity("", "A", "1.3"))
	require.Equal(t, PatientIdentity("", "A", "1.2"), PatientIdentity(" ", "B", "1.2"))
}

func TestCheckPseudonym(t *testing.T) {
	for _, good := range []string{"S1", "Müller 7", strings.Repeat("ü", 64)} {
		require.NoError(t, CheckPseudonym(good), good)
	}
	for _, bad := range []string{"", " S1", "A^B", "A=B", `A\B`, "A*", "A?", "A\nB", strings.Repeat("x", 65), "\xff"} {
		require.Error(t, CheckPseudonym(bad), bad)
	}
}

func TestShift(t *testing.T) {
	for _, c := range []struct {
		vr       string
		in, want string // want empty: it can't be shifted
	}{
		{"DA", "20240301", "20240229"},
		{"DA", "20240101 ", "20231231 "},
		{"DA", `20240301\\20000301`, `20240229\\20000229`},
		{"DA", "19000301", "19000228"},
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
		out, ok := appendShifted([]byte("x"), []byte(c.in), vrOf(c.vr), -1)
		require.Equal(t, c.want != "", ok, c.in)
		require.Equal(t, "x"+c.want, string(out), c.in)
	}
}

// TestCalendar goes through every day of eight centuries.
func TestCalendar(t *testing.T) {
	n := days(1600, 1, 1)
	for y := 1600; y < 2400; y++ {
		for m := 1; m <= 12; m++ {
			last := []int{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31}[m-1]
			if m == 2 && y%4 == 0 && (y%100 != 0 || y%400 == 0) {
				last = 29
			}
			for d := 1; d <= last; d++ {
				require.Equal(t, n, days(y, m, d))
				cy, cm, cd := civil(n)
				require.Equal(t, []int{y, m, d}, []int{cy, cm, cd})
				n++
			}
		}
	}
}
