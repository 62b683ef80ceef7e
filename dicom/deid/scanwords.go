// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"hash/maphash"
	"slices"
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

// shortestInside is the number of letters or digits of what is looked for within longer words, too. Pydicom's files and the phantoms keep 259 words, under
// the built-in profiles, that are none of the standard's or the vocabulary's. Of the 14,149 most common names of the US census one of five letters is
// within one of them (Smart in SmartScore), and none of six or more; of four letters there are 16, of three 36.
const shortestInside = 5

// How many forms of a patient's identifiers are known at once. Beyond the first the set begins anew with the next object, and no object may bring
// it beyond the second.
const (
	maxForms  = 1 << 12
	mostForms = 1 << 17
)

// errManyIdentifiers says that the scan would take too much memory.
var errManyIdentifiers = errors.New("it holds more names and numbers than the scan of the result can hold")

// words are the identifiers of a patient in all the forms in which they are looked for. Hardly any object brings new ones.
type words struct {
	taken  map[uint64]struct{} // hashes of values that were taken, with their nature before them
	list   []word
	filter [1 << 10]uint64   // of windows, by hash
	at     map[uint32][]spot // of windows: four bytes, made alike in case
	key    []byte
	sets   []*charset.Set // that values were read in
	seed   maphash.Seed
}

// word is a form of an identifier.
type word struct {
	bytes   []byte // ASCII letters in lower case
	text    string // what it is a form of
	kind    Kind
	of      dict.Tag
	apart   bool // stands apart from letters and digits around
	inside  bool // or within a word that is none of the standard's
	machine bool // a machine's
}

// spot is a window of a word: it begins at offset.
type spot struct {
	word   int32
	offset int32
}

func newWords() *words {
	return &words{taken: map[uint64]struct{}{}, at: map[uint32][]spot{}, seed: maphash.MakeSeed()}
}

func (w *words) full() bool {
	return len(w.list) > maxForms || len(w.taken) > maxForms || len(w.sets) > maxSets
}

// take adds what a value of the original tells.
func (w *words) take(value []byte, n nature, of dict.Tag, set *charset.Set) {
	i := slices.Index(w.sets, set)
	if i < 0 {
		i = len(w.sets)
		w.sets = append(w.sets, set)
	}
	w.key = append(append(w.key[:0], byte(n), byte(i), byte(i>>8)), value...)
	hash := maphash.Bytes(w.seed, w.key)
	if _, ok := w.taken[hash]; ok {
		return
	}
	w.taken[hash] = struct{}{}
	vr := dict.LO
	if n.isName() {
		vr = dict.PN
	}
	for _, id := range identifying(decodeText(value, vr, set), n) {
		for _, f := range id.forms() {
			w.add(word{bytes: f.bytes, text: id.text, kind: id.kind, of: of, apart: f.apart, inside: f.apart && id.inside, machine: n == aMachine})
		}
	}
	if n.isName() && (!utf8.Valid(value) || bytes.IndexByte(value, 0x1B) >= 0) { // as it came, in whatever character set
		for _, part := range strings.FieldsFunc(string(value), func(r rune) bool { return r == '^' || r == '=' || r == '\\' }) {
			if b := []byte(trim(part)); !plainASCII(b) && len(b) > shortest {
				w.add(word{bytes: b, text: string(b), kind: NameLeft, of: of})
			}
		}
	}
}

func (w *words) add(x word) {
	x.bytes = lower(x.bytes)
	if len(x.bytes) < shortest || len(w.list) > mostForms {
		return
	}
	i := int32(len(w.list))
	first := window(x.bytes)
	for _, p := range w.at[first] {
		if p.offset == 0 && string(w.list[p.word].bytes) == string(x.bytes) {
			same := &w.list[p.word]
			same.machine = same.machine && x.machine
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
	if !x.apart {
		return true
	}
	before, after := joins(value, at), joins(value, end)
	switch {
	case before == parted && after == parted:
		return true
	case before == number1 || after == number1:
		return false
	}
	return x.inside && !isStandardAround(value, at, end)
}

// joint is how what stands on both sides of a place belongs together.
type joint uint8

const (
	parted  joint = iota
	word1         // letters of one word
	number1       // digits of one number
)

// joins tells how what stands on both sides of a place, an edge of an identifier, belongs together.
func joins(value []byte, at int) joint {
	if at == 0 || at == len(value) {
		return parted
	}
	beside, edge := value[at-1], value[at]
	switch {
	case isDigit(beside) && isDigit(edge):
		return number1
	case isLetter(beside) && isLetter(edge):
		return word1
	case beside < 0x80 && edge < 0x80:
		return parted
	}
	a, _ := utf8.DecodeLastRune(value[max(0, at-utf8.UTFMax):at])
	b, _ := utf8.DecodeRune(value[at:])
	if isSpelled(a) && isSpelled(b) {
		return word1
	}
	return parted
}

// isSpelled tells whether a rune is a letter of a script whose words stand apart.
func isSpelled(r rune) bool {
	return r != utf8.RuneError && unicode.IsLetter(r) && !unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Hangul, unicode.Thai, unicode.Lao, unicode.Khmer)
}

// isStandardAround tells whether a part of a value lies within a word of the standard or of the vocabulary: Ender in Gender.
func isStandardAround(value []byte, at, end int) bool {
	for at > 0 && (isLetter(value[at-1]) || value[at-1] >= 0x80) {
		at--
	}
	for end < len(value) && (isLetter(value[end]) || value[end] >= 0x80) {
		end++
	}
	return allStandard(string(value[at:end]))
}

// identifier is a part of a value that tells who somebody is by itself.
type identifier struct {
	text   string
	kind   Kind
	inside bool // also within a word
}

// identifying gives the parts of a value that are specific enough to be looked for anywhere.
func identifying(text string, n nature) (list []identifier) {
	if n.isName() {
		return nameParts(text, n == thePatient)
	}
	for value := range strings.SplitSeq(text, `\`) {
		value = trim(value)
		if n != aText {
			list = n.specific(list, value)
		}
		if n == aMachine {
			continue
		}
		for part := range strings.FieldsFuncSeq(value, func(r rune) bool { return strings.ContainsRune(" ^|&;,:/?=<>()\"\t\r\n", r) }) {
			part = strings.Trim(part, ".-_'")
			switch digits, alnum := count(part); {
			case isMail(part):
				list = append(list, identifier{part, AddressLeft, false})
			case digits == len(part) && digits >= 7 && varied(part), len(part) < len(value) && digits >= 4 && alnum >= 7 && alnum > digits && n != aText, digits >= 6 && alnum >= 8 && n == aText:
				list = append(list, identifier{part, NumberLeft, alnum > digits})
			}
		}
	}
	return list
}

// specific appends the forms of a whole value, if it is specific enough.
func (n nature) specific(list []identifier, value string) []identifier {
	digits, alnum := count(value)
	if n.isSpecific(value, digits, alnum) {
		list = append(list, identifier{value, n.kind(), n != anAddress && alnum >= shortestInside && alnum > digits})
	}
	if digits == len(value) {
		if short := strings.TrimLeft(value, "0"); len(short) < len(value) && n.isSpecific(short, len(short), len(short)) {
			list = append(list, identifier{short, n.kind(), false})
		}
	} else if digits >= 7 { // as it is written without what stands between
		if plain := strings.Map(onlyAlnum, value); len(plain) < len(value) && varied(plain) {
			list = append(list, identifier{plain, n.kind(), alnum > digits})
		}
	}
	return list
}

func onlyAlnum(r rune) rune {
	if unicode.IsLetter(r) || unicode.IsDigit(r) {
		return r
	}
	return -1
}

// isMail tells whether a word is an address of mail.
func isMail(word string) bool {
	name, host, ok := strings.Cut(word, "@")
	return ok && name != "" && len(host) >= 4 && strings.Contains(host, ".")
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

// least is, by what a value is of, how long it must be to be looked for anywhere: as digits alone; else in letters and digits, of which so many
// are digits; or with any digit. A machine's numbers are as short as versions and models.
var least = map[nature]struct{ digits, alnum, withDigits, withAny int }{
	aNumber:  {6, 5, 3, 8},
	aMachine: {7, 6, 4, 8},
}

// isSpecific tells whether a value hardly stands anywhere by chance.
func (n nature) isSpecific(value string, digits, alnum int) bool {
	switch l := least[n]; {
	case n == anAddress:
		return alnum >= 8 && !allStandard(value)
	case digits == alnum:
		return digits >= l.digits && varied(value)
	default:
		return alnum >= l.alnum && (digits >= l.withDigits || digits > 0 && alnum >= l.withAny)
	}
}

// varied tells whether a number is none of those that are written where there is none: 000000, 111111, 123456.
func varied(s string) bool {
	steps := map[byte]bool{}
	for i := 1; i < len(s); i++ {
		steps[s[i]-s[i-1]] = true
	}
	return len(steps) > 1
}

// nameParts gives the words of a PN that aren't words of the standard too, and its pairs of family and given name. The patient's whole name counts
// whatever its words are.
func nameParts(text string, patient bool) (list []identifier) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		parts := strings.Split(name, "^")
		for i := range parts {
			parts[i] = trim(parts[i])
		}
		for _, part := range parts[:min(3, len(parts))] { // without prefix and suffix
			for _, word := range append(strings.FieldsFunc(part, splitsName), part) {
				if isName(word) {
					list = append(list, identifier{word, NameLeft, true})
				}
			}
		}
		if words := strings.Fields(parts[0]); len(words) > 1 && strings.Join(parts[1:], "") == "" { // LONG WHITE
			parts = []string{words[0], words[len(words)-1], strings.Join(words[1:len(words)-1], " ")}
		}
		if len(parts) < 2 || len(parts[0]) < 2 || len(parts[1]) < 2 || allStandard(parts[0]) && allStandard(parts[1]) && !(patient && !isNobody(parts[:2])) {
			continue
		}
		list = appendPairs(list, parts, patient)
	}
	return list
}

// appendPairs appends family and given name as they are written together.
func appendPairs(list []identifier, parts []string, patient bool) []identifier {
	between := []string{"^", " ", ", ", ",", "_", ""}
	if patient {
		between = append(between, "-", ".", ". ", "; ", ";", "/", "  ", "^^", "\u00B7", "\u30FB")
	}
	for _, between := range between {
		for _, pair := range []string{parts[0] + between + parts[1], parts[1] + between + parts[0]} {
			list = append(list, identifier{pair, NameLeft, false})
		}
	}
	if patient && len(parts) > 2 && parts[2] != "" {
		_, n := utf8.DecodeRuneInString(parts[2])
		for _, middle := range []string{parts[2], parts[2][:n], parts[2][:n] + "."} {
			list = append(list, identifier{parts[1] + " " + middle + " " + parts[0], NameLeft, false}, identifier{parts[0] + " " + middle + " " + parts[1], NameLeft, false})
		}
	}
	return list
}

func splitsName(r rune) bool {
	return r == ' ' || r == '-' || r == ',' || r == '.' || r == '\'' || r == '’'
}

// isName tells whether a part of a name hardly stands anywhere by chance: one of five letters, four of an alphabet beyond Latin, or two characters of
// a script of words or syllables.
func isName(s string) bool {
	n := utf8.RuneCountInString(s)
	return (n >= shortest || n >= 4 && len(s) >= 2*n || n > 1 && len(s) >= 3*n) && !allStandard(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" -'’.,", r)
	})
}

// isNobody tells whether a name is one that stands where there is none.
func isNobody(parts []string) bool {
	return slices.ContainsFunc(parts, func(part string) bool {
		for word := range strings.FieldsFuncSeq(part, splitsName) {
			if _, ok := nobodyWords()[strings.ToLower(word)]; ok {
				return true
			}
		}
		return false
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
	for word := range nobodyWords() {
		set[word] = struct{}{}
	}
	for word := range strings.FieldsSeq(`doctor physician arzt professor admin administrator operator technician technologist user
		guest service quality control water radiology radiologie hospital klinik klinikum university universität institute institut
		department abteilung general siemens philips toshiba canon hitachi fujifilm agfa hologic varian elekta carestream samsung united
		imaging medical systems healthineers healthcare electric normal basic standard routine option profile application clean retain
		modified information identity characteristics longitudinal temporal confidentiality long short white black brown green gray grey
		young field light cross stone wood king bishop day may june april august summer winter west north south east`) {
		set[word] = struct{}{}
	}
	return set
})

// nobodyWords stand in the name of somebody who has none.
var nobodyWords = sync.OnceValue(func() map[string]struct{} {
	set := map[string]struct{}{}
	for word := range strings.FieldsSeq(`anonymous anonymized anonymised anonym anon unknown unbekannt none nobody name names removed deleted default test tests
		testing phantom phantoms patient patienten`) {
		set[word] = struct{}{}
	}
	return set
})

type form struct {
	bytes []byte
	apart bool
}

// forms gives the ways in which an identifier may be written, but for the case of ASCII letters.
func (id identifier) forms() []form {
	list := []form{{[]byte(id.text), true}}
	if plainASCII([]byte(id.text)) {
		return list
	}
	first, second := folded(id.text)
	list = append(list, form{[]byte(first), true}, form{[]byte(second), true})
	for i, text := range []string{id.text, strings.ToLower(id.text), strings.ToUpper(id.text)} {
		if i > 0 && text == id.text {
			continue
		}
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
		for _, set := range allSets() {
			if b, err := set.Encode(text, dict.LO); err == nil && !plainASCII(b) {
				list = append(list, form{unescaped(b), false})
			}
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

// allSets are the character sets in which a name may be written, whatever the object declares.
var allSets = sync.OnceValue(func() (sets []*charset.Set) {
	for _, terms := range []string{
		"ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127", "ISO_IR 138", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166", "ISO_IR 203", "ISO_IR 13",
		`\ISO 2022 IR 87`, `\ISO 2022 IR 159`, `\ISO 2022 IR 149`, `\ISO 2022 IR 58`, "GB18030", "GBK",
	} {
		if set, err := charset.New(strings.Split(terms, `\`)); err == nil {
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

// look finds identifiers in a value of any kind, as it is, in what it says as text, as UTF-16 and as base64.
func (sc *scanner) look(tag dict.Tag, vr dict.VR, value []byte, set *charset.Set) {
	binary := !vr.Text() && !(vr == dict.UN && isWritten(value))
	least := shortest
	if binary {
		least = 8
	}
	sc.lookOne(tag, value, least)
	if !binary && !plainASCII(value) {
		for _, text := range readings(value, set) {
			sc.lookOne(tag, []byte(text), shortest)
		}
	}
	zeros := sc.lookRuns(tag, vr, value)
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

// lookRuns finds what base64 holds, and counts zeros.
func (sc *scanner) lookRuns(tag dict.Tag, vr dict.VR, value []byte) (zeros int) {
	run := 0
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
	return zeros
}

// isWritten tells whether bytes of an unknown kind are text: no controls but those of text and of ISO 2022.
func isWritten(value []byte) bool {
	for _, c := range unpadded(value) {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != 0x1B {
			return false
		}
	}
	return len(value) <= shortValue
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

// lookOne finds words, dates and UIDs in bytes. In others than text, which has least as the shortest, a date has all of its digits.
func (sc *scanner) lookOne(tag dict.Tag, value []byte, least int) {
	x := sc.words.find(value, least, func(x *word) bool {
		if _, stays := sc.texts[x.text]; stays || isMaker(tag) && x.kind != NumberLeft {
			return false
		}
		return !x.machine || !sc.isModel(x.text)
	})
	if x != nil {
		sc.find(tag, x.kind, x.of)
	}
	digits := 0
	for i := 0; i < len(value); {
		if !isDigit(value[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(value) && (isDigit(value[end]) || value[end] == '.') {
			end++
		}
		if end-i >= 10 {
			sc.lookDotted(tag, value[i:end])
		}
		digits, i = digits+end-i, end
	}
	if digits >= 3 && len(value) >= shortestDate && len(sc.dates) > 0 {
		sc.lookWritten(tag, value, least == shortest)
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

// takeModel notes what the original says of a machine's model and version: a number of the machine that is no more than that tells of no machine. A long
// number that is there as a version is both, and tells.
func (sc *scanner) takeModel(tag dict.Tag, value []byte) {
	text := strings.ToLower(string(value))
	add := func(s string) {
		if s = strings.Map(onlyAlnum, s); len(s) >= shortest && (tag == dict.ManufacturerModelName || len(s) < 10) {
			sc.models = append(sc.models, s)
		}
	}
	for one := range strings.SplitSeq(text, `\`) {
		add(one)
		for word := range strings.FieldsSeq(one) {
			add(word)
		}
	}
}

func (sc *scanner) isModel(text string) bool {
	return len(sc.models) > 0 && slices.Contains(sc.models, strings.ToLower(strings.Map(onlyAlnum, text)))
}

// lookDotted finds a UID in digits with points between.
func (sc *scanner) lookDotted(tag dict.Tag, run []byte) {
	for len(run) > 0 && !isDigit(run[len(run)-1]) {
		run = run[:len(run)-1]
	}
	if dots := bytes.Count(run, []byte{'.'}); dots >= 4 && len(run) >= 10 || dots >= 2 && len(run) >= 20 {
		sc.lookUID(tag, run)
	}
}

// lookWritten finds dates of the original in text. Where dates are shifted, one near those of the original is as good: nothing shifted it.
func (sc *scanner) lookWritten(tag dict.Tag, value []byte, loose bool) {
	near := loose && sc.s.p.shifts && !speaksOfMachines(tag, false)
	for _, d := range sc.written.read(value, loose) {
		of, ok := sc.dateOf(d.day)
		if !ok && near && d.whole {
			of, ok = sc.dateNear(d.day)
		}
		if ok {
			sc.find(tag, DateLeft, of)
		}
	}
}

// nearDays is how far a date in text may be from one of the original to tell when that was.
const nearDays = 31

// dateNear gives a date of the original that is near a day, unless dates may stay, or another was shifted to the day.
func (sc *scanner) dateNear(day int) (of dict.Tag, ok bool) {
	for _, d := range sc.dates {
		switch {
		case d.stays || d.day+sc.s.offset == day:
			return 0, false
		case max(d.day-day, day-d.day) <= nearDays:
			of, ok = d.of, true
		}
	}
	return of, ok
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
