// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import "github.com/adit-go/adit/dicom/dict"

// One true date beside the shifted one tells by how many days all dates of a patient were moved. So a date that
// somebody can guess, or look up, is never shifted: it gets the basic action. Public judges by the attribute,
// placeholder by the value.

// Why others know an attribute's date.
const (
	publishedVersion = "the version of a published table or template, which anybody can look up"
	approvalOfSite   = "when something was approved, for all patients alike and known to all who take part"
	dateOfMachine    = "a date of the machine or of its source, the same for all its patients and known to the site " +
		"and its service"
	dateOfLot      = "printed on a product, the same for all of its lot"
	dateOfTemplate = "a date of a template, the same in every copy"
	dateOfArchive  = "when an archive or gateway changed instances, often those of many patients on one day"
	deadlineOfMany = "a deadline, often the same for many patients"
)

// Public are the dates that are none of the patient's. A birth date is, but others know it: relatives, registers, other
// data sets.
var Public = map[dict.Tag]string{
	dict.ContextGroupVersion:      publishedVersion,
	dict.ContextGroupLocalVersion: publishedVersion,
	dict.TemplateVersion:          publishedVersion,
	dict.TemplateLocalVersion:     publishedVersion,

	dict.EthicsCommitteeApprovalEffectivenessStartDate: approvalOfSite,
	dict.EthicsCommitteeApprovalEffectivenessEndDate:   approvalOfSite,
	dict.ApprovalStatusDateTime:                        approvalOfSite,
	dict.AssertionDateTime:                             approvalOfSite,
	dict.AssertionExpirationDateTime:                   approvalOfSite,

	dict.DateOfGainCalibration:         dateOfMachine,
	dict.CalibrationDate:               dateOfMachine,
	dict.DateOfLastCalibration:         dateOfMachine,
	dict.DateTimeOfLastCalibration:     dateOfMachine,
	dict.CalibrationDateTime:           dateOfMachine,
	dateOfManufacture:                  dateOfMachine,
	dateOfInstallation:                 dateOfMachine,
	dict.DateOfLastDetectorCalibration: dateOfMachine,
	dict.SourceStrengthReferenceDate:   dateOfMachine,

	dict.ExpiryDate:                dateOfLot,
	dict.ProductExpirationDateTime: dateOfLot,

	dict.ProcedureCreationDate:           dateOfTemplate,
	dict.ProcedureExpirationDate:         dateOfTemplate,
	dict.ProcedureLastModifiedDate:       dateOfTemplate,
	dict.EffectiveDateTime:               dateOfTemplate, // of an implant's
	dict.InformationIssueDateTime:        dateOfTemplate, // likewise
	dict.HangingProtocolCreationDateTime: dateOfTemplate,
	dict.SelectorDAValue:                 dateOfTemplate,
	dict.SelectorDTValue:                 dateOfTemplate,

	dict.InstanceCoercionDateTime:      dateOfArchive,
	dict.ContributionDateTime:          dateOfArchive,
	dict.AttributeModificationDateTime: dateOfArchive,

	dict.ScheduledProcedureStepExpirationDateTime: deadlineOfMany,

	dict.PatientBirthDate: "a birth date, which many know",
}

// Attributes that are newer than the dictionary.
const (
	dateOfManufacture  dict.Tag = 0x00181204
	dateOfInstallation dict.Tag = 0x00181205
)

// placeholder reports whether a date stands for one that nobody knew, or is too likely to: who meets it shifted
// recognizes it. Days on which people were examined too are few among them; those lose their date.
func placeholder(y, m, d int) bool {
	switch {
	case y < 1971:
		// Before the first CT no date is of an image that was born digital. Here lie the first days of calendars,
		// databases and clocks: 0001-01-01, 1601-01-01 (Windows), 1753-01-01 (SQL Server), 1840-12-31 (MUMPS),
		// 1858-11-17 (VMS), 1899-12-30 (OLE, Excel), 1900-01-01, 1904-01-01 (Mac), 1960-01-01 (SAS), 1970-01-01 (Unix),
		// with the weeks that a clock runs until somebody sets it; and 1111-11-11, 1911-11-11.
		return true
	case y >= 2040:
		// No appointment lies so far ahead: 2079-06-06 (SQL Server), 2099-12-31, 2999-12-31, 9999-12-31 stand for
		// "never ends". Count up engine before that year comes.
		return true
	case m == 1 && d == 1 && (y <= 2001 || y%10 == 0):
		// A year without a day; 1980-01-01, 1990-01-01, 2000-01-01, 2010-01-01 where a machine's clock begins when its
		// battery is empty, 2001-01-01 (Apple).
		return true
	case m == 12 && d == 31 && (y == 1979 || y == 1989 || y == 1999 || y == 2000):
		return true // the same instants, in time zones to the west of Greenwich
	case y == 1980 && m == 1:
		return true // a PC's clock, or GPS (1980-01-06), that runs since it began
	case y%100 == m && m == d:
		return true // 2001-01-01 to 2012-12-12: typed because a form insists ("11.11.11")
	}
	switch y*10000 + m*100 + d {
	case 19990909, // "9999" of old programs
		20291231, 20301231, // "valid until"
		20360206, 20360207, // the end of NTP's first era
		20380118, 20380119: // the end of time in 32 bits
		return true
	}
	return false
}
