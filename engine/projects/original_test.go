// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/people"
)

// TestOriginalPseudonym holds what compute_pseudonym of the original gives (adit/core/utils/pseudonymizer.py, length
// 14), computed in Python.
func TestOriginalPseudonym(t *testing.T) {
	for _, c := range []struct{ salt, patientID, want string }{
		{strings.Repeat("0", 64), "PHANTOM-001", "56TZ1N1471EEYX"},
		{"5f8a1c", "4711", "AQKW9615Q9411M"},
		{strings.Repeat("a", 64), "Müller-7", "I1HKP8NDK4OQ46"},
		{"salt", "", "LTKBT65FGOK7XW"},
	} {
		require.Equal(t, c.want, originalPseudonym(c.salt, c.patientID))
	}
}

func TestDerivedPseudonym(t *testing.T) {
	e := &Service{Base: &base.Base{People: people.New(nil, people.NewKey())}}
	key, patient := deid.Key{1}, deid.PatientIdentity("4711", "", "")
	sealed := e.sealSalt("5f8a1c")
	for _, c := range []struct {
		sealed          []byte
		patientID, want string
	}{
		{nil, "4711", key.Pseudonym(patient)},
		{sealed, "4711", "AQKW9615Q9411M"},
		{sealed, "4711 ", "AQKW9615Q9411M"},
		{sealed, "", key.Pseudonym(patient)}, // the original would give everybody without an ID the same
	} {
		got, err := e.DerivedPseudonym(c.sealed, key, patient, c.patientID)
		require.NoError(t, err)
		require.Equal(t, c.want, got)
	}
	_, err := e.DerivedPseudonym([]byte("another server key's"), key, patient, "4711")
	require.ErrorContains(t, err, "can't be decrypted")
}
