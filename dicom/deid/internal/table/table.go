// SPDX-License-Identifier: AGPL-3.0-or-later

// Package table holds what is published about attributes: PS3.15 Table E.1-1 with ADIT's additions and promises, the
// list of safe private attributes, and the types that PS3.3 gives attributes. It decides nothing.
package table

import (
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

//go:generate go run ../gen/table

// Option is one of the options of PS3.15 Table E.1-1, or a set of them.
type Option uint16

// The options, by their column (PS3.15 E.3).
const (
	RetainSafePrivate            Option = 1 << iota // E.3.10
	RetainUIDs                                      // E.3.9
	RetainDeviceIdentity                            // E.3.8
	RetainInstitutionIdentity                       // E.3.11
	RetainPatientCharacteristics                    // E.3.7
	FullDates                                       // E.3.6: Retain Longitudinal Temporal Information with Full Dates
	ModifiedDates                                   // E.3.6: … with Modified Dates
	CleanDescriptors                                // E.3.5
	CleanStructuredContent                          // E.3.4
	CleanGraphics                                   // E.3.3
)

// Column is the column of an option: its name in profiles and its code of CID 7050.
type Column struct {
	Option              Option
	Name, Code, Meaning string
}

// Options are the columns of the table.
var Options = []Column{
	{RetainSafePrivate, "retain-safe-private", "113111", "Retain Safe Private Option"},
	{RetainUIDs, "retain-uids", "113110", "Retain UIDs Option"},
	{RetainDeviceIdentity, "retain-device-identity", "113109", "Retain Device Identity Option"},
	{RetainInstitutionIdentity, "retain-institution-identity", "113112", "Retain Institution Identity Option"},
	{RetainPatientCharacteristics, "retain-patient-characteristics", "113108", "Retain Patient Characteristics Option"},
	{FullDates, "full-dates", "113106", "Retain Longitudinal Temporal Information Full Dates Option"},
	{ModifiedDates, "modified-dates", "113107", "Retain Longitudinal Temporal Information Modified Dates Option"},
	{CleanDescriptors, "clean-descriptors", "113105", "Clean Descriptors Option"},
	{CleanStructuredContent, "clean-structured-content", "113104", "Clean Structured Content Option"},
	{CleanGraphics, "clean-graphics", "113103", "Clean Graphics Option"},
}

// Basic is what the Basic Profile column says.
type Basic uint8

// The actions of the column, alone and as alternatives.
const (
	BasicX  Basic = iota // remove
	BasicZ               // empty
	BasicD               // dummy
	BasicU               // another UID; X/Z/U* too
	BasicXZ              // the alternatives are decided by the attribute's type in the instance
	BasicXD
	BasicZD
	BasicXZD
)

// Row is one of Table E.1-1.
type Row struct {
	Tag         dict.Tag
	VR          dict.VR
	Basic       Basic
	Keep, Clean Option // options that say K, C
}

// IsClassUID reports whether an attribute of VR UI, by its keyword, names what things are, not which: those stay.
func IsClassUID(keyword string) bool {
	switch keyword {
	case "CodingSchemeUID", "ContextGroupExtensionCreatorUID", "ContextUID", "MappingResourceUID",
		"ImplementationClassUID",
		"PrivateInformationCreatorUID", "CreatorVersionUID", "SegmentationTemplateUID":
		return true
	}
	return strings.Contains(keyword, "SOPClass") || strings.Contains(keyword, "TransferSyntaxUID")
}

// RowOf returns the row of an attribute; ok is false if the table doesn't list it.
func RowOf(tag dict.Tag) (r *Row, ok bool) {
	i, ok := slices.BinarySearchFunc(Rows[:], tag, func(r Row, t dict.Tag) int { return int(int64(r.Tag) - int64(t)) })
	if !ok {
		return nil, false
	}
	return &Rows[i], true
}

// String returns the name of the set's first option in profiles.
func (o Option) String() string {
	for _, x := range Options {
		if o&x.Option != 0 {
			return x.Name
		}
	}
	return "none"
}

// Repeats reports whether a tag is of the groups of curves or overlays, which go whole.
func Repeats(tag dict.Tag) bool {
	return tag>>24 == 0x50 || tag>>24 == 0x60
}
