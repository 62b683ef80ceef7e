// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"errors"
	"fmt"
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

	// Charset is what text is read in, by the terms of (0008,0005), of an object that declares no character set but has other bytes than
	// ASCII, unless all of its text is valid UTF-8. Empty: ISO_IR 100. ISO_IR 6: such an object is undecodable.
	Charset string

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
	fallback *charset.Set

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
	cleaned  map[bool]map[string]cleaned // by whether the text may have several values, and by the text
	issuers  issuers
	born     struct {
		value []byte
		days  []int
	} // of the last object
	discreet []byte // identifying values of which nothing that was given tells
	spare    []byte
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

	maxCleaned = 256 // bytes of a text that is remembered
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
	fallback, err := charset.New(strings.Split(cmp.Or(subject.Charset, charset.Latin1), `\`))
	if err != nil {
		return nil, fmt.Errorf("the character set %q for objects that declare none: %w", subject.Charset, err)
	}
	s := &Session{
		fallback: fallback,
		p:        p, subject: subject, assigned: p.assignments(&subject), d: newDeriver(subject.Key), uids: map[string]string{}, rules: map[dict.Tag]*rule{},
		sets: map[string]*charset.Set{}, creators: map[string]string{}, classes: map[string]class{},
		cleaned: map[bool]map[string]cleaned{false: {}, true: {}},
	}
	s.offset = s.d.dateOffset()
	s.w.s = s
	if subject.Account && subject.Pseudonym != "" {
		s.w.acts = make([]act, 0, 256)
	}
	if subject.Scan && !scans {
		return nil, errors.New("this build of the engine has no scan of the result; leave the scan to the server, or switch it off")
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
		if s.p.claims != 0 {
			r.may = s.p.promised(tag, r.vr)
		}
		r.temporal = s.p.counts(tag, r)
		e, _ := dict.Lookup(tag)
		r.single = e.VM == "1"
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
// Reading may give an *UnsafeError too, of what follows the header, and completes the report.
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
	if err := s.early(o, report.SOPInstanceUID); err != nil {
		return err
	}
	if s.subject.Pseudonym != "" {
		if err := s.admit(o, report.SOPInstanceUID); err != nil {
			return err
		}
	}
	var scan *bodyScan
	err := o.Rewrite(func(in, out []byte) ([]byte, error) {
		b, err := s.w.run(o, in, out, report, trace)
		if err == nil && s.scan != nil {
			err = s.scan.judge(o, in, b, report.SOPInstanceUID)
		}
		if _, more := o.Body(); more && err == nil && s.scan != nil {
			scan = s.bodyScanner(report.SOPInstanceUID)
		} else if !more {
			report.Done = s.accounts.of(s.w.acts)
		}
		return b, err
	})
	if err == nil {
		if s.subject.Pseudonym != "" {
			_, report.Codes = s.w.codes()
		}
		err = s.filterBody(o, report, trace, scan)
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
