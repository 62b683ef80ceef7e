// SPDX-License-Identifier: AGPL-3.0-or-later

// Package stream takes DICOM data sets as they arrive from a source, shows and edits the header, and passes them on as
// an io.Reader. What isn't edited goes out byte for byte, pixel data is never parsed or held, and input that ends early
// or breaks the encoding (PS3.5) is an error, never a shorter data set. DataSet is for the small data sets that ADIT
// makes or answers itself. See DESIGN.md.
package stream

import (
	"errors"
	"fmt"
	"io"
	"math"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
)

// Object is one data set on its way: Read and WriteTo give the outgoing bytes, header first. It is for one goroutine,
// and must be closed.
type Object struct {
	ts       dict.TransferSyntax
	to       dict.TransferSyntax // of what goes out
	src      io.Reader           // what follows buf; inflated if the syntax is deflated
	deflated *deflated           // nil unless the syntax is deflated
	conv     *converter          // nil unless elements are to be encoded otherwise
	deflater *deflater           // nil unless what goes out is to be deflated
	s        *scratch
	received FileMeta
	header   Header
	head     []byte  // outgoing header still to be read
	rest     []byte  // read from the source beyond the header, still to be read
	filter   *filter // nil unless the body is changed
	limit    int     // of the header, and of what is held of the body
	// rewritten: the header is a new one, in another buffer than rest.
	rewritten bool
	started   bool
	stray     error  // what keeps the header from being edited or converted: a delimiter that ends nothing
	err       error  // sticky result of Read
	ahead     []byte // of s.chunk, still to be read
}

// scratch is the memory of an Object. It goes back to the pool when the object is closed.
type scratch struct {
	w         walker    // over the input: the header, then what goes out after it
	buf       []byte    // as received: the header, and what was read beyond it
	out       []byte    // the header as edited
	spare     []byte    // for a header that is rewritten as a whole
	filter    filter    // of the body
	index     []element // top-level elements of the header
	edits     []edit
	values    []byte // of the edits
	chunk     []byte // for WriteTo
	ahead     []byte // read of the body, where it is filtered
	piece     []byte // of what is to be converted or deflated
	converted []byte
}

const (
	firstRead  = 16 << 10
	chunkSize  = 128 << 10
	writeChunk = 1 << 20 // a small image at once: fewer, larger writes
	pieceSize  = 32 << 10
	keepBelow  = 1 << 20 // larger buffers are left to the garbage collector
	manyElems  = 1 << 14
)

var pool = sync.Pool{New: func() any { return &scratch{buf: make([]byte, 0, firstRead)} }}

// ErrClosed is the error of every use after Close.
var ErrClosed = errors.New("the DICOM object is closed")

// Open reads the header of a data set: all top-level elements before pixel data, or the whole data set if it has
// none. r stands at the data set's first byte; the transfer syntax is the one negotiated or named by file meta.
//
// The header ends before the first element that would pass lim.Header (a document, the functional groups of many
// frames): it and what follows go through like pixel data. Errors wrap ErrMalformed, ErrTooLarge, io.ErrUnexpectedEOF
// or the error of r.
func Open(r io.Reader, transferSyntaxUID string, lim Limits) (*Object, error) {
	return open(r, pool.Get().(*scratch), transferSyntaxUID, lim)
}

// open reads on from s.buf, which may hold the beginning of the data set. It owns s.
func open(r io.Reader, s *scratch, transferSyntaxUID string, lim Limits) (*Object, error) {
	o := &Object{ts: dict.TransferSyntaxOf(transferSyntaxUID), src: r, s: s}
	o.to = o.ts
	o.header.o = o
	lim = lim.orDefault()
	o.limit = lim.Header
	if o.ts.Deflated {
		o.deflated = newDeflated(r, s.buf, lim.Header)
		o.src, s.buf = o.deflated.plain, make([]byte, 0, firstRead)
	}
	o.s.w.start(syntaxOf(o.ts), lim.Depth)
	end, err := o.scan(lim.Header)
	if err != nil {
		_ = o.Close()
		return nil, err
	}
	if o.stray == nil {
		o.stray = o.s.w.stray
	}
	o.header.end = end
	o.header.order()
	o.head, o.rest = s.buf[:end], s.buf[end:]
	return o, nil
}

// Bounder is a source that gains by knowing how much it has yet to give at least (dicom/dimse).
type Bounder interface {
	Bound(bytes int64)
}

// scan walks the header, reading as it needs, and gives its length. The walker then stands at that place. Where the
// header ends depends on the data set alone, not on the pieces that it comes in.
func (o *Object) scan(limit int) (int, error) {
	s, w := o.s, &o.s.w
	for {
		begin := w.pos
		atTop := w.depth == 0
		h, ok, err := w.step(s.buf[min(w.pos, int64(len(s.buf))):])
		if err != nil {
			return 0, err
		}
		if !ok {
			if err := s.fill(o.src, limit+maxHead); atEnd(err) && atTop && s.atEnd() {
				return int(w.pos), nil
			} else if err != nil {
				return o.cut(limit, err)
			}
			continue
		}
		switch {
		case atTop && isDelimiter(h):
			continue // it belongs to no element
		case atTop:
			if isPixelData(h.tag) || h.length != undefined && begin+int64(h.size)+int64(h.length) > int64(limit) {
				o.foretell(h, begin)
				return o.back(int(begin)), nil
			}
			if len(s.index) == maxElements {
				return 0, fmt.Errorf("%w: more than %d elements in its header", ErrTooLarge, maxElements)
			}
			s.index = append(s.index, element{tag: h.tag, vr: h.vr, off: int32(begin), value: int32(w.pos)})
		}
		if err := s.pass(o.src, limit); err != nil {
			return o.cut(limit, err)
		}
		if w.depth == 0 {
			s.index[len(s.index)-1].end = int32(w.pos)
		}
	}
}

// pass walks over the value under way, reading as it needs.
func (s *scratch) pass(src io.Reader, limit int) error {
	w := &s.w
	for w.skip > 0 {
		if n := min(w.skip, int64(len(s.buf))-w.pos); n > 0 {
			w.advance(n)
		} else if err := s.fill(src, limit); err != nil {
			return err
		}
	}
	if w.pos > int64(limit) { // the rest was read along with a head
		return ErrTooLarge
	}
	return nil
}

// atEnd reports whether the header has been walked to the end of the input.
func (s *scratch) atEnd() bool { return int64(len(s.buf)) == s.w.pos || s.w.padding(s.buf[s.w.pos:]) }

// foretell tells the source how much of the value that the body begins with is still to come.
func (o *Object) foretell(h head, begin int64) {
	left := begin + int64(h.size) + int64(h.length) - int64(len(o.s.buf))
	if b, ok := o.src.(Bounder); ok && h.length != undefined && left > 0 {
		b.Bound(left)
	}
}

// cut is called when the header can't be read on. A limit passed within an element ends the header before it.
func (o *Object) cut(limit int, err error) (int, error) {
	if !errors.Is(err, ErrTooLarge) {
		if w := &o.s.w; atEnd(err) {
			w.carryN = copy(w.carry[:], o.s.buf[w.pos:]) // of a head, if it ends within one
			err = w.finish()
		}
		return 0, err
	}
	if n := len(o.s.index); n > 0 && o.s.index[n-1].end == 0 {
		begin := int(o.s.index[n-1].off)
		o.s.index = o.s.index[:n-1]
		return o.back(begin), nil
	}
	return 0, fmt.Errorf("%w: it has a header of more than %d bytes", ErrTooLarge, limit)
}

// back puts the walker where the body begins.
func (o *Object) back(begin int) int {
	o.stray = o.s.w.stray
	o.s.w.start(syntaxOf(o.ts), o.s.w.most)
	o.s.w.pos = int64(begin)
	return begin
}

// fill reads more of the source into the buffer, up to limit bytes in all. The buffer grows with what arrives, never
// with what a length promises.
func (s *scratch) fill(r io.Reader, limit int) error {
	if len(s.buf) >= limit {
		return ErrTooLarge
	}
	if len(s.buf) == cap(s.buf) {
		grown := make([]byte, len(s.buf), min(max(2*cap(s.buf), firstRead), limit))
		copy(grown, s.buf)
		s.buf = grown
	}
	n, err := readSome(r, s.buf[len(s.buf):min(cap(s.buf), limit)])
	s.buf = s.buf[:len(s.buf)+n]
	return err
}

// atEnd reports whether a reader said that its input is complete. An error that wraps io.EOF doesn't say so: it may be
// that of a lost connection.
func atEnd(err error) bool { return err == io.EOF } //nolint:errorlint // see above

// readSome reads at least one byte or gives an error. An error that comes with bytes is kept for the next call
// by the source, as io.Reader asks.
func readSome(r io.Reader, p []byte) (int, error) {
	for range 100 {
		n, err := r.Read(p)
		if n > 0 {
			return n, nil
		}
		if err != nil {
			return 0, err
		}
	}
	return 0, io.ErrNoProgress
}

// TransferSyntax says how the data set is encoded as received.
func (o *Object) TransferSyntax() dict.TransferSyntax { return o.ts }

// Header returns the elements before the body. It is valid until Close.
func (o *Object) Header() *Header { return &o.header }

// Read returns the outgoing data set: the header with its edits, then the body. Edits are closed by the first call. An
// error other than io.EOF means that the object must not be delivered, whatever was read of it before.
func (o *Object) Read(p []byte) (int, error) {
	if len(o.ahead) > 0 {
		n := copy(p, o.ahead)
		o.ahead = o.ahead[n:]
		return n, nil
	}
	if o.err != nil {
		return 0, o.err
	}
	if len(p) == 0 {
		return 0, nil
	}
	if err := o.begin(); err != nil {
		o.err = err
		return 0, err
	}
	n, err := o.read(p)
	o.err = err
	return n, err
}

// begin builds the outgoing header at the first read.
func (o *Object) begin() error {
	if o.started {
		return nil
	}
	edited, converted := len(o.s.edits) > 0 || o.rewritten || o.filter != nil, o.to.UID != o.ts.UID
	// it leaves the NULL byte out that made an odd data set even, and may not be needed any more
	if edited && o.filter == nil {
		if err := o.FilterBody(unchanged{}); err != nil {
			return err
		}
	}
	o.started = true
	if len(o.s.edits) > 0 {
		o.head = o.header.build()
	}
	if o.deflated != nil && (edited || converted) {
		o.deflated.stopKeeping()
	}
	if o.to.Deflated && (edited || converted) {
		o.deflater = newDeflater()
	}
	if from, to := syntaxOf(o.ts), syntaxOf(o.to); from != to {
		pr, _ := o.header.Get(dict.PixelRepresentation)
		o.conv = newConverter(from, to, o.s.w.most, len(pr.Value) > 0 && pr.Value[0] == 1)
		err := o.conv.header(o.s.converted[:0], o.head, o.header.bodyTag(), o.s.w.pos)
		o.s.converted = o.conv.out[:0]
		return err
	}
	return nil
}

func (o *Object) read(p []byte) (int, error) {
	switch {
	case o.deflater != nil:
		return o.deflater.read(o, p)
	case o.deflated != nil && o.deflated.in.keep:
		return o.deflated.read(o, p)
	}
	return o.readConverted(p)
}

// readConverted returns the data set in the outgoing syntax, before any deflating.
func (o *Object) readConverted(p []byte) (int, error) {
	if o.conv != nil {
		return o.conv.read(o, p)
	}
	return o.readPlain(p)
}

// readPlain returns the data set in the syntax that it came in, inflated.
func (o *Object) readPlain(p []byte) (int, error) {
	if len(o.head) > 0 {
		n := copy(p, o.head)
		o.head = o.head[n:]
		return n, nil
	}
	n, err := o.readBody(p)
	if bad := o.s.w.feed(p[:n]); bad != nil {
		return n, bad
	}
	if atEnd(err) {
		if bad := o.s.w.finish(); bad != nil {
			return n, bad
		}
		if bad := o.trailer(); bad != nil {
			return n, bad
		}
	}
	return n, err
}

// readBody returns what is to follow the header, unchecked.
func (o *Object) readBody(p []byte) (int, error) {
	if o.filter != nil {
		return o.filter.read(o, p)
	}
	return o.readSource(p)
}

// readSource returns what follows the header as received.
func (o *Object) readSource(p []byte) (int, error) {
	if len(o.rest) > 0 {
		n := copy(p, o.rest)
		o.rest = o.rest[n:]
		return n, nil
	}
	for range 100 {
		if n, err := o.src.Read(p); n > 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// trailer checks what follows the data set.
func (o *Object) trailer() error {
	if o.deflated == nil {
		return nil
	}
	return o.deflated.trailer()
}

// RestWriter is a writer that can be told the end: pieces are all that follows (dicom/ul).
type RestWriter = interface {
	io.Writer
	WriteRest(pieces ...[]byte) error
}

// ReadAhead reads what goes out first, for a caller who has time before Read, WriteTo or WriteWhole may begin.
func (o *Object) ReadAhead() {
	if len(o.ahead) == 0 && o.err == nil {
		o.ahead, _ = o.nextChunk(math.MaxInt64) // its error is o.err from then on
	}
}

// nextChunk fills s.chunk, unless it holds what was read ahead: as far as that needs no waiting, and up to where so
// many bytes of the source pass.
func (o *Object) nextChunk(passing int64) ([]byte, error) {
	if b := o.ahead; len(b) > 0 {
		o.ahead = nil
		return b, o.err
	}
	if o.err != nil {
		return nil, o.err
	}
	if o.s.chunk == nil {
		o.s.chunk = make([]byte, writeChunk)
	}
	_, atHand := o.src.(io.Seeker) // a file: nobody waits for more to come
	n, err := o.Read(o.s.chunk)
	for err == nil && atHand && n < len(o.s.chunk) && o.passing() < passing {
		var k int
		k, err = o.Read(o.s.chunk[n:])
		n += k
	}
	return o.s.chunk[:n], err
}

// SourceWriter is a writer that may take bytes of an object's source by itself, without their passing through our
// memory (internal/quickfile).
type SourceWriter interface {
	io.Writer
	// WriteFrom writes p and then up to n bytes of what src gives next. It returns how many bytes it wrote. If they are
	// fewer and there is no error, it can't take more, and src stands at the next byte, which is to be read.
	WriteFrom(p []byte, src io.Reader, n int64) (int64, error)
}

// worthPassing is how many bytes a SourceWriter is asked to take.
const worthPassing = 64 << 10

// passing tells how many bytes of the source go out next as they are, unseen but for their number.
func (o *Object) passing() int64 {
	switch f := o.filter; {
	case len(o.rest) > 0, o.deflated != nil, o.conv != nil, o.deflater != nil:
		return 0
	case f == nil:
		return o.s.w.skip
	case f.fate != Pass, len(f.out) > 0, f.err != nil:
		return 0
	default:
		return min(o.s.w.skip, f.w.skip)
	}
}

// passed notes that the source gave n bytes of what was passing.
func (o *Object) passed(n int64) {
	o.s.w.advance(n)
	if o.filter != nil {
		o.filter.w.advance(n)
	}
}

// WriteTo writes the outgoing data set, in large pieces. See Read.
func (o *Object) WriteTo(w io.Writer) (int64, error) {
	var written int64
	passing := int64(math.MaxInt64)
	from, ok := w.(SourceWriter)
	if ok {
		passing = worthPassing
	}
	for {
		b, err := o.nextChunk(passing)
		if err == nil && o.passing() >= passing {
			n := o.passing()
			done, werr := from.WriteFrom(b, o.src, n)
			written += done
			if o.err = werr; werr != nil { // nobody knows where the source stands
				return written, werr
			}
			moved := done - int64(len(b))
			if o.passed(moved); moved < n { // perhaps at the end of the source
				passing = math.MaxInt64
			}
			continue
		}
		if len(b) > 0 {
			n, werr := w.Write(b)
			written += int64(n)
			if werr != nil {
				return written, werr
			}
		}
		if atEnd(err) {
			return written, nil
		}
		if err != nil {
			return written, err
		}
	}
}

// WriteWhole writes the outgoing data set, in large pieces of which the last is told to be that. See Read.
func (o *Object) WriteWhole(w RestWriter) error {
	for {
		b, err := o.nextChunk(math.MaxInt64)
		if atEnd(err) {
			return w.WriteRest(b)
		}
		if len(b) > 0 {
			if _, werr := w.Write(b); werr != nil {
				return werr
			}
		}
		if err != nil {
			return err
		}
	}
}

// Close gives the memory back. It doesn't close the source. Elements of the header are not valid any more.
func (o *Object) Close() error {
	s := o.s
	if s == nil {
		return nil
	}
	o.s, o.head, o.rest, o.src, o.deflated, o.conv, o.deflater, o.filter, o.ahead, o.err = nil, nil, nil, nil, nil,
		nil, nil, nil, nil, ErrClosed
	o.header, s.filter.by, s.filter.out = Header{}, nil, nil
	if cap(s.buf) <= keepBelow && cap(s.out) <= keepBelow && cap(s.spare) <= keepBelow &&
		cap(s.values) <= keepBelow && cap(s.converted) <= keepBelow && cap(s.filter.held) <= keepBelow &&
		cap(s.filter.buf) <= keepBelow && cap(s.index) <= manyElems && cap(s.edits) <= manyElems {
		s.buf, s.out, s.values, s.index, s.edits = s.buf[:0], s.out[:0], s.values[:0], s.index[:0], s.edits[:0]
		pool.Put(s)
	}
	return nil
}
