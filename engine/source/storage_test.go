// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestProposals: held and uncompressed transfer syntaxes come first, nothing compressed for what has no pixels. What is
// proposed at first fits into one association, and leaves no room unused; what doesn't fit comes with a greater
// breadth.
func TestProposals(t *testing.T) {
	held := map[string][]string{dict.CTImageStorage: {dict.JPEGXL}}
	one := Proposals([]string{dict.CTImageStorage, dict.BasicTextSRStorage}, held, nil)
	require.Equal(
		t, []string{dict.JPEGXL, dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian},
		one[dict.CTImageStorage][:3],
	)
	require.Contains(t, one[dict.CTImageStorage], dict.JPEGBaseline8Bit)
	require.ElementsMatch(t, DataSyntaxes, one[dict.BasicTextSRStorage])

	all := dict.StorageClasses(true)
	for n := 1; n <= len(all); n++ {
		breadths := map[string]Breadth{}
		for _, class := range all[:n] {
			breadths[class] = Usual
		}
		first, everything := Proposals(all[:n], nil, nil), CountOf(Proposals(all[:n], nil, breadths))
		require.Equal(t, max(2*n, min(MaxStorage, everything)), CountOf(first), "%d classes", n)
		for _, list := range first {
			require.Equal(t, []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}, list[:2])
		}
	}
	require.Empty(t, Proposals(nil, nil, nil))

	rare := map[string]Breadth{dict.CTImageStorage: Registered, dict.BasicTextSRStorage: Registered}
	one = Proposals([]string{dict.CTImageStorage, dict.BasicTextSRStorage}, held, rare)
	require.Subset(t, one[dict.CTImageStorage], dict.TransferSyntaxes())
	require.LessOrEqual(t, len(one[dict.CTImageStorage]), MaxStorage, "all of one class fit into one association")
	require.ElementsMatch(t, DataSyntaxes, one[dict.BasicTextSRStorage])
}
