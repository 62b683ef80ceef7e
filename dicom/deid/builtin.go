// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"slices"
	"sync"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
)

// DefaultProfile names the profile that a project has unless it chooses another: the basic profile with Modified
// Dates, Retain Patient Characteristics, Clean Descriptors and Retain Safe Private.
const DefaultProfile = "adit-default"

var builtin = []struct {
	name string
	make func() *Profile
}{
	{DefaultProfile, ready(DefaultProfile, rules.BasicBase, "modified-dates", "retain-patient-characteristics", "clean-descriptors", "retain-safe-private")},
	{rules.BasicBase, ready(rules.BasicBase, rules.BasicBase)},
	{rules.AditBase, ready(rules.AditBase, rules.AditBase, "retain-safe-private")},
}

// ready makes a profile of ours when it is asked for; a mistake in it shows in the first test.
func ready(name, base string, options ...string) func() *Profile {
	return sync.OnceValue(func() *Profile {
		p, err := NewProfile(Definition{Name: name, Version: "1", Base: base, Options: options})
		if err != nil {
			panic(err)
		}
		return p
	})
}

// BuiltinProfiles names the profiles that need no file.
func BuiltinProfiles() []string {
	names := make([]string, len(builtin))
	for i := range builtin {
		names[i] = builtin[i].name
	}
	return names
}

// BuiltinProfile returns a profile by its name.
func BuiltinProfile(name string) (*Profile, bool) {
	i := slices.IndexFunc(builtin, func(b struct {
		name string
		make func() *Profile
	},
	) bool {
		return b.name == name
	})
	if i < 0 {
		return nil, false
	}
	return builtin[i].make(), true
}
