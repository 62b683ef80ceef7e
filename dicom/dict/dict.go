// SPDX-License-Identifier: AGPL-3.0-or-later

// Package dict is the registry of the DICOM standard (PS3.6): attributes with their VR and keyword, UIDs, transfer
// syntaxes and storage SOP classes. Attributes are constants by keyword (dict.PatientID), UIDs likewise
// (dict.CTImageStorage); no keyword names both. The tables are static data: they cost nothing when the program starts.
package dict

//go:generate go run ./internal/gen

import (
	"cmp"
	"fmt"
	"iter"
	"slices"
)

// Tag identifies an attribute: group number in the upper 16 bits, element number in the lower.
type Tag uint32

// The tags that structure a data set (PS3.5 7.5). They have no VR, in explicit VR either.
const (
	ItemTag                 Tag = 0xFFFEE000
	ItemDelimitationTag     Tag = 0xFFFEE00D
	SequenceDelimitationTag Tag = 0xFFFEE0DD
)

// NewTag puts a tag together.
func NewTag(group, element uint16) Tag { return Tag(group)<<16 | Tag(element) }

// Group returns the group number.
func (t Tag) Group() uint16 { return uint16(t >> 16) }

// Element returns the element number.
func (t Tag) Element() uint16 { return uint16(t) }

// String returns the tag as "(0010,0020)".
func (t Tag) String() string { return fmt.Sprintf("(%04X,%04X)", t.Group(), t.Element()) }

// IsPrivate reports whether the group is odd (PS3.5 7.8).
func (t Tag) IsPrivate() bool { return t>>16&1 == 1 }

// IsPrivateCreator reports whether the element reserves a block of private elements (PS3.5 7.8.1).
func (t Tag) IsPrivateCreator() bool { return t.IsPrivate() && t&0xFFFF >= 0x10 && t&0xFFFF <= 0xFF }

// IsGroupLength reports whether the element is (gggg,0000).
func (t Tag) IsGroupLength() bool { return t&0xFFFF == 0 }

// Keyword returns the keyword of the standard, empty for tags that have none.
func (t Tag) Keyword() string {
	e, _ := Lookup(t)
	return e.Keyword
}

// Entry is a row of the data dictionary.
type Entry struct {
	Tag     Tag
	VR      VR     // 0 for items and delimiters
	AltVR   VR     // the other VR of attributes such as "US or SS", else 0
	VM      string // value multiplicity as printed in the standard: "1", "1-n", "2-2n"
	Keyword string
	Name    string // empty in WebAssembly, whose size counts
	Retired bool
}

// row is what the table holds of an entry; names are apart.
type row struct {
	Tag       Tag
	VR, AltVR VR
	VM        string
	Keyword   string
	Retired   bool
}

func entry(i int) Entry {
	r := &entries[i]
	return Entry{
		Tag: r.Tag, VR: r.VR, AltVR: r.AltVR, VM: r.VM, Keyword: r.Keyword, Name: nameOf(i), Retired: r.Retired,
	}
}

// Lookup finds a tag in the dictionary: standard attributes, command elements (group 0000), repeating groups, the
// group length of any group and private creators. Other private elements are unknown to it.
func Lookup(t Tag) (Entry, bool) {
	if i := find(t); i >= 0 {
		return entry(i), true
	}
	switch {
	case t.IsGroupLength():
		return Entry{Tag: t, VR: UL, VM: "1", Name: "Group Length", Retired: true}, true
	case t.IsPrivateCreator():
		return Entry{Tag: t, VR: LO, VM: "1", Name: "Private Creator"}, true
	}
	for i := range repeating {
		if t&repeating[i].mask == repeating[i].Tag && !t.IsPrivate() {
			e := repeating[i].Entry
			e.Tag = t
			return e, true
		}
	}
	return Entry{}, false
}

// All yields the tags of the dictionary in no order, each with the mask of its fixed digits: all of them, but in
// repeating groups.
func All() iter.Seq2[Tag, Tag] {
	return func(yield func(tag, mask Tag) bool) {
		for _, tag := range entryTags {
			if !yield(tag, 0xFFFFFFFF) {
				return
			}
		}
		for i := range repeating {
			if !yield(repeating[i].Tag, repeating[i].mask) {
				return
			}
		}
	}
}

// find returns the index of a tag among entries, -1 if it isn't there. It runs for every element of every header in
// implicit VR.
func find(t Tag) int {
	i, j := 0, len(entryTags)
	for i < j {
		if m := (i + j) / 2; entryTags[m] < t {
			i = m + 1
		} else {
			j = m
		}
	}
	if i < len(entryTags) && entryTags[i] == t {
		return i
	}
	return -1
}

// VROf returns the VR of a tag in an implicit VR data set: the dictionary's, UN for what it doesn't know.
func VROf(t Tag) VR {
	if i := find(t); i >= 0 && entries[i].VR != 0 {
		return entries[i].VR
	}
	if e, ok := Lookup(t); ok && e.VR != 0 {
		return e.VR
	}
	return UN
}

// ByKeyword finds an attribute by its keyword, as in "PatientID".
func ByKeyword(keyword string) (Entry, bool) {
	i, ok := slices.BinarySearchFunc(
		byKeyword[:], keyword, func(i uint16, k string) int { return cmp.Compare(entries[i].Keyword, k) },
	)
	if !ok {
		return Entry{}, false
	}
	return entry(int(byKeyword[i])), true
}
