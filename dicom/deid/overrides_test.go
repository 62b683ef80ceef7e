// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestManyAttributes: an override of many attributes passes those by that it doesn't suit, or that must stay.
func TestManyAttributes(t *testing.T) {
	s, err := profileOf(t, `overrides:
  - {vr: UI, action: remove}
  - {vr: PN, action: replace, with: NOBODY}
  - {tag: "(0028,xxxx)", action: remove}
  - {tag: "(0018,xxxx)", action: hash}
  - {tag: "(0014,xxxx)", action: keep}
  - {keyword: StationName, action: regex, pattern: "^.*$", with: "a name that is too long"}
`).Session(subject())
	require.NoError(t, err)
	d := sample()
	d.Set(dict.SliceThickness, "2.5")
	d.Set(dict.ProtocolName, "Doe")
	d.Set(dict.StationName, "CT1")
	d.SetVR(0x0014FF01, dict.LO, "Doe")
	got := through(t, s, d)
	require.Equal(t, dict.CTImageStorage, got.String(dict.SOPClassUID))
	require.Regexp(t, `^2\.25\.`, got.String(dict.SOPInstanceUID))
	require.False(t, got.Has(dict.FrameOfReferenceUID))
	require.Equal(t, "SUBJ-001", got.String(dict.PatientName))
	require.Equal(t, "NOBODY", got.String(dict.ReferringPhysicianName))
	require.True(t, got.Has(dict.Rows))
	require.Equal(t, "2.5", got.String(dict.SliceThickness))
	require.Regexp(t, "^[A-Z0-9]{14}$", got.String(dict.ProtocolName))
	require.False(t, got.Has(dict.StationName), "a result that its VR can't hold")
	require.False(t, got.Has(0x0014FF01), "no dictionary knows it")
}
