// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// deciding are the attributes that decide whether an instance may go out, whose it is, and how its text is read. Nobody
// knows which value of two its reader will take, so what has one of them twice is not sent.
var deciding = [...]dict.Tag{
	dict.SpecificCharacterSet, dict.ImageType, dict.SOPClassUID, dict.Modality, dict.PatientID,
	dict.StudyInstanceUID, dict.ConversionType, dict.BurnedInAnnotation,
	dict.RecognizableVisualFeatures, dict.SpecimenLabelInImage,
}

// admit applies the rules of refusal. What is nested decides nothing.
func (s *Session) admit(o *stream.Object, uid string) error {
	h := o.Header()
	bad := func(r Reason, detail string) error {
		return &UnsafeError{Reason: r, SOPInstanceUID: uid, Detail: detail}
	}
	for tag := range h.Repeated {
		if slices.Contains(deciding[:], tag) {
			return bad(Unparsable, tag.String()+
				" occurs more than once, and it is unclear which one counts; correct that at the source")
		}
	}
	if SeveralPatients(h) {
		return bad(Unparsable,
			"its Patient ID or its Study Instance UID has several values, and it is unclear which one counts; "+
				"correct that at the source",
		)
	}
	s.issuers.take(h)
	if s.subject.Patient != PatientIdentity(h.Text(dict.PatientID), s.subject.Issuer, h.Text(dict.StudyInstanceUID)) {
		return bad(OtherPatient,
			"it belongs to another patient than the pseudonym; check that the study at the source "+
				"holds one patient",
		)
	}
	if err := s.tells(o, uid); err != nil {
		return err
	}
	sopClass, _ := h.Get(dict.SOPClassUID)
	class := s.images.Class(values.Trimmed(sopClass.Value))
	if named := o.Received().MediaStorageSOPClassUID; named != "" && named != string(values.Trimmed(sopClass.Value)) {
		return bad(Unparsable,
			"its file meta information names another SOP class than its data set; correct that at the source",
		)
	}
	if !class.Storage && s.p.Refuses(UnknownSOPClass) {
		return bad(UnknownSOPClass, "its SOP class is not one of the standard's")
	}
	s.w.doubt = !class.Storage
	refuse := func(r Reason, is bool, detail string) error {
		s.w.doubt = s.w.doubt || is
		if is && s.p.Refuses(r) {
			return &RefusedError{Reason: r, SOPInstanceUID: uid, Detail: detail}
		}
		return nil
	}
	burned := s.images.BurnedIn(o, class)
	syntax := o.TransferSyntax().UID
	return cmp.Or(
		refuse(EncapsulatedDocument, class.Text == pixels.Document, "by its SOP class"),
		refuse(PixelsElsewhere, syntax == dict.JPIPReferenced || syntax == dict.JPIPReferencedDeflate ||
			syntax == dict.JPIPHTJ2KReferenced || syntax == dict.JPIPHTJ2KReferencedDeflate, "by its transfer syntax"),
		refuse(BurnedIn, burned != "", burned),
		refuse(
			Recognizable, pixels.Says(h, dict.RecognizableVisualFeatures) == pixels.SaysOther,
			rules.Named(dict.RecognizableVisualFeatures)+" is present and is not NO",
		),
	)
}

// SeveralPatients reports whether what says whose an instance is has several values (PS3.3 allows one).
func SeveralPatients(h *stream.Header) bool {
	for _, tag := range []dict.Tag{dict.PatientID, dict.StudyInstanceUID} {
		if e, ok := h.Get(tag); ok && bytes.IndexByte(e.Value, '\\') >= 0 &&
			strings.Contains(h.Charset().Decode(e.Value, dict.LO), `\`) {
			return true
		}
	}
	return false
}

// issuers is what the instances of a session say of Issuer of Patient ID (0010,0021).
type issuers struct {
	said          string
	some, several bool
	silent        bool // an instance names none
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

// IssuersDiffer says, as a sentence, that the instances rewritten so far don't agree about who issued their Patient ID;
// it is empty if they do. They have gone out under one pseudonym: a Patient ID of two issuers may be that of two
// patients.
func (s *Session) IssuersDiffer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch i := &s.issuers; {
	case i.several:
		return "The instances name different issuers of their Patient ID; check that they belong to one patient."
	case i.some && i.silent:
		return "Some instances name the issuer of their Patient ID and others don't; check that they belong to one patient."
	}
	return ""
}
