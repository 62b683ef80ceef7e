// SPDX-License-Identifier: AGPL-3.0-or-later

package charset

import (
	"strings"
	"sync"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
)

// Undeclared returns what text may be in whose Specific Character Set is wrong or missing, by how common it is: the
// terms of DICOM, the code pages of operating systems, and UTF-8 that was taken for a code page and encoded once more.
// It is for finding out whether text can mean something; nothing says that it does.
var Undeclared = sync.OnceValue(func() []*Set {
	var sets []*Set
	for _, terms := range []string{
		UTF8, Latin1, "ISO_IR 101", "ISO_IR 148", "ISO_IR 109", "ISO_IR 110",
		"ISO_IR 203", "ISO_IR 144", "ISO_IR 126", "ISO_IR 138", "ISO_IR 127",
		"ISO_IR 166", "ISO_IR 13", "GB18030", `\ISO 2022 IR 87`,
	} {
		if s, err := New(strings.Split(terms, `\`)); err == nil { // all are known
			sets = append(sets, s)
		}
	}
	for _, whole := range []encoding.Encoding{
		japanese.ShiftJIS, japanese.EUCJP, korean.EUCKR, charmap.Windows1252,
		charmap.Windows1250, charmap.Windows1251, charmap.CodePage850,
		charmap.CodePage852, charmap.CodePage437, charmap.CodePage866, charmap.KOI8R, charmap.Macintosh,
		twice{charmap.ISO8859_1},
		twice{charmap.Windows1252},
	} {
		sets = append(sets, &Set{whole: whole})
	}
	return sets
})

// twice reads UTF-8 that was taken for a code page and encoded in UTF-8 once more.
type twice struct{ page *charmap.Charmap }

// NewDecoder implements encoding.Encoding.
func (t twice) NewDecoder() *encoding.Decoder {
	return &encoding.Decoder{Transformer: t.page.NewEncoder().Transformer}
}

// NewEncoder implements encoding.Encoding. Nothing is written so.
func (t twice) NewEncoder() *encoding.Encoder { return encoding.Replacement.NewEncoder() }
