// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"slices"
	"strings"
	"unicode"

	"github.com/adit-go/adit/dicom/dict"
)

// A ColumnKind says what stands in a column.
type ColumnKind uint8

// The kinds of columns.
const (
	IDColumn          ColumnKind = iota // an identifier, exact
	NameColumn                          // a person name
	DateColumn                          // a day
	UIDColumn                           // a study or series
	ModalitiesColumn                    // modalities with commas between them
	NumbersColumn                       // whole numbers with commas between them
	DescriptionColumn                   // text with * and ? as wildcards
	PseudonymColumn                     // what replaces the patient's identity
)

// Column describes a column for people and for reading.
type Column struct {
	Name     string
	Kind     ColumnKind
	Required string // when it must have a value; empty: never
	Meaning  string
	Example  string

	also []string // other names that people give it, in small letters without blanks
}

// The columns of a batch query by their place in QueryColumns.
const (
	queryPatientID = iota
	queryPatientName
	queryBirthDate
	queryAccession
	queryFrom
	queryUntil
	queryModality
	queryStudyDescription
	querySeriesDescription
	querySeriesNumber
	queryPseudonym
)

// The columns of a batch transfer by their place in TransferColumns.
const (
	transferPatientID = iota
	transferStudy
	transferSeries
	transferPseudonym
)

var (
	patientIDAlso = []string{"patid", "patient", "patientsid", "patientnumber", "mrn"}
	pseudonymAlso = []string{"pseudonyms", "pseudo"}
)

// QueryColumns are the columns of a batch query.
func QueryColumns() []Column {
	return []Column{
		{
			Name: "PatientID", Kind: IDColumn,
			Required: "unless PatientName and PatientBirthDate, or AccessionNumber, are given",
			Meaning:  "The patient's ID, exactly as the server has it. Format the column as text, so that leading zeros stay.",
			Example:  "0062115936", also: patientIDAlso,
		},
		{
			Name: "PatientName", Kind: NameColumn, Required: "unless PatientID or AccessionNumber is given",
			Meaning: "Last name, comma, first name; without wildcards. The DICOM form Last^First^Middle is understood, too.",
			Example: "Apple, Annie", also: []string{"name", "patientsname", "fullname"},
		},
		{
			Name: "PatientBirthDate", Kind: DateColumn, Required: "unless PatientID or AccessionNumber is given",
			Meaning: "The patient's date of birth.", Example: "1945-04-27",
			also: []string{"birthdate", "dateofbirth", "dob", "birthday", "patientsbirthdate", "patientdateofbirth"},
		},
		{
			Name: "AccessionNumber", Kind: IDColumn,
			Required: "unless PatientID, or PatientName and PatientBirthDate, are given",
			Meaning:  "The accession number of the study. A row may have it alone.",
			Example:  "0062115904", also: []string{"accession", "accessionno", "accessionnr", "acc", "accno"},
		},
		{
			Name: "From", Kind: DateColumn, Meaning: "Studies of this day and later.", Example: "2019-06-01",
			also: []string{"start", "startdate", "fromdate", "datefrom", "since", "studydatefrom"},
		},
		{
			Name: "Until", Kind: DateColumn, Meaning: "Studies of this day and before.", Example: "2019-12-31",
			also: []string{"to", "till", "end", "enddate", "untildate", "todate", "dateto", "studydateuntil"},
		},
		{
			Name: "Modality", Kind: ModalitiesColumn, Required: "unless AccessionNumber is given",
			Meaning: "A modality, or several with commas between them: studies that have one of them.",
			Example: "CT, MR", also: []string{"modalities"},
		},
		{
			Name: "StudyDescription", Kind: DescriptionColumn,
			Meaning: "The description as a whole, in capital or small letters. * stands for any characters, ? for one.",
			Example: "*head*", also: []string{"studydesc"},
		},
		{
			Name: "SeriesDescription", Kind: DescriptionColumn,
			Meaning: "As StudyDescription, of a series. The results are then series.",
			Example: "t2*", also: []string{"seriesdesc"},
		},
		{
			Name: "SeriesNumber", Kind: NumbersColumn,
			Meaning: "The number of a series, or several with commas between them. The results are then series.",
			Example: "4, 5", also: []string{"seriesnumbers", "seriesno", "seriesnr"},
		},
		{
			Name: "Pseudonym", Kind: PseudonymColumn,
			Meaning: "Stands in the results, which can be used for a batch transfer.",
			Example: "SUBJ-0001", also: pseudonymAlso,
		},
	}
}

// TransferColumns are the columns of a batch transfer.
func TransferColumns() []Column {
	return []Column{
		{
			Name: "PatientID", Kind: IDColumn, Required: "always",
			Meaning: "The patient's ID, exactly as the server has it. Format the column as text, so that leading zeros stay.",
			Example: "0062115936", also: patientIDAlso,
		},
		{
			Name: "StudyInstanceUID", Kind: UIDColumn, Required: "always",
			Meaning: "The study. All rows of a study become one task.",
			Example: "1.2.840.113845.11.1000000001951524609.20200705182951.2689481",
			also:    []string{"studyuid", "study", "siuid"},
		},
		{
			Name: "SeriesInstanceUID", Kind: UIDColumn,
			Meaning: "A series of the study, one in a row. A row without it stands for the whole study.",
			Example: "1.2.840.113845.11.1000000001951524609.20200705182951.2689482",
			also:    []string{"seriesuid", "series"},
		},
		{
			Name: "Pseudonym", Kind: PseudonymColumn, Required: "unless you may transfer with the patient's identity",
			Meaning: "What replaces the Patient ID and the Patient's Name. Each patient has one, and no other patient has it.",
			Example: "SUBJ-0001", also: pseudonymAlso,
		},
	}
}

// Near reports whether somebody may have meant the column by a name. The name of another attribute means that one.
func (c Column) Near(name string) bool {
	if _, ok := dict.ByKeyword(name); ok {
		return false
	}
	got, want := squeeze(name), strings.ToLower(c.Name)
	if got == want || slices.Contains(c.also, got) {
		return true
	}
	n := distance([]rune(got), []rune(want))
	return len(want) >= 5 && n <= 1 || len(want) >= 12 && n <= 2
}

// squeeze takes everything but letters and digits from a name, and the case.
func squeeze(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, name)
}

// distance returns how many letters have to be added, left out, exchanged or swapped with the next one.
func distance(a, b []rune) int {
	if len(a) > 2*len(b) {
		return len(a)
	}
	var before []int
	last := make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range a {
		now := make([]int, len(b)+1)
		now[0] = i + 1
		for j := range b {
			differs := 1
			if a[i] == b[j] {
				differs = 0
			}
			now[j+1] = min(last[j+1]+1, now[j]+1, last[j]+differs)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				now[j+1] = min(now[j+1], before[j-1]+1)
			}
		}
		before, last = last, now
	}
	return last[len(b)]
}
