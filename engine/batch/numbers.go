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
)

// A formatClass says what somebody sees who looks at a number.
type formatClass uint8

const (
	plainFormat      formatClass = iota // the number, perhaps with a thousands separator
	zerosFormat                         // the number with zeros before it
	dateFormat                          // a date
	timeFormat                          // a time of day, or how long something took
	dateTimeFormat                      // both
	percentFormat                       // 100 times the number
	scientificFormat                    // a few of its digits
	otherFormat                         // other text around it
)

// numberFormat is the number format of a cell.
type numberFormat struct {
	class formatClass
	zeros int // zerosFormat: how many digits are shown at least
	code  string
}

// builtInFormats are those of ECMA-376 part 1, 18.8.30 that are not in a file; those not named here are plain.
var builtInFormats = map[int]string{
	9: "0%", 10: "0.00%", 11: "0.00E+00", 14: "yyyy-mm-dd", 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM",
	19: "h:mm:ss AM/PM", 20: "h:mm", 21: "h:mm:ss", 22: "m/d/yy h:mm", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mmss.0",
	48: "##0.0E+0",
}

// formatOf returns the format of an ID, whose code the file may have.
func formatOf(id int, codes map[int]string) *numberFormat {
	if code, ok := codes[id]; ok {
		return parseFormat(code)
	}
	if id >= 27 && id <= 36 || id >= 50 && id <= 58 { // dates and times of East Asian languages, each another one
		return &numberFormat{class: dateTimeFormat}
	}
	return parseFormat(builtInFormats[id])
}

// parseFormat reads the code of a number format; of its sections the first, which positive numbers have.
func parseFormat(code string) *numberFormat {
	f := &numberFormat{code: code}
	signs, literal := formatSigns(code)
	signs = strings.ToLower(signs)
	switch {
	case signs == "general" || signs == "" && !literal || signs == "@":
	case strings.Contains(signs, "e+") || strings.Contains(signs, "e-"):
		f.class = scientificFormat
	case strings.ContainsAny(signs, "ydmhseg") && !strings.Contains(signs, "general"):
		f.class = dateClass(signs)
	case strings.Contains(signs, "%"):
		f.class = percentFormat
	case literal || strings.Trim(signs, "0#?,. ") != "":
		f.class = otherFormat
	case len(signs) > 1 && strings.Trim(signs, "0") == "":
		f.class, f.zeros = zerosFormat, len(signs)
	}
	return f
}

// dateClass tells what a date format shows. An m is a month or minutes; tenths of seconds are zeros.
func dateClass(signs string) formatClass {
	day, clock := strings.ContainsAny(signs, "yd"), strings.ContainsAny(signs, "hs0")
	switch {
	case day && clock:
		return dateTimeFormat
	case clock:
		return timeFormat
	}
	return dateFormat
}

// formatSigns returns the signs of the first section of a code without what is only written out, and whether there is
// anything of that but blanks.
func formatSigns(code string) (signs string, literal bool) {
	var out strings.Builder
	for rest := []rune(code); len(rest) > 0; {
		c := rest[0]
		rest = rest[1:]
		switch c {
		case ';':
			return out.String(), literal
		case '"', '[': // a colour, a condition, a currency or a language; or hours, minutes and seconds without an end
			end := slices.Index(rest, map[rune]rune{'"': '"', '[': ']'}[c])
			if end < 0 {
				return out.String(), true
			}
			in := string(rest[:end])
			rest = rest[end+1:]
			if c == '"' {
				literal = literal || strings.TrimSpace(in) != ""
			} else if strings.Trim(strings.ToLower(in), "hms") == "" {
				out.WriteString(in)
			}
		case '\\', '_', '*': // the character behind it, its width, or as many of it as fit
			if len(rest) > 0 {
				literal = literal || c == '\\' && rest[0] != ' '
				rest = rest[1:]
			}
		default:
			out.WriteRune(c)
		}
	}
	return out.String(), literal
}

// isDate reports whether a format shows a date or a time.
func (f *numberFormat) isDate() bool {
	return f.class == dateFormat || f.class == timeFormat || f.class == dateTimeFormat
}

// lastSerial is 9999-12-31 in the calendar that begins with 1900.
const (
	lastSerial  = 2958465
	days1904    = 1462 // between the two calendars
	leapDay1900 = 60   // 1900-02-29, which never was
)

// serialTime returns the day and time that a number means. Only its time of day counts if the day is 0.
func serialTime(serial float64, date1904 bool) (time.Time, error) {
	if date1904 && serial >= 0 {
		serial += days1904
	}
	day := math.Floor(serial)
	switch {
	case math.IsNaN(serial) || serial < 1 || serial >= lastSerial+1:
		return time.Time{}, fmt.Errorf("the number %s is no date", shortNumber(serial))
	case day == leapDay1900 && !date1904:
		return time.Time{}, fmt.Errorf("the number %s is 29 February 1900, a day that never was", shortNumber(serial))
	case day < leapDay1900:
		day++
	}
	start := time.Date(1899, 12, 30, 0, 0, 0, 0, time.UTC).AddDate(0, 0, int(day))
	return start.Add(dayTime(serial)), nil
}

// dayTime returns the time of day of a number, to the millisecond: a spreadsheet keeps no more.
func dayTime(serial float64) time.Duration {
	return time.Duration(math.Round((serial-math.Floor(serial))*86_400_000)) * time.Millisecond
}

// showSerial returns a date, a time or both as ISO 8601 has them.
func showSerial(serial float64, f *numberFormat, date1904 bool) (string, error) {
	if f.class == timeFormat {
		if serial < 0 {
			return "", fmt.Errorf("the number %s is no time", shortNumber(serial))
		}
		return showTime(time.Time{}.Add(dayTime(serial))), nil
	}
	t, err := serialTime(serial, date1904)
	if err != nil {
		return "", err
	}
	if t.Equal(t.Truncate(24 * time.Hour)) {
		return t.Format(time.DateOnly), nil
	}
	return t.Format(time.DateOnly) + " " + showTime(t), nil
}

func showTime(t time.Time) string { return t.Format("15:04:05.999") }

// shortNumber returns a number with the 15 digits that a spreadsheet keeps, without an exponent.
func shortNumber(n float64) string {
	s := strconv.FormatFloat(n, 'g', 15, 64)
	if n, err := strconv.ParseFloat(s, 64); err == nil && math.Abs(n) < 1e21 {
		return strconv.FormatFloat(n, 'f', -1, 64)
	}
	return s
}

// rewritten matches what a spreadsheet makes of a long number, or of a text such as 10E7, when it writes CSV.
var rewritten = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^-?\d(?:[.,]\d+)?E\+\d{2,3}$`) })

const asText = "Format the column as text, and write the value again."

// wholeNumber returns the digits that an ID which is kept as a number shows, or what is wrong with it.
func wholeNumber(raw string, f *numberFormat, date1904 bool) (digits string, kind Kind, sentence string) {
	n, err := strconv.ParseFloat(raw, 64)
	if err != nil || math.IsInf(n, 0) || math.IsNaN(n) {
		return raw, KindValue, "This is no number, though the file says so. " + asText
	}
	switch {
	case f.isDate():
		shown, err := showSerial(n, f, date1904)
		if err != nil {
			shown = shortNumber(n)
		}
		return shown, KindSpreadsheet, fmt.Sprintf("The spreadsheet has made a date or time of it: %s. %s", shown, asText)
	case f.class == percentFormat:
		shown := shortNumber(n*100) + "%"
		return shown, KindValue, fmt.Sprintf("%s is a percentage. %s", shown, asText)
	case f.class == scientificFormat:
		return raw, KindSpreadsheet, "Excel has rewritten this number. " + asText
	case n != math.Trunc(n):
		shown := shortNumber(n)
		return shown, KindSpreadsheet, fmt.Sprintf("%s is not a whole number. If it was a list or an ID with dots, the "+
			"spreadsheet has made a number of it. %s", shown, asText)
	case math.Abs(n) >= 1e15:
		return strings.TrimSpace(raw), KindSpreadsheet,
			"Excel keeps 15 digits of a number and has lost the others. " + asText
	case f.class == otherFormat:
		return shortNumber(n), KindSpreadsheet, fmt.Sprintf("The cell holds %s and shows it as %s. %s",
			shortNumber(n), f.code, asText)
	}
	digits = strconv.FormatFloat(n, 'f', -1, 64)
	if f.class == zerosFormat && n >= 0 && len(digits) < f.zeros {
		digits = strings.Repeat("0", min(f.zeros, 255)-len(digits)) + digits
	}
	return digits, "", ""
}
