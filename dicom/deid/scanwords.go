// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"encoding/base64"
	"encoding/binary"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
)

// shortest is the length in bytes of what is looked for in texts: what is shorter stands in clean objects too, by chance.
const shortest = 5

// maxForms is how many forms of a patient's identifiers are known at once; then the set begins anew.
const maxForms = 1 << 12

// words are the identifiers of a patient in all the forms in which they are looked for. Hardly any object brings new ones.
type words struct {
	taken  map[string]struct{} // values that were taken, with their kind before them
	list   []word
	filter [1 << 10]uint64   // of windows, by hash
	at     map[uint32][]spot // of windows: four bytes, made alike in case
	key    []byte
	set    *charset.Set
}

// word is a form of an identifier.
type word struct {
	bytes  []byte // ASCII letters in lower case
	text   string // what it is a form of
	kind   Kind
	of     dict.Tag
	latin  bool // stands apart from letters and digits around
	digits bool
}

// spot is a window of a word: it begins at offset.
type spot struct {
	word   int32
	offset int32
}

func (w *words) reset() {
	*w = words{taken: map[string]struct{}{}, at: map[uint32][]spot{}}
}

func (w *words) full() bool { return len(w.list) > maxForms || len(w.taken) > maxForms }

// take adds what a value of the original tells.
func (w *words) take(value []byte, kind Kind, of dict.Tag, set *charset.Set) {
	if set != w.set {
		clear(w.taken)
		w.set = set
	}
	w.key = append(append(w.key[:0], kind...), value...)
	if _, ok := w.taken[string(w.key)]; ok {
		return
	}
	w.taken[string(w.key)] = struct{}{}
	vr := dict.LO
	if kind == NameLeft {
		vr = dict.PN
	}
	for _, id := range identifying(decodeText(value, vr, set), kind) {
		for _, form := range id.forms() {
			w.add(word{bytes: form.bytes, text: id.text, kind: kind, of: of, latin: form.latin, digits: id.digits})
		}
	}
	if kind == NameLeft && !plainASCII(value) { // as it came, in whatever character set
		for _, part := range strings.FieldsFunc(string(value), func(r rune) bool { return r == '^' || r == '=' || r == '\\' }) {
			if b := []byte(trim(part)); !plainASCII(b) && len(b) > shortest {
				w.add(word{bytes: b, text: string(b), kind: kind, of: of})
			}
		}
	}
}

func (w *words) add(x word) {
	x.bytes = lower(x.bytes)
	if len(x.bytes) < shortest {
		return
	}
	i := int32(len(w.list))
	first := window(x.bytes)
	for _, p := range w.at[first] {
		if p.offset == 0 && string(w.list[p.word].bytes) == string(x.bytes) {
			return
		}
	}
	w.list = append(w.list, x)
	for offset := range int32(2) { // texts are looked at in steps of two
		v := window(x.bytes[offset:])
		w.at[v] = append(w.at[v], spot{i, offset})
		h := v * 2654435761 >> 16
		w.filter[h>>6] |= 1 << (h & 63)
	}
}

// window gives four bytes without what tells upper from lower case.
func window(b []byte) uint32 { return binary.LittleEndian.Uint32(b) | 0x20202020 }

// lower makes ASCII letters those of lower case, in place.
func lower(b []byte) []byte {
	for i, c := range b {
		b[i] = lowered(c)
	}
	return b
}

func lowered(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

// find gives the first word that a value holds, of those that accept takes; least is the length that it must have.
func (w *words) find(value []byte, least int, accept func(*word) bool) *word {
	for i := 0; i+4 <= len(value); i += 2 {
		v := window(value[i:])
		h := v * 2654435761 >> 16
		if w.filter[h>>6]&(1<<(h&63)) == 0 {
			continue
		}
		for _, p := range w.at[v] {
			x := &w.list[p.word]
			if len(x.bytes) >= least && x.stands(value, i-int(p.offset)) && accept(x) {
				return x
			}
		}
	}
	return nil
}

// stands tells whether a word is at a place of a value, apart from what is around.
func (x *word) stands(value []byte, at int) bool {
	end := at + len(x.bytes)
	if at < 0 || end > len(value) {
		return false
	}
	for i, c := range x.bytes {
		if lowered(value[at+i]) != c {
			return false
		}
	}
	if !x.latin {
		return true
	}
	return !(at > 0 && joins(value[at-1], x.bytes[0])) && !(end < len(value) && joins(value[end], x.bytes[len(x.bytes)-1]))
}

// joins tells whether a byte beside an identifier makes it a part of something longer.
func joins(beside, edge byte) bool {
	isDigit := func(c byte) bool { return c >= '0' && c <= '9' }
	isLetter := func(c byte) bool { c |= 0x20; return c >= 'a' && c <= 'z' }
	if isDigit(edge) {
		return isDigit(beside)
	}
	return isLetter(edge) && isLetter(beside)
}

// identifier is a part of a value that tells who somebody is by itself.
type identifier struct {
	text   string
	digits bool // nothing else
}

// identifying gives the parts of a value that are specific enough to be looked for anywhere.
func identifying(text string, kind Kind) (list []identifier) {
	if kind == NameLeft || kind == "" {
		return nameParts(text)
	}
	for value := range strings.SplitSeq(text, `\`) {
		value = trim(value)
		digits, alnum := count(value)
		if isSpecific(value, kind, digits, alnum) {
			list = append(list, identifier{value, digits == len(value)})
		}
		if short := strings.TrimLeft(value, "0"); len(short) < len(value) && digits == len(value) && isSpecific(short, NumberLeft, len(short), len(short)) {
			list = append(list, identifier{short, true})
		}
	}
	return list
}

func count(s string) (digits, alnum int) {
	for _, r := range s {
		switch {
		case unicode.IsDigit(r):
			digits, alnum = digits+1, alnum+1
		case unicode.IsLetter(r):
			alnum++
		}
	}
	return digits, alnum
}

// isSpecific tells whether a value hardly stands anywhere by chance.
func isSpecific(value string, kind Kind, digits, alnum int) bool {
	switch {
	case kind == AddressLeft:
		return alnum >= 8 && !allStandard(value)
	case digits == alnum:
		return digits >= 6 && varied(value)
	}
	return alnum >= 5 && (digits >= 3 || digits > 0 && alnum >= 8)
}

// varied tells whether a number is none of those that are written where there is none: 000000, 111111, 123456.
func varied(s string) bool {
	steps := map[byte]bool{}
	for i := 1; i < len(s); i++ {
		steps[s[i]-s[i-1]] = true
	}
	return len(steps) > 1
}

// nameParts gives the words of a PN that aren't words of the standard too, and its pairs of family and given name.
func nameParts(text string) (list []identifier) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		parts := strings.Split(name, "^")
		for i := range parts {
			parts[i] = trim(parts[i])
		}
		for _, part := range parts[:min(3, len(parts))] { // without prefix and suffix
			for _, word := range append(strings.FieldsFunc(part, splitsName), part) {
				if isName(word) {
					list = append(list, identifier{text: word})
				}
			}
		}
		if len(parts) < 2 || len(parts[0]) < 2 || len(parts[1]) < 2 || allStandard(parts[0]) && allStandard(parts[1]) {
			continue
		}
		for _, between := range []string{"^", " ", ", ", ",", "_"} {
			list = append(list, identifier{text: parts[0] + between + parts[1]}, identifier{text: parts[1] + between + parts[0]})
		}
	}
	return list
}

func splitsName(r rune) bool { return r == ' ' || r == '-' || r == ',' || r == '.' }

// isName tells whether a part of a name hardly stands anywhere by chance; one of another script does so with two characters.
func isName(s string) bool {
	n := utf8.RuneCountInString(s)
	return (n >= shortest || n > 1 && len(s) >= 2*n) && !allStandard(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" -'’.,", r)
	})
}

// allStandard tells whether all words of a text are of the vocabulary, or of the standard's own names.
func allStandard(text string) bool {
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) }) {
		word = strings.ToLower(word)
		_, standard := standardWords()[word]
		if _, listed := vocabulary()[word]; !standard && !listed && !isMeasure(word) {
			return false
		}
	}
	return true
}

// standardWords are those that keywords and UIDs of the standard are made of, and those that stand where a name would: a physician called
// White or Long is looked for by both names only.
var standardWords = sync.OnceValue(func() map[string]struct{} {
	set := map[string]struct{}{}
	begin := 0
	add := func(keyword string) {
		begin = 0
		for i := 1; i <= len(keyword); i++ {
			if i == len(keyword) || keyword[i] >= 'A' && keyword[i] <= 'Z' {
				set[strings.ToLower(keyword[begin:i])] = struct{}{}
				begin = i
			}
		}
	}
	for tag, mask := range dict.All() {
		if mask == 0xFFFFFFFF {
			add(tag.Keyword())
		}
	}
	for word := range strings.FieldsSeq(`anonymous anonymized anonymised anonym anon unknown unbekannt none nobody name names removed deleted default test tests
		testing phantom phantoms patient patienten doctor physician arzt professor admin administrator operator technician technologist user
		guest service quality control water radiology radiologie hospital klinik klinikum university universität institute institut
		department abteilung general siemens philips toshiba canon hitachi fujifilm agfa hologic varian elekta carestream samsung united
		imaging medical systems healthineers healthcare electric normal basic standard routine option profile application clean retain
		modified information identity characteristics longitudinal temporal confidentiality long short white black brown green gray grey
		young field light cross stone wood king bishop day may june april august summer winter west north south east`) {
		set[word] = struct{}{}
	}
	return set
})

type form struct {
	bytes []byte
	latin bool
}

// forms gives the ways in which an identifier may be written, but for the case of ASCII letters.
func (id identifier) forms() []form {
	list := []form{{[]byte(id.text), true}}
	if plainASCII([]byte(id.text)) {
		return list
	}
	for _, text := range []string{id.text, strings.ToLower(id.text), strings.ToUpper(id.text)} {
		list = append(list, form{[]byte(text), true})
		if b, ok := asLatin1(text); ok {
			list = append(list, form{b, true})
		} else { // of what is Latin-1 the scan takes the zeros away
			var le, be []byte
			for _, u := range utf16.Encode([]rune(text)) {
				le, be = binary.LittleEndian.AppendUint16(le, u), binary.BigEndian.AppendUint16(be, u)
			}
			list = append(list, form{le, false}, form{be, false})
		}
	}
	for _, set := range japanese() {
		if b, err := set.Encode(id.text, dict.LO); err == nil {
			list = append(list, form{unescaped(b), false})
		}
	}
	return list
}

func asLatin1(s string) ([]byte, bool) {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xFF {
			return nil, false
		}
		b = append(b, byte(r))
	}
	return b, true
}

// japanese are the sets of ISO 2022 in which names are written beside the one that an object declares.
var japanese = sync.OnceValue(func() (sets []*charset.Set) {
	for _, terms := range [][]string{{"", "ISO 2022 IR 87"}, {"", "ISO 2022 IR 149"}} {
		if set, err := charset.New(terms); err == nil {
			sets = append(sets, set)
		}
	}
	return sets
})

// unescaped cuts the escape sequences at both ends away.
func unescaped(b []byte) []byte {
	if len(b) > 3 && b[0] == 0x1B {
		for i := 1; i < len(b); i++ {
			if b[i] >= 0x40 && b[i] <= 0x5F { // the final byte
				b = b[i+1:]
				break
			}
		}
	}
	if n := len(b); n > 3 && b[n-3] == 0x1B {
		b = b[:n-3]
	}
	return b
}

// look finds identifiers in a value of any kind, also as UTF-16 and as base64.
func (sc *scanner) look(tag dict.Tag, vr dict.VR, value []byte) {
	binary := !vr.Text()
	least := shortest
	if binary {
		least = 8
	}
	sc.lookOne(tag, value, least)
	zeros, run := 0, 0
	for i := 0; i <= len(value); i++ {
		switch {
		case i < len(value) && isBase64[value[i]]:
			run++
			continue
		case i < len(value) && value[i] == 0:
			zeros++
		}
		if run >= 8 && (vr != dict.CS || !lacksSmall(value[i-run:i])) {
			sc.lookBase64(tag, value[i-run:i])
		}
		run = 0
	}
	if zeros >= shortest && zeros*3 > len(value) { // of UTF-16 every second byte
		sc.scratch = sc.scratch[:0]
		for _, c := range value {
			if c != 0 {
				sc.scratch = append(sc.scratch, c)
			}
		}
		sc.lookOne(tag, sc.scratch, shortest)
	} else if binary && zeros >= shortest {
		sc.lookWide(tag, value)
	}
}

// lookWide finds UTF-16 within other bytes.
func (sc *scanner) lookWide(tag dict.Tag, value []byte) {
	for i := 0; i+1 < len(value); {
		j := i
		for j+1 < len(value) && value[j] >= ' ' && value[j+1] == 0 {
			j += 2
		}
		if j-i >= 2*shortest {
			sc.scratch = sc.scratch[:0]
			for ; i < j; i += 2 {
				sc.scratch = append(sc.scratch, value[i])
			}
			sc.lookOne(tag, sc.scratch, shortest)
		}
		i = max(i+1, j)
	}
}

var isBase64 = bytesOf("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")

// lacksSmall tells whether there is no small letter.
func lacksSmall(b []byte) bool {
	for _, c := range b {
		if c >= 'a' {
			return false
		}
	}
	return true
}

func (sc *scanner) lookBase64(tag dict.Tag, run []byte) {
	for shift := range 4 {
		if len(run)-shift < 8 {
			return
		}
		part := run[shift:]
		if len(part)%4 == 1 { // no byte begins with the last
			part = part[:len(part)-1]
		}
		sc.decoded = append(sc.decoded[:0], make([]byte, base64.RawStdEncoding.DecodedLen(len(part)))...)
		n, _ := base64.RawStdEncoding.Decode(sc.decoded, part)
		sc.lookOne(tag, sc.decoded[:n], shortest)
	}
}

// lookOne finds words, dates and UIDs in bytes.
func (sc *scanner) lookOne(tag dict.Tag, value []byte, least int) {
	x := sc.words.find(value, least, func(x *word) bool {
		_, stays := sc.texts[x.text]
		return !stays && !(isMaker(tag) && x.kind != NumberLeft)
	})
	if x != nil {
		sc.find(tag, x.kind, x.of)
	}
	for i := 0; i < len(value); {
		if value[i] < '0' || value[i] > '9' {
			i++
			continue
		}
		end := i + 1
		for end < len(value) && (value[end] >= '0' && value[end] <= '9' || value[end] == '.' || value[end] == '-' || value[end] == '/') {
			end++
		}
		if end-i >= 8 {
			sc.lookNumber(tag, value[i:end])
		}
		i = end
	}
}

// isMaker tells whether an attribute says who made the equipment: firms are called like people.
func isMaker(tag dict.Tag) bool {
	switch tag {
	case dict.Manufacturer, dict.ManufacturerModelName:
		return true
	}
	return false
}

// lookNumber finds a date or a UID in digits with points, dashes or slashes between.
func (sc *scanner) lookNumber(tag dict.Tag, run []byte) {
	for len(run) > 0 && (run[len(run)-1] < '0' || run[len(run)-1] > '9') {
		run = run[:len(run)-1]
	}
	dots := 0
	for _, c := range run {
		if c == '.' {
			dots++
		}
	}
	if dots >= 4 && len(run) >= 10 || dots >= 2 && len(run) >= 20 {
		sc.lookUID(tag, run)
		return
	}
	for _, day := range daysIn(run) {
		if of, ok := sc.dateOf(day); ok {
			sc.find(tag, DateLeft, of)
		}
	}
}

// daysIn gives the dates that a run of digits may mean.
func daysIn(run []byte) (list []int) {
	add := func(y, m, d []byte) {
		var b [8]byte
		if day, ok := dayOf(append(append(append(b[:0], y...), m...), d...)); ok {
			list = append(list, day)
		}
	}
	switch n := len(run); {
	case (n == 8 || n == 12 || n == 14) && allDigits(run):
		add(run[:4], run[4:6], run[6:8])
	case n < 10:
	case run[4] == run[7] && !allDigits(run[4:5]):
		add(run[:4], run[5:7], run[8:10])
	case run[2] == run[5] && !allDigits(run[2:3]):
		add(run[6:10], run[3:5], run[:2])
		add(run[6:10], run[:2], run[3:5])
	}
	return list
}

func numeric(vr dict.VR) bool {
	switch vr {
	case dict.DS, dict.IS, dict.TM, dict.DA, dict.DT, dict.AS:
		return true
	}
	return false
}

func isNumeric(b []byte) bool {
	for _, c := range b {
		if !isNumeral[c] {
			return false
		}
	}
	return true
}

var isNumeral = bytesOf("0123456789+-.eE:\\ DWMY")

func bytesOf(s string) (is [256]bool) {
	for i := range len(s) {
		is[s[i]] = true
	}
	return is
}
