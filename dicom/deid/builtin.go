// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"slices"
	"sync"
)

// DefaultProfile names the profile that a project has unless it chooses another: the basic profile with Modified
// Dates, Retain Patient Characteristics, Clean Descriptors and Retain Safe Private.
const DefaultProfile = "adit-default"

var builtin = []struct {
	name string
	make func() *Profile
}{
	{DefaultProfile, sync.OnceValue(func() *Profile {
		return ready(&Profile{
			name: DefaultProfile, base: basicBase,
			options: ModifiedDates | RetainPatientCharacteristics | CleanDescriptors | RetainSafePrivate,
		})
	})},
	{basicBase, sync.OnceValue(func() *Profile { return ready(&Profile{name: basicBase, base: basicBase}) })},
	{aditBase, sync.OnceValue(func() *Profile { return ready(&Profile{name: aditBase, base: aditBase, options: RetainSafePrivate}) })},
}

// ready makes a profile of ours; a mistake in it shows in the first test.
func ready(p *Profile) *Profile {
	p.version = "1"
	if err := p.finish(); err != nil {
		panic(err)
	}
	return p
}

// BuiltinProfiles names the profiles that need no file.
func BuiltinProfiles() []string {
	names := make([]string, len(builtin))
	for i := range builtin {
		names[i] = builtin[i].name
	}
	return names
}

// BuiltinProfile gives a profile by its name.
func BuiltinProfile(name string) (*Profile, bool) {
	i := slices.IndexFunc(builtin, func(b struct {
		name string
		make func() *Profile
	}) bool {
		return b.name == name
	})
	if i < 0 {
		return nil, false
	}
	return builtin[i].make(), true
}
