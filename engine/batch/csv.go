// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"

	"github.com/adit-go/adit/internal/text"
)

// csvFile is a CSV file. It isn't read by encoding/csv, which takes a CR alone for text, a quotation mark that is never
// closed for a field as long as the file, and ends at the first fault.
type csvFile struct {
	in        io.ReaderAt
	size      int64
	encoding  string
	charset   encoding.Encoding // nil: UTF-8
	guessed   bool              // nothing in the file says which encoding it has
	delimiter rune
	fields    int  // of the header
	separator bool // the first line names the delimiter
}

// openCSV finds encoding and delimiter.
func openCSV(ctx context.Context, in io.ReaderAt, size int64, o Options) (*csvFile, error) {
	c := &csvFile{in: in, size: size, delimiter: ','}
	if err := c.findEncoding(ctx, o.MacRoman); err != nil {
		return nil, err
	}
	start, err := c.records(ctx).in.Peek(16)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if m := sepLine().FindSubmatch(start); m != nil {
		c.separator = true
		c.delimiter, _ = utf8.DecodeRune(m[1])
		head, err := c.first(ctx)
		c.fields = len(head.cells)
		return c, err
	}
	most := -1
	for _, sign := range ";,\t|" {
		try := *c
		try.delimiter = sign
		head, err := try.first(ctx)
		if err != nil {
			return nil, err
		}
		known := 0
		for _, field := range head.cells {
			for i := range o.Columns {
				if name := clean(field.text); name == o.Columns[i].Name {
					known += 2
				} else if name != "" && o.Columns[i].Near(name) {
					known++
				}
			}
		}
		if known > most {
			most, c.delimiter, c.fields = known, sign, len(head.cells)
		}
	}
	return c, nil
}

var sepLine = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^"?sep=([^"\r\n])"?(?:[\r\n]|$)`)
})

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// first reads the first record, the line that names the delimiter left out.
func (c *csvFile) first(ctx context.Context) (record, error) {
	r, err := c.records(ctx).next()
	return r, ignoreEnd(err)
}

func (c *csvFile) findEncoding(ctx context.Context, macRoman bool) error {
	start := make([]byte, min(c.size, 3))
	if _, err := c.in.ReadAt(start, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	switch {
	case bytes.HasPrefix(start, []byte("\xef\xbb\xbf")):
		c.encoding = "UTF-8"
		return nil
	case bytes.HasPrefix(start, []byte("\xff\xfe")):
		c.encoding, c.charset = "UTF-16LE", unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
		return nil
	case bytes.HasPrefix(start, []byte("\xfe\xff")):
		c.encoding, c.charset = "UTF-16BE", unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
		return nil
	}
	utf8Only, err := c.validUTF8(ctx)
	switch {
	case err != nil:
		return err
	case utf8Only:
		c.encoding = "UTF-8"
	case macRoman:
		c.encoding, c.charset = "MacRoman", charmap.Macintosh
	default:
		c.encoding, c.charset, c.guessed = "Windows-1252", charmap.Windows1252, true
	}
	return nil
}

func (c *csvFile) validUTF8(ctx context.Context) (bool, error) {
	in := bufio.NewReaderSize(c.bytes(ctx), 1<<16)
	for {
		r, size, err := in.ReadRune()
		switch {
		case errors.Is(err, io.EOF):
			return true, nil
		case err != nil:
			return false, err
		case r == utf8.RuneError && size == 1:
			return false, nil
		}
	}
}

// bytes reads the file as long as ctx allows.
func (c *csvFile) bytes(ctx context.Context) io.Reader {
	in := io.NewSectionReader(c.in, 0, c.size)
	return readerFunc(func(to []byte) (int, error) {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		return in.Read(to)
	})
}

// csvRows reads the records of a file.
type csvRows struct {
	file   *csvFile
	in     *bufio.Reader
	line   int // that is being read
	number int // of the record
	size   int
	ended  bool

	cells []cell
	field strings.Builder
}

func (c *csvFile) records(ctx context.Context) *csvRows {
	in := c.bytes(ctx)
	if c.charset != nil {
		in = c.charset.NewDecoder().Reader(in)
	}
	r := &csvRows{file: c, in: bufio.NewReaderSize(in, 1<<15), line: 1}
	if sign, _, err := r.in.ReadRune(); err == nil && sign != '\ufeff' {
		_ = r.in.UnreadRune()
	}
	if c.separator {
		_, _ = r.record()
		r.number = 0
	}
	return r
}

func (*csvRows) Close() error { return nil }

// maxRecord bounds a record, in bytes.
const maxRecord = 1 << 20

// next returns the next record that is not empty.
func (r *csvRows) next() (record, error) {
	for {
		rec, err := r.record()
		if err != nil {
			return rec, err
		}
		if len(rec.cells) == 0 {
			continue
		}
		if want := r.file.fields; want > 0 && rec.broken == "" && len(r.cells) != want {
			rec.broken = fmt.Sprintf("The row has %d fields, and the header has %d. Is a quotation mark missing around a value "+
				"that contains the delimiter?", len(r.cells), want)
		}
		return rec, nil
	}
}

// record reads a record: its cells are none if all are empty. All fields are in r.cells.
func (r *csvRows) record() (record, error) {
	if r.ended {
		return record{}, io.EOF
	}
	r.number++
	rec := record{row: r.line, number: r.number}
	r.cells = r.cells[:0]
	start, values := r.size, false
	for more := true; more; {
		f, err := r.readField(start)
		if err != nil {
			return rec, err
		}
		if f.broken != "" && rec.broken == "" {
			rec.broken = f.broken
		}
		more = f.more
		c := cell{col: len(r.cells), text: f.text}
		values = values || trim(f.text) != ""
		if r.cells = append(r.cells, c); len(r.cells) > maxColumns {
			return rec, refuse("line %d has more than %d fields; a file has at most so many columns", rec.row, maxColumns)
		}
		if r.ended && len(r.cells) == 1 && r.size == start {
			return rec, io.EOF
		}
	}
	if r.size > maxText {
		return rec, refuse("the file holds more than %d MiB; split it", maxText>>20)
	}
	if values || rec.broken != "" {
		rec.cells = r.cells
		rec.text = r.joined()
	}
	return rec, nil
}

// joined is the record as people see it.
func (r *csvRows) joined() string {
	if len(r.cells) == r.file.fields {
		return ""
	}
	var out strings.Builder
	for i, c := range r.cells {
		if i > 0 {
			out.WriteRune(r.file.delimiter)
		}
		out.WriteString(c.text)
		if out.Len() > 4*maxFaultText {
			break
		}
	}
	return out.String()
}

type field struct {
	text   string
	more   bool   // the record goes on
	broken string // why it may have been meant otherwise
}

// quoting says where a field is read.
type quoting uint8

const (
	unquoted quoting = iota
	quoted           // between quotation marks
	closed           // behind them
)

// readField reads a field and what ends it.
func (r *csvRows) readField(start int) (f field, err error) {
	r.field.Reset()
	line, state := r.line, unquoted
	for {
		sign, err := r.sign()
		long := r.size-start > maxRecord
		switch {
		case errors.Is(err, io.EOF), err == nil && long:
			r.ended = true
			if state == quoted || long {
				f.broken = unclosed(line)
			}
			f.text = r.text()
			return f, nil
		case err != nil:
			return f, err
		case state != quoted && (sign == r.file.delimiter || sign == '\n'):
			f.text, f.more = r.text(), sign != '\n'
			return f, nil
		}
		if state == closed && sign != ' ' {
			f.broken = "There is text behind a closing quotation mark. Write a quotation mark within a value twice."
		}
		state = r.take(sign, state)
	}
}

// take adds a character to a field.
func (r *csvRows) take(sign rune, state quoting) quoting {
	switch {
	case sign == '"' && state == quoted && !r.followed('"'):
		return closed
	case sign == '"' && state == unquoted && trim(r.field.String()) == "":
		r.field.Reset()
		return quoted
	}
	r.field.WriteRune(sign)
	return state
}

func unclosed(line int) string {
	return fmt.Sprintf("The quotation mark in line %d is never closed, so the rows below could not be read.", line)
}

// sign reads a character; each end of a line is '\n'.
func (r *csvRows) sign() (rune, error) {
	sign, size, err := r.in.ReadRune()
	if err != nil {
		return 0, err
	}
	r.size += size
	if sign == 0 {
		return 0, refuse("line %d contains a NUL byte; the file is no CSV, or UTF-16 without a byte order mark. Save it as "+
			"\"CSV UTF-8\"", r.line)
	}
	if sign == '\r' {
		r.followed('\n')
		sign = '\n'
	}
	if sign == '\n' {
		r.line++
	}
	return sign, nil
}

// followed reads the next character if it is the one given.
func (r *csvRows) followed(by byte) bool {
	next, err := r.in.Peek(1)
	if err != nil || next[0] != by {
		return false
	}
	_, _ = r.in.Discard(1)
	r.size++
	return true
}

var asFormula = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^="((?:[^"]|"")*)"$`) })

// text returns the field that was read. What a program has put around a value for a spreadsheet goes: ="00123", and the
// apostrophe of our own exports.
func (r *csvRows) text() string {
	s := trim(r.field.String())
	if m := asFormula().FindStringSubmatch(s); m != nil {
		return strings.ReplaceAll(m[1], `""`, `"`)
	}
	if !text.Plain(s) {
		return s
	}
	bare := trim(text.Visible(text.FromCell(s))) // what is written as <U+202E> stays so: see Column.check
	if bare != s && strings.HasPrefix(bare, "'") {
		return "'" + bare // clean takes one away
	}
	return bare
}
