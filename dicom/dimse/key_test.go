// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
)

func TestCheckKey(t *testing.T) {
	for vr, values := range map[dict.VR]struct{ good, bad []string }{
		dict.UI: {
			[]string{"", "1.2.3", "1.02.3", strings.Repeat("1", 64)},
			[]string{"1.2. 3", " 1.2.3", "1.2.*", "1.2.?", "1..2", "1.2.", "1,2", "uid", strings.Repeat("1", 65)},
		},
		dict.DA: {
			[]string{"20240229", "20240101-20240102", "20240101-20240101", "20240101-", "-20240101"},
			[]string{"20230229", "2024", "2024-01-01", "20240102-20240101", "-", "20240101-20240102-20240103", "*", "2024.01.01"},
		},
		dict.TM: {
			[]string{"07", "0730", "073059", "073059.5", "0730-0900", "07-07", "0730-07", "-1200", "073000.1-073000.100000"},
			[]string{"7", "2400", "0760", "07:30", "2200-0600", "073059.", "0730.5", "073059.1234567", "-", "073000.2-073000.1"},
		},
		dict.CS: {[]string{"CT", "C*", "M?", "ORIGINAL 1"}, []string{"ct", "CT,MR", "COMPUTEDTOMOGRAPHY", "ĆT"}},
		dict.PN: {[]string{"*", "Doe^J*", "Yamada=山田=やまだ"}, []string{"a=b=c=d", "a^b^c^d^e^f", strings.Repeat("é", 65)}},
		dict.LO: {[]string{strings.Repeat("é", 64), "a*"}, []string{strings.Repeat("é", 65), "a\tb", "\x7f", "\u0085", "\xff", "  "}},
		dict.AS: {[]string{"042Y"}, []string{"42", "42Y", "042y"}},
		dict.IS: {[]string{"1", "+1", "-1"}, []string{"one", "1.5", "1-2"}},
		dict.US: {[]string{"512"}, []string{"wide"}},
		dict.DS: {[]string{"1.5", "1e3"}, []string{"1,5"}},
		dict.SQ: {nil, []string{"x"}},
	} {
		for _, value := range values.good {
			require.NoError(t, dimse.CheckKey(vr, value), "%s %q", vr, value)
		}
		for _, value := range values.bad {
			err := dimse.CheckKey(vr, value)
			require.Error(t, err, "%s %q", vr, value)
			if len(value) > 5 {
				require.NotContains(t, err.Error(), value)
			}
		}
	}
}
