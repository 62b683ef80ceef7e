// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"bytes"
	"context"
	"encoding/xml"
	"io"
	"strconv"
	"strings"
)

// sheetRows reads the rows of a sheet that have values.
type sheetRows struct {
	*part

	book  *workbook
	row   int
	col   int
	cells []cell
	text  bytes.Buffer
	size  int // of the texts that are not shared

	areas []area // those that may reach this row or later ones
	to    int    // how many of the book's areas have begun
}

func (b *workbook) records(ctx context.Context) (records, error) {
	p, err := b.open(ctx, b.part)
	if err != nil {
		return nil, err
	}
	return &sheetRows{part: p, book: b}, nil
}

func (s *sheetRows) next() (record, error) {
	for {
		t, err := s.token()
		if err != nil {
			return record{}, unfinished(err)
		}
		switch e := t.(type) {
		case xml.StartElement:
			if e.Name.Local == "row" {
				r, err := s.takeRow(e)
				if err != nil || len(r.cells) > 0 {
					return r, err
				}
			}
		case xml.EndElement:
			if e.Name.Local == "sheetData" || e.Name.Local == "worksheet" {
				return record{}, io.EOF
			}
		}
	}
}

func (s *sheetRows) takeRow(start xml.StartElement) (record, error) {
	row := s.row + 1
	if r := attribute(start, "r"); r != "" {
		n, err := strconv.Atoi(r)
		if err != nil || n < row || n > maxSheetRows {
			return record{}, errDamaged
		}
		row = n
	}
	s.row, s.col, s.cells = row, -1, s.cells[:0]
	for {
		t, err := s.token()
		if err != nil {
			return record{}, unfinished(err)
		}
		switch e := t.(type) {
		case xml.StartElement:
			if e.Name.Local == "c" {
				if err := s.takeCell(e); err != nil {
					return record{}, err
				}
			}
		case xml.EndElement:
			if e.Name.Local == "row" {
				s.merge()
				return record{row: row, number: row, hidden: truth(attribute(start, "hidden")), cells: s.cells}, nil
			}
		}
	}
}

// found is what a cell has in the file.
type found struct {
	typ, style        string
	formula, hasValue bool
	inline            bool // its text stands in the cell
}

func (s *sheetRows) takeCell(start xml.StartElement) error {
	s.col++
	var f found
	for _, a := range start.Attr {
		switch a.Name.Local {
		case "r":
			col, _, ok := placeOf(a.Value)
			if !ok || col >= maxSheetColumns {
				return errDamaged
			}
			s.col = col
		case "s":
			f.style = a.Value
		case "t":
			f.typ = a.Value
		}
	}
	s.text.Reset()
	if err := s.content(&f); err != nil {
		return err
	}
	c, ok, err := s.cell(f)
	if !ok || err != nil {
		return err
	}
	if s.col >= maxColumns {
		return refuse("row %d has a value in column %s; a file has at most %d columns. Delete what stands to the right of "+
			"your columns", s.row, columnLetters(s.col), maxColumns)
	}
	c.col = s.col
	s.cells = append(s.cells, c)
	return nil
}

// content reads up to the end of a cell.
func (s *sheetRows) content(f *found) error {
	reads := false
	for {
		t, err := s.token()
		if err != nil {
			return unfinished(err)
		}
		switch e := t.(type) {
		case xml.StartElement:
			switch e.Name.Local {
			case "v":
				reads, f.hasValue = true, true
			case "f":
				f.formula = true
			case "is":
				f.inline = true
				if err := s.textOf("is", &s.text); err != nil {
					return err
				}
			}
		case xml.EndElement:
			switch e.Name.Local {
			case "v":
				reads = false
			case "c":
				return nil
			}
		case xml.CharData:
			if reads {
				s.text.Write(e)
			}
			if s.text.Len() > 4*maxInCell {
				return refuse("a cell of the file holds more than %d characters; shorten it", maxInCell)
			}
		}
	}
}

// cell makes a cell of what was found; false if it is empty.
func (s *sheetRows) cell(f found) (c cell, ok bool, err error) {
	switch f.typ {
	case "s":
		if !f.hasValue {
			return cell{is: formulaCell}, f.formula, nil
		}
		i, err := strconv.Atoi(string(bytes.TrimSpace(s.text.Bytes())))
		text, known := s.book.strings.at(i)
		if err != nil || !known {
			return c, false, errDamaged
		}
		c.text = text
		return c, trim(text) != "", nil
	case "str", "inlineStr":
		if f.typ == "str" && f.hasValue {
			unescape(&s.text, 0)
		}
	case "b":
		c.is = boolCell
	case "e":
		c.is = errorCell
	case "d":
		c.is = isoCell
	default:
		c.is, c.format = numberCell, s.book.format(f.style)
	}
	if len(bytes.TrimSpace(s.text.Bytes())) == 0 {
		if f.formula && (!f.hasValue || f.typ != "str") {
			return cell{is: formulaCell}, true, nil
		}
		return c, false, nil
	}
	if s.size += s.text.Len(); s.size > maxText {
		return c, false, refuse("the file holds more than %d MiB of text; split it, or remove columns that are not needed",
			maxText>>20)
	}
	c.text = s.text.String()
	if c.is != textCell {
		c.text = strings.TrimSpace(c.text)
	}
	if c.is == boolCell {
		c.text = strings.ToUpper(strconv.FormatBool(truth(c.text)))
	}
	return c, trim(c.text) != "", nil
}

// merge adds to a row with values what merged areas take away from it.
func (s *sheetRows) merge() {
	all := s.book.areas
	for s.to < len(all) && all[s.to].top <= s.row {
		s.areas = append(s.areas, all[s.to])
		s.to++
	}
	if len(s.cells) == 0 || len(s.areas) == 0 {
		return
	}
	kept := s.areas[:0]
	for _, a := range s.areas {
		if a.bottom < s.row {
			continue
		}
		kept = append(kept, a)
		for col := a.left; col <= min(a.right, maxColumns-1) && len(s.cells) < 2*maxColumns; col++ {
			if col != a.left || s.row != a.top {
				s.cells = append(s.cells, cell{col: col, is: mergedCell, text: a.name})
			}
		}
	}
	s.areas = kept
}

const (
	maxSheetRows    = 1_048_576
	maxSheetColumns = 16_384
)
