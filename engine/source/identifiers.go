// SPDX-License-Identifier: AGPL-3.0-or-later

package source

import (
	"math/big"

	"github.com/google/uuid"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// StudyKeys are asked of every study.
var StudyKeys = []dict.Tag{
	dict.PatientID, dict.PatientName, dict.PatientBirthDate,
	dict.PatientSex, dict.StudyInstanceUID, dict.StudyDate, dict.StudyTime,
	dict.StudyDescription, dict.AccessionNumber, dict.ModalitiesInStudy,
	dict.NumberOfStudyRelatedSeries, dict.NumberOfStudyRelatedInstances,
}

// FindRoot returns the SOP class of queries of the study root, or of the patient root.
func FindRoot(study bool) string {
	if study {
		return dict.StudyRootQueryRetrieveInformationModelFind
	}
	return dict.PatientRootQueryRetrieveInformationModelFind
}

// LevelQuery is an identifier that asks for attributes at a level, without criteria.
func LevelQuery(level string, keys []dict.Tag) *stream.DataSet {
	id := &stream.DataSet{}
	id.Set(dict.QueryRetrieveLevel, level)
	for _, tag := range keys {
		id.Set(tag)
	}
	return id
}

// SetKey sets a criterion, unless it is empty.
func SetKey(id *stream.DataSet, tag dict.Tag, value string) {
	if value != "" {
		id.Set(tag, value)
	}
}

// Count returns a number that the peer may leave out as -1.
func Count(ds *stream.DataSet, tag dict.Tag) int {
	if n, ok := ds.Int(tag); ok && n >= 0 {
		return n
	}
	return -1
}

// NewTransactionUID returns a UID of a UUID (PS3.5 B.2).
func NewTransactionUID() string {
	id := uuid.New()
	return "2.25." + new(big.Int).SetBytes(id[:]).String()
}
