// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// bitsOf is what an overlay test says of pixels.
type bitsOf struct{ allocated, stored, high int }

func (m bitsOf) put(d *stream.DataSet) {
	putUS(d, dict.BitsAllocated, m.allocated)
	putUS(d, dict.BitsStored, m.stored)
	putUS(d, dict.HighBit, m.high)
}

func putUS(d *stream.DataSet, tag dict.Tag, list ...int) {
	var b []byte
	for _, n := range list {
		b = binary.LittleEndian.AppendUint16(b, uint16(n))
	}
	d.Put(stream.Element{Tag: tag, VR: dict.US, Value: b})
}

// overlay is a plane of group 6000 or one that follows.
type overlay struct {
	group    uint16
	bits     []int // Overlay Bits Allocated
	position []int // Overlay Bit Position
	data     bool
}

func (v overlay) put(d *stream.DataSet) {
	putUS(d, dict.NewTag(v.group, 0x0010), 2)
	if v.bits != nil {
		putUS(d, dict.NewTag(v.group, 0x0100), v.bits...)
	}
	if v.position != nil {
		putUS(d, dict.NewTag(v.group, 0x0102), v.position...)
	}
	if v.data {
		d.SetBytes(dict.NewTag(v.group, 0x3000), dict.OW, []byte{0xFF, 0xFF})
	}
}

// noise is pixel data with every bit used, of a length that no buffer divides.
func noise(n int) []byte {
	r := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32()) | 0x81
	}
	return b
}

// TestOverlaysInPixels: with an overlay the bits go in which it lies, and no others.
func TestOverlaysInPixels(t *testing.T) {
	ct := bitsOf{16, 12, 11}
	for name, c := range map[string]struct {
		image    bitsOf
		overlays []overlay
		keep     uint64 // bits of a sample
		refused  string
	}{
		"none":                            {ct, nil, 0xFFFF, ""},
		"a usual one":                     {ct, []overlay{{0x6000, []int{1}, []int{0}, true}}, 0xFFFF, ""},
		"in bit 12":                       {ct, []overlay{{0x6000, []int{16}, []int{12}, false}}, 0xEFFF, ""},
		"in bit 15":                       {ct, []overlay{{0x6000, []int{16}, []int{15}, false}}, 0x7FFF, ""},
		"several":                         {ct, []overlay{{0x6000, []int{16}, []int{12}, false}, {0x6002, []int{16}, []int{14}, false}, {0x601E, []int{16}, []int{15}, false}}, 0x2FFF, ""},
		"beyond 601E":                     {ct, []overlay{{0x6020, []int{16}, []int{13}, false}, {0x60FE, []int{16}, []int{14}, false}}, 0x9FFF, ""},
		"beside a usual one":              {ct, []overlay{{0x6000, []int{1}, []int{0}, true}, {0x6002, []int{16}, []int{13}, false}}, 0xDFFF, ""},
		"says one bit":                    {ct, []overlay{{0x6000, []int{1}, []int{12}, false}}, 0xEFFF, ""},
		"says no bits":                    {ct, []overlay{{0x6000, nil, []int{12}, false}}, 0xEFFF, ""},
		"has data, too":                   {ct, []overlay{{0x6000, []int{16}, []int{12}, true}}, 0xEFFF, ""},
		"two positions":                   {ct, []overlay{{0x6000, []int{16}, []int{12, 13}, false}}, 0xCFFF, ""},
		"below the image":                 {bitsOf{16, 12, 15}, []overlay{{0x6000, []int{16}, []int{3}, false}}, 0xFFF7, ""},
		"in bit 0, below the image":       {bitsOf{16, 12, 15}, []overlay{{0x6000, []int{16}, []int{0}, false}}, 0xFFFE, ""},
		"in bit 0, said by nothing":       {bitsOf{16, 12, 15}, []overlay{{0x6000, nil, nil, false}}, 0xFFFE, ""},
		"without data, bit 0 the image's": {ct, []overlay{{0x6000, []int{1}, []int{0}, false}}, 0xFFFF, ""},
		"beyond the sample":               {ct, []overlay{{0x6000, []int{16}, []int{16}, false}, {0x6002, []int{16}, []int{200}, false}}, 0xFFFF, ""},
		"8 bits":                          {bitsOf{8, 7, 6}, []overlay{{0x6000, []int{8}, []int{7}, false}}, 0x7F, ""},
		"32 bits":                         {bitsOf{32, 24, 23}, []overlay{{0x6000, []int{32}, []int{24}, false}, {0x6002, []int{32}, []int{31}, false}}, 0x7EFFFFFF, ""},
		"24 bits":                         {bitsOf{24, 20, 19}, []overlay{{0x6000, []int{24}, []int{21}, false}}, 0xDFFFFF, ""},
		"a bit image":                     {bitsOf{1, 1, 0}, []overlay{{0x6000, []int{1}, []int{1}, false}}, 0xFF, ""},
		"in the image":                    {ct, []overlay{{0x6000, []int{16}, []int{11}, false}}, 0, "the image uses the same bits"},
		"in the image's bit 0":            {ct, []overlay{{0x6000, []int{16}, []int{0}, false}}, 0, "the image uses the same bits"},
		"one of two in the image":         {ct, []overlay{{0x6000, []int{16}, []int{12}, false}, {0x6002, []int{16}, []int{1}, false}}, 0, "the image uses the same bits"},
		"no bits stored":                  {bitsOf{16, 0, 11}, []overlay{{0x6000, []int{16}, []int{12}, false}}, 0, "are unclear"},
		"more than fit":                   {bitsOf{16, 12, 16}, []overlay{{0x6000, []int{16}, []int{12}, false}}, 0, "are unclear"},
		"12 bits":                         {bitsOf{12, 8, 7}, []overlay{{0x6000, []int{12}, []int{9}, false}}, 0, "of an odd size"},
	} {
		for _, syntax := range []string{
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
			dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian, pixels.GEImplicit,
		} {
			for _, header := range []int{0, 256} { // the overlays are in the header, or in the body
				t.Run(fmt.Sprintf("%s, %s, %d", name, syntax, header), func(t *testing.T) {
					d := sample()
					c.image.put(d)
					for _, v := range c.overlays {
						v.put(d)
					}
					if header > 0 {
						d.SetSequence(dict.PerFrameFunctionalGroupsSequence, frames(10)...)
						header = len(encode(t, sample(), dict.ExplicitVRLittleEndian)) + 100
					}
					image := noise(6_006)
					want := bytes.Clone(image)
					sample := c.image.allocated / 8
					for i := range want {
						if sample > 0 {
							want[i] &= byte(c.keep >> (8 * (i % sample)))
						}
					}
					vr := dict.OW
					if sample == 1 && syntax != dict.ImplicitVRLittleEndian {
						vr = dict.OB
					}
					if syntax == pixels.GEImplicit {
						swap16(image)
						swap16(want)
					}
					d.SetBytes(dict.PixelData, vr, image)
					s := session(t, DefaultProfile)
					out, _, err := rewritten(s, encode(t, d, syntax), syntax, header, 1<<20)
					if c.refused != "" {
						unsafe, ok := errors.AsType[*UnsafeError](err)
						require.True(t, ok, "%v", err)
						require.Equal(t, OverlayInPixels, unsafe.Reason)
						require.ErrorContains(t, err, c.refused)
						return
					}
					require.NoError(t, err)
					px, _ := canonical(t, out, syntax).Get(dict.PixelData)
					require.True(t, bytes.Equal(want, px.Value))
					for _, piece := range []int{1, 5, 13} {
						again, _, err := rewritten(s, encode(t, d, syntax), syntax, header, piece)
						require.NoError(t, err)
						require.True(t, bytes.Equal(out, again), "%d bytes at a time", piece)
					}
				})
			}
		}
	}
}

func swap16(b []byte) {
	for i := 0; i+1 < len(b); i += 2 {
		b[i], b[i+1] = b[i+1], b[i]
	}
}

// TestOverlaysInOddEncodings: however an overlay says where it lies, and whatever is beside it, its bits don't get out.
func TestOverlaysInOddEncodings(t *testing.T) {
	pixels := bytes.Repeat([]byte{0xFF}, 64)
	cleared := bytes.Repeat([]byte{0xFF, 0xEF}, 32)
	position := func(vr dict.VR, value string) func(d *stream.DataSet) {
		return func(d *stream.DataSet) {
			d.Put(stream.Element{Tag: 0x60000102, VR: vr, Value: []byte(value)})
		}
	}
	profile := ""
	for name, c := range map[string]struct {
		edit    func(d *stream.DataSet)
		behind  string // bytes that are put before the pixel data
		want    []byte // nil: refused
		profile string
	}{
		"UN":           {position(dict.UN, "\x0c\x00"), "", cleared, profile},
		"a number":     {position(dict.UL, "\x0c\x00\x00\x00"), "", cleared, profile},
		"text":         {position(dict.IS, "12"), "", cleared, profile},
		"bytes":        {position(dict.OB, "\x0c\x00"), "", cleared, profile},
		"empty":        {position(dict.US, ""), "", pixels, profile},
		"other text":   {position(dict.IS, "12A "), "", nil, profile},
		"a long one":   {position(dict.OB, string(make([]byte, 100))), "", nil, profile},
		"twice":        {position(dict.US, "\x0c\x00"), "\x00\x60\x02\x01US\x02\x00\x0d\x00", bytes.Repeat([]byte{0xFF, 0xCF}, 32), profile},
		"out of order": {func(d *stream.DataSet) {}, "\x00\x60\x02\x01US\x02\x00\x0c\x00\x28\x00\x06\x00US\x02\x00\x00\x00", cleared, profile},
		"bits twice":   {position(dict.US, "\x0c\x00"), "\x28\x00\x01\x01US\x02\x00\x0d\x00", nil, profile},
		"bits by text": {func(d *stream.DataSet) { position(dict.US, "\x0c\x00")(d); d.SetVR(dict.BitsStored, dict.IS, "12") }, "", cleared, profile},
		"no bits":      {func(d *stream.DataSet) { position(dict.US, "\x0c\x00")(d); d.Remove(dict.BitsAllocated) }, "", nil, profile},
		"no high bit":  {func(d *stream.DataSet) { position(dict.US, "\x0c\x00")(d); d.Remove(dict.HighBit) }, "", cleared, profile},
		"no overlay":   {func(d *stream.DataSet) { d.Remove(dict.BitsAllocated) }, "", pixels, profile},
		"float pixels": {func(d *stream.DataSet) {
			position(dict.US, "\x0c\x00")(d)
			d.SetBytes(0x7FE00008, dict.OF, pixels)
			d.Remove(dict.BitsStored)
		}, "", nil, profile},
		"kept":          {position(dict.US, "\x0c\x00"), "", pixels, "overrides: [{tag: \"(60xx,xxxx)\", action: keep}]"},
		"private group": {func(d *stream.DataSet) { d.SetVR(0x60010010, dict.LO, "NOBODY"); putUS(d, 0x60011002, 12) }, "", pixels, profile},
	} {
		t.Run(name, func(t *testing.T) {
			d := sample()
			bitsOf{16, 12, 11}.put(d)
			c.edit(d)
			in := encode(t, d, dict.ExplicitVRLittleEndian)
			in = append(in, c.behind...)
			in = append(in, "\xe0\x7f\x10\x00OW\x00\x00\x40\x00\x00\x00"...)
			in = append(in, pixels...)
			s, err := profileOf(t, c.profile).Session(subject())
			require.NoError(t, err)
			out, _, err := rewritten(s, in, dict.ExplicitVRLittleEndian, 0, 1<<20)
			if c.want == nil {
				unsafe, ok := errors.AsType[*UnsafeError](err)
				require.True(t, ok, "%v", err)
				require.Equal(t, OverlayInPixels, unsafe.Reason)
				return
			}
			require.NoError(t, err)
			px, _ := canonical(t, out, dict.ExplicitVRLittleEndian).Get(dict.PixelData)
			require.Equal(t, c.want, px.Value)
		})
	}
}

// TestOverlaysInCompressedPixels: nothing is decoded here, so the instance isn't sent.
func TestOverlaysInCompressedPixels(t *testing.T) {
	for name, c := range map[string]struct {
		position int
		refused  bool
	}{"none": {0, false}, "outside of the image": {12, true}, "in the image": {5, true}, "nowhere": {16, false}} {
		d := sample()
		bitsOf{16, 12, 11}.put(d)
		overlay{0x6000, []int{16}, []int{c.position}, c.position == 0}.put(d)
		in := encode(t, d, dict.ExplicitVRLittleEndian)
		in = append(in, "\xe0\x7f\x10\x00OB\x00\x00\xff\xff\xff\xff\xfe\xff\x00\xe0\x00\x00\x00\x00\xfe\xff\x00\xe0\x02\x00\x00\x00xx\xfe\xff\xdd\xe0\x00\x00\x00\x00"...)
		o, err := stream.Open(bytes.NewReader(in), dict.RLELossless, stream.Limits{})
		require.NoError(t, err)
		_, err = session(t, DefaultProfile).Rewrite(o)
		if c.refused { // before anything is read
			require.ErrorContains(t, err, "configure the source to send the instance uncompressed", name)
		} else {
			require.NoError(t, err, name)
		}
		require.NoError(t, o.Close())
	}
}

// TestOverlaysInNestedPixels: pixel data within an item has its own overlays.
func TestOverlaysInNestedPixels(t *testing.T) {
	pixels := bytes.Repeat([]byte{0xFF}, 16)
	for name, c := range map[string]struct {
		edit func(item *stream.DataSet)
		want []byte
	}{
		"none":     {func(*stream.DataSet) {}, pixels},
		"one":      {func(item *stream.DataSet) { overlay{0x6000, []int{16}, []int{12}, false}.put(item) }, bytes.Repeat([]byte{0xFF, 0xEF}, 8)},
		"in image": {func(item *stream.DataSet) { overlay{0x6000, []int{16}, []int{1}, false}.put(item) }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			item := &stream.DataSet{}
			bitsOf{16, 12, 11}.put(item)
			c.edit(item)
			item.SetBytes(dict.PixelData, dict.OW, pixels)
			d := sample()
			bitsOf{16, 12, 11}.put(d)
			d.SetSequence(dict.SharedFunctionalGroupsSequence, item)
			d.SetBytes(dict.PixelData, dict.OW, pixels)
			out, _, err := rewritten(
				session(t, DefaultProfile), encode(t, d, dict.ExplicitVRLittleEndian),
				dict.ExplicitVRLittleEndian, 0, 1<<20,
			)
			if c.want == nil {
				require.ErrorContains(t, err, "the image uses the same bits")
				return
			}
			require.NoError(t, err)
			got := canonical(t, out, dict.ExplicitVRLittleEndian)
			px, _ := got.Items(dict.SharedFunctionalGroupsSequence)[0].Get(dict.PixelData)
			require.Equal(t, c.want, px.Value)
			px, _ = got.Get(dict.PixelData)
			require.Equal(t, pixels, px.Value)
		})
	}
	t.Run("behind its pixels", func(t *testing.T) {
		item := "\x28\x00\x00\x01US\x02\x00\x10\x00\x28\x00\x01\x01US\x02\x00\x0c\x00\xe0\x7f\x10\x00OW\x00\x00\x02\x00\x00\x00\xff\xff\x00\x60\x02\x01US\x02\x00\x0c\x00"
		in := encode(t, sample(), dict.ExplicitVRLittleEndian)
		in = append(in, "\x00\x52\x29\x92SQ\x00\x00"...)
		in = binary.LittleEndian.AppendUint32(in, uint32(8+len(item)))
		in = append(in, 0xFE, 0xFF, 0x00, 0xE0)
		in = append(binary.LittleEndian.AppendUint32(in, uint32(len(item))), item...)
		_, _, err := rewritten(session(t, DefaultProfile), in, dict.ExplicitVRLittleEndian, 0, 1<<20)
		unsafe, ok := errors.AsType[*UnsafeError](err)
		require.True(t, ok, "%v", err)
		require.Equal(t, OverlayInPixels, unsafe.Reason)
	})
}
