// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/pixels"
	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/scan"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// Subject is whose instances a session rewrites, and under which key.
type Subject struct {
	Key        PatientKey // of Patient, or of the upload
	Generation uint32     // of UIDs: a project that changes its profile takes the next one

	// Patient is the identity that every instance must have (see PatientIdentity, with Issuer as configured for the
	// source): an instance of another patient is an UnsafeError.
	Patient Identity
	Issuer  string

	// Charset is what text is read in, by the terms of (0008,0005), of an instance that declares no character set but has
	// other bytes than ASCII, unless all of its text is valid UTF-8. Empty: ISO_IR 100. ISO_IR 6: such an instance is
	// undecodable.
	Charset string

	Pseudonym string // empty: instances aren't de-identified, and only what the trial says is written
	TrialID   string // Clinical Trial Protocol ID (0012,0020), empty for none
	TrialName string // Clinical Trial Protocol Name (0012,0021), empty for none

	Account bool // reports say what was done by which rule
	// what goes out is searched for what came in; an instance with a finding is an UnsafeError (IdentifierLeft)
	Scan bool

	Known Known // that the scan looks for beside what each instance tells of itself
}

// Session rewrites the instances of one subject by one profile. Any number of goroutines may use it; instances are
// rewritten one after the other.
type Session struct {
	p        *rules.Profile
	subject  Subject
	assigned []assignment
	fallback *charset.Set

	mu     sync.Mutex
	d      *deriver
	offset int // of dates, in days
	uids   map[string]mappedUID
	rules  map[dict.Tag]*rules.Rule
	order  []*rules.Rule // of the instance before, as they were asked for
	at     int           // in order: where this instance is
	// Likewise UIDs with what stands for them: instances of a series have all but their own in common.
	uidOrder []mappedUID
	uidAt    int
	// And private attributes, by the creator of their block.
	privates     map[blockTag]*privateRule
	privateOrder []*privateRule
	privateAt    int
	// Character sets by the value of (0008,0005) and texts of private creators: a site has a handful.
	sets     values.Charsets
	creators values.Creators
	cleaned  map[bool]map[string]cleaned // by whether the text may have several values, and by the text
	issuers  issuers
	born     struct {
		value []byte
		days  []int
	} // of the last instance
	images   pixels.Images
	discreet []byte // identifying values of which nothing that was given tells
	spare    []byte
	w        rewriter
	scan     *scan.Scanner // nil: nobody wants it
	idle     *body         // one that has ended, whose memory is used again
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
			return nil, errors.New("a pseudonym needs the identity of its patient")
		}
	}
	if err := errors.Join(
		values.CheckText("the trial ID", subject.TrialID), values.CheckText("the trial name", subject.TrialName),
	); err != nil {
		return nil, err
	}
	fallback, err := fallbackOf(subject.Charset)
	if err != nil {
		return nil, err
	}
	s := &Session{
		fallback: fallback,
		p:        p.rules, subject: subject, assigned: assignments(p.rules, &subject), d: newDeriver(subject.Key),
		uids: map[string]mappedUID{}, rules: map[dict.Tag]*rules.Rule{}, privates: map[blockTag]*privateRule{},
		sets: values.Charsets{}, creators: values.Creators{}, images: pixels.NewImages(),
		cleaned: map[bool]map[string]cleaned{false: {}, true: {}},
	}
	s.offset = s.d.dateOffset()
	s.w.s, s.w.p = s, s.p
	if subject.Account && subject.Pseudonym != "" {
		s.w.acts = make([]act, 0, 256)
	}
	if subject.Scan && !scan.Built {
		return nil, errors.New(
			"this build of the engine can't scan the result; leave the scan to the server, or switch it off",
		)
	}
	if subject.Scan && subject.Pseudonym != "" {
		s.scan = scan.New(s.scanOf())
	}
	return s, nil
}

// fallbackOf returns what text is read in of an instance that declares no character set (Subject.Charset).
func fallbackOf(terms string) (*charset.Set, error) {
	set, err := charset.New(strings.Split(cmp.Or(terms, charset.Latin1), `\`))
	if err != nil {
		return nil, fmt.Errorf("the character set %q for instances that declare none: %w", terms, err)
	}
	return set, nil
}

// MapUID returns the UID that stands for one of an instance, series, study or frame of reference: for file meta
// information, file names and the SOP instance UID of a C-STORE command. It stays as it is where the profile retains
// UIDs, where nothing is de-identified, and where the standard defines it.
func (s *Session) MapUID(original string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.subject.Pseudonym == "" || s.p.RuleOf(dict.SOPInstanceUID).Action != MapUID {
		return original
	}
	return s.mapUID([]byte(values.Trim(original)))
}

// mapUID maps a UID without padding, unless PS3.6 registers it: classes, transfer syntaxes, well-known instances and
// frames of reference. Others below the standard's root are somebody's invention, and may name an instance. An empty
// one stays empty.
func (s *Session) mapUID(uid []byte) string {
	if len(uid) == 0 {
		return ""
	}
	if s.uidAt < len(s.uidOrder) && s.uidOrder[s.uidAt].from == string(uid) {
		s.uidAt++
		return s.uidOrder[s.uidAt-1].to
	}
	m := s.mappedUID(uid)
	switch {
	case len(uid) > 64:
		return m.to
	case s.uidAt < len(s.uidOrder):
		s.uidOrder[s.uidAt] = m
	case s.uidAt < maxOrder:
		s.uidOrder = append(s.uidOrder, m)
	}
	s.uidAt++
	return m.to
}

// mappedUID is a UID of an original, and what stands for it.
type mappedUID struct{ from, to string }

func (s *Session) mappedUID(uid []byte) mappedUID {
	if m, ok := s.uids[string(uid)]; ok {
		return m
	}
	original := string(uid)
	to := original
	if _, registered := dict.LookupUID(original); !registered {
		to = s.d.uid(s.subject.Generation, uid)
	}
	if len(s.uids) >= maxUIDs {
		clear(s.uids)
	}
	m := mappedUID{original, to}
	if len(uid) <= 64 {
		s.uids[original] = m
	}
	return m
}

// rule returns the rule of an even tag. Instances of a series have the same attributes one after the other: the rule
// that was asked for next in the last instance is looked at first.
func (s *Session) rule(tag dict.Tag) *rules.Rule {
	if s.at < len(s.order) && s.order[s.at].Tag == tag {
		s.at++
		return s.order[s.at-1]
	}
	r, ok := s.rules[tag]
	if !ok {
		found := s.p.RuleOf(tag)
		r = &found
		r.Tag = tag
		if s.p.Claims != 0 {
			r.May = s.p.Promised(tag, r.VR)
		}
		r.Temporal = s.p.Counts(tag, r)
		e, _ := dict.Lookup(tag)
		r.Single = e.VM == "1"
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

// blockTag is a private attribute.
type blockTag struct {
	tag     dict.Tag
	creator string
}

type privateRule struct {
	blockTag
	rule rules.Rule
}

// privateRule returns the rule of a private element, as rule does.
func (s *Session) privateRule(tag dict.Tag, creator string) rules.Rule {
	key := blockTag{tag, creator}
	if s.privateAt < len(s.privateOrder) && s.privateOrder[s.privateAt].blockTag == key {
		s.privateAt++
		return s.privateOrder[s.privateAt-1].rule
	}
	r, ok := s.privates[key]
	if !ok {
		r = &privateRule{key, s.p.PrivateRule(tag, creator)}
		if len(s.privates) >= maxRules {
			clear(s.privates)
		}
		s.privates[key] = r
	}
	if s.privateAt < maxOrder {
		s.privateOrder = append(s.privateOrder[:s.privateAt], r)
		s.privateAt++
	}
	return r.rule
}

// Rewrite de-identifies an instance: reading it then gives the de-identified data set. It is called once, before
// reading. With neither pseudonym nor trial nothing changes. The error is a *RefusedError, or an *UnsafeError; then the
// instance must not be sent. Reading may give an *UnsafeError too, of what follows the header, and completes the
// report.
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
	var behind *scan.Body
	err := o.Rewrite(func(in, out []byte) ([]byte, error) {
		b, err := s.w.run(o, in, out, report, trace)
		if err == nil && s.scan != nil {
			err = s.judge(o, in, b, report.SOPInstanceUID)
		}
		if _, more := o.Body(); more && err == nil && s.scan != nil {
			behind = s.scan.Body(s.w.utf8)
		} else if !more {
			report.Done = s.accounts.of(s.w.acts)
		}
		return b, err
	})
	if err == nil {
		if s.subject.Pseudonym != "" {
			_, report.Codes = s.w.codes()
		}
		err = s.filterBody(o, report, trace, behind)
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
