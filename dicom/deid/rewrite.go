// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// errMalformed is wrapped where bytes don't keep to the encoding: in a header that was opened this happens only within
// what came as UN.
var errMalformed = errors.New("not a valid DICOM data set")

// maxDepth is how deep sequences may lie within each other.
const maxDepth = 32

// rewriter writes a header anew, in one pass. Its memory is used again for the next object.
type rewriter struct {
	s        *Session
	out      []byte
	value    []byte // of the attribute under way
	class    string // SOP Class UID
	syntax   string // of the object
	top      level
	cut      uint16 // the group that goes on in the body, 0 for none
	report   *Report
	trace    *[]Explained
	acts     []act    // nil: nobody wants them
	path     []string // of the trace
	depth    int
	blocks   []block
	assign   []assignment // what is still to come of the session's
	done     dict.Tag     // the last that took an element's place
	date     [2]span      // StudyDate, StudyTime as written
	verbatim bool         // only what is assigned changes
	utf8     bool         // all text moves to ISO_IR 192
	read     *charset.Set // what the text is read in if the object declares nothing; nil: as declared
	ascii    bool         // the object declares nothing, or ISO_IR 6
	strict   bool         // text that stays must be decodable
	whole    bool         // private attributes may stay

	said   []string // codes of the items of (0012,0064) that stay, of other schemes ""
	claims Option   // what the object says of itself
	broken Option   // claims that what was written doesn't keep
	doubt  bool     // a rule of refusal that is switched off would refuse it: who is pictured may show
	told   string   // (0028,0303) as written
	dates  temporal // what became of dates and times
	births []int    // days that aren't shifted
}

type span struct{ begin, end int }

// block is a private block (PS3.5 7.8.1) of the data set or item under way.
type block struct {
	number  uint8
	creator string
	written span // its creator
	told    int  // where the trace tells of it
	used    bool // an element of it stays
}

// level is the data set, or the item, under way.
type level struct {
	enc     stream.Encoding
	parent  dict.Tag // the sequence that holds the item, 0 at top level
	top     bool
	dummy   bool         // nothing of the original value may stay
	content []byte       // from which its elements are read, and what follows
	set     *charset.Set // nil: it names a term that is not defined
	blocks  int          // where its private blocks begin

	pixels pixels

	group   uint16
	lengthA int // where the group length's value was written, -1 if there is none
	told    int // where the trace tells of it
	in, out int // where the group begins, behind its length
}

// run rewrites a header. What it says of the whole is known at the end: where that isn't what was written, or text has to be read in
// a character set that the object doesn't declare, or moves to ISO_IR 192, one more pass writes it right. The objects of a series mostly say the same.
func (w *rewriter) run(o *stream.Object, in, out []byte, report *Report, trace *[]Explained) ([]byte, error) {
	w.class, w.syntax, w.report, w.trace = o.Header().SOPClassUID(), o.TransferSyntax().UID, report, trace
	p := w.s.p
	w.verbatim = w.s.subject.Pseudonym == ""
	w.births = w.s.births(o, in)
	w.strict, w.whole = !w.verbatim && p.refuses(Undecodable), p.keepsPrivate()
	w.claims, w.told, w.read = p.claims, cmp.Or(w.told, p.untouched()), nil
	defer func() { w.report, w.trace = nil, nil }()
	for {
		b, err := w.pass(o, in, out, report.ToUTF8)
		told, claims := w.foretold(), w.claims&^w.broken
		switch {
		case errors.Is(err, errUndeclared):
			w.assume(w.s.undeclared(o.Header()))
		case isUndecodable(err) && report.AssumedCharset == charset.UTF8 && w.read != w.s.fallback: // text whose VR its rule alone tells
			w.assume(w.s.fallback)
		case errors.Is(err, charset.ErrNotRepresentable) && !report.ToUTF8:
			report.ToUTF8 = true
		case err != nil || w.verbatim || told == w.told && claims == w.claims:
			return b, err
		default:
			w.told, w.claims = told, claims
		}
		report.Counts = [actions]int{}
		if trace != nil {
			*trace = (*trace)[:0]
		}
	}
}

func (w *rewriter) pass(o *stream.Object, in, out []byte, utf8 bool) ([]byte, error) {
	w.s.at = 0
	w.forgetActs(0)
	w.out, w.utf8, w.depth, w.blocks, w.path = out, utf8, 0, w.blocks[:0], w.path[:0]
	w.date, w.done, w.ascii, w.broken, w.dates = [2]span{}, 0, true, 0, temporal{}
	w.assign, w.cut = w.s.assigned, 0
	if body, ok := o.Body(); ok && !isPixelData(body.Tag) && w.changesBody() {
		w.cut = body.Tag.Group()
	}
	w.top = level{enc: stream.EncodingOf(o.TransferSyntax()), top: true, set: ascii, lengthA: -1}
	switch {
	case w.read != nil:
		w.top.set = w.read
	case !utf8: // (0008,0005) is the first
		w.assign = w.assign[1:]
	}
	n, err := w.elements(in, &w.top, false)
	if err == nil {
		err = w.flush(&w.top, 0xFFFFFFFF, n)
	}
	if err != nil {
		return nil, err
	}
	w.closeGroup(&w.top, n)
	b := w.out
	w.out = nil
	return b, nil
}

var ascii, _ = charset.New(nil)

// elements rewrites the elements that in holds: all of it, or up to an item delimiter, which it leaves. It gives the number of bytes.
func (w *rewriter) elements(in []byte, lv *level, delimited bool) (int, error) {
	pos := 0
	lv.content = in
	for pos < len(in) {
		h, ok := lv.enc.Head(in[pos:])
		if !ok || pos+h.Size > len(in) {
			return pos, fmt.Errorf("%w: it ends within an element", errMalformed)
		}
		if h.Tag == dict.ItemDelimitationTag && delimited {
			return pos, nil
		}
		if h.Tag.Group() == 0xFFFE {
			return pos, fmt.Errorf("%w: %s stands where an element is expected", errMalformed, h.Tag)
		}
		if err := w.flush(lv, h.Tag, pos); err != nil {
			return pos, err
		}
		if g := h.Tag.Group(); g != lv.group || pos == 0 {
			w.openGroup(lv, g, pos)
		}
		n, err := w.element(in[pos:], h, lv)
		if err != nil {
			return pos, err
		}
		pos += n
		if h.Tag.IsGroupLength() {
			lv.in, lv.out = pos, len(w.out)
		}
	}
	if delimited {
		return pos, fmt.Errorf("%w: an item has no end", errMalformed)
	}
	return pos, nil
}

// element rewrites one element, of which in holds all and more. It gives its length.
func (w *rewriter) element(in []byte, h stream.Head, lv *level) (int, error) {
	end, err := w.end(in, h)
	if err != nil {
		return 0, err
	}
	e := &elem{Head: h, in: in[:end], value: in[h.Size:end]}
	switch {
	case h.Tag.IsGroupLength():
		begin := len(w.out)
		if h.Length != 4 || h.Size != 8 {
			w.tell(e, Remove, "a group length that is none", begin, lv)
			break
		}
		if lv.top && w.cut == h.Tag.Group() {
			w.tell(e, Remove, "the length of a group that goes on behind the header", begin, lv)
			break
		}
		w.out = append(w.out, e.in...)
		lv.lengthA = len(w.out) - 4
		lv.told = w.tellLater(e, "a group length follows what becomes of its group", begin, lv)
	case h.Tag == dict.SpecificCharacterSet:
		w.characterSet(e, lv)
	case h.Tag.IsPrivate() && !w.verbatim:
		err = w.private(e, lv)
	case lv.top:
		err = w.atTop(e, lv)
	default:
		var odd rule
		err = w.apply(e, w.rule(e, lv, &odd), lv)
	}
	return end, err
}

// atTop rewrites an element of the data set itself, where some are assigned.
func (w *rewriter) atTop(e *elem, lv *level) error {
	if e.Tag == w.done {
		w.tell(e, Remove, "once more what is given by subject and profile", len(w.out), lv)
		return nil
	}
	if e.Tag == w.assignedTag() {
		if done, err := w.replace(e, lv); done || err != nil {
			return err
		}
	}
	begin := len(w.out)
	var odd rule
	err := w.apply(e, w.rule(e, lv, &odd), lv)
	switch e.Tag {
	case dict.StudyDate:
		w.date[0] = w.lastValue(begin, lv)
	case dict.StudyTime:
		w.date[1] = w.lastValue(begin, lv)
	}
	return err
}

// lastValue is the value of the element that was written from begin on; it is empty if none was.
func (w *rewriter) lastValue(begin int, lv *level) span {
	h, ok := lv.enc.Head(w.out[begin:])
	if !ok {
		return span{}
	}
	return span{begin + h.Size, len(w.out)}
}

// rule gives the rule of an element of an even group; odd is the place for one that is for this element alone.
func (w *rewriter) rule(e *elem, lv *level, odd *rule) *rule {
	switch {
	case !w.verbatim:
		r := w.s.rule(e.Tag)
		if w.s.p.disguised(e, r) {
			*odd = rule{vr: e.VR, action: Remove, why: "a name, date or sequence where the dictionary has none"}
			return odd
		}
		return r
	case lv.enc.Implicit() || e.VR == dict.UN:
		*odd = rule{vr: dict.VROf(e.Tag), action: Keep}
	default:
		*odd = rule{vr: e.VR, action: Keep}
	}
	return odd
}

// elem is an element as received.
type elem struct {
	stream.Head
	in    []byte // all of it
	value []byte // without head; of undefined length: with the delimiter
}

// opaque is the element as one that nobody can look into.
func (e *elem) opaque() *elem {
	o := *e
	o.Content = stream.Fragments
	return &o
}

// end gives the length of an element with all that belongs to it.
func (w *rewriter) end(in []byte, h stream.Head) (int, error) {
	if h.Length != stream.UndefinedLength {
		if int64(h.Length) > int64(len(in)-h.Size) {
			return 0, fmt.Errorf("%w: %s passes the end of what encloses it", errMalformed, h.Tag)
		}
		return h.Size + int(h.Length), nil
	}
	if h.Content == stream.PlainValue {
		return 0, fmt.Errorf("%w: %s has no length", errMalformed, h.Tag)
	}
	n, err := skipItems(in[h.Size:], h, 0)
	return h.Size + n, err
}

// skipItems passes items or fragments up to their delimiter, and gives the length.
func skipItems(in []byte, h stream.Head, depth int) (int, error) {
	if depth > maxDepth {
		return 0, fmt.Errorf("%w: more than %d sequences within each other", errMalformed, maxDepth)
	}
	for pos := 0; ; {
		item, ok := h.Inside.Head(in[pos:])
		switch {
		case !ok || int64(pos+item.Size) > int64(len(in)):
			return 0, fmt.Errorf("%w: %s has no end", errMalformed, h.Tag)
		case item.Tag == dict.SequenceDelimitationTag:
			return pos + item.Size, nil
		case item.Tag != dict.ItemTag:
			return 0, fmt.Errorf("%w: %s holds something else than items", errMalformed, h.Tag)
		}
		pos += item.Size
		if item.Length != stream.UndefinedLength {
			if int64(item.Length) > int64(len(in)-pos) {
				return 0, fmt.Errorf("%w: an item of %s passes its end", errMalformed, h.Tag)
			}
			pos += int(item.Length)
			continue
		}
		n, err := skipElements(in[pos:], h.Inside, depth)
		if err != nil {
			return 0, err
		}
		pos += n
	}
}

// skipElements passes the elements of an item up to its delimiter, which it passes too.
func skipElements(in []byte, enc stream.Encoding, depth int) (int, error) {
	for pos := 0; ; {
		h, ok := enc.Head(in[pos:])
		if !ok {
			return 0, fmt.Errorf("%w: an item has no end", errMalformed)
		}
		pos += h.Size
		switch {
		case h.Tag == dict.ItemDelimitationTag:
			return pos, nil
		case h.Length != stream.UndefinedLength:
			if int64(h.Length) > int64(len(in)-pos) {
				return 0, fmt.Errorf("%w: %s passes the end of what encloses it", errMalformed, h.Tag)
			}
			pos += int(h.Length)
		case h.Content == stream.PlainValue:
			return 0, fmt.Errorf("%w: %s has no length", errMalformed, h.Tag)
		default:
			n, err := skipItems(in[pos:], h, depth+1)
			if err != nil {
				return 0, err
			}
			pos += n
		}
	}
}

// openGroup begins a group of elements; pos is the place in the input.
func (w *rewriter) openGroup(lv *level, group uint16, pos int) {
	w.closeGroup(lv, pos)
	lv.group, lv.lengthA, lv.in, lv.out = group, -1, pos, len(w.out)
}

// closeGroup takes away the creators of private blocks of which nothing stays, and corrects the group length by as much as
// the group grew: one that was wrong stays as wrong, one of a group that is gone goes.
func (w *rewriter) closeGroup(lv *level, pos int) {
	for _, b := range slices.Backward(w.blocks[lv.blocks:]) {
		if !b.used {
			w.out = slices.Delete(w.out, b.written.begin, b.written.end)
		}
		w.settle(dict.NewTag(lv.group, uint16(b.number)), b.told, b.used)
	}
	w.blocks = w.blocks[:lv.blocks]
	at := lv.lengthA
	if at < 0 {
		return
	}
	lv.lengthA = -1
	grown := (len(w.out) - lv.out) - (pos - lv.in)
	w.settle(dict.NewTag(lv.group, 0), lv.told, grown == 0 || len(w.out) > lv.out)
	switch {
	case grown == 0:
	case len(w.out) == lv.out:
		w.out = w.out[:at-8]
	default:
		lv.enc.PutUint32(w.out[at:], uint32(int64(lv.enc.Uint32(w.out[at:]))+int64(grown)))
		w.settleLength(lv, at)
	}
}

// characterSet follows Specific Character Set, of the object or of an item. One that names no defined term goes: whatever
// it holds, text that stays must then be ASCII.
func (w *rewriter) characterSet(e *elem, lv *level) {
	lv.set = w.s.charset(e.value)
	begin := len(w.out)
	nothing := lv.set != nil && lv.set.IsASCII() && e.Content == stream.PlainValue
	w.ascii = w.ascii && (nothing || !lv.top)
	replaced := nothing && w.read != nil
	if replaced {
		lv.set = w.read
	}
	switch {
	case !w.utf8 && !replaced && (w.verbatim || lv.set != nil && e.Content == stream.PlainValue):
		w.out = append(w.out, e.in...)
		w.tell(e, Keep, "says how text is encoded", begin, lv)
	case lv.top && w.assignedTag() == e.Tag:
		w.put(lv, e.Tag, dict.CS, []byte(w.terms()))
		w.assign = w.assign[1:]
		w.tell(e, Assign, "says what text is read in, or moved to", begin, lv)
	case w.utf8, replaced:
		w.tell(e, Remove, "text is encoded as the object says", begin, lv)
	default:
		w.tell(e, Remove, "it names no defined character set", begin, lv)
	}
}

// terms is what (0008,0005) says where it is assigned.
func (w *rewriter) terms() string {
	if w.utf8 || w.read == nil {
		return charset.UTF8
	}
	return strings.Join(w.read.Terms(), `\`)
}

// charset gives the character set of a value of (0008,0005), nil if it names a term that is not defined.
func (s *Session) charset(value []byte) *charset.Set {
	if set, ok := s.sets[string(value)]; ok {
		return set
	}
	set, err := charset.New(strings.Split(trim(string(value)), `\`))
	if err != nil {
		set = nil
	}
	if len(s.sets) >= maxSets {
		clear(s.sets)
	}
	if len(value) <= 256 {
		s.sets[string(value)] = set
	}
	return set
}

// private rewrites an element of an odd group. What lies in no block is nobody's, and goes.
func (w *rewriter) private(e *elem, lv *level) error {
	if e.Tag.IsPrivateCreator() {
		if w.whole && !lv.dummy && e.Content == stream.PlainValue && len(w.blocks)-lv.blocks < 0xF0 {
			begin := len(w.out)
			w.out = append(w.out, e.in...)
			told := w.tellLater(e, "a creator stays if an element of its block does", begin, lv)
			w.blocks = append(w.blocks, block{number: uint8(e.Tag), creator: w.s.creator(e.value), written: span{begin, len(w.out)}, told: told})
			return nil
		}
		w.tell(e, Remove, "Table E.1-1: private attributes go", len(w.out), lv)
		return nil
	}
	b := w.blockOf(e.Tag, lv)
	if b < 0 {
		w.losesPrivate(e)
		return w.apply(e, &rule{vr: e.VR, action: Remove, why: "Table E.1-1: private attributes go"}, lv)
	}
	before := len(w.out)
	r := w.s.p.privateRule(e.Tag, w.blocks[b].creator)
	if r.vr == dict.UN {
		w.s.p.byValue(&r, e, w.utf8)
	}
	if w.s.p.disguised(e, &r) {
		r.action, r.why = Remove, "a name, date or sequence where nobody expects one"
	}
	if r.vr == dict.DA || r.vr == dict.DT {
		r.temporal = counted
	} else if r.action == Remove {
		w.losesPrivate(e)
	}
	if err := w.apply(e, &r, lv); err != nil {
		return err
	}
	if len(w.out) > before {
		w.blocks[b].used = true
		w.verifyPrivate(e, &r, w.blocks[b].creator)
	}
	return nil
}

// blockOf gives the block that a private element lies in, -1 for none.
func (w *rewriter) blockOf(tag dict.Tag, lv *level) int {
	number := uint8(tag >> 8)
	i := slices.IndexFunc(w.blocks[lv.blocks:], func(b block) bool { return b.number == number })
	if i < 0 {
		return -1
	}
	return lv.blocks + i
}

// creator gives the text of a Private Creator. A program's life sees a few hundred.
func (s *Session) creator(value []byte) string {
	value = bytes.Trim(value, " \x00")
	if c, ok := s.creators[string(value)]; ok {
		return c
	}
	if len(s.creators) >= maxSets {
		clear(s.creators)
	}
	c := string(value)
	if len(c) <= maxText {
		s.creators[c] = c
	}
	return c
}

// apply does to an element what its rule says.
func (w *rewriter) apply(e *elem, r *rule, lv *level) error {
	begin := len(w.out)
	if e.Content == stream.PlainValue && r.vr == dict.SQ && (!w.verbatim || w.utf8) {
		return w.sequenceInDisguise(e, r, lv)
	}
	if concerns(e.Tag) && !w.verbatim {
		lv.pixels.see(e, lv.enc, r.action != Keep)
	}
	action := r.action
	if r.byType {
		action = w.byType(e.Tag, lv)
	}
	if lv.dummy {
		action = dummyAction(action, e, r)
	}
	var err error
	switch e.Content {
	case stream.Items:
		action, err = w.sequence(e, action, lv)
	case stream.Fragments:
		action = w.opaque(e, action, r, lv)
	default:
		action, err = w.plain(e, action, r, lv)
	}
	if e.Tag == dict.PixelData && err == nil && !w.verbatim { // within an item
		err = w.nestedPixels(e, begin, lv)
	}
	if err != nil {
		return err
	}
	w.note(action)
	w.act(e.Tag, action, r.why)
	w.verify(e, r, action, begin)
	w.noteDates(e, r, action, begin)
	if w.trace != nil {
		w.explain(e, r, action, begin, lv)
	}
	return nil
}

func (w *rewriter) note(a Action) { w.report.Counts[a]++ }

// byType decides among alternatives by the attribute's type in the object's definition (PS3.15 E.1.1, PS3.3).
func (w *rewriter) byType(tag dict.Tag, lv *level) Action {
	switch typ, known := iodType(w.class, lv.parent, tag); {
	case known && typ == type1:
		return Dummy
	case known && typ == type2:
		return Empty
	}
	return Remove
}

// fallback is what is done where text can't be cleaned, or a date can't be shifted: the basic action.
func (w *rewriter) fallback(r *rule, tag dict.Tag, lv *level) Action {
	if r.basic >= basicXZ {
		return w.byType(tag, lv)
	}
	return r.basic.action()
}

// dummyAction is what is done within a sequence that is to say nothing: its structure stays (items, code strings, binary
// numbers), every other value goes the way of its own rule or becomes a dummy.
func dummyAction(a Action, e *elem, r *rule) Action {
	switch {
	case e.Tag.IsPrivate():
		return Remove
	case a != Keep && a != Clean:
		return a
	case e.Content == stream.Items:
		return Keep
	case e.Content == stream.Fragments:
		return Remove
	}
	switch vr := effective(e, r); vr {
	case dict.CS:
		if a == Keep && len(e.value) <= 16 && !slices.ContainsFunc(e.value, notCode) {
			return Keep
		}
	case dict.AT, dict.US, dict.SS, dict.UL, dict.SL, dict.FL, dict.FD, dict.UV, dict.SV:
		return Keep
	case dict.UI:
		return Keep // class UIDs: the others have MapUID
	}
	return Dummy
}

// notCode tells whether a byte is none of a code string (PS3.5 6.2), padding included.
func notCode(c byte) bool {
	return !(c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == ' ' || c == '_' || c == 0)
}

// effective is the VR that a value is read by: the dictionary's, and the stream's where that knows none.
func effective(e *elem, r *rule) dict.VR {
	if r.vr == 0 {
		return e.VR
	}
	return r.vr
}

// opaque treats what can only stay or go.
func (w *rewriter) opaque(e *elem, a Action, r *rule, lv *level) Action {
	switch a {
	case Keep:
		w.out = append(w.out, e.in...)
	case Empty:
		w.put(lv, e.Tag, written(e, r), nil)
	default:
		return Remove
	}
	return a
}

// written is the VR that a new value gets.
func written(e *elem, r *rule) dict.VR {
	if e.VR.Known() && e.VR != dict.UN {
		return e.VR
	}
	if r.vr == 0 {
		return dict.UN
	}
	return r.vr
}

// put writes an element with a new value, padded.
func (w *rewriter) put(lv *level, tag dict.Tag, vr dict.VR, value []byte) {
	pad := len(value) % 2
	w.out = lv.enc.AppendHead(w.out, tag, vr, uint32(len(value)+pad))
	w.out = append(w.out, value...)
	if pad == 1 {
		w.out = append(w.out, vr.Padding())
	}
}

// point is a place in the output that the rewriter can go back to.
type point struct {
	mark
	out, blocks, path, depth int
	dates                    temporal
	broken                   Option
}

func (w *rewriter) here() point {
	return point{mark: w.mark(), out: len(w.out), blocks: len(w.blocks), path: len(w.path), depth: w.depth, dates: w.dates, broken: w.broken}
}

func (w *rewriter) back(p point) {
	w.report.Counts, w.dates, w.broken = p.counts, p.dates, p.broken
	w.forgetActs(p.acts)
	w.out, w.blocks, w.path, w.depth = w.out[:p.out], w.blocks[:p.blocks], w.path[:p.path], p.depth
	if w.trace != nil {
		*w.trace = (*w.trace)[:p.traced]
	}
}

// sequenceInDisguise treats an element that is a sequence but came with a plain value: as UN it holds implicit VR
// little endian (PS3.5 6.2.2). What can't be read as items goes.
func (w *rewriter) sequenceInDisguise(e *elem, r *rule, lv *level) error {
	if e.VR != dict.UN && e.VR != 0 && e.VR.Known() {
		return w.apply(e.opaque(), &rule{vr: e.VR, action: Remove, why: "a sequence with a value of another kind"}, lv)
	}
	before := w.here()
	items := *e
	items.Content, items.Inside = stream.Items, lv.enc
	if e.VR == dict.UN {
		items.Inside = stream.ItemsOfUN()
	}
	err := w.apply(&items, r, lv)
	if !errors.Is(err, errMalformed) || w.verbatim {
		return err
	}
	w.back(before)
	return w.apply(e.opaque(), &rule{vr: dict.UN, action: Remove, why: "a sequence as UN that cannot be read"}, lv)
}

// sequence rewrites a sequence and its items.
func (w *rewriter) sequence(e *elem, a Action, lv *level) (Action, error) {
	dummy := lv.dummy
	switch a {
	case Keep, Clean, MapUID:
		a = Keep
	case Dummy:
		dummy = true
	case Empty:
		w.put(lv, e.Tag, dict.SQ, nil)
		return a, nil
	default:
		return Remove, nil
	}
	if w.verbatim && !w.utf8 {
		w.out = append(w.out, e.in...)
		return a, nil
	}
	if w.depth++; w.depth > maxDepth {
		return a, fmt.Errorf("%w: more than %d sequences within each other", errMalformed, maxDepth)
	}
	defer func() { w.depth-- }()
	begin := len(w.out)
	w.out = append(w.out, e.in[:e.Size]...)
	pos, err := w.items(e, dummy, lv)
	if err != nil {
		return a, err
	}
	if lv.top && e.Tag == dict.DeidentificationMethodCodeSequence && !w.verbatim {
		added := len(w.out)
		w.out = w.appendMethods(w.out, e.Inside)
		w.tellAdded(e, e.Inside, added)
	}
	if e.Length == stream.UndefinedLength {
		w.out = append(w.out, e.value[pos:]...) // the delimiter
		return a, nil
	}
	lv.enc.PutUint32(w.out[begin+e.Size-4:], uint32(len(w.out)-begin-e.Size))
	return a, nil
}

// items rewrites the items of a sequence up to its end, or to its delimiter. Of one that is to say nothing the first is enough.
func (w *rewriter) items(e *elem, dummy bool, lv *level) (int, error) {
	for pos, i := 0, 0; ; i++ {
		if pos == len(e.value) && e.Length != stream.UndefinedLength {
			return pos, nil
		}
		h, ok := e.Inside.Head(e.value[pos:])
		switch {
		case !ok:
			return pos, fmt.Errorf("%w: %s ends within an item", errMalformed, e.Tag)
		case h.Tag == dict.SequenceDelimitationTag && e.Length == stream.UndefinedLength:
			return pos, nil
		case h.Tag != dict.ItemTag:
			return pos, fmt.Errorf("%w: %s holds something else than items", errMalformed, e.Tag)
		}
		n, err := w.itemAt(e, h, pos, i, dummy, lv)
		if err != nil {
			return pos, err
		}
		pos += n
	}
}

// itemAt rewrites an item of a sequence, whose head stands at pos and which is the i-th. It gives its length.
func (w *rewriter) itemAt(e *elem, h stream.Head, pos, i int, dummy bool, lv *level) (int, error) {
	content := e.value[pos+h.Size:]
	defined := h.Length != stream.UndefinedLength
	if defined {
		if int64(h.Length) > int64(len(content)) {
			return 0, fmt.Errorf("%w: an item of %s passes its end", errMalformed, e.Tag)
		}
		content = content[:h.Length]
	}
	begin, before := len(w.out), w.mark()
	w.out = append(w.out, e.value[pos:pos+h.Size]...)
	used, err := w.item(content, e, lv, i, dummy, !defined)
	if err != nil {
		return 0, err
	}
	used += h.Size
	if defined {
		e.Inside.PutUint32(w.out[begin+4:], uint32(len(w.out)-begin-h.Size))
	} else {
		w.out = append(w.out, e.value[pos+used:pos+used+8]...) // the delimiter
		used += 8
	}
	gone := ""
	switch {
	case dummy && i > 0:
		gone = "of a sequence that is to say nothing the first item is enough"
	case lv.top && e.Tag == dict.DeidentificationMethodCodeSequence:
		gone = w.readMethod(w.out[begin+h.Size:], e.Inside)
	}
	if gone != "" {
		w.out = w.out[:begin]
		w.tellGone(before, gone)
	}
	return used, nil
}

// item rewrites the elements of an item.
func (w *rewriter) item(content []byte, e *elem, lv *level, n int, dummy, delimited bool) (int, error) {
	inner := level{enc: e.Inside, parent: e.Tag, dummy: dummy, set: lv.set, blocks: len(w.blocks), lengthA: -1}
	if w.trace != nil {
		w.path = append(w.path, fmt.Sprintf("%s[%d]", e.Tag, n+1))
		defer func() { w.path = w.path[:len(w.path)-1] }()
	}
	used, err := w.elements(content, &inner, delimited)
	if err != nil {
		return used, err
	}
	w.closeGroup(&inner, used)
	if inner.pixels.late {
		err = w.lateOverlay(&inner)
	}
	return used, err
}
