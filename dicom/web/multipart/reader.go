// SPDX-License-Identifier: AGPL-3.0-or-later

// Package multipart reads and writes multipart/related bodies of any length (RFC 2046 5.1, PS3.18 8.6.1.2). The reader
// takes what DICOMweb programs send, and holds no more than one window of it; it says whether the message was whole.
package multipart

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// Limits bound what a message may take. Zero values mean the default.
type Limits struct {
	Header   int // bytes of the headers of one part; default 64 KiB
	Preamble int // bytes before the first delimiter; default 64 KiB
	Epilogue int // bytes behind the last delimiter; default 64 KiB
}

const (
	defaultLimit = 64 << 10
	window       = 256 << 10
	maxBoundary  = 200 // RFC 2046 allows 70
	maxPadding   = 64  // blanks behind a delimiter
	shortest     = 20  // of a delimiter in whose strides data is passed faster than byte by byte
	// direct is the least that a reader of a part must offer for bytes to go there without a stay in the window.
	direct = 8 << 10
)

func (l Limits) orDefault() Limits {
	for _, n := range []*int{&l.Header, &l.Preamble, &l.Epilogue} {
		if *n <= 0 {
			*n = defaultLimit
		}
	}
	return l
}

// ErrMalformed is wrapped when a message does not keep to the form. An end without the closing delimiter wraps
// io.ErrUnexpectedEOF instead.
var ErrMalformed = errors.New("not a valid multipart message")

// ErrTooLarge is wrapped when a limit of ours is passed.
var ErrTooLarge = errors.New("the multipart message has more than is allowed")

// Reader reads the parts of a message one after the other. It is for one goroutine.
type Reader struct {
	r   io.Reader
	err error // of r, for good
	lim Limits

	delim []byte // CRLF, two dashes, and the boundary
	skips [256]uint8

	buf      []byte
	pos, end int  // what is in the window: buf[pos:end]
	clear    int  // bytes of it that belong to the part and need no further look
	found    int  // bytes of the delimiter line that follows them, 0 if none does yet
	last     bool // it is the closing one

	part  *Part
	begun bool  // the first delimiter was read
	ended error // what Next gives from now on
}

// NewReader reads a message from r. The boundary is the parameter of its Content-Type.
func NewReader(r io.Reader, boundary string, lim Limits) (*Reader, error) {
	boundary = strings.TrimRight(boundary, " ")
	if boundary == "" || len(boundary) > maxBoundary || strings.ContainsFunc(boundary, isControl) {
		return nil, fmt.Errorf("%w: its Content-Type has no valid boundary", ErrMalformed)
	}
	d := &Reader{r: r, lim: lim.orDefault(), delim: []byte("\r\n--" + boundary), buf: make([]byte, window)}
	// The first delimiter needs no CRLF before it: it gets one here.
	d.end = copy(d.buf, "\r\n")
	d.learn()
	return d, nil
}

func isControl(c rune) bool { return c < ' ' || c == 0x7F }

// Next passes over what is left of the current part, and gives the next one. io.EOF says that the message is whole:
// the closing delimiter was read, and then the end of the input. An error is for good. The part is valid until the next
// call.
func (d *Reader) Next() (*Part, error) {
	if d.ended != nil {
		return nil, d.ended
	}
	if d.part != nil {
		d.part.d = nil
	}
	d.part, d.ended = d.next()
	return d.part, d.ended
}

func (d *Reader) next() (*Part, error) {
	if err := d.skip(); err != nil {
		return nil, err
	}
	d.pos += d.found
	d.found = 0
	if d.last {
		if err := d.epilogue(); err != nil {
			return nil, err
		}
		return nil, io.EOF
	}
	d.begun = true
	h, err := d.header()
	if err != nil {
		return nil, err
	}
	return &Part{Header: h, d: d}, nil
}

// skip passes everything up to the next delimiter.
func (d *Reader) skip() error {
	left := d.lim.Preamble + len("\r\n")
	for {
		b, err := d.content()
		if err == io.EOF { //nolint:errorlint // it is our own
			return nil
		}
		if err != nil {
			return err
		}
		if !d.begun {
			if left -= len(b); left < 0 {
				return fmt.Errorf("%w: more than %d bytes precede its first delimiter", ErrTooLarge, d.lim.Preamble)
			}
		}
		d.pass(len(b))
	}
}

// content gives bytes of the part under way that are in the window, at least one. io.EOF says that a delimiter follows.
func (d *Reader) content() ([]byte, error) {
	for {
		if d.clear > 0 {
			return d.buf[d.pos : d.pos+d.clear], nil
		}
		if d.found > 0 {
			return nil, io.EOF
		}
		if d.look(); d.clear > 0 || d.found > 0 {
			continue
		}
		if err := d.fill(); err != nil {
			return nil, d.cut(err)
		}
	}
}

func (d *Reader) pass(n int) {
	d.pos += n
	d.clear -= n
}

// cut says what it means that the input ended here.
func (d *Reader) cut(err error) error {
	if err == io.EOF { //nolint:errorlint // only exactly this value says that the input ended as it should
		return fmt.Errorf("the multipart message ends without its closing delimiter: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// fill reads more into the window.
func (d *Reader) fill() error {
	if d.pos > 0 && (d.end-d.pos < direct || d.end == len(d.buf)) {
		d.end = copy(d.buf, d.buf[d.pos:d.end])
		d.pos = 0
	}
	n, err := d.read(d.buf[d.end:])
	d.end += n
	if n > 0 {
		return nil
	}
	return err
}

// read reads something into p. An error that comes with bytes waits for the next call.
func (d *Reader) read(p []byte) (int, error) {
	for range 100 {
		if d.err != nil {
			return 0, d.err
		}
		var n int
		if n, d.err = d.r.Read(p); n > 0 {
			return n, nil
		}
	}
	if d.err == nil {
		d.err = io.ErrNoProgress
	}
	return 0, d.err
}

// look searches the window for a delimiter and sets clear and found. Neither is set if there is too little to say.
func (d *Reader) look() {
	d.clear, d.found = d.search(d.buf[d.pos:d.end])
}

// search tells how many bytes of b are content for certain, and how long the delimiter line is that follows them, 0 if
// none does or it isn't whole.
func (d *Reader) search(b []byte) (content, found int) {
	from := 0
	for {
		i := d.index(b[from:])
		if i < 0 {
			return len(b) - d.partial(b[from:]), 0
		}
		n, whole := d.line(b[from+i:])
		switch {
		case !whole:
			return from + i, 0
		case n > 0:
			return from + i, n
		}
		from += i + 1 // it only looked like one
	}
}

// partial tells how many bytes at the end of b may be the beginning of a delimiter.
func (d *Reader) partial(b []byte) int {
	tail := b[len(b)-min(len(b), len(d.delim)-1):]
	for len(tail) > 0 {
		i := bytes.IndexByte(tail, '\r')
		if i < 0 {
			return 0
		}
		if tail = tail[i:]; bytes.HasPrefix(d.delim, tail) {
			return len(tail)
		}
		tail = tail[1:]
	}
	return 0
}

// line tells how long the delimiter line is that b begins with: up to the line end, or for the closing one up to its
// dashes. It is 0 if something else follows the boundary, which then is none; whole is false if b is too short to say.
func (d *Reader) line(b []byte) (n int, whole bool) {
	rest := b[len(d.delim):]
	if len(rest) == 0 {
		return 0, false
	}
	if rest[0] == '-' {
		switch {
		case len(rest) == 1:
			return 0, false
		case rest[1] == '-':
			d.last = true
			return len(d.delim) + 2, true
		}
		return 0, true
	}
	blanks := 0
	for blanks < len(rest) && (rest[blanks] == ' ' || rest[blanks] == '\t') {
		blanks++
	}
	switch rest = rest[blanks:]; {
	case blanks > maxPadding:
		return 0, true
	case len(rest) == 0, len(rest) == 1 && rest[0] == '\r':
		return 0, false
	case rest[0] == '\n':
		blanks++
	case rest[0] == '\r' && rest[1] == '\n':
		blanks += 2
	default:
		return 0, true
	}
	d.last = false
	return len(d.delim) + blanks, true
}

// learn prepares the search: by how much it may go on, by the byte where the delimiter would end (Horspool).
func (d *Reader) learn() {
	last := len(d.delim) - 1
	for i := range d.skips {
		d.skips[i] = uint8(len(d.delim))
	}
	for i, c := range d.delim[:last] {
		d.skips[c] = uint8(last - i)
	}
}

// index finds the delimiter in b, -1 if it isn't there. Pixel data is passed in strides of the delimiter's length.
func (d *Reader) index(b []byte) int {
	if len(d.delim) < shortest {
		return bytes.Index(b, d.delim)
	}
	last := len(d.delim) - 1
	end := d.delim[last]
	for i := last; i < len(b); i += int(d.skips[b[i]]) {
		if b[i] == end && bytes.Equal(b[i-last:i+1], d.delim) {
			return i - last
		}
	}
	return -1
}

// header reads the headers of a part, up to the empty line.
func (d *Reader) header() (Header, error) {
	h := Header{}
	left := d.lim.Header
	name := ""
	for {
		line, err := d.headerLine(left)
		if err != nil {
			return nil, err
		}
		left -= len(line)
		text := strings.Trim(string(line), " \t\r\n")
		switch continued := len(line) > 0 && (line[0] == ' ' || line[0] == '\t'); {
		case text == "":
			return h, nil
		case continued:
			if name != "" {
				h[name] += " " + text
			}
			continue
		}
		key, value, ok := strings.Cut(text, ":")
		if !ok {
			return nil, fmt.Errorf("%w: a part has a header line without a colon", ErrMalformed)
		}
		if name = strings.ToLower(strings.TrimRight(key, " \t")); h.Has(name) {
			name = "" // the first one counts
			continue
		}
		h[name] = strings.TrimLeft(value, " \t")
	}
}

// headerLine takes a line off the window, with its end. It is valid until the next call.
func (d *Reader) headerLine(most int) ([]byte, error) {
	seen := 0
	for {
		b := d.buf[d.pos:d.end]
		if i := bytes.IndexByte(b[seen:], '\n'); i >= 0 && seen+i < most {
			d.pos += seen + i + 1
			return b[:seen+i+1], nil
		}
		if seen = len(b); seen >= most || seen >= len(d.buf) {
			return nil, fmt.Errorf("%w: a part has more than %d bytes of headers", ErrTooLarge, d.lim.Header)
		}
		if err := d.fill(); err != nil {
			return nil, d.cut(err)
		}
	}
}

// epilogue reads to the end of the input. Parts that follow the closing delimiter are nobody's, but who sent them takes
// them for read.
func (d *Reader) epilogue() error {
	tooLong := fmt.Errorf("%w: more than %d bytes follow its last delimiter", ErrTooLarge, d.lim.Epilogue)
	for left := d.lim.Epilogue; ; {
		n, found := d.search(d.buf[d.pos:d.end])
		d.pos += n + found
		switch left -= n + found; {
		case left < 0:
			return tooLong
		case found > 0 && !d.last:
			return fmt.Errorf("%w: another part follows its last delimiter", ErrMalformed)
		case found > 0:
			continue
		}
		err := d.fill()
		switch {
		case err == nil:
		case err != io.EOF: //nolint:errorlint // only exactly this value says that the input ended as it should
			return err
		case d.end-d.pos > left:
			return tooLong
		default:
			return nil
		}
	}
}

// Header has the headers of a part by name in lower case.
type Header map[string]string

// Has reports whether there is such a header.
func (h Header) Has(name string) bool {
	_, ok := h[name]
	return ok
}

// Part is one part of a message. Read gives its content without the delimiter; io.EOF says that the delimiter follows.
type Part struct {
	Header Header
	d      *Reader // nil once the next part was asked for
}

// ErrPassed is the error of a part that is read after the next one was asked for.
var ErrPassed = errors.New("the part of the multipart message was passed over")

// ContentType is that of the part, empty if it has none.
func (p *Part) ContentType() string { return p.Header["content-type"] }

// ContentLength is what the part's header says, -1 if it says nothing. Only the delimiter tells where the part ends.
func (p *Part) ContentLength() int64 {
	n, err := strconv.ParseInt(p.Header["content-length"], 10, 64)
	if err != nil || n < 0 {
		return -1
	}
	return n
}

// Read reads the content. A large b is read into directly.
func (p *Part) Read(b []byte) (int, error) {
	d := p.d
	switch {
	case d == nil:
		return 0, ErrPassed
	case len(b) == 0:
		return 0, nil
	case len(b) >= direct && d.clear == 0 && d.found == 0:
		if n, ok, err := d.readInto(b[:min(len(b), window)]); ok {
			return n, err
		}
	}
	content, err := d.content()
	if err != nil {
		return 0, err
	}
	n := copy(b, content)
	d.pass(n)
	return n, nil
}

// readInto reads past the window, of which only the beginning of a delimiter may be left. ok is false if more is
// there, or nothing came of it.
func (d *Reader) readInto(b []byte) (n int, ok bool, err error) {
	if d.end-d.pos > len(d.delim)+maxPadding {
		return 0, false, nil
	}
	if d.look(); d.clear > 0 || d.found > 0 {
		return 0, false, nil
	}
	held := copy(b, d.buf[d.pos:d.end])
	n, err = d.read(b[held:])
	if n == 0 {
		return 0, true, d.cut(err)
	}
	n += held
	content, _ := d.search(b[:n])
	d.pos, d.end = 0, copy(d.buf, b[content:n])
	d.clear, d.found = 0, 0
	return content, content > 0, nil
}

// WriteTo writes the content as it comes, in pieces of the window.
func (p *Part) WriteTo(w io.Writer) (written int64, err error) {
	if p.d == nil {
		return 0, ErrPassed
	}
	for {
		b, err := p.d.content()
		if err == io.EOF { //nolint:errorlint // it is our own
			return written, nil
		}
		if err != nil {
			return written, err
		}
		n, err := w.Write(b)
		p.d.pass(n)
		written += int64(n)
		if err != nil {
			return written, err
		}
		if n < len(b) {
			return written, io.ErrShortWrite
		}
	}
}
