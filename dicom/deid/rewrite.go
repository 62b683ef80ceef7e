// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// rewriter writes a header anew, in one pass. Its memory is used again for the next instance.
type rewriter struct {
	valueWriter
	statement
	syntax string // of the instance
	top    level
	cut    uint16 // the group that goes on in the body, 0 for none
	depth  int
	blocks []block
	assign []assignment // what is still to come of the session's
	done   dict.Tag     // the last that took an element's place
	date   [2]span      // StudyDate, StudyTime as written
	whole  bool         // private attributes may stay
}

// output is what is written of an instance, and what is told of it.
type output struct {
	s      *Session
	out    []byte
	utf8   bool // all text moves to ISO_IR 192
	report *Report
	trace  *[]Explained
	acts   []act    // nil: nobody wants them
	path   []string // of the trace
}

// valueWriter writes plain values, as they were or changed.
type valueWriter struct {
	output
	class    string // SOP Class UID
	value    []byte // of the attribute under way
	verbatim bool   // only what is assigned changes
	strict   bool   // text that stays must be decodable
	births   []int  // days that aren't shifted

	read  *charset.Set // what the text is read in if the instance declares nothing; nil: as declared
	ascii bool         // the instance declares nothing, or ISO_IR 6
}

// statement is what the instance says of itself.
type statement struct {
	p      *rules.Profile
	said   []string       // codes of the items of (0012,0064) that stay, of other schemes ""
	claims table.Option   // what it says
	broken table.Option   // claims that what was written doesn't keep
	doubt  bool           // a rule of refusal that is switched off would refuse it: who is pictured may show
	told   string         // (0028,0303) as written
	dates  rules.Temporal // what became of dates and times
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

	pixels pixels.Bits

	group   uint16
	lengthA int // where the group length's value was written, -1 if there is none
	told    int // where the trace tells of it
	in, out int // where the group begins, behind its length
}

// run rewrites a header. What it says of the whole is known at the end: where that isn't what was written, or text has
// to be read in a character set that the instance doesn't declare, or moves to ISO_IR 192, one more pass writes it
// right. The instances of a series mostly say the same.
func (w *rewriter) run(o *stream.Object, in, out []byte, report *Report, trace *[]Explained) ([]byte, error) {
	w.class, w.syntax, w.report, w.trace = o.Header().SOPClassUID(), o.TransferSyntax().UID, report, trace
	p := w.s.p
	w.verbatim = w.s.subject.Pseudonym == ""
	w.births = w.s.births(o, in)
	w.strict, w.whole = !w.verbatim && p.Refuses(Undecodable), p.KeepsPrivate()
	w.claims, w.told, w.read = p.Claims, cmp.Or(w.told, p.Untouched()), nil
	defer func() { w.report, w.trace = nil, nil }()
	for {
		b, err := w.pass(o, in, out, report.ToUTF8)
		told, claims := w.foretold(w.cut != 0), w.claims&^w.broken
		switch {
		case errors.Is(err, errUndeclared):
			w.assume(w.s.sets.Undeclared(o.Header(), w.s.fallback))
		// text whose VR its rule alone tells
		case isUndecodable(err) && report.AssumedCharset == charset.UTF8 && w.read != w.s.fallback:
			w.assume(w.s.fallback)
		case errors.Is(err, charset.ErrNotRepresentable) && !report.ToUTF8:
			report.ToUTF8 = true
		case err != nil || w.verbatim || told == w.told && claims == w.claims:
			return b, err
		default:
			w.told, w.claims = told, claims
		}
		report.Counts = [rules.Actions]int{}
		if trace != nil {
			*trace = (*trace)[:0]
		}
	}
}

func (w *rewriter) pass(o *stream.Object, in, out []byte, utf8 bool) ([]byte, error) {
	w.s.at, w.s.uidAt, w.s.privateAt = 0, 0, 0
	w.forgetActs(0)
	w.out, w.utf8, w.depth, w.blocks, w.path = out, utf8, 0, w.blocks[:0], w.path[:0]
	w.date, w.done, w.ascii, w.broken, w.dates = [2]span{}, 0, true, 0, rules.Temporal{}
	w.assign, w.cut = w.s.assigned, 0
	if body, ok := o.Body(); ok && !values.IsPixelData(body.Tag) && w.changesBody() {
		w.cut = body.Tag.Group()
	}
	w.top = level{enc: stream.EncodingOf(o.TransferSyntax()), top: true, set: values.ASCII, lengthA: -1}
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

// elements rewrites the elements that in holds: all of it, or up to an item delimiter, which it leaves. It gives the
// number of bytes.
func (w *rewriter) elements(in []byte, lv *level, delimited bool) (int, error) {
	pos := 0
	lv.content = in
	for pos < len(in) {
		h, ok := lv.enc.Head(in[pos:])
		if !ok || pos+h.Size > len(in) {
			return pos, fmt.Errorf("%w: it ends within an element", values.ErrMalformed)
		}
		if h.Tag == dict.ItemDelimitationTag && delimited {
			return pos, nil
		}
		if h.Tag.Group() == 0xFFFE {
			return pos, fmt.Errorf("%w: %s is where an element is expected", values.ErrMalformed, h.Tag)
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
		return pos, fmt.Errorf("%w: an item has no end", values.ErrMalformed)
	}
	return pos, nil
}

// element rewrites one element, of which in holds all and more. It gives its length.
func (w *rewriter) element(in []byte, h stream.Head, lv *level) (int, error) {
	end, err := lengthOf(in, h)
	if err != nil {
		return 0, err
	}
	e := &values.Element{Head: h, In: in[:end], Value: in[h.Size:end]}
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
		w.out = append(w.out, e.In...)
		lv.lengthA = len(w.out) - 4
		lv.told = w.tellLater(e, "a group length follows what becomes of its group", begin, lv)
	case h.Tag == dict.SpecificCharacterSet:
		w.characterSet(e, lv)
	case h.Tag.IsPrivate() && !w.verbatim:
		err = w.private(e, lv)
	case lv.top:
		err = w.atTop(e, lv)
	default:
		var odd rules.Rule
		err = w.apply(e, w.rule(e, lv, &odd), lv)
	}
	return end, err
}

// atTop rewrites an element of the data set itself, where some are assigned.
func (w *rewriter) atTop(e *values.Element, lv *level) error {
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
	var odd rules.Rule
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

// rule returns the rule of an element of an even group; odd is the place for one that is for this element alone.
func (w *rewriter) rule(e *values.Element, lv *level, odd *rules.Rule) *rules.Rule {
	switch {
	case !w.verbatim:
		r := w.s.rule(e.Tag)
		if w.s.p.Disguised(e, r) {
			*odd = rules.Rule{VR: e.VR, Action: Remove, Why: "a name, date or sequence where the dictionary has none"}
			return odd
		}
		return r
	case lv.enc.Implicit() || e.VR == dict.UN:
		*odd = rules.Rule{VR: dict.VROf(e.Tag), Action: Keep}
	default:
		*odd = rules.Rule{VR: e.VR, Action: Keep}
	}
	return odd
}

// lengthOf returns the length of an element with all that belongs to it.
func lengthOf(in []byte, h stream.Head) (int, error) {
	if h.Length != stream.UndefinedLength {
		if int64(h.Length) > int64(len(in)-h.Size) {
			return 0, fmt.Errorf("%w: %s extends beyond what encloses it", values.ErrMalformed, h.Tag)
		}
		return h.Size + int(h.Length), nil
	}
	if h.Content == stream.PlainValue {
		return 0, fmt.Errorf("%w: %s has no length", values.ErrMalformed, h.Tag)
	}
	n, err := values.SkipItems(in[h.Size:], h, 0)
	return h.Size + n, err
}

// openGroup begins a group of elements; pos is the place in the input.
func (w *rewriter) openGroup(lv *level, group uint16, pos int) {
	w.closeGroup(lv, pos)
	lv.group, lv.lengthA, lv.in, lv.out = group, -1, pos, len(w.out)
}

// closeGroup takes away the creators of private blocks of which nothing stays, and corrects the group length by as much
// as the group grew: one that was wrong stays as wrong, one of a group that is gone goes.
func (w *rewriter) closeGroup(lv *level, pos int) {
	for i := len(w.blocks) - 1; i >= lv.blocks; i-- {
		b := &w.blocks[i]
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

// characterSet follows Specific Character Set, of the instance or of an item. One that names no defined term goes:
// whatever it holds, text that stays must then be ASCII.
func (w *rewriter) characterSet(e *values.Element, lv *level) {
	lv.set = w.s.sets.Of(e.Value)
	begin := len(w.out)
	nothing := lv.set != nil && lv.set.IsASCII() && e.Content == stream.PlainValue
	w.ascii = w.ascii && (nothing || !lv.top)
	replaced := nothing && w.read != nil
	if replaced {
		lv.set = w.read
	}
	switch {
	case !w.utf8 && !replaced && (w.verbatim || lv.set != nil && e.Content == stream.PlainValue):
		w.out = append(w.out, e.In...)
		w.tell(e, Keep, "says how text is encoded", begin, lv)
	case lv.top && w.assignedTag() == e.Tag:
		w.put(lv, e.Tag, dict.CS, []byte(w.terms()))
		w.assign = w.assign[1:]
		w.tell(e, Assign, "says what text is read in, or moved to", begin, lv)
	case w.utf8, replaced:
		w.tell(e, Remove, "text is encoded as the instance says", begin, lv)
	default:
		w.tell(e, Remove, "it names no defined character set", begin, lv)
	}
}

// terms is what (0008,0005) says where it is assigned.
func (w *valueWriter) terms() string {
	if w.utf8 || w.read == nil {
		return charset.UTF8
	}
	return strings.Join(w.read.Terms(), `\`)
}

// private rewrites an element of an odd group. What lies in no block is nobody's, and goes.
func (w *rewriter) private(e *values.Element, lv *level) error {
	if e.Tag.IsPrivateCreator() {
		if w.whole && !lv.dummy && e.Content == stream.PlainValue && len(w.blocks)-lv.blocks < 0xF0 {
			begin := len(w.out)
			w.out = append(w.out, e.In...)
			told := w.tellLater(e, "a creator stays if an element of its block does", begin, lv)
			w.blocks = append(w.blocks, block{
				number: uint8(e.Tag), creator: w.s.creators.Of(e.Value),
				written: span{begin, len(w.out)}, told: told,
			})
			return nil
		}
		w.tell(e, Remove, "Table E.1-1: private attributes go", len(w.out), lv)
		return nil
	}
	b := w.blockOf(e.Tag, lv)
	if b < 0 {
		w.losesPrivate(e)
		return w.apply(e, &rules.Rule{VR: e.VR, Action: Remove, Why: "Table E.1-1: private attributes go"}, lv)
	}
	before := len(w.out)
	r := w.s.privateRule(e.Tag, w.blocks[b].creator)
	if r.VR == dict.UN {
		w.s.p.ByValue(&r, e, w.utf8)
	}
	if w.s.p.Disguised(e, &r) {
		r.Action, r.Why = Remove, "an unexpected name, date or sequence"
	}
	if r.VR == dict.DA || r.VR == dict.DT {
		r.Temporal = rules.Counted
	} else if r.Action == Remove {
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

// blockOf returns the block that a private element lies in, -1 for none.
func (w *rewriter) blockOf(tag dict.Tag, lv *level) int {
	number := uint8(tag >> 8)
	i := slices.IndexFunc(w.blocks[lv.blocks:], func(b block) bool { return b.number == number })
	if i < 0 {
		return -1
	}
	return lv.blocks + i
}

// apply does to an element what its rule says.
func (w *rewriter) apply(e *values.Element, r *rules.Rule, lv *level) error {
	begin := len(w.out)
	if e.Content == stream.PlainValue && r.VR == dict.SQ && (!w.verbatim || w.utf8) {
		return w.sequenceInDisguise(e, r, lv)
	}
	if pixels.Concerns(e.Tag) && !w.verbatim {
		lv.pixels.See(e, lv.enc, r.Action != Keep)
	}
	action := r.Action
	if r.ByType {
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
	w.act(e.Tag, action, r.Why)
	if !w.verbatim {
		w.verify(e, r, action, w.out[begin:])
		w.noteDates(e, r, action, w.out[begin:])
	}
	if w.trace != nil {
		w.explain(e, r, action, begin, lv)
	}
	return nil
}

func (w *output) note(a Action) { w.report.Counts[a]++ }

// byType decides among alternatives by the attribute's type in the instance's definition (PS3.15 E.1.1, PS3.3).
func (w *valueWriter) byType(tag dict.Tag, lv *level) Action {
	switch typ, known := table.IODType(w.class, lv.parent, tag); {
	case known && typ == table.Type1:
		return Dummy
	case known && typ == table.Type2:
		return Empty
	}
	return Remove
}

// fallback is what is done where text can't be cleaned, or a date can't be shifted: the basic action.
func (w *valueWriter) fallback(r *rules.Rule, tag dict.Tag, lv *level) Action {
	if r.Basic >= table.BasicXZ {
		return w.byType(tag, lv)
	}
	return rules.BasicAction(r.Basic)
}

// dummyAction is what is done within a sequence that is to say nothing: its structure stays (items, code strings,
// binary numbers), every other value goes the way of its own rule or becomes a dummy.
func dummyAction(a Action, e *values.Element, r *rules.Rule) Action {
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
		if a == Keep && len(e.Value) <= 16 && !slices.ContainsFunc(e.Value, values.NotCode) {
			return Keep
		}
	case dict.AT, dict.US, dict.SS, dict.UL, dict.SL, dict.FL, dict.FD, dict.UV, dict.SV:
		return Keep
	case dict.UI:
		return Keep // class UIDs: the others have MapUID
	}
	return Dummy
}

// effective is the VR that a value is read by: the dictionary's, and the stream's where that knows none.
func effective(e *values.Element, r *rules.Rule) dict.VR {
	if r.VR == 0 {
		return e.VR
	}
	return r.VR
}

// opaque treats what can only stay or go.
func (w *valueWriter) opaque(e *values.Element, a Action, r *rules.Rule, lv *level) Action {
	switch a {
	case Keep:
		w.out = append(w.out, e.In...)
	case Empty:
		w.put(lv, e.Tag, written(e, r), nil)
	default:
		return Remove
	}
	return a
}

// written is the VR that a new value gets.
func written(e *values.Element, r *rules.Rule) dict.VR {
	if e.VR.Known() && e.VR != dict.UN {
		return e.VR
	}
	if r.VR == 0 {
		return dict.UN
	}
	return r.VR
}

// put writes an element with a new value, padded.
func (w *output) put(lv *level, tag dict.Tag, vr dict.VR, value []byte) {
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
	dates                    rules.Temporal
	broken                   table.Option
}

func (w *rewriter) here() point {
	return point{
		mark: w.mark(), out: len(w.out), blocks: len(w.blocks),
		path: len(w.path), depth: w.depth, dates: w.dates, broken: w.broken,
	}
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
func (w *rewriter) sequenceInDisguise(e *values.Element, r *rules.Rule, lv *level) error {
	if e.VR != dict.UN && e.VR != 0 && e.VR.Known() {
		return w.apply(
			e.Opaque(), &rules.Rule{VR: e.VR, Action: Remove, Why: "a sequence with a value of another kind"}, lv,
		)
	}
	before := w.here()
	items := *e
	items.Content, items.Inside = stream.Items, lv.enc
	if e.VR == dict.UN {
		items.Inside = stream.ItemsOfUN()
	}
	err := w.apply(&items, r, lv)
	if !errors.Is(err, values.ErrMalformed) || w.verbatim {
		return err
	}
	w.back(before)
	return w.apply(
		e.Opaque(), &rules.Rule{VR: dict.UN, Action: Remove, Why: "a sequence with VR UN that cannot be read"}, lv,
	)
}

// sequence rewrites a sequence and its items.
func (w *rewriter) sequence(e *values.Element, a Action, lv *level) (Action, error) {
	dummy := lv.dummy
	switch a {
	case Keep, Clean, MapUID:
		a = rules.Keep
	case Dummy:
		dummy = true
	case Empty:
		w.put(lv, e.Tag, dict.SQ, nil)
		return a, nil
	default:
		return Remove, nil
	}
	if w.verbatim && !w.utf8 {
		w.out = append(w.out, e.In...)
		return a, nil
	}
	if w.depth++; w.depth > values.MaxDepth {
		return a, fmt.Errorf("%w: more than %d nested sequences", values.ErrMalformed, values.MaxDepth)
	}
	defer func() { w.depth-- }()
	begin := len(w.out)
	w.out = append(w.out, e.In[:e.Size]...)
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
		w.out = append(w.out, e.Value[pos:]...) // the delimiter
		return a, nil
	}
	lv.enc.PutUint32(w.out[begin+e.Size-4:], uint32(len(w.out)-begin-e.Size))
	return a, nil
}

// items rewrites the items of a sequence up to its end, or to its delimiter. Of one that is to say nothing the first is
// enough.
func (w *rewriter) items(e *values.Element, dummy bool, lv *level) (int, error) {
	for pos, i := 0, 0; ; i++ {
		if pos == len(e.Value) && e.Length != stream.UndefinedLength {
			return pos, nil
		}
		h, ok := e.Inside.Head(e.Value[pos:])
		switch {
		case !ok:
			return pos, fmt.Errorf("%w: %s ends within an item", values.ErrMalformed, e.Tag)
		case h.Tag == dict.SequenceDelimitationTag && e.Length == stream.UndefinedLength:
			return pos, nil
		case h.Tag != dict.ItemTag:
			return pos, fmt.Errorf("%w: %s contains something other than items", values.ErrMalformed, e.Tag)
		}
		n, err := w.itemAt(e, h, pos, i, dummy, lv)
		if err != nil {
			return pos, err
		}
		pos += n
	}
}

// itemAt rewrites an item of a sequence, whose head stands at pos and which is the i-th. It gives its length.
func (w *rewriter) itemAt(e *values.Element, h stream.Head, pos, i int, dummy bool, lv *level) (int, error) {
	content := e.Value[pos+h.Size:]
	defined := h.Length != stream.UndefinedLength
	if defined {
		if int64(h.Length) > int64(len(content)) {
			return 0, fmt.Errorf("%w: an item of %s extends beyond its end", values.ErrMalformed, e.Tag)
		}
		content = content[:h.Length]
	}
	begin, before := len(w.out), w.mark()
	w.out = append(w.out, e.Value[pos:pos+h.Size]...)
	used, err := w.item(content, e, lv, i, dummy, !defined)
	if err != nil {
		return 0, err
	}
	used += h.Size
	if defined {
		e.Inside.PutUint32(w.out[begin+4:], uint32(len(w.out)-begin-h.Size))
	} else {
		w.out = append(w.out, e.Value[pos+used:pos+used+8]...) // the delimiter
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
func (w *rewriter) item(content []byte, e *values.Element, lv *level, n int, dummy, delimited bool) (int, error) {
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
	if inner.pixels.Late {
		err = w.lateOverlay(&inner)
	}
	return used, err
}
