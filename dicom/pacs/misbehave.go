// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs

import (
	"maps"
	"strconv"
	"sync"
	"time"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs/internal/rest"
	"github.com/adit-go/adit/dicom/phantom"
)

// Misbehave says how a PACS errs. The zero value errs nowhere. Each part has a First: with it only the first so many
// associations or operations err (counted since the faults were set); 0 means all. It may be written as JSON.
type Misbehave struct {
	Association AssociationFaults
	Find        FindFaults
	Get         GetFaults
	Move        MoveFaults
	Store       StoreFaults
	Commitment  CommitmentFaults
	Archive     ArchiveFaults
	Web         WebFaults
}

// The values of AssociationFaults.Reject.
const (
	RejectCalledAE  = "called AE title"
	RejectCallingAE = "calling AE title"
	RejectLimit     = "local limit"
	RejectTransient = "transient, without a reason"
)

// AssociationFaults are those of opening and keeping an association.
type AssociationFaults struct {
	First      int
	Reject     string        // one of the constants above
	Every      int           // only each such association errs; 0: each one
	Limit      int           // more at once than these are rejected; 0: those of the configuration
	Contexts   int           // what proposes more presentation contexts is rejected for good; 0: nothing is
	NoContexts bool          // accepts the association and not one presentation context
	DropIdle   time.Duration // closes the connection without a word when nothing happened for so long
}

// FindFaults are those of C-FIND.
type FindFaults struct {
	First             int
	Status            dimse.Status // answered at once, without matches
	Cap               int          // ends with Success after so many matches, without a sign
	ImageLevelRefused bool         // IMAGE level is answered with A900
	ImageLevelEmpty   bool         // IMAGE level is answered with Success and no match
	IgnoreKeys        []dict.Tag   // not used for matching
	OmitKeys          []dict.Tag   // left out of the answers
	Unlisted          []string     // SOP Instance UIDs that IMAGE level doesn't list, as if they were not indexed yet
	// Answers are given instead of the true values of keys that were asked for, and of unique keys: nothing for an
	// attribute that is empty, another Patient ID for one that has changed meanwhile, more than 16 characters.
	Answers map[dict.Tag][]string
	// text of queries in another Specific Character Set than this one, beyond ASCII, finds nothing …
	Understands   string
	Refuses       bool   // … but is answered with C001
	CharacterSet  string // what answers claim to be encoded in, whatever they are
	Garbled       bool   // the identifiers of the answers are no data sets
	CutOff        bool   // the identifiers of the answers end within their last value
	SendTwice     int    // this match, counted from 1, is answered twice
	DropAtMatch   int    // closes the connection without a word before this match
	EmptyPending  int    // pending responses without an identifier that come first
	IgnoreCancel  bool
	AbortOnCancel bool // C-CANCEL is answered by an abort
	// Study, Series and Image are further faults of one level alone.
	Study, Series, Image ListFaults
}

// ListFaults are those of the answers of one level of C-FIND. C-FINDs of instances are counted for each series asked
// about.
type ListFaults struct {
	After      int          // so many C-FINDs are answered as they should be, before ...
	First      int          // ... so many err; 0: all that follow
	Status     dimse.Status // answered at once, without matches
	Empty      bool         // Success and no match
	Cap        int          // ends with Success after so many matches, without a sign
	Twice      bool         // every match is answered twice
	IgnoreKeys []dict.Tag   // not used for matching: of unique keys, answers tell of other series and studies, too
	OmitKeys   []dict.Tag   // left out of the answers
	Hidden     []string     // UIDs of studies, series or instances that are not answered
	// by the UID of the study, series or instance: given instead of its true values
	Answers map[string]map[dict.Tag][]string
	Unknown []string // UIDs that are answered after all others as if there were such studies, series or instances
}

// GetFaults are those of C-GET, and of C-MOVE. Instances are counted from 1 within each C-GET.
type GetFaults struct {
	First           int
	Status          dimse.Status // answered at once, nothing sent
	Empty           bool         // "success, 0 of 0", nothing sent
	SuccessAfter    int          // ends with Success after so many instances; their count is all that it tells
	DropAtObject    int          // closes the connection without a word before this instance …
	DropAfterBytes  int64        // … or after so many bytes of it
	StallAtObject   int          // sends nothing more for ever of this instance …
	StallAfterBytes int64        // … after so many bytes
	SendTwice       int          // this instance is sent twice
	OutOfOrder      bool         // sends from the last to the first
	// by SOP Instance UID: its data set ends after so many bytes, sent as if it were whole
	Truncate      map[string]int64
	AbortAtObject int      // sends A-ABORT before this instance
	TwiceAll      bool     // every instance is sent twice
	Wide          bool     // sends the whole study, whichever of its series or instances were asked for
	Besides       []string // SOP Instance UIDs that are sent after what was asked for, of any study ...
	Instead       bool     // ... or instead of it
	// by SOP Instance UID of a synthetic instance: attributes that have other values inside
	Inside        map[string]map[dict.Tag]string
	InsideCopies  bool          // Inside is about the second ones alone that are sent twice
	Damage        []string      // SOP Instance UIDs whose data sets can't be parsed
	Odd           []string      // SOP Instance UIDs whose data sets are of odd length
	Refuse        []string      // SOP Instance UIDs whose sub-operation fails without anything being sent ...
	RefuseFirst   int           // ... the first so many times that each is asked for; 0: always
	RefusedStatus dimse.Status  // final status where sub-operations failed; else B000, or A702 where all failed
	FinalStatus   *dimse.Status // instead of the true one, whatever failed
	NoCounts      bool          // no counts in the final response
	Counts        *dimse.Counts // in the final response instead of the true ones
	NoFailedList  bool          // no Failed SOP Instance UID List (0008,0058) in the final response
	NoPending     bool          // no pending responses
	IgnoreCancel  bool
	AbortOnCancel bool // C-CANCEL is answered by an abort
}

// MoveFaults are those of C-MOVE. Where those of C-GET drop the connection, that of the C-MOVE is meant, and the
// sub-operations' is aborted.
type MoveFaults struct {
	GetFaults
	Limit        int    // more C-MOVEs than these at once are answered A702; 0: none are
	NoOriginator bool   // sub-operations without Move Originator AE Title and Message ID
	CallingAE    string // of the associations to the destination, instead of the PACS's own AE title
	Associations int    // the sub-operations go over so many associations by turns; 1 when 0
	// so many of the last instances are sent only after the final response, which counts them as sent ...
	Late      int
	LatePause time.Duration // ... each after such a pause
}

// StoreFaults are those of C-STORE. Instances are counted from 1 since the faults were set.
type StoreFaults struct {
	First         int
	Status        dimse.Status            // answered to every instance; failures keep nothing
	Statuses      map[string]dimse.Status // by SOP Instance UID ...
	StatusesFirst int                     // ... the first so many times that each comes; 0: always
	// SOP Instance UIDs that are answered with another Affected SOP Instance UID, and not kept
	Misname         []string
	Lose            []string // SOP Instance UIDs of which nothing is kept, though the answer is Success
	StallAtObject   int      // reads nothing more for ever of this instance, not even an abort …
	StallAfterBytes int64    // … after so many bytes
	DropAtObject    int      // closes the connection without a word in this instance …
	DropAfterBytes  int64    // … after so many bytes
	AbortAtObject   int      // sends A-ABORT when it has this instance whole, and keeps nothing of it
	AbortAll        bool     // does so with every instance
}

// CommitmentFaults are those of storage commitment.
type CommitmentFaults struct {
	Refuse []string // SOP Instance UIDs that it is failed for, though they are held
	Both   []string // SOP Instance UIDs that the report lists as committed and as failed
}

// ArchiveFaults are those of studies that have to be brought back from an archive before they can be retrieved.
type ArchiveFaults struct {
	// Instance Availability of all until they are back, NEARLINE or OFFLINE; empty: they are there
	Availability string
	Retrieves    int          // C-GETs and C-MOVEs after which they are back; 0: not before other faults are set
	Status       dimse.Status // that answers those; "success, 0 of 0" if it is 0000
}

// faults counts what the limits of Misbehave count.
type faults struct {
	mu                                       sync.Mutex
	m                                        Misbehave
	associations, finds, gets, moves, stores int
	web                                      *rest.State
	recalls                                  int            // retrieves of what has to be brought back
	lists                                    map[string]int // C-FINDs by level, and series of instances
	asked                                    map[string]int // sub-operations that Refuse is about, by SOP Instance UID
	came                                     map[string]int // instances that Statuses is about, by SOP Instance UID
}

func (f *faults) set(m Misbehave) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.m, f.associations, f.finds, f.gets, f.moves, f.stores, f.recalls = m, 0, 0, 0, 0, 0, 0
	f.web = rest.NewState(m.Web)
	f.lists, f.asked, f.came = map[string]int{}, map[string]int{}, map[string]int{}
}

// within counts one more, and reports whether it is among the first.
func within(count *int, first int) bool {
	*count++
	return first == 0 || *count <= first
}

// nth is within of one of many counts.
func (f *faults) nth(counts map[string]int, key string, first int) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	counts[key]++
	return first == 0 || counts[key] <= first
}

func (f *faults) association() AssociationFaults {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(&f.associations, f.m.Association.First) {
		return AssociationFaults{}
	}
	if every := f.m.Association.Every; every > 0 && f.associations%every != 0 {
		return AssociationFaults{}
	}
	return f.m.Association
}

// find returns the faults of a C-FIND, and those of its level alone.
func (f *faults) find(l level, series string) (FindFaults, ListFaults) {
	away := f.away()
	f.mu.Lock()
	defer f.mu.Unlock()
	found := f.m.Find
	if !within(&f.finds, f.m.Find.First) {
		found = FindFaults{Study: found.Study, Series: found.Series, Image: found.Image}
	}
	if away != "" {
		answers := map[dict.Tag][]string{dict.InstanceAvailability: {away}}
		maps.Copy(answers, found.Answers)
		found.Answers = answers
	}
	list, key := ListFaults{}, strconv.Itoa(int(l))
	switch l {
	case studyLevel:
		list = found.Study
	case seriesLevel:
		list = found.Series
	case imageLevel:
		list, key = found.Image, key+" "+series
	}
	f.lists[key]++
	if n := f.lists[key] - list.After; n <= 0 || list.First > 0 && n > list.First {
		list = ListFaults{}
	}
	return found, list
}

func (f *faults) get() GetFaults {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(&f.gets, f.m.Get.First) {
		return GetFaults{}
	}
	return f.m.Get
}

func (f *faults) move() MoveFaults {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(&f.moves, f.m.Move.First) {
		return MoveFaults{}
	}
	return f.m.Move
}

// away returns the Instance Availability of what has to be brought back; nothing if it is there.
func (f *faults) away() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if a := f.m.Archive; a.Retrieves == 0 || f.recalls < a.Retrieves {
		return a.Availability
	}
	return ""
}

// recall counts a retrieve of what has to be brought back, and returns what answers it; false if it is there.
func (f *faults) recall() (dimse.Status, bool) {
	if f.away() == "" {
		return 0, false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.recalls++
	return f.m.Archive.Status, true
}

// store also returns the instance's number.
func (f *faults) store() (StoreFaults, int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !within(&f.stores, f.m.Store.First) {
		return StoreFaults{}, f.stores
	}
	return f.m.Store, f.stores
}

// state returns the counts of DICOMweb.
func (f *faults) state() *rest.State {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.web
}

func (f *faults) commitment() CommitmentFaults {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.m.Commitment
}

// MisbehaveFor sets the faults of all that is about one study: C-FIND, C-GET and C-MOVE that name it alone, C-STORE of
// its instances, and requests of DICOMweb alike. They hold instead of those of SetMisbehave, but for those of
// associations, until RemoveStudy.
func (p *PACS) MisbehaveFor(st *phantom.Study, m Misbehave) {
	f := &faults{}
	f.set(m)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.special[st.StudyInstanceUID] = f
	for _, in := range st.Instances() {
		p.special[in.SOPInstanceUID] = f
	}
}

// RemoveStudy takes a study out of the archive, with what MisbehaveFor has set for it.
func (p *PACS) RemoveStudy(st *phantom.Study) {
	p.archive.remove(st.StudyInstanceUID)
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.special, st.StudyInstanceUID)
	for _, in := range st.Instances() {
		delete(p.special, in.SOPInstanceUID)
	}
}

// faultsOf returns the faults of what is about one study or instance.
func (p *PACS) faultsOf(uids []string) *faults {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(uids) == 1 {
		if f := p.special[uids[0]]; f != nil {
			return f
		}
	}
	return &p.faults
}
