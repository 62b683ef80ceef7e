// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// plain rewrites an element with a plain value, and says what was done.
func (w *valueWriter) plain(e *values.Element, a Action, r *rules.Rule, lv *level) (Action, error) {
	vr := effective(e, r)
	if a = w.kept(e, a, r, lv, vr); a == Keep && !w.verbatim && !values.Allowed(e, vr, r.Single, lv.enc) {
		w.keepAllowed(e, r, lv, vr)
		return Empty, nil
	}
	if ok, err := w.change(e, a, r, lv, vr); ok || err != nil {
		return a, err
	}
	// It couldn't be done: a date that is none, a text without a word that may stay.
	if a = w.fallback(r, e.Tag, lv); a == Shift || a == Clean {
		a = rules.Remove
	}
	if ok, err := w.change(e, a, r, lv, vr); ok || err != nil {
		return a, err
	}
	return Remove, nil
}

// kept says what becomes of a value: what the standard registered stays, and what is to stay goes if it tells
// something.
func (w *valueWriter) kept(e *values.Element, a Action, r *rules.Rule, lv *level, vr dict.VR) Action {
	if a == MapUID && r.Class && w.ofStandard(e.Value) {
		a = rules.Keep
	}
	if a == Keep && w.betrays(e, r, vr, e.Value, lv.set) {
		a = w.instead(e, r, lv)
	}
	if a == Keep && !w.verbatim && r.Over == nil && lv.concept(e, vr) == dates.BornThen {
		a = w.fallback(r, e.Tag, lv)
	}
	return a
}

// change does an action to a plain value; false if the value isn't one that it can be done to. Then nothing is written.
func (w *valueWriter) change(e *values.Element, a Action, r *rules.Rule, lv *level, vr dict.VR) (bool, error) {
	w.value = w.value[:0]
	switch a {
	case Keep:
		return true, w.keep(e, r, lv)
	case Remove:
		return true, nil
	case Empty:
		w.put(lv, e.Tag, written(e, r), nil)
		return true, nil
	case Replace:
		return true, w.putText(lv, e, r, r.Over.With)
	}
	if len(values.Trimmed(e.Value)) == 0 && (vr.Text() || len(e.Value) == 0) { // says nothing already
		w.out = append(w.out, e.In...)
		return true, nil
	}
	ok := false
	switch a {
	case Dummy:
		if vr == dict.UI {
			ok = w.mapUIDs(e.Value)
		} else {
			w.value, ok = values.AppendDummy(w.value, vr, len(e.Value)), true
		}
	case MapUID:
		ok = w.mapUIDs(e.Value)
	case Shift:
		if lv.concept(e, vr) == "" {
			w.value, ok = dates.AppendShifted(w.value, e.Value, vr, w.s.offset, w.births)
		}
	case Truncate:
		w.value, ok = dates.AppendTruncated(w.value, e.Value, vr)
	case Clean, Hash, Edit:
		return w.changeText(e, a, r, lv, vr)
	}
	if ok {
		w.put(lv, e.Tag, written(e, r), w.value)
	}
	return ok, nil
}

// keep copies an element, or moves its text to ISO_IR 192.
func (w *valueWriter) keep(e *values.Element, r *rules.Rule, lv *level) error {
	vr := effective(e, r)
	if w.undeclared(e.Value, vr, lv) {
		return errUndeclared
	}
	if !w.utf8 && (!w.strict || !vr.CharSet() || values.PlainASCII(e.Value)) || !vr.Text() {
		w.out = append(w.out, e.In...)
		return nil
	}
	if !vr.CharSet() && values.PlainASCII(e.Value) {
		w.out = append(w.out, e.In...)
		return nil
	}
	text, err := w.decode(e.Tag, e.Value, vr, lv)
	if err != nil {
		return err
	}
	if !w.utf8 || text == string(e.Value) {
		w.out = append(w.out, e.In...)
	} else {
		w.put(lv, e.Tag, written(e, r), []byte(text))
	}
	return nil
}

// decode returns a text that must be sound.
func (w *valueWriter) decode(tag dict.Tag, value []byte, vr dict.VR, lv *level) (string, error) {
	bad := func(err error) error {
		detail := fmt.Sprintf(
			"the text of %s is not in the Specific Character Set that the instance declares; correct that at the source",
			tag,
		)
		if lv.set == w.read && w.read != nil {
			detail = fmt.Sprintf(
				"it declares no Specific Character Set, and the text of %s is not in the one that it was read "+
					"in (%s); "+
					"correct that at the source, or set another fallback for the source", tag, w.report.AssumedCharset,
			)
		}
		return &UnsafeError{Reason: Undecodable, SOPInstanceUID: w.report.SOPInstanceUID, Err: err, Detail: detail}
	}
	if lv.set == nil {
		if values.PlainASCII(value) {
			return string(value), nil
		}
		return "", bad(nil)
	}
	text, err := lv.set.DecodeStrict(value, vr)
	if err != nil {
		return "", bad(err)
	}
	return text, nil
}

// putText writes a new text in the character set in force. The error wraps charset.ErrNotRepresentable.
func (w *valueWriter) putText(lv *level, e *values.Element, r *rules.Rule, text string) error {
	vr := written(e, r)
	b, err := w.encode(text, vr, lv)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Tag, err)
	}
	w.put(lv, e.Tag, vr, b)
	return nil
}

func (w *valueWriter) encode(text string, vr dict.VR, lv *level) ([]byte, error) {
	w.value = append(w.value[:0], text...)
	switch {
	case w.utf8, values.PlainASCII(w.value) && bytes.IndexByte(w.value, '~') < 0: // ~ and \ differ in JIS X 0201
		return w.value, nil
	case lv.set == nil:
		return values.ASCII.Encode(text, vr)
	}
	return lv.set.Encode(text, vr)
}

// changeText does what needs the decoded text.
func (w *valueWriter) changeText(e *values.Element, a Action, r *rules.Rule, lv *level, vr dict.VR) (bool, error) {
	if !vr.Text() || lv.set == nil && !values.PlainASCII(e.Value) {
		return false, nil
	}
	if w.undeclared(e.Value, vr, lv) {
		return false, errUndeclared
	}
	plain := values.PlainASCII(e.Value)
	if a == Clean && plain {
		return w.putCleaned(e, r, lv, w.s.cleanASCII(e.Value, vr))
	}
	text := string(e.Value)
	if !plain {
		var err error
		if text, err = lv.set.DecodeStrict(e.Value, vr); err != nil {
			return false, nil //nolint:nilerr // what can't be read can't be cleaned: the basic action takes it away
		}
	}
	switch a {
	case Hash:
		w.value = w.s.d.appendToken(w.value, "value", []byte(values.Trim(text)))
		w.put(lv, e.Tag, written(e, r), w.value)
		return true, nil
	case Edit:
		if text = r.Over.Pattern.ReplaceAllString(
			strings.TrimRight(text, " \x00"), r.Over.With,
		); !rules.IsValid(vr, text) || w.betrays(e, r, vr, []byte(text), nil) {
			return false, nil
		}
		return true, w.putText(lv, e, r, text)
	}
	c := cleaned{}
	c.text, c.all = w.s.p.Words.Clean(text, vr)
	return w.putCleaned(e, r, lv, c)
}

// cleaned is what cleaning leaves of a text; all tells that it is every word.
type cleaned struct {
	text string
	all  bool
}

func (w *valueWriter) putCleaned(e *values.Element, r *rules.Rule, lv *level, c cleaned) (bool, error) {
	switch {
	case c.all:
		return true, w.keep(e, r, lv)
	case c.text == "":
		return false, nil
	}
	return true, w.putText(lv, e, r, c.text)
}

// cleanASCII cleans text that every character set reads alike. The instances of a series have the same descriptions, so
// it remembers them.
func (s *Session) cleanASCII(value []byte, vr dict.VR) cleaned {
	memory := s.cleaned[vr.MultiValued()]
	if c, ok := memory[string(value)]; ok {
		return c
	}
	c := cleaned{}
	text := string(value)
	c.text, c.all = s.p.Words.Clean(text, vr)
	if len(text) > maxCleaned {
		return c
	}
	if len(memory) >= maxSets {
		clear(memory)
	}
	memory[text] = c
	return c
}

var standardRoot = []byte("1.2.840.10008.")

// ofStandard reports whether a UI attribute has values that the standard gives alone, also of its tables that the
// dictionary lacks (context groups).
func (w *valueWriter) ofStandard(value []byte) bool {
	for more := true; more; {
		var one []byte
		one, value, more = bytes.Cut(value, []byte{'\\'})
		one = values.Trimmed(one)
		if len(one) == 0 || bytes.HasPrefix(one, standardRoot) && values.IsUID(one) {
			continue
		}
		if w.s.mapUID(one) != string(one) {
			return false
		}
	}
	return true
}

// mapUIDs maps the values of a UI attribute.
func (w *valueWriter) mapUIDs(value []byte) bool {
	for i := 0; ; i++ {
		one, rest, more := bytes.Cut(value, []byte{'\\'})
		if i > 0 {
			w.value = append(w.value, '\\')
		}
		w.value = append(w.value, w.s.mapUID(values.Trimmed(one))...)
		if !more {
			return true
		}
		value = rest
	}
}

// betrays reports whether a text that a rule lets stay names a day while others are shifted: one true date beside them
// tells by how much. Asked are texts that a rule of the profile's own lets stay, private ones, and codes, which have no
// words to tell in; as they came and, if they have a character set, as they read.
func (w *valueWriter) betrays(e *values.Element, r *rules.Rule, vr dict.VR, text []byte, set *charset.Set) bool {
	if w.verbatim || !w.s.p.Shifts || r.Over == nil && !e.Tag.IsPrivate() && vr != dict.CS {
		return false
	}
	switch vr {
	case dict.DA, dict.DT, dict.TM, dict.AS, dict.UI:
		return false // each by its own rule
	case dict.DS, dict.IS:
		return (len(values.Trimmed(text)) != 6 || !values.AllDigits(values.Trimmed(text))) &&
			len(dates.Written(text)) > 0
	}
	if !vr.Text() && vr != dict.UN {
		return false
	}
	if !values.PlainASCII(text) && set != nil && len(dates.Written([]byte(set.Decode(text, vr)))) > 0 {
		return true
	}
	return len(dates.Written(text)) > 0
}

// instead is what is done where a text betrays a date.
func (w *valueWriter) instead(e *values.Element, r *rules.Rule, lv *level) Action {
	_, listed := table.RowOf(e.Tag)
	switch {
	case e.Tag.IsPrivate():
		return Remove
	case listed:
		return w.fallback(r, e.Tag, lv)
	}
	return Empty
}
