// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !js

package deid

import (
	"cmp"
	"slices"
	"strings"

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

// factOf gives what the scan holds of an element's attribute.
func (sc *scanner) factOf(h stream.Head) *fact {
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
		made := sc.s.p.fact(h.Tag)
		f = &made
		f.assigned = sc.assigned[h.Tag]
		if len(sc.facts) >= maxRules {
			clear(sc.facts)
		}
		sc.facts[h.Tag] = f
	}
	if w.at < maxOrder {
		w.order = append(w.order[:w.at], f)
		w.at++
	}
	return f
}

// fact asks the published table and the profile's own words; it is kept apart from ruleOf on purpose.
func (p *Profile) fact(tag dict.Tag) (f fact) {
	f.tag = tag
	if tag.IsPrivate() { // see private, and goes
		return f
	}
	e, known := dict.Lookup(tag)
	f.vr = e.VR
	r, listed := publishedRow(tag)
	if listed && f.vr == 0 {
		f.vr = r.vr
	}
	f.isModel = tag == dict.ManufacturerModelName || tag == dict.SoftwareVersions || tag == dict.Manufacturer
	f.dated = f.vr == dict.LO && strings.Contains(e.Keyword, "Date")
	defer func() { f.source = natureOf(e.Keyword, f.vr, f.must) }()
	switch {
	case p.overriddenFact(&f):
	case listed && p.base == aditBase:
		action := aditRule(r).action
		f.must, f.truncated = action != Keep && action != Truncate, action == Truncate
		f.gone = r.basic == basicX && action == Remove
	case listed:
		f.clean = p.options&r.clean&^ModifiedDates != 0
		f.must = p.options&r.keep == 0
		if p.options&r.clean&ModifiedDates != 0 {
			f.must = r.vr == dict.DA || r.vr == dict.DT // times of day stay
		}
		f.clean = f.clean && f.must
		f.gone = f.must && !f.clean && r.basic == basicX
	default:
		p.unlistedFact(&f, e, known)
	}
	return f
}

// goes tells whether an attribute's value must not stay, a private one's by the VR that it comes with.
func (sc *scanner) goes(f *fact, vr dict.VR) bool {
	if !f.tag.IsPrivate() {
		return f.must
	}
	switch p := sc.s.p; vr {
	case dict.UI:
		return p.options&RetainUIDs == 0 && !sc.ruled
	case dict.DA, dict.DT:
		return p.options&FullDates == 0 && !sc.ruled
	}
	return vr == dict.PN && !sc.ruled
}

// overriddenFact asks the profile's overrides, and reports whether one decides.
func (p *Profile) overriddenFact(f *fact) bool {
	i := slices.IndexFunc(p.overrides, func(o override) bool { return o.matches(f.tag, f.vr) })
	if i < 0 {
		return false
	}
	o := &p.overrides[i]
	f.must, f.clean = o.action != Keep && o.action != Edit && o.action != Truncate, o.action == Clean
	f.gone, f.truncated = o.action == Remove, o.action == Truncate
	if o.action == Replace {
		f.given = []byte(trim(o.with))
	}
	return true
}

func (p *Profile) unlistedFact(f *fact, e dict.Entry, known bool) {
	switch {
	case !known, repeats(f.tag), f.tag.Group() < 8, addedPatternOf(f.tag, e.Retired) != "":
		f.must, f.gone = true, true
	case f.tag == dict.TextValue, f.tag == dict.UnformattedTextValue:
		f.must, f.clean = true, true
	case f.vr == dict.PN:
		f.must = true
	case f.vr == dict.DA, f.vr == dict.DT:
		f.must = p.options&FullDates == 0
	case f.vr == dict.UI:
		f.must = p.options&RetainUIDs == 0 && !isClassUID(e.Keyword)
	}
}

// publishedRow gives the row of an attribute in Table E.1-1, or in additions.txt.
func publishedRow(tag dict.Tag) (*row, bool) {
	if r, listed := rowOf(tag); listed {
		return r, true
	}
	i, ok := slices.BinarySearchFunc(additions[:], tag, func(a addition, t dict.Tag) int { return cmp.Compare(a.tag, t) })
	if !ok {
		return nil, false
	}
	return &additions[i].row, true
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
)

func (n nature) isName() bool { return n == aName || n == thePatient }

func (n nature) kind() Kind {
	if n == anAddress {
		return AddressLeft
	}
	return NumberLeft
}

// natureOf tells by its keyword what an attribute holds, whatever a table says; of those that must not stay, more than of others. Dates and UIDs are
// told by their VR.
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
	case has("Address", "Telephone", "Institution", "Organization") && !has("Department", "Sequence", "Scheme"):
		return anAddress
	case machine(keyword):
		return aMachine
	case numbered(keyword):
		return aNumber
	case !must:
		return 0
	case has("DisplayName", "Evaluator", "Reviewer", "Author", "PerformerName", "OwnerName", "ResponsiblePerson") && !has("Organization", "Authority"):
		return aName
	case vr == dict.UR, has("URL", "URI"):
		return anAddress
	case has("OrderNumber", "EntityID"), hasSuffix(keyword, "ID", "IDs", "Number", "Numbers", "Identifier", "Identification") && !has("Version", "Nomenclature"):
		return aNumber
	}
	return aText
}

func hasSuffix(s string, suffixes ...string) bool {
	return slices.ContainsFunc(suffixes, func(suffix string) bool { return strings.HasSuffix(s, suffix) })
}

// machine tells whether an attribute is the number or name of a machine.
func machine(keyword string) bool {
	switch keyword {
	case "StationName", "ScheduledStationName", "PerformedStationName", "DeviceSerialNumber", "DetectorID", "CassetteID", "GantryID", "PlateID", "GeneratorID", "DeviceID",
		"DetectorManufacturerModelName", "SourceSerialNumber", "TransducerIdentification":
		return true
	}
	return strings.HasSuffix(keyword, "SerialNumber")
}

// numbered tells whether an attribute is the number or ID of somebody, or of what was done to somebody.
func numbered(keyword string) bool {
	switch keyword {
	case "PatientID", "OtherPatientIDs", "IssuerOfPatientID", "AccessionNumber", "StudyID", "MedicalRecordLocator", "InsurancePlanIdentification",
		"AdmissionID", "VisitNumber", "ServiceEpisodeID", "CurrentPatientLocation", "RequestedProcedureID",
		"ScheduledProcedureStepID", "PerformedProcedureStepID", "PlacerOrderNumberImagingServiceRequest", "FillerOrderNumberImagingServiceRequest",
		"PatientTelecomInformation", "PersonTelecomInformation", "SpecimenAccessionNumber", "SpecimenIdentifier", "ContainerIdentifier":
		return true
	}
	return false
}
