// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import "github.com/adit-go/adit/dicom/deid/internal/rules"

// Definition is a profile as its author writes it; LoadProfile says what it may hold.
type Definition = rules.Definition

// Override is a rule of a profile's own: what it applies to, and what is done.
type Override = rules.Override

// Profile says what is done to which attribute. It is immutable and may be shared.
type Profile struct {
	rules *rules.Profile
}

// NewProfile checks a definition and makes a profile of it. Unknown options, tags and actions are errors, and so is a
// profile that both keeps and shifts dates. The definition must not be changed any more.
func NewProfile(d Definition) (*Profile, error) { return profileOfRules(rules.New(d)) }

func profileOfRules(p *rules.Profile, err error) (*Profile, error) {
	if err != nil {
		return nil, err
	}
	return &Profile{rules: p}, nil
}

// Name returns the profile's name.
func (p *Profile) Name() string { return p.rules.Name }

// Version returns the profile's version, as its author counts.
func (p *Profile) Version() string { return p.rules.Version }

// Definition returns what the profile was made of, for a browser that is to work by it. It must not be changed.
func (p *Profile) Definition() Definition { return p.rules.Definition }

// Hash returns the SHA-256 of what the profile says, in hexadecimal: comments and order of keys don't matter. It
// changes too if a new release would give another output.
func (p *Profile) Hash() string { return p.rules.Hash }
