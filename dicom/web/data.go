// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// data reads the data set of an object: what follows the file meta information, without a line end that some servers
// put behind it.
type data struct {
	in   io.Reader
	bad  func(error) error // says what an error of in means
	buf  []byte            // read of in and not given yet
	held int               // bytes at the end of buf that may be a line end behind the data set
	walk walker
	err  error // how it ended
}

const (
	preamble = 128
	maxMeta  = 1 << 20 // bytes of the file meta information
	metaRead = 4 << 10
)

// errCut says that the data set can't end where the object does.
var errCut = fmt.Errorf("an object ends in the middle of its data set: %w", io.ErrUnexpectedEOF)

var errNotDICOM = errors.New("an object in it is not DICOM: it has no file meta information")

// begin reads the file meta information, with a preamble before it or without (PS3.10 7.1).
func (d *data) begin() (m stream.FileMeta, err error) {
	if err = d.need(8); err != nil {
		return m, err
	}
	pos := 0
	if !isMeta(d.buf) {
		if err = d.need(preamble + 12); err != nil {
			return m, err
		}
		if pos = preamble + 4; string(d.buf[preamble:pos]) != "DICM" || !isMeta(d.buf[pos:]) {
			return m, d.bad(errNotDICOM)
		}
	}
	for isMeta(d.buf[pos:]) {
		if pos, err = d.element(&m, pos); err != nil {
			return m, err
		}
		if err = d.more(pos + 8); err != nil {
			return m, err
		}
	}
	d.buf = d.buf[pos:]
	d.walk.start(dict.TransferSyntaxOf(m.TransferSyntaxUID), m.TransferSyntaxUID != "")
	d.feed(0)
	return m, nil
}

// isMeta reports whether an element of group 0002 begins here.
func isMeta(b []byte) bool {
	return len(b) >= 8 && b[0] == 2 && b[1] == 0 && b[4] >= 'A' && b[4] <= 'Z'
}

// element takes an element of the file meta information and gives the place behind it.
func (d *data) element(m *stream.FileMeta, pos int) (int, error) {
	h, ok := layout{}.head(d.buf[pos:])
	if !ok {
		if err := d.need(pos + 12); err != nil {
			return 0, err
		}
		h, _ = layout{}.head(d.buf[pos:])
	}
	pos += h.size
	if h.length > maxMeta || pos+int(h.length) > maxMeta {
		return 0, d.bad(errors.New("the file meta information of an object in it is damaged"))
	}
	end := pos + int(h.length)
	if err := d.need(end); err != nil {
		return 0, err
	}
	value := strings.Trim(string(d.buf[pos:end]), " \x00")
	switch h.tag {
	case dict.MediaStorageSOPClassUID:
		m.MediaStorageSOPClassUID = value
	case dict.MediaStorageSOPInstanceUID:
		m.MediaStorageSOPInstanceUID = value
	case dict.TransferSyntaxUID:
		m.TransferSyntaxUID = value
	}
	return end, nil
}

// need reads until there are n bytes, and says what it means if there are not.
func (d *data) need(n int) error {
	err := d.more(n)
	if err == nil && len(d.buf) < n {
		err = d.bad(errNotDICOM)
	}
	return err
}

// more reads until there are n bytes, or all.
func (d *data) more(n int) error {
	for len(d.buf) < n {
		if cap(d.buf)-len(d.buf) < n-len(d.buf) || cap(d.buf) == 0 {
			d.buf = append(make([]byte, 0, max(metaRead, 2*cap(d.buf), n)), d.buf...)
		}
		k, err := d.in.Read(d.buf[len(d.buf):cap(d.buf)])
		d.buf = d.buf[:len(d.buf)+k]
		if err == io.EOF { // only exactly this value says that the object is whole
			return nil
		}
		if err != nil {
			return d.bad(err)
		}
	}
	return nil
}

// Read gives the data set.
func (d *data) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		if n := len(d.buf) - d.held; n > 0 {
			n = copy(p, d.buf[:n])
			d.buf = d.buf[n:]
			return n, nil
		}
		if d.err != nil {
			return 0, d.err
		}
		if len(p) <= d.held { // too little for what is held and one byte more
			var small [8]byte
			d.fill(small[:])
			continue
		}
		if n := d.into(p); n > 0 {
			return n, nil
		}
	}
}

// into reads into p, behind what was held.
func (d *data) into(p []byte) int {
	held := copy(p, d.buf)
	n, err := d.in.Read(p[held:])
	if n > 0 {
		d.walk.feed(p[held : held+n])
		d.buf = d.buf[:0]
		n += held
		d.held = d.walk.lineEnd()
		d.buf = append(d.buf, p[n-d.held:n]...)
		n -= d.held
	}
	d.end(err)
	return n
}

// fill reads into buf, by way of p.
func (d *data) fill(p []byte) {
	n, err := d.in.Read(p)
	from := len(d.buf)
	d.buf = append(d.buf, p[:n]...)
	d.feed(from)
	d.end(err)
}

// feed walks what is in buf from there on.
func (d *data) feed(from int) {
	d.walk.feed(d.buf[from:])
	d.held = d.walk.lineEnd()
}

// end notes how the input ended. What was held is a line end if it is two bytes, and else the data set's.
func (d *data) end(err error) {
	switch {
	case err == nil:
		return
	case err != io.EOF: //nolint:errorlint // only exactly this value says that the object is whole
		d.err = d.bad(err)
		return
	}
	d.err = err
	switch {
	case d.held == len(lineEnd):
		d.buf = d.buf[:len(d.buf)-d.held]
	case d.walk.cut():
		d.err = errCut
	}
	d.held = 0
}

const lineEnd = "\r\n"

// layout is how the heads of elements are encoded.
type layout struct{ implicit, big bool }

// elementHead is what precedes a value: tag and length (PS3.5 7.1).
type elementHead struct {
	tag    dict.Tag
	vr     dict.VR // 0 in implicit VR, and for items and delimiters
	length uint32
	size   int
}

// undefined is the length that stands for "up to the delimiter" (PS3.5 7.1.1).
const undefined = 0xFFFFFFFF

// head reads a head; ok is false if b is too short for it.
func (l layout) head(b []byte) (h elementHead, ok bool) {
	if len(b) < 8 {
		return h, false
	}
	var order binary.ByteOrder = binary.LittleEndian
	if l.big {
		order = binary.BigEndian
	}
	h = elementHead{tag: dict.NewTag(order.Uint16(b), order.Uint16(b[2:])), length: order.Uint32(b[4:]), size: 8}
	if l.implicit || h.tag.Group() == 0xFFFE {
		return h, true
	}
	h.vr = dict.VR(b[4])<<8 | dict.VR(b[5])
	if !h.vr.Long() || b[4] < 'A' || b[4] > 'Z' || b[5] < 'A' || b[5] > 'Z' {
		h.length = uint32(order.Uint16(b[6:]))
		return h, true
	}
	if len(b) < 12 {
		return h, false
	}
	h.length, h.size = order.Uint32(b[8:]), 12
	return h, true
}

// walker follows the elements of a data set as its bytes go by, to know where it may end. It looks into nothing whose
// length is known, and judges nothing: dicom/stream does that for who delivers the object. Where it finds no way it is
// lost, and knows nothing any more.
type walker struct {
	lost   bool
	skip   int64 // bytes of the current value still to come
	open   []opened
	carry  [12]byte
	carryN int
}

// opened is the data set itself, or a sequence, an item or a run of fragments of undefined length.
type opened struct {
	layout

	item bool
}

// maxOpen bounds sequences and items of undefined length within each other.
const maxOpen = 128

// start begins with a data set. A deflated one is not followed.
func (w *walker) start(ts dict.TransferSyntax, known bool) {
	w.lost = !known || ts.Deflated
	w.open = append(w.open[:0], opened{layout: layout{implicit: ts.Implicit, big: ts.BigEndian}})
}

func (w *walker) feed(p []byte) {
	for len(p) > 0 && !w.lost {
		if w.skip > 0 {
			n := min(w.skip, int64(len(p)))
			w.skip -= n
			p = p[n:]
			continue
		}
		if w.carryN == 0 {
			if h, ok := w.top().head(p); ok {
				w.element(h)
				p = p[h.size:]
				continue
			}
		}
		w.carry[w.carryN] = p[0]
		w.carryN++
		p = p[1:]
		if h, ok := w.top().head(w.carry[:w.carryN]); ok {
			w.element(h)
			w.carryN = 0
		}
	}
}

func (w *walker) top() opened { return w.open[len(w.open)-1] }

// element takes the head of an element, an item or a delimiter.
func (w *walker) element(h elementHead) {
	switch {
	case h.tag == dict.ItemDelimitationTag || h.tag == dict.SequenceDelimitationTag:
		if len(w.open) > 1 && w.top().item == (h.tag == dict.ItemDelimitationTag) { // others end nothing
			w.open = w.open[:len(w.open)-1]
		}
	case h.length != undefined:
		w.skip = int64(h.length)
	case len(w.open) > maxOpen:
		w.lost = true
	default:
		within := w.top().layout
		if h.vr == dict.UN { // holds implicit VR (PS3.5 6.2.2 note 2)
			within = layout{implicit: true}
		}
		w.open = append(w.open, opened{within, h.tag == dict.ItemTag})
	}
}

// lineEnd tells how many of the last bytes are behind a whole data set, and are a line end or the beginning of one.
func (w *walker) lineEnd() int {
	if w.lost || w.skip > 0 || len(w.open) > 1 || w.carryN == 0 || w.carryN > len(lineEnd) ||
		string(w.carry[:w.carryN]) != lineEnd[:w.carryN] {
		return 0
	}
	return w.carryN
}

// cut tells that the data set can't end here.
func (w *walker) cut() bool { return !w.lost && (w.skip > 0 || w.carryN > 0 || len(w.open) > 1) }
