// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"archive/zip"
	"bufio"
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"

	"github.com/adit-go/adit/internal/refusal"
)

// A workbook is read here and not by excelize, which unpacks all of it first, builds the cells of a row up to the last
// one, and does not tell the type, the raw value and the number format of a cell in one stream.

var oleSignature = []byte("\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")

const (
	maxPart    = 256 << 20 // bytes of a part, unpacked
	maxToken   = 1 << 20   // bytes of what stands between two tags
	maxStrings = 32 << 20  // bytes of all shared strings
	maxItems   = 2_000_000 // shared strings
	maxStyles  = 65_490    // as in Excel
	maxSheets  = 1000
	maxAreas   = 10_000 // merged ones
	maxInCell  = 32_767 // characters, as in Excel
)

// workbook is an .xlsx file.
type workbook struct {
	zip      *zip.Reader
	sheet    string // the first visible one
	skipped  string // the hidden one before it
	part     string // of the sheet
	date1904 bool
	formats  []*numberFormat // by style
	strings  sharedStrings
	areas    []area // merged ones, by their first row
}

var errDamaged = refuse("the file is damaged; open it in a spreadsheet program, and save it as .xlsx")

// openWorkbook reads all of a workbook but the cells.
func openWorkbook(ctx context.Context, r io.ReaderAt, size int64) (*workbook, error) {
	z, err := zip.NewReader(r, size)
	if _, disk := errors.AsType[*fs.PathError](err); disk {
		return nil, err
	}
	if err != nil {
		return nil, refuse("the file is not a whole .xlsx file; upload it again, or save it again in a spreadsheet program")
	}
	b := &workbook{zip: z}
	main, err := b.mainPart(ctx)
	if err != nil {
		return nil, err
	}
	for _, f := range z.File {
		if f.UncompressedSize64 > maxPart {
			return nil, refuse("the file unpacks to more than %d MiB; split it, or copy the rows into a new file", maxPart>>20)
		}
	}
	related, err := b.relations(ctx, main)
	if err != nil {
		return nil, err
	}
	if err := b.readSheets(ctx, main, related); err != nil {
		return nil, err
	}
	for _, rel := range related {
		switch rel.kind {
		case "styles":
			err = b.readStyles(ctx, rel.target)
		case "sharedStrings":
			err = b.readStrings(ctx, rel.target)
		}
		if err != nil {
			return nil, err
		}
	}
	return b, b.readAreas(ctx)
}

// mainPart returns the name of the part that lists the sheets.
func (b *workbook) mainPart(ctx context.Context) (string, error) {
	related, err := b.relations(ctx, "")
	if err != nil {
		return "", err
	}
	for _, rel := range related {
		if rel.kind != "officeDocument" || b.find(rel.target) == nil {
			continue
		}
		if strings.HasSuffix(rel.target, ".bin") {
			return "", refuse("the file is a binary workbook (.xlsb); open it in Excel, and save it as .xlsx")
		}
		return rel.target, nil
	}
	switch {
	case b.find("xl/workbook.xml") != nil:
		return "xl/workbook.xml", nil
	case b.find("content.xml") != nil:
		return "", refuse("the file is an OpenDocument (.ods); open it in a spreadsheet program, and save it as .xlsx")
	}
	return "", refuse("the file is a zip archive, but no .xlsx file")
}

func (b *workbook) find(name string) *zip.File {
	i := slices.IndexFunc(b.zip.File, func(f *zip.File) bool {
		return strings.EqualFold(strings.TrimPrefix(strings.ReplaceAll(f.Name, `\`, "/"), "/"), name)
	})
	if i < 0 {
		return nil
	}
	return b.zip.File[i]
}

// part is one that is read, in bounded memory and time.
type part struct {
	ctx     context.Context
	in      io.ReadCloser
	decoder *xml.Decoder
	read    int // since the last token
}

// open returns nil if there is no such part.
func (b *workbook) open(ctx context.Context, name string) (*part, error) {
	f := b.find(name)
	if f == nil {
		return nil, nil //nolint:nilnil // a part may be left out
	}
	in, err := f.Open()
	if err != nil {
		return nil, errDamaged
	}
	p := &part{ctx: ctx, in: in}
	p.decoder = xml.NewDecoder(bufio.NewReaderSize(p, 1<<15))
	return p, nil
}

func (p *part) Close() error { return p.in.Close() }

func (p *part) Read(to []byte) (int, error) {
	if err := p.ctx.Err(); err != nil {
		return 0, err
	}
	if p.read > maxToken {
		return 0, refuse("a cell of the file holds more than a spreadsheet allows; remove it")
	}
	n, err := p.in.Read(to)
	p.read += n
	return n, err
}

// token returns the next one; io.EOF at the end. Namespaces are left out: a name tells enough here.
func (p *part) token() (xml.Token, error) {
	p.read = 0
	t, err := p.decoder.RawToken()
	_, refused := errors.AsType[*refusal.Invalid](err)
	_, disk := errors.AsType[*fs.PathError](err)
	if err == nil || errors.Is(err, io.EOF) || p.ctx.Err() != nil || refused || disk {
		return t, err
	}
	return nil, errDamaged
}

// each calls start for each start of an element.
func (b *workbook) each(ctx context.Context, name string, start func(p *part, e xml.StartElement) error) error {
	p, err := b.open(ctx, name)
	if p == nil || err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // was only read
	for {
		t, err := p.token()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		if e, ok := t.(xml.StartElement); ok {
			if err := start(p, e); err != nil {
				return err
			}
		}
	}
}

func attribute(e xml.StartElement, name string) string {
	for _, a := range e.Attr {
		if a.Name.Local == name {
			return a.Value
		}
	}
	return ""
}

func truth(value string) bool { return value == "1" || value == "true" }

type relation struct{ id, kind, target string }

// relations lists what a part refers to; the package as a whole is the part "".
func (b *workbook) relations(ctx context.Context, of string) ([]relation, error) {
	var all []relation
	name := path.Join(path.Dir(of), "_rels", path.Base("/"+of)+".rels")
	if of == "" {
		name = "_rels/.rels"
	}
	err := b.each(ctx, name, func(_ *part, e xml.StartElement) error {
		if e.Name.Local != "Relationship" || len(all) >= 2*maxSheets {
			return nil
		}
		target := attribute(e, "Target")
		if strings.HasPrefix(target, "/") {
			target = target[1:]
		} else {
			target = path.Join(path.Dir(of), target)
		}
		kind := attribute(e, "Type")
		all = append(all, relation{attribute(e, "Id"), kind[strings.LastIndexByte(kind, '/')+1:], target})
		return nil
	})
	return all, err
}

// readSheets finds the first sheet that is not hidden.
func (b *workbook) readSheets(ctx context.Context, main string, related []relation) error {
	count := 0
	err := b.each(ctx, main, func(_ *part, e xml.StartElement) error {
		switch e.Name.Local {
		case "workbookPr":
			b.date1904 = truth(attribute(e, "date1904"))
		case "sheet":
			if count++; count > maxSheets {
				return refuse("the file has more than %d sheets; copy the rows into a new file", maxSheets)
			}
			id := attribute(e, "id")
			i := slices.IndexFunc(related, func(r relation) bool { return r.id == id && r.kind == "worksheet" })
			if i < 0 || b.part != "" {
				return nil
			}
			if state := attribute(e, "state"); state == "hidden" || state == "veryHidden" {
				if b.skipped == "" {
					b.skipped = strings.Clone(attribute(e, "name"))
				}
				return nil
			}
			b.sheet, b.part = strings.Clone(attribute(e, "name")), related[i].target
		}
		return nil
	})
	if err == nil && (b.part == "" || b.find(b.part) == nil) {
		return refuse("the file has no sheet that can be seen")
	}
	return err
}

// readStyles reads the number format of each style.
func (b *workbook) readStyles(ctx context.Context, name string) error {
	codes := map[int]string{}
	known := map[int]*numberFormat{}
	return b.each(ctx, name, func(p *part, e xml.StartElement) error {
		switch e.Name.Local {
		case "numFmt":
			id, err := strconv.Atoi(attribute(e, "numFmtId"))
			if code := attribute(e, "formatCode"); err == nil && len(codes) < maxStyles && len(code) <= 1024 {
				codes[id] = code
			}
		case "cellXfs":
			return p.within("cellXfs", func(e xml.StartElement) {
				if e.Name.Local != "xf" || len(b.formats) >= maxStyles {
					return
				}
				id, _ := strconv.Atoi(attribute(e, "numFmtId"))
				if known[id] == nil {
					known[id] = formatOf(id, codes)
				}
				b.formats = append(b.formats, known[id])
			})
		}
		return nil
	})
}

// within calls start for each start of an element up to the end of one.
func (p *part) within(name string, start func(e xml.StartElement)) error {
	for {
		t, err := p.token()
		if err != nil {
			return err
		}
		switch e := t.(type) {
		case xml.StartElement:
			start(e)
		case xml.EndElement:
			if e.Name.Local == name {
				return nil
			}
		}
	}
}

var general = &numberFormat{code: "General"}

func (b *workbook) format(style string) *numberFormat {
	if i, err := strconv.Atoi(style); err == nil && i >= 0 && i < len(b.formats) {
		return b.formats[i]
	}
	return general
}

// sharedStrings are kept in chunks, of which a string is a part: nothing is copied.
type sharedStrings struct {
	chunks []string
	ends   [][]uint32 // per chunk where each string ends
	first  []int      // per chunk the number of its first string
	count  int
	size   int
}

const chunkSize = 1 << 18

func (s *sharedStrings) at(i int) (string, bool) {
	if i < 0 || i >= s.count {
		return "", false
	}
	c, exact := slices.BinarySearch(s.first, i)
	if !exact {
		c--
	}
	i -= s.first[c]
	begin := uint32(0)
	if i > 0 {
		begin = s.ends[c][i-1]
	}
	return s.chunks[c][begin:s.ends[c][i]], true
}

func (b *workbook) readStrings(ctx context.Context, name string) error {
	if f := b.find(name); f != nil && f.UncompressedSize64 > 4*maxStrings {
		return tooMuchText()
	}
	s := &b.strings
	var chunk bytes.Buffer
	var ends []uint32
	keep := func() {
		s.chunks, s.ends = append(s.chunks, chunk.String()), append(s.ends, slices.Clone(ends))
		s.first = append(s.first, s.count-len(ends))
		chunk.Reset()
		ends = ends[:0]
	}
	err := b.each(ctx, name, func(p *part, e xml.StartElement) error {
		if e.Name.Local != "si" {
			return nil
		}
		before := chunk.Len()
		if err := p.textOf("si", &chunk); err != nil {
			return err
		}
		s.size += chunk.Len() - before
		s.count++
		ends = append(ends, uint32(chunk.Len()))
		if s.size > maxStrings || s.count > maxItems {
			return tooMuchText()
		}
		if chunk.Len() >= chunkSize || len(ends) >= chunkSize {
			keep()
		}
		return nil
	})
	keep()
	return err
}

func tooMuchText() error {
	return refuse("the file holds more than %d MiB of text, or more than %d different texts; split it, or remove columns "+
		"that are not needed", maxStrings>>20, maxItems)
}

// textOf appends the text in a string, which may be in parts of several fonts, up to its end. How it is pronounced is
// left out.
func (p *part) textOf(end string, to *bytes.Buffer) error {
	inText, phonetic := false, 0
	start := to.Len()
	for {
		t, err := p.token()
		if err != nil {
			return unfinished(err)
		}
		switch e := t.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "rPh":
				phonetic++
			case "t":
				inText = phonetic == 0
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "rPh":
				phonetic--
			case "t":
				inText = false
			case end:
				unescape(to, start)
				return nil
			}
		case xml.CharData:
			if inText {
				to.Write(e)
			}
			if to.Len()-start > 4*maxInCell {
				return refuse("a cell of the file holds more than %d characters; shorten it", maxInCell)
			}
		}
	}
}

// unfinished makes the end of a part in the midst of something an error.
func unfinished(err error) error {
	if errors.Is(err, io.EOF) {
		return errDamaged
	}
	return err
}

// unescape undoes how a workbook writes what XML can't: _x000D_ (ECMA-376 part 1, 22.9.2.19).
func unescape(b *bytes.Buffer, start int) {
	if !bytes.Contains(b.Bytes()[start:], []byte("_x")) {
		return
	}
	s := b.String()[start:]
	b.Truncate(start)
	var units []uint16
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(s); {
		if len(s)-i >= 7 && s[i] == '_' && s[i+1] == 'x' && s[i+6] == '_' {
			if n, err := strconv.ParseUint(s[i+2:i+6], 16, 16); err == nil {
				units = append(units, uint16(n))
				i += 7
				continue
			}
		}
		flush()
		b.WriteByte(s[i])
		i++
	}
	flush()
}

// area is a merged one, counted from 0 to the right and from 1 down, both ends included.
type area struct {
	left, top, right, bottom int
	name                     string
}

// readAreas finds the merged areas: they stand behind the cells that they concern. The tags alone are looked at, which
// is much quicker than reading the cells twice.
func (b *workbook) readAreas(ctx context.Context) error {
	p, err := b.open(ctx, b.part)
	if p == nil || err != nil {
		return err
	}
	defer func() { _ = p.Close() }() // was only read
	in := bufio.NewReaderSize(readerFunc(func(to []byte) (int, error) {
		p.read = 0 // nothing is kept
		return p.Read(to)
	}), 1<<16)
	for {
		tag, err := in.ReadSlice('>')
		if i := bytes.LastIndexByte(tag, '<'); i >= 0 && bytes.Contains(tag[i:], []byte("mergeCell ")) {
			b.takeArea(string(tag[i:]))
			if len(b.areas) > maxAreas {
				return refuse("the file has more than %d merged areas; unmerge them", maxAreas)
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			slices.SortStableFunc(b.areas, func(a, c area) int { return a.top - c.top })
			return nil
		case errors.Is(err, bufio.ErrBufferFull), err == nil:
		case ctx.Err() != nil:
			return err
		default:
			return errDamaged
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(to []byte) (int, error) { return f(to) }

func (b *workbook) takeArea(tag string) {
	_, ref, _ := strings.Cut(tag, "ref=")
	if ref == "" {
		return
	}
	ref, _, _ = strings.Cut(ref[1:], ref[:1])
	from, to, ok := strings.Cut(ref, ":")
	left, top, ok1 := placeOf(from)
	right, bottom, ok2 := placeOf(to)
	if ok && ok1 && ok2 && left <= right && top <= bottom {
		b.areas = append(b.areas, area{left, top, right, bottom, ref})
	}
}

// placeOf returns the column, from 0, and the row, from 1, of a name such as C17.
func placeOf(ref string) (col, row int, ok bool) {
	i := 0
	for ; i < len(ref) && i < 4; i++ {
		c := ref[i] &^ 0x20
		if c < 'A' || c > 'Z' {
			break
		}
		col = col*26 + int(c-'A') + 1
	}
	row, err := strconv.Atoi(ref[i:])
	return col - 1, row, err == nil && col > 0 && row > 0
}

// refuseOLE says which of the files it is that begin so.
func refuseOLE(ctx context.Context, r io.ReaderAt, size int64) error {
	wide := func(s string) []byte {
		var out []byte
		for _, c := range []byte(s) {
			out = append(out, c, 0)
		}
		return out
	}
	encrypted, old := wide("EncryptedPackage"), wide("Workbook")
	window := make([]byte, 0, 1<<17)
	for at := int64(0); at < size; at += 1 << 16 {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := r.ReadAt(window[:min(1<<17, size-at)], at)
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("reading the file: %w", err)
		}
		switch found := window[:n]; {
		case bytes.Contains(found, encrypted):
			return refuse("the file is protected by a password; open it in Excel, remove the password (File, Info, Protect " +
				"Workbook, Encrypt with Password), and save it")
		case bytes.Contains(found, old):
			return refuse("the file is in the old format of Excel (.xls); open it in Excel, and save it as .xlsx")
		}
	}
	return refuse("the file is no .xlsx file but one of an old Office program; open it in Excel, and save it as .xlsx")
}
