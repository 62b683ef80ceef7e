// SPDX-License-Identifier: AGPL-3.0-or-later

package stream

import (
	"bytes"
	"cmp"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

// ParseDataSet reads a whole data set of at most lim.Header bytes (inflated, if the transfer syntax is deflated).
// Values are copied. Encapsulated pixel data is kept as one value, delimiters included. Errors are those of Open.
func ParseDataSet(b []byte, transferSyntaxUID string, lim Limits) (*DataSet, error) {
	lim = lim.orDefault()
	ts := dict.TransferSyntaxOf(transferSyntaxUID)
	if ts.Deflated {
		var err error
		if b, err = inflate(b, lim.Header); err != nil {
			return nil, err
		}
	} else {
		b = bytes.Clone(b)
	}
	if len(b) > lim.Header {
		return nil, fmt.Errorf("%w: %d bytes, of at most %d", ErrTooLarge, len(b), lim.Header)
	}
	// The walker proves the structure; building can rely on it.
	var w walker
	w.start(syntaxOf(ts), lim.Depth)
	if err := errors.Join(w.feed(b), w.finish()); err != nil {
		return nil, err
	}
	p := parser{b: b[:w.pos]}
	d := p.dataSet(syntaxOf(ts), len(p.b), nil)
	if p.count > maxElements {
		return nil, fmt.Errorf("%w: more than %d elements", ErrTooLarge, maxElements)
	}
	return d, nil
}

func inflate(b []byte, limit int) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(&inflater{flate.NewReader(bytes.NewReader(b))}, int64(limit)+1))
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the deflated data set is truncated: %w", io.ErrUnexpectedEOF)
	}
	return out, err
}

// parser builds a data set of bytes that a walker has found sound. It calls itself as deep as the walker allows.
type parser struct {
	b     []byte // ours
	pos   int
	count int
}

// next passes a head.
func (p *parser) next(syn syntax) head {
	h, _ := syn.head(p.b[p.pos:])
	p.pos += h.size
	p.count++
	return h
}

// end is where a value or item ends that begins here: -1 if a delimiter ends it.
func (p *parser) end(h head) int {
	if h.length == undefined {
		return -1
	}
	return p.pos + int(h.length)
}

// dataSet reads elements up to end or, if end is -1, to the item delimiter.
func (p *parser) dataSet(syn syntax, end int, inherited *charset.Set) *DataSet {
	d := &DataSet{charset: inherited}
	for p.pos != end && p.count <= maxElements {
		h := p.next(syn)
		if h.tag == dict.ItemDelimitationTag && end < 0 {
			break
		}
		if isDelimiter(h) {
			continue
		}
		e := Element{Tag: h.tag, VR: h.vr}
		if syn.implicit {
			e.VR = dict.VROf(h.tag)
		} else if !letters(h.vr) {
			e.VR = dict.UN
		}
		switch inside := contentOf(h, syn); {
		case inside == inSequence:
			e.VR = dict.SQ
			e.Items = p.items(contentSyntax(h, syn), p.end(h), d.charset)
		case inside == inFragments:
			e.Value = p.fragments(syn)
		default:
			e.Value = p.b[p.pos:p.end(h):p.end(h)]
			p.pos = p.end(h)
			if syn.big {
				swap(e.Value, e.VR.Width())
			}
		}
		if e.Tag == dict.SpecificCharacterSet {
			d.charset = charset.ForReading(strings.Split(trimText(string(e.Value)), `\`))
		}
		d.elems = append(d.elems, e)
	}
	d.sort()
	return d
}

// sort puts elements in order that a source gave in another, and drops repetitions.
func (d *DataSet) sort() {
	byTag := func(a, b Element) int { return cmp.Compare(a.Tag, b.Tag) }
	if !slices.IsSortedFunc(d.elems, byTag) {
		slices.SortStableFunc(d.elems, byTag)
	}
	d.elems = slices.CompactFunc(d.elems, func(a, b Element) bool { return a.Tag == b.Tag })
}

// items reads the items of a sequence up to end or, if end is -1, to the sequence delimiter.
func (p *parser) items(syn syntax, end int, inherited *charset.Set) []*DataSet {
	var items []*DataSet
	for p.pos != end && p.count <= maxElements {
		h := p.next(syn)
		if h.tag == dict.SequenceDelimitationTag && end < 0 {
			break
		}
		if isDelimiter(h) {
			continue
		}
		items = append(items, p.dataSet(syn, p.end(h), inherited))
	}
	return items
}

// fragments returns encapsulated pixel data as it is, delimiter included.
func (p *parser) fragments(syn syntax) []byte {
	begin := p.pos
	for {
		h := p.next(syn)
		p.pos += int(h.length)
		if h.tag == dict.SequenceDelimitationTag {
			return p.b[begin:p.pos:p.pos]
		}
	}
}
