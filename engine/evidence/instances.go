// SPDX-License-Identifier: AGPL-3.0-or-later

// Package evidence holds what is known of each instance of a study, what became of it, and the verdict: it is the one
// place that judges a run. It needs no database and no network.
package evidence

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/source"
)

// Instances is what a run knows about each instance of its study: which ones there is evidence of, and what became of
// them. It is the one place that the verdict looks at, beside what the source says of itself (inventory). Instances and
// series are known by the source's UIDs. It is safe for concurrent use.
type Instances struct {
	Scope   Scope
	Notes   Notes
	Summary Summary

	mu     sync.Mutex
	facts  map[string]*Fact
	landed chan struct{} // closed when an instance on its way has landed; nil while nobody waits

	study   string
	chosen  map[string]bool            // the series that the task is about; empty: all
	omitted map[string]bool            // series that the job leaves out
	listed  map[string]string          // the series of each instance that the source lists
	lists   map[string]int             // how many those are, by series
	extra   map[string]map[string]bool // instances that it does not list, by series
	there   map[string]int             // how many are delivered, by series

	fellBack bool // another retrieve method than the first is in use
	// by SOP class: transfer syntaxes that instances came in and the destination did not take
	brought map[string][]string
	unasked map[string]unaskedReason // what came and is none of the task's
	reads   map[string]bool          // series that are only fetched for such notes
}

// Fact is what is known of one instance.
type Fact struct {
	Series, Class string
	inside        string // the series that it says it is of; empty: it did not come in this run
	state         state
	flying        bool // it is on its way
	bytes         int64
	Status        dimse.Status         // the destination's
	Seen          bool                 // the destination was seen to have it
	why           Shortfall            // it is not delivered
	out           jobs.LeftOutInstance // it is left out
	remarks       ledger.Oddity
	remembered    bool   // nothing speaks for it but that an earlier run missed it
	shown         string // as that run showed it: its UID is none, and was not kept
	file          string // in a folder
	fileBytes     int64
}

// state is what became of an instance.
type state int

const (
	outstanding state = iota // not at the destination: why says more, if more is known
	delivered                // acknowledged under its own UID, or seen there
	// the destination says that it has it already, or acknowledged another UID: to be confirmed by a query
	heldThere
	omitted // a rule leaves it out
)

// Cause is why an instance is not at the destination.
type Cause int

// Why an instance is not there.
const (
	causeUnknown  Cause = iota // it did not come, and nobody said why
	CauseInList                // the source did not send it as part of a request for several
	CauseMayPass               // the source answered with a failure that another attempt may not meet
	CauseRefused               // the source refuses it for good, also when asked for it alone
	CauseSyntax                // the source does not send it in a transfer syntax that the destination takes
	CauseNotTaken              // the destination does not take its SOP class, or that in its transfer syntax
	CauseThere                 // the destination refused it
	CauseDamaged               // it came damaged, or can't be converted
	causeUnsafe                // it could not be de-identified
	CauseMismatch              // it came, and is not what was asked for
	CauseNotUID                // it has a UID that is none
)

// Shortfall is why an instance is not delivered.
type Shortfall struct {
	Cause  Cause
	Status dimse.Status // the peer's; 0: it gave none
	Reason string
}

// unaskedReason is why an instance that came is none of the task's.
type unaskedReason int

// What came, and is none of the task's.
const (
	OtherStudy  unaskedReason = iota // it says that it is of another study
	OtherSeries                      // of the study, but of a series that the task is not about
)

// NewInstances returns what is known before anything has come. Without chosen series the task is about the whole study.
func NewInstances(study string, chosen []string) *Instances {
	in := &Instances{
		facts: map[string]*Fact{}, study: study, chosen: map[string]bool{},
		omitted: map[string]bool{}, listed: map[string]string{},
		extra: map[string]map[string]bool{}, there: map[string]int{},
		brought: map[string][]string{}, unasked: map[string]unaskedReason{}, reads: map[string]bool{},
	}
	in.Scope, in.Summary = Scope{in}, Summary{in}
	in.Notes = Notes{all: in, Rejected: map[string]deid.Reason{}, read: map[string]bool{}}
	for _, uid := range chosen {
		in.chosen[uid] = true
	}
	return in
}

// of returns the fact of an instance, a new one if there is none. The lock must be held.
func (in *Instances) of(uid string) *Fact {
	f := in.facts[uid]
	if f == nil {
		f = recognize(in, uid)
		in.facts[uid] = f
		in.place(uid, f, cmp.Or(in.listed[uid], f.Series))
	}
	return f
}

// recognize returns a new fact; for what is no UID one that an earlier run remembers, if it is shown alike. The lock of
// the instances must be held.
func recognize(in *Instances, uid string) *Fact {
	if fault.ValidUID(uid) {
		return &Fact{}
	}
	shown := visible(uid)
	for key, f := range in.facts {
		if f.isNameless() && f.shown == shown {
			in.drop(key)
			f.shown = ""
			return f
		}
	}
	return &Fact{}
}

// isNameless reports whether an earlier run missed an instance of which it could not keep the UID.
func (f *Fact) isNameless() bool { return f.shown != "" && f.remembered }

// place puts an instance into a series. The lock must be held.
func (in *Instances) place(uid string, f *Fact, series string) {
	if _, listed := in.listed[uid]; !listed {
		delete(in.extra[f.Series], uid)
		if in.extra[series] == nil {
			in.extra[series] = map[string]bool{}
		}
		in.extra[series][uid] = true
	}
	f.Series = series
}

// drop forgets an instance. The lock must be held.
func (in *Instances) drop(uid string) {
	if f := in.facts[uid]; f != nil {
		delete(in.extra[f.Series], uid)
		delete(in.facts, uid)
	}
}

// List takes over what the source lists.
func (in *Instances) List(inv *source.Inventory) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.listed, in.lists, in.extra = map[string]string{}, map[string]int{}, map[string]map[string]bool{}
	for _, s := range inv.Series {
		for uid := range s.Instances {
			if _, twice := in.listed[uid]; !twice {
				in.listed[uid] = s.UID
				in.lists[s.UID]++
			}
		}
	}
	for _, s := range inv.Series {
		for _, uid := range s.Unusable {
			f := in.of(uid)
			if f.why == (Shortfall{}) || f.remembered {
				f.Series, f.why = s.UID, Shortfall{CauseNotUID, dimse.InvalidSOPInstance, reasonNoUID}
			}
			f.remembered = false
		}
	}
	for uid, f := range in.facts {
		if series, ok := in.listed[uid]; ok && f.state == outstanding {
			f.Series, f.remembered = series, false
		} else if !ok {
			in.place(uid, f, f.Series)
		}
	}
	clear(in.omitted)
	for _, uid := range inv.LeftOutSeries {
		in.omitted[uid] = true
	}
	for _, uid := range inv.NoteSeries {
		in.reads[uid] = true
	}
}

// SeriesOf returns the series that the source lists an instance in; false if it does not list it.
func (in *Instances) SeriesOf(uid string) (string, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	series, ok := in.listed[uid]
	return series, ok
}

// inScope needs the lock.
func (in *Instances) inScope(series string) bool {
	return fault.ValidUID(series) && !in.omitted[series] && (len(in.chosen) == 0 || in.chosen[series])
}

// Remember takes over what an earlier run of the task knew to be missing. What had a UID that is none can't be asked
// for by it: it is remembered as one of its series (Nameless).
func (in *Instances) Remember(series string, missing []jobs.MissingInstance) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for i, m := range missing {
		key := m.SOPInstanceUID
		if !fault.ValidUID(key) {
			key = fmt.Sprintf("%d of %s", i, series)
			in.facts[key] = &Fact{
				remembered: true, shown: m.SOPInstanceUID,
				why: Shortfall{CauseNotUID, dimse.Status(m.Status), m.Reason},
			}
			in.place(key, in.facts[key], series)
			continue
		}
		if in.facts[key] == nil {
			f := in.of(key)
			f.remembered = true
			in.place(key, f, series)
		}
	}
}

// Book counts what the ledger holds.
func (in *Instances) Book(rows []db.DeliveredRow) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, d := range rows {
		f := in.of(d.SourceSopUid)
		f.Class, f.state, f.bytes, f.Status, f.remarks = d.SopClassUid, delivered, d.Bytes, dimse.Status(d.Status),
			ledger.Oddity(d.Remarks)
		f.file, f.fileBytes = d.File, d.FileBytes
		in.place(d.SourceSopUid, f, d.SeriesUid)
		in.there[d.SeriesUid]++
	}
}

// Lose makes instances outstanding again that the destination does not have any more, and returns how many bytes they
// were.
func (in *Instances) Lose(uids []string, why Shortfall) (bytes int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, uid := range uids {
		if f := in.facts[uid]; f != nil && f.state == delivered {
			bytes += f.bytes
			in.there[f.Series]--
			*f = Fact{Series: f.Series, Class: f.Class, why: why}
		}
	}
	return bytes
}

// Begin marks an instance as on its way; false if it is already, or needs not come.
func (in *Instances) Begin(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if f.flying || f.state == delivered || f.state == heldThere {
		return false
	}
	f.flying, f.remembered = true, false
	return true
}

// End takes an instance off those on their way. What becomes of it is open.
func (in *Instances) End(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.land(uid)
}

// land takes an instance off those on their way, tells who waits for one, and returns its fact. The lock must be held.
func (in *Instances) land(uid string) *Fact {
	f := in.of(uid)
	f.flying = false
	if in.landed != nil {
		close(in.landed)
		in.landed = nil
	}
	return f
}

// InTheAir returns what is closed when one of the instances on their way has landed; nil if this one is not on its way.
func (in *Instances) InTheAir(uid string) <-chan struct{} {
	in.mu.Lock()
	defer in.mu.Unlock()
	if f := in.facts[uid]; f == nil || !f.flying {
		return nil
	}
	if in.landed == nil {
		in.landed = make(chan struct{})
	}
	return in.landed
}

// Came takes down the series and the SOP class of an instance that has come. What the source lists keeps the series
// that it is listed in.
func (in *Instances) Came(uid, series, class string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if _, listed := in.listed[uid]; !listed {
		in.place(uid, f, series)
	}
	f.Class, f.remembered = class, false
}

// Says takes down the series that an instance says it is of.
func (in *Instances) Says(uid, series string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(uid).inside = series
}

// SaysOf returns the series that an instance said it is of, else the one that it is counted in; empty if it is not
// known.
func (in *Instances) SaysOf(uid string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	switch {
	case f == nil:
		return ""
	case f.inside != "":
		return f.inside
	}
	return f.Series
}

// Fail lands an instance that can't be delivered in this run.
func (in *Instances) Fail(uid string, c Cause, status dimse.Status, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(uid)
	f.why = Shortfall{c, status, reason}
}

// Refuse takes down that the source did not send an instance. A better known reason stands.
func (in *Instances) Refuse(uid string, c Cause, status dimse.Status, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if f.state == outstanding && f.why.Cause <= CauseMayPass && f.why.Cause < c {
		f.why = Shortfall{c, status, reason}
	}
}

// maxUnasked bounds what is kept of instances that nobody asked for.
const maxUnasked = 10_000

// Unasks takes down an instance that came and is none of the task's: there is no evidence that the task lacks anything.
func (in *Instances) Unasks(uid string, why unaskedReason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if f := in.land(uid); f.state == outstanding && f.why == (Shortfall{}) {
		in.drop(uid)
	}
	if len(in.unasked) < maxUnasked {
		in.unasked[uid] = why
	}
}

// Discard drops what came of a series that the job leaves out.
func (in *Instances) Discard(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.land(uid)
	in.drop(uid)
}

// Odd takes down that people have to know something of an instance.
func (in *Instances) Odd(uid string, what ledger.Oddity) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(uid).remarks |= what
}

// Deliver counts an instance as acknowledged by the destination, and completes its receipt.
func (in *Instances) Deliver(rc ledger.Receipt, seen bool) ledger.Receipt {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(rc.SOPUID)
	in.place(rc.SOPUID, f, rc.SeriesUID)
	if f.state != delivered {
		in.there[rc.SeriesUID]++
	}
	f.state, f.bytes, f.Status, f.why = delivered, rc.Bytes, rc.Status, Shortfall{}
	f.file, f.fileBytes = rc.File, rc.FileBytes
	f.Seen = f.Seen || seen
	if rc.Class != "" {
		f.Class = rc.Class
	}
	rc.Remarks = f.remarks
	return rc
}

// Hold takes down that the destination says that it has an instance already, which a query has to confirm.
func (in *Instances) Hold(uid, series string, status dimse.Status) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(uid)
	in.place(uid, f, series)
	f.state, f.Status = heldThere, status
}

// Unhold makes an instance outstanding that the destination does not have after all.
func (in *Instances) Unhold(uid string, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	f.state, f.why = outstanding, Shortfall{CauseThere, f.Status, reason}
}

// Leave lands an instance that is not sent: by a rule, or because it can't be de-identified. It reports whether that is
// new.
func (in *Instances) Leave(uid, series string, out jobs.LeftOutInstance, why string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(uid)
	if f.state == omitted || f.state == outstanding && f.out.Unsafe {
		return false
	}
	if series != "" {
		in.place(uid, f, series)
	}
	f.out = out
	if out.Unsafe {
		f.why = Shortfall{causeUnsafe, dimse.ProcessingFailure, why}
	} else {
		f.state, f.why = omitted, Shortfall{}
	}
	return true
}

// Bring takes down a transfer syntax in which the destination did not take an instance that came.
func (in *Instances) Bring(class, syntax string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.brought[class], syntax) {
		in.brought[class] = append(in.brought[class], syntax)
	}
}

// FallBack says that another retrieve method is now in use, which may have decompressed what the first one did not
// send.
func (in *Instances) FallBack(on bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fellBack = on
}

// Settled reports whether nothing more is to be done about an instance in this run.
func (in *Instances) Settled(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.isSettled(uid)
}

// isSettled needs the lock.
func (in *Instances) isSettled(uid string) bool {
	f := in.facts[uid]
	switch {
	case f == nil:
		return false
	case f.state != outstanding:
		return true
	case f.why.Cause == CauseSyntax:
		return !in.fellBack
	}
	return f.why.Cause > CauseRefused
}

// Absent reports whether an instance is neither settled nor on its way.
func (in *Instances) Absent(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	return f == nil || !f.flying && !in.isSettled(uid)
}

// Unsettled returns those of the instances about which something is still to be done.
func (in *Instances) Unsettled(uids []string) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(uids), in.isSettled)
}

// Missing returns up to limit instances of a series that there is evidence of and that are not settled, in the order of
// their UIDs.
func (in *Instances) Missing(s *source.SeriesInventory, limit int) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var uids []string
	for uid := range s.Instances {
		if !in.isSettled(uid) {
			uids = append(uids, uid)
		}
	}
	for uid := range in.extra[s.UID] {
		if fault.ValidUID(uid) && !in.isSettled(uid) {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids[:min(limit, len(uids))]
}

// RefusedForGood reports whether the source refuses an instance for good.
func (in *Instances) RefusedForGood(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	return f != nil && f.state == outstanding && f.why.Cause == CauseRefused
}

// Reopen lets instances be asked for again; what does not come is given its reason back by close.
func (in *Instances) Reopen(refused map[string]Shortfall) (closeAgain func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range refused {
		in.of(uid).why = Shortfall{}
	}
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		for uid, why := range refused {
			if f := in.of(uid); f.state == outstanding && f.why.Cause < CauseNotTaken { // the source's doing
				f.why = why
			}
		}
	}
}

// DeliveredOf counts what was delivered of a series, of all series if it is empty.
func (in *Instances) DeliveredOf(series string) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for of, count := range in.there {
		if series == "" || of == series {
			n += count
		}
	}
	return n
}

// Known counts what there is evidence of in a series, in all series if it is empty.
func (in *Instances) Known(series string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.knownIn(series)
}

// knownIn needs the lock.
func (in *Instances) knownIn(series string) int {
	if series != "" {
		return in.lists[series] + len(in.extra[series])
	}
	n := len(in.listed)
	for _, uids := range in.extra {
		n += len(uids)
	}
	return n
}

// Exceeds reports whether there may be more of a listed series without a count than its list has: more is known, or the
// retrieve of the whole broke off, and the source was not heard to the end since.
func (in *Instances) Exceeds(s *source.SeriesInventory) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.isExceeded(s) || s.Listed && s.Counted < 0 && !s.Ended && s.Broken
}

// isExceeded needs the lock.
func (in *Instances) isExceeded(s *source.SeriesInventory) bool {
	return s.Listed && s.Counted < 0 && !s.Ended &&
		slices.ContainsFunc(slices.Collect(maps.Keys(in.extra[s.UID])), func(uid string) bool {
			return !in.facts[uid].remembered
		})
}

// visible makes what came in the place of a UID fit to be shown: a UID as it is, of anything else only the digits and
// marks, since it may hold what nobody is to read in a log.
func visible(uid string) string {
	if fault.ValidUID(uid) {
		return uid
	}
	shape := strings.Map(func(r rune) rune {
		if strings.ContainsRune("0123456789./_- ", r) {
			return r
		}
		return '?'
	}, uid)
	return strconv.Quote(shape[:min(len(shape), 64)])
}
