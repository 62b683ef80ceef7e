// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// findings are what all evidence together says about a run that did all it could: what the source counts and lists, what came, what was
// refused or damaged, and what the destination acknowledged. Success needs that nothing speaks against it.
type findings struct {
	series    []Series // in the order of the inventory, and one without a UID for instances whose series is not known
	delivered int
	ruledOut  int
	// missing are instances that some evidence names, and that are not accounted for; lacking are those that a count alone speaks of, where
	// nothing is listed.
	missing, lacking int
	reasons          map[string]int // of both
	undeliverable    int            // the source refuses them for good
	refusals         map[string]int // the reasons of those
	unsafe           int            // could not be de-identified
	disputes         []string       // sentences: counts that stand alone against lists, instances that are listed twice, …
	provable         bool
}

// short returns by how much a count exceeds what there is evidence of; 0 if it doesn't, or there is no count.
func short(counted, known int) int { return max(0, counted-known) }

// judge weighs the evidence. done reports that the run did all it could: what an earlier run missed is not dropped before that. unsent says why something that the source lists was perhaps not asked for; otherwise is the reason of what is
// missing and of which nothing else is known.
func (in *instances) judge(inv *inventory, done bool, unsent func(instance) shortfall, otherwise string) findings {
	in.mu.Lock()
	defer in.mu.Unlock()
	f := findings{provable: true, reasons: map[string]int{}, refusals: map[string]int{}}
	listed := map[string]instance{}
	for _, s := range inv.series {
		maps.Copy(listed, s.instances)
	}
	place := map[string]*Series{}
	f.series = make([]Series, len(inv.series), len(inv.series)+1)
	for i, s := range inv.series {
		f.series[i] = Series{SeriesInstanceUID: s.uid}
		place[s.uid] = &f.series[i]
	}
	other := &Series{}
	known, expected := map[*Series]int{}, map[*Series]int{}
	uids := in.uids()
	if done {
		memories := in.memories(inv)
		uids = slices.DeleteFunc(uids, func(uid string) bool { return memories[uid] })
	}
	for _, uid := range uids {
		fact := in.facts[uid]
		s := place[in.countedIn(uid)]
		if s == nil {
			s = other
		}
		known[s]++
		if fact == nil || fact.state != omitted {
			expected[s]++
		}
		if _, rejected := in.rejected[uid]; rejected && (fact == nil || fact.state == outstanding) {
			expected[s]--
			f.ruledOut++
			continue
		}
		i := listed[uid]
		f.account(s, uid, fact, func() shortfall {
			if why := unsent(i); why.reason != "" {
				return why
			}
			return shortfall{reason: otherwise}
		})
	}
	if known[other] > 0 {
		f.series = append(f.series, *other)
	}
	unseen, total, alone := in.unseen(), 0, 0
	for i, s := range inv.series {
		entry := &f.series[i]
		entry.Expected = expected[entry]
		hidden := min(short(s.counted, known[entry]), unseen)
		unseen, f.ruledOut = unseen-hidden, f.ruledOut+hidden
		counted := known[entry] + hidden
		if in.isExceeded(s) {
			f.disputes = append(f.disputes, fmt.Sprintf("The source sent more of series %s than it lists, and was not heard to the end when it was asked for the whole.", s.uid))
		}
		lacking, disputed := f.judgeCount(s, counted, otherwise)
		entry.Expected += lacking
		alone += disputed
		total += counted + lacking
	}
	total += known[other]
	if hidden := min(unseen, short(inv.counted, total)); inv.whole && hidden > 0 {
		total, f.ruledOut = total+hidden, f.ruledOut+hidden
	}
	f.judgeStudy(inv, total, alone, otherwise)
	f.disputes = append(f.disputes, inv.listedTwice()...)
	return f
}

// judgeCount weighs the count of a series against what is known of it: what is lacking where nothing is listed, and what is disputed where it is.
func (f *findings) judgeCount(s *seriesInventory, known int, otherwise string) (lacking, disputed int) {
	f.provable = f.provable && s.provable()
	gap := short(s.counted, known)
	switch {
	case gap == 0:
		return 0, 0
	case s.listed:
		f.disputes = append(f.disputes, s.dispute(known))
		return 0, gap
	}
	f.lack(gap, otherwise)
	return gap, 0
}

// countedIn returns the series that an instance is counted in: the one that it was delivered in, else as it is listed, else as it came. The lock
// must be held.
func (in *instances) countedIn(uid string) string {
	series, fact := in.listed[uid], in.facts[uid]
	if fact != nil && (series == "" || fact.state == delivered) {
		return fact.series
	}
	return series
}

// unseen counts what the source has rejected and neither lists nor sent: it may count it all the same. The lock must be held.
func (in *instances) unseen() (n int) {
	for uid := range in.rejected {
		if _, listed := in.listed[uid]; !listed && in.facts[uid] == nil {
			n++
		}
	}
	return n
}

// memories returns what only an earlier run speaks for, where what the source says now is undisputed without it: the study's count is no more
// than what is known otherwise, or, where there is none, each series' list or count. The lock must be held.
func (in *instances) memories(inv *inventory) map[string]bool {
	all, kept := map[string]bool{}, map[string]int{}
	for series, uids := range in.extra {
		for uid := range uids {
			if f := in.facts[uid]; f.remembered && f.state == outstanding {
				all[uid] = true
				kept[series]++
			}
		}
	}
	if len(all) == 0 || inv.whole && inv.counted >= 0 && in.knownIn("")-len(all) >= inv.counted {
		return all
	}
	undisputed, elsewhere := in.undisputed(inv, kept)
	maps.DeleteFunc(all, func(uid string, _ bool) bool {
		f := in.facts[uid]
		ok, placed := undisputed[f.series]
		counted := slices.ContainsFunc(inv.series, func(s *seriesInventory) bool { return s.uid == f.series && s.counted >= 0 })
		return placed && !ok || !placed && !elsewhere || !counted && f.why.cause != causeUnknown // the source was asked for it, and failed
	})
	return all
}

// undisputed tells of each series that the source says something about whether that leaves no room for more than is known without kept; and of what
// the source does not list at all, whether anything leaves room for it. The lock must be held.
func (in *instances) undisputed(inv *inventory, kept map[string]int) (series map[string]bool, elsewhere bool) {
	series, elsewhere = map[string]bool{}, inv.unnamed == 0 && inv.counted < 0
	for _, s := range inv.series {
		known, said := in.knownIn(s.uid)-kept[s.uid], s.provable()
		if known > 0 || said {
			whole := s.counted >= 0 || known == in.lists[s.uid] // else more came than is listed
			series[s.uid] = said && whole && short(s.counted, known) == 0
			elsewhere = elsewhere && series[s.uid]
		}
	}
	return series, elsewhere
}

// uids returns what there is evidence of by name, in order. The lock must be held.
func (in *instances) uids() []string {
	all := make(map[string]bool, len(in.listed)+len(in.facts))
	for uid := range in.listed {
		all[uid] = true
	}
	for uid := range in.facts {
		all[uid] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// account puts one instance where it belongs.
func (f *findings) account(s *Series, uid string, fact *fact, otherwise func() shortfall) {
	why := shortfall{}
	if fact != nil {
		switch fact.state {
		case delivered:
			s.Delivered++
			s.Bytes += fact.bytes
			f.delivered++
			return
		case omitted:
			f.ruledOut++
			return
		case heldThere:
			why = shortfall{causeThere, fact.status, reasonUnconfirmed}
		case outstanding:
			why = fact.why
		}
	}
	if why.reason == "" {
		why = otherwise()
	}
	f.lose(s, MissingInstance{visible(uid), uint16(why.status), why.reason}, why.cause)
}

// lose counts an instance that is not delivered.
func (f *findings) lose(s *Series, m MissingInstance, c cause) {
	if len(s.Missing) < MaxMissing {
		s.Missing = append(s.Missing, m)
	}
	switch c {
	case causeRefused:
		f.undeliverable++
		f.refusals[m.Reason]++
	case causeUnsafe:
		f.unsafe++
	default:
		f.missing++
		f.reasons[m.Reason]++
	}
}

func (f *findings) lack(n int, reason string) {
	f.lacking += n
	f.reasons[reason] += n
}

// judgeStudy weighs the study's own count, if the task is about the whole study. known is what there is evidence of; of the series' counts,
// alone stand against lists.
func (f *findings) judgeStudy(inv *inventory, known, alone int, otherwise string) {
	if !inv.whole {
		return
	}
	gap := short(inv.counted, known)
	unlisted := slices.ContainsFunc(inv.series, func(s *seriesInventory) bool { return !s.listed })
	switch {
	case inv.counted < 0:
	case unlisted:
		f.provable = true
		if gap > alone {
			f.lack(gap-alone, otherwise)
		}
	case gap > alone:
		f.disputes = append(f.disputes, fmt.Sprintf("The source counts %s in the study but lists %d%s.", images(inv.counted), known, askedInVain(inv.again)))
	}
	if inv.unnamed > 0 && (inv.counted < 0 || gap > 0) {
		f.disputes = append(f.disputes, "The source lists "+seriesWithoutUID(inv.unnamed)+", so it can't be told whether all of it has come.")
	}
}

// askedInVain follows two numbers that don't agree.
func askedInVain(again bool) string {
	if !again {
		return ""
	}
	return "; it was asked for the whole once more, and sent nothing else"
}

func seriesWithoutUID(n int) string {
	if n == 1 {
		return "a series without a valid Series Instance UID"
	}
	return fmt.Sprintf("%d series without a valid Series Instance UID", n)
}

// dispute says in what a series' count and list don't agree.
func (s *seriesInventory) dispute(known int) string {
	if len(s.twice) > 0 {
		return fmt.Sprintf("The source counts %s in series %s and lists as many, but the SOP Instance UID %s is among them more than once; a destination can keep only one instance under it.",
			images(s.counted), s.uid, s.twice[0])
	}
	return fmt.Sprintf("The source counts %s in series %s but lists %d%s.", images(s.counted), s.uid, known, askedInVain(s.again))
}

// listedTwice names the instances that the source lists in several series.
func (inv *inventory) listedTwice() (sentences []string) {
	seen := map[string]int{}
	for _, s := range inv.series {
		for uid := range s.instances {
			seen[uid]++
		}
	}
	for _, uid := range slices.Sorted(maps.Keys(seen)) {
		if seen[uid] > 1 {
			sentences = append(sentences, fmt.Sprintf("The source lists the SOP Instance UID %s in %d series; a destination can keep only one instance under it.", uid, seen[uid]))
		}
	}
	return sentences
}

// why names the reasons of what is missing, the most frequent first, each with its count.
func (f *findings) why() string {
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

// shownReasons bounds the reasons that a message gives.
const shownReasons = 5

// visible makes what came in the place of a UID fit to be shown: a UID as it is, of anything else only the digits and marks, since it may
// hold what nobody is to read in a log.
func visible(uid string) string {
	if validUID(uid) {
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

const (
	reasonNeverCame   = "the source did not send them, though it was asked for them and reported no fault"
	reasonUnconfirmed = "the destination says that it holds this image already, which was not confirmed"
	reasonNoUID       = "the source lists it under a SOP Instance UID that is none (PS3.5 9.1), so it was not asked for"
)

// MaxMissing bounds the list of missing instances that is kept of a series, and that of those of a study that were not sent.
const MaxMissing = 10_000
