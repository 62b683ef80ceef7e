// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/charset"
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

// errExplained ends a rewrite whose result nobody wants.
var errExplained = errors.New("explained")

// Explain tells what Rewrite would do to each attribute of the header, in the order of their ends; the object stays as it
// is. Errors are those of Rewrite.
func (s *Session) Explain(o *stream.Object) ([]Explained, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := []Explained{}
	report := Report{SOPInstanceUID: o.Header().SOPInstanceUID()}
	if s.subject.Pseudonym != "" {
		if err := s.admit(o, report.SOPInstanceUID); err != nil {
			return nil, err
		}
	}
	err := o.Rewrite(func(in, out []byte) ([]byte, error) {
		if _, err := s.w.run(o, in, out, &report, &list); err != nil {
			return nil, err
		}
		return nil, errExplained
	})
	if !errors.Is(err, errExplained) {
		return nil, unsafe(err, report.SOPInstanceUID)
	}
	return list, nil
}

// explain notes what was done to an element, of which w.out[begin:] is what was written.
func (w *rewriter) explain(e *elem, r *rule, a Action, begin int, lv *level) {
	x := Explained{Keyword: e.Tag.Keyword(), Action: a, Rule: r.why}
	x.Path = strings.Join(append(slices.Clip(w.path), e.Tag.String()), " ")
	vr := r.vr
	if vr == 0 || vr == dict.UN {
		vr = e.VR
	}
	if e.in != nil {
		x.Before = show(e.value, e.Content, vr, lv.set)
	}
	if h, ok := lv.enc.Head(w.out[begin:]); ok {
		set := lv.set
		if w.utf8 {
			set, _ = charset.New([]string{charset.UTF8})
		}
		x.After = show(w.out[begin+h.Size:], h.Content, vr, set)
	}
	if r.over == nil && r.action == Shift && a == r.action {
		x.Rule += fmt.Sprintf(" (%d days)", w.s.offset)
	}
	*w.trace = append(*w.trace, x)
}

// show gives a value as text of at most 100 characters.
func show(value []byte, content stream.Content, vr dict.VR, set *charset.Set) string {
	const most = 100
	switch {
	case content == stream.Items:
		return fmt.Sprintf("sequence of %d bytes", len(value))
	case content == stream.Fragments, !vr.Text():
		if len(value) > 16 {
			return fmt.Sprintf("%d bytes", len(value))
		}
		return fmt.Sprintf("% X", value)
	}
	if set == nil {
		set = ascii
	}
	text := []rune(trim(set.Decode(value[:min(len(value), 4*most)], vr)))
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
