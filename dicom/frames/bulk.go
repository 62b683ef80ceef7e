// SPDX-License-Identifier: AGPL-3.0-or-later

package frames

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ErrNoValue is wrapped where an instance has no element at a path, or only a sequence.
var ErrNoValue = errors.New("the instance has no such value")

// maxSteps is how deep an element can lie: as deep as sequences may (stream.Limits), and itself.
const maxSteps = 33

// Path leads to an element: through the items of sequences, if it is not at the top level.
type Path []Step

// Step is an element; of all but the last one of a path, a sequence and its item, counted from 1.
type Step struct {
	Tag  dict.Tag
	Item int // 0 in the last step
}

// String writes a path as a part of a URL: "7FE00010", or "54000100.1.54001010" for an element in the first item of a
// sequence.
func (p Path) String() string {
	var b strings.Builder
	for i, s := range p {
		if i > 0 {
			b.WriteByte('.')
		}
		fmt.Fprintf(&b, "%08X", uint32(s.Tag))
		if i < len(p)-1 {
			fmt.Fprintf(&b, ".%d", s.Item)
		}
	}
	return b.String()
}

// ParsePath reads what String writes. The error wraps ErrNoValue.
func ParsePath(text string) (Path, error) {
	bad := fmt.Errorf("%w: its path must be tags of eight digits, with item numbers between them", ErrNoValue)
	if len(text) > maxSteps*20 {
		return nil, bad
	}
	parts := strings.Split(text, ".")
	if len(parts)%2 == 0 || len(parts) > 2*maxSteps {
		return nil, bad
	}
	var p Path
	for i := 0; i < len(parts); i += 2 {
		tag, err := strconv.ParseUint(parts[i], 16, 32)
		if err != nil || len(parts[i]) != 8 {
			return nil, bad
		}
		s := Step{Tag: dict.Tag(tag)}
		if i+1 < len(parts) {
			item, err := strconv.ParseUint(parts[i+1], 10, 31)
			if err != nil || item == 0 {
				return nil, bad
			}
			s.Item = int(item)
		}
		p = append(p, s)
	}
	return p, nil
}

// Value is where the value of an element lies.
type Value struct {
	Span

	VR dict.VR // by the dictionary in implicit VR
	// Encapsulated: it consists of items and a delimiter, as compressed pixel data does (PS3.5 A.4).
	Encapsulated bool

	file  io.ReaderAt
	width int
}

// Reader gives the value in little endian, of all other as it is.
func (v Value) Reader() io.Reader {
	r := io.Reader(&joined{file: v.file, spans: []Span{v.Span}})
	if v.width > 1 {
		return &swapped{r: r, width: v.width}
	}
	return r
}

// Find looks for the value of an element of a file (PS3.10 7), at the top level or in an item; of elements of the same
// tag it takes the first. It reads heads up to there, and holds none. Errors wrap ErrNoValue, or are those of Open.
// Frames of pixel data are told apart by Open.
func Find(file io.ReaderAt, size int64, path Path) (Value, error) {
	if len(path) == 0 || len(path) > maxSteps {
		return Value{}, ErrNoValue
	}
	meta, begin, err := stream.FileMetaAt(file, size)
	if err != nil {
		return Value{}, err
	}
	ts := dict.TransferSyntaxOf(meta.TransferSyntaxUID)
	if ts.Deflated {
		return Value{}, ErrDeflated
	}
	w := finder{path: path}
	in := io.NewSectionReader(file, begin, size-begin)
	for t, err := range stream.TokensAt(in, size-begin, meta.TransferSyntaxUID, stream.Limits{}) {
		if err != nil {
			return Value{}, err
		}
		if !w.take(t) {
			continue
		}
		v := w.value
		v.file, v.Offset, v.width = file, v.Offset+begin, 1
		// what came as UN is in little endian, and so are the items of a sequence that did (PS3.5 6.2.2)
		un := slices.Contains(w.vrs[:len(path)-1], dict.UN)
		if ts.BigEndian && !v.Encapsulated && !un {
			v.width = v.VR.Width()
		}
		return v, nil
	}
	return Value{}, fmt.Errorf("%w: %s", ErrNoValue, path)
}

// finder follows tokens.
type finder struct {
	path  Path
	items [maxSteps]int     // which item of each open sequence
	vrs   [maxSteps]dict.VR // of each open sequence
	value Value
	open  bool // the value is encapsulated, and its end is still to come
}

// take reports whether the value has been found.
func (w *finder) take(t stream.Token) bool {
	depth := len(t.Path)
	switch t.Kind {
	case stream.SequenceToken:
		w.items[depth], w.vrs[depth] = 0, t.VR
	case stream.ItemToken:
		w.items[depth-1]++
	case stream.ValueToken, stream.FragmentsToken:
		if w.open || !w.here(t) {
			return false
		}
		w.value = Value{Span: Span{int64(t.Value), int64(t.End - t.Value)}, VR: t.VR}
		w.open = t.Kind == stream.FragmentsToken
		return !w.open
	case stream.EndToken:
		if w.open { // nothing but fragments lies within
			w.value.Length, w.value.Encapsulated = int64(t.End)-w.value.Offset, true
			return true
		}
	case stream.FragmentToken:
	}
	return false
}

func (w *finder) here(t stream.Token) bool {
	last := len(w.path) - 1
	if t.Tag != w.path[last].Tag || len(t.Path) != last {
		return false
	}
	for i, tag := range t.Path {
		if w.path[i] != (Step{tag, w.items[i]}) {
			return false
		}
	}
	return true
}
