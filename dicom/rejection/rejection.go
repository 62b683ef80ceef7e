// SPDX-License-Identifier: AGPL-3.0-or-later

// Package rejection reads rejection notes: Key Object Selection Documents (PS3.3 A.35.4) whose title says that the
// instances they name must no longer be used (IHE Radiology, Imaging Instance Change Management).
package rejection

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

const (
	// MaxReferences bounds how many instances a note may name.
	MaxReferences = 100_000
	maxBytes      = 48 << 20 // room for so many, twice
)

// reasons are the titles of CID 7010 (PS3.16) that reject, under the designator DCM.
var reasons = map[string]string{
	"113001": "Rejected for Quality Reasons",
	"113037": "Rejected for Patient Safety Reasons",
	"113038": "Incorrect Modality Worklist Entry",
	"113039": "Data Retention Policy Expired",
}

// Note is what a rejection note says.
type Note struct {
	SOPInstanceUID   string   // of the note itself
	StudyInstanceUID string   // of the note and of all that it rejects
	Code             string   // 113001, 113037, 113038 or 113039 of the scheme DCM
	Meaning          string   // as the standard has it, whatever the note says
	Instances        []string // SOP Instance UIDs, sorted
}

var (
	// ErrTooMany says that a note names more instances than MaxReferences.
	ErrTooMany = fmt.Errorf("the rejection note names more than %d instances", MaxReferences)

	// ErrNothing says that a note names no instance of its own study, which no note may.
	ErrNothing = errors.New("the rejection note names no instance of its study")
)

// Read reads a data set from r, at most 48 MiB of it. ok is false if it is no rejection note. Errors are those of Of
// and of stream.Open.
func Read(r io.Reader, transferSyntaxUID string) (n Note, ok bool, err error) {
	o, err := stream.Open(r, transferSyntaxUID, stream.Limits{Header: maxBytes})
	if err != nil {
		return Note{}, false, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	return Of(o)
}

// Of reads an instance that is open, and leaves it as it is. ok is false if it is no rejection note.
//
// What is rejected are the instances of the note's own study in Current Requested Procedure Evidence Sequence, which
// lists all that the document refers to (PS3.3 C.17.6.2), and those that its content refers to: writers fill the one or
// the other. A presentation state that the content names only as a way to show a rejected image is listed as evidence,
// too, but is not rejected. Copies of the note in other studies (Identical Documents Sequence) name the instances
// there.
func Of(o *stream.Object) (n Note, ok bool, err error) {
	h := o.Header()
	if h.SOPClassUID() != dict.KeyObjectSelectionDocumentStorage {
		return Note{}, false, nil
	}
	if body, more := o.Body(); more && body.Tag <= dict.ContentSequence {
		return Note{}, false, fmt.Errorf("the key object: %s: %w", body.Tag, stream.ErrTooLarge)
	}
	r := reader{h: h, content: map[string]bool{}, shown: map[string]bool{}}
	if err := r.read(); err != nil {
		return Note{}, false, err
	}
	meaning, ok := reasons[r.code]
	if !ok || r.scheme != "DCM" {
		return Note{}, false, nil
	}
	n = Note{
		SOPInstanceUID: h.SOPInstanceUID(), StudyInstanceUID: h.Text(dict.StudyInstanceUID),
		Code: r.code, Meaning: meaning, Instances: r.rejected(),
	}
	if len(n.Instances) == 0 {
		return Note{}, false, ErrNothing
	}
	return n, true, nil
}

// reader goes through the header in one pass.
type reader struct {
	h            *stream.Header
	titles       int // items of the title's sequence so far
	code, scheme string
	evidence     []reference
	study        string          // of the item of evidence in hand, which comes behind its references
	open         int             // where its references begin
	content      map[string]bool // what the content refers to
	shown        map[string]bool // what it refers to within such a reference
}

// reference is an instance that the evidence lists.
type reference struct{ uid, study string }

var (
	pathTitle    = []dict.Tag{dict.ConceptNameCodeSequence}
	pathStudy    = []dict.Tag{dict.CurrentRequestedProcedureEvidenceSequence}
	pathEvidence = []dict.Tag{
		dict.CurrentRequestedProcedureEvidenceSequence, dict.ReferencedSeriesSequence, dict.ReferencedSOPSequence,
	}
)

func (r *reader) read() error {
	for t := range r.h.Tokens() {
		switch {
		case slices.Equal(t.Path, pathTitle):
			r.title(t)
		case slices.Equal(t.Path, pathStudy):
			r.evidenceOfStudy(t)
		case t.Kind == stream.ValueToken && t.Tag == dict.ReferencedSOPInstanceUID:
			r.refer(t)
		}
		if len(r.evidence) > MaxReferences || len(r.content)+len(r.shown) > MaxReferences {
			return ErrTooMany
		}
	}
	r.endStudy()
	return nil
}

func (r *reader) title(t stream.Token) {
	switch {
	case t.Kind == stream.ItemToken:
		r.titles++
	case r.titles != 1:
	case t.Tag == dict.CodeValue:
		r.code = r.text(t)
	case t.Tag == dict.CodingSchemeDesignator:
		r.scheme = r.text(t)
	}
}

func (r *reader) evidenceOfStudy(t stream.Token) {
	switch {
	case t.Kind == stream.ItemToken:
		r.endStudy()
	case t.Kind == stream.ValueToken && t.Tag == dict.StudyInstanceUID:
		r.study = r.text(t)
	}
}

// endStudy gives the references of an item of evidence their study.
func (r *reader) endStudy() {
	for i := range r.evidence[r.open:] {
		r.evidence[r.open+i].study = r.study
	}
	r.open, r.study = len(r.evidence), ""
}

func (r *reader) refer(t stream.Token) {
	uid := r.text(t)
	if uid == "" {
		return
	}
	if slices.Equal(t.Path, pathEvidence) {
		r.evidence = append(r.evidence, reference{uid: uid})
		return
	}
	inner := t.Path
	for len(inner) > 0 && inner[0] == dict.ContentSequence {
		inner = inner[1:]
	}
	switch {
	case len(inner) == len(t.Path) || len(inner) == 0 || inner[0] != dict.ReferencedSOPSequence:
	case len(inner) == 1:
		r.content[uid] = true
	default:
		r.shown[uid] = true
	}
}

// rejected returns what is of the note's study, sorted.
func (r *reader) rejected() []string {
	study := r.h.Text(dict.StudyInstanceUID)
	out := maps.Clone(r.content)
	for _, e := range r.evidence {
		switch {
		case e.study != study:
			delete(out, e.uid)
		case !r.shown[e.uid]:
			out[e.uid] = true
		}
	}
	return slices.Sorted(maps.Keys(out))
}

func (r *reader) text(t stream.Token) string {
	return string(bytes.Trim(r.h.ValueOf(t), " \x00"))
}
