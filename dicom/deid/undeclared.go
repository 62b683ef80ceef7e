// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"errors"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// errUndeclared ends a pass over an instance that declares no character set, and needs one.
var errUndeclared = errors.New("text in a character set that is not declared")

// undeclared reports whether a text that has to be read is none of ASCII, and nothing else is declared that it could be
// read in.
func (w *valueWriter) undeclared(value []byte, vr dict.VR, lv *level) bool {
	return w.ascii && w.read == nil && (!w.verbatim || w.utf8) && vr.CharSet() && values.BeyondASCII(value) &&
		lv.set != nil && lv.set.IsASCII() && !w.s.fallback.IsASCII()
}

// assume has the text of an instance that declares no character set read in one.
func (w *valueWriter) assume(set *charset.Set) {
	w.read = set
	w.report.AssumedCharset = strings.Join(set.Terms(), `\`)
}

func isUndecodable(err error) bool {
	unsafe, ok := errors.AsType[*UnsafeError](err)
	return ok && unsafe.Reason == Undecodable
}
