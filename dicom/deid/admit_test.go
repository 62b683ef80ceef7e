// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// reasonOf returns why an instance isn't sent, "" if it is.
func reasonOf(t *testing.T, err error) Reason {
	t.Helper()
	if e, ok := errors.AsType[*RefusedError](err); ok {
		return e.Reason
	}
	if e, ok := errors.AsType[*UnsafeError](err); ok {
		return e.Reason
	}
	require.NoError(t, err)
	return ""
}

// image returns an image of a class; more are attributes with their values.
func image(class string, more ...any) *stream.DataSet {
	d := sample()
	d.Set(dict.SOPClassUID, class)
	for i := 0; i < len(more); i += 2 {
		d.Put(stream.Element{
			Tag: more[i].(dict.Tag), VR: dict.VROf(more[i].(dict.Tag)), Value: []byte(more[i+1].(string)),
		})
	}
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
	return d
}

// TestImagesWithText: an image that shows text, or may, goes out only if it says exactly NO.
func TestImagesWithText(t *testing.T) {
	const (
		ct, sc, us = dict.CTImageStorage, dict.SecondaryCaptureImageStorage, dict.UltrasoundImageStorage
		wsi        = dict.VLWholeSlideMicroscopyImageStorage
	)
	burned, kind, specimen := dict.BurnedInAnnotation, dict.ImageType, dict.SpecimenLabelInImage
	type object struct {
		name string
		d    *stream.DataSet
		want Reason
	}
	cases := []object{
		{"a CT", image(ct), ""},
		{"a CT, NO", image(ct, burned, "NO"), ""},
		{"a CT, empty", image(ct, burned, ""), ""},
		{"a topogram", image(ct, kind, `ORIGINAL\PRIMARY\LOCALIZER`), ""},
		{"labelled spins", image(dict.EnhancedMRImageStorage, kind, `ORIGINAL\PRIMARY\ASL\LABEL`), ""},
		{"a screening", image(dict.DigitalMammographyXRayImageStorageForPresentation, kind, `ORIGINAL\PRIMARY\SCREENING`), ""},
		{"recognizable, NO", image(ct, dict.RecognizableVisualFeatures, "NO"), ""},
		{"recognizable", image(ct, dict.RecognizableVisualFeatures, "YES"), Recognizable},
		{"recognizable, somehow", image(ct, dict.RecognizableVisualFeatures, "yes"), Recognizable},
		{"a slide, NO", image(wsi, burned, "NO", kind, `DERIVED\PRIMARY\VOLUME\NONE`, specimen, "NO"), ""},
		{"a slide", image(wsi, kind, `DERIVED\PRIMARY\VOLUME\NONE`), BurnedIn},
		{"its label", image(wsi, kind, `ORIGINAL\PRIMARY\LABEL\NONE`), BurnedIn},
		{"its label, NO", image(wsi, burned, "NO", kind, `ORIGINAL\PRIMARY\Label\NONE`, specimen, "NO"), BurnedIn},
		{"its label as a photograph, NO", image(dict.VLPhotographicImageStorage, burned, "NO", kind, `ORIGINAL\PRIMARY\SLIDE_LABEL`), BurnedIn},
		{"its label is in, NO", image(wsi, burned, "NO", kind, `DERIVED\PRIMARY\VOLUME\NONE`, specimen, "YES"), BurnedIn},
		{"its label is in, somehow, NO", image(wsi, burned, "NO", kind, `DERIVED\PRIMARY\VOLUME\NONE`, specimen, "Yes"), BurnedIn},
		{"its overview, NO", image(wsi, burned, "NO", kind, `DERIVED\PRIMARY\OVERVIEW\NONE`), BurnedIn},
		{"its localizer, NO", image(wsi, burned, "NO", kind, `ORIGINAL\PRIMARY\LOCALIZER\NONE`), BurnedIn},
		{"its overview without label, NO", image(wsi, burned, "NO", kind, `DERIVED\PRIMARY\OVERVIEW\NONE`, specimen, "NO"), ""},
		{"a digital interface", image(ct, dict.ConversionType, "DI"), ""},
		{"a workstation's picture", image(ct, dict.ConversionType, "WSD"), BurnedIn},
		{"a workstation's picture, somehow", image(ct, dict.ConversionType, "wsd "), BurnedIn},
		{"a scanned film", image(dict.ComputedRadiographyImageStorage, dict.ConversionType, "DF"), BurnedIn},
		{"a screenshot, NO", image(ct, burned, "NO", kind, `DERIVED\SECONDARY\SCREEN SAVE`), ""},
		{"reformats", image(ct, kind, `DERIVED\SECONDARY\MPR`), ""},
		{"a report with an image", image(dict.BasicTextSRStorage), BurnedIn},
		{"raw data with an image", image(dict.RawDataStorage), BurnedIn},
		{"an image of a spectrum, NO", image(dict.MRSpectroscopyStorage, burned, "NO"), ""},
	}
	for _, class := range []string{
		sc, us, dict.HardcopyGrayscaleImageStorage, dict.HardcopyColorImageStorage,
		dict.OphthalmicPhotography8BitImageStorage,
		dict.OphthalmicPhotography16BitImageStorage, dict.OphthalmicOpticalCoherenceTomographyEnFaceImageStorage,
		dict.VLMicroscopicImageStorage, dict.VLSlideCoordinatesMicroscopicImageStorage,
		dict.VideoPhotographicImageStorage,
		dict.UltrasoundMultiFrameImageStorageRetired, dict.MultiFrameTrueColorSecondaryCaptureImageStorage,
	} {
		cases = append(
			cases, object{dict.UIDName(class), image(class), BurnedIn},
			object{dict.UIDName(class) + ", NO", image(class, burned, "NO"), ""},
		)
	}
	for _, value := range []string{
		"YES", "Yes", "yes", "Y", `NO\YES`, `NO\NO`, `NO\`, "N", "no", "No", "FALSE", "0", "UNKNOWN",
	} {
		cases = append(
			cases, object{"a CT, " + value, image(ct, burned, value), BurnedIn},
			object{"ultrasound, " + value, image(us, burned, value), BurnedIn},
		)
	}
	for vr, want := range map[dict.VR]Reason{dict.UN: "", dict.LO: BurnedIn, dict.OB: BurnedIn} {
		d := image(us)
		d.Put(stream.Element{Tag: burned, VR: vr, Value: []byte("NO")})
		cases = append(cases, object{"ultrasound, NO as " + vr.String(), d, want})
	}
	for _, value := range []string{
		"SCREEN SAVE", "SCREENSAVE", "screen save", "SCREEN_SAVE", "Screen-Save",
		"Screen Capture", "SCREENSHOT", "ScreenShot", "screen  save ",
		"PRINTSCREEN", "SCREEN DUMP", "SECONDARY CAPTURE", "CSA REPORT", "CT_SOM5 PROT", "DOSE_INFO", "Snapshot",
	} {
		cases = append(cases,
			object{value, image(ct, kind, `DERIVED\SECONDARY\`+value), BurnedIn},
			object{value + " first", image(ct, kind, value+`\SECONDARY\OTHER`), BurnedIn},
			object{value + " late", image(ct, kind, `DERIVED\SECONDARY\OTHER\\\`+value), BurnedIn})
	}
	for _, c := range cases {
		_, _, err := deidentify(
			t, session(t, DefaultProfile), encode(t, c.d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.Equal(t, c.want, reasonOf(t, err), c.name)
	}
	item := &stream.DataSet{}
	item.Set(burned, "NO")
	nested := image(us)
	nested.SetSequence(dict.ReferencedImageSequence, item)
	_, _, err := deidentify(
		t, session(t, DefaultProfile), encode(t, nested, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
	)
	require.Equal(t, BurnedIn, reasonOf(t, err), "what is nested doesn't decide")
}

// TestUnknownClasses: a profile that takes classes which the standard doesn't have takes no image of them that doesn't
// say NO.
func TestUnknownClasses(t *testing.T) {
	p, err := NewProfile(
		Definition{Name: "unknown", Version: "1", Base: rules.BasicBase, Allow: []string{"unknown-sop-class"}},
	)
	require.NoError(t, err)
	s, err := p.Session(subject())
	require.NoError(t, err)
	private := "1.2.826.0.1.3680043.9.9.9"
	data := image(private)
	data.Remove(dict.PixelData)
	for name, c := range map[string]struct {
		d    *stream.DataSet
		want Reason
	}{
		"an image":        {image(private), BurnedIn},
		"an image, NO":    {image(private, dict.BurnedInAnnotation, "NO"), ""},
		"no image":        {data, ""},
		"no class":        {image(""), BurnedIn},
		"two classes":     {image(dict.CTImageStorage + `\` + dict.SecondaryCaptureImageStorage), BurnedIn},
		"padded":          {image(" " + dict.CTImageStorage + " \x00"), ""},
		"a film":          {image(dict.StoredPrintStorage), BurnedIn},
		"words behind it": {image(dict.CTImageStorage + " Doe"), BurnedIn},
	} {
		_, _, err := deidentify(t, s, encode(t, c.d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		require.Equal(t, c.want, reasonOf(t, err), name)
		_, _, err = deidentify(
			t, session(t, DefaultProfile), encode(t, c.d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		if name != "padded" {
			require.Equal(t, UnknownSOPClass, reasonOf(t, err), name)
		}
	}
}

// TestTwice: what decides is there once.
func TestTwice(t *testing.T) {
	again := func(tag dict.Tag, value string) []byte {
		d := &stream.DataSet{}
		d.Put(stream.Element{Tag: tag, VR: dict.VROf(tag), Value: []byte(value)})
		return encode(t, d, dict.ExplicitVRLittleEndian)
	}
	object := image(dict.CTImageStorage, dict.BurnedInAnnotation, "NO")
	object.Remove(dict.PixelData)
	in := encode(t, object, dict.ExplicitVRLittleEndian)
	for tag, values := range map[dict.Tag][]string{
		dict.BurnedInAnnotation:   {"NO", "YES", ""},
		dict.SOPClassUID:          {dict.CTImageStorage, dict.SecondaryCaptureImageStorage},
		dict.ImageType:            {`DERIVED\SECONDARY\SCREEN SAVE`},
		dict.PatientID:            {"P-4711", "P-4712"},
		dict.StudyInstanceUID:     {"1.2.3.1"},
		dict.Modality:             {"US"},
		dict.SpecificCharacterSet: {"ISO_IR 192"},
	} {
		for _, value := range values {
			for _, b := range [][]byte{slices.Concat(again(tag, value), in), slices.Concat(in, again(tag, value))} {
				_, _, err := deidentify(t, session(t, DefaultProfile), b, dict.ExplicitVRLittleEndian)
				require.Equal(t, Unparsable, reasonOf(t, err), "%s %q", tag.Keyword(), value)
				require.ErrorContains(t, err, tag.String()+" occurs more than once")
				require.NotContains(t, err.Error(), "P-47")
			}
		}
	}
}

// TestClassOfTheFile: file meta information that names another class than the data set makes the instance unsafe.
func TestClassOfTheFile(t *testing.T) {
	in := encode(t, image(dict.CTImageStorage), dict.ExplicitVRLittleEndian)
	for class, want := range map[string]Reason{
		dict.CTImageStorage: "", "": "", dict.SecondaryCaptureImageStorage: Unparsable,
		dict.EnhancedCTImageStorage: Unparsable,
	} {
		meta := stream.FileMeta{
			MediaStorageSOPClassUID: class, MediaStorageSOPInstanceUID: "1.2.3.3",
			TransferSyntaxUID: dict.ExplicitVRLittleEndian,
		}
		_, o, err := stream.OpenFile(bytes.NewReader(append(meta.AppendTo(nil), in...)), stream.Limits{})
		require.NoError(t, err)
		_, err = session(t, DefaultProfile).Rewrite(o)
		require.Equal(t, want, reasonOf(t, err), class)
		require.NoError(t, o.Close())
	}
}
