// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"maps"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
)

// Broken returns the profile with a mistake in it: what these attributes hold stays.
func (p *Profile) Broken(tags ...dict.Tag) *Profile {
	b := *p.rules
	b.Rows = maps.Clone(p.rules.Rows)
	for _, tag := range tags {
		b.Rows[tag] = rules.Rule{VR: dict.VROf(tag), Action: Keep, Why: "broken on purpose"}
	}
	return &Profile{rules: &b}
}
