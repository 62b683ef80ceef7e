// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"cmp"
	"errors"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Subject is whose objects a session rewrites, and under which key.
type Subject struct {
	Key        PatientKey // of Patient, or of the upload
	Generation uint32     // of UIDs: a project that changes its profile takes the next one

	// Patient is the identity that every object must have (see PatientIdentity, with Issuer as configured for the source): an object of another
	// patient is an UnsafeError.
	Patient Identity
	Issuer  string

	Pseudonym string // empty: objects aren't de-identified, and only what the trial says is written
	TrialID   string // Clinical Trial Protocol ID (0012,0020), empty for none
	TrialName string // Clinical Trial Protocol Name (0012,0021), empty for none

	Account bool // reports say what was done by which rule
	Scan    bool // what goes out is searched for what came in; an object with a finding is an UnsafeError (IdentifierLeft)
}

// Session rewrites the objects of one subject by one profile. Any number of goroutines may use it; objects are rewritten
// one after the other.
type Session struct {
	p        *Profile
	subject  Subject
	assigned []assignment

	mu     sync.Mutex
	d      *deriver
	offset int // of dates, in days
	uids   map[string]string
	rules  map[dict.Tag]*rule
	order  []*rule // of the object before, as they were asked for
	at     int     // in order: where this object is
	// Character sets by the value of (0008,0005), texts of private creators, SOP classes: a site has a handful.
	sets     map[string]*charset.Set
	creators map[string]string
	classes  map[string]class
	w        rewriter
	scan     *scanner // nil: nobody wants it
	accounts accounts
}

// What a session keeps; beyond that it begins anew.
const (
	maxUIDs  = 1 << 16
	maxRules = 1 << 14
	maxOrder = 1 << 10
	maxSets  = 1 << 10
)

// Session checks a subject and begins a session. The error says what to correct.
func (p *Profile) Session(subject Subject) (*Session, error) {
	if subject.Pseudonym != "" {
		if err := CheckPseudonym(subject.Pseudonym); err != nil {
			return nil, err
		}
		if subject.Patient == "" {
			return nil, errors.New("a pseudonym needs the identity of the patient whom it stands for")
		}
	}
	if err := errors.Join(checkText("the trial ID", subject.TrialID), checkText("the trial name", subject.TrialName)); err != nil {
		return nil, err
	}
	s := &Session{
		p: p, subject: subject, assigned: p.assignments(&subject), d: newDeriver(subject.Key), uids: map[string]string{}, rules: map[dict.Tag]*rule{},
		sets: map[string]*charset.Set{}, creators: map[string]string{}, classes: map[string]class{},
	}
	s.offset = s.d.dateOffset()
	s.w.s = s
	if subject.Account && subject.Pseudonym != "" {
		s.w.acts = make([]act, 0, 256)
	}
	if subject.Scan && subject.Pseudonym != "" {
		s.scan = newScanner(s)
	}
	return s, nil
}

// MapUID gives the UID that stands for one of an instance, series, study or frame of reference: for file meta
// information, file names and the SOP instance UID of a C-STORE command. It stays as it is where the profile retains
// UIDs, where nothing is de-identified, and where the standard defines it.
func (s *Session) MapUID(original string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subject.Pseudonym == "" || s.p.ruleOf(dict.SOPInstanceUID).action != MapUID {
		return original
	}
	return s.mapUID([]byte(trim(original)))
}

// mapUID maps a UID without padding, unless PS3.6 registers it: classes, transfer syntaxes, well-known instances and frames of reference. Others
// below the standard's root are somebody's invention, and may name an instance. An empty one stays empty.
func (s *Session) mapUID(uid []byte) string {
	if len(uid) == 0 {
		return ""
	}
	if to, ok := s.uids[string(uid)]; ok {
		return to
	}
	original := string(uid)
	to := original
	if _, registered := dict.LookupUID(original); !registered {
		to = s.d.uid(s.subject.Generation, uid)
	}
	if len(s.uids) >= maxUIDs {
		clear(s.uids)
	}
	if len(uid) <= 64 {
		s.uids[original] = to
	}
	return to
}

// rule gives the rule of an even tag. Objects of a series have the same attributes one after the other: the rule that was asked for next
// in the last object is looked at first.
func (s *Session) rule(tag dict.Tag) *rule {
	if s.at < len(s.order) && s.order[s.at].tag == tag {
		s.at++
		return s.order[s.at-1]
	}
	r, ok := s.rules[tag]
	if !ok {
		found := s.p.ruleOf(tag)
		r = &found
		r.tag = tag
		if len(s.rules) >= maxRules {
			clear(s.rules)
		}
		s.rules[tag] = r
	}
	if s.at < maxOrder {
		s.order = append(s.order[:s.at], r)
		s.at++
	}
	return r
}

// Rewrite de-identifies an object: reading it then gives the de-identified data set. It is called once, before reading. With neither pseudonym nor
// trial nothing changes. The error is a *RefusedError, or an *UnsafeError; then the object must not be sent.
// Reading may give an *UnsafeError too, of what stands behind the pixel data, and completes the report.
func (s *Session) Rewrite(o *stream.Object) (*Report, error) { return s.traced(o, nil) }

// traced notes in trace what becomes of each attribute, unless it is nil.
func (s *Session) traced(o *stream.Object, trace *[]Explained) (*Report, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	report := &Report{SOPInstanceUID: o.Header().SOPInstanceUID()}
	if s.subject.Pseudonym == "" && s.subject.TrialID == "" && s.subject.TrialName == "" {
		return report, nil
	}
	return report, s.rewrite(o, report, trace)
}

func (s *Session) rewrite(o *stream.Object, report *Report, trace *[]Explained) error {
	if s.subject.Pseudonym != "" {
		if err := s.admit(o, report.SOPInstanceUID); err != nil {
			return err
		}
		report.Codes = s.p.codeValues
	}
	err := o.Rewrite(func(in, out []byte) ([]byte, error) {
		b, err := s.w.run(o, in, out, report, trace)
		if err == nil && s.scan != nil {
			err = s.scan.judge(o, in, b, report.SOPInstanceUID)
		}
		report.Done = s.accounts.of(s.w.acts)
		return b, err
	})
	if err == nil && s.subject.Pseudonym != "" {
		err = s.filterBody(o, report, trace)
	}
	return unsafe(err, report.SOPInstanceUID)
}

// unsafe makes an error of rewriting one of the two kinds.
func unsafe(err error, uid string) error {
	if _, ok := errors.AsType[*RefusedError](err); ok || err == nil {
		return err
	}
	if _, ok := errors.AsType[*UnsafeError](err); ok {
		return err
	}
	return &UnsafeError{Reason: Unparsable, SOPInstanceUID: uid, Detail: "its header cannot be rewritten", Err: err}
}

// admit applies the rules of refusal.
func (s *Session) admit(o *stream.Object, uid string) error {
	h := o.Header()
	class := s.class(h.SOPClassUID())
	if s.subject.Patient != PatientIdentity(h.Text(dict.PatientID), s.subject.Issuer, h.Text(dict.StudyInstanceUID)) {
		return &UnsafeError{
			Reason: OtherPatient, SOPInstanceUID: uid,
			Detail: "it is of another patient than the one that the pseudonym stands for; see that the study at the source holds one patient",
		}
	}
	if !class.storage && s.p.refuses(UnknownSOPClass) {
		return &UnsafeError{Reason: UnknownSOPClass, SOPInstanceUID: uid, Detail: "its SOP class is not one of the standard's"}
	}
	refuse := func(r Reason, is bool) error {
		if is && s.p.refuses(r) {
			return &RefusedError{Reason: r, SOPInstanceUID: uid}
		}
		return nil
	}
	syntax := o.TransferSyntax().UID
	return cmp.Or(
		refuse(EncapsulatedDocument, class.document),
		refuse(PixelsElsewhere, syntax == dict.JPIPReferenced || syntax == dict.JPIPReferencedDeflate ||
			syntax == dict.JPIPHTJ2KReferenced || syntax == dict.JPIPHTJ2KReferencedDeflate),
		refuse(BurnedIn, burnedIn(h, class)),
	)
}

// class is what the refusals need to know of a SOP class.
type class struct {
	storage  bool
	document bool // encapsulates one
	burnedIn bool // its images often have text in them
}

func (s *Session) class(uid string) class {
	c, ok := s.classes[uid]
	if !ok {
		u, _ := dict.LookupUID(uid)
		c = class{storage: dict.IsStorageClass(uid), document: strings.HasPrefix(u.Keyword, "Encapsulated")}
		for _, kind := range []string{"SecondaryCapture", "Ultrasound", "EnhancedUS", "Video", "VLPhotographic", "VLEndoscopic", "VLImage", "VLMultiFrame", "Dermoscopic"} {
			c.burnedIn = c.burnedIn || strings.Contains(u.Keyword, kind) && uid != dict.UltrasoundWaveformStorage
		}
		if len(s.classes) >= maxSets {
			clear(s.classes)
		}
		if len(uid) <= 64 {
			s.classes[uid] = c
		}
	}
	return c
}

// burnedIn tells whether text is burned in, or may be: nobody says NO, and the kind of object is one that often has it.
func burnedIn(h *stream.Header, c class) bool {
	switch h.Text(dict.BurnedInAnnotation) {
	case "YES":
		return true
	case "NO":
		return false
	}
	if e, ok := h.Get(dict.ImageType); ok && bytes.Contains(e.Value, []byte("SCREEN SAVE")) {
		return true
	}
	return c.burnedIn
}

// tail decides on what follows the header.
type tail struct {
	s       *Session
	report  *Report
	trace   *[]Explained // nil: nobody wants it
	last    dict.Tag
	started bool
}

func (s *Session) filterBody(o *stream.Object, report *Report, trace *[]Explained) error {
	body, ok := o.Body()
	if !ok {
		return nil
	}
	t := &tail{s: s, report: report, trace: trace}
	if _, _, err := t.decide(body); err != nil {
		return err
	}
	t.started = false
	return o.FilterBody(t.keep)
}

// keep decides by an element's head alone, as nothing behind the header is held: what would have to be changed there
// makes the object unsafe. What precedes in tag order what came before is not looked for there by anybody.
func (t *tail) keep(h stream.Head) (bool, error) {
	t.s.mu.Lock()
	defer t.s.mu.Unlock()
	kept, why, err := t.decide(h)
	if err == nil {
		t.note(h, kept, why)
	}
	return kept, err
}

// note takes down what was decided. Nobody reads the report before the object has been read, so this needs no lock of its own.
func (t *tail) note(h stream.Head, kept bool, why string) {
	a := Keep
	if !kept {
		a = Remove
		t.report.Behind++
	}
	t.report.Counts[a]++
	if t.trace != nil {
		*t.trace = append(*t.trace, explainHead(h, a, why))
	}
}

// decide tells whether an element stays, and by what decision.
func (t *tail) decide(h stream.Head) (kept bool, why string, err error) {
	bad := func(why string) error {
		return &UnsafeError{Reason: Unparsable, SOPInstanceUID: t.report.SOPInstanceUID, Detail: h.Tag.String() + " " + why}
	}
	if t.started && h.Tag <= t.last {
		return false, "", bad("stands behind its pixel data, where attributes in disorder are not de-identified")
	}
	t.started, t.last = true, h.Tag
	switch h.Tag {
	case dict.PixelData, dict.FloatPixelData, dict.DoubleFloatPixelData:
		return true, "pixel data stays", nil
	}
	if h.Tag.IsPrivate() {
		return false, "behind the header private attributes go", nil
	}
	r := t.s.rule(h.Tag)
	switch {
	case r.action == Remove && !r.byType:
		return false, r.why, nil
	case r.action == Keep && h.Content == stream.PlainValue && r.vr != dict.SQ:
		return true, r.why, nil
	}
	return false, "", bad("is, or stands behind, a value too large for the header, where nothing can be de-identified; open the object with a larger limit for headers")
}
