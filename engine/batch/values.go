// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/text"
)

func itoa(n int) string { return strconv.Itoa(n) }

// clean takes what nobody sees from around a text, and one apostrophe from before it: by that people tell a spreadsheet
// that text follows.
func clean(s string) string {
	s = trim(s)
	if rest, ok := strings.CutPrefix(s, "'"); ok {
		return trim(rest)
	}
	return s
}

func trim(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' })
}

// errorTexts are what spreadsheets show in place of a value, in English, German, French and Spanish; in CSV they are
// text.
var errorTexts = []string{
	"#N/A", "#REF!", "#VALUE!", "#NAME?", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA",
	"#NV", "#BEZUG!", "#WERT!", "#ZAHL!", "#ÜBERLAUF!", "#VALEUR!", "#NOM?", "#NOMBRE!", "#NUL!", "#VALOR!", "#¿NOMBRE?",
	"#¡VALOR!", "#¡REF!", "#¡DIV/0!", "#¡NUM!", "#¡NULO!",
}

// value is what a cell means in a column.
func (t *Table) value(c *cell, column *Column) Cell {
	v := Cell{Shown: t.shown(c)}
	fail := func(kind Kind, sentence string) Cell {
		v.Kind, v.Sentence = kind, sentence
		return v
	}
	switch c.is {
	case boolCell:
		return fail(KindValue, "The cell holds the truth value "+v.Shown+". "+asText)
	case errorCell:
		return fail(KindValue, "The cell holds the error "+v.Shown+". Correct it in the spreadsheet.")
	case formulaCell:
		return fail(KindFormula, "The cell holds a formula, and the file lacks its value. Open the file in Excel, and "+
			"save it.")
	case mergedCell:
		return fail(KindMerged, "The cell belongs to the merged area "+c.text+", whose value stands in its first cell "+
			"alone. Unmerge the area, and write the value into each row.")
	}
	if v.Shown == "" {
		return v
	}
	if slices.Contains(errorTexts, v.Shown) {
		return fail(KindValue, "The cell holds the error "+v.Shown+". Correct it in the spreadsheet.")
	}
	if column.Kind == DateColumn {
		v.Text, v.Kind, v.Sentence = t.date(c)
		return v
	}
	if c.is == isoCell {
		return fail(KindSpreadsheet, "The spreadsheet has made a date or time of it: "+v.Shown+". "+asText)
	}
	v.Text = v.Shown
	if c.is == numberCell {
		if c.format.class == plainFormat && column.Kind == DescriptionColumn {
			return v
		}
		v.Text, v.Kind, v.Sentence = wholeNumber(c.text, c.format, t.date1904())
	}
	if v.Kind == "" && v.Text != "" {
		v.Text, v.Kind, v.Sentence = column.check(v.Text)
	}
	return v
}

func (t *Table) date1904() bool { return t.book != nil && t.book.date1904 }

// shown is what somebody sees in a cell, with a date as ISO 8601 has it.
func (t *Table) shown(c *cell) string {
	switch c.is {
	case numberCell:
		n, err := strconv.ParseFloat(c.text, 64)
		if err != nil {
			return c.text
		}
		if c.format.isDate() {
			if s, err := showSerial(n, c.format, t.date1904()); err == nil {
				return s
			}
			return shortNumber(n)
		}
		if c.format.class == percentFormat {
			return shortNumber(n*100) + "%"
		}
		if s, kind, _ := wholeNumber(c.text, c.format, false); kind == "" {
			return s
		}
		if math.Abs(n) >= 1e15 {
			return c.text
		}
		return shortNumber(n)
	case formulaCell, mergedCell:
		return ""
	}
	return clean(c.text)
}

// check says what is wrong with a text in a column, and returns it as DICOM wants it.
func (c *Column) check(s string) (value string, kind Kind, sentence string) {
	if c.Kind == UIDColumn {
		return s, uidKind(s), uidFault(s)
	}
	if c.Kind == NameColumn || c.Kind == DescriptionColumn || c.Kind == ModalitiesColumn || c.Kind == NumbersColumn {
		s = strings.ReplaceAll(s, "\u00a0", " ")
	}
	if c.Kind != DescriptionColumn && rewritten().MatchString(s) {
		return s, KindSpreadsheet, "Excel has rewritten this number. " + asText
	}
	if sentence := hiddenFault(s); sentence != "" {
		return s, KindCharacter, sentence
	}
	s = text.Original(s)
	if i := strings.IndexFunc(s, badIn(c.Kind)); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return s, KindCharacter, badCharacter(s, i, r)
	}
	switch c.Kind {
	case NameColumn:
		return name(s)
	case ModalitiesColumn:
		return modalities(s)
	case NumbersColumn:
		return numbers(s)
	case PseudonymColumn:
		if err := deid.CheckPseudonym(s); err != nil {
			return s, KindPseudonym, sentenceOf(err)
		}
	default:
		if n := utf8.RuneCountInString(s); n > 64 {
			return s, KindLength, fmt.Sprintf("The text has %d characters, and DICOM allows 64.", n)
		}
	}
	return s, "", ""
}

// badIn returns which characters can't be in a value of a column.
func badIn(kind ColumnKind) func(r rune) bool {
	if kind == DescriptionColumn {
		return func(r rune) bool { return r == '\\' || unicode.IsControl(r) || r == utf8.RuneError }
	}
	return func(r rune) bool { return fault.BadInExactKey(r) || unicode.IsControl(r) || r == utf8.RuneError }
}

func badCharacter(s string, i int, r rune) string {
	at := utf8.RuneCountInString(s[:i]) + 1
	switch {
	case r == '*' || r == '?':
		return fmt.Sprintf("%q at position %d is not allowed here: only descriptions can have wildcards.", r, at)
	case r == utf8.RuneError:
		return fmt.Sprintf("The character at position %d has been lost. Correct it, and save the file as UTF-8.", at)
	case r == '\\':
		return fmt.Sprintf(`The backslash at position %d has a special meaning in DICOM and is not allowed. Remove it.`, at)
	}
	return fmt.Sprintf("The control character U+%04X at position %d is not allowed. Remove it.", r, at)
}

// hiddenFault names the first character that nobody sees, or takes for another one.
func hiddenFault(s string) string {
	at := 0
	for _, r := range s {
		at++
		switch {
		case r == '\n' || r == '\r':
			return fmt.Sprintf("There is a line break at position %d. Remove it.", at)
		case r == '\t':
			return fmt.Sprintf("There is a tab at position %d. Remove it.", at)
		case text.Hidden(r):
			return fmt.Sprintf("There is an invisible character (U+%04X) at position %d. Remove it.", r, at)
		case r != ' ' && unicode.IsSpace(r):
			return fmt.Sprintf("There is a special blank (U+%04X) at position %d. Replace it by a usual one.", r, at)
		}
	}
	return ""
}

// uidKind is the kind of uidFault.
func uidKind(s string) Kind {
	if fault.ValidUID(s) {
		return ""
	}
	return KindUID
}

// uidFault says why a text is no UID.
func uidFault(s string) string {
	if fault.ValidUID(s) {
		return ""
	}
	if rewritten().MatchString(s) {
		return "Excel has rewritten this number. " + asText
	}
	at := 0
	for _, r := range s {
		at++
		switch {
		case r >= '0' && r <= '9' || r == '.':
		case r == 'O' || r == 'o' || r == '\u041e' || r == '\u043e': // Latin and Cyrillic
			return fmt.Sprintf("This is no UID: the \"%c\" at position %d is a letter, not a zero.", r, at)
		case r == 'l' || r == 'I':
			return fmt.Sprintf("This is no UID: the \"%c\" at position %d is a letter, not a one.", r, at)
		case r == ',':
			return fmt.Sprintf("This is no UID: there is a comma at position %d. Numbers of a UID have dots between them.", at)
		case unicode.IsSpace(r) && r != '\n' && r != '\r':
			return fmt.Sprintf("This is no UID: there is a blank (U+%04X) at position %d. Remove it.", r, at)
		case text.Hidden(r):
			return fmt.Sprintf("This is no UID: there is an invisible character (U+%04X) at position %d. Remove it.", r, at)
		default:
			return fmt.Sprintf("This is no UID: it has \"%c\" at position %d. A UID has digits and dots only.", r, at)
		}
	}
	return uidForm(s)
}

// uidForm says why digits and dots are no UID.
func uidForm(s string) string {
	switch {
	case len(s) > 64:
		return fmt.Sprintf("This is no UID: it has %d characters, and a UID has at most 64.", len(s))
	case strings.Contains(s, ".."):
		return fmt.Sprintf("This is no UID: there are two dots in a row at position %d.", strings.Index(s, "..")+1)
	}
	return "This is no UID: it begins or ends with a dot."
}

// name returns a person name in DICOM form.
func name(s string) (value string, kind Kind, sentence string) {
	value = NameFromPeople(s)
	switch {
	case strings.Count(value, "^") > 4 && !strings.Contains(value, "="):
		return s, KindName, "A name has at most five parts with commas between them: last, first, middle name, prefix, " +
			"suffix."
	case !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		return s, KindName, "The name has no letter."
	}
	if err := dimse.CheckKey(dict.PN, value); err != nil {
		return s, KindName, "The name can't be used: " + err.Error() + "."
	}
	return value, "", ""
}

// NameFromPeople turns "Last, First" into Last^First. A name in DICOM form stays as it is, without empty parts at its
// end.
func NameFromPeople(s string) string {
	if strings.ContainsAny(s, "^=") {
		return strings.TrimRight(s, "^")
	}
	parts := strings.Split(s, ",")
	for i, p := range parts {
		parts[i] = strings.TrimSpace(p)
	}
	return strings.TrimRight(strings.Join(parts, "^"), "^")
}

// NameForPeople turns Last^First into "Last, First", unless NameFromPeople could not undo that.
func NameForPeople(dicom string) string {
	s := strings.ReplaceAll(strings.TrimRight(dicom, "^"), "^", ", ")
	if NameFromPeople(s) != strings.TrimRight(dicom, "^") {
		return dicom
	}
	return s
}

// maxList is how many values a list in a cell has at the most.
const maxList = 50

// list returns the values of a list, each once.
func list(s string) []string {
	var out []string
	for part := range strings.SplitSeq(s, ",") {
		if part = strings.TrimSpace(part); part != "" && !slices.Contains(out, part) {
			out = append(out, part)
		}
	}
	return out
}

func modalities(s string) (value string, kind Kind, sentence string) {
	all := list(strings.ToUpper(s))
	if len(all) == 0 || len(all) > maxList {
		return s, KindModality, "Name one or several modalities with commas between them, such as CT, MR."
	}
	for _, m := range all {
		if dimse.CheckKey(dict.CS, m) != nil {
			return s, KindModality, fmt.Sprintf("%q is no modality. A modality has at most 16 letters and digits, and several "+
				"have commas between them, such as CT, MR.", cut(m, 20))
		}
	}
	return strings.Join(all, ","), "", ""
}

func numbers(s string) (value string, kind Kind, sentence string) {
	all := list(s)
	if len(all) == 0 || len(all) > maxList {
		return s, KindNumber, "Name one or several whole numbers with commas between them, such as 4, 5."
	}
	out := all[:0]
	for _, n := range all {
		whole, err := strconv.ParseInt(n, 10, 32) // VR IS
		if err != nil {
			return s, KindNumber, fmt.Sprintf("%q is no series number. It is a whole number, and several have commas between "+
				"them, such as 4, 5.", cut(n, 20))
		}
		if n = strconv.FormatInt(whole, 10); !slices.Contains(out, n) {
			out = append(out, n)
		}
	}
	return strings.Join(out, ","), "", ""
}

// sentenceOf makes a sentence of an error.
func sentenceOf(err error) string {
	s := strings.TrimRight(err.Error(), ".")
	r, size := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(r)) + s[size:] + "."
}

// date returns the date that a cell of a date column holds, in DICOM form.
func (t *Table) date(c *cell) (value string, kind Kind, sentence string) {
	switch c.is {
	case numberCell:
		return t.serialDate(c)
	case isoCell:
		return dateText(clean(c.text), ISOOnly)
	default:
		return dateText(clean(c.text), t.o.Dates)
	}
}

func (t *Table) serialDate(c *cell) (value string, kind Kind, sentence string) {
	n, err := strconv.ParseFloat(c.text, 64)
	if err != nil {
		return c.text, KindDate, noDate
	}
	if n == math.Trunc(n) && !c.format.isDate() && n >= 1e7 && n < 1e8 { // later than a spreadsheet knows: no serial
		return dateText(strconv.FormatFloat(n, 'f', -1, 64), ISOOnly)
	}
	day, err := serialTime(n, t.date1904())
	switch {
	case err != nil:
		return c.text, KindDate, "This is no date: " + err.Error() + ". Write it as text, as in 2019-06-04."
	case c.format.class == timeFormat:
		return c.text, KindDate, "This is a time of day, not a date."
	case !c.format.isDate():
		return c.text, KindDate, fmt.Sprintf("This is the number %s, without a date format. As a date it would be %s: if "+
			"that is right, format the cell as a date.", shortNumber(n), day.Format(time.DateOnly))
	case !day.Equal(day.Truncate(24 * time.Hour)):
		return c.text, KindDate, fmt.Sprintf("The date has a time of day, %s. Write the date alone.", showTime(day))
	}
	return day.Format("20060102"), "", ""
}

const noDate = "This is no date. Write it as in 2019-06-04."

var dateForms = sync.OnceValue(func() [4]*regexp.Regexp {
	return [...]*regexp.Regexp{
		regexp.MustCompile(`^(\d{4})-(\d{1,2})-(\d{1,2})(?:[T ]([0-9:.]+Z?))?$`),
		regexp.MustCompile(`^(\d{4})(\d{2})(\d{2})$`),
		regexp.MustCompile(`^(\d{1,2})\. ?(\d{1,2})\. ?(\d{1,4})(?:[T ]([0-9:.]+))?$`),
		regexp.MustCompile(`^(\d{1,2})/(\d{1,2})/(\d{1,4})(?:[T ]([0-9:.]+))?$`),
	}
})

// dateText reads a date that is written out.
func dateText(s string, layout Layout) (value string, kind Kind, sentence string) {
	for i, form := range dateForms() {
		m := form.FindStringSubmatch(s)
		if m == nil {
			continue
		}
		year, month, day := m[1], m[2], m[3]
		switch {
		case strings.Trim(year+month+day, "0") == "":
			return s, KindDate, "The date is all zeros. If it is not known, leave the cell empty."
		case i < 2:
		case i == 2 && layout == DayFirst:
			year, day = day, year
		case i == 3 && layout == MonthFirst:
			year, month, day = m[3], m[1], m[2]
		case layout == ISOOnly:
			return s, KindDateLayout, "Which part is the day and which the month is not known. Choose the order of dates for " +
				"this file, or write it as in 2019-06-04."
		default:
			return s, KindDateLayout, "This is not a date of the form " + string(layout) + ", which was chosen for this file. " +
				"Write it so, or as in 2019-06-04."
		}
		if len(m) > 4 && strings.Trim(m[4], "0:.Z") != "" {
			return s, KindDate, "The date has a time of day, " + m[4] + ". Write the date alone."
		}
		return calendarDate(s, year, month, day, layout)
	}
	return s, KindDate, noDate
}

func calendarDate(s, year, month, day string, layout Layout) (value string, kind Kind, sentence string) {
	y, _ := strconv.Atoi(year)
	m, _ := strconv.Atoi(month)
	d, _ := strconv.Atoi(day)
	date := time.Date(y, time.Month(m), d, 0, 0, 0, 0, time.UTC)
	switch {
	case len(year) != 4:
		return s, KindDate, "The year must have four digits."
	case date.Day() != d || int(date.Month()) != m || y == 0:
		if layout != ISOOnly && m > 12 && d <= 12 {
			return s, KindDate, "There is no such day. " + string(layout) + " was chosen for this file; are its dates in " +
				"another order?"
		}
		return s, KindDate, "There is no such day in the calendar."
	}
	return date.Format("20060102"), "", ""
}
