// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build js

package deid

import "github.com/adit-go/adit/dicom/stream"

// The browser's engine has no scan: nothing there asks for one.

const scans = false

type scanner struct{}

func newScanner(*Session) *scanner { return nil }

func (*scanner) judge(*stream.Object, []byte, []byte, string) error { return nil }

type bodyScan struct{ err error }

func (*Session) bodyScanner(string) *bodyScan { return nil }

func (*bodyScan) piece(*elem, int, []byte, []byte, *level) error { return nil }

func (*bodyScan) begin(stream.Head) {}

func (*bodyScan) pass([]byte) {}
