// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

//go:generate go run ./internal/gen

import (
	"cmp"
	"slices"

	"github.com/adit-go/adit/dicom/dict"
)

// attributeType says how an information object definition (PS3.3) requires an attribute (PS3.5 7.4). The conditional types
// count as theirs: where the attribute is present, its condition is taken to hold.
type attributeType uint8

const (
	type3 attributeType = iota // optional, or not part of the object's definition
	type2                      // required, may be empty
	type1                      // required, with a value
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

// iodType gives the type of an attribute of a row with alternatives (such as X/Z/D) in the definition of an object's
// SOP class. parent is the sequence that its item stands in, 0 at top level. known is false if the
// class, or the place within it, is not in the table.
//
// Items are told by their sequence alone, whatever the class, and the strictest type of all modules counts.
// A private sequence is no part of any definition.
func iodType(sopClass string, parent, tag dict.Tag) (typ attributeType, known bool) {
	var row []typedTag
	switch {
	case parent.IsPrivate():
		return type3, true
	case parent != 0:
		i, found := slices.BinarySearchFunc(iodItems[:], parent, func(it iodItem, p dict.Tag) int { return cmp.Compare(it.parent, p) })
		if !found {
			return type3, false
		}
		row = iodItems[i].types
	default:
		i, found := slices.BinarySearchFunc(iodClasses[:], sopClass, func(c iodClass, uid string) int { return cmp.Compare(c.uid, uid) })
		if !found {
			return type3, false
		}
		row = iodRows[iodClasses[i].row]
	}
	for _, t := range row {
		if t.tag == tag {
			return t.typ, true
		}
	}
	return type3, true
}

type safeBlock struct {
	creator  string
	group    uint16
	elements []safeElement
}

type safeElement struct {
	element uint8
	vr      dict.VR
}

// safePrivate tells whether a private element is on the list of safe ones (after PS3.15 Table E.3.10-1), and its VR.
// creator is the text of the block's Private Creator, element the lower byte of the element number.
func safePrivate(creator string, group uint16, element uint8) (vr dict.VR, ok bool) {
	i, found := slices.BinarySearchFunc(safeBlocks[:], creator, func(b safeBlock, c string) int { return cmp.Or(cmp.Compare(b.creator, c), cmp.Compare(b.group, group)) })
	if !found {
		return 0, false
	}
	for _, e := range safeBlocks[i].elements {
		if e.element == element {
			return e.vr, true
		}
	}
	return 0, false
}
