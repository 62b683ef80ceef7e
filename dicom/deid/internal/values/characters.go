// SPDX-License-Identifier: AGPL-3.0-or-later

package values

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// holdsWords reports whether a value of binary numbers is a text in truth: all of its bytes are characters, most of
// them letters, and as numbers they make no sense. Nobody can tell a short text from numbers for sure (50.1 as FL is
// "ffHB"), so what may be a number stays; the scan looks for what is the patient's in those, too. Bytes (OB, UN) aren't
// judged: profiles of colours and certificates hold text by right.
func holdsWords(value []byte, vr dict.VR, order binary.ByteOrder) bool {
	var c Characters
	v := value
	for len(v) > 0 && v[len(v)-1] == 0 {
		v = v[:len(v)-1]
	}
	// where the last number begins: in the other byte order its padding is in front
	last := max(0, (len(v)-1)/vr.Width()*vr.Width())
	if !c.See(v[:last]) {
		return false
	}
	for i := last; i < len(value) && i < last+vr.Width(); i++ {
		if value[i] != 0 && !c.See(value[i:i+1]) {
			return false
		}
	}
	switch vr {
	case dict.AT:
		return c.HoldWords(0) && !knowsTags(value, order)
	case dict.FL, dict.OF, dict.FD, dict.OD:
		return c.HoldWords(0) && (isNoMeasure(value, vr, order) || vr.Width() == 8 && c.letters*8 >= c.n*7)
	case dict.UL, dict.SL, dict.OL, dict.UV, dict.SV, dict.OV:
		return c.HoldWords(4)
	case dict.US, dict.SS, dict.OW:
		return c.HoldWords(5)
	}
	return false
}

// orderOf returns the byte order of an element's numbers. Text that came in the place of numbers has none.
func orderOf(e *Element, enc stream.Encoding) binary.ByteOrder {
	if enc.BigEndian() && !e.VR.Text() {
		return binary.BigEndian
	}
	return binary.LittleEndian
}

// IsBinary reports whether a VR is one of binary numbers, one or many.
func IsBinary(vr dict.VR) bool { return vr == dict.AT || vr.Width() > 1 }

// allNumbers reports whether a text has numbers, and nothing else.
func allNumbers(value []byte) bool { return All(value, isNumber) }

// Characters counts what bytes are as text.
type Characters struct {
	n, letters, high int    // bytes, ASCII letters, bytes beyond ASCII
	alphabet         uint32 // which letters
	Other            bool   // what is in no text
}

// See counts more bytes, and reports whether all so far may be text.
func (c *Characters) See(p []byte) bool {
	for _, b := range p {
		switch l := b | 0x20; {
		case l >= 'a' && l <= 'z':
			c.letters++
			c.alphabet |= 1 << (l - 'a')
		case b >= 0xA0:
			c.high++
		case (b < ' ' || b > '~') && b != '\r' && b != '\n' && b != '\t':
			c.Other = true
		}
		if c.Other {
			return false
		}
	}
	c.n += len(p)
	return true
}

// HoldWords reports whether it reads like words of so many bytes at least. A table of constant values has few letters,
// one of noise few among the rest.
func (c *Characters) HoldWords(least int) bool {
	return !c.Other && c.n >= least && c.letters >= 3 && bits.OnesCount32(c.alphabet) >= 3 &&
		c.letters*5 >= c.n*2 && (c.high == 0 || c.letters*4 >= c.n*3)
}

// isNoMeasure reports whether floating point numbers have one among them that nobody measures.
func isNoMeasure(value []byte, vr dict.VR, order binary.ByteOrder) bool {
	for ; len(value) >= vr.Width(); value = value[vr.Width():] {
		var x, most float64
		if vr.Width() == 4 {
			x, most = float64(math.Float32frombits(order.Uint32(value))), 1e9
		} else {
			x, most = math.Float64frombits(order.Uint64(value)), 1e12
		}
		if x = math.Abs(x); x != 0 && !(x >= 1e-9 && x <= most) {
			return true
		}
	}
	return false
}

// knowsTags reports whether the dictionary has each of some tags.
func knowsTags(value []byte, order binary.ByteOrder) bool {
	for ; len(value) >= 4; value = value[4:] {
		if _, known := dict.Lookup(dict.NewTag(order.Uint16(value), order.Uint16(value[2:]))); !known {
			return false
		}
	}
	return true
}
