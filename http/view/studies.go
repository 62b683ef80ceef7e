// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"strings"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/query"
)

// Study returns a study that a search found.
func Study(s query.FoundStudy) client.Study {
	return client.Study{
		StudyInstanceUID: s.StudyInstanceUID, PatientID: s.PatientID,
		PatientName: s.PatientName, PatientBirthDate: s.PatientBirthDate,
		PatientSex: s.PatientSex, StudyDate: s.StudyDate, StudyTime: s.StudyTime, StudyDescription: s.StudyDescription,
		AccessionNumber: s.AccessionNumber, ModalitiesInStudy: append([]string{}, s.ModalitiesInStudy...),
		Series: known(s.Series), Instances: known(s.Instances),
	}
}

// StudySearch returns what a search for studies asks for.
func StudySearch(q client.StudyQuery, cut *bool) query.Search {
	return query.Search{
		PatientID: q.PatientID, PatientName: q.PatientName,
		PatientBirthDateFrom: dicomDate(q.PatientBirthDateFrom), PatientBirthDateTo: dicomDate(q.PatientBirthDateTo),
		StudyInstanceUID: q.StudyInstanceUID,
		StudyDateFrom:    dicomDate(q.StudyDateFrom), StudyDateTo: dicomDate(q.StudyDateTo),
		StudyTimeFrom: q.StudyTimeFrom, StudyTimeTo: q.StudyTimeTo, StudyDescription: q.StudyDescription,
		Modality: q.Modality, AccessionNumber: q.AccessionNumber, Limit: q.Limit, Cut: cut,
	}
}

// SeriesSearch returns what a search for series asks for.
func SeriesSearch(q client.SeriesQuery, cut *bool) query.SeriesSearch {
	return query.SeriesSearch{
		StudyInstanceUID: q.StudyInstanceUID, PatientID: q.PatientID, Limit: q.Limit, Cut: cut,
	}
}

// InstanceSearch returns what a search for instances asks for.
func InstanceSearch(q client.InstanceQuery, cut *bool) query.InstanceSearch {
	return query.InstanceSearch{
		StudyInstanceUID: q.StudyInstanceUID, SeriesInstanceUID: q.SeriesInstanceUID, PatientID: q.PatientID,
		Limit: q.Limit, Cut: cut,
	}
}

// dicomDate turns a date of ISO 8601 into DICOM's form, and leaves all else for the engine to judge.
func dicomDate(date string) string {
	date = strings.TrimSpace(date)
	if len(date) == 10 && date[4] == '-' && date[7] == '-' {
		return strings.ReplaceAll(date, "-", "")
	}
	return date
}

// FoundSeries returns a series that a search found.
func FoundSeries(s query.FoundSeries) client.FoundSeries {
	return client.FoundSeries{
		SeriesInstanceUID: s.SeriesInstanceUID, Modality: s.Modality, SeriesNumber: s.SeriesNumber,
		SeriesDescription: s.SeriesDescription, BodyPartExamined: s.BodyPartExamined,
		SeriesDate: s.SeriesDate, SeriesTime: s.SeriesTime, Instances: known(s.Instances),
	}
}

// FoundInstance returns an instance that a search found.
func FoundInstance(i query.FoundInstance) client.FoundInstance {
	return client.FoundInstance{
		SOPInstanceUID: i.SOPInstanceUID, SOPClassUID: i.SOPClassUID, InstanceNumber: i.InstanceNumber,
		Rows: known(i.Rows), Columns: known(i.Columns), Frames: known(i.Frames),
	}
}

// known leaves out a number that the server doesn't give.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}
