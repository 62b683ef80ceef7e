// SPDX-License-Identifier: AGPL-3.0-or-later

package words

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// FuzzClean: only words that were there stay, in their order, and cleaning leaves what it left.
func FuzzClean(f *testing.F) {
	for _, text := range []string{
		"CT Thorax Müllerschön 14.11.2023", "t2_tse_tra_5mm", "Brain MRI Ms. Smith 2023-11-14", "CT 23 8 49s",
		`CT Meier\Young Black`, "MR 3T 1.5T 0.6mm 120kV", "CT Oct 23d 1949", "\x1b$B;3", "HWS a.p. + seitlich",
	} {
		f.Add(text)
	}
	own := Own{}
	f.Fuzz(func(t *testing.T, text string) {
		for _, vr := range []dict.VR{dict.LO, dict.LT} {
			cleaned, all := own.Clean(text, vr)
			if all {
				continue
			}
			rest := text
			for word := range strings.FieldsFuncSeq(cleaned, func(r rune) bool { return r == ' ' || r == '\\' }) {
				at := strings.Index(rest, word)
				require.GreaterOrEqual(t, at, 0, "%q of %q", word, text)
				rest = rest[at+len(word):]
			}
			again, _ := own.Clean(cleaned, vr)
			require.Equal(t, cleaned, again, "of %q", text)
		}
	})
}
