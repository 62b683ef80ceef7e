// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dict"
)

// plain rewrites an element with a plain value, and says what was done.
func (w *rewriter) plain(e *elem, a Action, r *rule, lv *level) (Action, error) {
	vr := effective(e, r)
	if a = w.kept(e, a, r, lv, vr); a == Keep && !w.verbatim && !allowed(e, vr, r.single, lv.enc) {
		w.keepAllowed(e, r, lv, vr)
		return Empty, nil
	}
	if ok, err := w.change(e, a, r, lv, vr); ok || err != nil {
		return a, err
	}
	// It couldn't be done: a date that is none, a text without a word that may stay.
	if a = w.fallback(r, e.Tag, lv); a == Shift || a == Clean {
		a = Remove
	}
	if ok, err := w.change(e, a, r, lv, vr); ok || err != nil {
		return a, err
	}
	return Remove, nil
}

// kept says what becomes of a value: what the standard registered stays, and what is to stay goes if it tells something.
func (w *rewriter) kept(e *elem, a Action, r *rule, lv *level, vr dict.VR) Action {
	if a == MapUID && r.class && w.ofStandard(e.value) {
		a = Keep
	}
	if a == Keep && w.betrays(e, r, vr, e.value) {
		a = w.instead(e, r, lv)
	}
	if a == Keep && !w.verbatim && r.over == nil && lv.concept(e, vr) == bornThen {
		a = w.fallback(r, e.Tag, lv)
	}
	return a
}

// change does an action to a plain value; false if the value isn't one that it can be done to. Then nothing is written.
func (w *rewriter) change(e *elem, a Action, r *rule, lv *level, vr dict.VR) (bool, error) {
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
		return true, w.putText(lv, e, r, r.over.with)
	}
	if len(trimmed(e.value)) == 0 && (vr.Text() || len(e.value) == 0) { // says nothing already
		w.out = append(w.out, e.in...)
		return true, nil
	}
	ok := false
	switch a {
	case Dummy:
		if vr == dict.UI {
			ok = w.mapUIDs(e.value)
		} else {
			w.value, ok = appendDummy(w.value, vr, len(e.value)), true
		}
	case MapUID:
		ok = w.mapUIDs(e.value)
	case Shift:
		if lv.concept(e, vr) == "" {
			w.value, ok = appendShifted(w.value, e.value, vr, w.s.offset, w.births)
		}
	case Truncate:
		w.value, ok = appendTruncated(w.value, e.value, vr)
	case Clean, Hash, Edit:
		return w.changeText(e, a, r, lv, vr)
	}
	if ok {
		w.put(lv, e.Tag, written(e, r), w.value)
	}
	return ok, nil
}

// trimmed is a value without padding. It runs for every value; bytes.Trim takes several times as long.
func trimmed(value []byte) []byte {
	for len(value) > 0 && (value[0] == ' ' || value[0] == 0) {
		value = value[1:]
	}
	for len(value) > 0 && (value[len(value)-1] == ' ' || value[len(value)-1] == 0) {
		value = value[:len(value)-1]
	}
	return value
}

// keep copies an element, or moves its text to ISO_IR 192.
func (w *rewriter) keep(e *elem, r *rule, lv *level) error {
	vr := effective(e, r)
	if w.undeclared(e.value, vr, lv) {
		return errUndeclared
	}
	if !w.utf8 && (!w.strict || !vr.CharSet() || plainASCII(e.value)) || !vr.Text() {
		w.out = append(w.out, e.in...)
		return nil
	}
	if !vr.CharSet() && plainASCII(e.value) {
		w.out = append(w.out, e.in...)
		return nil
	}
	text, err := w.decode(e.Tag, e.value, vr, lv)
	if err != nil {
		return err
	}
	if !w.utf8 || text == string(e.value) {
		w.out = append(w.out, e.in...)
	} else {
		w.put(lv, e.Tag, written(e, r), []byte(text))
	}
	return nil
}

// decode gives a text that must be sound.
func (w *rewriter) decode(tag dict.Tag, value []byte, vr dict.VR, lv *level) (string, error) {
	bad := func(err error) error {
		detail := fmt.Sprintf("the text of %s is not of the Specific Character Set that the object declares; correct that at the source", tag)
		if lv.set == w.read && w.read != nil {
			detail = fmt.Sprintf("it declares no Specific Character Set, and the text of %s is not of the one that it was read in (%s); "+
				"correct that at the source, or set another fallback for the source", tag, w.report.AssumedCharset)
		}
		return &UnsafeError{Reason: Undecodable, SOPInstanceUID: w.report.SOPInstanceUID, Err: err, Detail: detail}
	}
	if lv.set == nil {
		if plainASCII(value) {
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

// plainASCII tells whether a text is ASCII without escape sequences.
func plainASCII(b []byte) bool {
	for _, c := range b {
		if c >= 0x80 || c == 0x1B {
			return false
		}
	}
	return true
}

// putText writes a new text in the character set in force. The error wraps charset.ErrNotRepresentable.
func (w *rewriter) putText(lv *level, e *elem, r *rule, text string) error {
	vr := written(e, r)
	b, err := w.encode(text, vr, lv)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Tag, err)
	}
	w.put(lv, e.Tag, vr, b)
	return nil
}

func (w *rewriter) encode(text string, vr dict.VR, lv *level) ([]byte, error) {
	w.value = append(w.value[:0], text...)
	switch {
	case w.utf8, plainASCII(w.value) && bytes.IndexByte(w.value, '~') < 0: // ~ and \ differ in JIS X 0201
		return w.value, nil
	case lv.set == nil:
		return ascii.Encode(text, vr)
	}
	return lv.set.Encode(text, vr)
}

// changeText does what needs the decoded text.
func (w *rewriter) changeText(e *elem, a Action, r *rule, lv *level, vr dict.VR) (bool, error) {
	if !vr.Text() || lv.set == nil && !plainASCII(e.value) {
		return false, nil
	}
	if w.undeclared(e.value, vr, lv) {
		return false, errUndeclared
	}
	plain := plainASCII(e.value)
	if a == Clean && plain {
		return w.putCleaned(e, r, lv, w.s.cleanASCII(e.value, vr))
	}
	text := string(e.value)
	if !plain {
		var err error
		if text, err = lv.set.DecodeStrict(e.value, vr); err != nil {
			return false, nil //nolint:nilerr // what can't be read can't be cleaned: the basic action takes it away
		}
	}
	switch a {
	case Hash:
		w.value = w.s.d.appendToken(w.value, "value", []byte(trim(text)))
		w.put(lv, e.Tag, written(e, r), w.value)
		return true, nil
	case Edit:
		if text = r.over.pattern.ReplaceAllString(strings.TrimRight(text, " \x00"), r.over.with); !isValid(vr, text) || w.betrays(e, r, vr, []byte(text)) {
			return false, nil
		}
		return true, w.putText(lv, e, r, text)
	}
	c := cleaned{}
	c.text, c.all = w.s.p.clean(text, vr)
	return w.putCleaned(e, r, lv, c)
}

// cleaned is what cleaning leaves of a text; all tells that it is every word.
type cleaned struct {
	text string
	all  bool
}

func (w *rewriter) putCleaned(e *elem, r *rule, lv *level, c cleaned) (bool, error) {
	switch {
	case c.all:
		return true, w.keep(e, r, lv)
	case c.text == "":
		return false, nil
	}
	return true, w.putText(lv, e, r, c.text)
}

// cleanASCII cleans text that every character set reads alike. The objects of a series have the same descriptions, so
// it remembers them.
func (s *Session) cleanASCII(value []byte, vr dict.VR) cleaned {
	memory := s.cleaned[vr.MultiValued()]
	if c, ok := memory[string(value)]; ok {
		return c
	}
	c := cleaned{}
	text := string(value)
	c.text, c.all = s.p.clean(text, vr)
	if len(text) > maxCleaned {
		return c
	}
	if len(memory) >= maxSets {
		clear(memory)
	}
	memory[text] = c
	return c
}

// clean keeps the words of a text that the vocabulary has; all tells whether that is every one.
func (p *Profile) clean(text string, vr dict.VR) (cleaned string, all bool) {
	text = trim(text)
	if !vr.MultiValued() {
		return p.cleanValue(text)
	}
	values := strings.Split(text, `\`)
	all, some := true, false
	for i, v := range values {
		kept, whole := p.cleanValue(v)
		all = all && whole
		some = some || kept != ""
		values[i] = kept
	}
	if !some {
		return "", all
	}
	return strings.Join(values, `\`), all
}

func (p *Profile) cleanValue(text string) (string, bool) {
	var few [24]term
	list := p.terms(few[:0], text)
	var out strings.Builder
	all := true
	var before term
	for i, t := range list {
		var after term
		if i+1 < len(list) {
			after = list[i+1]
		}
		if t.stays(before, after) {
			if out.Len() > 0 {
				out.WriteByte(' ')
			}
			out.WriteString(t.text)
		} else {
			all = false
		}
		before = t
	}
	return out.String(), all
}

// separates tells whether a character stands between words.
func separates(c rune) bool {
	switch c {
	case '-', '+', '.', ',', '#', '%', '!': // may be within one: T2-weighted, 0.6mm
		return false
	}
	return c == utf8.RuneError || !unicode.IsLetter(c) && !unicode.IsDigit(c) && !unicode.IsMark(c)
}

var standardRoot = []byte("1.2.840.10008.")

// ofStandard reports whether a UI attribute has values that the standard gives alone, also of its tables that the dictionary lacks (context groups).
func (w *rewriter) ofStandard(value []byte) bool {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		one = trimmed(one)
		if len(one) == 0 || bytes.HasPrefix(one, standardRoot) && isUID(one) {
			continue
		}
		if w.s.mapUID(one) != string(one) {
			return false
		}
	}
	return true
}

// mapUIDs maps the values of a UI attribute.
func (w *rewriter) mapUIDs(value []byte) bool {
	for i := 0; ; i++ {
		one, rest, more := bytes.Cut(value, []byte{'\\'})
		if i > 0 {
			w.value = append(w.value, '\\')
		}
		w.value = append(w.value, w.s.mapUID(trimmed(one))...)
		if !more {
			return true
		}
		value = rest
	}
}

// dummyText stands where a value is required and nothing may be said.
const dummyText = "ANON"

// appendDummy appends a value of the VR that says nothing; length is that of the original, for bytes.
func appendDummy(b []byte, vr dict.VR, length int) []byte {
	switch vr {
	case dict.AS:
		return append(b, "000Y"...)
	case dict.DA:
		return append(b, "19000101"...)
	case dict.DT:
		return append(b, "19000101000000"...)
	case dict.TM:
		return append(b, "000000"...)
	case dict.DS, dict.IS:
		return append(b, '0')
	case dict.UR:
		return append(b, "urn:anon"...)
	}
	if vr.Text() {
		return append(b, dummyText...)
	}
	n := max(vr.Width(), 2)
	if vr == dict.AT {
		n = 4
	}
	return append(b, make([]byte, min(n, max(length, 2)))...)
}

// appendShifted moves the dates of a DA or DT by whole days. What has no day to move stays if it says no more than a time
// of day or a time zone. ok is false if a value is none of its VR, a placeholder, or one of the days that are known.
func appendShifted(b, value []byte, vr dict.VR, offset int, known []int) (_ []byte, ok bool) {
	at := len(b)
	b = append(b, value...)
	for rest := b[at:]; ; {
		one, next, more := bytes.Cut(rest, []byte{'\\'})
		if v := trimmed(one); len(v) > 0 && !shiftOne(v, vr, offset, known) {
			return b[:at], false
		}
		if !more {
			return b, true
		}
		rest = next
	}
}

// shiftOne moves one date, in place.
func shiftOne(v []byte, vr dict.VR, offset int, known []int) bool {
	switch vr {
	case dict.TM:
		return isTime(v)
	case dict.SH: // Timezone Offset From UTC (0008,0201)
		return len(v) == 5 && (v[0] == '+' || v[0] == '-') && allDigits(v[1:])
	case dict.DA:
		if len(v) != 8 {
			return false
		}
	case dict.DT:
		if len(v) < 8 || len(v) > 26 || !isTimeOfDT(v[8:]) {
			return false
		}
	default:
		return false
	}
	y, m, d, ok := parseDate(v[:8])
	if !ok || placeholder(y, m, d) {
		return false
	}
	day := days(y, m, d)
	if slices.Contains(known, day) {
		return false
	}
	y, m, d = civil(day + offset)
	putDigits(v[:4], y)
	putDigits(v[4:6], m)
	putDigits(v[6:8], d)
	return true
}

// appendTruncated moves dates to January 1st of their year.
func appendTruncated(b, value []byte, vr dict.VR) (_ []byte, ok bool) {
	if vr != dict.DA && vr != dict.DT {
		return b, false
	}
	at := len(b)
	for i := 0; ; i++ {
		one, rest, more := bytes.Cut(value, []byte{'\\'})
		if i > 0 {
			b = append(b, '\\')
		}
		if v := trimmed(one); len(v) > 0 {
			if len(v) < 4 || !allDigits(v[:4]) || vr == dict.DA && len(v) != 8 {
				return b[:at], false
			}
			b = append(append(b, v[:4]...), "0101"...)
		}
		if !more {
			return b, true
		}
		value = rest
	}
}

func allDigits(b []byte) bool {
	for _, c := range b {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// isTime tells whether a value is a TM, also in the form of ACR-NEMA with colons.
func isTime(v []byte) bool {
	if bytes.IndexByte(v, ':') >= 0 {
		v = bytes.ReplaceAll(v, []byte{':'}, nil)
	}
	whole, fraction, point := bytes.Cut(v, []byte{'.'})
	return len(whole) <= 6 && len(whole)%2 == 0 && len(whole) > 0 && allDigits(whole) &&
		(!point || len(whole) == 6 && len(fraction) <= 6 && allDigits(fraction))
}

// isTimeOfDT tells whether what follows the day of a DT is a time of day and an offset from UTC, each if given.
func isTimeOfDT(v []byte) bool {
	if i := bytes.IndexAny(v, "+-"); i >= 0 {
		if len(v)-i != 5 || !allDigits(v[i+1:]) {
			return false
		}
		v = v[:i]
	}
	return len(v) == 0 || bytes.IndexByte(v, ':') < 0 && isTime(v)
}

func parseDate(v []byte) (y, m, d int, ok bool) {
	if !allDigits(v) {
		return 0, 0, 0, false
	}
	y, m, d = number(v[:4]), number(v[4:6]), number(v[6:8])
	if y < 1 || m < 1 || m > 12 || d < 1 {
		return 0, 0, 0, false
	}
	cy, cm, cd := civil(days(y, m, d)) // a day that the month hasn't comes back as another
	return y, m, d, cy == y && cm == m && cd == d
}

func number(v []byte) int {
	n := 0
	for _, c := range v {
		n = n*10 + int(c-'0')
	}
	return n
}

func putDigits(v []byte, n int) {
	for i := len(v) - 1; i >= 0; i-- {
		v[i] = '0' + byte(n%10)
		n /= 10
	}
}

// days counts the days of the Gregorian calendar from 1 March of the year 0; civil is its inverse.
func days(y, m, d int) int {
	if m <= 2 {
		y, m = y-1, m+12
	}
	return 365*y + y/4 - y/100 + y/400 + (153*(m-3)+2)/5 + d - 1
}

func civil(n int) (y, m, d int) {
	if n < 0 {
		return 0, 0, 0
	}
	era := n / 146097
	doe := n % 146097
	yoe := (doe - doe/1460 + doe/36524 - doe/146096) / 365
	doy := doe - (365*yoe + yoe/4 - yoe/100)
	mp := (5*doy + 2) / 153
	y, m, d = yoe+era*400, mp+3, doy-(153*mp+2)/5+1
	if m > 12 {
		y, m = y+1, m-12
	}
	return y, m, d
}
