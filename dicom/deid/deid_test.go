// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

var testKey = Key{
	1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17,
	18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31, 32,
}

func subject() Subject {
	patient := PatientIdentity("P-4711", "HOSP", "1.2.3.1")
	return Subject{
		Key: testKey.OfPatient(patient), Generation: 1, Patient: patient, Issuer: "HOSP", Pseudonym: "SUBJ-001",
	}
}

func session(tb testing.TB, profile string) *Session {
	tb.Helper()
	p, ok := BuiltinProfile(profile)
	require.True(tb, ok)
	s, err := p.Session(subject())
	require.NoError(tb, err)
	return s
}

// profileOf loads a profile on base ps3.15-basic; more is YAML.
func profileOf(tb testing.TB, more string) *Profile {
	tb.Helper()
	p, err := LoadProfile([]byte("name: test\nversion: \"1\"\nbase: ps3.15-basic\n" + more))
	require.NoError(tb, err)
	return p
}

func sample() *stream.DataSet {
	d := &stream.DataSet{}
	for _, v := range []struct {
		tag  dict.Tag
		text string
	}{
		{dict.SpecificCharacterSet, "ISO_IR 100"},
		{dict.ImageType, `ORIGINAL\PRIMARY\AXIAL`},
		{dict.SOPClassUID, dict.CTImageStorage},
		{dict.SOPInstanceUID, "1.2.3.3"},
		{dict.StudyDate, "20240229"},
		{dict.StudyTime, "101500.25"},
		{dict.AccessionNumber, "A-99"},
		{dict.Modality, "CT"},
		{dict.InstitutionName, "Städtisches Klinikum"},
		{dict.StudyDescription, "Thorax Doe"},
		{dict.ReferringPhysicianName, "House^Gregory"},
		{dict.PatientName, "Doe^Jane"},
		{dict.PatientID, "P-4711"},
		{dict.PatientBirthDate, "19560412"},
		{dict.PatientSex, "F"},
		{dict.PatientAge, "067Y"},
		{dict.StudyInstanceUID, "1.2.3.1"},
		{dict.SeriesInstanceUID, "1.2.3.2"},
		{dict.StudyID, "4711"},
		{dict.FrameOfReferenceUID, "1.2.3.9"},
	} {
		d.Set(v.tag, v.text)
	}
	d.SetInt(dict.Rows, 512)
	d.SetInt(dict.Columns, 512)
	return d
}

// deidentify passes an encoded data set through a session.
func deidentify(tb testing.TB, s *Session, in []byte, syntax string) ([]byte, Report, error) {
	tb.Helper()
	o, err := stream.Open(bytes.NewReader(in), syntax, stream.Limits{})
	require.NoError(tb, err)
	defer o.Close()
	report, err := s.Rewrite(o)
	if err != nil {
		return nil, *report, err
	}
	out, err := io.ReadAll(o)
	return out, *report, err
}

// through de-identifies a data set of ours and reads what comes out.
func through(tb testing.TB, s *Session, d *stream.DataSet) *stream.DataSet {
	tb.Helper()
	in, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(tb, err)
	out, _, err := deidentify(tb, s, in, dict.ExplicitVRLittleEndian)
	require.NoError(tb, err)
	got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(tb, err)
	return got
}

func TestDefaultProfile(t *testing.T) {
	d := sample()
	d.SetBytes(dict.PixelData, dict.OW, []byte{1, 2, 3, 4})
	got := through(t, session(t, DefaultProfile), d)
	for _, e := range []struct {
		tag  dict.Tag
		want string
	}{
		{dict.PatientName, "SUBJ-001"},
		{dict.PatientID, "SUBJ-001"},
		{dict.PatientBirthDate, ""},
		{dict.PatientAge, "067Y"},
		{dict.PatientSex, "F"},
		{dict.StudyTime, "101500.25"},
		{dict.AccessionNumber, ""},
		{dict.StudyDescription, "Thorax"},
		{dict.Modality, "CT"},
		{dict.SOPClassUID, dict.CTImageStorage},
		{dict.PatientIdentityRemoved, "YES"},
		{dict.LongitudinalTemporalInformationModified, "MODIFIED"},
	} {
		require.Equal(t, e.want, got.String(e.tag), e.tag.Keyword())
	}
	require.False(t, got.Has(dict.InstitutionName))
	require.Regexp(t, `^2\.25\.\d+$`, got.String(dict.SOPInstanceUID))
	require.NotEqual(t, "20240229", got.String(dict.StudyDate))
	require.Len(t, got.String(dict.StudyDate), 8)
	var codes []string
	for _, item := range got.Items(dict.DeidentificationMethodCodeSequence) {
		codes = append(codes, item.String(dict.CodeValue))
	}
	require.Equal(t, []string{"113100", "113105", "113107", "113108", "113111"}, codes)
	p, _ := BuiltinProfile(DefaultProfile)
	require.Equal(t, []string{p.Hash(), "adit-default 1"}, got.Strings(dict.DeidentificationMethod))
	px, _ := got.Get(dict.PixelData)
	require.Equal(t, []byte{1, 2, 3, 4}, px.Value)
}
