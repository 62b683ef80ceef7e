// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dicomjson writes and reads the DICOM JSON model (PS3.18 annex F). Append writes one data set. A Decoder reads
// what servers send, which is seldom exactly what the standard says, data set by data set and within bounds.
package dicomjson

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// MediaType is the type of a body in the DICOM JSON model (PS3.18 8.7.3).
const MediaType = "application/dicom+json"

// Options say how a data set is written. The zero value is what the standard asks for.
type Options struct {
	// InlineBinary is the largest binary value, in bytes, that stands in the JSON as Base64; 1024 when 0, none below.
	// Palettes always do: viewers don't fetch them.
	InlineBinary int
	// BulkData gives the URI of a value that is not to stand in the JSON; nil, or an empty one: the element is written
	// without a value. It is asked for larger binary values, and for pixel data of any length, none included: who has
	// only what is before the pixel data puts an empty element in its place. The path is valid during the call.
	BulkData func(path Path) string
	// OmitUnparsable leaves out what is no number in IS and DS. Else it is written as a string (PS3.18 F.2.3.1), at which
	// some clients fail.
	OmitUnparsable bool
}

// Path names an element of a data set: the sequences and items around it, outermost first, then itself.
type Path []Step

// Step is one element of a Path.
type Step struct {
	Tag  dict.Tag
	Item int // of the sequence, counted from 0; 0 for the last step
}

// String returns the path as "00081140/0/00081155", for URLs.
func (p Path) String() string {
	var b []byte
	for i, s := range p {
		b = appendTag(b, s.Tag)
		if i < len(p)-1 {
			b = append(b, '/')
			b = append(strconv.AppendInt(b, int64(s.Item), 10), '/')
		}
	}
	return string(b)
}

const defaultInline = 1 << 10

// Append appends a data set as one JSON object, in tag order, with text in UTF-8. Group 0002 and group lengths are
// left out; Specific Character Set, where it is given or needed, is ISO_IR 192, and not told again in items. VRs are
// those of the data set: what was parsed from implicit VR has US where the dictionary says "US or SS". The error is
// that of a data set whose sequences are nested deeper than 32; b is then as it was.
func Append(b []byte, ds *stream.DataSet, o Options) ([]byte, error) {
	if o.InlineBinary == 0 {
		o.InlineBinary = defaultInline
	}
	w := writer{b: b, o: o}
	if err := w.dataSet(ds); err != nil {
		return b, err
	}
	if w.wide && !ds.Has(dict.SpecificCharacterSet) {
		const element = `"00080005":{"vr":"CS","Value":["ISO_IR 192"]}`
		if w.charset == 0 { // all stands before it
			w.b = slices.Insert(w.b, len(w.b)-1, []byte(","+element)...)
		} else {
			w.b = slices.Insert(w.b, w.charset, []byte(element+",")...)
		}
	}
	return w.b, nil
}

// writer appends one data set.
type writer struct {
	b    []byte
	o    Options
	path Path
	wide bool // there was text beyond ASCII

	charset int // where Specific Character Set belongs in b; 0: behind all elements
}

// written reports whether an element belongs in JSON: group 0002 is of the file, group lengths of the encoding.
func written(t dict.Tag) bool { return t.Group() != 2 && !t.IsGroupLength() && t.Group() != 0xFFFE }

func (w *writer) dataSet(ds *stream.DataSet) error {
	if len(w.path) > maxDepth {
		return errTooDeep(maxDepth)
	}
	w.b = append(w.b, '{')
	first := true
	for e := range ds.All() {
		if !written(e.Tag) || e.Tag == dict.SpecificCharacterSet && len(w.path) > 0 {
			continue
		}
		if !first {
			w.b = append(w.b, ',')
		}
		first = false
		if len(w.path) == 0 && w.charset == 0 && e.Tag > dict.SpecificCharacterSet {
			w.charset = len(w.b)
		}
		if err := w.element(ds, e); err != nil {
			return err
		}
	}
	w.b = append(w.b, '}')
	return nil
}

func (w *writer) element(ds *stream.DataSet, e stream.Element) error {
	vr := vrOf(e)
	w.b = appendTag(append(w.b, '"'), e.Tag)
	w.b = append(w.b, `":{"vr":"`...)
	w.b = append(w.b, byte(vr>>8), byte(vr), '"')
	w.path = append(w.path, Step{Tag: e.Tag})
	defer func() { w.path = w.path[:len(w.path)-1] }()
	switch {
	case vr == dict.SQ:
		if err := w.items(e.Items); err != nil {
			return err
		}
	case e.Tag == dict.SpecificCharacterSet:
		w.b = append(w.b, `,"Value":["ISO_IR 192"]`...)
	case vr.Text():
		w.text(ds.Strings(e.Tag), vr)
	case isBinary(vr):
		w.binary(e)
	default:
		w.numbers(e.Value, vr)
	}
	w.b = append(w.b, '}')
	return nil
}

// vrOf is the VR that an element is written with: that of the dictionary for what came without one (PS3.5 6.2.2).
func vrOf(e stream.Element) dict.VR {
	if e.VR.Known() && e.VR != dict.UN {
		return e.VR
	}
	if vr := dict.VROf(e.Tag); vr != dict.SQ && e.VR == dict.UN {
		return vr
	}
	return dict.UN
}

func (w *writer) items(items []*stream.DataSet) error {
	if len(items) == 0 {
		return nil
	}
	w.b = append(w.b, `,"Value":[`...)
	for i, item := range items {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		w.path[len(w.path)-1].Item = i
		if err := w.dataSet(item); err != nil {
			return err
		}
	}
	w.b = append(w.b, ']')
	return nil
}

// text writes values that are characters. An empty one among several is null (PS3.18 F.2.5).
func (w *writer) text(values []string, vr dict.VR) {
	begin, some := len(w.b), false
	w.b = append(w.b, `,"Value":[`...)
	for i, v := range values {
		if i > 0 {
			w.b = append(w.b, ',')
		}
		at := len(w.b)
		switch vr {
		case dict.PN:
			w.name(v)
		case dict.IS, dict.DS:
			w.decimal(v, vr)
		default:
			w.string(v)
		}
		if len(w.b) == at {
			w.b = append(w.b, "null"...)
		} else {
			some = true
		}
	}
	if !some && len(values) < 2 {
		w.b = w.b[:begin]
		return
	}
	w.b = append(w.b, ']')
}

// string writes a string; nothing for an empty one.
func (w *writer) string(s string) {
	if s != "" {
		w.quote(s)
	}
}

// name writes a person's name by its component groups; nothing for an empty one.
func (w *writer) name(s string) {
	first := true
	for i, group := range strings.SplitN(s, "=", len(nameGroups)+1) {
		group = strings.Trim(group, " ")
		if i >= len(nameGroups) || group == "" {
			continue
		}
		if first {
			w.b = append(w.b, '{')
		} else {
			w.b = append(w.b, ',')
		}
		first = false
		w.b = append(w.b, '"')
		w.b = append(w.b, nameGroups[i]...)
		w.b = append(w.b, '"', ':')
		w.quote(group)
	}
	if !first {
		w.b = append(w.b, '}')
	}
}

// nameGroups are the component groups of PN, in order (PS3.18 F.2.2).
var nameGroups = []string{"Alphabetic", "Ideographic", "Phonetic"}

// decimal writes a value of IS or DS as a number with the digits that it has.
func (w *writer) decimal(s string, vr dict.VR) {
	n, ok := number(s, vr)
	switch {
	case ok:
		w.b = append(w.b, n...)
	case !w.o.OmitUnparsable:
		w.string(s)
	}
}

// maxExact is 2^53: JSON readers keep whole numbers up to there.
const maxExact = 1 << 53

// number gives the JSON form of a decimal text: no sign +, no zeros in front, digits before and behind the point. ok is
// false for what is no number, or one that readers of JSON can't hold.
func number(s string, vr dict.VR) (n string, ok bool) {
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) || strings.ContainsAny(s, "xX_pP") {
		return "", false
	}
	if vr == dict.IS {
		if f != math.Trunc(f) || math.Abs(f) > maxExact {
			return "", false
		}
		return strconv.FormatInt(int64(f), 10), true // "5.0", which is not allowed and met, too
	}
	s, negative := strings.CutPrefix(strings.TrimPrefix(s, "+"), "-")
	digits, exponent := s, ""
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		digits, exponent = s[:i], s[i:]
	}
	whole, part, _ := strings.Cut(digits, ".")
	if whole = strings.TrimLeft(whole, "0"); whole == "" {
		whole = "0"
	}
	if negative {
		whole = "-" + whole
	}
	if part != "" {
		part = "." + part
	}
	return whole + part + exponent, true
}

// numbers writes binary numbers.
func (w *writer) numbers(v []byte, vr dict.VR) {
	width := vr.Width()
	if vr == dict.AT {
		width = 4
	}
	if len(v) < width {
		return
	}
	w.b = append(w.b, `,"Value":[`...)
	for ; len(v) >= width; v = v[width:] {
		w.number(v, vr)
		w.b = append(w.b, ',')
	}
	w.b[len(w.b)-1] = ']'
}

func (w *writer) number(v []byte, vr dict.VR) {
	le := binary.LittleEndian
	switch vr {
	case dict.US:
		w.b = strconv.AppendUint(w.b, uint64(le.Uint16(v)), 10)
	case dict.SS:
		w.b = strconv.AppendInt(w.b, int64(int16(le.Uint16(v))), 10)
	case dict.UL:
		w.b = strconv.AppendUint(w.b, uint64(le.Uint32(v)), 10)
	case dict.SL:
		w.b = strconv.AppendInt(w.b, int64(int32(le.Uint32(v))), 10)
	case dict.UV:
		n := le.Uint64(v)
		w.exact(strconv.FormatUint(n, 10), n <= maxExact)
	case dict.SV:
		n := int64(le.Uint64(v))
		w.exact(strconv.FormatInt(n, 10), -maxExact <= n && n <= maxExact)
	case dict.FL:
		w.float(float64(math.Float32frombits(le.Uint32(v))), 32)
	case dict.FD:
		w.float(math.Float64frombits(le.Uint64(v)), 64)
	case dict.AT:
		w.b = append(w.b, '"')
		w.b = appendTag(w.b, dict.NewTag(le.Uint16(v), le.Uint16(v[2:])))
		w.b = append(w.b, '"')
	}
}

// exact writes a whole number, as a string if readers would round it (PS3.18 F.2.3.1).
func (w *writer) exact(n string, fits bool) {
	if !fits {
		n = `"` + n + `"`
	}
	w.b = append(w.b, n...)
}

// float writes a number, and as strings what JSON has no numbers for.
func (w *writer) float(f float64, bits int) {
	switch {
	case math.IsNaN(f):
		w.b = append(w.b, `"NaN"`...)
	case math.IsInf(f, 1):
		w.b = append(w.b, `"Infinity"`...)
	case math.IsInf(f, -1):
		w.b = append(w.b, `"-Infinity"`...)
	default:
		w.b = strconv.AppendFloat(w.b, f, 'g', -1, bits)
	}
}

// isBinary reports whether values are written as bytes (PS3.18 F.2.2, InlineBinary and BulkDataURI).
func isBinary(vr dict.VR) bool {
	switch vr {
	case dict.OB, dict.OD, dict.OF, dict.OL, dict.OV, dict.OW, dict.UN:
		return true
	}
	return false
}

// binary writes bytes, or where they are.
func (w *writer) binary(e stream.Element) {
	pixels := e.Tag == dict.PixelData || e.Tag == dict.FloatPixelData || e.Tag == dict.DoubleFloatPixelData
	inline := len(e.Value) > 0 && (len(e.Value) <= w.o.InlineBinary || isPalette(e.Tag)) && !isFragments(e)
	if w.o.BulkData != nil && (pixels || len(e.Value) > 0 && !inline) {
		if uri := w.o.BulkData(w.path); uri != "" {
			w.b = append(w.b, `,"BulkDataURI":`...)
			w.quote(uri)
			return
		}
	}
	if inline {
		w.b = append(w.b, `,"InlineBinary":"`...)
		w.b = base64.StdEncoding.AppendEncode(w.b, e.Value)
		w.b = append(w.b, '"')
	}
}

// isPalette reports whether an element is the data of a palette (PS3.3 C.7.9): of the colors, alpha, or segments.
func isPalette(t dict.Tag) bool {
	return t >= dict.RedPaletteColorLookupTableData && t <= dict.AlphaPaletteColorLookupTableData ||
		t >= dict.SegmentedRedPaletteColorLookupTableData && t <= dict.SegmentedAlphaPaletteColorLookupTableData
}

// isFragments reports whether a value is encapsulated pixel data, which is not one value.
func isFragments(e stream.Element) bool {
	return e.Tag == dict.PixelData && bytes.HasPrefix(e.Value, []byte{0xFE, 0xFF, 0x00, 0xE0})
}

const hexDigits = "0123456789ABCDEF"

func appendTag(b []byte, t dict.Tag) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		b = append(b, hexDigits[t>>shift&0xF])
	}
	return b
}

// quote writes a JSON string (RFC 8259 7).
func (w *writer) quote(s string) {
	w.b = append(w.b, '"')
	for len(s) > 0 {
		n := 0
		for n < len(s) && s[n] >= ' ' && s[n] < utf8.RuneSelf && s[n] != '"' && s[n] != '\\' {
			n++
		}
		w.b = append(w.b, s[:n]...)
		if s = s[n:]; s == "" {
			break
		}
		r, size := utf8.DecodeRuneInString(s)
		s = s[size:]
		switch {
		case r == '"' || r == '\\':
			w.b = append(w.b, '\\', byte(r))
		case r < ' ':
			w.b = append(w.b, '\\', 'u', '0', '0', hexDigits[r>>4], hexDigits[r&0xF])
		default:
			w.wide = true
			w.b = utf8.AppendRune(w.b, r)
		}
	}
	w.b = append(w.b, '"')
}

var utf8Terms = []string{charset.UTF8}
