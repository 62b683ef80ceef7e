// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"encoding/binary"
	"io"
)

// runLengths returns the frames as encapsulated pixel data of the RLE transfer syntax (PS3.5 annex G): an empty offset
// table, and a fragment of one segment for each frame. Pixels have one byte.
func runLengths(p *pixels) []byte {
	b := appendItem(nil, 0xE000, 0)
	frame := make([]byte, p.rows*p.cols)
	for range p.frames {
		_, _ = io.ReadFull(p, frame) // memory to memory
		var segment []byte
		for row := 0; row < len(frame); row += p.cols { // runs end with the row (G.3.1)
			segment = packBits(segment, frame[row:row+p.cols])
		}
		if len(segment)%2 == 1 {
			segment = append(segment, 0)
		}
		header := make([]byte, 64)
		header[0] = 1  // one segment
		header[4] = 64 // where it begins
		b = appendItem(b, 0xE000, uint32(len(header)+len(segment)))
		b = append(append(b, header...), segment...)
	}
	return appendItem(b, 0xE0DD, 0)
}

func appendItem(b []byte, element uint16, length uint32) []byte {
	b = append(b, 0xFE, 0xFF)
	b = binary.LittleEndian.AppendUint16(b, element)
	return binary.LittleEndian.AppendUint32(b, length)
}

// packBits is the RLE of PS3.5 G.3.1: runs of two and more are replicated, the rest is literal.
func packBits(out, row []byte) []byte {
	for len(row) > 0 {
		n := run(row)
		if n > 1 {
			out = append(out, byte(1-n), row[0])
			row = row[n:]
			continue
		}
		for n = 1; n < len(row) && n < 128 && run(row[n:]) == 1; {
			n++
		}
		out = append(append(out, byte(n-1)), row[:n]...)
		row = row[n:]
	}
	return out
}

func run(b []byte) int {
	n := 1
	for n < len(b) && n < 128 && b[n] == b[0] {
		n++
	}
	return n
}
