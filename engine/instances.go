// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"maps"
	"slices"
	"sync"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dimse"
)

// instances is what a run knows about each instance of its study: which ones there is evidence of, and what became of them. It is the one
// place that the verdict looks at, beside what the source says of itself (inventory). Instances and series are known by the source's UIDs.
// It is safe for concurrent use.
type instances struct {
	mu     sync.Mutex
	facts  map[string]*fact
	landed chan struct{} // closed when an instance on its way has landed; nil while nobody waits

	study   string
	chosen  map[string]bool            // the series that the task is about; empty: all
	omitted map[string]bool            // series that the job leaves out
	listed  map[string]string          // the series of each instance that the source lists
	lists   map[string]int             // how many those are, by series
	extra   map[string]map[string]bool // instances that it does not list, by series
	there   map[string]int             // how many are delivered, by series

	fellBack bool                     // another retrieve method than the first is in use
	brought  map[string][]string      // by SOP class: transfer syntaxes that instances came in and the destination did not take
	unasked  map[string]unaskedReason // what came and is none of the task's
	rejected map[string]deid.Reason   // what the source has rejected, by its notes
	read     map[string]bool          // key objects that were read
	reads    map[string]bool          // series that are only fetched for such notes
}

// fact is what is known of one instance.
type fact struct {
	series, class string
	inside        string // the series that it says it is of; empty: it did not come in this run
	state         state
	flying        bool // it is on its way
	bytes         int64
	status        dimse.Status // the destination's
	seen          bool         // the destination was seen to have it
	why           shortfall    // it is not delivered
	out           leftOut      // it is left out
	remarks       oddity
	remembered    bool   // nothing speaks for it but that an earlier run missed it
	file          string // in a folder
	fileBytes     int64
}

// state is what became of an instance.
type state int

const (
	outstanding state = iota // not at the destination: why says more, if more is known
	delivered                // acknowledged under its own UID, or seen there
	heldThere                // the destination says that it has it already, or acknowledged another UID: to be confirmed by a query
	omitted                  // a rule leaves it out
)

// cause is why an instance is not at the destination.
type cause int

const (
	causeUnknown  cause = iota // it did not come, and nobody said why
	causeInList                // the source did not send it as part of a request for several
	causeMayPass               // the source answered with a failure that another attempt may not meet
	causeRefused               // the source refuses it for good, also when asked for it alone
	causeSyntax                // the source does not send it in a transfer syntax that the destination takes
	causeNotTaken              // the destination does not take its SOP class, or that in its transfer syntax
	causeThere                 // the destination refused it
	causeDamaged               // it came damaged, or can't be converted
	causeUnsafe                // it could not be de-identified
	causeMismatch              // it came, and is not what was asked for
	causeNotUID                // it has a UID that is none
)

// shortfall is why an instance is not delivered.
type shortfall struct {
	cause  cause
	status dimse.Status // the peer's; 0: it gave none
	reason string
}

// unaskedReason is why an instance that came is none of the task's.
type unaskedReason int

const (
	otherStudy  unaskedReason = iota // it says that it is of another study
	otherSeries                      // of the study, but of a series that the task is not about
)

// oddity is a set of what people have to know of an instance that was delivered. The ledger keeps it.
type oddity int16

const (
	otherPatient oddity = 1 << iota // it carries another Patient ID than its study
	movedSeries                     // it says that it is of another series than the source lists it in
	otherReply                      // the destination acknowledged another SOP Instance UID
	twoSeries                       // another one came under its UID, of another series
	endsEarly                       // it ends before what its SOP class must have at its end
	unclearNote                     // it is a key object that could not be understood
)

// newInstances returns what is known before anything has come. Without chosen series the task is about the whole study.
func newInstances(study string, chosen []string) *instances {
	in := &instances{
		facts: map[string]*fact{}, study: study, chosen: map[string]bool{}, omitted: map[string]bool{}, listed: map[string]string{},
		extra: map[string]map[string]bool{}, there: map[string]int{},
		brought: map[string][]string{}, unasked: map[string]unaskedReason{}, rejected: map[string]deid.Reason{}, read: map[string]bool{}, reads: map[string]bool{},
	}
	for _, uid := range chosen {
		in.chosen[uid] = true
	}
	return in
}

// of returns the fact of an instance, a new one if there is none. The lock must be held.
func (in *instances) of(uid string) *fact {
	f := in.facts[uid]
	if f == nil {
		f = &fact{}
		in.facts[uid] = f
		in.place(uid, f, in.listed[uid])
	}
	return f
}

// place puts an instance into a series. The lock must be held.
func (in *instances) place(uid string, f *fact, series string) {
	if _, listed := in.listed[uid]; !listed {
		delete(in.extra[f.series], uid)
		if in.extra[series] == nil {
			in.extra[series] = map[string]bool{}
		}
		in.extra[series][uid] = true
	}
	f.series = series
}

// drop forgets an instance. The lock must be held.
func (in *instances) drop(uid string) {
	if f := in.facts[uid]; f != nil {
		delete(in.extra[f.series], uid)
		delete(in.facts, uid)
	}
}

// list takes over what the source lists.
func (in *instances) list(inv *inventory) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.listed, in.lists, in.extra = map[string]string{}, map[string]int{}, map[string]map[string]bool{}
	for _, s := range inv.series {
		for uid := range s.instances {
			if _, twice := in.listed[uid]; !twice {
				in.listed[uid] = s.uid
				in.lists[s.uid]++
			}
		}
	}
	for _, s := range inv.series {
		for _, uid := range s.unusable {
			if f := in.of(uid); f.why == (shortfall{}) {
				f.series, f.why = s.uid, shortfall{causeNotUID, dimse.InvalidSOPInstance, reasonNoUID}
			}
		}
	}
	for uid, f := range in.facts {
		if series, ok := in.listed[uid]; ok && f.state == outstanding {
			f.series, f.remembered = series, false
		} else if !ok {
			in.place(uid, f, f.series)
		}
	}
	clear(in.omitted)
	for _, uid := range inv.leftOutSeries {
		in.omitted[uid] = true
	}
	for _, uid := range inv.noteSeries {
		in.reads[uid] = true
	}
}

// seriesOf returns the series that the source lists an instance in; false if it does not list it.
func (in *instances) seriesOf(uid string) (string, bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	series, ok := in.listed[uid]
	return series, ok
}

// leavesOut reports whether the job leaves a series out.
func (in *instances) leavesOut(series string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.omitted[series]
}

// wants reports whether the task is about a series.
func (in *instances) wants(study, series string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return study == in.study && (in.inScope(series) || in.reads[series])
}

// onlyReads reports whether a series is fetched for its rejection notes alone.
func (in *instances) onlyReads(series string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.reads[series]
}

// inScope needs the lock.
func (in *instances) inScope(series string) bool {
	return validUID(series) && !in.omitted[series] && (len(in.chosen) == 0 || in.chosen[series])
}

// unplace takes down instances of the study that the source lists for every series alike: it is not known which one they are of. A task
// about chosen series can't tell whether they are its own.
func (in *instances) unplace(uids []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.chosen) == 0 {
		for _, uid := range uids {
			in.of(uid)
		}
	}
}

// remember takes over what an earlier run of the task knew to be missing.
func (in *instances) remember(series string, missing []MissingInstance) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, m := range missing {
		if validUID(m.SOPInstanceUID) && in.facts[m.SOPInstanceUID] == nil {
			f := in.of(m.SOPInstanceUID)
			f.remembered = true
			in.place(m.SOPInstanceUID, f, series)
		}
	}
}

// book counts what the ledger holds.
func (in *instances) book(rows []db.DeliveredRow) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, d := range rows {
		f := in.of(d.SourceSopUid)
		f.class, f.state, f.bytes, f.status, f.remarks = d.SopClassUid, delivered, d.Bytes, dimse.Status(d.Status), oddity(d.Remarks)
		f.file, f.fileBytes = d.File, d.FileBytes
		in.place(d.SourceSopUid, f, d.SeriesUid)
		in.there[d.SeriesUid]++
	}
}

// lose makes instances outstanding again that the destination does not have any more, and returns how many bytes they were.
func (in *instances) lose(uids []string, why shortfall) (bytes int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, uid := range uids {
		if f := in.facts[uid]; f != nil && f.state == delivered {
			bytes += f.bytes
			in.there[f.series]--
			*f = fact{series: f.series, class: f.class, why: why}
		}
	}
	return bytes
}

// rows returns what was delivered as the ledger has it.
func (in *instances) rows() (rows []db.DeliveredRow) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid, f := range in.facts {
		if f.state == delivered {
			rows = append(rows, db.DeliveredRow{
				SourceSopUid: uid, SeriesUid: f.series, SopClassUid: f.class, Bytes: f.bytes, Status: int32(f.status), File: f.file, FileBytes: f.fileBytes,
			})
		}
	}
	return rows
}

// begin marks an instance as on its way; false if it is already, or needs not come.
func (in *instances) begin(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if f.flying || f.state == delivered || f.state == heldThere {
		return false
	}
	f.flying, f.remembered = true, false
	return true
}

// end takes an instance off those on their way. What becomes of it is open.
func (in *instances) end(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.land(uid)
}

// land takes an instance off those on their way, tells who waits for one, and returns its fact. The lock must be held.
func (in *instances) land(uid string) *fact {
	f := in.of(uid)
	f.flying = false
	if in.landed != nil {
		close(in.landed)
		in.landed = nil
	}
	return f
}

// inTheAir returns what is closed when one of the instances on their way has landed; nil if this one is not on its way.
func (in *instances) inTheAir(uid string) <-chan struct{} {
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

// came takes down the series and the SOP class of an instance that has come. What the source lists keeps the series that it is listed in.
func (in *instances) came(uid, series, class string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if _, listed := in.listed[uid]; !listed {
		in.place(uid, f, series)
	}
	f.class, f.remembered = class, false
}

// says takes down the series that an instance says it is of.
func (in *instances) says(uid, series string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(uid).inside = series
}

// saysOf returns the series that an instance said it is of, else the one that it is counted in; empty if it is not known.
func (in *instances) saysOf(uid string) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	switch {
	case f == nil:
		return ""
	case f.inside != "":
		return f.inside
	}
	return f.series
}

// fail lands an instance that can't be delivered in this run.
func (in *instances) fail(uid string, c cause, status dimse.Status, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(uid)
	f.why = shortfall{c, status, reason}
}

// refuse takes down that the source did not send an instance. A better known reason stands.
func (in *instances) refuse(uid string, c cause, status dimse.Status, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	if f.state == outstanding && f.why.cause <= causeMayPass && f.why.cause < c {
		f.why = shortfall{c, status, reason}
	}
}

// maxUnasked bounds what is kept of instances that nobody asked for.
const maxUnasked = 10_000

// unasks takes down an instance that came and is none of the task's: there is no evidence that the task lacks anything.
func (in *instances) unasks(uid string, why unaskedReason) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if f := in.land(uid); f.state == outstanding && f.why == (shortfall{}) {
		in.drop(uid)
	}
	if len(in.unasked) < maxUnasked {
		in.unasked[uid] = why
	}
}

// isUnasked reports whether an instance came and is none of the task's.
func (in *instances) isUnasked(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	_, ok := in.unasked[uid]
	return ok
}

// discard drops what came of a series that the job leaves out.
func (in *instances) discard(uid string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.land(uid)
	in.drop(uid)
}

// odd takes down that people have to know something of an instance.
func (in *instances) odd(uid string, what oddity) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.of(uid).remarks |= what
}

// deliver counts an instance as acknowledged by the destination, and completes its receipt.
func (in *instances) deliver(rc receipt, seen bool) receipt {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(rc.sopUID)
	in.place(rc.sopUID, f, rc.seriesUID)
	if f.state != delivered {
		in.there[rc.seriesUID]++
	}
	f.state, f.bytes, f.status, f.why = delivered, rc.bytes, rc.status, shortfall{}
	f.file, f.fileBytes = rc.file, rc.fileBytes
	f.seen = f.seen || seen
	if rc.class != "" {
		f.class = rc.class
	}
	rc.remarks = f.remarks
	return rc
}

// hold takes down that the destination says that it has an instance already, which a query has to confirm.
func (in *instances) hold(uid, series string, status dimse.Status) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.land(uid)
	in.place(uid, f, series)
	f.state, f.status = heldThere, status
}

// unhold makes an instance outstanding that the destination does not have after all.
func (in *instances) unhold(uid string, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.of(uid)
	f.state, f.why = outstanding, shortfall{causeThere, f.status, reason}
}

// held returns what has to be confirmed.
func (in *instances) held() map[string]fact {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := map[string]fact{}
	for uid, f := range in.facts {
		if f.state == heldThere {
			out[uid] = *f
		}
	}
	return out
}

// leave lands an instance that is not sent: by a rule, or because it can't be de-identified. It reports whether that is new.
func (in *instances) leave(uid, series string, out leftOut, why string) bool {
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
		f.why = shortfall{causeUnsafe, dimse.ProcessingFailure, why}
	} else {
		f.state, f.why = omitted, shortfall{}
	}
	return true
}

// bring takes down a transfer syntax in which the destination did not take an instance that came.
func (in *instances) bring(class, syntax string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if !slices.Contains(in.brought[class], syntax) {
		in.brought[class] = append(in.brought[class], syntax)
	}
}

// broughtSyntaxes returns those, by SOP class.
func (in *instances) broughtSyntaxes() map[string][]string {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := make(map[string][]string, len(in.brought))
	for class, syntaxes := range in.brought {
		out[class] = slices.Clone(syntaxes)
	}
	return out
}

// fallBack tells that another retrieve method is in use now, which may have decompressed what the first one did not send.
func (in *instances) fallBack(on bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.fellBack = on
}

// settled reports whether nothing more is to be done about an instance in this run.
func (in *instances) settled(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.isSettled(uid)
}

// isSettled needs the lock.
func (in *instances) isSettled(uid string) bool {
	f := in.facts[uid]
	switch {
	case f == nil:
		return false
	case f.state != outstanding:
		return true
	case f.why.cause == causeSyntax:
		return !in.fellBack
	}
	return f.why.cause > causeRefused
}

// absent reports whether an instance is neither settled nor on its way.
func (in *instances) absent(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	return f == nil || !f.flying && !in.isSettled(uid)
}

// unsettled returns those of the instances about which something is still to be done.
func (in *instances) unsettled(uids []string) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(uids), in.isSettled)
}

// missing returns up to limit instances of a series that there is evidence of and that are not settled, in the order of their UIDs.
func (in *instances) missing(s *seriesInventory, limit int) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	var uids []string
	for uid := range s.instances {
		if !in.isSettled(uid) {
			uids = append(uids, uid)
		}
	}
	for uid := range in.extra[s.uid] {
		if validUID(uid) && !in.isSettled(uid) {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids[:min(limit, len(uids))]
}

// refusedForGood reports whether the source refuses an instance for good.
func (in *instances) refusedForGood(uid string) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := in.facts[uid]
	return f != nil && f.state == outstanding && f.why.cause == causeRefused
}

// untaken returns what the destination did not take of a series in the transfer syntax that it came in.
func (in *instances) untaken(s *seriesInventory) map[string]shortfall {
	in.mu.Lock()
	defer in.mu.Unlock()
	found := map[string]shortfall{}
	for uid, f := range in.facts {
		if f.state == outstanding && f.why.cause == causeNotTaken && (f.series == s.uid || s.uid == "") {
			found[uid] = f.why
		}
	}
	return found
}

// reopen lets instances be asked for again; what does not come is given its reason back by close.
func (in *instances) reopen(refused map[string]shortfall) (closeAgain func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range refused {
		in.of(uid).why = shortfall{}
	}
	return func() {
		in.mu.Lock()
		defer in.mu.Unlock()
		for uid, why := range refused {
			if f := in.of(uid); f.state == outstanding && f.why.cause < causeNotTaken { // the source's doing
				f.why = why
			}
		}
	}
}

// deliveredOf counts what was delivered of a series, of all series if it is empty.
func (in *instances) deliveredOf(series string) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for of, count := range in.there {
		if series == "" || of == series {
			n += count
		}
	}
	return n
}

// known counts what there is evidence of in a series, in all series if it is empty.
func (in *instances) known(series string) int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.knownIn(series)
}

// knownIn needs the lock.
func (in *instances) knownIn(series string) int {
	if series != "" {
		return in.lists[series] + len(in.extra[series])
	}
	n := len(in.listed)
	for _, uids := range in.extra {
		n += len(uids)
	}
	return n
}

// exceeds reports whether there may be more of a listed series without a count than its list has: more is known, or the retrieve of the whole
// broke off, and the source was not heard to the end since.
func (in *instances) exceeds(s *seriesInventory) bool {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.isExceeded(s) || s.listed && s.counted < 0 && !s.ended && s.broken
}

// isExceeded needs the lock.
func (in *instances) isExceeded(s *seriesInventory) bool {
	return s.listed && s.counted < 0 && !s.ended && slices.ContainsFunc(slices.Collect(maps.Keys(in.extra[s.uid])), func(uid string) bool {
		return !in.facts[uid].remembered
	})
}

// knownOf counts those of the instances that are of a series, of any if it is empty.
func (in *instances) knownOf(series string, uids map[string]bool) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range uids {
		s, listed := in.listed[uid]
		if f := in.facts[uid]; !listed && f != nil {
			s = f.series
		} else if !listed {
			continue
		}
		if series == "" || s == series {
			n++
		}
	}
	return n
}

// unplaced counts the instances that are outstanding and whose series is not known.
func (in *instances) unplaced() (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid := range in.extra[""] {
		if in.facts[uid].state == outstanding {
			n++
		}
	}
	return n
}

// strays returns the series that instances came of and that are not among those of the inventory.
func (in *instances) strays(inv *inventory) []string {
	in.mu.Lock()
	defer in.mu.Unlock()
	found := map[string]bool{}
	for series, uids := range in.extra {
		if len(uids) > 0 && in.inScope(series) {
			found[series] = true
		}
	}
	for _, s := range inv.series {
		delete(found, s.uid)
	}
	return slices.Sorted(maps.Keys(found))
}

// deliveries returns what was delivered, by UID.
func (in *instances) deliveries() map[string]fact {
	in.mu.Lock()
	defer in.mu.Unlock()
	out := map[string]fact{}
	for uid, f := range in.facts {
		if f.state == delivered {
			out[uid] = *f
		}
	}
	return out
}

// uidsDelivered returns the instances that were delivered.
func (in *instances) uidsDelivered() []string { return slices.Collect(maps.Keys(in.deliveries())) }

// deliveredAs counts what was delivered with a status of the destination's.
func (in *instances) deliveredAs(status dimse.Status) (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range in.facts {
		if f.state == delivered && f.status == status {
			n++
		}
	}
	return n
}

// leftOuts returns what was not sent on purpose, or because it could not be de-identified, in the order of the UIDs.
func (in *instances) leftOuts() []leftOut {
	in.mu.Lock()
	defer in.mu.Unlock()
	var all []leftOut
	for _, uid := range slices.Sorted(maps.Keys(in.facts)) {
		if f := in.facts[uid]; f.state == omitted || f.state == outstanding && f.why.cause == causeUnsafe {
			all = append(all, f.out)
		}
	}
	return all
}

// ruledOut counts what rules leave out.
func (in *instances) ruledOut() (n int) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, f := range in.facts {
		if f.state == omitted {
			n++
		}
	}
	return n
}

// remarks returns how many instances the destination took with which remark of its own.
func (in *instances) remarks() map[dimse.Status]int {
	in.mu.Lock()
	defer in.mu.Unlock()
	noted := map[dimse.Status]int{}
	for _, f := range in.facts {
		if f.state == delivered && f.status.Meaning(dimse.CStore).Outcome == dimse.DoneNoted {
			noted[f.status]++
		}
	}
	return noted
}

// odds returns the delivered instances of which something is to be known, in order.
func (in *instances) odds(what oddity) (uids []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid, f := range in.facts {
		if f.state == delivered && f.remarks&what != 0 {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}

// unaskedUIDs returns what came and is none of the task's, in order.
func (in *instances) unaskedUIDs(why unaskedReason) (uids []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for uid, w := range in.unasked {
		if w == why {
			uids = append(uids, uid)
		}
	}
	slices.Sort(uids)
	return uids
}
