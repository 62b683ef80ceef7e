// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"github.com/adit-go/adit/dicom/deid/internal/scan"
	"github.com/adit-go/adit/dicom/stream"
)

// Reader reads what headers tell of a patient, for the scan of all of the patient's instances. Any number of goroutines
// may use it.
type Reader = scan.Reader

// Reader begins to read. charset is as in Subject.
func (p *Profile) Reader(charset string) (*Reader, error) {
	fallback, err := fallbackOf(charset)
	if err != nil {
		return nil, err
	}
	return scan.NewReader(p.rules, fallback), nil
}

// LooksLike gives, of text that an instance holds, which attributes have what looks like somebody's: clauses such as
// "(0018,0024) has text that looks like a date". It knows no original, so it errs both ways.
func LooksLike(h *stream.Header) (found []string) { return scan.LooksLike(h) }
