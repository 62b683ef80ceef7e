// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"encoding/hex"
	"encoding/json"
	"math/big"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// derived is what testdata/keys.json says of one patient.
type derived struct {
	ProjectKey       string `json:"projectKey"`
	PatientKey       string `json:"patientKey"`
	PatientID        string `json:"patientID"`
	Issuer           string `json:"issuer"`
	StudyInstanceUID string `json:"studyInstanceUID"`
	Identity         string `json:"identity"`
	Pseudonym        string `json:"pseudonym"`
	DateOffset       int    `json:"dateOffset"`
	UIDs             []struct {
		Generation uint32 `json:"generation"`
		UID        string `json:"uid"`
		Becomes    string `json:"becomes"`
	} `json:"uids"`
	Values []struct {
		Text    string `json:"text"`
		Becomes string `json:"becomes"`
	} `json:"values"`
}

// TestDerivations holds values that must never change: instances that were sent carry them. Another program computed
// them.
func TestDerivations(t *testing.T) {
	text, err := os.ReadFile("testdata/keys.json")
	require.NoError(t, err)
	var all struct {
		Patients []derived `json:"patients"`
		Uploads  []derived `json:"uploads"`
	}
	require.NoError(t, json.Unmarshal(text, &all))
	require.Len(t, all.Patients, 14)
	require.Len(t, all.Uploads, 8)
	key := func(text string) (k [32]byte) {
		n, err := hex.Decode(k[:], []byte(text))
		require.NoError(t, err)
		require.Equal(t, len(k), n)
		return k
	}
	for _, v := range all.Patients {
		project, patient := Key(key(v.ProjectKey)), PatientIdentity(v.PatientID, v.Issuer, v.StudyInstanceUID)
		require.Equal(t, Identity(v.Identity), patient)
		require.Equal(t, v.Pseudonym, project.Pseudonym(patient))
		require.Equal(t, PatientKey(key(v.PatientKey)), project.OfPatient(patient), v.Identity)
		holds(t, v)
	}
	for _, v := range all.Uploads {
		require.Equal(t, PatientKey(key(v.PatientKey)), Key(key(v.ProjectKey)).OfUpload(v.Pseudonym), v.Pseudonym)
		holds(t, v)
	}
}

// holds tests what derives from a patient's key.
func holds(t *testing.T, v derived) {
	var key PatientKey
	_, err := hex.Decode(key[:], []byte(v.PatientKey))
	require.NoError(t, err)
	d := newDeriver(key)
	require.Equal(t, v.DateOffset, d.dateOffset())
	require.Len(t, v.UIDs, 12)
	for _, u := range v.UIDs {
		require.Equal(t, u.Becomes, d.uid(u.Generation, []byte(u.UID)), u)
		p, _ := BuiltinProfile(DefaultProfile)
		s, err := p.Session(Subject{Key: key, Generation: u.Generation, Patient: "P\x1f", Pseudonym: "P"})
		require.NoError(t, err)
		require.Equal(t, u.Becomes, s.MapUID(u.UID+"\x00"))
		require.Equal(t, v.DateOffset, s.offset)
	}
	require.Len(t, v.Values, 3)
	for _, x := range v.Values {
		require.Equal(t, x.Becomes, string(d.appendToken(nil, "value", []byte(x.Text))))
	}
}

// TestPatientsApart: nothing that derives from one patient's key is another's, and what the identity is, a pseudonym
// isn't.
func TestPatientsApart(t *testing.T) {
	one, other := PatientIdentity("P-1", "", ""), PatientIdentity("P-2", "", "")
	keys := map[PatientKey]bool{
		testKey.OfPatient(one): true, testKey.OfPatient(other): true,
		testKey.OfUpload("P-1"): true, testKey.OfUpload(string(one)): true,
		Key{9}.OfPatient(one): true, Key{9}.OfUpload("P-1"): true, PatientKey(testKey): true,
	}
	require.Len(t, keys, 7)
	uids, values := map[string]bool{}, map[string]bool{}
	for k := range keys {
		d := newDeriver(k)
		uids[d.uid(0, []byte("1.2.3"))] = true
		values[string(d.appendToken(nil, "value", []byte("A-99")))] = true
	}
	require.Len(t, uids, 7)
	require.Len(t, values, 7)
}

func TestUID(t *testing.T) {
	d := newDeriver(testKey)
	for _, original := range []string{"1.2", "1.2.3", strings.Repeat("1.2", 21)} {
		uid := d.uid(0, []byte(original))
		n, ok := new(big.Int).SetString(strings.TrimPrefix(uid, "2.25."), 10)
		require.True(t, ok)
		b := n.FillBytes(make([]byte, 16))
		require.EqualValues(t, 8, b[6]>>4, "version")
		require.EqualValues(t, 2, b[8]>>6, "variant")
		require.LessOrEqual(t, len(uid), 44)
	}
}

func TestDateOffset(t *testing.T) {
	seen := map[int]bool{}
	for i := range 5000 {
		o := newDeriver(testKey.OfPatient(Identity(strings.Repeat("x", i%50) + string(rune('A'+i/50))))).dateOffset()
		require.GreaterOrEqual(t, o, -730)
		require.LessOrEqual(t, o, -62)
		seen[o] = true
	}
	require.Greater(t, len(seen), 600)
}

func TestPatientIdentity(t *testing.T) {
	require.Equal(t, PatientIdentity(" 7 ", "A", "1.2"), PatientIdentity("7\x00", "A", "1.3"))
	require.NotEqual(t, PatientIdentity("7", "A", ""), PatientIdentity("7", "B", ""))
	require.NotEqual(t, PatientIdentity("7A", "", ""), PatientIdentity("7", "A", ""))
	require.NotEqual(t, PatientIdentity("", "A", "1.2"), PatientIdentity("", "A", "1.3"))
	require.Equal(t, PatientIdentity("", "A", "1.2"), PatientIdentity(" ", "B", "1.2"))
}

func TestCheckPseudonym(t *testing.T) {
	for _, good := range []string{"S1", "Müller 7", strings.Repeat("ü", 64)} {
		require.NoError(t, CheckPseudonym(good), good)
	}
	for _, bad := range []string{"", " S1", "A^B", "A=B", `A\B`, "A*", "A?", "A\nB", strings.Repeat("x", 65), "\xff"} {
		require.Error(t, CheckPseudonym(bad), bad)
	}
}

// TestPseudonymHides: a pseudonym is not what it is to hide.
func TestPseudonymHides(t *testing.T) {
	for _, p := range []string{"PAT-7", "pat-7", " PAT-7 "} {
		require.Error(t, CheckPseudonymOf("PAT-7 ", p), p)
	}
	require.NoError(t, CheckPseudonymOf("PAT-7", "PAT-77"))
	require.NoError(t, CheckPseudonymOf("", "P"))
}
