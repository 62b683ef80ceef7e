// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// keepAllowed writes an element without the values that its VR doesn't allow; words of the vocabulary stay where a code
// is expected.
func (w *valueWriter) keepAllowed(e *values.Element, r *rules.Rule, lv *level, vr dict.VR) {
	one := values.Check(vr)
	w.value = w.value[:0]
	for i, v := range bytes.Split(e.Value, []byte{'\\'}) {
		if i > 0 {
			w.value = append(w.value, '\\')
		}
		if v = values.Trimmed(v); one != nil && (len(v) == 0 || one(v) || vr == dict.CS && w.s.p.Words.AllKnown(v)) {
			w.value = append(w.value, v...)
		}
	}
	if len(bytes.Trim(w.value, `\`)) == 0 {
		w.value = w.value[:0]
	}
	w.put(lv, e.Tag, written(e, r), w.value)
}
