// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// IdentifierLeft says that the scan found something of the original in what would have gone out.
const IdentifierLeft Reason = "identifier-left"

// Finding is something of the original that what goes out still holds. It doesn't hold its value.
type Finding struct {
	Path string // of the attribute that holds it, as in Explained
	Kind Kind
	Of   dict.Tag // the attribute of the original that gives it; 0 where the attribute is at fault by itself
}

// Kind is what a finding is.
type Kind string

// The kinds of findings.
const (
	NameLeft    Kind = "a name"
	NumberLeft  Kind = "an ID or a number"
	AddressLeft Kind = "an address or an institution"
	DateLeft    Kind = "a date"
	UIDLeft     Kind = "a UID"
	ValueLeft   Kind = "its original value"       // though the attribute is one whose value must not stay
	WordLeft    Kind = "a word that isn't listed" // in text that is cleaned
	PrivateLeft Kind = "a private attribute that nothing lets stay"
)

// String is a clause such as "(0018,0024) still holds a name, that of (0010,0010)".
func (f Finding) String() string {
	s := f.Path + " still holds " + string(f.Kind)
	if f.Of != 0 {
		s += fmt.Sprintf(", that of %s", f.Of)
	}
	return s
}

// scanner reads an object's header as it came and as it goes out, and looks in the second for what the first tells. It asks the table and
// the profile's definition what may stay, and never the rules that the rewriter works by: a mistake in those is what it is for.
type scanner struct {
	s     *Session
	facts map[dict.Tag]*fact
	ways  [2]way // of the two headers
	words *words // of the patient, for all objects

	// Of this object:
	out      bool         // the second header is being read
	read     *charset.Set // what text is read in that declares nothing
	uids     uidSet
	dates    []dated
	texts    map[string]struct{} // identifiers that the profile lets stay somewhere
	models   []string            // and those of machines that are the name of a model or version
	must     []kept
	next     int // in must
	first    int // number of the item that comes first, 0 for 1
	path     []place
	blocks   []block
	class    string
	found    []Finding
	scratch  []byte
	decoded  []byte
	written  textDates
	cleaned  map[string]bool // texts of cleaned attributes: whether all of their words may stay
	seed     maphash.Seed
	assigned map[dict.Tag]bool // by the subject
	method   []byte            // De-identification Method, as we write it
	ruled    bool              // rules of the profile's own may keep private attributes
}

// way predicts tags: objects of a series have the same, one after the other.
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

// scanLevel is the data set, or the item, under way.
type scanLevel struct {
	enc    stream.Encoding
	set    *charset.Set
	hash   uint64
	top    bool
	blocks int
}

// maxFindings is how many findings of an object are named.
const maxFindings = 16

// scans tells that this build has the scan.
const scans = true

func newScanner(s *Session) *scanner {
	sc := &scanner{s: s, facts: map[dict.Tag]*fact{}, cleaned: map[string]bool{}, seed: maphash.MakeSeed(), assigned: map[dict.Tag]bool{}, words: newWords()}
	for _, a := range s.assigned {
		sc.assigned[a.tag] = !a.ifAbsent && a.tag != dict.DeidentificationMethod
		if a.tag == dict.DeidentificationMethod {
			sc.method = []byte(a.text)
		}
	}
	for i := range s.p.overrides {
		o := &s.p.overrides[i]
		sc.ruled = sc.ruled || o.action != Remove && (o.creator != "" || o.mask>>16&1 == 0 || o.tag.IsPrivate())
	}
	return sc
}

// errUnread says that a header can't be read by the scan.
var errUnread = errors.New("the scan of the result can't read it")

// run looks in a new header for what the old one tells. The findings are valid until the next run.
func (sc *scanner) run(o *stream.Object, in, out []byte) ([]Finding, error) {
	sc.class = o.Header().SOPClassUID()
	sc.found, sc.must, sc.next, sc.dates, sc.texts = sc.found[:0], sc.must[:0], 0, sc.dates[:0], nil
	sc.models = sc.models[:0]
	sc.uids.reset()
	if sc.read = sc.s.w.read; sc.read == nil {
		sc.read = ascii
	}
	if sc.words.full() {
		sc.words = newWords()
	}
	enc := stream.EncodingOf(o.TransferSyntax())
	for i, b := range [][]byte{in, out} {
		sc.out, sc.ways[i].at, sc.path, sc.blocks = i == 1, 0, sc.path[:0], sc.blocks[:0]
		if _, err := sc.elements(b, &scanLevel{enc: enc, set: sc.read, hash: 1, top: true}, false); err != nil {
			return nil, err
		}
		if len(sc.words.list) > mostForms {
			return nil, errManyIdentifiers
		}
	}
	return sc.found, nil
}

// elements reads the elements that b holds: all of it, or up to an item delimiter, which it leaves. It gives the number of bytes.
func (sc *scanner) elements(b []byte, lv *scanLevel, delimited bool) (int, error) {
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
func (sc *scanner) element(b []byte, h stream.Head, lv *scanLevel) (int, error) {
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
		n, err := skipItems(b[h.Size:], h, 0)
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
		if lv.set = sc.s.charset(value); lv.set != nil && lv.set.IsASCII() {
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
func (sc *scanner) items(b []byte, h stream.Head, f *fact, lv *scanLevel) (int, error) {
	if len(sc.path) > maxDepth {
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
		inner := scanLevel{enc: h.Inside, set: lv.set, hash: mix(mix(lv.hash, uint64(h.Tag)), uint64(n))}
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

// unpadded is trimmed, for the many values that end in one blank at most.
func unpadded(v []byte) []byte {
	for len(v) > 0 && (v[len(v)-1] == ' ' || v[len(v)-1] == 0) {
		v = v[:len(v)-1]
	}
	for len(v) > 0 && (v[0] == ' ' || v[0] == 0) {
		v = v[1:]
	}
	return v
}

// checkSequence looks at a sequence that goes out, apart from its items.
func (sc *scanner) checkSequence(h stream.Head, f *fact, lv *scanLevel, filled bool) {
	if f.gone && filled && !(lv.top && f.assigned) {
		sc.find(h.Tag, ValueLeft, 0)
	}
	if h.Tag.IsPrivate() {
		sc.private(h, lv)
	}
}

// vrOf gives the VR that a value is looked at by.
func (f *fact) vrOf(h stream.Head) dict.VR {
	if h.VR == dict.PN || f.vr == 0 || f.vr == dict.UN {
		return h.VR
	}
	return f.vr
}

// take notes what the original tells by an attribute.
func (sc *scanner) take(h stream.Head, f *fact, value []byte, lv *scanLevel) {
	if value = unpadded(value); len(value) == 0 || int64(h.Length) > 1<<16 {
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
		sc.takeModel(h.Tag, value)
	case vr == dict.PN && goes:
		sc.words.take(value, cmp.Or(f.source, aName), h.Tag, lv.set)
	case f.source != 0 && goes:
		sc.words.take(value, f.source, h.Tag, lv.set)
		if f.dated {
			sc.takeWritten(h.Tag, value, lv.set)
		}
	case f.source != 0 || vr == dict.PN: // the profile lets it stay
		sc.allow(value, vr, cmp.Or(f.source, aName), lv.set)
	}
}

// isNewYear reports whether truncating a date leaves what it was.
func isNewYear(date []byte) bool { return len(date) >= 8 && string(date[4:8]) == "0101" }

// allow notes identifiers that may stand anywhere, since they may stand somewhere.
func (sc *scanner) allow(value []byte, vr dict.VR, n nature, set *charset.Set) {
	if sc.texts == nil {
		sc.texts = map[string]struct{}{}
	}
	for _, t := range identifying(decodeText(value, vr, set), n) {
		sc.texts[t.text] = struct{}{}
	}
}

func (sc *scanner) takeDates(tag dict.Tag, value []byte, stays bool) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if day, ok := dayOf(one); ok {
			sc.takeDate(dated{day, tag, stays})
		}
	}
}

// takeWritten notes dates of a text that must go as a date.
func (sc *scanner) takeWritten(tag dict.Tag, value []byte, set *charset.Set) {
	for _, d := range sc.written.read([]byte(decodeText(value, dict.LO, set)), true) {
		sc.takeDate(dated{d.day, tag, false})
	}
}

func (sc *scanner) takeDate(d dated) {
	for i := range sc.dates {
		if sc.dates[i].day == d.day {
			sc.dates[i].stays = sc.dates[i].stays || d.stays
			return
		}
	}
	sc.dates = append(sc.dates, d)
}

func (sc *scanner) takeUIDs(tag dict.Tag, value []byte, must bool) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = unpadded(one); len(one) > 0 {
			sc.uids.put(maphash.Bytes(sc.seed, one), tag, !must)
		}
	}
}

// check looks at an attribute that goes out.
func (sc *scanner) check(h stream.Head, f *fact, value []byte, lv *scanLevel) {
	if lv.top && f.assigned {
		return
	}
	if h.Tag.IsPrivate() {
		if h.Tag.IsPrivateCreator() {
			sc.blocks = append(sc.blocks, block{number: uint8(h.Tag), creator: sc.s.creator(value)})
		} else {
			sc.private(h, lv)
		}
	}
	vr := f.vrOf(h)
	// Of an object that this profile de-identified before, the method is what it was.
	ours := h.Tag == dict.DeidentificationMethod && lv.top && bytes.HasSuffix(unpadded(value), sc.method)
	if f.must && vr != dict.UI && !ours {
		sc.stayed(h.Tag, f, vr, unpadded(value), lv)
	}
	switch vr {
	case dict.UI:
		sc.lookUIDs(h.Tag, value)
		return
	case dict.DA, dict.DT:
		sc.lookDates(h.Tag, value)
	case dict.US, dict.SS, dict.UL, dict.SL, dict.FL, dict.FD, dict.AT, dict.UV, dict.SV, dict.OF, dict.OD, dict.OL, dict.OV:
		if h.VR == vr || h.VR == 0 {
			return
		}
	}
	if short := unpadded(value); len(short) < shortest || isQuantity(vr, short) {
		return
	}
	if ours {
		value = bytes.TrimSuffix(unpadded(value), sc.method)
	}
	sc.look(h.Tag, vr, value, lv.set)
}

// isQuantity tells whether a value is a number or a time, and none that is as long as a date or an ID.
func isQuantity(vr dict.VR, value []byte) bool {
	return numeric(vr) && isNumeric(value) && !((vr == dict.IS || vr == dict.DS) && len(value) >= 7 && allDigits(value))
}

// stayed finds a value that is where it was though it must not be.
func (sc *scanner) stayed(tag dict.Tag, f *fact, vr dict.VR, value []byte, lv *scanLevel) {
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

// isBlank tells whether a value is one that is put in the place of others, or such a one already.
func isBlank(value []byte, vr dict.VR) bool {
	if !vr.Text() {
		return len(bytes.Trim(value, "\x00")) == 0
	}
	var b [32]byte
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = unpadded(one); len(one) > 0 && !bytes.Equal(one, appendDummy(b[:0], vr, len(one))) {
			return false
		}
	}
	return true
}

// listed tells whether all words of a text may stay by the vocabulary.
func (sc *scanner) listed(value []byte, vr dict.VR, set *charset.Set) bool {
	if ok, known := sc.cleaned[string(value)]; known {
		return ok
	}
	_, ok := sc.s.p.clean(decodeText(value, vr, set), vr)
	if len(sc.cleaned) >= maxSets {
		clear(sc.cleaned)
	}
	sc.cleaned[string(value)] = ok
	return ok
}

func decodeText(value []byte, vr dict.VR, set *charset.Set) string {
	if plainASCII(value) {
		return string(value)
	}
	if set == nil {
		set = ascii
	}
	return set.Decode(value, vr)
}

// private finds private attributes that neither the option nor a rule of the profile lets stay.
func (sc *scanner) private(h stream.Head, lv *scanLevel) {
	p := sc.s.p
	for _, b := range sc.blocks[lv.blocks:] {
		if b.number != uint8(h.Tag>>8) {
			continue
		}
		_, safe := safePrivate(b.creator, h.Tag.Group(), uint8(h.Tag))
		if sc.ruled || safe && (p.base == aditBase || p.options&RetainSafePrivate != 0) {
			return
		}
	}
	sc.find(h.Tag, PrivateLeft, 0)
}

// lookUIDs finds UIDs of the original, however short, in an attribute of UIDs.
func (sc *scanner) lookUIDs(tag dict.Tag, value []byte) {
	for one := range bytes.SplitSeq(value, []byte{'\\'}) {
		if one = unpadded(one); len(one) > 0 {
			sc.lookUID(tag, one)
		}
	}
}

func (sc *scanner) lookUID(tag dict.Tag, uid []byte) {
	of, ok := sc.uids.get(maphash.Bytes(sc.seed, uid))
	if !ok {
		return
	}
	if _, registered := dict.LookupUID(string(uid)); !registered {
		sc.find(tag, UIDLeft, of)
	}
}

// lookDates finds dates of the original in an attribute of dates. One that a shifted date may fall upon is left to stayed.
func (sc *scanner) lookDates(tag dict.Tag, value []byte) {
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

func (sc *scanner) dateOf(day int) (of dict.Tag, ok bool) {
	for _, d := range sc.dates {
		if d.day == day {
			return d.of, !d.stays
		}
	}
	return 0, false
}

func (sc *scanner) isShifted(day int) bool {
	if !sc.s.p.shifts {
		return false
	}
	for _, d := range sc.dates {
		if d.day+sc.s.offset == day {
			return true
		}
	}
	return false
}

// dayOf gives the day of a DA or DT in days; not of a placeholder, nor of one that is outside of living memory.
func dayOf(v []byte) (int, bool) {
	v = unpadded(v)
	if len(v) < 8 {
		return 0, false
	}
	y, m, d, ok := parseDate(v[:8])
	return days(y, m, d), ok && isRemembered(y, m, d)
}

// find notes a finding, once.
func (sc *scanner) find(tag dict.Tag, kind Kind, of dict.Tag) {
	if len(sc.found) >= maxFindings {
		return
	}
	var b strings.Builder
	for _, p := range sc.path {
		fmt.Fprintf(&b, "%s[%d] ", p.tag, p.item)
	}
	f := Finding{b.String() + tag.String(), kind, of}
	if !slices.Contains(sc.found, f) {
		sc.found = append(sc.found, f)
	}
}

// judge scans an object, and makes findings an error that names them.
func (sc *scanner) judge(o *stream.Object, in, out []byte, uid string) error {
	found, err := sc.run(o, in, out)
	if err != nil {
		return err
	}
	return shout(found, uid)
}

// shout makes findings an error that names them, nil if there are none.
func shout(found []Finding, uid string) error {
	if len(found) == 0 {
		return nil
	}
	clauses := make([]string, len(found))
	for i, f := range found {
		clauses[i] = f.String()
	}
	return &UnsafeError{
		Reason: IdentifierLeft, SOPInstanceUID: uid,
		Detail: "the scan of the result shouted: " + strings.Join(clauses, "; ") + ". Give these attributes a rule in the profile (remove, empty, clean)",
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
