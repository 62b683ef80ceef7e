// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestRequiredAttributes: an override neither takes away what every reader needs, nor what an image says of who can be
// seen in it.
func TestRequiredAttributes(t *testing.T) {
	load := func(override, more string) error {
		_, err := LoadProfile(
			[]byte("name: p\nversion: \"1\"\nbase: ps3.15-basic\noverrides: [{" + override + "}]\n" + more),
		)
		return err
	}
	for _, c := range [][2]string{
		{`keyword: Modality, action: remove`, "type 1"},
		{`keyword: Modality, action: hash`, "type 1"},
		{`keyword: Modality, action: replace, with: ""`, "type 1"},
		{`keyword: ImageType, action: empty`, "type 1"},
		{`tag: "(0020,0037)", action: remove`, "type 1"},
		{`keyword: ImagePositionPatient, action: remove`, "type 1"},
		{`keyword: PixelSpacing, action: empty`, "type 1"},
		{`keyword: RescaleSlope, action: regex, pattern: ".*", with: ""`, "type 1"},
		{`keyword: ReferencedSOPClassUID, action: remove`, "type 1"},
		{`keyword: ReferencedSOPClassUID, action: uid`, "type 1"},
		{`keyword: ReferencedSOPInstanceUID, action: remove`, "which instance"},
		{`keyword: CodeMeaning, action: remove`, "type 1"},
		{`keyword: BurnedInAnnotation, action: replace, with: "NO"`, "what the source said"},
		{`keyword: BurnedInAnnotation, action: remove`, "what the source said"},
		{`keyword: RecognizableVisualFeatures, action: replace, with: "NO"`, "what the source said"},
		{`keyword: SpecimenLabelInImage, action: empty`, "what the source said"},
	} {
		for _, more := range []string{"", "allow: [burned-in, recognizable]\n"} {
			require.ErrorContains(t, load(c[0], more), c[1], c[0])
		}
	}
	for _, override := range []string{
		`keyword: Modality, action: replace, with: OT`, `keyword: BurnedInAnnotation, action: keep`,
		`vr: CS, action: remove`, `tag: "(0028,xxxx)", action: remove`,
		`keyword: CodeMeaning, action: clean`, `keyword: ReferencedSOPInstanceUID, action: uid`,
	} {
		require.NoError(t, load(override, ""), override)
	}
	// One of many attributes passes them by.
	s, err := profileOf(t, `overrides: [{vr: CS, action: remove}, {tag: "(0028,xxxx)", action: remove}]`+
		"\nallow: [burned-in]\n").Session(subject())
	require.NoError(t, err)
	d := sample()
	d.Set(0x00280301, "YES")
	got := through(t, s, d)
	require.Equal(t, "CT", got.String(0x00080060))
	require.Equal(t, `ORIGINAL`, got.Strings(0x00080008)[0])
	require.Equal(t, "YES", got.String(0x00280301))
}
