// SPDX-License-Identifier: AGPL-3.0-or-later

package pixels

import (
	"encoding/binary"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Bits is what a data set, or an item, says of the bits of its pixel data. Till 2004 an overlay could lie in bits that
// the image doesn't use (PS3.3-2003 C.9.2: Overlay Bit Position).
type Bits struct {
	bits   [3]int // Bits Allocated, Bits Stored, High Bit; one more each, 0 where it isn't said
	odd    bool   // one of them is said twice, or can't be read
	Passed bool   // pixel data has come

	// Of the overlays that go:
	planes     uint64 // bits that they say they lie in
	perhaps    uint64 // bits where one lies if the image doesn't use them
	unreadable bool
	Late       bool // one came behind the pixel data

	// Of the one under way:
	group  uint16
	bare   bool // it has no data of its own
	placed bool // it says its bit
	wide   bool // it says that it has more bits than one: those of the pixels
}

// Concerns reports whether an attribute says something of these bits.
func Concerns(tag dict.Tag) bool {
	return tag-dict.BitsAllocated <= dict.HighBit-dict.BitsAllocated || tag>>24 == 0x60 && !tag.IsPrivate()
}

// The elements of a group of overlays.
const (
	overlayBitsAllocated = 0x0100
	overlayBitPosition   = 0x0102
	overlayData          = 0x3000
)

// See takes down what an element says; goes says that it doesn't stay.
func (p *Bits) See(e *values.Element, enc stream.Encoding, goes bool) {
	switch {
	case e.Tag.Group() == 0x0028:
		n, ok := numbers(e, enc)
		bits := &p.bits[e.Tag-dict.BitsAllocated]
		if p.odd = p.odd || !ok || len(n) != 1 || *bits != 0 && *bits != n[0]+1; !p.odd {
			*bits = n[0] + 1
		}
	case goes:
		p.overlay(e, enc)
	}
}

// overlay takes down where an overlay lies.
func (p *Bits) overlay(e *values.Element, enc stream.Encoding) {
	if g := e.Tag.Group(); g != p.group {
		p.endOverlay()
		p.group, p.bare, p.placed, p.wide = g, true, false, false
	}
	p.Late = p.Late || p.Passed
	switch e.Tag.Element() {
	case overlayBitsAllocated:
		n, ok := numbers(e, enc)
		p.unreadable = p.unreadable || !ok
		for _, v := range n {
			p.wide = p.wide || v > 1
		}
	case overlayBitPosition:
		n, ok := numbers(e, enc)
		p.unreadable = p.unreadable || !ok
		for _, v := range n {
			if v > 0 {
				p.planes |= 1 << v // none if it is beyond 63
				p.placed = true
			}
		}
	case overlayData:
		p.bare = p.bare && e.Length == 0
	}
}

// endOverlay judges an overlay that says no bit: bit 0 is meant, if it has no data of its own.
func (p *Bits) endOverlay() {
	switch {
	case p.group == 0 || !p.bare || p.placed:
	case p.wide:
		p.planes |= 1
	default:
		p.perhaps |= 1
	}
}

// numbers reads an element that has numbers of two bytes, or one that came with another VR.
func numbers(e *values.Element, enc stream.Encoding) (list []int, ok bool) {
	switch vr := e.VR; {
	case e.Content != stream.PlainValue || e.Length > 64:
		return nil, false
	case vr.Text():
		for s := range strings.SplitSeq(values.Trim(string(e.Value)), `\`) {
			n, err := strconv.Atoi(values.Trim(s))
			if err != nil || n < 0 {
				return list, len(e.Value) == 0
			}
			list = append(list, n)
		}
		return list, true
	case vr == dict.UL || vr == dict.SL:
		for b := e.Value; len(b) >= 4; b = b[4:] {
			list = append(list, int(enc.Uint32(b)&0xFFFFFF))
		}
		return list, len(e.Value)%4 == 0
	}
	var order binary.ByteOrder = binary.LittleEndian
	if enc.BigEndian() && e.VR != dict.UN && e.VR != dict.OB {
		order = binary.BigEndian
	}
	for b := e.Value; len(b) >= 2; b = b[2:] {
		list = append(list, int(order.Uint16(b)))
	}
	return list, len(e.Value)%2 == 0
}

// GEImplicit is the transfer syntax of old GE scanners: implicit VR little endian, pixel data big endian.
const GEImplicit = "1.2.840.113619.5.2"

// image returns the bits of a sample that are the image's own, and how many bits a sample has.
func (p *Bits) image() (bits uint64, allocated int, ok bool) {
	allocated, stored, high := p.bits[0]-1, p.bits[1]-1, p.bits[2]-1
	if high < 0 {
		high = stored - 1
	}
	if p.odd || allocated > 64 || stored < 1 || high >= allocated || high+1 < stored {
		return 0, allocated, false
	}
	return (uint64(1)<<stored - 1) << (high + 1 - stored), allocated, true
}

// cleared returns the bits of a sample that are to be cleared, or says why that can't be. The image's own bits are
// never changed.
func (p Bits) cleared(compressed bool) (bits uint64, why string) {
	p.endOverlay()
	image, allocated, ok := p.image()
	if ok { // beyond the sample there is nothing
		there := uint64(1)<<allocated - 1
		p.planes, p.perhaps = p.planes&there, p.perhaps&there
	}
	switch {
	case p.unreadable, p.planes != 0 && !ok:
		return 0, "attributes that say which are unclear; correct (0028,0100), (0028,0101), (0028,0102) and " +
			"group 60xx at the source"
	case p.planes == 0 && (compressed || !ok): // nothing says that there is one
		return 0, ""
	case compressed:
		return 0, "these are compressed, and ADIT does not decode them; " +
			"configure the source to send the instance uncompressed"
	case p.planes&image != 0:
		return 0, "the image uses the same bits; remove the overlay at the source"
	}
	bits = (p.planes | p.perhaps) &^ image
	if bits != 0 && (allocated%8 != 0 || maskSize%(allocated/8) != 0) {
		return 0, "its samples are of an odd size; remove the overlay at the source"
	}
	return bits, ""
}

// Mask returns what clears the bits of overlays that go, in the pixel data with this head, or, as a clause, why that
// can't be.
func (p *Bits) Mask(h stream.Head, enc stream.Encoding, syntax string) (m Mask, why string) {
	bits, why := p.cleared(h.Content == stream.Fragments)
	switch {
	case why != "", bits == 0:
		return m, why
	case syntax == GEImplicit:
		return newMask(^bits, p.bits[0]/8, 2), ""
	case enc.BigEndian():
		return newMask(^bits, p.bits[0]/8, max(h.VR.Width(), 1)), ""
	}
	return newMask(^bits, p.bits[0]/8, 1), ""
}

// Mask clears bits of samples as these pass.
type Mask struct {
	On    bool
	bytes [maskSize]byte
	words [maskSize / 8]uint64 // the same
	at    int                  // of the next byte
}

// maskSize is a multiple of the size of every sample that occurs, and of every unit that has a byte order.
const maskSize = 24

// newMask keeps these bits of samples of so many bytes, of which unit go together from the highest to the lowest.
func newMask(keep uint64, sample, unit int) Mask {
	m := Mask{On: true}
	for i := range m.bytes {
		m.bytes[i] = byte(keep >> (8 * ((i ^ (unit - 1)) % sample)))
	}
	for i := range m.words {
		m.words[i] = binary.LittleEndian.Uint64(m.bytes[8*i:])
	}
	return m
}

// Apply clears the bits in the next bytes, in place.
func (m *Mask) Apply(p []byte) {
	for ; len(p) > 0; p = p[1:] {
		for ; m.at%8 == 0 && len(p) >= 8; p = p[8:] {
			binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)&m.words[m.at/8])
			m.at = (m.at + 8) % maskSize
		}
		if len(p) == 0 {
			return
		}
		p[0] &= m.bytes[m.at]
		m.at = (m.at + 1) % maskSize
	}
}
