// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/projects"
)

// TestRealIDsAsPseudonyms: a Patient ID of one row is no pseudonym of another, as it is where columns were swapped.
func TestRealIDsAsPseudonyms(t *testing.T) {
	for table, faulty := range map[string][]int{
		"PatientID,Pseudonym\nID-1,P-1\nID-2,P-2\n":             nil,
		"PatientID,Pseudonym\nID-1,ID-2\nID-2,ID-1\n":           {2, 3},
		"PatientID,Pseudonym\nID-1,P-1\nID-2,id-1\n":            {3},
		"PatientID,Pseudonym\nID-1,P-1\nID-2,i.d 1\n":           {3},
		"PatientID,Pseudonym\nÄB-1,P-1\nID-2,ab_1\n":            {3},
		"PatientID,Pseudonym\nID-1,P-1\nP-2,ID-2\nID-2,P-9\n":   {3},
		"Pseudonym,PatientID\nID-3,ID-1\nP-3,ID-3\nP-4,ID-4\n":  {2},
		"PatientID,Pseudonym\nID-100,SUBJ-ID-100\nID-200,P-2\n": {2},
	} {
		rows, faults, err := projects.ReadLinkage([]byte(table))
		require.NoError(t, err)
		var at []int
		for _, f := range faults.Faults {
			at = append(at, f.Row)
			require.Equal(t, "Pseudonym", f.Column)
			require.NotContains(t, f.Reason, "ID-")
		}
		require.ElementsMatch(t, faulty, at, table)
		for _, r := range rows {
			require.NotContains(t, faulty, r.Row)
		}
	}
	studies := func(list ...Study) Transfer { return Transfer{Studies: list} }
	require.NoError(t, studies(
		Study{PatientID: "ID-1", Pseudonym: "P-1"}, Study{PatientID: "ID-2", Pseudonym: "P-2"},
	).checkPseudonyms())
	require.ErrorContains(t, studies(
		Study{PatientID: "ID-1", Pseudonym: "P-1"}, Study{PatientID: "ID-2", Pseudonym: "ID-1"},
	).checkPseudonyms(), "swapped")
	require.ErrorContains(t, studies(
		Study{PatientID: "ID-1", Pseudonym: "P-1"}, Study{PatientID: "ID-2", Pseudonym: "id_1"},
	).checkPseudonyms(), "swapped")
	require.ErrorContains(t, studies(
		Study{PatientID: "ID-1", Pseudonym: "ID-2"}, Study{PatientID: "ID-2", Pseudonym: "ID-1"},
	).checkPseudonyms(), "swapped")
}
