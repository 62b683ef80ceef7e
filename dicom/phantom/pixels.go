// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"encoding/binary"
	"io"
	"math"
)

// pixels generates the frames of an object row by row: an ellipse of soft tissue with a rim of bone and an insert, in
// air, under noise. Only whole numbers are used (a square root of one is exact everywhere), so that every
// machine draws the same.
type pixels struct {
	rows, cols, frames int
	bytes              int // per pixel: 1 or 2
	slice              int // the object's place in its series
	key                uint64
	tables             [4][]byte // per material noiseLen pixels with their noise, as they are stored

	frame, row int    // next to be drawn
	left       []byte // drawn and not read yet
	buf        []byte
	pad        int
}

const (
	noiseLen = 1 << 12
	drawn    = 64 << 10 // bytes drawn at once, and at least a row
)

// The materials that things are drawn of.
const (
	air = iota
	tissue
	bone
	insert
)

// values are the stored values of the materials, of 12 bits: Hounsfield units + 1024.
var values = [4]uint16{air: 24, tissue: 1064, bone: 2100, insert: 1180}

func newPixels(in *Instance) *pixels {
	sp := in.series.Spec
	k := kinds[sp.Kind]
	p := &pixels{rows: sp.Rows, cols: sp.Columns, frames: sp.Frames, bytes: k.bytes, slice: in.Number}
	p.key = mix(in.series.study.seed ^ uint64(in.series.Number)<<48 ^ uint64(in.Number)<<24)
	for material, value := range values {
		p.tables[material] = p.table(value)
	}
	rows := max(1, drawn/(p.cols*p.bytes))
	p.buf = make([]byte, min(rows, p.rows)*p.cols*p.bytes)
	p.pad = p.rows * p.cols * p.frames * p.bytes % 2
	return p
}

// mix is the finalizer of SplitMix64: one bit of input changes half of the output.
func mix(z uint64) uint64 {
	z += 0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return z ^ z>>31
}

func (p *pixels) Read(b []byte) (int, error) {
	if len(p.left) == 0 && !p.draw() {
		return 0, io.EOF
	}
	n := copy(b, p.left)
	p.left = p.left[n:]
	return n, nil
}

// draw draws the next rows. It is false at the end.
func (p *pixels) draw() bool {
	if p.frame == p.frames {
		p.left = make([]byte, p.pad)
		p.pad = 0
		return len(p.left) > 0
	}
	width := p.cols * p.bytes
	n := 0
	for ; n+width <= len(p.buf) && p.frame < p.frames; n += width {
		p.drawRow(p.buf[n : n+width])
		if p.row++; p.row == p.rows {
			p.row, p.frame = 0, p.frame+1
		}
	}
	p.left = p.buf[:n]
	return true
}

func (p *pixels) drawRow(dst []byte) {
	offset := mix(p.key ^ uint64(p.frame)<<32 ^ uint64(p.row))
	outer := p.halfWidth(p.cols*2/5, p.rows*2/5, p.row-p.rows/2)
	inner := p.halfWidth(p.cols*2/5-p.cols/32, p.rows*2/5-p.rows/32, p.row-p.rows/2)
	// The insert wanders with the slice and the frame.
	step := (p.slice + p.frame) % 16
	spot := p.halfWidth(p.cols/10, p.rows/10, p.row-p.rows/2+p.rows*(step-8)/64)
	at := p.cols / 2
	p.fill(dst, offset, 0, p.cols, air)
	p.fill(dst, offset, at-outer, at+outer, bone)
	p.fill(dst, offset, at-inner, at+inner, tissue)
	p.fill(dst, offset, at-spot, at+spot, insert)
}

// halfWidth is half the width, at distance dy from the centre, of an ellipse with the half-axes a and b.
func (p *pixels) halfWidth(a, b, dy int) int {
	if b <= 0 || dy <= -b || dy >= b {
		return 0
	}
	return a * int(math.Sqrt(float64(b*b-dy*dy))) / b
}

// fill draws the pixels [from, to) of a row.
func (p *pixels) fill(dst []byte, offset uint64, from, to, material int) {
	table := p.tables[material]
	for from < to {
		at := int((offset + uint64(from)) % noiseLen)
		n := min(noiseLen-at, to-from)
		copy(dst[from*p.bytes:(from+n)*p.bytes], table[at*p.bytes:])
		from += n
	}
}

// table returns pixels of a value with their noise.
func (p *pixels) table(value uint16) []byte {
	var b []byte
	for i := range uint64(noiseLen) {
		v := value + uint16(mix(p.key+i)>>58)
		if p.bytes == 1 {
			b = append(b, byte(v>>4))
		} else {
			b = binary.LittleEndian.AppendUint16(b, v)
		}
	}
	return b
}
