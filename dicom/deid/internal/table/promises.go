// SPDX-License-Identifier: AGPL-3.0-or-later

package table

import (
	_ "embed"
	"fmt"
	"strconv"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
)

//go:generate go run ../gen/promise

//go:embed promise.txt
var promiseText string

// promise is a row of the table of the standard, in its letters.
type promise struct {
	Basic       string
	Keep, Clean Option
}

// pattern is a tag with digits that don't count.
type pattern struct{ Tag, Mask dict.Tag }

// promiseTable has rows by tag; Masked are those of repeating groups.
type promiseTable struct {
	Rows   map[dict.Tag]promise
	Masked []pattern
}

// Promises are the rows of promise.txt.
var Promises = sync.OnceValue(func() (p promiseTable) {
	p.Rows = make(map[dict.Tag]promise, 640)
	for line := range strings.Lines(promiseText) {
		if line[0] == '#' {
			continue
		}
		f := strings.Fields(line)
		if digits := f[0]; strings.Contains(digits, ".") {
			tag, mask, _ := ParsePattern(strings.ReplaceAll(digits, ".", "x"))
			p.Masked = append(p.Masked, pattern{tag, mask})
			continue
		}
		n, _ := strconv.ParseUint(f[0], 16, 32)
		row := promise{Basic: f[1]}
		for i, letter := range f[2] {
			switch letter {
			case 'K':
				row.Keep |= 1 << i
			case 'C':
				row.Clean |= 1 << i
			}
		}
		p.Rows[dict.Tag(n)] = row
	}
	return p
})

// ParsePattern returns the tag, and which of its digits count, of a text such as "(0018,1030)" or "0018,9xxx".
func ParsePattern(s string) (tag, mask dict.Tag, err error) {
	digits := strings.NewReplacer("(", "", ")", "", ",", "").Replace(strings.ToLower(s))
	if len(digits) != 8 {
		return 0, 0, fmt.Errorf(`%q is not a tag; write it as "(0018,1030)", with x for any digit`, s)
	}
	for _, c := range digits {
		tag, mask = tag<<4, mask<<4
		if c == 'x' {
			continue
		}
		n, err := strconv.ParseUint(string(c), 16, 4)
		if err != nil {
			return 0, 0, fmt.Errorf(`%q is not a tag; write it as "(0018,1030)", with x for any digit`, s)
		}
		tag, mask = tag|dict.Tag(n), mask|0xF
	}
	return tag, mask, nil
}
