// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"math/bits"

	"github.com/adit-go/adit/dicom/dict"
)

// gePrivateImplicit is implicit VR little endian with pixel data in big endian (dicom/dict).
const gePrivateImplicit = "1.2.840.113619.5.2"

// native is pixel data that isn't encapsulated: frames follow each other without a gap (PS3.5 8.1.1).
type native struct {
	vr    dict.VR
	bits  int64 // of a frame
	width int   // bytes of a unit that is stored in big endian; 1 if there is nothing to swap
}

// place finds out how long a frame is, and whether there are as many as the header says.
func (n *native) place(x *Index, s *scanner) error {
	if x.syntax.Encapsulated && x.syntax.Known {
		return fmt.Errorf(
			"%w: its transfer syntax has pixel data in fragments, and its pixel data is in one piece", ErrUnclear,
		)
	}
	allocated, err := n.size(x, s)
	if err != nil {
		return err
	}
	// there are fewer than 2^32 pixels, one has 256 bits at most: a frame has fewer than 2^40, all of them fewer than 2^71
	hi, lo := bits.Mul64(uint64(n.bits), uint64(x.count))
	if hi > 0 || lo > uint64(x.data.Length)*8 {
		return fmt.Errorf(
			"%w: its header says %d frames of %d bytes, and pixel data has %d bytes", ErrUnclear, x.count,
			(n.bits+7)/8, x.data.Length,
		)
	}
	n.width = 1
	if x.syntax.BigEndian || x.syntax.UID == gePrivateImplicit {
		n.width = max(1, int(allocated/8))
		if n.width == 1 && n.vr == dict.OW {
			n.width = 2
		}
	}
	return nil
}

// size finds out how many bits a frame has, and gives the bits of a sample.
func (n *native) size(x *Index, s *scanner) (allocated int64, err error) {
	perPixel, allocated, pixels := max(1, s.uint16(samples)), s.uint16(bitsAllocated), s.uint16(rows)*s.uint16(columns)
	switch x.form {
	case dict.FloatPixelData:
		allocated = 32
	case dict.DoubleFloatPixelData:
		allocated = 64
	}
	colour := s.text(photometric)
	if s.err != nil {
		return 0, s.err
	}
	if pixels == 0 || perPixel > 4 || allocated != 1 && (allocated == 0 || allocated%8 != 0 || allocated > 64) {
		return 0, fmt.Errorf(
			"%w: its rows and columns (%d pixels), samples per pixel (%d) or bits allocated (%d) make no frame",
			ErrUnclear, pixels, perPixel, allocated,
		)
	}
	n.bits = pixels * perPixel * allocated
	if perPixel == 3 { // PS3.3 C.7.6.3.1.2: colour for two, or four, pixels at once
		switch colour {
		case "YBR_FULL_422", "YBR_PARTIAL_422":
			n.bits = n.bits / 3 * 2
		case "YBR_PARTIAL_420":
			n.bits /= 2
		}
	}
	return allocated, nil
}

// frame finds a frame, counted from 0.
func (n *native) frame(x *Index, i int) Frame {
	begin := n.bits * int64(i)
	end := begin + n.bits
	first, last := begin/8, (end+7)/8
	if w := int64(n.width); w > 1 { // whole units, of which bytes are taken after they were swapped
		first, last = first/w*w, min((last+w-1)/w*w, x.data.Length)
	}
	return Frame{
		x: x, Spans: []Span{{x.data.Offset + first, last - first}}, Size: (n.bits + 7) / 8,
		bit: uint(begin - first*8),
	}
}

func (n *native) reader(f Frame) io.Reader {
	at := f.Spans[0]
	plain := io.Reader(&joined{file: f.x.file, spans: f.Spans})
	if n.width > 1 {
		plain = &swapped{r: plain, width: n.width}
	}
	if f.bit == 0 && f.Size == at.Length && n.bits%8 == 0 {
		return plain
	}
	return newShifted(plain, f.bit, n.bits)
}

// joined gives spans of a file one after the other.
type joined struct {
	file  io.ReaderAt
	spans []Span
	done  int64 // bytes of the first of them

	buf []byte // of the file, from an offset on: small spans that lie together are read at once
	at  int64
}

func (j *joined) Read(p []byte) (n int, err error) {
	for n < len(p) && len(j.spans) > 0 {
		left := j.spans[0].Length - j.done
		if left == 0 {
			j.spans, j.done = j.spans[1:], 0
			continue
		}
		if left >= pieceSize && n > 0 {
			break
		}
		got, err := j.read(p[n:][:min(int64(len(p)-n), left)], j.spans[0].Offset+j.done, left)
		n += got
		j.done += int64(got)
		if err != nil && n == 0 {
			return 0, notShorter(err)
		}
		if err != nil || left >= pieceSize {
			break
		}
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}

// read reads something at an offset, where so many bytes belong together.
func (j *joined) read(p []byte, off, left int64) (n int, err error) {
	last := j.spans[len(j.spans)-1]
	if size := min(pieceSize, last.Offset+last.Length-off); left >= size { // there is nothing behind it, or too much
		n, err = j.file.ReadAt(p, off)
	} else {
		if off < j.at || off >= j.at+int64(len(j.buf)) {
			j.buf = append(j.buf[:0], make([]byte, size)...)
			n, err = j.file.ReadAt(j.buf, off)
			j.buf, j.at = j.buf[:n], off
		}
		n = copy(p, j.buf[max(0, min(off-j.at, int64(len(j.buf)))):])
	}
	switch {
	case n > 0:
		return n, nil
	case err == nil:
		err = io.ErrNoProgress
	}
	return 0, err
}

// pieceSize is what is read of a file at once to be swapped or shifted.
const pieceSize = 32 << 10

// swapped turns the bytes of each unit round.
type swapped struct {
	r     io.Reader
	width int
	buf   []byte
	out   []byte
	err   error
}

func (s *swapped) Read(p []byte) (int, error) {
	for len(s.out) == 0 {
		if s.err != nil {
			return 0, s.err
		}
		if s.buf == nil {
			s.buf = make([]byte, pieceSize)
		}
		var n int
		if n, s.err = io.ReadFull(s.r, s.buf); s.err == io.ErrUnexpectedEOF { //nolint:errorlint // the end, not a cut file
			s.err = io.EOF
		}
		s.out = s.buf[:n]
		for b := s.out; len(b) >= s.width; b = b[s.width:] {
			for i, j := 0, s.width-1; i < j; i, j = i+1, j-1 {
				b[i], b[j] = b[j], b[i]
			}
		}
	}
	n := copy(p, s.out)
	s.out = s.out[n:]
	return n, nil
}

// shifted gives left bits from a bit of the source on, the first of them as the lowest of the first byte.
type shifted struct {
	r    *bufio.Reader
	bit  uint // of last, where what is left begins; 0: in the next byte
	left int64
	last byte
}

func newShifted(r io.Reader, bit uint, left int64) *shifted {
	s := &shifted{r: bufio.NewReader(r), bit: bit % 8, left: left}
	_, err := s.r.Discard(int(bit / 8))
	if err == nil && s.bit > 0 {
		s.last, err = s.r.ReadByte()
	}
	if err != nil { // it comes again
		s.bit = 0
	}
	return s
}

func (s *shifted) Read(p []byte) (n int, err error) {
	for ; n < len(p) && s.left > 0; n++ {
		var v byte // what is left of the last byte, and the beginning of the next
		if s.bit > 0 {
			v = s.last >> s.bit
		}
		if s.bit == 0 || s.left > int64(8-s.bit) {
			if s.last, err = s.r.ReadByte(); errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			if err != nil {
				return n, err
			}
			v |= s.last << ((8 - s.bit) % 8)
		}
		if s.left < 8 {
			v &= 1<<uint(s.left) - 1
		}
		p[n] = v
		s.left -= 8
	}
	if n == 0 && len(p) > 0 {
		return 0, io.EOF
	}
	return n, nil
}
