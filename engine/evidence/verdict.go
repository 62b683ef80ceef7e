// SPDX-License-Identifier: AGPL-3.0-or-later

package evidence

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/source"
)

// findings are what all evidence together says about a run that did all it could: what the source counts and lists,
// what came, what was refused or damaged, and what the destination acknowledged. Success needs that nothing speaks
// against it.
type findings struct {
	// in the order of the inventory, and one without a UID for instances whose series is not known
	Series    []jobs.Series
	Delivered int
	RuledOut  int
	// missing are instances that some evidence names, and that are not accounted for; lacking are those that a count
	// alone speaks of, where nothing is listed.
	Missing, Lacking int
	reasons          map[string]int // of both
	Undeliverable    int            // the source refuses them for good
	Refusals         map[string]int // the reasons of those
	Unsafe           int            // could not be de-identified
	// sentences: counts that stand alone against lists, instances that are listed twice, …
	Disputes []string
	Provable bool
}

// judge weighs the evidence.
type judge struct{ all *Instances }

// Judge weighs the evidence. done reports that the run did all it could: what an earlier run missed is not dropped
// before that. unsent says why something that the source lists was perhaps not asked for; otherwise is the reason of
// what is missing and of which nothing else is known.
func (in *Instances) Judge(
	inv *source.Inventory, done bool, unsent func(source.Instance) Shortfall, otherwise string,
) findings {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := findings{Provable: true, reasons: map[string]int{}, Refusals: map[string]int{}}
	listed := map[string]source.Instance{}
	for _, s := range inv.Series {
		maps.Copy(listed, s.Instances)
	}
	place := map[string]*jobs.Series{}
	f.Series = make([]jobs.Series, len(inv.Series), len(inv.Series)+1)
	for i, s := range inv.Series {
		f.Series[i] = jobs.Series{SeriesInstanceUID: s.UID}
		place[s.UID] = &f.Series[i]
	}
	other := &jobs.Series{}
	known, expected := map[*jobs.Series]int{}, map[*jobs.Series]int{}
	uids := judge{in}.uids()
	if done {
		memories := judge{in}.memories(inv)
		uids = slices.DeleteFunc(uids, func(uid string) bool { return memories[uid] })
	}
	for _, uid := range uids {
		fact := in.facts[uid]
		s := place[judge{in}.countedIn(uid)]
		if s == nil {
			s = other
		}
		known[s]++
		if fact == nil || fact.state != omitted {
			expected[s]++
		}
		if _, rejected := in.Notes.Rejected[uid]; rejected && (fact == nil || fact.state == outstanding) {
			expected[s]--
			f.RuledOut++
			continue
		}
		i := listed[uid]
		f.account(s, uid, fact, func() Shortfall {
			if why := unsent(i); why.Reason != "" {
				return why
			}
			return Shortfall{Reason: otherwise}
		})
	}
	if known[other] > 0 {
		f.Series = append(f.Series, *other)
	}
	unseen, total, alone := judge{in}.unseen(), 0, 0
	for i, s := range inv.Series {
		entry := &f.Series[i]
		entry.Expected = expected[entry]
		hidden := min(Short(s.Counted, known[entry]), unseen)
		unseen, f.RuledOut = unseen-hidden, f.RuledOut+hidden
		counted := known[entry] + hidden
		if in.isExceeded(s) {
			f.Disputes = append(f.Disputes,
				fmt.Sprintf(
					"The source sent more of series %s than it lists, and its answer was cut off when ADIT asked "+
						"for the whole series.",
					s.UID,
				),
			)
		}
		lacking, disputed := f.judgeCount(s, counted, otherwise)
		entry.Expected += lacking
		alone += disputed
		total += counted + lacking
	}
	total += known[other]
	if hidden := min(unseen, Short(inv.Counted, total)); inv.Whole && hidden > 0 {
		total, f.RuledOut = total+hidden, f.RuledOut+hidden
	}
	f.judgeStudy(inv, total, alone, otherwise)
	f.Disputes = append(f.Disputes, inv.ListedTwice()...)
	return f
}

// uids returns what there is evidence of by name, in order. The lock must be held.
func (in judge) uids() []string {
	all := make(map[string]bool, len(in.all.listed)+len(in.all.facts))
	for uid := range in.all.listed {
		all[uid] = true
	}
	for uid := range in.all.facts {
		all[uid] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// memories returns what only an earlier run speaks for, where what the source says now is undisputed without it: the
// study's count is no more than what is known otherwise, or, where there is none, each series' list or count. What
// could not be asked for by its UID has to be heard to be gone. The lock must be held.
func (in judge) memories(inv *source.Inventory) map[string]bool {
	all, kept := map[string]bool{}, map[string]int{}
	for series, uids := range in.all.extra {
		for uid := range uids {
			f := in.all.facts[uid]
			if f.remembered && f.state == outstanding && (!f.isNameless() || inv.HeardOf(series)) {
				all[uid] = true
				kept[series]++
			}
		}
	}
	if len(all) == 0 || inv.Whole && inv.Counted >= 0 && in.all.knownIn("")-len(all) >= inv.Counted {
		return all
	}
	undisputed, elsewhere := in.undisputed(inv, kept)
	maps.DeleteFunc(all, func(uid string, _ bool) bool {
		f := in.all.facts[uid]
		ok, placed := undisputed[f.Series]
		counted := slices.ContainsFunc(
			inv.Series, func(s *source.SeriesInventory) bool { return s.UID == f.Series && s.Counted >= 0 },
		)
		// the source was asked for it, and failed
		failed := f.why.Cause != causeUnknown && !f.isNameless()
		return placed && !ok || !placed && !elsewhere || !counted && failed
	})
	return all
}

// undisputed tells of each series that the source says something about whether that leaves no room for more than is
// known without kept; and of what the source does not list at all, whether anything leaves room for it. The lock must
// be held.
func (in judge) undisputed(inv *source.Inventory, kept map[string]int) (series map[string]bool, elsewhere bool) {
	series, elsewhere = map[string]bool{}, inv.Unnamed == 0 && inv.Counted < 0
	for _, s := range inv.Series {
		known, said := in.all.knownIn(s.UID)-kept[s.UID], s.Provable()
		if known > 0 || said {
			whole := s.Counted >= 0 || known == in.all.lists[s.UID] // else more came than is listed
			series[s.UID] = said && whole && Short(s.Counted, known) == 0
			elsewhere = elsewhere && series[s.UID]
		}
	}
	return series, elsewhere
}

// countedIn returns the series that an instance is counted in: the one that it was delivered in, else as it is listed,
// else as it came. The lock must be held.
func (in judge) countedIn(uid string) string {
	series, fact := in.all.listed[uid], in.all.facts[uid]
	if fact != nil && (series == "" || fact.state == delivered) {
		return fact.Series
	}
	return series
}

// Reasons of what is missing.
const (
	ReasonNeverCame   = "the source did not send them when ADIT asked for them, and reported no fault"
	reasonUnconfirmed = "the destination says that it already holds this instance, which was not confirmed"
	reasonNoUID       = "the source lists it under an invalid SOP Instance UID (PS3.5 9.1), so ADIT did not ask for it"
)

// account puts one instance where it belongs.
func (f *findings) account(s *jobs.Series, uid string, fact *Fact, otherwise func() Shortfall) {
	why, shown := Shortfall{}, visible(uid)
	if fact != nil {
		if fact.isNameless() {
			shown = fact.shown
		}
		switch fact.state {
		case delivered:
			s.Delivered++
			s.Bytes += fact.bytes
			f.Delivered++
			return
		case omitted:
			f.RuledOut++
			return
		case heldThere:
			why = Shortfall{CauseThere, fact.Status, reasonUnconfirmed}
		case outstanding:
			why = fact.why
		}
	}
	if why.Reason == "" {
		why = otherwise()
	}
	f.lose(
		s, jobs.MissingInstance{SOPInstanceUID: shown, Status: uint16(why.Status), Reason: why.Reason}, why.Cause,
	)
}

// MaxMissing bounds the list of missing instances that is kept of a series, and that of those of a study that were not
// sent.
const MaxMissing = 10_000

// lose counts an instance that is not delivered.
func (f *findings) lose(s *jobs.Series, m jobs.MissingInstance, c Cause) {
	if len(s.Missing) < MaxMissing {
		s.Missing = append(s.Missing, m)
	}
	switch c {
	case CauseRefused:
		f.Undeliverable++
		f.Refusals[m.Reason]++
	case causeUnsafe:
		f.Unsafe++
	default:
		f.Missing++
		f.reasons[m.Reason]++
	}
}

// unseen counts what the source has rejected and neither lists nor sent: it may count it all the same. The lock must be
// held.
func (in judge) unseen() (n int) {
	for uid := range in.all.Notes.Rejected {
		if _, listed := in.all.listed[uid]; !listed && in.all.facts[uid] == nil {
			n++
		}
	}
	return n
}

// judgeCount weighs the count of a series against what is known of it: what is lacking where nothing is listed, and
// what is disputed where it is.
func (f *findings) judgeCount(s *source.SeriesInventory, known int, otherwise string) (lacking, disputed int) {
	f.Provable = f.Provable && s.Provable()
	gap := Short(s.Counted, known)
	switch {
	case gap == 0:
		return 0, 0
	case s.Listed:
		f.Disputes = append(f.Disputes, s.Dispute(known))
		return 0, gap
	}
	f.lack(gap, otherwise)
	return gap, 0
}

// judgeStudy weighs the study's own count, if the task is about the whole study. known is what there is evidence of; of
// the series' counts, alone stand against lists.
func (f *findings) judgeStudy(inv *source.Inventory, known, alone int, otherwise string) {
	if !inv.Whole {
		return
	}
	gap := Short(inv.Counted, known)
	unlisted := slices.ContainsFunc(inv.Series, func(s *source.SeriesInventory) bool { return !s.Listed })
	switch {
	case inv.Counted < 0:
	case unlisted:
		f.Provable = true
		if gap > alone {
			f.lack(gap-alone, otherwise)
		}
	case gap > alone:
		f.Disputes = append(f.Disputes, fmt.Sprintf(
			"The source counts %s in the study but lists %d%s.",
			fault.Instances(inv.Counted), known, source.AskedInVain(inv.Again),
		))
	}
	if inv.Unnamed > 0 && inv.Counted != known { // a count that is too low tells nothing either
		f.Disputes = append(f.Disputes, "The source lists "+source.SeriesWithoutUID(inv.Unnamed)+
			", so it is unknown whether all of it has arrived.")
	}
}

// Short returns by how much a count exceeds what there is evidence of; 0 if it doesn't, or there is no count.
func Short(counted, known int) int { return max(0, counted-known) }

func (f *findings) lack(n int, reason string) {
	f.Lacking += n
	f.reasons[reason] += n
}

// shownReasons bounds the reasons that a message gives.
const shownReasons = 5

// Why names the reasons of what is missing, the most frequent first, each with its count.
func (f *findings) Why() string {
	reasons := slices.SortedFunc(maps.Keys(f.reasons), func(a, b string) int {
		if f.reasons[a] != f.reasons[b] {
			return f.reasons[b] - f.reasons[a]
		}
		return strings.Compare(a, b)
	})
	if len(reasons) == 1 {
		return reasons[0]
	}
	more := 0
	for i, reason := range reasons {
		if i >= shownReasons {
			more += f.reasons[reason]
			continue
		}
		reasons[i] = fmt.Sprintf("%s (%d)", reason, f.reasons[reason])
	}
	text := strings.Join(reasons[:min(len(reasons), shownReasons)], "; ")
	if more > 0 {
		text += fmt.Sprintf("; other reasons (%d)", more)
	}
	return text
}

// NotDeidentified begins the reason of what could not be de-identified.
const NotDeidentified = "not sent, since ADIT could not de-identify it: "
