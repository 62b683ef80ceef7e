// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// deciding are the attributes that decide whether an object may go out, whose it is, and how its text is read. Nobody knows which value
// of two its reader will take, so what has one of them twice is not sent.
var deciding = [...]dict.Tag{
	dict.SpecificCharacterSet, dict.ImageType, dict.SOPClassUID, dict.Modality, dict.PatientID,
	dict.StudyInstanceUID, dict.ConversionType, dict.BurnedInAnnotation, dict.RecognizableVisualFeatures, dict.SpecimenLabelInImage,
}

// admit applies the rules of refusal. What is nested decides nothing.
func (s *Session) admit(o *stream.Object, uid string) error {
	h := o.Header()
	bad := func(r Reason, detail string) error {
		return &UnsafeError{Reason: r, SOPInstanceUID: uid, Detail: detail}
	}
	for tag := range h.Repeated {
		if slices.Contains(deciding[:], tag) {
			return bad(Unparsable, tag.String()+" is there more than once, and nobody knows which of them counts; correct that at the source")
		}
	}
	if SeveralPatients(h) {
		return bad(Unparsable, "its Patient ID, or its Study Instance UID, has several values, and nobody knows which of them counts; correct that at the source")
	}
	s.issuers.take(h)
	if s.subject.Patient != PatientIdentity(h.Text(dict.PatientID), s.subject.Issuer, h.Text(dict.StudyInstanceUID)) {
		return bad(OtherPatient, "it is of another patient than the one that the pseudonym stands for; see that the study at the source holds one patient")
	}
	if err := s.tells(o, uid); err != nil {
		return err
	}
	sopClass, _ := h.Get(dict.SOPClassUID)
	class := s.class(trimmed(sopClass.Value))
	if named := o.Received().MediaStorageSOPClassUID; named != "" && named != string(trimmed(sopClass.Value)) {
		return bad(Unparsable, "its file meta information names another SOP class than its data set; correct that at the source")
	}
	if !class.storage && s.p.refuses(UnknownSOPClass) {
		return bad(UnknownSOPClass, "its SOP class is not one of the standard's")
	}
	s.w.doubt = !class.storage
	refuse := func(r Reason, is bool) error {
		s.w.doubt = s.w.doubt || is
		if is && s.p.refuses(r) {
			return &RefusedError{Reason: r, SOPInstanceUID: uid}
		}
		return nil
	}
	syntax := o.TransferSyntax().UID
	return cmp.Or(
		refuse(EncapsulatedDocument, class.text == document),
		refuse(PixelsElsewhere, syntax == dict.JPIPReferenced || syntax == dict.JPIPReferencedDeflate ||
			syntax == dict.JPIPHTJ2KReferenced || syntax == dict.JPIPHTJ2KReferencedDeflate),
		refuse(BurnedIn, burnedIn(o, class)),
		refuse(Recognizable, says(h, dict.RecognizableVisualFeatures) == saysOther),
	)
}

// SeveralPatients reports whether what says whose an object is has several values (PS3.3 allows one).
func SeveralPatients(h *stream.Header) bool {
	for _, tag := range []dict.Tag{dict.PatientID, dict.StudyInstanceUID} {
		if e, ok := h.Get(tag); ok && bytes.IndexByte(e.Value, '\\') >= 0 && strings.Contains(h.Charset().Decode(e.Value, dict.LO), `\`) {
			return true
		}
	}
	return false
}

// issuers is what the objects of a session say of Issuer of Patient ID (0010,0021).
type issuers struct {
	said          string
	some, several bool
	silent        bool // an object names none
}

func (i *issuers) take(h *stream.Header) {
	switch said := h.Text(dict.IssuerOfPatientID); {
	case said == "":
		i.silent = true
	case !i.some:
		i.said, i.some = said, true
	case said != i.said:
		i.several = true
	}
}

// IssuersDiffer says, as a sentence, that the objects rewritten so far don't agree about who issued their Patient ID; it is empty if they do. They have gone out under one
// pseudonym: a Patient ID of two issuers may be that of two patients.
func (s *Session) IssuersDiffer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch i := &s.issuers; {
	case i.several:
		return "The images name different issuers of their Patient ID; see that they are of one patient."
	case i.some && i.silent:
		return "Some images name the issuer of their Patient ID and others don't; see that they are of one patient."
	}
	return ""
}

// class is what the refusals need to know of a SOP class.
type class struct {
	storage bool
	text    textIn
}

func (s *Session) class(uid []byte) class {
	c, ok := s.classes[string(uid)]
	if !ok {
		c = class{storage: dict.IsStorageClass(string(uid)), text: textOf(string(uid))}
		if len(s.classes) >= maxSets {
			clear(s.classes)
		}
		if len(uid) <= 64 {
			s.classes[string(uid)] = c
		}
	}
	return c
}

// answer is what an attribute of YES and NO says.
type answer uint8

const (
	saysNothing answer = iota // absent, or empty
	saysNo                    // one value, NO, as CS or UN
	saysOther                 // YES, or anything else
)

func says(h *stream.Header, tag dict.Tag) answer {
	e, ok := h.Get(tag)
	value := trimmed(e.Value)
	switch {
	case !ok || len(value) == 0:
		return saysNothing
	case (e.VR == dict.CS || e.VR == dict.UN) && string(value) == "NO": // archives that do not know an attribute send UN
		return saysNo
	}
	return saysOther
}

// burnedIn reports whether text is burned in, or may be: the object doesn't plainly say NO, and is of a kind that often has it.
func burnedIn(o *stream.Object, c class) bool {
	h := o.Header()
	burned, label := says(h, dict.BurnedInAnnotation), says(h, dict.SpecimenLabelInImage)
	switch {
	case burned == saysOther || label == saysOther:
		return true
	case c.text == textUnlikely:
		return burned != saysNo && captured(h)
	case shows(h, "LABEL"), c.text == slide && label != saysNo && shows(h, "OVERVIEW", "LOCALIZER", "MACRO"):
		return true // whatever it says of annotations: the label of a slide, or of a jar, is no annotation
	case burned == saysNo:
		return false
	}
	return c.storage && c.text != noImage && c.text != document || hasPixels(o) || captured(h)
}

// hasPixels reports whether an object has an image.
func hasPixels(o *stream.Object) bool {
	h := o.Header()
	if body, ok := o.Body(); ok {
		switch body.Tag {
		case dict.PixelData, dict.FloatPixelData, dict.DoubleFloatPixelData:
			return true
		}
		return has(h, dict.Rows) // it may stand behind this
	}
	return has(h, dict.PixelData) || has(h, dict.FloatPixelData) || has(h, dict.DoubleFloatPixelData) || has(h, dict.PixelDataProviderURL)
}

func has(h *stream.Header, tag dict.Tag) bool {
	_, ok := h.Get(tag)
	return ok
}

// captured reports whether an image was made from a screen, a film or paper, or to be read like one, whatever its class.
func captured(h *stream.Header) bool {
	if e, ok := h.Get(dict.ConversionType); ok {
		var room [16]byte
		switch string(letters(room[:0], e.Value)) {
		case "WSD", "SD", "SI", "DF", "DV", "DRW", "SYN": // of a workstation, scanned, a film, video, drawn, put together (PS3.3 C.8.6.1)
			return true
		}
	}
	return shows(h, "SCREEN", "CAPTURE", "SNAPSHOT", "HARDCOPY", "PRINTOUT", "SCANNED", "REPORT", "DOSEINFO", "PROTOCOL", "SOM5PROT")
}

// shows reports whether a value of Image Type (0008,0008) has one of these parts, in whatever case, and whatever stands between its letters:
// "Screen Save" has SCREEN. "Screening" hasn't, it is an examination.
func shows(h *stream.Header, parts ...string) bool {
	e, ok := h.Get(dict.ImageType)
	if !ok {
		return false
	}
	var room [128]byte
	text := bytes.ReplaceAll(letters(room[:0], e.Value), []byte("SCREENING"), nil)
	return slices.ContainsFunc(parts, func(part string) bool { return bytes.Contains(text, []byte(part)) })
}

// letters appends the letters and digits of values, in capitals, and what parts values.
func letters(b, values []byte) []byte {
	for _, c := range values {
		switch {
		case c >= 'a' && c <= 'z':
			b = append(b, c-'a'+'A')
		case c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '\\':
			b = append(b, c)
		}
	}
	return b
}
