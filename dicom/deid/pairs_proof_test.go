// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestPairs: attributes that the standard allows only beside each other don't lose their other half, and none that it
// requires goes. An instance of each of these classes, which have all modules between them, has all attributes of Table
// E.1-1 and of additions.txt; dciodvfy finds no error in the output that it doesn't find in the input.
func TestPairs(t *testing.T) {
	var all stream.DataSet
	for _, c := range tableCases(t) {
		if c.tag.Group() >= 8 && !slices.Contains([]string{"50xxxxxx", "60xx4000", "60xx3000"}, c.row["id"]) {
			all.Put(sample(t, c.tag, c.vr, single))
		}
	}
	for _, j := range readAdditions(t) {
		if e, ok := dict.ByKeyword(j.keyword); ok {
			all.Put(additionSample(t, e))
		}
	}
	dir := t.TempDir()
	for _, class := range []string{
		dict.CTImageStorage, dict.EnhancedMRImageStorage, dict.UltrasoundImageStorage,
		dict.DigitalMammographyXRayImageStorageForPresentation,
		dict.PositronEmissionTomographyImageStorage, dict.RTPlanStorage,
		dict.RTImageStorage, dict.RTBeamsTreatmentRecordStorage, dict.SegmentationStorage,
		dict.GrayscaleSoftcopyPresentationStateStorage, dict.BasicStructuredDisplayStorage,
		dict.ComprehensiveSRStorage, dict.EncapsulatedPDFStorage,
		dict.OphthalmicTomographyImageStorage, dict.XRayAngiographicImageStorage, dict.TwelveLeadECGWaveformStorage,
	} {
		t.Run(dict.UIDName(class), func(t *testing.T) {
			t.Parallel()
			var ds stream.DataSet
			for e := range all.All() {
				ds.Put(e)
			}
			ds.Set(dict.SOPClassUID, class)
			ds.Set(dict.SOPInstanceUID, "1.2.3")
			ds.Set(dict.PatientID, "PID-1")
			ds.Set(dict.BurnedInAnnotation, "NO")
			in := filepath.Join(dir, class+".in")
			b := encode(t, &ds, dict.ExplicitVRLittleEndian)
			writeFile(t, in, class, "1.2.3", dict.ExplicitVRLittleEndian, b)
			known := verify(t, in)
			for _, text := range []string{
				"{name: default, version: '1', base: ps3.15-basic, options: [modified-dates, retain-patient-characteristics, clean-descriptors, retain-safe-private]",
				"{name: basic, version: '1', base: ps3.15-basic", "{name: adit, version: '1', base: adit",
			} {
				p, err := deid.LoadProfile([]byte(text + ", allow: [burned-in, encapsulated-document]}"))
				require.NoError(t, err)
				o, _, err := rewrite(sessionFor(t, p, proofKey(1), &ds), b, dict.ExplicitVRLittleEndian)
				require.NoError(t, err)
				out := filepath.Join(dir, class+"."+p.Name())
				writeFile(
					t, out, class, parse(t, o, dict.ExplicitVRLittleEndian).String(dict.SOPInstanceUID),
					dict.ExplicitVRLittleEndian, o,
				)
				for _, e := range newErrors(known, verify(t, out)) {
					t.Errorf("profile %s: %s", p.Name(), e)
				}
				require.NoError(t, os.Remove(out))
			}
		})
	}
}
