// SPDX-License-Identifier: AGPL-3.0-or-later

package table

import "github.com/adit-go/adit/dicom/dict"

// Addition is a row that Table E.1-1 doesn't have (additions.txt).
type Addition struct {
	Row
	Reason uint8 // of AdditionReasons
}

// addedPattern is an addition of all tags that are like it under the mask.
type addedPattern struct {
	tag, mask dict.Tag
	reason    uint8
}

// AddedPatternOf returns why a tag of a repeating group goes, "" if it is none. Attributes in use within the same range
// of tags, such as Pixel Data, aren't retired.
func AddedPatternOf(tag dict.Tag, retired bool) string {
	if !retired {
		return ""
	}
	for _, p := range addedPatterns {
		if tag&p.mask == p.tag {
			return "added to Table E.1-1: X. " + AdditionReasons[p.reason]
		}
	}
	return ""
}
