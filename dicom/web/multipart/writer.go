// SPDX-License-Identifier: AGPL-3.0-or-later

package multipart

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"strings"
)

// Writer writes a message as the pickiest of readers want it: the first bytes are the first delimiter, and each part
// has its headers in the order and case given. Everything goes to the writer below at once.
type Writer struct {
	w        io.Writer
	boundary string
	err      error // for good
	parts    int
	open     bool // the headers of the current part aren't ended yet
}

// NewBoundary makes a boundary that occurs in no content: 26 random letters and digits.
func NewBoundary() string { return strings.ToLower(rand.Text()) }

// NewWriter writes a message to w. The boundary is made of letters, digits and dashes, such as NewBoundary's.
func NewWriter(w io.Writer, boundary string) *Writer { return &Writer{w: w, boundary: boundary} }

// Field is a header of a part.
type Field struct{ Name, Value string }

// ErrClosed is the error of writing behind the closing delimiter, or outside of a part.
var ErrClosed = errors.New("the multipart message has no open part")

// Begin begins a part, and ends the one before. Its headers end with the first Write.
func (w *Writer) Begin(fields ...Field) error {
	w.endHeader()
	before := "\r\n"
	if w.parts == 0 {
		before = ""
	}
	w.parts++
	text := []byte(before + "--" + w.boundary + "\r\n")
	for _, f := range fields {
		line, err := f.line()
		if err != nil {
			return err
		}
		text = append(text, line...)
	}
	w.write(string(text))
	w.open = true
	return w.err
}

// Field adds a header to the part that was begun. Nothing of the content may have been written.
func (w *Writer) Field(name, value string) error {
	if !w.open && w.err == nil {
		return ErrClosed
	}
	line, err := Field{name, value}.line()
	if err != nil {
		return err
	}
	w.write(line)
	return w.err
}

func (f Field) line() (string, error) {
	if f.Name == "" || strings.ContainsAny(f.Name, ": \t") || strings.ContainsFunc(f.Name+f.Value, isControl) {
		return "", fmt.Errorf("the header %q of a part has characters that no header may have", f.Name)
	}
	return f.Name + ": " + f.Value + "\r\n", nil
}

// Write writes content of the part that was begun.
func (w *Writer) Write(p []byte) (int, error) {
	if w.parts == 0 && w.err == nil {
		return 0, ErrClosed
	}
	w.endHeader()
	if w.err != nil {
		return 0, w.err
	}
	var n int
	n, w.err = w.w.Write(p)
	return n, w.err
}

// Close writes the closing delimiter. It doesn't close the writer below.
func (w *Writer) Close() error {
	w.endHeader()
	w.write("\r\n--" + w.boundary + "--\r\n")
	if w.err != nil {
		return w.err
	}
	w.err = ErrClosed
	return nil
}

// endHeader writes the empty line that ends a part's headers, if that is still to come.
func (w *Writer) endHeader() {
	if w.open {
		w.write("\r\n")
	}
	w.open = false
}

func (w *Writer) write(s string) {
	if w.err == nil {
		_, w.err = io.WriteString(w.w, s)
	}
}
