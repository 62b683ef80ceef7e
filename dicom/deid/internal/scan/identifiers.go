// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"encoding/binary"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/deid/internal/words"
	"github.com/adit-go/adit/dicom/dict"
)

// identifier is a part of a value that tells who somebody is by itself.
type identifier struct {
	text   string
	kind   Kind
	inside bool // also within a word
}

// identifying returns the parts of a value that are specific enough to be looked for anywhere.
func identifying(text string, n nature) (list []identifier) {
	if n.isName() {
		return nameParts(text, n == thePatient)
	}
	for value := range strings.SplitSeq(text, `\`) {
		value = values.Trim(value)
		if n != aText {
			list = n.specific(list, value)
		}
		switch n {
		case aMachine:
			continue
		case anInstitution:
			list = appendPlaces(list, value)
		}
		for part := range strings.FieldsFuncSeq(
			value, func(r rune) bool { return strings.ContainsRune(" ^|&;,:/?=<>()\"\t\r\n", r) },
		) {
			part = strings.Trim(part, ".-_'")
			switch digits, alnum := count(part); {
			case isMail(part):
				list = append(list, identifier{part, AddressLeft, false})
			case digits == len(part) && digits >= 7 && varied(part), len(part) < len(value) && digits >= 4 &&
				alnum >= 7 && alnum > digits && n != aText, digits >= 6 && alnum >= 8 && n == aText:
				list = append(list, identifier{part, NumberLeft, alnum > digits})
			}
		}
	}
	return list
}

// shortestPlace is the number of letters of a word that tells an institution by itself.
const shortestPlace = 6

// appendPlaces appends the words of an institution's name that hardly another has.
func appendPlaces(list []identifier, name string) []identifier {
	for word := range strings.FieldsFuncSeq(
		name, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsMark(r) },
	) {
		_, shared := institutionWords()[words.BareWord([]byte(word))]
		if !shared && utf8.RuneCountInString(word) >= shortestPlace && !allStandard(word) {
			list = append(list, identifier{word, AddressLeft, false})
		}
	}
	return list
}

// institutionWords are those that many institutions have in their names, without accents.
var institutionWords = sync.OnceValue(func() map[string]struct{} {
	set := map[string]struct{}{}
	//nolint:misspell // words of several languages
	for word := range strings.FieldsSeq(`hospital hospitals clinic clinics clinical clinique cliniques klinik kliniken
		klinikum krankenhaus universitat universitatsklinikum universitatsklinik universitaetsklinikum universitats
		universitaets universitare university universite universitaire universitario universidad universita medical
		medicine medizin medizinische medizinisches medizinischer center centers centre centres zentrum centro centrum
		praxis gemeinschaftspraxis radiologie radiologische radiologisches radiology nuklearmedizin nuclear diagnostic
		diagnostics diagnostik diagnostische diagnostisches diagnostikum imaging institut institute institutes instituto
		istituto department division general regional national central centrale community memorial children childrens
		kinder kinderklinik frauenklinik saint sankt santa stadt stadtisches stadtische staedtisches staedtische kreis
		kreisklinik kreiskrankenhaus landeskrankenhaus bezirkskrankenhaus bundeswehrkrankenhaus bundeswehr health
		healthcare services service hopital hopitaux ospedale azienda ziekenhuis medisch academisch akademisches
		lehrkrankenhaus research forschung foundation stiftung college school cancer tumor infirmary public private county
		district trust veterans evangelisches katholisches evangelische katholische marien elisabeth international
		associates partners mobile outpatient ambulanz ambulantes versorgungszentrum gesellschaft company limited unknown
		unbekannt anonymous example sample hospitalier hospitaliers`) {
		set[word] = struct{}{}
	}
	return set
})

// specific appends the forms of a whole value, if it is specific enough.
func (n nature) specific(list []identifier, value string) []identifier {
	digits, alnum := count(value)
	if n.isSpecific(value, digits, alnum) {
		list = append(list, identifier{value, n.kind(), !n.isPlace() && alnum >= shortestInside && alnum > digits})
	}
	if digits == len(value) {
		if short := strings.TrimLeft(value, "0"); len(short) < len(value) &&
			n.isSpecific(short, len(short), len(short)) {
			list = append(list, identifier{short, n.kind(), false})
		}
	} else if digits >= 7 { // as it is written without what stands between
		if plain := strings.Map(onlyAlnum, value); len(plain) < len(value) && varied(plain) {
			list = append(list, identifier{plain, n.kind(), alnum > digits})
		}
		// or with other letters
		if plain := strings.Map(onlyDigit, value); n == aNumber && alnum > digits && varied(plain) {
			list = append(list, identifier{plain, n.kind(), false})
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

func onlyDigit(r rune) rune {
	if unicode.IsDigit(r) {
		return r
	}
	return -1
}

// isMail reports whether a word is an address of mail.
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

// least is, by what a value is of, how long it must be to be looked for anywhere: as digits alone; else in letters and
// digits, of which so many are digits; or with any digit. A machine's numbers are as short as versions and models.
var least = map[nature]struct{ digits, alnum, withDigits, withAny int }{
	aNumber:  {6, 5, 3, 8},
	aMachine: {7, 6, 4, 8},
}

// isSpecific reports whether a value hardly stands anywhere by chance.
func (n nature) isSpecific(value string, digits, alnum int) bool {
	switch l := least[n]; {
	case n.isPlace():
		return alnum >= 8 && !allStandard(value)
	case digits == alnum:
		return digits >= l.digits && varied(value)
	default:
		return alnum >= l.alnum && (digits >= l.withDigits || digits > 0 && alnum >= l.withAny)
	}
}

// varied reports whether a number is none of those that are written where there is none: 000000, 111111, 123456.
func varied(s string) bool {
	steps := map[byte]bool{}
	for i := 1; i < len(s); i++ {
		steps[s[i]-s[i-1]] = true
	}
	return len(steps) > 1
}

// nameParts returns the words of a PN that aren't words of the standard too, and its pairs of family and given name.
// The patient's whole name counts whatever its words are.
func nameParts(text string, patient bool) (list []identifier) {
	for name := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '=' || r == '\\' }) {
		parts := strings.Split(name, "^")
		for i := range parts {
			parts[i] = values.Trim(parts[i])
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
		if len(parts) < 2 || len(parts[0]) < 2 || len(parts[1]) < 2 ||
			allStandard(parts[0]) && allStandard(parts[1]) && !(patient && !isNobody(parts[:2])) {
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
			list = append(
				list, identifier{parts[1] + " " + middle + " " + parts[0], NameLeft, false},
				identifier{parts[0] + " " + middle + " " + parts[1], NameLeft, false},
			)
		}
	}
	return list
}

func splitsName(r rune) bool {
	return r == ' ' || r == '-' || r == ',' || r == '.' || r == '\'' || r == '’'
}

// isName reports whether a part of a name hardly stands anywhere by chance: one of five letters, four of an alphabet
// beyond Latin, or two characters of a script of words or syllables.
func isName(s string) bool {
	n := utf8.RuneCountInString(s)
	return (n >= shortest || n >= 4 && len(s) >= 2*n || n > 1 && len(s) >= 3*n) &&
		!allStandard(s) && !strings.ContainsFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsMark(r) && !strings.ContainsRune(" -'’.,", r)
	})
}

// isNobody reports whether a name is one that stands where there is none.
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

// allStandard reports whether all words of a text are of the vocabulary, or of the standard's own names.
func allStandard(text string) bool {
	for word := range strings.FieldsFuncSeq(
		text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) },
	) {
		word = strings.ToLower(word)
		_, standard := standardWords()[word]
		if _, listed := words.Vocabulary()[word]; !standard && !listed && !words.IsMeasure(word) {
			return false
		}
	}
	return true
}

// standardWords are those that keywords and UIDs of the standard are made of, and those that stand where a name would:
// a physician called White or Long is looked for by both names only.
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
	for word := range strings.FieldsSeq(`doctor physician arzt professor admin administrator operator technician
		technologist user guest service quality control water radiology radiologie hospital klinik klinikum university
		universität institute institut department abteilung general siemens philips toshiba canon hitachi fujifilm agfa
		hologic varian elekta carestream samsung united imaging medical systems healthineers healthcare electric normal
		basic standard routine option profile application clean retain modified information identity characteristics
		longitudinal temporal confidentiality long short white black brown green gray grey young field light cross stone
		wood king bishop day may june april august summer winter west north south east`) {
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

// forms returns the ways in which an identifier may be written, but for the case of ASCII letters.
func (id identifier) forms() []form {
	list := []form{{[]byte(id.text), true}}
	if values.PlainASCII([]byte(id.text)) {
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
			if b, err := set.Encode(text, dict.LO); err == nil && !values.PlainASCII(b) {
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

// allSets are the character sets in which a name may be written, whatever the instance declares.
var allSets = sync.OnceValue(func() (sets []*charset.Set) {
	for _, terms := range []string{
		"ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127",
		"ISO_IR 138", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166", "ISO_IR 203", "ISO_IR 13",
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
