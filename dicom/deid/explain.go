// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Explained is what happens to one attribute. It shows values: it is for the eyes of whoever has the file.
type Explained struct {
	Path    string // tags from the outermost sequence on, items counted from 1: "(0040,0275)[1] (0040,0007)"
	Keyword string // empty for what the dictionary doesn't know
	Before  string // as text, shortened; empty too where the attribute is new
	Action  Action
	Rule    string // what decided
	After   string // empty too where the attribute is gone
}

// Explain does what Rewrite does, reads the instance to its end, and tells what became of each attribute: of the header
// in the order of their ends, then of what stands behind it, which is told by its heads alone. The error is that of
// Rewrite, or of reading what is rewritten; the list then holds what was decided before.
func (s *Session) Explain(o *stream.Object) ([]Explained, *Report, error) {
	list := []Explained{}
	report, err := s.traced(o, &list)
	if err == nil {
		_, err = o.WriteTo(io.Discard)
	}
	return list, report, err
}

// ExplainLead tells what becomes of the preamble and the file meta information that lead a file (PS3.10): both are
// written anew, for the instance as it goes out. lead is the file's beginning, of which group 0002 is what counts.
func ExplainLead(lead []byte, sent stream.FileMeta) []Explained {
	const preamble = 128
	before, after := lead[:min(len(lead), preamble)], sent.AppendTo(nil)
	const why = "the preamble is written anew"
	first := Explained{
		Path: "preamble", Before: showBytes(before), Action: Keep, Rule: why, After: showBytes(after[:preamble]),
	}
	if !bytes.Equal(before, after[:preamble]) {
		first.Action = Replace
	}
	list := []Explained{first}
	old, made := metaElements(lead), metaElements(after)
	for _, tag := range slices.Sorted(tagsOf(old, made)) {
		x := Explained{Path: tag.String(), Keyword: tag.Keyword(), Rule: "file meta information is written anew"}
		was, there := old[tag]
		now, stays := made[tag]
		x.Before, x.After = show(was.value, was.Head, 0, was.enc, nil), show(now.value, now.Head, 0, now.enc, nil)
		switch {
		case !stays:
			x.Action = Remove
		case there && bytes.Equal(was.value, now.value):
			x.Action = Keep
		case tag == dict.MediaStorageSOPInstanceUID:
			x.Action, x.Rule = MapUID, "as SOP Instance UID"
		default:
			x.Action = Assign
		}
		list = append(list, x)
	}
	return list
}

// metaElement is an element of file meta information.
type metaElement struct {
	stream.Head
	enc   stream.Encoding
	value []byte
}

// metaElements reads what of group 0002 a file's beginning holds whole.
func metaElements(lead []byte) map[dict.Tag]metaElement {
	all := map[dict.Tag]metaElement{}
	enc := stream.EncodingOf(dict.TransferSyntaxOf(dict.ExplicitVRLittleEndian))
	for b := lead[min(len(lead), 132):]; ; {
		h, ok := enc.Head(b)
		if !ok || h.Tag.Group() != 2 || int64(h.Length) > int64(len(b)-h.Size) {
			return all
		}
		end := h.Size + int(h.Length)
		all[h.Tag] = metaElement{h, enc, b[h.Size:end]}
		b = b[end:]
	}
}

// tagsOf returns the tags of both, each once.
func tagsOf(a, b map[dict.Tag]metaElement) func(yield func(dict.Tag) bool) {
	return func(yield func(dict.Tag) bool) {
		for tag := range a {
			if !yield(tag) {
				return
			}
		}
		for tag := range b {
			if _, twice := a[tag]; !twice && !yield(tag) {
				return
			}
		}
	}
}

// tell counts what was done to an element, of which w.out[begin:] is what was written, and notes it if anybody wants
// that.
func (w *output) tell(e *values.Element, a Action, why string, begin int, lv *level) {
	w.note(a)
	w.act(e.Tag, a, why)
	if w.trace != nil {
		w.explain(e, &rules.Rule{VR: dict.VROf(e.Tag), Why: why}, a, begin, lv)
	}
}

// tellLater notes an element of which it is decided later whether it stays (settle). It returns its place in the trace.
func (w *output) tellLater(e *values.Element, why string, begin int, lv *level) int {
	if w.trace == nil {
		return 0
	}
	w.explain(e, &rules.Rule{VR: dict.VROf(e.Tag), Why: why}, Keep, begin, lv)
	return len(*w.trace) - 1
}

// settle decides on an element that was noted by tellLater.
func (w *output) settle(tag dict.Tag, told int, stays bool) {
	const why = "follows what becomes of its group"
	if stays {
		w.note(Keep)
		w.act(tag, Keep, why)
		return
	}
	w.note(Remove)
	w.act(tag, Remove, why)
	if w.trace != nil {
		x := &(*w.trace)[told]
		x.Action, x.After = Remove, ""
	}
}

// settleLength shows the group length that was corrected at a place of the output.
func (w *output) settleLength(lv *level, at int) {
	if w.trace != nil {
		(*w.trace)[lv.told].After = strconv.FormatUint(uint64(lv.enc.Uint32(w.out[at:])), 10)
	}
}

// tellAdded notes the elements of the items that were added to a sequence, which w.out[from:] holds.
func (w *output) tellAdded(e *values.Element, enc stream.Encoding, from int) {
	item := ""
	for pos := from; ; {
		h, ok := enc.Head(w.out[pos:])
		if !ok {
			return
		}
		pos += h.Size
		if h.Tag == dict.ItemTag {
			if w.trace != nil {
				item = fmt.Sprintf("%s[new] ", e.Tag)
			}
			continue
		}
		value := w.out[pos : pos+int(h.Length)]
		pos += int(h.Length)
		const why = "always: says what was done"
		w.note(Assign)
		w.act(h.Tag, Assign, why)
		if w.trace != nil {
			*w.trace = append(*w.trace, Explained{
				Path: item + h.Tag.String(), Keyword: h.Tag.Keyword(), Action: Assign, Rule: why,
				After: show(value, h, dict.VROf(h.Tag), enc, nil),
			})
		}
	}
}

// mark is how far the telling is.
type mark struct {
	counts [rules.Actions]int
	traced int
	acts   int
}

func (w *output) mark() mark {
	m := mark{counts: w.report.Counts, acts: len(w.acts)}
	if w.trace != nil {
		m.traced = len(*w.trace)
	}
	return m
}

// tellGone says of all that was told since m that it is gone after all.
func (w *output) tellGone(m mark, why string) {
	n := 0
	for a, now := range w.report.Counts {
		n += now - m.counts[a]
	}
	w.report.Counts = m.counts
	w.report.Counts[Remove] += n
	for i := range w.acts[m.acts:] {
		w.acts[m.acts+i].action, w.acts[m.acts+i].why = Remove, why
	}
	if w.trace == nil {
		return
	}
	for i := range (*w.trace)[m.traced:] {
		x := &(*w.trace)[m.traced+i]
		x.Action, x.Rule, x.After = Remove, why, ""
	}
}

// explain notes what was done to an element, of which w.out[begin:] is what was written.
func (w *output) explain(e *values.Element, r *rules.Rule, a Action, begin int, lv *level) {
	x := Explained{Keyword: e.Tag.Keyword(), Action: a, Rule: r.Why}
	x.Path = strings.Join(append(slices.Clip(w.path), e.Tag.String()), " ")
	if e.In != nil {
		x.Before = show(e.Value, e.Head, r.VR, lv.enc, lv.set)
	}
	if h, ok := lv.enc.Head(w.out[begin:]); ok {
		set := lv.set
		if w.utf8 {
			set, _ = charset.New([]string{charset.UTF8})
		}
		x.After = show(w.out[begin+h.Size:], h, r.VR, lv.enc, set)
	}
	if r.Over == nil && r.Action == Shift && a == r.Action {
		x.Rule += fmt.Sprintf(" (%d days)", w.s.offset)
	}
	*w.trace = append(*w.trace, x)
}

// explainHead tells of an element whose value nobody has.
func explainHead(h stream.Head, a Action, why string) Explained {
	x := Explained{Path: h.Tag.String(), Keyword: h.Tag.Keyword(), Action: a, Rule: why}
	switch {
	case h.Content == stream.Items && h.Length == stream.UndefinedLength:
		x.Before = "sequence"
	case h.Content == stream.Items:
		x.Before = fmt.Sprintf("sequence of %d bytes", h.Length)
	case h.Length == stream.UndefinedLength:
		x.Before = "fragments"
	default:
		x.Before = fmt.Sprintf("%d bytes", h.Length)
	}
	if a == Keep {
		x.After = x.Before
	}
	return x
}

// mostShown is how many characters of a value are shown.
const mostShown = 100

// show returns a value as text. vr is what the rule reads it by; numbers are read as they came.
func show(value []byte, h stream.Head, vr dict.VR, enc stream.Encoding, set *charset.Set) string {
	if vr == 0 || vr == dict.UN {
		vr = h.VR
	}
	if h.VR.Width() > 1 && h.VR.Known() {
		vr = h.VR
	}
	switch {
	case h.Content == stream.Items:
		return fmt.Sprintf("sequence of %d bytes", len(value))
	case h.Content == stream.Fragments:
		return showBytes(value)
	case !vr.Text():
		if text, err := appendNumbers(nil, value, vr, enc); err == nil {
			return string(text)
		}
		return showBytes(value)
	}
	if set == nil {
		set = values.ASCII
	}
	return shorten(values.Trim(set.Decode(value[:min(len(value), 4*mostShown)], vr)))
}

func shorten(s string) string {
	if text := []rune(s); len(text) > mostShown {
		return string(text[:mostShown]) + "…"
	}
	return s
}

// showBytes returns a few bytes as they are, and of more how many.
func showBytes(value []byte) string {
	switch {
	case len(value) > 0 && len(bytes.Trim(value, "\x00")) == 0:
		return fmt.Sprintf("%d null bytes", len(value))
	case len(value) > 16:
		return fmt.Sprintf("%d bytes", len(value))
	}
	return fmt.Sprintf("% X", value)
}

var errNoNumbers = errors.New("not numbers")

// appendNumbers writes binary numbers as text, with backslashes between them. Bytes and words of bulk data are none.
func appendNumbers(b, value []byte, vr dict.VR, enc stream.Encoding) ([]byte, error) {
	width := vr.Width()
	switch vr {
	case dict.AT:
		width = 4
	case dict.US, dict.SS, dict.UL, dict.SL, dict.UV, dict.SV, dict.FL, dict.FD:
	default:
		return nil, errNoNumbers
	}
	if len(value) == 0 || len(value)%width != 0 {
		return nil, errNoNumbers
	}
	var order binary.ByteOrder = binary.LittleEndian
	if enc.BigEndian() {
		order = binary.BigEndian
	}
	for i := 0; i < len(value); i += width {
		if i > 0 {
			b = append(b, '\\')
		}
		if len(b) > mostShown {
			return append(b, "…"...), nil
		}
		b = appendNumber(b, value[i:], vr, order)
	}
	return b, nil
}

func appendNumber(b, value []byte, vr dict.VR, order binary.ByteOrder) []byte {
	switch vr {
	case dict.AT:
		return append(b, dict.NewTag(order.Uint16(value), order.Uint16(value[2:])).String()...)
	case dict.US:
		return strconv.AppendUint(b, uint64(order.Uint16(value)), 10)
	case dict.SS:
		return strconv.AppendInt(b, int64(int16(order.Uint16(value))), 10)
	case dict.UL:
		return strconv.AppendUint(b, uint64(order.Uint32(value)), 10)
	case dict.SL:
		return strconv.AppendInt(b, int64(int32(order.Uint32(value))), 10)
	case dict.UV:
		return strconv.AppendUint(b, order.Uint64(value), 10)
	case dict.SV:
		return strconv.AppendInt(b, int64(order.Uint64(value)), 10)
	case dict.FL:
		return strconv.AppendFloat(b, float64(math.Float32frombits(order.Uint32(value))), 'g', -1, 32)
	}
	return strconv.AppendFloat(b, math.Float64frombits(order.Uint64(value)), 'g', -1, 64)
}
