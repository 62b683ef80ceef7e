// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// assignment is a top-level attribute that the subject or the profile gives a value.
type assignment struct {
	tag      dict.Tag
	vr       dict.VR
	text     string
	ifAbsent bool // one that is there goes the way of its rule
}

// assignments returns what is to be assigned, in the order of tags. The first is Specific Character Set, for instances
// that move to ISO_IR 192 or declare none.
func assignments(p *rules.Profile, sub *Subject) (list []assignment) {
	add := func(tag dict.Tag, text string) {
		list = append(list, assignment{tag: tag, vr: dict.VROf(tag), text: text})
	}
	required := func(tag dict.Tag, text string) {
		list = append(list, assignment{tag: tag, vr: dict.VROf(tag), text: text, ifAbsent: true})
	}
	add(dict.SpecificCharacterSet, "") // what its text is read in, or moved to
	if sub.Pseudonym == "" {
		if sub.TrialID != "" {
			add(dict.ClinicalTrialProtocolID, sub.TrialID)
		}
		if sub.TrialName != "" {
			add(dict.ClinicalTrialProtocolName, sub.TrialName)
		}
		return list
	}
	add(dict.PatientName, sub.Pseudonym)
	add(dict.PatientID, sub.Pseudonym)
	if sub.TrialID != "" {
		add(dict.PatientComments, "") // made of dates as sent, see comment
		required(dict.ClinicalTrialSponsorName, values.DummyText)
		add(dict.ClinicalTrialProtocolID, sub.TrialID)
	}
	switch {
	case sub.TrialName != "":
		add(dict.ClinicalTrialProtocolName, sub.TrialName)
	case sub.TrialID != "":
		required(dict.ClinicalTrialProtocolName, "")
	}
	if sub.TrialID != "" {
		required(dict.ClinicalTrialSiteID, "")
		required(dict.ClinicalTrialSiteName, "")
		add(dict.ClinicalTrialSubjectID, sub.Pseudonym)
	}
	add(dict.PatientIdentityRemoved, "") // as claimed
	// The hash is as long as a value may be. At the end it could be padded, which pydicom counts as too long.
	add(dict.DeidentificationMethod, p.Hash+`\`+p.Name+" "+p.Version)
	add(dict.DeidentificationMethodCodeSequence, "")
	add(dict.LongitudinalTemporalInformationModified, "") // by what became of dates
	return list
}

func yesNo(yes bool) string {
	if yes {
		return "YES"
	}
	return "NO"
}

// assignedTag is the tag of the next assignment.
func (w *rewriter) assignedTag() dict.Tag {
	if len(w.assign) == 0 {
		return 0
	}
	return w.assign[0].tag
}

// flush writes the assignments before a tag that the instance hasn't; pos is the place in the input.
func (w *rewriter) flush(lv *level, before dict.Tag, pos int) error {
	for lv.top && len(w.assign) > 0 && w.assign[0].tag < before {
		a := w.assign[0]
		w.assign = w.assign[1:]
		if a.tag.Group() != lv.group {
			w.openGroup(lv, a.tag.Group(), pos)
		}
		if err := w.write(a, lv, &values.Element{Head: stream.Head{Tag: a.tag}}); err != nil {
			return err
		}
	}
	return nil
}

// replace writes the assignment in the place of an element; false if the element's own rule is to decide.
func (w *rewriter) replace(e *values.Element, lv *level) (bool, error) {
	a := w.assign[0]
	w.assign = w.assign[1:]
	if a.ifAbsent {
		return false, nil
	}
	w.done = a.tag
	if a.tag == dict.DeidentificationMethodCodeSequence {
		if ok, err := w.keepMethodCodes(e, lv); ok || err != nil {
			return true, err
		}
	}
	return true, w.write(a, lv, e)
}

const alwaysAssigned = "always: given by subject and profile"

func (w *rewriter) write(a assignment, lv *level, e *values.Element) error {
	begin := len(w.out)
	switch a.tag {
	case dict.DeidentificationMethodCodeSequence:
		if codes, _ := w.codes(); len(codes) == 0 {
			if e.In != nil {
				w.tell(e, Remove, "the profile has no codes to give", begin, lv)
			}
			return nil
		}
		w.out = lv.enc.AppendHead(w.out, a.tag, dict.SQ, 0)
		content := len(w.out)
		w.said = w.said[:0]
		w.out = w.appendMethods(w.out, lv.enc)
		lv.enc.PutUint32(w.out[content-4:], uint32(len(w.out)-content))
		w.tellAdded(e, lv.enc, content)
	default:
		switch a.tag {
		case dict.SpecificCharacterSet:
			a.text = w.terms()
		case dict.PatientComments:
			a.text = w.comment()
		case dict.PatientIdentityRemoved:
			a.text = yesNo(w.claims&rules.BasicProfile != 0 && !w.doubt)
		case dict.DeidentificationMethod:
			a.text = methods(e, a.text, lv)
		case dict.LongitudinalTemporalInformationModified:
			a.text = w.told
		}
		b, err := w.encode(a.text, a.vr, lv)
		if err != nil {
			return err
		}
		w.put(lv, a.tag, a.vr, b)
	}
	w.tell(e, Assign, alwaysAssigned, begin, lv)
	return nil
}

// comment is what XNAT routes by: dates as sent, if they are dates.
func (w *rewriter) comment() string {
	first := func(i int, is func([]byte) bool) string {
		v, _, _ := bytes.Cut(w.out[w.date[i].begin:w.date[i].end], []byte{'\\'})
		if v = values.Trimmed(v); len(v) == 0 || !is(v) {
			return ""
		}
		return string(v)
	}
	sub := &w.s.subject
	return "Project:" + sub.TrialID + " Subject:" + sub.Pseudonym + " Session:" +
		sub.Pseudonym + "_" + first(0, values.IsDate) + "-" + first(1, values.IsClock)
}

func appendText(b []byte, enc stream.Encoding, tag dict.Tag, vr dict.VR, text string) []byte {
	pad := len(text) % 2
	b = enc.AppendHead(b, tag, vr, uint32(len(text)+pad))
	b = append(b, text...)
	if pad == 1 {
		b = append(b, ' ')
	}
	return b
}
