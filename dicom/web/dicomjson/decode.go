// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomjson

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// ErrMalformed is wrapped when bytes are not JSON, or not the DICOM JSON model. An end in the middle wraps
// io.ErrUnexpectedEOF instead.
var ErrMalformed = errors.New("not valid DICOM JSON")

// ErrTooLarge is wrapped when a limit is passed.
var ErrTooLarge = errors.New("the DICOM JSON is larger than allowed")

// Limits bound what a Decoder reads. Zero values mean the default.
type Limits struct {
	Bytes    int64 // of all that is read; default 1 GiB
	DataSet  int   // bytes of one data set; default 16 MiB
	Elements int   // elements and items of one data set, at all depths; default 262,144
	Depth    int   // sequences within sequences; default and most 32
}

const (
	defaultBytes    = 1 << 30
	defaultDataSet  = 16 << 20
	defaultElements = 1 << 18
	maxDepth        = 32
)

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = defaultBytes
	}
	if l.DataSet <= 0 {
		l.DataSet = defaultDataSet
	}
	if l.Elements <= 0 {
		l.Elements = defaultElements
	}
	if l.Depth <= 0 || l.Depth > maxDepth {
		l.Depth = maxDepth
	}
	return l
}

// Decoder reads data sets one after the other, in memory for one. It is for one goroutine.
//
// It takes what servers send: an array of data sets, one data set, or several one after the other; tags in any case, or
// keywords; numbers as strings and strings as numbers; no vr, for which the dictionary stands in; null for an empty
// value. It passes over members that it doesn't know. A value that its VR can't hold is left out, a bulk value is an
// empty element. "0110" and "A700" in US are hexadecimal, as servers write reasons of failure.
type Decoder struct {
	// BulkData is called, if it is set, for each element that is elsewhere, before its data set is given. The path is
	// valid during the call.
	BulkData func(path Path, uri string)

	s        scanner
	lim      Limits
	path     Path
	elements int // of the data set under way
}

// NewDecoder makes a Decoder. It reads ahead.
func NewDecoder(r io.Reader, lim Limits) *Decoder {
	lim = lim.orDefault()
	return &Decoder{lim: lim, s: scanner{r: r, bytes: lim.Bytes}}
}

// All yields the data sets, and the error that ended them: it wraps ErrMalformed, ErrTooLarge, io.ErrUnexpectedEOF or
// that of the reader. Text is in ISO_IR 192, or ASCII if it is all and no character set was named. No bytes at all, or
// blanks, are no data sets and no error. It is ranged over once.
func (d *Decoder) All() iter.Seq2[*stream.DataSet, error] {
	return func(yield func(*stream.DataSet, error) bool) {
		if err := d.all(func(ds *stream.DataSet) bool { return yield(ds, nil) }); err != nil && !errors.Is(err, errStopped) {
			yield(nil, err)
		}
	}
}

// errStopped tells that the consumer wants no more.
var errStopped = errors.New("stopped")

func (d *Decoder) all(yield func(*stream.DataSet) bool) error {
	if err := d.s.byteOrderMark(); err != nil {
		return err
	}
	for {
		c, err := d.s.next()
		if err == io.EOF { //nolint:errorlint // as a reader gives it: an error that wraps it is no end
			return nil
		}
		if err != nil {
			return err
		}
		switch c {
		case '{':
			err = d.one(yield)
		case '[':
			err = d.s.list(']', func(c byte) error {
				switch c {
				case '{':
					return d.one(yield)
				case 'n':
					return d.s.word("null")
				}
				return malformed("a data set must be an object")
			})
		default:
			err = malformed("it begins with neither a data set nor a list of them")
		}
		if err != nil {
			return whole(err)
		}
	}
}

// one reads a data set whose brace has been read.
func (d *Decoder) one(yield func(*stream.DataSet) bool) error {
	d.elements, d.path = 0, d.path[:0]
	d.s.object(d.lim.DataSet)
	var o object
	if err := d.object(&o); err != nil {
		return err
	}
	if err := d.s.objectEnd(); err != nil {
		return err
	}
	ds := &stream.DataSet{}
	if err := ds.SetCharset(utf8Terms...); err != nil {
		return err
	}
	o.into(ds)
	// Items have the character set from here on; a data set of ASCII that names none is left so.
	if o.named || d.s.wide || ds.SetCharset() != nil {
		if err := ds.SetCharset(utf8Terms...); err != nil {
			return err
		}
	}
	if !yield(ds) {
		return errStopped
	}
	return nil
}

// object is what an object of JSON may mean: a data set, or a person's name.
type object struct {
	elements []stream.Element // in the order in which they came
	groups   [3]string        // of the name
	named    bool             // Specific Character Set was there
}

// into puts the elements into a data set, in order: one by one in another order they would take a time that grows with
// the square of their number. Of those that come twice the last counts.
func (o *object) into(ds *stream.DataSet) *stream.DataSet {
	byTag := func(a, b stream.Element) int { return cmp.Compare(a.Tag, b.Tag) }
	if !slices.IsSortedFunc(o.elements, byTag) {
		slices.SortStableFunc(o.elements, byTag)
	}
	for _, e := range o.elements {
		ds.Put(e)
	}
	return ds
}

// object reads the members of a data set, an item or a person's name.
func (d *Decoder) object(o *object) error {
	return d.s.members(func(key string, c byte) error {
		for i, group := range nameGroups {
			if len(d.path) > 0 && strings.EqualFold(key, group) {
				text, err := d.s.scalar(c)
				o.groups[i] = string(text)
				return err
			}
		}
		tag, ok := tagOf(key)
		if !ok || !written(tag) {
			return d.s.skip(c)
		}
		if tag == dict.SpecificCharacterSet {
			o.named = true
			return d.s.skip(c) // JSON is UTF-8, whatever it says
		}
		d.path = append(d.path, Step{Tag: tag})
		defer func() { d.path = d.path[:len(d.path)-1] }()
		e, err := d.element(tag, c)
		o.elements = append(o.elements, e)
		return err
	})
}

// tagOf understands "00100020" in any case, "(0010,0020)" and "PatientID".
func tagOf(key string) (dict.Tag, bool) {
	hex := strings.Trim(strings.ReplaceAll(key, ",", ""), "()")
	if len(hex) == 8 {
		if n, err := strconv.ParseUint(hex, 16, 32); err == nil {
			return dict.Tag(n), true
		}
	}
	e, ok := dict.ByKeyword(key)
	return e.Tag, ok
}

// value is what an element says of its value, whose VR may come last.
type value struct {
	vr     dict.VR
	text   []byte // of all values, with backslashes between, as in DICOM
	count  int
	items  []*stream.DataSet
	bytes  []byte
	inline bool
	names  bool // there was a person's name
}

func (d *Decoder) element(tag dict.Tag, c byte) (stream.Element, error) {
	err := d.count()
	var v value
	switch {
	case err != nil:
	case c == '{':
		err = d.s.members(func(key string, c byte) error { return d.member(&v, key, c) })
	case c == 'n':
		err = d.s.word("null")
	default:
		err = malformed("element " + tag.String() + " must be an object")
	}
	return v.element(tag), err
}

func (d *Decoder) count() error {
	if d.elements++; d.elements > d.lim.Elements {
		return fmt.Errorf("%w: a data set has more than %d elements and items", ErrTooLarge, d.lim.Elements)
	}
	return nil
}

// member reads a member of an element.
func (d *Decoder) member(v *value, key string, c byte) error {
	switch key {
	case "vr":
		text, err := d.s.scalar(c)
		if len(text) == 2 {
			v.vr = dict.VR(text[0])<<8 | dict.VR(text[1])
		}
		return err
	case "Value":
		if c == '[' {
			return d.s.list(']', func(c byte) error { return d.value(v, c) })
		}
		return d.value(v, c)
	case "InlineBinary":
		if c == '[' { // as one value of a list, as some write it
			return d.s.list(']', func(c byte) error { return d.inline(v, c) })
		}
		return d.inline(v, c)
	case "BulkDataURI":
		uri, err := d.s.scalar(c)
		if err == nil && d.BulkData != nil {
			d.BulkData(d.path, string(uri))
		}
		return err
	}
	return d.s.skip(c)
}

func (d *Decoder) inline(v *value, c byte) error {
	text, err := d.s.scalar(c)
	if err != nil {
		return err
	}
	v.inline = true
	v.bytes = make([]byte, base64.RawStdEncoding.DecodedLen(len(text)))
	for len(text) > 0 && text[len(text)-1] == '=' {
		text = text[:len(text)-1]
	}
	n, err := base64.RawStdEncoding.Decode(v.bytes, text)
	if err != nil {
		return malformed("InlineBinary of " + d.path[len(d.path)-1].Tag.String() + " is not Base64")
	}
	v.bytes = v.bytes[:n]
	return nil
}

// value reads one value.
func (d *Decoder) value(v *value, c byte) error {
	if v.count++; v.count > 1 {
		v.text = append(v.text, '\\')
	}
	if c != '{' {
		text, err := d.s.scalar(c)
		v.text = append(v.text, text...)
		if c == 'n' { // an empty item of a sequence, if it is one
			d.path[len(d.path)-1].Item++
		}
		return err
	}
	if err := d.count(); err != nil {
		return err
	}
	if len(d.path) > d.lim.Depth {
		return errTooDeep(d.lim.Depth)
	}
	var o object
	if err := d.object(&o); err != nil {
		return err
	}
	d.path[len(d.path)-1].Item++
	if name := strings.TrimRight(strings.Join(o.groups[:], "="), "="); name != "" {
		v.text, v.names = append(v.text, name...), true
	}
	v.items = append(v.items, o.into(&stream.DataSet{}))
	return nil
}

// element makes the element of a value.
func (v *value) element(tag dict.Tag) stream.Element {
	vr := v.vr
	if !vr.Known() {
		vr = dict.VROf(tag)
		switch {
		case vr != dict.UN:
		case v.names:
			vr = dict.PN
		case len(v.items) > 0:
			vr = dict.SQ
		}
	}
	e := stream.Element{Tag: tag, VR: vr}
	switch {
	case vr == dict.SQ:
		e.Items = v.items
	case v.inline:
		e.Value = v.bytes
	case vr.Text() || vr == dict.UN:
		e.Value = v.text
	case !isBinary(vr):
		e.Value = v.numbers(tag, vr)
	}
	return e
}

// numbers gives binary numbers; none if one of them is no number that the VR can hold.
func (v *value) numbers(tag dict.Tag, vr dict.VR) []byte {
	if len(v.text) == 0 {
		return nil
	}
	texts := strings.Split(string(v.text), `\`)
	for i, s := range texts {
		n, ok := holds(vr, strings.TrimSpace(s))
		if !ok {
			return nil
		}
		texts[i] = n
	}
	var ds stream.DataSet
	ds.SetVR(tag, vr, texts...)
	e, _ := ds.Get(tag)
	return e.Value
}

// holds reports whether a VR can hold a number, and gives it as it is written there.
func holds(vr dict.VR, s string) (string, bool) {
	switch vr {
	case dict.AT:
		tag, ok := tagOf(s)
		return tag.String(), ok
	case dict.FL, dict.FD:
		_, err := strconv.ParseFloat(s, 64)
		return s, err == nil || errors.Is(err, strconv.ErrRange)
	case dict.UV:
		_, err := strconv.ParseUint(s, 10, 64)
		return s, err == nil
	case dict.SV:
		_, err := strconv.ParseInt(s, 10, 64)
		return s, err == nil
	}
	if vr == dict.US && isHex(s) {
		n, err := strconv.ParseUint(s, 16, 16)
		return strconv.FormatUint(n, 10), err == nil
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		f, err := strconv.ParseFloat(s, 64) // 5.0 and 5e3
		if n = int64(f); err != nil || math.Abs(f) > maxExact || float64(n) != f {
			return "", false
		}
	}
	least, most := int64(0), int64(math.MaxUint16)
	switch vr {
	case dict.SS:
		least, most = math.MinInt16, math.MaxInt16
	case dict.UL:
		most = math.MaxUint32
	case dict.SL:
		least, most = math.MinInt32, math.MaxInt32
	}
	return strconv.FormatInt(n, 10), least <= n && n <= most
}

// isHex reports whether a number is four hexadecimal digits that can't be decimal: "0110" and "C122", as some servers
// write Failure Reason (0008,1197).
func isHex(s string) bool {
	return len(s) == 4 && (s[0] == '0' || strings.ContainsAny(s, "abcdefABCDEF"))
}

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrMalformed, what) }

func errTooDeep(depth int) error {
	return fmt.Errorf("%w: sequences are nested deeper than %d", ErrTooLarge, depth)
}

// whole turns the end of the input into that of an answer that broke off.
func whole(err error) error {
	if err == io.EOF { //nolint:errorlint // as a reader gives it: an error that wraps it is no end
		return fmt.Errorf("the DICOM JSON ends in the middle: %w", io.ErrUnexpectedEOF)
	}
	return err
}
