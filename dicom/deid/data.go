// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import "github.com/adit-go/adit/dicom/dict"

// attributeType says how an information object definition (PS3.3) requires an attribute (PS3.5 7.4). The conditional types
// count as theirs: where the attribute is present, its condition is taken to hold.
type attributeType uint8

const (
	type3 attributeType = iota // optional, or not part of the object's definition
	type2                      // required, may be empty
	type1                      // required, with a value
)

// iodType gives the type of an attribute of a row with alternatives (such as X/Z/D) in the definition of an object's
// SOP class. parent is the sequence that its item stands in, 0 at top level. known is false if the
// class, or the place within it, is not in the table.
func iodType(sopClass string, parent, tag dict.Tag) (typ attributeType, known bool) {
	return type3, false
}

// safePrivate tells whether a private element is on the list of safe ones (after PS3.15 Table E.3.10-1), and its VR.
// creator is the text of the block's Private Creator, element the lower byte of the element number.
func safePrivate(creator string, group uint16, element uint8) (vr dict.VR, ok bool) {
	return 0, false
}

// inVocabulary tells whether a word, in lower case, is one that cleaned descriptors may keep: anatomy, technique, sequences.
func inVocabulary(word string) bool { return false }
