// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"

	"github.com/adit-go/adit/dicom/dict"
)

//go:generate go run ./internal/gen/table

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

// options gives each option its name in profiles and its code of CID 7050.
var options = []struct {
	option              Option
	name, code, meaning string
}{
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

// basic is what the Basic Profile column says.
type basic uint8

const (
	basicX  basic = iota // remove
	basicZ               // empty
	basicD               // dummy
	basicU               // another UID; X/Z/U* too
	basicXZ              // the alternatives are decided by the attribute's type in the object
	basicXD
	basicZD
	basicXZD
)

// row is one of Table E.1-1.
type row struct {
	tag         dict.Tag
	vr          dict.VR
	basic       basic
	keep, clean Option // options that say K, C
}

// classUIDs are attributes of VR UI that name what things are, not which: they stay (deid.md, "Keys and consistency").
func isClassUID(keyword string) bool {
	switch keyword {
	case "CodingSchemeUID", "ContextGroupExtensionCreatorUID", "ContextUID", "MappingResourceUID", "ImplementationClassUID",
		"PrivateInformationCreatorUID", "CreatorVersionUID", "SegmentationTemplateUID":
		return true
	}
	return strings.Contains(keyword, "SOPClass") || strings.Contains(keyword, "TransferSyntaxUID")
}
