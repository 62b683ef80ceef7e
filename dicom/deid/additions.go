// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

// addition is a row that Table E.1-1 doesn't have (additions.txt).
type addition struct {
	row
	reason uint8 // of additionReasons
}

// addedPattern is an addition of all tags that are like it under the mask.
type addedPattern struct {
	tag, mask dict.Tag
	reason    uint8
}

// additionRule decides an addition as a row of the table is decided, under either base.
func (p *Profile) additionRule(a *addition) rule {
	d := p.basicRule(&a.row)
	if p.base == aditBase {
		d = aditRule(&a.row)
	}
	d.why = strings.Replace(d.why, "Table E.1-1", "added to Table E.1-1", 1) + ". " + additionReasons[a.reason]
	return d
}

// addedPatternOf returns why a tag of a repeating group goes, "" if it is none. Attributes in use within the same range of
// tags, such as Pixel Data, aren't retired.
func addedPatternOf(tag dict.Tag, retired bool) string {
	if !retired {
		return ""
	}
	for _, p := range addedPatterns {
		if tag&p.mask == p.tag {
			return "added to Table E.1-1: X. " + additionReasons[p.reason]
		}
	}
	return ""
}
