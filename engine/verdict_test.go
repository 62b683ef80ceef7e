// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dimse"
)

// trial is a random study with random evidence about it, and an account of that evidence that is kept apart from the code under test.
type trial struct {
	in  *instances
	inv *inventory

	named    map[string]bool   // by a list, an arrival, a refusal, or an earlier run
	there    map[string]bool   // acknowledged under its own UID
	excused  map[string]bool   // left out by a rule that is noted
	memories map[string]string // named by an earlier run alone, with their series
	strange  bool              // something is to be known, though nothing is missing
	unproven bool              // neither list nor count
	clean    bool              // the evidence is complete, and nothing disputes it
}

// draw makes a trial.
func draw(rng *rand.Rand) *trial {
	t := &trial{named: map[string]bool{}, there: map[string]bool{}, excused: map[string]bool{}, memories: map[string]string{}, clean: rng.IntN(4) == 0}
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
	t.inv = &inventory{study: "1.2", whole: whole, counted: -1}
	if whole {
		t.in = newInstances("1.2", nil)
	} else {
		t.in = newInstances("1.2", chosen)
	}
	if t.clean {
		t.drawClean(rng, chosen, truth)
	} else {
		t.drawAny(rng, chosen, truth)
	}
	return t
}

// drawClean makes evidence that is complete and undisputed: lists or counts are true, and all is at the destination or left out by a rule.
func (t *trial) drawClean(rng *rand.Rand, chosen []string, truth map[string][]string) {
	total := 0
	for _, uid := range chosen {
		s := &seriesInventory{uid: uid, counted: -1, instances: map[string]instance{}}
		s.listed = rng.IntN(3) > 0
		if rng.IntN(2) == 0 || !s.listed {
			s.counted = len(truth[uid])
		}
		if s.listed {
			for _, sop := range truth[uid] {
				s.instances[sop] = instance{}
			}
		}
		total += len(truth[uid])
		t.inv.series = append(t.inv.series, s)
	}
	if t.inv.whole && rng.IntN(2) == 0 {
		t.inv.counted = total
	}
	t.in.list(t.inv)
	for _, uid := range chosen {
		for _, sop := range truth[uid] {
			t.in.begin(sop)
			t.in.came(sop, uid, "")
			if rng.IntN(8) == 0 {
				t.in.leave(sop, uid, leftOut{UID: sop, Reason: deid.BurnedIn}, "")
				continue
			}
			if rng.IntN(4) == 0 { // not at the first try
				t.in.refuse(sop, causeMayPass, dimse.ProcessingFailure, "busy")
				t.in.end(sop)
				t.in.begin(sop)
			}
			t.in.deliver(receipt{sopUID: sop, seriesUID: uid}, false)
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
		if rng.IntN(6) == 0 && t.inv.whole {
			continue // the source does not list the series
		}
		if rng.IntN(10) == 0 && t.inv.whole {
			t.inv.unnamed++
			continue
		}
		t.inv.series = append(t.inv.series, t.drawSeries(rng, uid, truth[uid]))
	}
	if t.inv.whole {
		t.inv.counted = count1(rng, total)
	}
	for _, uid := range chosen {
		if rng.IntN(8) == 0 {
			sop := truth[uid][0]
			t.in.remember(uid, []MissingInstance{{SOPInstanceUID: sop}})
			if !t.named[sop] {
				t.memories[sop] = uid
			}
		}
	}
	t.in.list(t.inv)
	for _, uid := range chosen {
		for _, sop := range truth[uid] {
			t.happens(rng, uid, sop)
		}
	}
	if strays := t.in.strays(t.inv); len(strays) > 0 {
		for _, uid := range strays {
			t.inv.series = append(t.inv.series, &seriesInventory{uid: uid, counted: -1})
		}
		t.in.list(t.inv)
	}
	t.strange = t.inv.unnamed > 0 && t.inv.counted < 0
	for _, s := range t.inv.series {
		t.unproven = t.unproven || !s.listed && s.counted < 0
	}
	t.unproven = t.unproven && t.inv.counted < 0
}

func (t *trial) drawSeries(rng *rand.Rand, uid string, truth []string) *seriesInventory {
	s := &seriesInventory{uid: uid, counted: count1(rng, len(truth)), instances: map[string]instance{}, listed: rng.IntN(4) > 0, ended: rng.IntN(2) == 0}
	for _, sop := range truth {
		if (s.listed || rng.IntN(4) == 0) && rng.IntN(8) > 0 {
			s.instances[sop] = instance{}
			t.named[sop] = true
		}
	}
	if s.listed && rng.IntN(12) == 0 { // what does not exist
		s.instances[uid+".999"] = instance{}
		t.named[uid+".999"] = true
	}
	if s.listed && rng.IntN(20) == 0 {
		s.unusable = []string{"../" + uid}
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
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				t.in.end(sop)
				t.named[sop] = true
			}
		case 2:
			c := []cause{causeThere, causeDamaged, causeMismatch, causeNotTaken}[rng.IntN(4)]
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				t.in.fail(sop, c, 0, "no")
				t.named[sop] = true
			}
		case 3:
			t.in.came(sop, series, "")
			t.in.refuse(sop, []cause{causeInList, causeMayPass, causeRefused, causeSyntax}[rng.IntN(4)], 0, "no")
			t.named[sop] = true
		case 4:
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				t.in.leave(sop, series, leftOut{UID: sop, Unsafe: true}, notDeidentified)
				t.named[sop] = true
			}
		case 5:
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				if t.in.leave(sop, series, leftOut{UID: sop, Reason: deid.BurnedIn}, "") {
					t.excused[sop] = true
				}
				t.named[sop] = true
			}
		case 6:
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				t.in.hold(sop, series, dimse.DuplicateSOPInstance)
				t.named[sop] = true
				delete(t.excused, sop)
			}
		case 7:
			if t.there[sop] {
				t.in.lose([]string{sop}, shortfall{})
				delete(t.there, sop)
			}
		default:
			if t.in.begin(sop) {
				t.in.came(sop, series, "")
				t.in.deliver(receipt{sopUID: sop, seriesUID: series}, false)
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
	if t.inv.counted > len(t.named) {
		against = append(against, "the study's count")
	}
	bySeries := map[string]int{}
	for uid := range t.named {
		for _, s := range t.inv.series {
			if _, listed := t.in.listed[uid]; listed && t.in.listed[uid] == s.uid || !listed && t.in.facts[uid] != nil && t.in.facts[uid].series == s.uid {
				bySeries[s.uid]++
			}
		}
	}
	for _, s := range t.inv.series {
		if s.counted > bySeries[s.uid] {
			against = append(against, "the count of series "+s.uid)
		}
	}
	for _, s := range t.inv.series {
		if s.listed && s.counted < 0 && !s.ended && t.beyond(s) {
			against = append(against, "more came of series "+s.uid+" than it lists")
		}
	}
	if t.unproven {
		against = append(against, "neither list nor count")
	}
	if t.strange {
		against = append(against, "a series without UID")
	}
	slices.Sort(against)
	return against
}

// beyond reports whether more is named of a series than its list has.
func (t *trial) beyond(s *seriesInventory) bool {
	for uid := range t.named {
		_, listed := s.instances[uid]
		if !listed && strings.HasPrefix(uid, s.uid+".") {
			return true
		}
	}
	return false
}

// disputed reports whether what the source says now leaves room for what an earlier run missed of a series.
func (t *trial) disputed(series string) bool {
	if t.inv.whole && t.inv.counted >= 0 && t.inv.counted <= len(t.named) {
		return false
	}
	elsewhere := t.inv.unnamed > 0 || t.inv.counted >= 0
	for _, s := range t.inv.series {
		named := 0
		for uid := range t.named {
			if strings.HasPrefix(uid, s.uid+".") || uid == "../"+s.uid {
				named++
			}
		}
		if !s.listed && s.counted < 0 && named == 0 {
			continue // known by that earlier run alone
		}
		here := !s.listed && s.counted < 0 || s.counted > named || s.counted < 0 && t.beyond(s)
		if s.uid == series {
			return here
		}
		elsewhere = elsewhere || here
	}
	return elsewhere
}

// TestVerdictProperty: never Success against evidence, and always Success where the evidence is complete and undisputed. ADIT_TRIALS draws more
// than 10,000.
func TestVerdictProperty(t *testing.T) {
	trials := 10_000
	if n, err := strconv.Atoi(os.Getenv("ADIT_TRIALS")); err == nil {
		trials = n
	}
	success := 0
	for seed := range uint64(trials) {
		tr := draw(rand.New(rand.NewPCG(seed, 14)))
		f := tr.in.judge(tr.inv, true, func(instance) shortfall { return shortfall{} }, reasonNeverCame)
		whole := f.missing+f.lacking+f.undeliverable+f.unsafe+len(f.disputes) == 0 && f.provable
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
		for _, s := range f.series {
			total += s.Delivered
			missing += len(s.Missing)
			require.LessOrEqual(t, s.Delivered, s.Expected, "seed %d", seed)
		}
		require.Equal(t, len(tr.there), total, "seed %d", seed)
		require.Equal(t, f.missing+f.undeliverable+f.unsafe, missing, "seed %d: what is missing is named", seed)
	}
	require.Positive(t, success)
}
