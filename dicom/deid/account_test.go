// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
)

// TestAccount: what is said to have been done by attribute and rule is what is counted by action, for every instance,
// and is shared among alike.
func TestAccount(t *testing.T) {
	for _, name := range deid.BuiltinProfiles() {
		p, _ := deid.BuiltinProfile(name)
		sessions := map[string]*deid.Session{}
		for _, x := range seededCorpus(t) {
			s := sessions[x.person.id]
			if s == nil {
				var err error
				s, err = p.Session(deid.Subject{
					Key:       proofKey(3).OfPatient(deid.PatientIdentity(x.person.id, "", "")),
					Patient:   deid.PatientIdentity(x.person.id, "", ""),
					Pseudonym: x.person.pseudonym(), Account: true,
				})
				require.NoError(t, err)
				sessions[x.person.id] = s
			}
			_, report, err := rewrite(s, x.in, x.syntax)
			require.NoError(t, err)
			sums := map[deid.Action]int{}
			institution := false
			for _, d := range report.Done {
				sums[d.Action] += d.N
				require.NotEmpty(t, d.Rule, "%s", d.Tag)
				institution = institution || d.Tag == dict.InstitutionName && d.Action != deid.Keep
			}
			for a := deid.Keep; a <= deid.Assign; a++ {
				require.Equal(t, report.Count(a), sums[a], "%s of %s, %s", x.kind, x.person.id, a)
			}
			require.True(t, institution)
			_, again, err := rewrite(s, x.in, x.syntax)
			require.NoError(t, err)
			require.Same(t, &report.Done[0], &again.Done[0])
		}
	}
	b, err := json.Marshal(deid.Done{Tag: dict.InstitutionName, Action: deid.Empty, Rule: "Table E.1-1: X/Z/D", N: 2})
	require.NoError(t, err)
	require.JSONEq(t, `{"tag":"(0008,0080)","action":"empty","rule":"Table E.1-1: X/Z/D","n":2}`, string(b))
}
