// SPDX-License-Identifier: AGPL-3.0-or-later

package evidence

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/source"
)

// trial is a random study with random evidence about it, and an account of that evidence that is kept apart from the
// code under test.
type trial struct {
	in  *Instances
	inv *source.Inventory

	named    map[string]bool   // by a list, an arrival, a refusal, or an earlier run
	there    map[string]bool   // acknowledged under its own UID
	excused  map[string]bool   // left out by a rule that is noted
	memories map[string]string // named by an earlier run alone, with their series
	nameless map[string]bool   // series of which an earlier run missed one whose UID is none
	strange  bool              // something is to be known, though nothing is missing
	unproven bool              // neither list nor count
	clean    bool              // the evidence is complete, and nothing disputes it
}

// draw makes a trial.
func draw(rng *rand.Rand) *trial {
	t := &trial{
		named: map[string]bool{}, there: map[string]bool{}, excused: map[string]bool{},
		memories: map[string]string{}, nameless: map[string]bool{}, clean: rng.IntN(4) == 0,
	}
	truth := map[string][]string{}
	var series []string
	for s := range 1 + rng.IntN(3) {
		uid := fmt.Sprintf("1.2.%d", s+1)
		series = append(series, uid)
		for i := range 1 + rng.IntN(5) {
			truth[uid] = append(truth[uid], fmt.Sprintf("1.2.%d.%d", s+1, i+1))
		}
	}
	whole := rng.IntN(4) > 0
	chosen := series
	if !whole {
		chosen = series[:1+rng.IntN(len(series))]
	}
	t.inv = &source.Inventory{Study: "1.2", Whole: whole, Counted: -1}
	if whole {
		t.in = NewInstances("1.2", nil)
	} else {
		t.in = NewInstances("1.2", chosen)
	}
	if t.clean {
		t.drawClean(rng, chosen, truth)
	} else {
		t.drawAny(rng, chosen, truth)
	}
	return t
}

// drawClean makes evidence that is complete and undisputed: lists or counts are true, and all is at the destination or
// left out by a rule.
func (t *trial) drawClean(rng *rand.Rand, chosen []string, truth map[string][]string) {
	total := 0
	for _, uid := range chosen {
		s := &source.SeriesInventory{UID: uid, Counted: -1, Instances: map[string]source.Instance{}}
		s.Listed = rng.IntN(3) > 0
		if rng.IntN(2) == 0 || !s.Listed {
			s.Counted = len(truth[uid])
		}
		if s.Listed {
			for _, sop := range truth[uid] {
				s.Instances[sop] = source.Instance{}
			}
		}
		total += len(truth[uid])
		t.inv.Series = append(t.inv.Series, s)
	}
	if t.inv.Whole && rng.IntN(2) == 0 {
		t.inv.Counted = total
	}
	t.in.List(t.inv)
	for _, uid := range chosen {
		for _, sop := range truth[uid] {
			t.in.Begin(sop)
			t.in.Came(sop, uid, "")
			if rng.IntN(8) == 0 {
				t.in.Leave(sop, uid, jobs.LeftOutInstance{UID: sop, Reason: deid.BurnedIn}, "")
				continue
			}
			if rng.IntN(4) == 0 { // not at the first try
				t.in.Refuse(sop, CauseMayPass, dimse.ProcessingFailure, "busy")
				t.in.End(sop)
				t.in.Begin(sop)
			}
			t.in.Deliver(ledger.Receipt{SOPUID: sop, SeriesUID: uid}, false)
		}
	}
}

// count draws what a source says of n instances: nothing, the truth, less, or more.
func count1(rng *rand.Rand, n int) int {
	switch rng.IntN(5) {
	case 0:
		return -1
	case 1:
		return max(0, n-1-rng.IntN(3))
	case 2:
		return n + 1 + rng.IntN(3)
	}
	return n
}

// drawAny makes any evidence.
func (t *trial) drawAny(rng *rand.Rand, chosen []string, truth map[string][]string) {
	total := 0
	for _, uid := range chosen {
		total += len(truth[uid])
		if rng.IntN(6) == 0 && t.inv.Whole {
			continue // the source does not list the series
		}
		if rng.IntN(10) == 0 && t.inv.Whole {
			t.inv.Unnamed++
			continue
		}
		t.inv.Series = append(t.inv.Series, t.drawSeries(rng, uid, truth[uid]))
	}
	if t.inv.Whole {
		t.inv.Counted = count1(rng, total)
	}
	for _, uid := range chosen {
		if rng.IntN(8) == 0 {
			sop := truth[uid][0]
			t.in.Remember(uid, []jobs.MissingInstance{{SOPInstanceUID: sop}})
			if !t.named[sop] {
				t.memories[sop] = uid
			}
		}
		if rng.IntN(8) == 0 {
			t.in.Remember(uid, []jobs.MissingInstance{{SOPInstanceUID: visible(uid + ".a")}})
			t.nameless[uid] = true
		}
	}
	t.in.List(t.inv)
	for _, uid := range chosen {
		for _, sop := range truth[uid] {
			t.happens(rng, uid, sop)
		}
	}
	if strays := t.in.Summary.Strays(t.inv); len(strays) > 0 {
		for _, uid := range strays {
			t.inv.Series = append(t.inv.Series, &source.SeriesInventory{UID: uid, Counted: -1})
		}
		t.in.List(t.inv)
	}
	t.strange = t.inv.Unnamed > 0 && t.inv.Counted < 0
	for _, s := range t.inv.Series {
		t.unproven = t.unproven || !s.Listed && s.Counted < 0
	}
	t.unproven = t.unproven && t.inv.Counted < 0
}

func (t *trial) drawSeries(rng *rand.Rand, uid string, truth []string) *source.SeriesInventory {
	s := &source.SeriesInventory{
		UID: uid, Counted: count1(rng, len(truth)), Instances: map[string]source.Instance{},
		Listed: rng.IntN(4) > 0, Ended: rng.IntN(2) == 0,
	}
	for _, sop := range truth {
		if (s.Listed || rng.IntN(4) == 0) && rng.IntN(8) > 0 {
			s.Instances[sop] = source.Instance{}
			t.named[sop] = true
		}
	}
	if s.Listed && rng.IntN(12) == 0 { // what does not exist
		s.Instances[uid+".999"] = source.Instance{}
		t.named[uid+".999"] = true
	}
	if s.Listed && rng.IntN(20) == 0 {
		s.Unusable = []string{"../" + uid}
		t.named["../"+uid] = true
	}
	return s
}

// happens draws what becomes of an instance.
func (t *trial) happens(rng *rand.Rand, series, sop string) {
	for range 1 + rng.IntN(2) {
		switch rng.IntN(20) {
		case 0: // nothing
		case 1: // it comes, and breaks off
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				t.in.End(sop)
				t.named[sop] = true
			}
		case 2:
			c := []Cause{CauseThere, CauseDamaged, CauseMismatch, CauseNotTaken}[rng.IntN(4)]
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				t.in.Fail(sop, c, 0, "no")
				t.named[sop] = true
			}
		case 3:
			t.in.Came(sop, series, "")
			t.in.Refuse(sop, []Cause{CauseInList, CauseMayPass, CauseRefused, CauseSyntax}[rng.IntN(4)], 0, "no")
			t.named[sop] = true
		case 4:
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				t.in.Leave(sop, series, jobs.LeftOutInstance{UID: sop, Unsafe: true}, NotDeidentified)
				t.named[sop] = true
			}
		case 5:
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				if t.in.Leave(sop, series, jobs.LeftOutInstance{UID: sop, Reason: deid.BurnedIn}, "") {
					t.excused[sop] = true
				}
				t.named[sop] = true
			}
		case 6:
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				t.in.Hold(sop, series, dimse.DuplicateSOPInstance)
				t.named[sop] = true
				delete(t.excused, sop)
			}
		case 7:
			if t.there[sop] {
				t.in.Lose([]string{sop}, Shortfall{})
				delete(t.there, sop)
			}
		default:
			if t.in.Begin(sop) {
				t.in.Came(sop, series, "")
				t.in.Deliver(ledger.Receipt{SOPUID: sop, SeriesUID: series}, false)
				t.named[sop], t.there[sop] = true, true
				delete(t.excused, sop)
			}
		}
	}
}

// speaks names what speaks against Success.
func (t *trial) speaks() []string {
	var against []string
	recalled := map[string]bool{}
	for series := range t.nameless {
		if t.inv.HeardOf(series) {
			t.memories[series+".a"] = series
		} else {
			t.named[series+".a"] = true
		}
	}
	for uid, series := range t.memories {
		if !t.named[uid] && t.disputed(series) {
			recalled[uid] = true
		}
	}
	for uid := range recalled {
		t.named[uid] = true
	}
	for uid := range t.named {
		if !t.there[uid] && !t.excused[uid] {
			against = append(against, uid+" is named, and not there")
		}
	}
	if t.inv.Counted > len(t.named) {
		against = append(against, "the study's count")
	}
	bySeries := map[string]int{}
	for uid := range t.named {
		for _, s := range t.inv.Series {
			if _, listed := t.in.listed[uid]; listed && t.in.listed[uid] == s.UID ||
				!listed && t.in.facts[uid] != nil && t.in.facts[uid].Series == s.UID ||
				uid == s.UID+".a" {
				bySeries[s.UID]++
			}
		}
	}
	for _, s := range t.inv.Series {
		if s.Counted > bySeries[s.UID] {
			against = append(against, "the count of series "+s.UID)
		}
	}
	for _, s := range t.inv.Series {
		if s.Listed && s.Counted < 0 && !s.Ended && t.beyond(s) {
			against = append(against, "more came of series "+s.UID+" than it lists")
		}
	}
	if t.unproven {
		against = append(against, "neither list nor count")
	}
	if t.strange || t.inv.Unnamed > 0 && t.inv.Counted < len(t.named) {
		against = append(against, "a series without UID")
	}
	slices.Sort(against)
	return against
}

// beyond reports whether more is named of a series than its list has.
func (t *trial) beyond(s *source.SeriesInventory) bool {
	for uid := range t.named {
		_, listed := s.Instances[uid]
		if !listed && strings.HasPrefix(uid, s.UID+".") {
			return true
		}
	}
	return false
}

// disputed reports whether what the source says now leaves room for what an earlier run missed of a series.
func (t *trial) disputed(series string) bool {
	if t.inv.Whole && t.inv.Counted >= 0 && t.inv.Counted <= len(t.named) {
		return false
	}
	elsewhere := t.inv.Unnamed > 0 || t.inv.Counted >= 0
	for _, s := range t.inv.Series {
		named := 0
		for uid := range t.named {
			if strings.HasPrefix(uid, s.UID+".") || uid == "../"+s.UID {
				named++
			}
		}
		if !s.Listed && s.Counted < 0 && named == 0 {
			continue // known by that earlier run alone
		}
		here := !s.Listed && s.Counted < 0 || s.Counted > named || s.Counted < 0 && t.beyond(s)
		if s.UID == series {
			return here
		}
		elsewhere = elsewhere || here
	}
	return elsewhere
}

// TestVerdictProperty: never Success against evidence, and always Success where the evidence is complete and
// undisputed. ADIT_TRIALS draws more than 10,000.
func TestVerdictProperty(t *testing.T) {
	trials := 10_000
	if n, err := strconv.Atoi(os.Getenv("ADIT_TRIALS")); err == nil {
		trials = n
	}
	success := 0
	for seed := range uint64(trials) {
		tr := draw(rand.New(rand.NewPCG(seed, 14)))
		f := tr.in.Judge(tr.inv, true, func(source.Instance) Shortfall { return Shortfall{} }, ReasonNeverCame)
		whole := f.Missing+f.Lacking+f.Undeliverable+f.Unsafe+len(f.Disputes) == 0 && f.Provable
		if tr.clean {
			require.True(t, whole, "seed %d: complete and undisputed, yet %+v", seed, f)
			continue
		}
		against := tr.speaks()
		if whole {
			success++
			require.Empty(t, against, "seed %d: Success against evidence", seed)
		}
		if len(against) == 0 {
			require.True(t, whole, "seed %d: nothing speaks against it, yet %+v", seed, f)
		}
		total, missing := 0, 0
		for _, s := range f.Series {
			total += s.Delivered
			missing += len(s.Missing)
			require.LessOrEqual(t, s.Delivered, s.Expected, "seed %d", seed)
		}
		require.Equal(t, len(tr.there), total, "seed %d", seed)
		require.Equal(t, f.Missing+f.Undeliverable+f.Unsafe, missing, "seed %d: what is missing is named", seed)
	}
	require.Positive(t, success)
}

// TestNameless: what has a UID that is none is remembered until it is seen again, or a retrieve of the whole series was
// heard to its end without it.
func TestNameless(t *testing.T) {
	const series, named, none = "1.2.1", "1.2.1.1", "1.2.a"
	for name, tt := range map[string]struct {
		ended   bool
		then    func(in *Instances, s *source.SeriesInventory)
		missing []string
	}{
		"nobody tells": {missing: []string{`"1.2.?"`}},
		"heard":        {ended: true},
		"it comes again": {ended: true, missing: []string{`"1.2.?"`}, then: func(in *Instances, _ *source.SeriesInventory) {
			in.Begin(none)
			in.Came(none, series, "")
			in.Fail(none, CauseNotUID, dimse.InvalidSOPInstance, "invalid")
		}},
		"it is listed again": {missing: []string{`"1.2.?"`}, then: func(in *Instances, s *source.SeriesInventory) {
			s.Unusable = []string{none}
		}},
		"another one comes": {missing: []string{`"1.2./"`, `"1.2.?"`}, then: func(in *Instances, _ *source.SeriesInventory) {
			in.Begin("1.2./")
			in.Came("1.2./", series, "")
			in.Fail("1.2./", CauseNotUID, dimse.InvalidSOPInstance, "invalid")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			var last []jobs.MissingInstance
			for range 3 { // what is remembered looks the same after each run
				in := NewInstances("1.2", nil)
				in.Book([]db.DeliveredRow{{SourceSopUid: named, SeriesUid: series}})
				if last == nil {
					last = []jobs.MissingInstance{{SOPInstanceUID: `"1.2.?"`, Status: 0x0117, Reason: "invalid"}}
				}
				in.Remember(series, last)
				s := &source.SeriesInventory{UID: series, Counted: 1, Ended: tt.ended}
				if tt.then != nil {
					tt.then(in, s)
				}
				inv := &source.Inventory{Study: "1.2", Whole: true, Counted: 1, Series: []*source.SeriesInventory{s}}
				in.List(inv)
				f := in.Judge(inv, true, func(source.Instance) Shortfall { return Shortfall{} }, ReasonNeverCame)
				var missing []string
				for _, m := range f.Series[0].Missing {
					missing = append(missing, m.SOPInstanceUID)
				}
				require.ElementsMatch(t, tt.missing, missing)
				last = f.Series[0].Missing
			}
		})
	}
}
