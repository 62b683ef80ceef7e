// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ways27Nov are ways to write 27 November 2019.
var ways27Nov = []string{
	"27 Nov 2019", "27.11.19", "27/11/2019", "11/27/2019", "27. November 2019", "27NOV2019", "27nov19", "Nov 27th 2019", "November 27, 2019", "27th of November 2019", "2019-11-27",
	"2019/11/27", "2019 Nov 27", "27-11-19", "19-11-27", "Nov272019", "NOV2719", "November272019", "19Nov27", "20191127", "27112019", "271119", "191127", "20191127101500", "27_11_2019", "27. 11. 2019", "27 11 2019",
}

func TestWrittenDates(t *testing.T) {
	for _, text := range ways27Nov {
		require.Contains(t, writtenDates([]byte("seen "+text+" again")), days(2019, 11, 27), text)
	}
	for text, day := range map[string]int{
		"17. März 1953": days(1953, 3, 17), "17 Maerz 1953": days(1953, 3, 17), "5 Dez 53": days(1953, 12, 5), "1. Mai 2001": days(2001, 5, 1), "Okt 3 1990": days(1990, 10, 3), "M\xe4rz 1953": days(1953, 3, 1),
		"Dez51953": days(1953, 12, 5),
	} {
		require.Contains(t, writtenDates([]byte(text)), day, text)
	}
	require.Contains(t, writtenDates([]byte("in November 2019")), days(2019, 11, 1))
	for _, text := range []string{
		"", "27", "Nov", "27 Nov", "10:15:00", "1.2.840.10008", "120 kV 5 mm", "0.5-1.5", "99.99.99", "32 Okt 19", "30 Feb 19", "T1 FLAIR 3D", "1 2 3", "version 5.1", "123456789", "2019",
	} {
		require.Empty(t, writtenDates([]byte(text)), text)
	}
}

// TestWrittenDatesBesideShifted: where dates are shifted, a text that a rule of the profile keeps says no date, in whatever attribute and form, in every
// encoding alike.
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
		for _, text := range ways27Nov {
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
	for options, text := range map[string]string{"options: [modified-dates]\n": "seen T1 FLAIR 3D", "options: [full-dates]\n": "seen 27.11.19", "": "seen 27.11.19"} {
		s, err := profileOf(t, options+`overrides: [{tag: "(0019,xx10)", creator: ACME, vr: LO, action: keep}, {keyword: StudyDescription, action: keep}]`+"\n").Session(subject())
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
