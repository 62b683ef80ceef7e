// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

// Action is what is done to an attribute.
type Action uint8

// The actions. The first five are the codes K, X, Z, D and U of PS3.15 Table E.1-1; Clean and Shift are its C.
const (
	Keep     Action = iota // sequences: their items are de-identified
	Remove                 //
	Empty                  // zero length, or no items
	Dummy                  // a value that says nothing
	MapUID                 // another UID, the same for the same one under the same key
	Clean                  // only the words of the vocabulary are kept
	Shift                  // moved by the patient's offset in days
	Hash                   // 14 of A–Z0–9, the same for the same value under the same key
	Replace                // by what the profile says
	Truncate               // a date to January 1st of its year
	Edit                   // replaced by a regular expression
	Assign                 // what the subject gives: pseudonym, trial, method
	Actions                // how many there are
)

var actionNames = [Actions]string{
	"keep", "remove", "empty", "dummy", "uid", "clean", "shift", "hash", "replace", "truncate", "regex", "assign",
}

// String returns the action's name in profiles and reports.
func (a Action) String() string { return actionNames[a] }

// ActionSet is a set of actions.
type ActionSet uint16

func actionsOf(all ...Action) (s ActionSet) {
	for _, a := range all {
		s |= 1 << a
	}
	return s
}

// Has reports whether an action is in the set.
func (s ActionSet) Has(a Action) bool { return s>>a&1 == 1 }

const anyAction = ActionSet(1<<Actions - 1)

// Silent are the actions that leave nothing of a value.
var Silent = actionsOf(Remove, Empty, Dummy, Replace)
