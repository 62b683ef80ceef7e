// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/fault"
)

// told returns the faults as a person reads them.
func told(list []Fault) []string {
	var out []string
	for _, f := range list {
		out = append(out, fmt.Sprintf("%d %s %s: %s", f.Row, f.Cell, f.Kind, f.Sentence))
	}
	return out
}

// TestQueryRows: what a row must have, and how its values are passed on.
func TestQueryRows(t *testing.T) {
	const file = "PatientID,PatientName,PatientBirthDate,AccessionNumber,From,Until,Modality,StudyDescription,SeriesDescription,SeriesNumber,Pseudonym,Site\n" +
		"1001,,,,2019-01-01,2019-12-31,\"ct,MR\",*head*,t2?,\"4, 5\",SUBJ-1,north\n" + // 2
		",\"Apple, Annie\",1945-04-27,,,,CT,,,,,\n" +
		",,,0012,,,,,,,,south\n" +
		",\"Apple, Annie\",,,,,CT,,,,,\n" + // 5
		",,1945-04-27,,,,CT,,,,,\n" +
		",,,,,,CT,,,,,\n" +
		"1002,,,,,,,,,,,\n" +
		"1003,,,,2019-12-31,2019-01-01,CT,,,,,\n" +
		"10*4,,,,2019-13-01,,,,,,,\n" + // 10
		"1005,,,,,,CT,,,,ID 1005,\n" +
		"1001,,,,2019-01-01,2019-12-31,\"CT,MR\",*head*,t2?,\"4,5\",SUBJ-1,south\n"
	q := queriesOf(t, []byte(file), Options{})
	require.Equal(t, []string{
		"5 C5 missing: PatientBirthDate is missing: a name tells who is meant only with the date of birth.",
		"6 B6 missing: PatientName is missing: a date of birth tells who is meant only with the name.",
		"7 A7 missing: The row does not say which patient or study is meant. " + identify,
		"8 G8 missing: Modality is missing. It is needed unless AccessionNumber is given.",
		"9 F9 order: Until (2019-01-01) is before From (2019-12-31).",
		"10 A10 character: '*' at position 3 is not allowed here: only descriptions can have wildcards.",
		"10 E10 date: There is no such day in the calendar.",
		"10 G10 missing: Modality is missing. It is needed unless AccessionNumber is given.",
		"11 K11 pseudonym: The pseudonym is or contains the patient's own ID, so it would hide nothing; choose another.",
	}, told(q.Faults))
	require.Equal(t, []QueryRow{
		{
			Row: 2, PatientID: "1001", From: "20190101", Until: "20191231", Modalities: []string{"CT", "MR"},
			StudyDescription: "*head*", SeriesDescription: "t2?", SeriesNumbers: []string{"4", "5"}, Pseudonym: "SUBJ-1",
			Extra: []string{"north"},
		},
		{Row: 3, PatientName: "Apple^Annie", BirthDate: "19450427", Modalities: []string{"CT"}, Extra: []string{""}},
		{Row: 4, AccessionNumber: "0012", Extra: []string{"south"}},
	}, q.Rows[:3])
	require.Equal(t, []string{"12  same_row: It asks for the same as row 2."}, told(q.Hints))
	require.Equal(t, Preview{
		Encoding: "UTF-8", Delimiter: ",", Columns: q.Preview.Columns, Extra: []string{"Site"}, Rows: 11, FaultyRows: 7, Tasks: 4,
		Patients: 2, Faults: 9, Hints: 1,
		Kinds:     []KindCount{{KindMissing, 5}, {KindCharacter, 1}, {KindDate, 1}, {KindOrder, 1}, {KindPseudonym, 1}},
		HintKinds: []KindCount{{HintSameRow, 1}},
	}, q.Preview)
	require.Equal(t, Fault{
		Row: 10, Column: "PatientID", Cell: "A10", Text: "10*4", Kind: KindCharacter, Sentence: q.Faults[5].Sentence,
	}, q.Faults[5])
}

// TestLeadingZeros: a short ID is a hint, never a fault.
func TestLeadingZeros(t *testing.T) {
	q := queriesOf(t, []byte("PatientID,Modality\n0062115936,CT\n0062115937,CT\n4711,CT\nA1,CT\n0062115938,CT\n"), Options{})
	require.Empty(t, q.Faults)
	require.Equal(t, []string{
		"4 A4 leading_zeros: This ID has 4 digits, and most others have 10. If zeros before it were lost, format the column " +
			"as text, and write the ID again.",
	}, told(q.Hints))
	for _, ids := range []string{"4711 0062115936", "1 22 333 4444", "AB12 4711 AB13"} {
		file := "PatientID,Modality\n" + strings.ReplaceAll(ids, " ", ",CT\n") + ",CT\n"
		require.Empty(t, queriesOf(t, []byte(file), Options{}).Hints, ids)
	}
}

// TestTransferRows: the rows of a study are one task.
func TestTransferRows(t *testing.T) {
	const file = "Site,PatientID,SeriesInstanceUID,StudyInstanceUID,Pseudonym\n" +
		"a,P1,1.2.1,1.2,S1\n" +
		"b,P2,,1.3,S2\n" +
		"c,P1,1.2.2,1.2,S1\n" +
		"d,P1,1.2.1,1.2,S1\n" +
		"e,P2,1.3.1,1.3,S2\n" +
		"f,P1,1.4.1,1.4,S1\n"
	tr := transfersOf(t, []byte(file), true)
	require.Empty(t, tr.Faults)
	require.Equal(t, []string{"Site"}, tr.Extra)
	require.Equal(t, []TransferTask{
		{
			PatientID: "P1", StudyInstanceUID: "1.2", Series: []string{"1.2.1", "1.2.2"}, Pseudonym: "S1",
			Rows: []TransferRow{
				{2, "1.2.1", []string{"a"}, 2}, {4, "1.2.2", []string{"c"}, 4}, {5, "1.2.1", []string{"d"}, 5},
			},
		},
		{
			PatientID: "P2", StudyInstanceUID: "1.3", Pseudonym: "S2",
			Rows: []TransferRow{{3, "", []string{"b"}, 3}, {6, "1.3.1", []string{"e"}, 6}},
		},
		{
			PatientID: "P1", StudyInstanceUID: "1.4", Series: []string{"1.4.1"}, Pseudonym: "S1",
			Rows: []TransferRow{{7, "1.4.1", []string{"f"}, 7}},
		},
	}, tr.Tasks)
	require.Equal(t, []int{6, 3, 3, 2, 0}, []int{
		tr.Preview.Rows, tr.Preview.Tasks, tr.Preview.MergedRows, tr.Preview.Patients, tr.Preview.FaultyRows,
	})
}

// TestTransferFaults: within rows and across them, all at once.
func TestTransferFaults(t *testing.T) {
	const head = "PatientID,StudyInstanceUID,SeriesInstanceUID,Pseudonym\n"
	const file = head +
		"P1,1.2,,S1\n" +
		",1.3,,S2\n" + // 3
		"P3,,,S3\n" +
		"P4,1.4,,\n" + // 5
		"P5,1.2,,S5\n" +
		"P1,1.5,,S6\n" +
		"P7,1.7,,S1\n" +
		"P8,1.8,,P1\n" + // 9
		"P9,1.9,,A^B\n" +
		"P10023,1.10,,XP10023\n" + // 11
		"P11,1.2.84O,1.2.,S11\n" +
		"P11,1.11,,S12\n" + // 13
		"P11,1.11,,S12\n"
	tr := transfersOf(t, []byte(file), true)
	require.Equal(t, []string{
		"3 A3 missing: PatientID is missing.",
		"4 B4 missing: StudyInstanceUID is missing.",
		"5 D5 missing: Pseudonym is missing. You may transfer under pseudonyms only.",
		"6 A6 study_patients: The study has the Patient ID P1 in row 2.",
		"7 D7 patient_pseudonyms: P1 has the pseudonym S1 in row 2.",
		"8 D8 pseudonym_patients: P1 in row 2 has this pseudonym, too.",
		"9 D9 pseudonym_is_id: It is the Patient ID of row 2 and would reveal an identity. Check that the columns are not swapped, " +
			"or choose another.",
		"10 D10 pseudonym: The pseudonym contains one of the characters ^ = \\ * ?, which have a special meaning in DICOM; choose another.",
		"11 D11 pseudonym: The pseudonym is or contains the patient's own ID, so it would hide nothing; choose another.",
		`12 B12 uid: This is no UID: the "O" at position 7 is a letter, not a zero.`,
		"12 C12 uid: This is no UID: it begins or ends with a dot.",
		"13 D13 patient_pseudonyms: P11 has the pseudonym S11 in row 12.",
		"14 D14 patient_pseudonyms: P11 has the pseudonym S11 in row 12.",
	}, told(tr.Faults))
	require.Equal(t, 12, tr.Preview.FaultyRows)
	require.Len(t, tr.Tasks, 1)

	tr = transfersOf(t, []byte(head+"P1,1.2,,\nP1,1.3,,S1\nP2,1.4,,\n"), false)
	require.Equal(t, []string{"3 D3 patient_pseudonyms: P1 has no pseudonym in row 2."}, told(tr.Faults))

	tr = transfersOf(t, []byte("PatientID,StudyInstanceUID\nP1,1.2\nP2,1.3\n"), true)
	require.Equal(t, []string{
		"1  column: The file has no column Pseudonym. You may transfer under pseudonyms only.",
	}, told(tr.Faults))
	require.Empty(t, tr.Tasks)
	require.Empty(t, transfersOf(t, []byte("PatientID,StudyInstanceUID\nP1,1.2\n"), false).Faults)
	require.Equal(t, []string{
		"1  column: The file has no column StudyInstanceUID. Each row needs it.",
	}, told(transfersOf(t, []byte("PatientID,Pseudonym\nP1,S1\n"), true).Faults))
}

// TestUIDFaults names what is wrong by its position.
func TestUIDFaults(t *testing.T) {
	for uid, want := range map[string]string{
		"1.2.3":                        "",
		"1.2.0003":                     "", // some devices write them
		"1.2.840.113619.2.55.3.6O4688": `the "O" at position 24 is a letter, not a zero`,
		"1.2.\u041e":                   `at position 5 is a letter, not a zero`,
		"1.l":                          `the "l" at position 3 is a letter, not a one`,
		"1,2.3":                        "there is a comma at position 2",
		"1.2\u200b.3":                  "there is an invisible character (U+200B) at position 4",
		"1.2\u00ad3":                   "there is an invisible character (U+00AD) at position 4",
		"1.2\n.3":                      "there is an invisible character (U+000A) at position 4",
		"1.2 .3":                       "there is a blank (U+0020) at position 4",
		"1.2\u00a0.3":                  "there is a blank (U+00A0) at position 4",
		"1.2-3":                        `it has "-" at position 4`,
		"1..2":                         "there are two dots in a row at position 2",
		".1":                           "begins or ends with a dot",
		"1." + strings.Repeat("2", 70): "it has 72 characters",
		"1,2E+15":                      "Excel has rewritten this number",
	} {
		require.Equal(t, want == "", fault.ValidUID(uid))
		require.Contains(t, uidFault(uid), want)
		require.Equal(t, want == "", uidFault(uid) == "")
	}
}

// TestNames: people's form and DICOM's lose nothing on the way to and fro.
func TestNames(t *testing.T) {
	for dicom, people := range map[string]string{
		"Apple^Annie":        "Apple, Annie",
		"Apple^Annie^^Dr":    "Apple, Annie, , Dr",
		"Apple":              "Apple",
		"^Annie":             ", Annie",
		"Apple, Jr^Annie":    "Apple, Jr^Annie",
		"Apple,Annie":        "Apple,Annie",
		"Yamada^Tarou=山田^太郎": "Yamada^Tarou=山田^太郎",
	} {
		require.Equal(t, people, NameForPeople(dicom))
		if dicom != "Apple,Annie" { // without any ^ there is no way to say it
			require.Equal(t, dicom, NameFromPeople(people))
		}
	}
	require.Equal(t, "Apple, Annie", NameForPeople("Apple^Annie^^^"))
}
