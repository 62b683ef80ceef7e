// SPDX-License-Identifier: AGPL-3.0-or-later

package rest

import (
	"slices"
	"sync"

	"github.com/adit-go/adit/dicom/dict"
)

// Faults are those of DICOMweb. The zero value errs nowhere.
type Faults struct {
	Any      AnswerFaults // of every request
	Search   SearchFaults
	Metadata MetadataFaults
	Retrieve RetrieveFaults
	Store    StoreFaults

	// Host is host:port in Retrieve URL (0008,1190) and BulkDataURI instead of the one that the request came to.
	Host string
	// Renew refuses credentials with 401 after so many requests that they were good for; others are taken then.
	Renew int
}

// The values of AnswerFaults.Cut: how a body ends before its end.
const (
	CutEnd   = "end"   // cleanly, as if it were whole
	CutDrop  = "drop"  // the connection is closed; a stream of HTTP/2 is reset
	CutStall = "stall" // nothing more comes, for ever
)

// AnswerFaults are those of answers, whatever is asked for. After and First count the requests of the part that they
// are in since the faults were set: so many are answered as they should be, before so many err; 0 for First: all that
// follow.
type AnswerFaults struct {
	After, First int

	// Status is answered at once, and nothing done. It may be 200.
	Status            int
	RetryAfter        string // header: seconds, or a date (RFC 9110 10.2.3)
	ContentType, Body string // of that answer, such as HTML
	// Redirect is the scheme, host and port to which requests are sent by 307; "/" stays where it is, with another path.
	Redirect string
	Silent   bool // no answer, for ever

	Cut           string // one of the constants above
	CutAfterBytes int64  // of the body; with RetrieveFaults.CutAtObject of that object
}

// SearchFaults are those of QIDO-RS (PS3.18 10.6).
type SearchFaults struct {
	AnswerFaults
	IgnoreKeys   bool       // not one key is used for matching: all of the level is answered
	IgnoreOffset bool       // each page is the first one
	IgnoreLimit  bool       // all are answered, however few are wanted
	Cap          int        // most answers of one request ...
	Warn         bool       // ... and if there are more, a Warning says so
	NoContent    bool       // no match is answered with 204 instead of an empty list
	Object       bool       // one match is answered as an object, not as a list of one
	Twice        bool       // every match is answered twice
	Hidden       []string   // UIDs of studies, series or instances that are not answered
	OmitKeys     []dict.Tag // left out of the answers
	// Lag is how many searches don't list an instance yet that came by STOW-RS.
	Lag int
}

// MetadataFaults are those of metadata (PS3.18 10.4.1.1.2).
type MetadataFaults struct {
	AnswerFaults
	NoPixelData bool     // the metadata don't name pixel data
	Missing     []string // SOP Instance UIDs that are left out
	Object      bool     // one instance is answered as an object, not as a list of one
}

// RetrieveFaults are those of WADO-RS (PS3.18 10.4).
type RetrieveFaults struct {
	AnswerFaults
	CutAtObject int // 0: Cut is about the whole body
	// NotOffered are the levels, STUDY, SERIES or IMAGE, that are answered so: 404, 405, 501.
	NotOffered map[string]int
	Missing    []string                       // SOP Instance UIDs that are left out ...
	Partial    bool                           // ... with 206 and a Warning, or 410 if all are; else without a sign
	Twice      bool                           // every object is sent twice
	Besides    []string                       // SOP Instance UIDs that are sent after what was asked for, of any study ...
	Instead    bool                           // ... or instead of it
	Truncate   map[string]int64               // by SOP Instance UID: its data set ends after so many bytes
	Inside     map[string]map[dict.Tag]string // as in GetFaults
	// Inside is about the second ones alone that are sent twice.
	InsideCopies bool
	IgnoreStar   bool // transfer-syntax=* is read as if it were not there
	RefuseStar   bool // transfer-syntax=* is answered with 406
	Form         Form
}

// Form says how a multipart body differs from that of PS3.18 8.6.1.2.
type Form struct {
	SyntaxInQuotes bool   // of Content-Type: type="application/dicom; transfer-syntax=…"
	QuotedBoundary bool   //
	TwoTypes       bool   // the parameter type comes twice
	Preamble       string // before the first delimiter
	FirstCRLF      bool   // before the first delimiter
	LowerCase      bool   // header names of the parts
	ExtraCRLF      bool   // one more in front of each delimiter: two bytes behind the object
	PartLength     bool   // parts have a Content-Length
	NoClosing      bool   // the closing delimiter is missing
	Epilogue       string // behind the closing delimiter
	TextAtEnd      string // a last part of text/plain
	SinglePart     bool   // no multipart: the first object as application/dicom
}

// StoreFaults are those of STOW-RS (PS3.18 10.5). Instances are counted from 1 within each request.
type StoreFaults struct {
	AnswerFaults
	Reasons      map[string]int // Failure Reason (0008,1197) by SOP Instance UID, which is not kept ...
	ReasonsFirst int            // ... the first so many times that each comes; 0: always
	Warnings     map[string]int // Warning Reason (0008,1196) by SOP Instance UID, which is kept
	HexReasons   bool           // reasons are hexadecimal text
	Duplicates   int            // Failure Reason of what is held already, such as 45070; 0: it is replaced
	// Unreadable are SOP Instance UIDs whose part can't be read: 400 for all, though the others are kept.
	Unreadable    []string
	Lose          []string // SOP Instance UIDs that are acknowledged and not kept
	Unmentioned   []string // SOP Instance UIDs that are in no sequence of the answer, though kept
	Extra         []string // SOP Instance UIDs that nobody sent in Referenced SOP Sequence (0008,1199)
	AnswerStatus  int      // instead of the true one
	NoBody        bool     // neither body nor Content-Type in the answer
	NoContentType bool
	List          bool   // the answer is a list of one
	EmptyForms    bool   // sequences without items are there, without Value
	MaxBytes      int64  // of a body; more is answered with 413 as soon as it is known
	MaxObjects    int    // of a body; as MaxBytes
	SilentAtEnd   bool   // no answer when all was read and kept
	CutAtObject   int    // reads no more of this object ...
	CutObject     string // ... and CutDrop or CutStall ...
	CutObjectAt   int64  // ... after so many bytes of it
}

// State counts what the limits of Faults count.
type State struct {
	mu      sync.Mutex
	f       Faults
	counts  map[string]int // requests by part
	came    map[string]int // instances that Reasons is about, by SOP Instance UID
	used    map[string]int // requests by credentials
	arrived map[string]int // searches since they came, by SOP Instance UID
}

// NewState begins to count.
func NewState(f Faults) *State {
	return &State{
		f: f, counts: map[string]int{}, came: map[string]int{}, used: map[string]int{}, arrived: map[string]int{},
	}
}

// errs counts a request of a part, and reports whether it errs.
func (s *State) errs(part string, a AnswerFaults) bool {
	s.counts[part]++
	n := s.counts[part] - a.After
	return n > 0 && (a.First == 0 || n <= a.First)
}

func (s *State) any() AnswerFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.errs("any", s.f.Any) {
		return AnswerFaults{}
	}
	return s.f.Any
}

func (s *State) search() SearchFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.errs("search", s.f.Search.AnswerFaults) {
		return SearchFaults{}
	}
	return s.f.Search
}

func (s *State) metadata() MetadataFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.errs("metadata", s.f.Metadata.AnswerFaults) {
		return MetadataFaults{}
	}
	return s.f.Metadata
}

func (s *State) retrieve() RetrieveFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.errs("retrieve", s.f.Retrieve.AnswerFaults) {
		return RetrieveFaults{}
	}
	return s.f.Retrieve
}

func (s *State) store() StoreFaults {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.errs("store", s.f.Store.AnswerFaults) {
		return StoreFaults{}
	}
	return s.f.Store
}

// reason returns the Failure Reason that an instance is to be answered; 0: none.
func (s *State) reason(f StoreFaults, uid string) int {
	reason := f.Reasons[uid]
	if reason == 0 {
		return 0
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.came[uid]++; f.ReasonsFirst > 0 && s.came[uid] > f.ReasonsFirst {
		return 0
	}
	return reason
}

// stale counts a use of credentials, and reports whether they were used too often.
func (s *State) stale(credentials string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used[credentials]++
	return s.f.Renew > 0 && s.used[credentials] > s.f.Renew
}

func (s *State) host() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.f.Host
}

// arrive begins the lag of an instance.
func (s *State) arrive(uid string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.f.Search.Lag > 0 {
		s.arrived[uid] = 0
	}
}

// listed leaves out what is hidden, or was not indexed yet.
func (s *State) listed(f SearchFaults, list []Match) []Match {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(list, func(m Match) bool {
		n, lags := s.arrived[m.UID]
		if lags {
			s.arrived[m.UID]++
		}
		return lags && n < f.Lag || slices.Contains(f.Hidden, m.UID)
	})
}
