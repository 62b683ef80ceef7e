// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"
)

func TestSafeName(t *testing.T) {
	for value, want := range map[string]string{
		"":                   "Undefined",
		" ":                  "Undefined~",
		".":                  "Undefined~",
		"..":                 "Undefined~",
		"../../etc/passwd":   ".._.._etc_passwd~",
		`a<b>c:d"e/f\g|h?i*`: "a_b_c_d_e_f_g_h_i_~",
		"tab\tnul\x00":       "tab_nul_~",
		"bad\xffutf8":        "bad_utf8~",
		"trailing. ":         "trailing~",
		"CON":                "_CON~",
		"com1.txt":           "_com1.txt~",
		"CONTRAST":           "CONTRAST",
		"_CON":               "_CON",
		"頭部 CT":              "頭部 CT",
		"Mu\u0308ller":       "Müller~", // composed, as some file systems do
		"Müller":             "Müller",
		"left\u202eright":    "left_right~",
		"A_B~1f2e3d4c":       "A_B~1f2e3d4c~",
	} {
		name := safeName(value)
		if !strings.HasSuffix(want, "~") {
			require.Equal(t, want, name, "%q", value)
			continue
		}
		require.Regexp(t, "^"+regexp.QuoteMeta(want)+"[0-9a-f]{8}$", name, "%q", value)
	}
	long := strings.Repeat("ä", 200)
	a, b := safeName(long+"1"), safeName(long+"2")
	require.LessOrEqual(t, len(a), maxName)
	require.NotEqual(t, a, b, "what is cut off still tells names apart")
	require.True(t, utf8.ValidString(a))
	require.NotEqual(t, strings.ToUpper(patientFolder("abc", true)), strings.ToUpper(patientFolder("ABC", true)))
	require.NotEqual(t, strings.ToUpper(patientFolder("UNDEFINED", true)), strings.ToUpper(patientFolder("", true)))
	require.Equal(t, "abc", patientFolder("abc", false))
}

// TestSafeNamesApart: no two values have one name, of all that is made of a few awkward letters.
func TestSafeNamesApart(t *testing.T) {
	values := []string{""}
	for range 4 {
		for _, v := range slices.Clone(values) {
			for _, letter := range []string{"A", "/", ":", "_", " ", ".", "\u0308", "\xff"} {
				values = append(values, v+letter)
			}
		}
		slices.Sort(values)
		values = slices.Compact(values)
	}
	names := map[string]string{}
	for _, v := range values {
		name := safeName(v)
		require.NotContains(t, names, name, "of %q", v)
		require.Equal(t, name, norm.NFC.String(name))
		names[name] = v
	}
	require.Len(t, names, 4681)
}

func FuzzSafeName(f *testing.F) {
	for _, s := range []string{"", "..", "a/b", "CON.txt", strings.Repeat("x", 300), "\x00", " . "} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := safeName(s)
		if name == "" || name == "." || name == ".." || strings.ContainsAny(name, "/\\\x00") ||
			len(name) > maxName || !utf8.ValidString(name) {
			t.Fatalf("%q became %q", s, name)
		}
	})
}
