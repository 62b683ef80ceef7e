// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ofNumbers are attributes of binary numbers that no rule of the default profile changes.
var ofNumbers = []struct {
	tag dict.Tag
	vr  dict.VR
}{
	{dict.FrameIncrementPointer, dict.AT},
	{dict.SelectorATValue, dict.AT},
	{dict.VectorGridData, dict.OF},
	{dict.PointCoordinatesData, dict.OF},
	{dict.SelectorODValue, dict.OD},
	{dict.LongPrimitivePointIndexList, dict.OL},
	{dict.SelectorOVValue, dict.OV},
	{dict.RedPaletteColorLookupTableData, dict.OW},
	{dict.WaveformData, dict.OW},
	{dict.SelectorFDValue, dict.FD},
	{dict.SelectorFLValue, dict.FL},
	{dict.SelectorULValue, dict.UL},
	{dict.SelectorUSValue, dict.US},
	{dict.SelectorSVValue, dict.SV},
	{0x0019100E, dict.FD}, // on the list of safe private ones
}

// inEachEncoding returns what becomes of a value in each encoding, and as other VRs.
func inEachEncoding(t *testing.T, s *Session, tag dict.Tag, vr dict.VR, value []byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, as := range []string{
		dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian, "UN", "LO", "OB",
	} {
		e, syntax := stream.Element{Tag: tag, VR: vr, Value: slices.Clone(value)}, as
		if len(as) == 2 {
			e.VR, syntax = dict.VR(as[0])<<8|dict.VR(as[1]), dict.ExplicitVRLittleEndian
		}
		d := sample()
		if tag.IsPrivate() {
			d.SetVR(0x00190010, dict.LO, "SIEMENS MR HEADER")
		}
		d.Put(e)
		out, _, err := deidentify(t, s, encode(t, d, syntax), syntax)
		require.NoError(t, err)
		got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
		require.NoError(t, err)
		g, _ := got.Get(tag)
		all[as] = string(g.Value)
	}
	return all
}

// TestWordsAmongNumbers: words in the place of binary numbers are emptied, in every encoding alike.
func TestWordsAmongNumbers(t *testing.T) {
	s := session(t, DefaultProfile)
	for _, a := range ofNumbers {
		for _, text := range []string{
			"Hannelore Meierschmidt  ", "Meierschmidt^Jane Dr.   ", "Zubrowsk", "zubrowski, jan \x00",
			"Müllerschmidt \x00", "Jane geb. 12.04.1956 Doe", "MRN ABC-DEFGH-12",
		} {
			if a.tag.IsPrivate() {
				text = text[:8] // one number
			}
			b := []byte(text)
			b = b[:len(b)/8*8]
			for as, got := range inEachEncoding(t, s, a.tag, a.vr, b) {
				require.Empty(t, got, "%s %s as %s: %q", a.tag, a.vr, as, b)
			}
		}
	}
	for as, got := range inEachEncoding(t, s, dict.SelectorFLValue, dict.FL, []byte("Jane")) {
		require.Empty(t, got, as)
	}
}

// TestNumbersAmongWords: numbers stay whatever bytes they have.
func TestNumbersAmongWords(t *testing.T) {
	s := session(t, DefaultProfile)
	floats := func(list ...float32) (b []byte) {
		for _, x := range list {
			b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
		}
		return b
	}
	doubles := func(list ...float64) (b []byte) {
		for _, x := range list {
			b = binary.LittleEndian.AppendUint64(b, math.Float64bits(x))
		}
		return b
	}
	ramp := make([]byte, 0, 512)
	for i := range 256 {
		ramp = append(ramp, byte(i), byte(i))
	}
	for name, c := range map[string]struct {
		tag   dict.Tag
		vr    dict.VR
		value []byte
	}{
		"50.1 is ffHB":     {dict.SelectorFLValue, dict.FL, floats(50.1)},
		"50.1 and 60.1":    {dict.VectorGridData, dict.OF, floats(50.1, 60.1, 50.1)},
		"small and large":  {dict.VectorGridData, dict.OF, floats(0, 1e-8, -3.5, 9e8)},
		"doubles":          {dict.SelectorFDValue, dict.FD, doubles(0.1, 2.5, 1e6/3, 3.14159)},
		"tags":             {dict.FrameIncrementPointer, dict.AT, []byte{0x18, 0, 0x63, 0x10}},
		"a private tag":    {dict.SelectorATValue, dict.AT, []byte{0x19, 0, 0x0E, 0x10}},
		"a palette":        {dict.RedPaletteColorLookupTableData, dict.OW, ramp},
		"a constant":       {dict.RedPaletteColorLookupTableData, dict.OW, []byte(strings.Repeat("A", 64))},
		"of two colours":   {dict.RedPaletteColorLookupTableData, dict.OW, []byte(strings.Repeat("AABB", 16))},
		"a short waveform": {dict.WaveformData, dict.OW, []byte{0x41, 0x42, 0x43, 0x44}},
		"US":               {dict.SelectorUSValue, dict.US, []byte{0x41, 0x42, 0x43, 0x44}},
		"digits":           {dict.SelectorUSValue, dict.US, []byte("12345678")},
	} {
		for as, got := range inEachEncoding(t, s, c.tag, c.vr, c.value) {
			require.Equal(t, string(c.value), got, "%s as %s", name, as)
		}
	}
}

// TestLargeWordsAmongNumbers: an instance is refused that has a text too large to be held in the place of numbers.
func TestLargeWordsAmongNumbers(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		bad  bool
	}{
		"words":   {strings.Repeat("Hannelore Meierschmidt, ", 10_000), true},
		"as wide": {strings.Repeat("M\x00e\x00i\x00e\x00r\x00 \x00", 20_000), true},
		"ramps":   {strings.Repeat("ABCDEFGH\x80\x81\x82\x83", 20_000), false},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			d.SetBytes(dict.RedPaletteColorLookupTableData, dict.OW, []byte(c.text))
			_, _, err := rewritten(
				session(t, DefaultProfile), encode(t, d, dict.ExplicitVRLittleEndian),
				dict.ExplicitVRLittleEndian, 16<<10, 1<<10,
			)
			if !c.bad {
				require.NoError(t, err)
				return
			}
			unsafe, ok := errors.AsType[*UnsafeError](err)
			require.True(t, ok, err)
			require.Contains(t, unsafe.Detail, "has a text where the dictionary has numbers")
		})
	}
}
