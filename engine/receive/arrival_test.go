// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestChosen: of several transfer syntaxes in one context the receiver takes what makes the peer convert least, and
// never one with loss if there is another.
func TestChosen(t *testing.T) {
	const ele, ile, be, rle, lossy = dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian,
		dict.ExplicitVRBigEndian, dict.RLELossless, dict.JPEGBaseline8Bit
	for _, tt := range []struct {
		name          string
		proposed      []string
		plain, pixels bool
		want          string
	}{
		{"the only one", []string{lossy}, false, true, lossy},
		{"the first", []string{rle, ele, ile}, false, true, rle},
		{"not the lossy one", []string{lossy, ile}, false, true, ile},
		{"not big endian", []string{be, ile, ele}, false, true, ile},
		{"big endian rather than loss", []string{lossy, be}, false, true, be},
		{"a private one", []string{"1.2.3.4"}, false, true, "1.2.3.4"},
		{"without pixels", []string{rle, ile, ele}, false, false, ele},
		{"without pixels, in one only", []string{dict.DeflatedExplicitVRLittleEndian}, false, false, dict.DeflatedExplicitVRLittleEndian},
		{"plain", []string{rle, be, ile}, true, true, ile},
		{"plain, nothing else", []string{rle, be}, true, true, be},
		{"plain, of none", []string{rle}, true, true, ""},
		{"of nothing", nil, false, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, chosen(tt.proposed, tt.plain, tt.pixels)) })
	}
}
