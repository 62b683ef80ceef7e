// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

var fuzzSyntaxes = []string{
	dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
	dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, dict.JPEG2000,
}

func addSeeds(f *testing.F) {
	for i, syntax := range fuzzSyntaxes {
		f.Add(withPixels(f, sample(), syntax, 64), uint8(i))
	}
	syn := syntax{}
	seq := syn.appendHead(nil, 0x00091010, dict.UN, undefined)
	seq = syn.appendHead(seq, dict.ItemTag, 0, undefined)
	f.Add(seq, uint8(1))
	f.Add(syn.appendHead(nil, dict.PixelData, dict.OB, undefined), uint8(4))
}

// FuzzOpen: what is accepted goes out as it came in; edited, it opens again and differs in the edits alone.
func FuzzOpen(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		syntax := fuzzSyntaxes[int(which)%len(fuzzSyntaxes)]
		lim := Limits{Header: 1 << 20}
		o, err := Open(bytes.NewReader(in), syntax, lim)
		if err != nil {
			return
		}
		defer o.Close()
		var kept []Element
		for e := range o.Header().All {
			if e.Tag != dict.PatientID && !e.Tag.IsGroupLength() {
				kept = append(kept, Element{Tag: e.Tag, VR: e.VR, Value: bytes.Clone(e.Value)})
			}
		}
		out, err := io.ReadAll(o)
		if err != nil {
			return
		}
		require.Equal(t, in, out)

		o, err = Open(bytes.NewReader(in), syntax, lim)
		require.NoError(t, err)
		defer o.Close()
		if err := o.Header().Set(dict.PatientID, dict.LO, []byte("P-1")); err != nil {
			require.ErrorIs(t, err, errBehind)
			return
		}
		out, err = io.ReadAll(o)
		require.NoError(t, err)
		again, err := Open(bytes.NewReader(out), syntax, Limits{})
		require.NoError(t, err)
		defer again.Close()
		e, ok := again.Header().Get(dict.PatientID)
		require.True(t, ok)
		require.Equal(t, "P-1 ", string(e.Value))
		var got []Element
		for e := range again.Header().All {
			if e.Tag != dict.PatientID && !e.Tag.IsGroupLength() {
				got = append(got, Element{Tag: e.Tag, VR: e.VR, Value: bytes.Clone(e.Value)})
			}
		}
		require.ElementsMatch(t, kept, got)
		_, err = io.ReadAll(again)
		require.NoError(t, err)
	})
}

func FuzzOpenFile(f *testing.F) {
	meta := FileMeta{
		MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: "1.2.3.4",
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
	f.Add(append(meta.AppendTo(nil), withPixels(f, sample(), meta.TransferSyntaxUID, 64)...))
	f.Add(meta.AppendTo(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		meta, o, err := OpenFile(bytes.NewReader(in), Limits{Header: 1 << 20})
		if err != nil {
			return
		}
		defer o.Close()
		require.NotEmpty(t, meta.TransferSyntaxUID)
		out, err := io.ReadAll(o)
		if err == nil {
			require.True(t, bytes.HasSuffix(in, out))
		}
	})
}

// FuzzParseDataSet: what is accepted is accepted again after encoding, with the same content.
func FuzzParseDataSet(f *testing.F) {
	addSeeds(f)
	f.Fuzz(func(t *testing.T, in []byte, which uint8) {
		syntax := fuzzSyntaxes[int(which)%len(fuzzSyntaxes)]
		d, err := ParseDataSet(in, syntax, Limits{Header: 1 << 20})
		if err != nil {
			return
		}
		for e := range d.All() {
			_ = d.Strings(e.Tag)
		}
		b, err := d.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		again, err := ParseDataSet(b, dict.ExplicitVRLittleEndian, Limits{})
		require.NoError(t, err)
		require.Equal(t, d.Len(), again.Len())
		second, err := again.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		require.Equal(t, b, second)
	})
}

// FuzzConvert: what is accepted and converted opens again and has the same values, and converting it back keeps them
// too.
func FuzzConvert(f *testing.F) {
	for i, from := range plainSyntaxes {
		for j := range targetSyntaxes {
			f.Add(withPixels(f, sample(), from, 64), uint8(i), uint8(j))
		}
	}
	f.Add((&encode{}).open(0x00091010, dict.UN).open(dict.ItemTag, 0).b, uint8(1), uint8(0))
	f.Add((&encode{}).put(
		dict.ReferencedImageSequence, dict.UN, (&encode{syntax: implicitLE}).put(dict.ItemTag, 0).b...,
	).b, uint8(1), uint8(0))
	f.Add((&encode{syntax: explicitBE}).put(dict.PixelData, dict.OW, 1, 2, 3).put(
		dict.DigitalSignaturesSequence, dict.SQ, (&encode{syntax: explicitBE}).put(dict.ItemTag, 0).b...,
	).b, uint8(2), uint8(1))
	f.Fuzz(func(t *testing.T, in []byte, which, target uint8) {
		from, to := plainSyntaxes[int(which)%len(plainSyntaxes)], targetSyntaxes[int(target)%len(targetSyntaxes)]
		if len(in) > 1<<20 {
			return
		}
		want, err := ParseDataSet(in, from, Limits{})
		if err != nil {
			return
		}
		out, err := convert(bytes.NewReader(in), from, to)
		if err != nil {
			require.True(
				t, errors.Is(err, ErrEncapsulated) || errors.Is(err, ErrMalformed) || errors.Is(err, ErrTooLarge), err,
			)
			return
		}
		sameValues(t, want, mustParse(t, out, to))
		for _, back := range targetSyntaxes {
			again, err := convert(bytes.NewReader(out), to, back)
			if err != nil {
				require.True(t, errors.Is(err, ErrEncapsulated) || errors.Is(err, ErrMalformed), err)
				continue
			}
			sameValues(t, want, mustParse(t, again, back))
		}
	})
}
