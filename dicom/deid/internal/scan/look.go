// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
)

// look finds identifiers in a value of any kind, as it is, in what it says as text, as UTF-16 and as base64.
func (sc *Scanner) look(tag dict.Tag, vr dict.VR, value []byte, set *charset.Set) {
	binary := !vr.Text() && !(vr == dict.UN && isWritten(value))
	least := shortest
	if binary {
		least = 8
	}
	sc.lookOne(tag, value, least)
	if !binary && !values.PlainASCII(value) {
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
func (sc *Scanner) lookRuns(tag dict.Tag, vr dict.VR, value []byte) (zeros int) {
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

// longestText is how long bytes of an unknown kind may be to be looked at as text.
const longestText = 64 << 10

// isWritten reports whether bytes of an unknown kind are text: no controls but those of text and of ISO 2022.
func isWritten(value []byte) bool {
	for _, c := range values.Unpadded(value) {
		if c < ' ' && c != '\t' && c != '\r' && c != '\n' && c != 0x1B {
			return false
		}
	}
	return len(value) <= longestText
}

// lookWide finds UTF-16 within other bytes.
func (sc *Scanner) lookWide(tag dict.Tag, value []byte) {
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

// lacksSmall reports whether there is no small letter.
func lacksSmall(b []byte) bool {
	for _, c := range b {
		if c >= 'a' {
			return false
		}
	}
	return true
}

func (sc *Scanner) lookBase64(tag dict.Tag, run []byte) {
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

// lookOne finds words, dates and UIDs in bytes. In others than text, which has least as the shortest, a date has all of
// its digits.
func (sc *Scanner) lookOne(tag dict.Tag, value []byte, least int) {
	sc.lookForWords(tag, value, least)
	digits := 0
	for i := 0; i < len(value); {
		if !values.IsDigit(value[i]) {
			i++
			continue
		}
		end := i + 1
		for end < len(value) && (values.IsDigit(value[end]) || value[end] == '.') {
			end++
		}
		if end-i >= 10 {
			sc.lookDotted(tag, value[i:end])
		}
		digits, i = digits+end-i, end
	}
	if len(value) < shortestDate || len(sc.dates) == 0 {
		return
	}
	if least == shortest && !values.PlainASCII(value) {
		value = dates.Plain(value)
		digits = dates.CountDigits(value)
	}
	if digits >= dates.FewestDigits {
		sc.lookWritten(tag, value, least == shortest)
	}
}

// lookForWords finds what the instance itself told, else what is known of the patient besides.
func (sc *Scanner) lookForWords(tag dict.Tag, value []byte, least int) {
	accept := func(x *word) bool {
		if _, stays := sc.texts[x.text]; stays || isMaker(tag) && x.kind != NumberLeft {
			return false
		}
		return !x.machine || !isModel(sc.models, x.text)
	}
	if x := sc.words.find(value, least, accept); x != nil {
		sc.find(tag, x.kind, x.of)
	} else if sc.known != nil {
		if x := sc.known.words.find(value, least, accept); x != nil {
			sc.note(Finding{Tag: tag, Kind: x.kind, Of: x.of, Known: true})
		}
	}
}

// isMaker reports whether an attribute says who made the equipment: firms are called like people.
func isMaker(tag dict.Tag) bool {
	switch tag {
	case dict.Manufacturer, dict.ManufacturerModelName:
		return true
	}
	return false
}

// appendModels appends what an attribute says of a machine's model and version: a number of the machine that is no more
// than that tells of no machine. A long number that is there as a version is both, and tells.
func appendModels(models []string, tag dict.Tag, value []byte) []string {
	text := strings.ToLower(string(value))
	add := func(s string) {
		if s = strings.Map(onlyAlnum, s); len(s) >= shortest && (tag == dict.ManufacturerModelName || len(s) < 10) {
			models = append(models, s)
		}
	}
	for one := range strings.SplitSeq(text, `\`) {
		add(one)
		for word := range strings.FieldsSeq(one) {
			add(word)
		}
	}
	return models
}

func isModel(models []string, text string) bool {
	return len(models) > 0 && slices.Contains(models, strings.ToLower(strings.Map(onlyAlnum, text)))
}

// lookDotted finds a UID in digits with points between.
func (sc *Scanner) lookDotted(tag dict.Tag, run []byte) {
	for len(run) > 0 && !values.IsDigit(run[len(run)-1]) {
		run = run[:len(run)-1]
	}
	if dots := bytes.Count(run, []byte{'.'}); dots >= 4 && len(run) >= 10 || dots >= 2 && len(run) >= 20 {
		sc.lookUID(tag, run)
	}
}

// lookWritten finds dates of the original in text. Where dates are shifted, one near those of the original is as good:
// nothing shifted it.
func (sc *Scanner) lookWritten(tag dict.Tag, value []byte, loose bool) {
	near := loose && sc.of.Profile.Shifts && !speaksOfMachines(tag, false)
	for _, d := range sc.written.read(value, loose) {
		of, ok := sc.dateOf(d.day)
		if !ok && near && d.whole {
			of, ok = sc.dateNear(d.day)
		}
		if ok {
			sc.find(tag, DateLeft, of)
		}
	}
	if !loose {
		return
	}
	dates.EachForeign(value, func(y, m, d int) {
		day := dates.Days(y, m, d)
		if of, ok := sc.dateOf(day); ok && isRemembered(y, m, d) {
			if cy, cm, cd := dates.Civil(day); cy == y && cm == m && cd == d {
				sc.find(tag, DateLeft, of)
			}
		}
	})
}

// nearDays is how far a date in text may be from one of the original to tell when that was.
const nearDays = 31

// dateNear returns a date of the original that is near a day, unless dates may stay, or another was shifted to the day.
func (sc *Scanner) dateNear(day int) (of dict.Tag, ok bool) {
	for _, d := range sc.dates {
		switch {
		case d.stays || d.day+sc.of.Offset == day:
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
