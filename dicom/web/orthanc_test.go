// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

const (
	studyUID   = "1.2.826.0.1.3680043.2.1"
	seriesUID  = "1.2.826.0.1.3680043.2.1.1"
	ctClass    = dict.CTImageStorage
	otherStudy = "1.2.826.0.1.3680043.2.2"
)

// object makes a data set with four pixels of 16 bits, or with fragments.
func object(t testing.TB, study, uid, syntax string) []byte {
	t.Helper()
	var ds stream.DataSet
	ds.Set(dict.SOPClassUID, ctClass)
	ds.Set(dict.SOPInstanceUID, uid)
	ds.Set(dict.StudyInstanceUID, study)
	ds.Set(dict.SeriesInstanceUID, study+".1")
	ds.Set(dict.PatientID, "made-up")
	ds.Set(dict.PatientName, "Müller^Jörg")
	ds.Set(dict.StudyDate, "20200102")
	ds.Set(dict.Modality, "CT")
	for tag, n := range map[dict.Tag]int{
		dict.Rows: 2, dict.Columns: 2, dict.BitsAllocated: 16, dict.BitsStored: 16, dict.HighBit: 15,
		dict.SamplesPerPixel: 1, dict.PixelRepresentation: 0,
	} {
		ds.SetInt(tag, n)
	}
	ds.Set(dict.PhotometricInterpretation, "MONOCHROME2")
	if !dict.TransferSyntaxOf(syntax).Encapsulated {
		ds.SetBytes(dict.PixelData, dict.OW, []byte("\r\n\r\n12\r\n"))
		b, err := ds.Encode(syntax)
		require.NoError(t, err)
		return b
	}
	b, err := ds.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	fragment := []byte("\xFF\xD8not really\r\n\xFF\xD9")
	b = append(b, "\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0"...)
	b = append(b, byte(len(fragment)), 0, 0, 0)
	b = append(b, fragment...)
	return append(b, "\xFE\xFF\xDD\xE0\x00\x00\x00\x00"...)
}

func outgoingOf(uid, syntax string, b []byte) Outgoing {
	return Outgoing{
		SOPClassUID: ctClass, SOPInstanceUID: uid, TransferSyntaxUID: syntax,
		Open: func() io.Reader { return bytes.NewReader(b) },
	}
}

// taken is an object as it was retrieved.
type taken struct {
	class, syntax string
	data          []byte
}

// collect takes objects.
func collect(into map[string]taken) func(context.Context, *Object) error {
	return func(_ context.Context, o *Object) error {
		b, err := io.ReadAll(o.Data)
		into[o.SOPInstanceUID] = taken{o.SOPClassUID, o.TransferSyntaxUID, b}
		return err
	}
}

// TestOrthanc speaks with a server as it is: objects of all kinds of encoding come back as they were stored, answers
// tell about each instance.
func TestOrthanc(t *testing.T) {
	o := testpeer.Orthanc(t, nil, map[string]any{
		"Plugins":  []string{"/usr/share/orthanc/plugins/libOrthancDicomWeb.so"},
		"DicomWeb": map[string]any{"Enable": true, "Root": "/dicom-web/"},
	})
	c, err := New(Config{Root: o.URL + "/dicom-web/"})
	require.NoError(t, err)
	defer c.Close()
	ctx := t.Context()

	want := map[string]taken{}
	var out []Outgoing
	for i, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
		dict.DeflatedExplicitVRLittleEndian, dict.RLELossless, dict.JPEGBaseline8Bit, dict.JPEGLosslessSV1,
		dict.JPEG2000Lossless, dict.JPEGLSLossless,
	} {
		uid := seriesUID + "." + string(rune('1'+i))
		b := object(t, studyUID, uid, syntax)
		want[uid] = taken{ctClass, syntax, b}
		out = append(out, outgoingOf(uid, syntax, b))
	}
	stored, err := c.Store(ctx, studyUID, out)
	require.NoError(t, err)
	require.Equal(t, 200, stored.Status)
	for uid := range want {
		require.Equal(t, Acknowledged, stored.Instances[uid].Outcome, want[uid].syntax)
	}

	got := map[string]taken{}
	r, err := c.Retrieve(ctx, Resource{Study: studyUID}, AnySyntax, nil, collect(got))
	require.NoError(t, err)
	require.Equal(t, Retrieved{Status: 200, Objects: len(want)}, r)
	require.Equal(t, want, got)

	// One that can't be read: the others are stored, and it is in no sequence.
	bad := outgoingOf(otherStudy+".1.2", dict.ExplicitVRLittleEndian, []byte("no data set"))
	stored, err = c.Store(ctx, "", []Outgoing{
		outgoingOf(otherStudy+".1.1", dict.ExplicitVRLittleEndian, object(t, otherStudy, otherStudy+".1.1", dict.ExplicitVRLittleEndian)),
		bad,
	})
	require.NoError(t, err)
	require.Equal(t, Unknown, stored.Instances[otherStudy+".1.2"].Outcome)
	require.Equal(t, Acknowledged, stored.Instances[otherStudy+".1.1"].Outcome)

	// The wrong study.
	stored, err = c.Store(ctx, studyUID, []Outgoing{
		outgoingOf(otherStudy+".1.3", dict.ExplicitVRLittleEndian, object(t, otherStudy, otherStudy+".1.3", dict.ExplicitVRLittleEndian)),
	})
	require.NoError(t, err)
	require.Equal(t, Result{Outcome: Refused, Failure: 272}, stored.Instances[otherStudy+".1.3"])

	// Search.
	var match stream.DataSet
	match.Set(dict.PatientName, "Müller^J*")
	match.Set(dict.ModalitiesInStudy, "MR", "CT")
	var studies []string
	for ds, err := range c.Search(ctx, Search{Level: Study, Match: &match, Include: []dict.Tag{dict.StudyDate}}) {
		require.NoError(t, err)
		require.Equal(t, "20200102", ds.String(dict.StudyDate))
		require.Equal(t, "Müller^Jörg", ds.String(dict.PatientName))
		studies = append(studies, ds.String(dict.StudyInstanceUID))
	}
	require.ElementsMatch(t, []string{studyUID, otherStudy}, studies)
	n := 0
	for ds, err := range c.Search(ctx, Search{Level: Instance, In: Resource{Study: studyUID}}) {
		require.NoError(t, err)
		require.Contains(t, want, ds.String(dict.SOPInstanceUID))
		n++
	}
	require.Equal(t, len(want), n)
	n = 0
	for ds, err := range c.Metadata(ctx, Resource{Study: studyUID, Series: seriesUID}) {
		require.NoError(t, err)
		require.Contains(t, want, ds.String(dict.SOPInstanceUID))
		n++
	}
	require.Equal(t, len(want), n)

	explicit := seriesUID + ".2"
	n = 0
	for ds, err := range c.Search(ctx, Search{Level: Instance, In: Resource{studyUID, seriesUID, explicit}}) {
		require.NoError(t, err)
		require.Equal(t, explicit, ds.String(dict.SOPInstanceUID))
		n++
	}
	require.Equal(t, 1, n)
	path := "http://wrong.example/dicom-web/studies/" + studyUID + "/series/" + seriesUID + "/instances/" + explicit
	require.NoError(t, c.BulkData(ctx, path+"/bulk/7fe00010", func(r io.Reader) error {
		b, err := io.ReadAll(r)
		require.Equal(t, "\r\n\r\n12\r\n", string(b))
		return err
	}))

	r, err = c.Retrieve(ctx, Resource{Study: "1.2.3"}, AnySyntax, nil, collect(got))
	require.NoError(t, err)
	require.Equal(t, Retrieved{Status: 404}, r)
}
