// SPDX-License-Identifier: AGPL-3.0-or-later

package match

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

func TestValues(t *testing.T) {
	for _, test := range []struct {
		vr           dict.VR
		want, values string // multiple values with a backslash
		matches      bool
	}{
		{dict.LO, "", "x", true},
		{dict.LO, "*", "", true},
		{dict.LO, "x", "", false},
		{dict.LO, "abc", "abc", true},
		{dict.LO, "abc", "ABC", false},
		{dict.LO, "a*c", "abbbc", true},
		{dict.LO, "a*c", "abbbcd", false},
		{dict.LO, "*b*", "abc", true},
		{dict.LO, "a?c", "abc", true},
		{dict.LO, "a?c", "ac", false},
		{dict.LO, "ä?ü*", "äöüß", true},
		{dict.LO, "a**", "a", true},
		{dict.LO, "a[b]", "a[b]", true},
		{dict.LO, strings.Repeat("*a", 30), strings.Repeat("a", 29) + "b", false},
		{dict.CS, "CT", `CT\SR`, true},
		{dict.CS, `MR\SR`, `CT\SR`, true},
		{dict.CS, "US", `CT\SR`, false},
		{dict.UI, `1.2\1.3`, "1.3", true},
		{dict.UI, "1.*", "1.3", false},
		{dict.IS, "007", "7", true},
		{dict.DA, "20240101", "20240101", true},
		{dict.DA, "2024.01.01", "20240101", true},
		{dict.DA, "20240101-20240131", "20240131", true},
		{dict.DA, "20240101-20240131", "20240201", false},
		{dict.DA, "-20240131", "20240131", true},
		{dict.DA, "20240131-", "20240130", false},
		{dict.DA, "20240131-", "", false},
		{dict.TM, "0800-0900", "090059.5", true},
		{dict.TM, "0800-0900", "0901", false},
		{dict.TM, "08", "081500", true},
		{dict.PN, "phantom^a*", "Phantom^Alpha", true},
		{dict.PN, "Phantom^Alpha", "Phantom^Alpha^^", true},
		{dict.PN, "幻影^三", "Gen'ei^San=幻影^三=げんえい^さん", true},
		{dict.PN, "げんえい*", "Gen'ei^San=幻影^三=げんえい^さん", true},
		{dict.PN, "Alpha", "Phantom^Alpha", false},
	} {
		var values []string
		if test.values != "" {
			values = strings.Split(test.values, `\`)
		}
		require.Equal(
			t, test.matches, Values(test.vr, strings.Split(test.want, `\`), values),
			"%s %q in %q", test.vr, test.want, test.values,
		)
	}
}
