// SPDX-License-Identifier: AGPL-3.0-or-later

// Package frames finds the frames of an instance, and the values of its elements, in the file that it lies in, so that
// they can be read one by one. An instance is never held in memory: what is kept is where each fragment lies.
package frames

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ErrNoPixelData is the error of a frame of an instance that has none.
var ErrNoPixelData = errors.New("the instance has no pixel data")

// ErrNoFrame is wrapped where an instance has no frame of that number.
var ErrNoFrame = errors.New("the instance has no such frame")

// ErrUnclear is wrapped where frames can't be told apart, or don't agree with what the header or an offset table says.
// The instance as a whole can be read all the same.
var ErrUnclear = errors.New("the frames of the instance can't be told apart")

// ErrDeflated is wrapped where the data set is deflated as a whole, so nothing of it has a place in the file.
var ErrDeflated = errors.New(
	"the data set is deflated, so its frames have no place in the file; it has to be inflated first",
)

// Span is a part of a file, in bytes.
type Span struct{ Offset, Length int64 }

// Index says where the frames of an instance lie. It may be read by any number of goroutines.
type Index struct {
	file   io.ReaderAt
	meta   stream.FileMeta
	syntax dict.TransferSyntax
	count  int
	// data is the whole value of pixel data, item heads and delimiter included if it is encapsulated.
	data      Span
	form      dict.Tag // which of the three pixel data it is; 0 if there is none
	native    native
	fragments *fragments // nil unless encapsulated
}

// Open reads the heads of a file (PS3.10 7) of size bytes and finds its frames. The file may lack its preamble. An
// instance without pixel data has no frames, which is no error. Errors wrap ErrUnclear, ErrDeflated,
// stream.ErrNotPart10, stream.ErrMalformed, stream.ErrTooLarge, io.ErrUnexpectedEOF, or are those of the file. The file
// must not change as long as the index is used.
func Open(file io.ReaderAt, size int64) (*Index, error) {
	meta, begin, err := stream.FileMetaAt(file, size)
	if err != nil {
		return nil, err
	}
	x := &Index{file: file, meta: meta, syntax: dict.TransferSyntaxOf(meta.TransferSyntaxUID)}
	if x.syntax.Deflated {
		return nil, ErrDeflated
	}
	s := scanner{x: x, begin: begin, enc: stream.EncodingOf(x.syntax)}
	if err := s.scan(size); err != nil {
		return nil, err
	}
	if x.form == 0 {
		return x, nil
	}
	if x.count, err = s.numberOfFrames(); err != nil {
		return nil, err
	}
	if x.fragments == nil {
		return x, x.native.place(x, &s)
	}
	return x, x.fragments.divide(x, &s)
}

// FileMeta is the file meta information.
func (x *Index) FileMeta() stream.FileMeta { return x.meta }

// TransferSyntax says how the data set and its frames are encoded.
func (x *Index) TransferSyntax() dict.TransferSyntax { return x.syntax }

// Count is the number of frames, 0 without pixel data. A video counts as one, whatever Number of Frames says: its bit
// stream can't be divided.
func (x *Index) Count() int { return x.count }

// PixelData is the place of the whole value of pixel data; ok is false if there is none. It is one of Pixel Data, Float
// Pixel Data and Double Float Pixel Data. If encapsulated, the value consists of items and a delimiter (PS3.5 A.4).
func (x *Index) PixelData() (tag dict.Tag, place Span, encapsulated, ok bool) {
	return x.form, x.data, x.fragments != nil, x.form != 0
}

// Frame is one frame.
type Frame struct {
	// Spans are where its bytes lie in the file, in their order. Those of a native frame of single bits may have bits of
	// other frames at both ends.
	Spans []Span
	// Size is how many bytes Reader gives.
	Size int64

	x   *Index
	bit uint // where a native frame of single bits begins in the first byte
}

// Frame finds a frame, counted from 1 as DICOM does. The error wraps ErrNoFrame or ErrNoPixelData.
func (x *Index) Frame(n int) (Frame, error) {
	switch {
	case x.form == 0:
		return Frame{}, ErrNoPixelData
	case n < 1 || n > x.count:
		return Frame{}, fmt.Errorf("%w: %d, of %d", ErrNoFrame, n, x.count)
	case x.fragments == nil:
		return x.native.frame(x, n-1), nil
	}
	return x.fragments.frame(x, n-1), nil
}

// Reader gives the frame as PS3.18 8.7.3.3 has it: a compressed one as it is stored, fragments joined; a native one in
// little endian, from the first bit of a byte on (a frame of single bits need not begin at one, PS3.5 8.1.1: its bits
// are shifted, and the rest of its last byte is 0). It may end early only with an error.
func (f Frame) Reader() io.Reader {
	if f.x.fragments == nil {
		return f.x.native.reader(f)
	}
	return &joined{file: f.x.file, spans: f.Spans}
}

// scanner takes what matters from the heads of a data set, and from a few short values.
type scanner struct {
	x     *Index
	begin int64 // of the data set in the file
	enc   stream.Encoding

	values [wantedCount]value
	err    error
}

// What of the header says where frames lie.
const (
	rows = iota
	columns
	samples
	bitsAllocated
	photometric
	frameCount
	offsets // of the Extended Offset Table
	lengths
	wantedCount
)

var wanted = map[dict.Tag]int{
	dict.Rows: rows, dict.Columns: columns, dict.SamplesPerPixel: samples, dict.BitsAllocated: bitsAllocated,
	dict.PhotometricInterpretation: photometric, dict.NumberOfFrames: frameCount,
	dict.ExtendedOffsetTable: offsets, dict.ExtendedOffsetTableLengths: lengths,
}

// value is a place of a value in the file; the first of its tag counts.
type value struct {
	Span

	there bool
}

func (s *scanner) scan(size int64) error {
	x := s.x
	r := io.NewSectionReader(x.file, s.begin, size-s.begin)
	for t, err := range stream.TokensAt(r, size-s.begin, x.meta.TransferSyntaxUID, stream.Limits{}) {
		if err != nil {
			return err
		}
		at := Span{s.begin + int64(t.Value), int64(t.End - t.Value)}
		switch {
		case len(t.Path) > 0:
		case x.fragments != nil && t.Kind == stream.FragmentToken:
			if err := x.fragments.add(at); err != nil {
				return err
			}
		case x.fragments != nil: // the delimiter
			x.data.Length = s.begin + int64(t.End) - x.data.Offset
			return nil
		case isPixelData(t.Tag):
			x.form, x.data = t.Tag, at
			if t.Kind == stream.ValueToken {
				x.native.vr = t.VR
				return nil
			}
			x.fragments = &fragments{base: -1}
		case t.Kind == stream.ValueToken:
			if i, ok := wanted[t.Tag]; ok && !s.values[i].there {
				s.values[i] = value{Span: at, there: true}
			}
		}
	}
	return nil
}

func isPixelData(t dict.Tag) bool {
	return t == dict.PixelData || t == dict.FloatPixelData || t == dict.DoubleFloatPixelData
}

// read reads a short value.
func (s *scanner) read(i int) ([]byte, error) {
	v := s.values[i]
	b := make([]byte, min(v.Length, 64))
	if _, err := s.x.file.ReadAt(b, v.Offset); err != nil && len(b) > 0 {
		return nil, notShorter(err)
	}
	return b, nil
}

func notShorter(err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("the file became shorter while it was read: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// uint16 reads a number (US); 0 if there is none.
func (s *scanner) uint16(i int) int64 {
	b, err := s.read(i)
	if err != nil {
		s.err = err
	}
	if len(b) < 2 {
		return 0
	}
	if s.enc.BigEndian() {
		return int64(b[0])<<8 | int64(b[1])
	}
	return int64(b[1])<<8 | int64(b[0])
}

func (s *scanner) text(i int) string {
	b, err := s.read(i)
	if err != nil {
		s.err = err
	}
	text, _, _ := strings.Cut(string(b), `\`)
	return strings.Trim(text, " \x00")
}

// numberOfFrames reads Number of Frames (0028,0008): one if it is absent or empty, or 0, which some devices write.
func (s *scanner) numberOfFrames() (int, error) {
	if video(s.x.syntax.UID) {
		return 1, nil
	}
	text := s.text(frameCount)
	if s.err != nil || text == "" {
		return 1, s.err
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: Number of Frames (0028,0008) is no number of frames", ErrUnclear)
	}
	return max(1, int(n)), nil
}
