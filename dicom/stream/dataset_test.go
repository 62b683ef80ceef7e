// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

func TestDataSetRoundTrip(t *testing.T) {
	for _, syntax := range plainSyntaxes {
		t.Run(dict.UIDName(syntax), func(t *testing.T) {
			d := sample()
			d.Set(dict.PixelSpacing, "0.5", "0.25")
			d.Set(dict.FrameIncrementPointer, "(0018,1063)")
			d.Set(dict.RealWorldValueSlope, "1.5")
			d.SetVR(0x00191002, dict.SV, "-5000000000")
			d.SetVR(0x00191003, dict.FL, "0.25")
			d.SetVR(0x00191004, dict.SS, "-2", "7")
			b, err := d.Encode(syntax)
			require.NoError(t, err)
			require.Zero(t, len(b)%2)
			got, err := ParseDataSet(b, syntax, Limits{})
			require.NoError(t, err)

			require.Equal(t, "Müller^Jürgen", got.String(dict.PatientName))
			require.Equal(t, []string{"0.5", "0.25"}, got.Strings(dict.PixelSpacing))
			require.Equal(t, "1.5", got.String(dict.RealWorldValueSlope))
			require.Equal(t, "(0018,1063)", got.String(dict.FrameIncrementPointer))
			rows, ok := got.Int(dict.Rows)
			require.True(t, ok)
			require.Equal(t, 2, rows)
			_, ok = got.Int(dict.PatientName)
			require.False(t, ok)
			require.Len(t, got.Items(dict.ReferencedImageSequence), 1)
			require.Equal(
				t, "1.2.3.4.5", got.Items(dict.ReferencedImageSequence)[0].String(dict.ReferencedSOPInstanceUID),
			)
			length, _ := got.Int(0x00100000)
			require.Equal(t, len("PN")+6+14+8+4+8+8, length) // name, ID, birth date
			if syntax != dict.ImplicitVRLittleEndian {       // which knows no VR of private elements
				require.Equal(t, "-5000000000", got.String(0x00191002))
				require.Equal(t, "0.25", got.String(0x00191003))
				require.Equal(t, []string{"-2", "7"}, got.Strings(0x00191004))
			}
			again, err := got.Encode(syntax)
			require.NoError(t, err)
			require.Equal(t, b, again)
		})
	}
}

func TestDataSetEmptyKeys(t *testing.T) {
	d := &DataSet{}
	d.Set(dict.QueryRetrieveLevel, "STUDY")
	d.Set(dict.StudyInstanceUID)
	d.Set(dict.NumberOfStudyRelatedInstances)
	d.SetSequence(dict.ProcedureCodeSequence)
	b, err := d.Encode(dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	got, err := ParseDataSet(b, dict.ImplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	require.Equal(t, 4, got.Len())
	require.True(t, got.Has(dict.StudyInstanceUID))
	require.Empty(t, got.String(dict.StudyInstanceUID))
	require.Nil(t, got.Strings(dict.StudyInstanceUID))
	require.Empty(t, got.Items(dict.ProcedureCodeSequence))
	require.False(t, got.Has(dict.PatientID))
	got.Remove(dict.StudyInstanceUID)
	require.False(t, got.Has(dict.StudyInstanceUID))
}

func TestDataSetCharset(t *testing.T) {
	item := &DataSet{}
	item.Set(dict.CodeMeaning, "Schädel")
	require.Equal(t, charset.UTF8, item.String(dict.SpecificCharacterSet), "text beyond ASCII declares UTF-8")

	d := sample() // ISO_IR 100
	d.SetSequence(dict.ProcedureCodeSequence, item)
	b, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	require.Contains(t, string(b), "M\xFCller")
	require.Contains(t, string(b), "Sch\xC3\xA4del")

	got, err := ParseDataSet(b, dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	require.Equal(t, "Schädel", got.Items(dict.ProcedureCodeSequence)[0].String(dict.CodeMeaning))
	require.ErrorIs(t, got.SetCharset("ISO_IR 144"), charset.ErrNotRepresentable)
	require.Equal(t, "Müller^Jürgen", got.String(dict.PatientName), "a failed move leaves everything as it was")
	require.Error(t, got.SetCharset("ISO_IR 1000"))

	got.Set(dict.PatientComments, "漢字") // doesn't fit: all of it moves
	require.Equal(t, charset.UTF8, got.String(dict.SpecificCharacterSet))
	require.Equal(t, "漢字", got.String(dict.PatientComments))
	require.Equal(t, "Müller^Jürgen", got.String(dict.PatientName))

	// Items without a character set of their own have the outer one, and move with it.
	inner := &DataSet{}
	inner.Put(Element{Tag: dict.CodeMeaning, VR: dict.LO, Value: []byte("K\xF6rper")})
	outer := &DataSet{}
	require.NoError(t, outer.SetCharset(charset.Latin1))
	outer.SetSequence(dict.ProcedureCodeSequence, inner)
	b, err = outer.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	got, err = ParseDataSet(b, dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	require.NoError(t, got.SetCharset(charset.UTF8))
	moved := got.Items(dict.ProcedureCodeSequence)[0]
	require.Equal(t, "Körper", moved.String(dict.CodeMeaning))
	e, _ := moved.Get(dict.CodeMeaning)
	require.Equal(t, "Körper ", string(e.Value))
}

func TestDataSetOfDisorder(t *testing.T) {
	syn := syntax{}
	b := append(syn.appendHead(nil, dict.PatientID, dict.LO, 2), "1 "...)
	b = append(syn.appendHead(b, dict.Modality, dict.CS, 2), "CT"...)
	b = append(syn.appendHead(b, dict.PatientID, dict.LO, 2), "2 "...)
	d, err := ParseDataSet(b, dict.ExplicitVRLittleEndian, Limits{})
	require.NoError(t, err)
	require.Equal(t, 2, d.Len())
	require.Equal(t, "1", d.String(dict.PatientID), "the first of two, as in a Header")
	require.Equal(t, "CT", d.String(dict.Modality))
	_, err = ParseDataSet(b, dict.ExplicitVRLittleEndian, Limits{Header: 20})
	require.ErrorIs(t, err, ErrTooLarge)
	_, err = ParseDataSet(bytes.Repeat(b[:10], maxElements+2), dict.ExplicitVRLittleEndian, Limits{})
	require.ErrorIs(t, err, ErrTooLarge)
}

func TestPart10(t *testing.T) {
	meta := FileMeta{
		MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: "1.2.3.4",
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
	head := meta.AppendTo(nil)
	file := append(bytes.Clone(head), withPixels(t, sample(), meta.TransferSyntaxUID, 1000)...)
	got, o, err := OpenFile(bytes.NewReader(file), Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, meta, got)
	out, err := io.ReadAll(o)
	require.NoError(t, err)
	require.Equal(t, file[len(head):], out)

	for cut := range len(head) - 1 {
		_, _, err := OpenFile(bytes.NewReader(file[:cut]), Limits{})
		require.Error(t, err, "cut at byte %d", cut)
	}
	_, _, err = OpenFile(bytes.NewReader(file[128:]), Limits{})
	require.ErrorIs(t, err, ErrNotPart10)
	meta.TransferSyntaxUID = ""
	_, _, err = OpenFile(bytes.NewReader(append(meta.AppendTo(nil), file[len(head):]...)), Limits{})
	require.Error(t, err)

	huge := bytes.Clone(head[:132])
	huge = syntax{}.appendHead(huge, 0x00020102, dict.OB, 0xFFFFFFF0)
	_, _, err = OpenFile(bytes.NewReader(huge), Limits{})
	require.ErrorIs(t, err, ErrMalformed)
}

// TestSecondOpinion compares values with suyashkumar/dicom in well-formed files.
func TestSecondOpinion(t *testing.T) {
	compared := 0
	for _, f := range corpus(t) {
		switch f.path {
		case "test_files/CT_small.dcm", "test_files/MR_small.dcm", "test_files/rtdose.dcm", "test_files/rtplan.dcm",
			"test_files/ExplVR_BigEnd.dcm", "test_files/JPEG2000.dcm", "test_files/MR_small_RLE.dcm",
			"charset_files/chrFren.dcm":
		default:
			continue
		}
		theirs, err := dicom.Parse(bytes.NewReader(f.bytes), int64(len(f.bytes)), nil, dicom.SkipPixelData())
		require.NoError(t, err, f.path)
		ours, err := ParseDataSet(f.dataSet, f.syntax, Limits{})
		require.NoError(t, err, f.path)
		for _, e := range theirs.Elements {
			if e.Tag.Group == tag.MetadataGroup || e.Tag.Group&1 == 1 {
				continue
			}
			texts, ok := e.Value.GetValue().([]string)
			vr := dict.VROf(dict.NewTag(e.Tag.Group, e.Tag.Element))
			if !ok || vr.Width() != 1 || vr == dict.UN {
				continue
			}
			got := ours.Strings(dict.NewTag(e.Tag.Group, e.Tag.Element))
			var want []string
			for _, s := range texts {
				want = append(want, trimValue(s, vr))
			}
			if len(want) == 1 && want[0] == "" {
				want = nil
			}
			require.Equal(t, want, got, "%s %s", f.path, e.Tag)
			compared++
		}
	}
	require.Greater(t, compared, 200)
}
