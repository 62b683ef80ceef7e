// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build js

package scan

import (
	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// The browser's engine has no scan: nothing there asks for one.

// Built says that this build has the scan.
const Built = false

// Subject is as in builds with the scan.
type Subject struct {
	Profile  *rules.Profile
	Given    []dict.Tag
	Method   string
	Offset   int
	Known    *Known
	Charsets values.Charsets
	Creators values.Creators
}

// Scanner is nothing.
type Scanner struct{}

// Known is nothing.
type Known struct{}

// New returns nil.
func New(Subject) *Scanner { return nil }

// Run finds nothing.
func (*Scanner) Run(*stream.Object, []byte, []byte, *charset.Set) ([]Finding, error) { return nil, nil }

// Body returns nil.
func (*Scanner) Body(bool) *Body { return nil }

// Body is nothing.
type Body struct{}

// Piece finds nothing.
func (*Body) Piece(stream.Head, int, []byte, []byte, stream.Encoding, *charset.Set) ([]Finding, error) {
	return nil, nil
}

// Begin does nothing.
func (*Body) Begin(stream.Head) {}

// Pass does nothing.
func (*Body) Pass([]byte) {}

// Passed finds nothing.
func (*Body) Passed() []Finding { return nil }
