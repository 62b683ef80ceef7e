// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"encoding/binary"
	"errors"

	"github.com/adit-go/adit/dicom/dict"
)

// undefined is the length that stands for "up to the delimiter" (PS3.5 7.1.1).
const undefined = 0xFFFFFFFF

// maxShort is the largest even length that 16 bits hold.
const maxShort = 0xFFFE

// ErrMalformed is wrapped when bytes don't keep to the encoding of PS3.5. End of input before the declared end
// wraps io.ErrUnexpectedEOF instead.
var ErrMalformed = errors.New("not a valid DICOM data set")

// ErrTooLarge is wrapped when a limit of ours is passed.
var ErrTooLarge = errors.New("the DICOM data set is larger than allowed")

// Limits bound what one data set may take. Zero values mean the default.
type Limits struct {
	Header int // bytes before pixel data, or of a whole DataSet; default 16 MiB, most 1 GiB
	Depth  int // sequences within sequences; default and most 32
}

const (
	defaultHeader = 16 << 20
	maxHeader     = 1 << 30
	// maxElements bounds what a header or data set of many tiny elements costs: each takes more memory than its bytes.
	maxElements = 1 << 18
	maxDepth    = 32
)

func (l Limits) orDefault() Limits {
	if l.Header <= 0 {
		l.Header = defaultHeader
	}
	l.Header = min(l.Header, maxHeader)
	if l.Depth <= 0 || l.Depth > maxDepth {
		l.Depth = maxDepth
	}
	return l
}

// syntax is what of a transfer syntax matters for reading elements.
type syntax struct {
	implicit bool
	big      bool
	// forImplicit: it is to become implicit VR, where the dictionary's sequences are such even if they came as UN.
	forImplicit bool
}

func syntaxOf(t dict.TransferSyntax) syntax { return syntax{implicit: t.Implicit, big: t.BigEndian} }

func (s syntax) order() binary.ByteOrder {
	if s.big {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

func (s syntax) uint16(b []byte) uint16 {
	if s.big {
		return binary.BigEndian.Uint16(b)
	}
	return binary.LittleEndian.Uint16(b)
}

func (s syntax) uint32(b []byte) uint32 {
	if s.big {
		return binary.BigEndian.Uint32(b)
	}
	return binary.LittleEndian.Uint32(b)
}

func (s syntax) appendUint16(b []byte, v uint16) []byte {
	if s.big {
		return binary.BigEndian.AppendUint16(b, v)
	}
	return binary.LittleEndian.AppendUint16(b, v)
}

func (s syntax) appendUint32(b []byte, v uint32) []byte {
	if s.big {
		return binary.BigEndian.AppendUint32(b, v)
	}
	return binary.LittleEndian.AppendUint32(b, v)
}

// head is what precedes a value: tag, VR and length (PS3.5 7.1).
type head struct {
	tag    dict.Tag
	vr     dict.VR // 0 in implicit VR, and for items and delimiters
	length uint32
	size   int // bytes of the head itself: 8 or 12
}

// maxHead is the size of the longest head.
const maxHead = 12

// head reads a head; ok is false if b is too short for it.
func (s syntax) head(b []byte) (h head, ok bool) {
	if len(b) < 8 {
		return h, false
	}
	h.tag = dict.NewTag(s.uint16(b), s.uint16(b[2:]))
	if s.implicit || h.tag.Group() == 0xFFFE {
		h.length, h.size = s.uint32(b[4:]), 8
		return h, true
	}
	h.vr = dict.VR(b[4])<<8 | dict.VR(b[5])
	if !h.vr.Long() || !letters(h.vr) {
		h.length, h.size = uint32(s.uint16(b[6:])), 8
		return h, true
	}
	if len(b) < maxHead {
		return h, false
	}
	h.length, h.size = s.uint32(b[8:]), maxHead
	return h, true
}

// letters reports whether a VR is two capital letters, as those of the standard are and those to come will be.
func letters(v dict.VR) bool {
	a, b := byte(v>>8), byte(v)
	return 'A' <= a && a <= 'Z' && 'A' <= b && b <= 'Z'
}

// What some writers put where they know no VR; a length of 16 bits follows.
const (
	blankVR    dict.VR = ' '<<8 | ' '
	questionVR dict.VR = '?'<<8 | '?'
)

// appendHead writes a head. In explicit VR a value too long for a VR with 16 bits of length becomes UN (PS3.5 6.2.2).
func (s syntax) appendHead(b []byte, tag dict.Tag, vr dict.VR, length uint32) []byte {
	b = s.appendUint16(b, tag.Group())
	b = s.appendUint16(b, tag.Element())
	if s.implicit || tag.Group() == 0xFFFE {
		return s.appendUint32(b, length)
	}
	if !letters(vr) {
		vr = dict.UN
	}
	if !vr.Long() {
		if length <= maxShort {
			return s.appendUint16(append(b, byte(vr>>8), byte(vr)), uint16(length))
		}
		vr = dict.UN
	}
	return s.appendUint32(append(b, byte(vr>>8), byte(vr), 0, 0), length)
}

// swap turns the byte order of a value's units round, in place.
func swap(b []byte, width int) {
	switch width {
	case 2:
		const even = 0x00FF00FF00FF00FF
		for ; len(b) >= 8; b = b[8:] { // four at once: this is pixel data
			v := binary.LittleEndian.Uint64(b)
			binary.LittleEndian.PutUint64(b, v&even<<8|v>>8&even)
		}
		for ; len(b) >= 2; b = b[2:] {
			b[0], b[1] = b[1], b[0]
		}
	case 4:
		for ; len(b) >= 4; b = b[4:] {
			b[0], b[1], b[2], b[3] = b[3], b[2], b[1], b[0]
		}
	case 8:
		for ; len(b) >= 8; b = b[8:] {
			b[0], b[1], b[2], b[3], b[4], b[5], b[6], b[7] = b[7], b[6], b[5], b[4], b[3], b[2], b[1], b[0]
		}
	}
}

// isPixelData reports whether the tag is one of the three forms of pixel data (PS3.3 C.7.6.3).
func isPixelData(t dict.Tag) bool {
	return t == dict.PixelData || t == dict.FloatPixelData || t == dict.DoubleFloatPixelData
}
