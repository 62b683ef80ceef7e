// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"compress/flate"
	"fmt"

	"github.com/adit-go/adit/dicom/dict"
)

// Encode returns the data set in a transfer syntax: implicit or explicit VR little endian, explicit VR big endian,
// deflated, and for encapsulated ones as they are. Sequences and items have defined lengths. A group length element is
// written, with the right value, where the data set has one (commands must, PS3.7 6.3.1).
func (d *DataSet) Encode(transferSyntaxUID string) ([]byte, error) {
	return d.AppendTo(nil, transferSyntaxUID)
}

// AppendTo is Encode behind what b holds.
func (d *DataSet) AppendTo(b []byte, transferSyntaxUID string) ([]byte, error) {
	ts := dict.TransferSyntaxOf(transferSyntaxUID)
	if !ts.Deflated {
		return d.append(b, syntaxOf(ts))
	}
	plain, err := d.append(nil, syntaxOf(ts))
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	fw, _ := flate.NewWriter(&out, flate.DefaultCompression) // the level is valid
	if _, err := fw.Write(plain); err != nil {
		return nil, err
	}
	if err := fw.Close(); err != nil {
		return nil, err
	}
	if out.Len()%2 == 1 {
		out.WriteByte(0)
	}
	return append(b, out.Bytes()...), nil
}

func (d *DataSet) append(b []byte, syn syntax) ([]byte, error) {
	groupLengthAt := -1 // where the length of the current group is to be written
	fix := func() {
		if groupLengthAt >= 0 {
			syn.order().PutUint32(b[groupLengthAt:], uint32(len(b)-groupLengthAt-4))
			groupLengthAt = -1
		}
	}
	var err error
	for i := range d.elems {
		e := &d.elems[i]
		if i > 0 && e.Tag.Group() != d.elems[i-1].Tag.Group() {
			fix()
		}
		if e.Tag.IsGroupLength() {
			b = syn.appendHead(b, e.Tag, dict.UL, 4)
			groupLengthAt = len(b)
			b = append(b, 0, 0, 0, 0)
			continue
		}
		if b, err = e.append(b, syn); err != nil {
			return nil, err
		}
	}
	fix()
	return b, nil
}

func (e *Element) append(b []byte, syn syntax) ([]byte, error) {
	if e.VR == dict.SQ {
		return e.appendItems(b, syn)
	}
	length := uint32(len(e.Value))
	if e.Tag == dict.PixelData && isFragments(e.Value) {
		length = undefined
	} else if uint64(len(e.Value)) >= undefined {
		return nil, fmt.Errorf("%w: %s has a value of %d bytes", ErrTooLarge, e.Tag, len(e.Value))
	}
	vr := e.VR
	if vr == 0 {
		vr = dict.UN
	}
	b = syn.appendHead(b, e.Tag, vr, length)
	begin := len(b)
	b = append(b, e.Value...)
	if syn.big && !(vr != dict.UN && !vr.Long() && length > maxShort) { // UN is in little endian
		swap(b[begin:], vr.Width())
	}
	return b, nil
}

func (e *Element) appendItems(b []byte, syn syntax) ([]byte, error) {
	b = syn.appendHead(b, e.Tag, dict.SQ, 0)
	sequence := len(b)
	var err error
	for _, item := range e.Items {
		b = syn.appendHead(b, dict.ItemTag, 0, 0)
		begin := len(b)
		if b, err = item.append(b, syn); err != nil {
			return nil, err
		}
		if err = putLength(b, begin, e.Tag, syn); err != nil {
			return nil, err
		}
	}
	return b, putLength(b, sequence, e.Tag, syn)
}

// putLength writes the length of what begins at begin just before it.
func putLength(b []byte, begin int, tag dict.Tag, syn syntax) error {
	n := uint64(len(b) - begin)
	if n >= undefined {
		return fmt.Errorf("%w: sequence %s takes %d bytes", ErrTooLarge, tag, n)
	}
	syn.order().PutUint32(b[begin-4:], uint32(n))
	return nil
}

// isFragments reports whether a value of pixel data is encapsulated: it begins with an item and ends with the
// delimiter.
func isFragments(v []byte) bool {
	return len(v) >= 16 && bytes.HasPrefix(v, []byte{0xFE, 0xFF, 0x00, 0xE0}) &&
		bytes.HasSuffix(v, []byte{0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0})
}
