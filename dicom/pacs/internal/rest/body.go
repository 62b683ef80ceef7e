// SPDX-License-Identifier: AGPL-3.0-or-later

package rest

import (
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/web/multipart"
)

// body writes a multipart message in the form that is asked for. It is apart from package multipart on purpose: that
// one writes no odd form, and its reader is to be tested by another writer than its own.
type body struct {
	w        io.Writer
	f        Form
	boundary string
	begun    bool
}

func newBody(w io.Writer, f Form) *body { return &body{w: w, f: f, boundary: multipart.NewBoundary()} }

const (
	mediaDICOM  = "application/dicom"
	mediaOctets = "application/octet-stream"
	related     = "multipart/related"
)

// contentType is that of the message.
func (b *body) contentType(inner, syntax string) string {
	t, boundary := `type="`+inner+`"`, b.boundary
	if b.f.SyntaxInQuotes {
		t = `type="` + inner + `; transfer-syntax=` + syntax + `"`
	}
	if b.f.TwoTypes {
		t += `; ` + t
	}
	if b.f.QuotedBoundary {
		boundary = `"` + boundary + `"`
	}
	return related + "; " + t + "; boundary=" + boundary
}

// delimiter is what stands before a part, or, with "--" behind it, at the end.
func (b *body) delimiter() string {
	crlf := "\r\n"
	if !b.begun {
		b.begun = true
		if crlf = b.f.Preamble; b.f.FirstCRLF || crlf != "" {
			crlf += "\r\n"
		}
	} else if b.f.ExtraCRLF {
		crlf += "\r\n"
	}
	return crlf + "--" + b.boundary
}

// part begins a part; length is -1 if nobody knows it.
func (b *body) part(contentType, location string, length int64) error {
	head := "\r\nContent-Type: " + contentType + "\r\n"
	if location != "" {
		head += "Content-Location: " + location + "\r\n"
	}
	if b.f.PartLength && length >= 0 {
		head += "Content-Length: " + strconv.FormatInt(length, 10) + "\r\n"
	}
	if b.f.LowerCase {
		head = strings.NewReplacer("Content-Type", "content-type", "Content-Length", "content-length",
			"Content-Location", "content-location").Replace(head)
	}
	_, err := io.WriteString(b.w, b.delimiter()+head+"\r\n")
	return err
}

// close ends the message.
func (b *body) close() error {
	if b.f.TextAtEnd != "" {
		if err := b.part("text/plain", "", -1); err != nil {
			return err
		}
		if _, err := io.WriteString(b.w, b.f.TextAtEnd); err != nil {
			return err
		}
	}
	if b.f.NoClosing {
		return nil
	}
	_, err := io.WriteString(b.w, b.delimiter()+"--\r\n"+b.f.Epilogue)
	return err
}

// measured counts and digests what is read. It calls beyond, if there is such, instead of going past most.
type measured struct {
	r      io.Reader
	n      int64
	sum    hash.Hash
	most   int64
	beyond func() error
	seen   func(n int) // of every read; may be nil
	err    error       // of reading, but for io.EOF
}

func measure(r io.Reader) *measured { return &measured{r: r, sum: sha256.New()} }

// Read implements io.Reader.
func (m *measured) Read(b []byte) (int, error) {
	if m.beyond != nil {
		if m.n >= m.most {
			m.err = m.beyond()
			return 0, m.err
		}
		b = b[:min(int64(len(b)), m.most-m.n)]
	}
	n, err := m.r.Read(b)
	m.n += int64(n)
	m.sum.Write(b[:n])
	if m.seen != nil && n > 0 {
		m.seen(n)
	}
	if err != io.EOF { // an error that wraps io.EOF is no end
		m.err = err
	}
	return n, err
}

func (m *measured) hex() string { return hex.EncodeToString(m.sum.Sum(nil)) }
