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

// known leaves out a number that the server doesn't give.
func known(n int) *int {
	if n < 0 {
		return nil
	}
	return &n
}

// StudySearch returns what a query for studies asks for.
func StudySearch(q client.StudyQuery) query.Search {
	return query.Search{
		PatientID: q.PatientID, PatientName: q.PatientName,
		StudyDateFrom: dicomDate(q.StudyDateFrom), StudyDateTo: dicomDate(q.StudyDateTo),
		Modality: q.Modality, AccessionNumber: q.AccessionNumber, Limit: q.Limit,
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
