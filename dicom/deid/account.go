// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// Done is what was done to an attribute of an instance, at all depths, and why.
type Done struct {
	Tag    dict.Tag
	Action Action
	Rule   string // the table's row, or the reason of the rule that decided
	N      int    // how many times
}

// act is one deed of the rewriter.
type act struct {
	tag    dict.Tag
	action Action
	why    string
}

// act notes what was done to an element, if somebody wants to know.
func (w *output) act(tag dict.Tag, a Action, why string) {
	if w.acts != nil {
		w.acts = append(w.acts, act{tag, a, why})
	}
}

// forgetActs forgets all but the first n.
func (w *output) forgetActs(n int) {
	if w.acts != nil {
		w.acts = w.acts[:n]
	}
}

// accounts gives what was done to each instance. Of a series all instances have the same done to them, and share it.
type accounts map[uint64]account

type account struct {
	acts []act
	done []Done
}

// of counts the acts of an instance, nil if there are none.
func (a *accounts) of(acts []act) []Done {
	if len(acts) == 0 {
		return nil
	}
	hash := uint64(len(acts))
	for _, x := range acts {
		hash = mix(hash, uint64(x.tag)<<8|uint64(x.action))
	}
	if known, ok := (*a)[hash]; ok && slices.Equal(known.acts, acts) {
		return known.done
	}
	t := tally{}
	t.add(acts)
	done := t.done()
	if *a == nil || len(*a) >= maxSets {
		*a = accounts{}
	}
	(*a)[hash] = account{slices.Clone(acts), done}
	return done
}

// ManifestKey returns the key that manifests of what was done under this one are sealed with. Nothing else derives from
// it.
func (k Key) ManifestKey() []byte { return slices.Clone(newDeriver(k).derive(0, "manifest", nil)) }

// tally counts acts.
type tally map[act]int

func (t tally) add(acts []act) {
	for _, x := range acts {
		t[x]++
	}
}

func (t tally) done() []Done {
	done := make([]Done, 0, len(t))
	for x, n := range t {
		done = append(done, Done{x.tag, x.action, x.why, n})
	}
	slices.SortFunc(done, func(x, y Done) int {
		return cmp.Or(cmp.Compare(x.Tag, y.Tag), cmp.Compare(x.Action, y.Action), cmp.Compare(x.Rule, y.Rule))
	})
	return done
}

func mix(h, x uint64) uint64 { return (h ^ x) * 0x9E3779B97F4A7C15 >> 7 }
