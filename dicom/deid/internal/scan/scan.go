// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Subject is whose instances are scanned, and what was done to them.
type Subject struct {
	Profile  *rules.Profile
	Given    []dict.Tag      // what the subject and the profile give a value, whatever was there
	Method   string          // De-identification Method, as it is written
	Offset   int             // of dates, in days
	Known    *Known          // what was known of the patient before the first instance
	Charsets values.Charsets // those of the session: what one of the two has looked up, the other knows
	Creators values.Creators
}

// block is a private block (PS3.5 7.8.1) of the data set or item under way.
type block struct {
	number  uint8
	creator string
}

// Scanner reads an instance's header as it came and as it goes out, and looks in the second for what the first tells.
// It asks the table and the profile's definition what may stay, and never the rules that the rewriter works by: a
// mistake in those is what it is for.
type Scanner struct {
	of    Subject
	facts map[dict.Tag]*fact
	ways  [2]way     // of the two headers
	known *knowledge // of the patient before the first instance; nil: nothing

	// Of this instance:
	words   *index
	out     bool         // the second header is being read
	read    *charset.Set // what text is read in that declares nothing
	uids    uidSet
	dates   []dated
	texts   map[string]struct{} // identifiers that the profile lets stay somewhere
	models  []string            // and those of machines that are the name of a model or version
	must    []kept
	next    int // in must
	first   int // number of the item that comes first, 0 for 1
	path    []place
	blocks  []block
	class   string
	found   []Finding
	scratch []byte
	decoded []byte
	written textDates
	// texts in ASCII of cleaned attributes, of one value and of several: whether all of their words may stay
	cleaned  [2]map[string]bool
	seed     maphash.Seed
	assigned map[dict.Tag]bool // by the subject
	method   []byte            // De-identification Method, as we write it
	ruled    bool              // rules of the profile's own may keep private attributes
	hints    *Known            // what is told for other instances; nil: nobody wants to know
}

// way predicts tags: instances of a series have the same, one after the other.
type way struct {
	order []*fact
	at    int
}

// dated is a date of the original in days; stays tells that it may be there.
type dated struct {
	day   int
	of    dict.Tag
	stays bool
}

// kept is a value that must not stay where it was.
type kept struct {
	at    uint64 // hash of its path
	value []byte
}

type place struct {
	tag  dict.Tag
	item int
}

// level is the data set, or the item, under way.
type level struct {
	enc    stream.Encoding
	set    *charset.Set
	hash   uint64
	top    bool
	blocks int
}

// maxFindings is how many findings of an instance are named.
const maxFindings = 16

// Built says that this build has the scan.
const Built = true

// Bounds of what a scanner remembers; beyond them it begins anew.
const (
	maxFacts = 1 << 14
	maxWays  = 1 << 10
	maxTexts = 1 << 10 // also of character sets
)

// New returns what scans the instances of a subject, one after the other.
func New(of Subject) *Scanner { return newScanner(of, knows(of.Known, of.Charsets)) }

func newScanner(of Subject, known *knowledge) *Scanner {
	sc := &Scanner{
		of: of, facts: map[dict.Tag]*fact{}, cleaned: [2]map[string]bool{{}, {}}, seed: maphash.MakeSeed(),
		assigned: map[dict.Tag]bool{}, words: newIndex(), known: known,
	}
	for _, tag := range of.Given {
		sc.assigned[tag] = true
	}
	sc.method = []byte(of.Method)
	for i := range of.Profile.Overrides {
		o := &of.Profile.Overrides[i]
		sc.ruled = sc.ruled || o.Action != rules.Remove && (o.Creator != "" || o.Mask>>16&1 == 0 || o.Tag.IsPrivate())
	}
	return sc
}

// errUnread says that a header can't be read by the scan.
var errUnread = errors.New("the scan of the result can't read it")

// Run looks in a new header for what the old one tells; read is what text was read in that declares nothing, nil where
// that didn't matter. The findings are valid until the next run.
func (sc *Scanner) Run(o *stream.Object, in, out []byte, read *charset.Set) ([]Finding, error) {
	sc.begin(o.Header().SOPClassUID(), cmp.Or(read, values.ASCII))
	enc := stream.EncodingOf(o.TransferSyntax())
	for i, b := range [][]byte{in, out} {
		sc.out, sc.ways[i].at, sc.path, sc.blocks = i == 1, 0, sc.path[:0], sc.blocks[:0]
		if sc.out && sc.known != nil {
			for _, d := range sc.known.dates {
				sc.takeDate(d)
			}
		}
		if _, err := sc.elements(b, &level{enc: enc, set: sc.read, hash: 1, top: true}, false); err != nil {
			return nil, err
		}
		if sc.words.forms > mostForms {
			return nil, errManyIdentifiers
		}
	}
	return sc.found, nil
}

// begin begins an instance.
func (sc *Scanner) begin(class string, read *charset.Set) {
	sc.class, sc.read = class, read
	sc.found, sc.must, sc.next, sc.dates, sc.texts = sc.found[:0], sc.must[:0], 0, sc.dates[:0], nil
	sc.models = sc.models[:0]
	sc.uids.reset()
	sc.words = sc.words.begin()
	sc.out, sc.ways[0].at, sc.path, sc.blocks = false, 0, sc.path[:0], sc.blocks[:0]
}

// elements reads the elements that b holds: all of it, or up to an item delimiter, which it leaves. It gives the number
// of bytes.
func (sc *Scanner) elements(b []byte, lv *level, delimited bool) (int, error) {
	lv.blocks = len(sc.blocks)
	defer func() { sc.blocks = sc.blocks[:lv.blocks] }()
	for pos := 0; pos < len(b); {
		h, ok := lv.enc.Head(b[pos:])
		if !ok {
			return pos, errUnread
		}
		if h.Tag == dict.ItemDelimitationTag && delimited {
			return pos, nil
		}
		n, err := sc.element(b[pos:], h, lv)
		if err != nil {
			return pos, err
		}
		pos += n
	}
	if delimited {
		return 0, errUnread
	}
	return len(b), nil
}

// element reads the element that b begins with, and gives its length.
func (sc *Scanner) element(b []byte, h stream.Head, lv *level) (int, error) {
	end := len(b)
	if h.Length != stream.UndefinedLength {
		if end = h.Size + int(h.Length); end > len(b) {
			return 0, errUnread
		}
	}
	f := sc.factOf(h)
	switch {
	case h.Content == stream.Items:
		n, err := sc.items(b[h.Size:end], h, f, lv)
		return h.Size + n, err
	case h.Content == stream.Fragments && h.Length == stream.UndefinedLength:
		n, err := values.SkipItems(b[h.Size:], h, 0)
		if err != nil {
			return 0, errUnread
		}
		end = h.Size + n
	case h.Length == stream.UndefinedLength:
		return 0, errUnread
	case f.vr == dict.SQ && !h.Tag.IsPrivate(): // as UN (PS3.5 6.2.2), or of a VR that it hasn't
		items := h
		items.Content, items.Inside = stream.Items, stream.ItemsOfUN()
		found := len(sc.found)
		if n, err := sc.items(b[h.Size:end], items, f, lv); err == nil && h.Size+n == end {
			return end, nil
		}
		sc.found = sc.found[:found]
	}
	value := b[h.Size:end]
	switch {
	case h.Tag.IsGroupLength():
	case h.Tag == dict.SpecificCharacterSet:
		if lv.set = sc.of.Charsets.Of(value); lv.set != nil && lv.set.IsASCII() {
			lv.set = sc.read
		}
	case sc.out:
		sc.check(h, f, value, lv)
	default:
		sc.take(h, f, value, lv)
	}
	return end, nil
}

// items reads the items of a sequence up to its end, or to its delimiter, which it passes.
func (sc *Scanner) items(b []byte, h stream.Head, f *fact, lv *level) (int, error) {
	if len(sc.path) > values.MaxDepth {
		return 0, errUnread
	}
	if sc.out {
		sc.checkSequence(h, f, lv, len(b) > 0)
	}
	sc.path = append(sc.path, place{tag: h.Tag})
	defer func() { sc.path = sc.path[:len(sc.path)-1] }()
	first := max(sc.first, 1)
	sc.first = 0
	for pos, n := 0, first; ; n++ {
		if pos == len(b) && h.Length != stream.UndefinedLength {
			return pos, nil
		}
		item, ok := h.Inside.Head(b[pos:])
		switch {
		case !ok:
			return 0, errUnread
		case item.Tag == dict.SequenceDelimitationTag:
			return pos + item.Size, nil
		case item.Tag != dict.ItemTag:
			return 0, errUnread
		}
		pos += item.Size
		sc.path[len(sc.path)-1].item = n
		inner := level{enc: h.Inside, set: lv.set, hash: mix(mix(lv.hash, uint64(h.Tag)), uint64(n))}
		content, delimited := b[pos:], item.Length == stream.UndefinedLength
		if !delimited {
			if int64(item.Length) > int64(len(content)) {
				return 0, errUnread
			}
			content = content[:item.Length]
		}
		used, err := sc.elements(content, &inner, delimited)
		if err != nil {
			return 0, err
		}
		if pos += used; delimited {
			pos += 8
		}
	}
}

func mix(h, x uint64) uint64 { return (h ^ x) * 0x9E3779B97F4A7C15 >> 7 }

// checkSequence looks at a sequence that goes out, apart from its items.
func (sc *Scanner) checkSequence(h stream.Head, f *fact, lv *level, filled bool) {
	if f.gone && filled && !(lv.top && f.assigned) {
		sc.find(h.Tag, ValueLeft, 0)
	}
	if h.Tag.IsPrivate() {
		sc.private(h, lv)
	}
}

// vrOf returns the VR that a value is looked at by.
func (f *fact) vrOf(h stream.Head) dict.VR {
	if h.VR == dict.PN || f.vr == 0 || f.vr == dict.UN {
		return h.VR
	}
	return f.vr
}

// take notes what the original tells by an attribute.
func (sc *Scanner) take(h stream.Head, f *fact, value []byte, lv *level) {
	if value = values.Unpadded(value); len(value) == 0 || int64(h.Length) > 1<<16 {
		return
	}
	vr := f.vrOf(h)
	goes := sc.goes(f, vr)
	if f.must && vr != dict.UI {
		sc.must = append(sc.must, kept{mix(lv.hash, uint64(h.Tag)), value})
	}
	switch {
	case vr == dict.UI:
		sc.takeUIDs(h.Tag, value, goes)
	case vr == dict.DA || vr == dict.DT:
		sc.takeDates(h.Tag, value, !goes && (!f.truncated || isNewYear(value)))
	case f.isModel:
		sc.models = appendModels(sc.models, h.Tag, value)
		sc.hint(value, vr, aModel, h.Tag, lv.set, true)
	case (vr == dict.PN || f.source != 0) && goes:
		if n := cmp.Or(f.source, aName); sc.words.take(value, n, h.Tag, lv.set) {
			sc.hint(value, vr, n, h.Tag, lv.set, false)
		}
		if f.dated {
			sc.takeWritten(h.Tag, value, lv.set)
		}
	case f.source != 0 || vr == dict.PN: // the profile lets it stay
		sc.allow(h, value, vr, cmp.Or(f.source, aName), lv.set)
	}
}

// isNewYear reports whether truncating a date leaves what it was.
func isNewYear(date []byte) bool { return len(date) >= 8 && string(date[4:8]) == "0101" }

// allow notes identifiers that may stand anywhere, since they may stand somewhere.
func (sc *Scanner) allow(h stream.Head, value []byte, vr dict.VR, n nature, set *charset.Set) {
	sc.hint(value, vr, n, h.Tag, set, true)
	if sc.texts == nil {
		sc.texts = map[string]struct{}{}
	}
	for _, t := range identifying(decodeText(value, vr, set), n) {
		sc.texts[strings.ToLower(t.text)] = struct{}{}
	}
}

func (sc *Scanner) takeDates(tag dict.Tag, value []byte, stays bool) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if day, ok := dayOf(one); ok {
			sc.takeDate(dated{day, tag, stays})
		}
	}
	if tag == dict.PatientBirthDate && !stays {
		sc.hint(value, dict.DA, aBirthDate, tag, nil, false)
	}
}

// takeWritten notes dates of a text that must go as a date.
func (sc *Scanner) takeWritten(tag dict.Tag, value []byte, set *charset.Set) {
	for _, d := range sc.written.read([]byte(decodeText(value, dict.LO, set)), true) {
		sc.takeDate(dated{d.day, tag, false})
	}
}

func (sc *Scanner) takeDate(d dated) {
	for i := range sc.dates {
		if sc.dates[i].day == d.day {
			sc.dates[i].stays = sc.dates[i].stays || d.stays
			return
		}
	}
	sc.dates = append(sc.dates, d)
}

func (sc *Scanner) takeUIDs(tag dict.Tag, value []byte, must bool) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = values.Unpadded(one); len(one) > 0 {
			sc.uids.put(maphash.Bytes(sc.seed, one), tag, !must)
		}
	}
}

// check looks at an attribute that goes out.
func (sc *Scanner) check(h stream.Head, f *fact, value []byte, lv *level) {
	if lv.top && f.assigned {
		return
	}
	if h.Tag.IsPrivate() {
		if h.Tag.IsPrivateCreator() {
			sc.blocks = append(sc.blocks, block{number: uint8(h.Tag), creator: sc.of.Creators.Of(value)})
		} else {
			sc.private(h, lv)
		}
	}
	vr := f.vrOf(h)
	// Of an instance that this profile de-identified before, the method is what it was.
	ours := h.Tag == dict.DeidentificationMethod && lv.top && bytes.HasSuffix(values.Unpadded(value), sc.method)
	if f.must && vr != dict.UI && !ours {
		sc.stayed(h.Tag, f, vr, values.Unpadded(value), lv)
	}
	switch vr {
	case dict.UI:
		sc.lookUIDs(h.Tag, value)
		return
	case dict.DA, dict.DT:
		sc.lookDates(h.Tag, value)
	case dict.US, dict.SS, dict.UL, dict.SL, dict.FL, dict.FD, dict.AT, dict.UV, dict.SV, dict.OF, dict.OD,
		dict.OL, dict.OV:
		if h.VR == vr || h.VR == 0 {
			return
		}
	}
	if short := values.Unpadded(value); len(short) < shortest || isQuantity(vr, short) {
		return
	}
	if ours {
		value = bytes.TrimSuffix(values.Unpadded(value), sc.method)
	}
	sc.look(h.Tag, vr, value, lv.set)
}

// isQuantity reports whether a value is a number or a time, and none that is as long as a date or an ID.
func isQuantity(vr dict.VR, value []byte) bool {
	return numeric(vr) && isNumeric(value) &&
		!((vr == dict.IS || vr == dict.DS) && len(value) >= 7 && values.AllDigits(value))
}

// stayed finds a value that is where it was though it must not be.
func (sc *Scanner) stayed(tag dict.Tag, f *fact, vr dict.VR, value []byte, lv *level) {
	if len(value) == 0 || isBlank(value, vr) || f.given != nil && bytes.Equal(value, f.given) {
		return
	}
	if f.clean && vr.Text() {
		if !sc.listed(value, vr, lv.set) {
			sc.find(tag, WordLeft, 0)
		}
		return
	}
	at := mix(lv.hash, uint64(tag))
	for i := sc.next; i < len(sc.must); i++ {
		if sc.must[i].at != at {
			continue
		}
		sc.next = i + 1
		if bytes.Equal(sc.must[i].value, value) {
			sc.find(tag, ValueLeft, 0)
		}
		return
	}
}

// isBlank reports whether a value is one that is put in the place of others, or such a one already.
func isBlank(value []byte, vr dict.VR) bool {
	if !vr.Text() {
		return len(bytes.Trim(value, "\x00")) == 0
	}
	var b [32]byte
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = values.Unpadded(one); len(one) > 0 && !bytes.Equal(one, values.AppendDummy(b[:0], vr, len(one))) {
			return false
		}
	}
	return true
}

// listed reports whether all words of a text may stay by the vocabulary. It remembers those that read alike in every
// character set.
func (sc *Scanner) listed(value []byte, vr dict.VR, set *charset.Set) bool {
	i := 0
	if vr.MultiValued() {
		i = 1
	}
	memory := sc.cleaned[i]
	if ok, known := memory[string(value)]; known {
		return ok
	}
	_, ok := sc.of.Profile.Words.Clean(decodeText(value, vr, set), vr)
	if !values.PlainASCII(value) {
		return ok
	}
	if len(memory) >= maxTexts {
		clear(memory)
	}
	memory[string(value)] = ok
	return ok
}

func decodeText(value []byte, vr dict.VR, set *charset.Set) string {
	if values.PlainASCII(value) {
		return string(value)
	}
	if set == nil {
		set = values.ASCII
	}
	return set.Decode(value, vr)
}

// private finds private attributes that neither the option nor a rule of the profile lets stay.
func (sc *Scanner) private(h stream.Head, lv *level) {
	p := sc.of.Profile
	for _, b := range sc.blocks[lv.blocks:] {
		if b.number != uint8(h.Tag>>8) {
			continue
		}
		_, safe := table.SafePrivate(b.creator, h.Tag.Group(), uint8(h.Tag))
		if sc.ruled || safe && (p.Base == rules.AditBase || p.Options&table.RetainSafePrivate != 0) {
			return
		}
	}
	sc.find(h.Tag, PrivateLeft, 0)
}

// lookUIDs finds UIDs of the original, however short, in an attribute of UIDs.
func (sc *Scanner) lookUIDs(tag dict.Tag, value []byte) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = values.Unpadded(one); len(one) > 0 {
			sc.lookUID(tag, one)
		}
	}
}

func (sc *Scanner) lookUID(tag dict.Tag, uid []byte) {
	of, ok := sc.uids.get(maphash.Bytes(sc.seed, uid))
	if !ok {
		return
	}
	if _, registered := dict.LookupUID(string(uid)); !registered {
		sc.find(tag, UIDLeft, of)
	}
}

// lookDates finds dates of the original in an attribute of dates. One that a shifted date may fall upon is left to
// stayed.
func (sc *Scanner) lookDates(tag dict.Tag, value []byte) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		day, ok := dayOf(one)
		if !ok {
			continue
		}
		if of, ok := sc.dateOf(day); ok && !sc.isShifted(day) {
			sc.find(tag, DateLeft, of)
		}
	}
}

func (sc *Scanner) dateOf(day int) (of dict.Tag, ok bool) {
	for _, d := range sc.dates {
		if d.day == day {
			return d.of, !d.stays
		}
	}
	return 0, false
}

func (sc *Scanner) isShifted(day int) bool {
	if !sc.of.Profile.Shifts {
		return false
	}
	for _, d := range sc.dates {
		if d.day+sc.of.Offset == day {
			return true
		}
	}
	return false
}

// dayOf returns the day of a DA or DT in days; not of a placeholder, nor of one that is outside of living memory.
func dayOf(v []byte) (int, bool) {
	v = values.Unpadded(v)
	if len(v) < 8 {
		return 0, false
	}
	y, m, d, ok := dates.Parse(v[:8])
	return dates.Days(y, m, d), ok && isRemembered(y, m, d)
}

// find notes what an attribute holds, once.
func (sc *Scanner) find(tag dict.Tag, kind Kind, of dict.Tag) {
	sc.note(Finding{Tag: tag, Kind: kind, Of: of})
}

func (sc *Scanner) note(f Finding) {
	if len(sc.found) >= maxFindings {
		return
	}
	var b strings.Builder
	for _, p := range sc.path {
		fmt.Fprintf(&b, "%s[%d] ", p.tag, p.item)
	}
	f.Path = b.String() + f.Tag.String()
	if !slices.Contains(sc.found, f) {
		sc.found = append(sc.found, f)
	}
}

// uidSet holds hashes of UIDs, in open addressing.
type uidSet struct {
	slots []uidSlot
	n     int
}

type uidSlot struct {
	hash  uint64
	of    dict.Tag
	stays bool
}

func (u *uidSet) reset() {
	if u.slots == nil || len(u.slots) > 1<<12 {
		u.slots = make([]uidSlot, 256)
	} else {
		clear(u.slots)
	}
	u.n = 0
}

func (u *uidSet) slot(hash uint64) *uidSlot {
	mask := uint64(len(u.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		if s := &u.slots[i]; s.hash == hash || s.of == 0 {
			return s
		}
	}
}

func (u *uidSet) put(hash uint64, of dict.Tag, stays bool) {
	if u.n*2 >= len(u.slots) {
		old := u.slots
		u.slots = make([]uidSlot, 2*len(old))
		for _, s := range old {
			if s.of != 0 {
				*u.slot(s.hash) = s
			}
		}
	}
	s := u.slot(hash)
	if s.of == 0 {
		u.n++
	}
	*s = uidSlot{hash, of, stays || s.of != 0 && s.stays}
}

func (u *uidSet) get(hash uint64) (of dict.Tag, ok bool) {
	s := u.slot(hash)
	return s.of, s.of != 0 && !s.stays
}
