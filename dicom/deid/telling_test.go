// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// known is an instance of a patient of whom much is known.
func known() *stream.DataSet {
	d := sample()
	d.Set(dict.PatientID, "0081500")
	d.Set(dict.PatientName, "Müller-Groß^Zoë^Anna")
	d.Set(dict.PatientBirthDate, "19560412")
	d.Set(dict.AccessionNumber, "ACC-77123")
	d.Set(dict.OtherPatientIDs, `KIS99812\R-5531`)
	d.Set(dict.StudyID, "1")
	var other stream.DataSet
	other.Set(dict.PatientID, "FOREIGN-312")
	d.SetSequence(dict.OtherPatientIDsSequence, &other)
	return d
}

func TestTelling(t *testing.T) {
	for _, profile := range []string{DefaultProfile, rules.BasicBase, rules.AditBase} {
		p, _ := BuiltinProfile(profile)
		judge := func(sub Subject) error {
			sub.Patient = PatientIdentity("0081500", "HOSP", "")
			s, err := p.Session(sub)
			require.NoError(t, err)
			for range 2 { // the second is remembered, and the first a judgement of its own
				_, _, err = deidentify(
					t, s, encode(t, known(), dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
				)
			}
			return err
		}
		for _, pseudonym := range []string{
			"0081500", "81500", "P-81500", "X0081500", "00-81-500", "MRN 81500-A",
			"Müller-Groß", "mueller", "MULLER", "GROSS-MÜLLER", "Zoe", "zoe muller",
			"ZOEMUELLERGROSS", "Muller Gross, Zoë", "S1_Mueller_01", "XMUELLERX", "Anna-1",
			"19560412", "1956-04-12", "12.04.1956", "P120456",
			"12 Apr 1956", "S-12APR56", "560412", "B19560412", "04/12/1956",
			"ACC-77123", "acc77123", "S-ACC77123", "KIS99812", "r5531", "R 5531", "FOREIGN-312", "foreign312",
			"1.2.3.1",
		} {
			sub := subject()
			sub.Pseudonym = pseudonym
			unsafe, ok := errors.AsType[*UnsafeError](judge(sub))
			require.True(t, ok, pseudonym)
			require.Equal(t, Telling, unsafe.Reason, pseudonym)
			require.NotContains(t, unsafe.Error(), pseudonym)
		}
		for _, trial := range []string{
			"0081500", "Trial of 81500", "Zoë Müller-Groß", "Study 12.04.1956", "Müller-Groß Zoe 2", "ACC-77123",
		} {
			for _, sub := range []Subject{{TrialID: trial}, {TrialID: "T-1", TrialName: trial}} {
				full := subject()
				full.TrialID, full.TrialName = sub.TrialID, sub.TrialName
				unsafe, ok := errors.AsType[*UnsafeError](judge(full))
				require.True(t, ok, trial)
				require.Equal(t, Telling, unsafe.Reason, trial)
			}
		}
		for _, pseudonym := range []string{
			"SUBJ-001", "P-1", "1", "P-815", "A-99123", "S-1956",
			"MUL-01", "1956-04", "Annabel", "LUNG-0412", "P 12 APR",
		} {
			sub := subject()
			sub.Pseudonym, sub.TrialID, sub.TrialName = pseudonym, "T-1", "Gross tumour volumes, by Anna's criteria"
			require.NoError(t, judge(sub), pseudonym)
		}
	}
	// A constant of the profile's own.
	s, err := profileOf(
		t, `overrides: [{keyword: ClinicalTrialSiteID, action: replace, with: "0081500"}]`,
	).Session(subject())
	require.NoError(t, err)
	d := known()
	d.Set(dict.PatientID, "P-4711")
	d.Set(dict.OtherPatientIDs, "0081500")
	_, _, err = deidentify(t, s, encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
	require.ErrorContains(t, err, "override 1 of the profile")
}

// TestTellingDigits: a pseudonym whose digits are those of a number of the patient is that number, whatever letters and
// signs are around.
func TestTellingDigits(t *testing.T) {
	for id, pseudonyms := range map[string][]string{
		"9988776":       {"X9988776", "X-99.88.776", "9988776-A", "S009988776"},
		"P9988776":      {"X9988776", "9988776", "Q-9988776-2", "x 99 88 776"},
		"PL 3391177 A":  {"PR3391177", "3391177", "PL-3391177-B", "P.3391177"},
		"CN.5512.0098":  {"S55120098", "5512-0098", "x5512y0098"},
		"2019-0012345":  {"S-12345", "X0012345", "20190012345"},
		"KIS4711":       {"S-4711", "x04711"},
		"000815A":       {},
		"A1-2019-7":     {"S120197"},
		"H-77123/04-51": {"K77123"},
	} {
		ids := Identifiers{}
		ids.addNumber(id, dict.PatientID)
		for _, pseudonym := range pseudonyms {
			_, tells := ids.In(pseudonym, false)
			require.True(t, tells, "%s for %s", pseudonym, id)
		}
		for _, pseudonym := range []string{
			"S-2019", "SUBJ-815", "P-99887", "A-33911770", "S-98", "S-5512", "12", "T-45", "P-1", "X471", "S47110",
		} {
			_, tells := ids.In(pseudonym, false)
			require.False(t, tells, "%s for %s", pseudonym, id)
		}
	}
	ids := Identifiers{}
	ids.addNumber("P9988776", dict.PatientID)
	ids.addNumber("Q4711", dict.AccessionNumber)
	_, tells := ids.In("Trial NCT9988776", true)
	require.True(t, tells)
	_, tells = ids.In("Trial 4711", true)
	require.False(t, tells, "what a trial is called is one text for many patients")
	_, tells = ids.In("AB4711CDEFGHIJ", false)
	require.False(t, tells, "what a key gives is no choice")
}

// TestTellingToken: what a key gives is no choice: letters and digits that lie in it by chance tell nothing.
func TestTellingToken(t *testing.T) {
	ids := Identifiers{}
	ids.addName("Doe^Bob", dict.PatientName)
	ids.addNumber("4711", dict.PatientID)
	for _, token := range []string{"1DOE7QX8R2LMKA", "AB4711CDEFGHIJ", "BOB1BOB1BOB1BO"} {
		_, tells := ids.In(token, false)
		require.False(t, tells, token)
		_, tells = ids.In(token[:13]+"-", false)
		require.True(t, tells, token)
	}
	_, tells := ids.In("XXXDOEBOBXXX12", false)
	require.True(t, tells)
}

// TestPseudonymCantBeSeen: blanks and signs that nobody sees make two pseudonyms that look alike.
func TestPseudonymCantBeSeen(t *testing.T) {
	for _, p := range []string{
		"\x00NO", " NO", "NO ", "\u00a0NO", "N\u200bO", "NO\u200f", "N\u2028O", "\ufeffNO", `\0NO`, "\tNO", "N\u00adO",
	} {
		require.Error(t, CheckPseudonym(p), "%q", p)
	}
	require.NoError(t, CheckPseudonym("Proband 17 (é, 山)"))
}

// TestSeveralPatients: what says whose an instance is has one value, or the instance isn't sent; and what instances say
// of the issuer is compared.
func TestSeveralPatients(t *testing.T) {
	for tag, value := range map[dict.Tag]string{
		dict.PatientID: `P-4711\P-4712`, dict.StudyInstanceUID: `1.2.3.1\1.2.3.2`,
	} {
		d := sample()
		d.Set(tag, value)
		_, _, err := deidentify(
			t, session(t, DefaultProfile), encode(t, d, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
		)
		require.ErrorContains(t, err, "several values")
	}
	for says, list := range map[string][]string{
		"": {"A", "A"}, "name different issuers": {"A", "B"},
		"others don't": {"A", ""}, "and others don't": {"", "", "A"},
	} {
		s := session(t, DefaultProfile)
		for _, issuer := range list {
			d := sample()
			d.Set(dict.IssuerOfPatientID, issuer)
			through(t, s, d)
		}
		require.Contains(t, s.IssuersDiffer(), says)
		require.Equal(t, says == "", s.IssuersDiffer() == "")
	}
}
