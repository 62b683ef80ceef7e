// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"cmp"
	"encoding/json"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// Done is what was done to an attribute of an object, at all depths, and why.
type Done struct {
	Tag    dict.Tag
	Action Action
	Rule   string // the table's row, or the reason of the rule that decided
	N      int    // how many times
}

type doneJSON struct {
	Tag    string `json:"tag"`
	Action string `json:"action"`
	Rule   string `json:"rule"`
	N      int    `json:"n"`
}

// MarshalJSON writes names, as profiles have them.
func (d Done) MarshalJSON() ([]byte, error) {
	return json.Marshal(doneJSON{d.Tag.String(), d.Action.String(), d.Rule, d.N})
}

// act is one deed of the rewriter.
type act struct {
	tag    dict.Tag
	action Action
	why    string
}

// act notes what was done to an element, if somebody wants to know.
func (w *rewriter) act(tag dict.Tag, a Action, why string) {
	if w.acts != nil {
		w.acts = append(w.acts, act{tag, a, why})
	}
}

// forgetActs forgets all but the first n.
func (w *rewriter) forgetActs(n int) {
	if w.acts != nil {
		w.acts = w.acts[:n]
	}
}

// accounts gives what was done to each object. Of a series all objects have the same done to them, and share it.
type accounts map[uint64]account

type account struct {
	acts []act
	done []Done
}

// of counts the acts of an object, nil if there are none.
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
	sorted := slices.Clone(acts)
	slices.SortFunc(sorted, func(x, y act) int {
		return cmp.Or(cmp.Compare(x.tag, y.tag), cmp.Compare(x.action, y.action), cmp.Compare(x.why, y.why))
	})
	var done []Done
	for i, x := range sorted {
		if i > 0 && x == sorted[i-1] {
			done[len(done)-1].N++
			continue
		}
		done = append(done, Done{x.tag, x.action, x.why, 1})
	}
	if *a == nil || len(*a) >= maxSets {
		*a = accounts{}
	}
	(*a)[hash] = account{slices.Clone(acts), done}
	return done
}

// ManifestKey gives the key that manifests of what was done under this one are sealed with. Nothing else derives from it.
func (k Key) ManifestKey() []byte { return slices.Clone(newDeriver(k).derive(0, "manifest", nil)) }
