// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"maps"

	"github.com/adit-go/adit/dicom/dict"
)

// Broken gives the profile with a mistake in it: what these attributes hold stays.
func (p *Profile) Broken(tags ...dict.Tag) *Profile {
	b := *p
	b.rows = maps.Clone(p.rows)
	for _, tag := range tags {
		b.rows[tag] = rule{vr: dict.VROf(tag), action: Keep, why: "broken on purpose"}
	}
	return &b
}
