// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"

	"github.com/adit-go/adit/dicom/charset"
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

// assignments gives what is to be assigned, in the order of tags. The first is Specific Character Set, for objects that
// move to ISO_IR 192.
func (p *Profile) assignments(sub *Subject) (list []assignment) {
	add := func(tag dict.Tag, text string) {
		list = append(list, assignment{tag: tag, vr: dict.VROf(tag), text: text})
	}
	required := func(tag dict.Tag, text string) {
		list = append(list, assignment{tag: tag, vr: dict.VROf(tag), text: text, ifAbsent: true})
	}
	add(dict.SpecificCharacterSet, charset.UTF8)
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
		required(dict.ClinicalTrialSponsorName, dummyText)
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
	add(dict.PatientIdentityRemoved, yesNo(p.basicWhole))
	add(dict.DeidentificationMethod, p.name+" "+p.version+`\`+p.hash)
	add(dict.DeidentificationMethodCodeSequence, "")
	add(dict.LongitudinalTemporalInformationModified, p.temporal)
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

// flush writes the assignments before a tag that the object hasn't; pos is the place in the input.
func (w *rewriter) flush(lv *level, before dict.Tag, pos int) error {
	for lv.top && len(w.assign) > 0 && w.assign[0].tag < before {
		a := w.assign[0]
		w.assign = w.assign[1:]
		if a.tag.Group() != lv.group {
			w.openGroup(lv, a.tag.Group(), pos)
		}
		if err := w.write(a, lv, &elem{Head: stream.Head{Tag: a.tag}}); err != nil {
			return err
		}
	}
	return nil
}

// replace writes the assignment in the place of an element; false if the element's own rule is to decide.
func (w *rewriter) replace(e *elem, lv *level) (bool, error) {
	a := w.assign[0]
	switch {
	case a.ifAbsent, a.tag == dict.DeidentificationMethodCodeSequence && (e.Content == stream.Items || e.VR == dict.UN):
		// Existing items stay, ours are appended by sequence.
		w.assign = w.assign[1:]
		return false, nil
	}
	w.assign, w.done = w.assign[1:], a.tag
	return true, w.write(a, lv, e)
}

const alwaysAssigned = "always: given by subject and profile"

func (w *rewriter) write(a assignment, lv *level, e *elem) error {
	begin := len(w.out)
	switch a.tag {
	case dict.DeidentificationMethodCodeSequence:
		if len(w.s.p.codes) == 0 {
			if e.in != nil {
				w.tell(e, Remove, "the profile has no codes to give", begin, lv)
			}
			return nil
		}
		w.out = lv.enc.AppendHead(w.out, a.tag, dict.SQ, 0)
		content := len(w.out)
		w.out = w.appendMethods(w.out, lv.enc, nil)
		lv.enc.PutUint32(w.out[content-4:], uint32(len(w.out)-content))
		w.tellAdded(e, lv.enc, content)
	case dict.PatientComments:
		a.text = w.comment()
		fallthrough
	default:
		b, err := w.encode(a.text, a.vr, lv)
		if err != nil {
			return err
		}
		w.put(lv, a.tag, a.vr, b)
	}
	w.tell(e, Assign, alwaysAssigned, begin, lv)
	return nil
}

// comment is what XNAT routes by: dates as sent.
func (w *rewriter) comment() string {
	date := func(i int) string { return string(trimmed(w.out[w.date[i].begin:w.date[i].end])) }
	sub := &w.s.subject
	return "Project:" + sub.TrialID + " Subject:" + sub.Pseudonym + " Session:" + sub.Pseudonym + "_" + date(0) + "-" + date(1)
}

// appendMethods appends the items of (0012,0064) that say what is done (CID 7050), but those that existing items say.
func (w *rewriter) appendMethods(b []byte, enc stream.Encoding, existing []byte) []byte {
	for _, m := range w.s.p.codes {
		if bytes.Contains(existing, []byte(m.code)) {
			continue
		}
		b = enc.AppendHead(b, dict.ItemTag, 0, 0)
		begin := len(b)
		b = appendText(b, enc, dict.CodeValue, dict.SH, m.code)
		b = appendText(b, enc, dict.CodingSchemeDesignator, dict.SH, "DCM")
		b = appendText(b, enc, dict.CodeMeaning, dict.LO, m.meaning)
		enc.PutUint32(b[begin-4:], uint32(len(b)-begin))
	}
	return b
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
