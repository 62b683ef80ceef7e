// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestScanLooksBehindPixels: what stands behind the pixel data, and large values that pass, are searched as the rest.
func TestScanLooksBehindPixels(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	filler := bytes.Repeat([]byte{0x81, 0x93, 0xfe}, 70<<10)
	hidden := func(b []byte, text string, at int) []byte {
		b = bytes.Clone(b)
		copy(b[at:], text)
		return b
	}
	run := func(p *deid.Profile, ds *stream.DataSet, header int) error {
		o, err := stream.Open(
			bytes.NewReader(encode(t, ds, dict.ExplicitVRLittleEndian)),
			dict.ExplicitVRLittleEndian, stream.Limits{Header: header},
		)
		require.NoError(t, err)
		defer o.Close()
		if _, err := scanningFor(t, p, ds).Rewrite(o); err != nil {
			return err
		}
		_, err = io.Copy(io.Discard, o)
		return err
	}
	with := func(put func(ds *stream.DataSet)) *stream.DataSet {
		ds := aCT(t)
		ds.SetBytes(dict.PixelData, dict.OW, filler[:2048])
		put(ds)
		return ds
	}
	signature := func(text string) *stream.DataSet {
		return with(func(ds *stream.DataSet) {
			var item stream.DataSet
			item.Put(stream.Element{Tag: dict.CertificateOfSigner, VR: dict.OB, Value: pad([]byte("CN=" + text))})
			ds.SetSequence(dict.DigitalSignaturesSequence, &item)
		})
	}
	keeps, err := deid.LoadProfile([]byte(
		"name: test\nversion: \"1\"\nbase: ps3.15-basic\noverrides: [{tag: \"(FFFA,FFFA)\", action: keep}, {keyword: CertificateOfSigner, action: keep}]",
	))
	require.NoError(t, err)
	require.NoError(t, run(keeps, signature("nobody at all"), 0))
	for _, text := range []string{"Zubrowski", "P-730551", "1.2.276.0.7230010.9.3", "2019-11-27", "zubrowski, jan"} {
		require.True(t, heldBack(run(keeps, signature(text), 0)), text)
	}
	for _, c := range []struct {
		text string
		at   int
	}{
		{"Zubrowski", 100},
		{"Zubrowski", 65530},
		{"xP-730551x", 32763},
		{"1.2.276.0.7230010.9.3", 131060},
		{" Jan Zubrowski ", len(filler) - 20},
	} {
		for _, header := range []int{0, 16 << 10} {
			ds := with(func(ds *stream.DataSet) { ds.SetBytes(dict.ICCProfile, dict.OB, hidden(filler, c.text, c.at)) })
			require.True(t, heldBack(run(p, ds, header)), "%+v, header of %d", c, header)
		}
	}
	ds := with(func(ds *stream.DataSet) { ds.SetBytes(dict.ICCProfile, dict.OB, filler) })
	require.NoError(t, run(p, ds, 16<<10))
}
