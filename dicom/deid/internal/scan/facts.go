// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package scan

import (
	"cmp"
	"slices"
	"strings"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/deid/internal/values"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// fact is what the scan holds of an attribute.
type fact struct {
	tag       dict.Tag
	vr        dict.VR
	source    nature // what it tells of somebody
	must      bool   // its value must not stay
	clean     bool   // but for words of the vocabulary
	truncated bool   // it stays as far as its year goes
	assigned  bool   // at top level: by the subject
	gone      bool   // as a sequence it must not be there
	isModel   bool   // what a machine is, not which
	dated     bool   // a date as text
	given     []byte // what the profile puts in its place, which may be what it was
}

// factOf returns what the scan holds of an element's attribute.
func (sc *Scanner) factOf(h stream.Head) *fact {
	i := 0
	if sc.out {
		i = 1
	}
	w := &sc.ways[i]
	if w.at < len(w.order) && w.order[w.at].tag == h.Tag {
		w.at++
		return w.order[w.at-1]
	}
	f, ok := sc.facts[h.Tag]
	if !ok {
		made := factOf(sc.of.Profile, h.Tag)
		f = &made
		f.assigned = sc.assigned[h.Tag]
		if len(sc.facts) >= maxFacts {
			clear(sc.facts)
		}
		sc.facts[h.Tag] = f
	}
	if w.at < maxWays {
		w.order = append(w.order[:w.at], f)
		w.at++
	}
	return f
}

// factOf asks the published table and the profile's own words; it is kept apart from RuleOf on purpose.
func factOf(p *rules.Profile, tag dict.Tag) (f fact) {
	f.tag = tag
	if tag.IsPrivate() { // see private, and goes
		return f
	}
	e, known := dict.Lookup(tag)
	f.vr = e.VR
	r, listed := publishedRow(tag)
	if listed && f.vr == 0 {
		f.vr = r.VR
	}
	f.isModel = tag == dict.ManufacturerModelName || tag == dict.SoftwareVersions || tag == dict.Manufacturer
	f.dated = f.vr == dict.LO && strings.Contains(e.Keyword, "Date")
	defer func() { f.source = natureOf(e.Keyword, f.vr, f.must) }()
	switch {
	case f.overridden(p):
	case listed && p.Base == rules.AditBase:
		action := rules.AditRule(r).Action
		f.must, f.truncated = action != rules.Keep && action != rules.Truncate, action == rules.Truncate
		f.gone = r.Basic == table.BasicX && action == rules.Remove
	case listed:
		f.clean = p.Options&r.Clean&^table.ModifiedDates != 0
		f.must = p.Options&r.Keep == 0
		if p.Options&r.Clean&table.ModifiedDates != 0 {
			f.must = r.VR == dict.DA || r.VR == dict.DT // times of day stay
		}
		f.clean = f.clean && f.must
		f.gone = f.must && !f.clean && r.Basic == table.BasicX
	default:
		f.unlisted(p, e, known)
	}
	return f
}

// goes reports whether an attribute's value must not stay, a private one's by the VR that it comes with.
func (sc *Scanner) goes(f *fact, vr dict.VR) bool {
	if !f.tag.IsPrivate() {
		return f.must
	}
	switch p := sc.of.Profile; vr {
	case dict.UI:
		return p.Options&table.RetainUIDs == 0 && !sc.ruled
	case dict.DA, dict.DT:
		return p.Options&table.FullDates == 0 && !sc.ruled
	}
	return vr == dict.PN && !sc.ruled
}

// overridden asks the profile's overrides, and reports whether one decides.
func (f *fact) overridden(p *rules.Profile) bool {
	i := slices.IndexFunc(p.Overrides, func(o rules.OwnRule) bool { return o.Matches(f.tag, f.vr) })
	if i < 0 {
		return false
	}
	o := &p.Overrides[i]
	f.must, f.clean = o.Action != rules.Keep && o.Action != rules.Edit &&
		o.Action != rules.Truncate, o.Action == rules.Clean
	f.gone, f.truncated = o.Action == rules.Remove, o.Action == rules.Truncate
	if o.Action == rules.Replace {
		f.given = []byte(values.Trim(o.With))
	}
	return true
}

func (f *fact) unlisted(p *rules.Profile, e dict.Entry, known bool) {
	switch {
	case !known, table.Repeats(f.tag), f.tag.Group() < 8, table.AddedPatternOf(f.tag, e.Retired) != "":
		f.must, f.gone = true, true
	case f.tag == dict.TextValue, f.tag == dict.UnformattedTextValue:
		f.must, f.clean = true, true
	case f.vr == dict.PN:
		f.must = true
	case f.vr == dict.DA, f.vr == dict.DT:
		f.must = p.Options&table.FullDates == 0
	case f.vr == dict.UI:
		f.must = p.Options&table.RetainUIDs == 0 && !table.IsClassUID(e.Keyword)
	}
}

// publishedRow returns the row of an attribute in Table E.1-1, or in additions.txt.
func publishedRow(tag dict.Tag) (*table.Row, bool) {
	if r, listed := table.RowOf(tag); listed {
		return r, true
	}
	i, ok := slices.BinarySearchFunc(
		table.Additions[:], tag, func(a table.Addition, t dict.Tag) int { return cmp.Compare(a.Tag, t) },
	)
	if !ok {
		return nil, false
	}
	return &table.Additions[i].Row, true
}

// nature is what an attribute holds that tells who somebody is.
type nature uint8

const (
	aText nature = iota + 1 // which may have numbers and addresses of mail in it
	aName
	thePatient // a name of the patient's
	aNumber
	aMachine // a number of a machine's
	anAddress
	anInstitution // its name, of which a word alone may tell
	aModel        // of a machine, or its version
	aBirthDate    // as a DA
)

func (n nature) isName() bool { return n == aName || n == thePatient }

func (n nature) kind() Kind {
	if n.isPlace() {
		return AddressLeft
	}
	return NumberLeft
}

func (n nature) isPlace() bool { return n == anAddress || n == anInstitution }

// natureOf tells by its keyword what an attribute holds, whatever a table says; of those that must not stay, more than
// of others. Dates and UIDs are told by their VR.
func natureOf(keyword string, vr dict.VR, must bool) nature {
	switch vr {
	case dict.PN:
		switch keyword {
		case "PatientName", "OtherPatientNames", "PatientBirthName":
			return thePatient
		}
		return aName
	case dict.SH, dict.LO, dict.ST, dict.LT, dict.UC, dict.UT, dict.UR:
	default:
		return 0
	}
	has := func(parts ...string) bool {
		return slices.ContainsFunc(parts, func(part string) bool { return strings.Contains(keyword, part) })
	}
	switch {
	case strings.HasPrefix(keyword, "ClinicalTrial"): // some are given by the subject
		return 0
	case keyword == "InstitutionName":
		return anInstitution
	case has("Address", "Telephone", "Institution", "Organization") && !has("Department", "Sequence", "Scheme"):
		return anAddress
	case machine(keyword):
		return aMachine
	case numbered(keyword):
		return aNumber
	case !must:
		return 0
	case has("DisplayName", "Evaluator", "Reviewer", "Author", "PerformerName", "OwnerName", "ResponsiblePerson") &&
		!has("Organization", "Authority"):
		return aName
	case vr == dict.UR, has("URL", "URI"):
		return anAddress
	case has("OrderNumber", "EntityID"),
		hasSuffix(keyword, "ID", "IDs", "Number", "Numbers", "Identifier", "Identification") &&
			!has("Version", "Nomenclature"):
		return aNumber
	}
	return aText
}

func hasSuffix(s string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(s, suffix) })
}

// machine reports whether an attribute is the number or name of a machine.
func machine(keyword string) bool {
	switch keyword {
	case "StationName", "ScheduledStationName", "PerformedStationName", "DeviceSerialNumber", "DetectorID",
		"CassetteID", "GantryID", "PlateID", "GeneratorID", "DeviceID",
		"DetectorManufacturerModelName", "SourceSerialNumber", "TransducerIdentification":
		return true
	}
	return strings.HasSuffix(keyword, "SerialNumber")
}

// numbered reports whether an attribute is the number or ID of somebody, or of what was done to somebody.
func numbered(keyword string) bool {
	switch keyword {
	case "PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID",
		"MedicalRecordLocator", "InsurancePlanIdentification",
		"AdmissionID", "VisitNumber", "ServiceEpisodeID", "CurrentPatientLocation", "RequestedProcedureID",
		"ScheduledProcedureStepID", "PerformedProcedureStepID", "PlacerOrderNumberImagingServiceRequest",
		"FillerOrderNumberImagingServiceRequest",
		"PatientTelecomInformation", "PersonTelecomInformation", "SpecimenAccessionNumber", "SpecimenIdentifier",
		"ContainerIdentifier":
		return true
	}
	return false
}
