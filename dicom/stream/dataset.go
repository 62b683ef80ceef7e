// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"cmp"
	"encoding/binary"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

// DataSet is a small data set in memory, in tag order: a query, a response, a command, the header of a phantom. The
// zero value is empty and ready. Text is kept in the character set that Specific Character Set (0008,0005) declares;
// text that doesn't fit moves the data set to ISO_IR 192. Any number of goroutines may read it, or one may write.
type DataSet struct {
	elems   []Element
	charset *charset.Set // nil: ASCII, or that of the enclosing data set where this is an item
}

// Len is the number of elements.
func (d *DataSet) Len() int { return len(d.elems) }

// All returns the elements in tag order.
func (d *DataSet) All() iter.Seq[Element] { return slices.Values(d.elems) }

// Get returns an element. Its value must not be changed.
func (d *DataSet) Get(tag dict.Tag) (Element, bool) {
	i, ok := d.find(tag)
	if !ok {
		return Element{}, false
	}
	return d.elems[i], true
}

// Has reports whether there is such an element, with a value or without.
func (d *DataSet) Has(tag dict.Tag) bool {
	_, ok := d.find(tag)
	return ok
}

// Put adds or replaces an element as it is: raw value (numbers little endian), text in the data set's character set.
// An odd length is padded. A value for (0008,0005) belongs in SetCharset.
func (d *DataSet) Put(e Element) {
	if len(e.Value)%2 == 1 {
		e.Value = append(slices.Clip(e.Value), e.VR.Padding())
	}
	i, ok := d.find(e.Tag)
	if ok {
		d.elems[i] = e
	} else {
		d.elems = slices.Insert(d.elems, i, e)
	}
}

// Remove takes an element away; it is no error if there is none.
func (d *DataSet) Remove(tag dict.Tag) {
	if i, ok := d.find(tag); ok {
		d.elems = slices.Delete(d.elems, i, i+1)
	}
}

func (d *DataSet) find(tag dict.Tag) (int, bool) {
	return slices.BinarySearchFunc(d.elems, tag, func(e Element, t dict.Tag) int { return cmp.Compare(e.Tag, t) })
}

// String returns the first value as text, decoded and without padding: also of numbers and attribute tags. It is empty
// if there is none.
func (d *DataSet) String(tag dict.Tag) string {
	e, ok := d.Get(tag)
	if !ok {
		return ""
	}
	if e.VR.Text() || e.VR == dict.UN {
		return firstValue(d.set().Decode(e.Value, textVR(e)), textVR(e))
	}
	if list := numbers(e); len(list) > 0 {
		return list[0]
	}
	return ""
}

// Strings returns all values as text, none if the element is absent or empty.
func (d *DataSet) Strings(tag dict.Tag) []string {
	e, ok := d.Get(tag)
	if !ok {
		return nil
	}
	if e.VR.Text() || e.VR == dict.UN {
		return values(d.set().Decode(e.Value, textVR(e)), textVR(e))
	}
	return numbers(e)
}

// textVR is the VR to read text by: what arrives as UN may be known to the dictionary.
func textVR(e Element) dict.VR {
	if e.VR == dict.UN {
		return dict.VROf(e.Tag)
	}
	return e.VR
}

// Int returns the first value as a whole number, of binary numbers and of text such as IS; ok is false if it is none.
func (d *DataSet) Int(tag dict.Tag) (n int, ok bool) {
	n, err := strconv.Atoi(strings.TrimPrefix(d.String(tag), "+"))
	return n, err == nil
}

// Items returns the items of a sequence.
func (d *DataSet) Items(tag dict.Tag) []*DataSet {
	e, _ := d.Get(tag)
	return e.Items
}

// numbers returns binary numbers as text.
func numbers(e Element) []string {
	var list []string
	le, b := binary.LittleEndian, e.Value
	width := e.VR.Width()
	if width == 1 || e.VR == dict.OW {
		return nil // bytes, not numbers
	}
	if e.VR == dict.AT {
		width = 4
	}
	for ; len(b) >= width; b = b[width:] {
		var s string
		switch e.VR {
		case dict.US:
			s = strconv.Itoa(int(le.Uint16(b)))
		case dict.SS:
			s = strconv.Itoa(int(int16(le.Uint16(b))))
		case dict.UL, dict.OL:
			s = strconv.FormatUint(uint64(le.Uint32(b)), 10)
		case dict.SL:
			s = strconv.Itoa(int(int32(le.Uint32(b))))
		case dict.UV, dict.OV:
			s = strconv.FormatUint(le.Uint64(b), 10)
		case dict.SV:
			s = strconv.FormatInt(int64(le.Uint64(b)), 10)
		case dict.FL, dict.OF:
			s = strconv.FormatFloat(float64(math.Float32frombits(le.Uint32(b))), 'g', -1, 32)
		case dict.FD, dict.OD:
			s = strconv.FormatFloat(math.Float64frombits(le.Uint64(b)), 'g', -1, 64)
		case dict.AT:
			s = dict.NewTag(le.Uint16(b), le.Uint16(b[2:])).String()
		}
		list = append(list, s)
	}
	return list
}

// Set puts text values of an attribute of the dictionary, encoded for its VR: characters as they are, decimal text for
// binary numbers ("512"). No values makes an empty element, as queries have. A number that its VR can't hold becomes 0.
func (d *DataSet) Set(tag dict.Tag, texts ...string) {
	d.SetVR(tag, dict.VROf(tag), texts...)
}

// SetVR is Set for attributes whose VR the dictionary doesn't know, such as private ones, or leaves open.
func (d *DataSet) SetVR(tag dict.Tag, vr dict.VR, texts ...string) {
	switch {
	case tag == dict.SpecificCharacterSet:
		if d.SetCharset(texts...) != nil {
			d.toUTF8()
		}
	case vr.Text() || vr == dict.UN:
		d.Put(Element{Tag: tag, VR: vr, Value: d.encodeText(strings.Join(texts, `\`), vr)})
	default:
		var b []byte
		for _, s := range texts {
			b = appendNumber(b, vr, s)
		}
		d.Put(Element{Tag: tag, VR: vr, Value: b})
	}
}

// SetInt puts whole numbers, as binary or as text, by the attribute's VR in the dictionary.
func (d *DataSet) SetInt(tag dict.Tag, numbers ...int) {
	texts := make([]string, len(numbers))
	for i, n := range numbers {
		texts[i] = strconv.Itoa(n)
	}
	d.Set(tag, texts...)
}

// SetBytes puts a raw value: bytes, or little-endian numbers. It is not copied.
func (d *DataSet) SetBytes(tag dict.Tag, vr dict.VR, value []byte) {
	d.Put(Element{Tag: tag, VR: vr, Value: value})
}

// SetSequence puts a sequence. The items belong to the data set from then on.
func (d *DataSet) SetSequence(tag dict.Tag, items ...*DataSet) {
	d.Put(Element{Tag: tag, VR: dict.SQ, Items: items})
}

func appendNumber(b []byte, vr dict.VR, s string) []byte {
	le := binary.LittleEndian
	n, _ := strconv.ParseInt(s, 10, 64)
	switch vr {
	case dict.US, dict.SS, dict.OW:
		return le.AppendUint16(b, uint16(n))
	case dict.UL, dict.SL, dict.OL:
		return le.AppendUint32(b, uint32(n))
	case dict.SV:
		return le.AppendUint64(b, uint64(n))
	case dict.UV, dict.OV:
		u, _ := strconv.ParseUint(s, 10, 64)
		return le.AppendUint64(b, u)
	case dict.FL, dict.OF:
		f, _ := strconv.ParseFloat(s, 32)
		return le.AppendUint32(b, math.Float32bits(float32(f)))
	case dict.FD, dict.OD:
		f, _ := strconv.ParseFloat(s, 64)
		return le.AppendUint64(b, math.Float64bits(f))
	case dict.AT:
		var t uint64
		if digits := strings.Map(hexDigit, s); len(digits) == 8 {
			t, _ = strconv.ParseUint(digits, 16, 32)
		} else if e, ok := dict.ByKeyword(s); ok {
			t = uint64(e.Tag)
		}
		return le.AppendUint16(le.AppendUint16(b, uint16(t>>16)), uint16(t))
	}
	return append(b, s...)
}

// hexDigit keeps the digits of "(0010,0020)".
func hexDigit(r rune) rune {
	if strings.ContainsRune("(,)", r) {
		return -1
	}
	return r
}

// set is the character set in force.
func (d *DataSet) set() *charset.Set {
	if d.charset == nil {
		return charset.ForReading(nil) // not kept: readers may be concurrent
	}
	return d.charset
}

// encodeText writes text in the data set's character set, and moves all of it to ISO_IR 192 if it doesn't fit.
func (d *DataSet) encodeText(text string, vr dict.VR) []byte {
	b, err := d.set().Encode(text, vr)
	if err == nil {
		return b
	}
	if !vr.CharSet() {
		return []byte(text) // only ASCII is allowed; the peer's validation is not ours to weaken or to do
	}
	d.toUTF8()
	return []byte(strings.ToValidUTF8(text, "\uFFFD"))
}

// SetCharset declares Specific Character Set and moves all text to it. The error, which leaves the data set as it was,
// says that a term is not defined or wraps charset.ErrNotRepresentable.
func (d *DataSet) SetCharset(terms ...string) error {
	to, err := charset.New(terms)
	if err != nil {
		return err
	}
	moved, err := d.moved(d.set(), to)
	if err != nil {
		return err
	}
	d.elems, d.charset = moved, to
	if terms = to.Terms(); len(terms) == 0 {
		d.Remove(dict.SpecificCharacterSet)
	} else {
		d.Put(Element{Tag: dict.SpecificCharacterSet, VR: dict.CS, Value: []byte(strings.Join(terms, `\`))})
	}
	return nil
}

// toUTF8 can't fail: ISO_IR 192 holds every text.
func (d *DataSet) toUTF8() { _ = d.SetCharset(charset.UTF8) }

// ReadAs returns the data set with its text read in another character set than it declares. The elements are the same.
func (d *DataSet) ReadAs(set *charset.Set) *DataSet { return &DataSet{elems: d.elems, charset: set} }

// moved returns the elements with their text in another character set. Items that declare their own keep it.
func (d *DataSet) moved(from, to *charset.Set) ([]Element, error) {
	out := make([]Element, 0, len(d.elems)+1)
	for _, e := range d.elems {
		switch {
		case len(e.Items) > 0:
			items := make([]*DataSet, len(e.Items))
			for i, item := range e.Items {
				items[i] = item
				if item.Has(dict.SpecificCharacterSet) {
					continue
				}
				elems, err := item.moved(from, to)
				if err != nil {
					return nil, err
				}
				items[i] = &DataSet{elems: elems, charset: to}
			}
			e.Items = items
		case e.VR.CharSet():
			b, err := to.Encode(from.Decode(e.Value, e.VR), e.VR)
			if err != nil {
				return nil, err
			}
			if len(b)%2 == 1 {
				b = append(b, e.VR.Padding())
			}
			e.Value = b
		}
		out = append(out, e)
	}
	return out, nil
}
