// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
)

// TestImpossibleSearches: what can't find anything, or would find everything, is refused and said.
func TestImpossibleSearches(t *testing.T) {
	long := func(n int) string { return strings.Repeat("é", n) }
	for _, tt := range []struct {
		field string
		s     Search
	}{
		{"", Search{}},
		{"", Search{PatientID: " ", PatientName: "\t", Modality: "  "}},
		{"limit", Search{PatientID: "P", Limit: -1}},
		{"study_date_to", Search{StudyDateFrom: "20240131", StudyDateTo: "20240101"}},
		{"study_date_from", Search{StudyDateFrom: "20240230"}},
		{"study_date_from", Search{StudyDateFrom: "20230229"}},
		{"study_date_to", Search{StudyDateTo: "20241301"}},
		{"study_date_to", Search{StudyDateTo: "2024"}},
		{"study_date_from", Search{StudyDateFrom: "20240101-20240102"}},
		{"modality", Search{Modality: ","}},
		{"modality", Search{Modality: "CT/MR"}},
		{"modality", Search{Modality: `CT\MR`}},
		{"modality", Search{Modality: "C?"}},
		{"modality", Search{Modality: "COMPUTEDTOMOGRAPHY"}},
		{"modality", Search{Modality: "ĆT"}},
		{"modality", Search{Modality: "A,B,C,D,E,F,G,H,I,J,K,L,M,N,O,P,Q,R,S,T,U"}},
		{"patient_id", Search{PatientID: "47*"}},
		{"patient_id", Search{PatientID: "47\x7f11"}},
		{"patient_id", Search{PatientID: "47\u008511"}},
		{"patient_id", Search{PatientID: `A\B`}},
		{"patient_id", Search{PatientID: long(65)}},
		{"patient_id", Search{PatientID: "\xff"}},
		{"accession_number", Search{AccessionNumber: "A?"}},
		{"accession_number", Search{AccessionNumber: long(65)}},
		{"patient_birth_date_to", Search{PatientBirthDateFrom: "19700131", PatientBirthDateTo: "19700101"}},
		{"patient_birth_date_from", Search{PatientBirthDateFrom: "19700230"}},
		{"study_time_from", Search{StudyTimeFrom: "2500"}},
		{"study_time_from", Search{StudyTimeFrom: "8"}},
		{"study_time_to", Search{StudyTimeTo: "0860"}},
		{"study_time_to", Search{StudyTimeTo: "083059.5"}},
		{"study_time_to", Search{StudyTimeFrom: "0900", StudyTimeTo: "0859"}},
		{"study_description", Search{StudyDescription: "* ?"}},
		{"study_description", Search{StudyDescription: `A\B`}},
		{"study_description", Search{StudyDescription: long(65)}},
		{"study_instance_uid", Search{StudyInstanceUID: "1.2.*"}},
		{"patient_name", Search{PatientName: "*"}},
		{"patient_name", Search{PatientName: "^^"}},
		{"patient_name", Search{PatientName: ", "}},
		{"patient_name", Search{PatientName: "??*", StudyDateFrom: "20240101"}},
		{"patient_name", Search{PatientName: "Doe, Jane, Dr."}},
		{"patient_name", Search{PatientName: "a=b=c=d"}},
		{"patient_name", Search{PatientName: "a^b^c^d^e^f"}},
		{"patient_name", Search{PatientName: long(65)}},
		{"patient_name", Search{PatientName: "Doe\nJane"}},
		{"patient_name", Search{PatientName: `Doe\Jane`}},
	} {
		_, err := tt.s.tidied()
		var invalid *refusal.Invalid
		require.ErrorAs(t, err, &invalid, "%+v", tt.s)
		require.Equal(t, tt.field, invalid.Field, "%+v", tt.s)
	}
	for _, tt := range []struct{ s, want Search }{
		{Search{PatientID: " P 1 "}, Search{PatientID: "P 1"}},
		{Search{PatientID: long(64)}, Search{PatientID: long(64)}},
		{Search{PatientName: "Mu\u0308ller"}, Search{PatientName: "Müller"}},
		{Search{PatientName: "Doe^Jane^^Dr.^B.Sc., M.Sc."}, Search{PatientName: "Doe^Jane^^Dr.^B.Sc., M.Sc."}},
		{Search{StudyTimeFrom: "08", StudyTimeTo: "1630"}, Search{StudyTimeFrom: "080000", StudyTimeTo: "163059"}},
		{Search{StudyDescription: " CT* "}, Search{StudyDescription: "CT*"}},
		{Search{Modality: "ct, mr,,CT"}, Search{Modality: "CT,MR"}},
		{Search{StudyDateFrom: "20240229", StudyDateTo: "20240229"}, Search{StudyDateFrom: "20240229", StudyDateTo: "20240229"}},
		{Search{AccessionNumber: "A-0123456789-0123456789"}, Search{AccessionNumber: "A-0123456789-0123456789"}},
	} {
		got, err := tt.s.tidied()
		require.NoError(t, err, "%+v", tt.s)
		require.Equal(t, tt.want, got)
	}
}
