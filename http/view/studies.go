// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
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
