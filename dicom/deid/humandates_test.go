// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/dates/datestest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestWrittenDatesBesideShifted: where dates are shifted, a text that a rule of the profile keeps says no date, in
// whatever attribute and form, in every encoding alike.
func TestWrittenDatesBesideShifted(t *testing.T) {
	for _, override := range []string{
		`{tag: "(0019,xx10)", creator: ACME, action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, vr: LO, action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, vr: CS, action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, vr: UT, action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, vr: LO, action: regex, pattern: "^seen", with: "done"}`,
		`{tag: "(0019,xxxx)", action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, vr: IS, action: keep}`,
		`{keyword: StudyDescription, action: keep}`,
		`{keyword: StudyDescription, action: regex, pattern: "^seen", with: "done"}`,
		`{keyword: BodyPartExamined, action: keep}`,
		`{vr: CS, action: keep}`,
		`{vr: DS, action: keep}`,
	} {
		s, err := profileOf(t, "options: [modified-dates]\noverrides: ["+override+"]\n").Session(subject())
		require.NoError(t, err)
		for _, text := range datestest.Ways27Nov {
			for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
				d := sample()
				d.SetVR(0x00190010, dict.LO, "ACME")
				d.SetVR(0x00191010, dict.LO, "seen "+text)
				d.SetVR(dict.StudyDescription, dict.LO, "seen "+text)
				d.Put(stream.Element{Tag: dict.BodyPartExamined, VR: dict.CS, Value: []byte(text)})
				if strings.Contains(override, "DS") {
					d.Put(stream.Element{Tag: dict.SliceThickness, VR: dict.DS, Value: []byte(text)})
				}
				in := encode(t, d, syntax)
				out, _, err := deidentify(t, s, in, syntax)
				require.NoError(t, err)
				if !strings.Contains(override, "DS") || len(text) > 6 { // or it is a number
					require.NotContains(t, string(out), text, override)
				}
			}
		}
	}
	// What says no date stays, and so does a date where none is shifted.
	for options, text := range map[string]string{
		"options: [modified-dates]\n": "seen T1 FLAIR 3D",
		"options: [full-dates]\n":     "seen 27.11.19", "": "seen 27.11.19",
	} {
		s, err := profileOf(t,
			options+
				`overrides: [{tag: "(0019,xx10)", creator: ACME, vr: LO, action: keep}, {keyword: StudyDescription, action: keep}]`+
				"\n",
		).Session(subject())
		require.NoError(t, err)
		d := sample()
		d.SetVR(0x00190010, dict.LO, "ACME")
		d.SetVR(0x00191010, dict.LO, text)
		d.Set(dict.StudyDescription, text)
		got := through(t, s, d)
		require.Equal(t, text, got.String(0x00191010))
		require.Equal(t, text, got.String(dict.StudyDescription))
	}
}
