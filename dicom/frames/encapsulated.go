// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"encoding/binary"
	"fmt"

	"github.com/adit-go/adit/dicom/stream"
)

// maxFragments bounds what an index takes: 12 bytes of memory for a fragment, 4 or 12 more for a frame.
const maxFragments = 1 << 20

// fragments are those of encapsulated pixel data (PS3.5 A.4), each frame one or more of them.
type fragments struct {
	table  Span  // the Basic Offset Table, which may be empty
	base   int64 // where offsets of tables count from: the first fragment's item; -1 before the table was seen
	values []int64
	sizes  []uint32
	first  []uint32 // the fragment that each frame begins with; nil if each has one
	ends   []uint64 // how long each frame is, by the Extended Offset Table; nil without
}

// add takes the next item: the Basic Offset Table, then fragments.
func (g *fragments) add(at Span) error {
	switch {
	case g.base < 0:
		g.table, g.base = at, at.Offset+at.Length
	case len(g.values) == maxFragments:
		return fmt.Errorf("%w: pixel data has more than %d fragments", stream.ErrTooLarge, maxFragments)
	default:
		g.values, g.sizes = append(g.values, at.Offset), append(g.sizes, uint32(at.Length))
	}
	return nil
}

// divide finds out which fragments make which frame: by a table if there is one, and else where that is certain.
func (g *fragments) divide(x *Index, s *scanner) error {
	if x.syntax.Known && !x.syntax.Encapsulated {
		return fmt.Errorf(
			"%w: its transfer syntax has pixel data in one piece, and its pixel data is in fragments", ErrUnclear,
		)
	}
	if len(g.values) < x.count {
		return fmt.Errorf(
			"%w: its header says %d frames, and pixel data has %d fragments", ErrUnclear, x.count, len(g.values),
		)
	}
	switch {
	case video(x.syntax.UID): // offsets of keyframes, at most
		g.first = []uint32{0}
		return nil
	case s.values[offsets].Length > 0:
		return g.byExtendedTable(x, s)
	case g.table.Length > 0:
		return g.byBasicTable(x)
	case len(g.values) == x.count:
		return nil
	case x.count == 1:
		g.first = []uint32{0}
		return nil
	}
	return g.byLooks(x)
}

// byBasicTable divides by the Basic Offset Table. Its offsets have 32 bits: those of pixel data beyond 4 GiB are
// compared by what fits, which is no doubt, as each must be the next fragment that fits.
func (g *fragments) byBasicTable(x *Index) error {
	return g.byTable(x, g.table, 4, "Basic Offset Table", func(b []byte, at int64) bool {
		return binary.LittleEndian.Uint32(b) == uint32(at)
	})
}

// byExtendedTable divides by the Extended Offset Table (7FE0,0001), and cuts each frame to its length in (7FE0,0002).
func (g *fragments) byExtendedTable(x *Index, s *scanner) error {
	order := binary.ByteOrder(binary.LittleEndian)
	if s.enc.BigEndian() {
		order = binary.BigEndian
	}
	const name = "Extended Offset Table (7FE0,0001)"
	err := g.byTable(x, s.values[offsets].Span, 8, name, func(b []byte, at int64) bool {
		return order.Uint64(b) == uint64(at)
	})
	if err != nil || !s.values[lengths].there {
		return err
	}
	if s.values[lengths].Length != int64(x.count)*8 {
		return g.contradicts("Extended Offset Table Lengths (7FE0,0002)")
	}
	table := make([]byte, s.values[lengths].Length)
	if _, err := x.file.ReadAt(table, s.values[lengths].Offset); err != nil {
		return notShorter(err)
	}
	g.ends = make([]uint64, x.count)
	for i := range g.ends {
		g.ends[i] = order.Uint64(table[8*i:])
		size := uint64(0)
		from, to := g.of(i)
		for _, n := range g.sizes[from:to] {
			size += uint64(n)
		}
		if g.ends[i] > size {
			return g.contradicts("Extended Offset Table Lengths (7FE0,0002)")
		}
	}
	return nil
}

// byTable goes through fragments and offsets together: each offset is that of the item of a fragment, in order, and the
// first that of the first.
func (g *fragments) byTable(x *Index, table Span, width int64, name string, same func([]byte, int64) bool) error {
	if table.Length != int64(x.count)*width {
		return fmt.Errorf(
			"%w: its header says %d frames, and its %s has %d bytes", ErrUnclear, x.count, name, table.Length,
		)
	}
	b := make([]byte, table.Length)
	if _, err := x.file.ReadAt(b, table.Offset); err != nil {
		return notShorter(err)
	}
	g.first = make([]uint32, 0, x.count)
	for i, at := range g.values {
		if len(b) > 0 && same(b, at-8-g.base) {
			g.first = append(g.first, uint32(i))
			b = b[width:]
		} else if i == 0 {
			break
		}
	}
	if len(b) > 0 {
		return g.contradicts(name)
	}
	if len(g.first) == len(g.values) {
		g.first = nil
	}
	return nil
}

func (g *fragments) contradicts(name string) error {
	return fmt.Errorf("%w: its %s doesn't agree with its %d fragments", ErrUnclear, name, len(g.values))
}

// byLooks divides where a fragment looks as compressed frames begin. That is a guess, which counts only if it finds as
// many frames as the header says and the first of them in the first fragment.
func (g *fragments) byLooks(x *Index) error {
	for i, at := range g.values {
		var head [12]byte
		n, err := x.file.ReadAt(head[:min(uint32(len(head)), g.sizes[i])], at)
		if err != nil && n == 0 && g.sizes[i] > 0 {
			return notShorter(err)
		}
		if begins(x.syntax.UID, head[:n]) {
			g.first = append(g.first, uint32(i))
		}
	}
	if len(g.first) != x.count || g.first[0] != 0 {
		return fmt.Errorf(
			"%w: there is no offset table, its header says %d frames, and of its %d fragments %d look like the beginning "+
				"of one", ErrUnclear, x.count, len(g.values), len(g.first),
		)
	}
	return nil
}

// begins reports whether a fragment begins as a frame of the transfer syntax does. A frame of RLE is always one
// fragment (PS3.5 A.4.2), so there is nothing to be found.
func begins(syntax string, b []byte) bool {
	is := func(marks ...byte) bool { return len(b) >= len(marks) && string(b[:len(marks)]) == string(marks) }
	switch MediaType(syntax) {
	case "image/jpeg", "image/jls":
		return is(0xFF, 0xD8, 0xFF)
	case "image/jp2", "image/jpx", "image/jphc":
		return is(0xFF, 0x4F, 0xFF, 0x51) || is(0, 0, 0, 12, 'j', 'P', ' ', ' ')
	case "image/jxl":
		return is(0xFF, 0x0A) || is(0, 0, 0, 12, 'J', 'X', 'L', ' ')
	}
	return false
}

// of tells which fragments make a frame, counted from 0.
func (g *fragments) of(i int) (from, to int) {
	if g.first == nil {
		return i, i + 1
	}
	if from = int(g.first[i]); i+1 < len(g.first) {
		return from, int(g.first[i+1])
	}
	return from, len(g.values)
}

func (g *fragments) frame(x *Index, i int) Frame {
	from, to := g.of(i)
	f := Frame{x: x, Spans: make([]Span, 0, to-from)}
	left := int64(-1)
	if g.ends != nil {
		left = int64(g.ends[i])
	}
	for ; from < to; from++ {
		n := int64(g.sizes[from])
		if left >= 0 {
			n = min(n, left-f.Size)
		}
		f.Spans = append(f.Spans, Span{g.values[from], n})
		f.Size += n
	}
	return f
}
