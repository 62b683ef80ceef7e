// SPDX-License-Identifier: AGPL-3.0-or-later

package table

//go:generate go run ../gen

import (
	"cmp"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// attributeType says how an information instance definition (PS3.3) requires an attribute (PS3.5 7.4). The conditional
// types count as theirs: where the attribute is present, its condition is taken to hold.
type attributeType uint8

// The types, from the weakest to the strictest.
const (
	Type3 attributeType = iota // optional, or not part of the instance's definition
	Type2                      // required, may be empty
	Type1                      // required, with a value
)

type typedTag struct {
	tag dict.Tag
	typ attributeType
}

type iodClass struct {
	uid string
	row uint8
}

type iodItem struct {
	parent dict.Tag
	types  []typedTag
}

// IODType returns the type of an attribute of a row with alternatives (such as X/Z/D) in the definition of an
// instance's SOP class. parent is the sequence that its item stands in, 0 at top level. known is false if the class, or
// the place within it, is not in the table.
//
// Items are told by their sequence alone, whatever the class, and the strictest type of all modules counts.
// A private sequence is no part of any definition.
func IODType(sopClass string, parent, tag dict.Tag) (typ attributeType, known bool) {
	var row []typedTag
	switch {
	case parent.IsPrivate():
		return Type3, true
	case parent != 0:
		i, found := slices.BinarySearchFunc(
			iodItems[:], parent, func(it iodItem, p dict.Tag) int { return cmp.Compare(it.parent, p) },
		)
		if !found {
			return Type3, false
		}
		row = iodItems[i].types
	default:
		i, found := slices.BinarySearchFunc(
			iodClasses[:], sopClass, func(c iodClass, uid string) int { return cmp.Compare(c.uid, uid) },
		)
		if !found {
			return Type3, false
		}
		row = iodRows[iodClasses[i].row]
	}
	for _, t := range row {
		if t.tag == tag {
			return t.typ, true
		}
	}
	return Type3, true
}

type safeBlock struct {
	Creator  string
	Group    uint16
	Elements []safeElement
}

type safeElement struct {
	Element uint8
	vr      dict.VR
}

// SafePrivate reports whether a private element is on the list of safe ones (after PS3.15 Table E.3.10-1), and its VR.
// creator is the text of the block's Private Creator, element the lower byte of the element number.
func SafePrivate(creator string, group uint16, element uint8) (vr dict.VR, ok bool) {
	i, found := slices.BinarySearchFunc(SafeBlocks[:], creator, func(b safeBlock, c string) int {
		return cmp.Or(
			cmp.Compare(b.Creator, c), cmp.Compare(b.Group, group),
		)
	})
	if !found {
		return 0, false
	}
	for _, e := range SafeBlocks[i].Elements {
		if e.Element == element {
			return e.vr, true
		}
	}
	return 0, false
}
