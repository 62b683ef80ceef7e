// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
)

func TestReadLinkage(t *testing.T) {
	const original = "partition_key,pseudonym,patient_id,accession_number,study_instance_uid,series_instance_uid\r\n" +
		"20240101,AAAAAAAAAAAAAA,4711,A1,1.2.3,1.2.3.1\r\n20240101,AAAAAAAAAAAAAA,4711,A1,1.2.3,1.2.3.2\r\n20240102,BBBBBBBBBBBBBB,0815,A2,1.2.4,1.2.4.1\r\n"
	for name, c := range map[string]struct {
		text   string
		want   []Link
		faults []RowFault
		err    string
	}{
		"plain":             {"PatientID,Pseudonym\n4711,P-1\n\n0815,P-2\n", []Link{{PatientID: "4711", Pseudonym: "P-1", Issuer: "here"}, {PatientID: "0815", Pseudonym: "P-2", Issuer: "here"}}, nil, ""},
		"semicolons, BOM":   {"\xef\xbb\xbfPseudonym;PatientID;Issuer;Note\nP-1;4711;there;x\n", []Link{{PatientID: "4711", Pseudonym: "P-1", Issuer: "there"}}, nil, ""},
		"formulas restored": {"Pseudonym,PatientID\n'-1,'=1+1\n'@x,''quoted\n", []Link{{PatientID: "=1+1", Pseudonym: "-1", Issuer: "here"}, {PatientID: "'quoted", Pseudonym: "@x", Issuer: "here"}}, nil, ""},
		"without an ID":     {"Pseudonym,PatientID,StudyInstanceUID\nP-1,,1.2.3\n", []Link{{Pseudonym: "P-1", StudyInstanceUID: "1.2.3"}}, nil, ""},
		"original":          {original, []Link{{PatientID: "4711", Pseudonym: "AAAAAAAAAAAAAA", Issuer: "here"}, {PatientID: "0815", Pseudonym: "BBBBBBBBBBBBBB", Issuer: "here"}}, nil, ""},
		"all faults": {
			"Pseudonym,PatientID,TrialProtocolID\nP-1,4711,\nP-1,0815,\nP-2,4711,\nA^B,1,\n,2,\nP-3,,\nP-4,a\\b,\nP-1,9,T\n",
			[]Link{{PatientID: "4711", Pseudonym: "P-1", Issuer: "here"}, {PatientID: "9", Pseudonym: "P-1", TrialProtocolID: "T", Issuer: "here"}},
			[]RowFault{{3, "Pseudonym", ""}, {4, "PatientID", ""}, {5, "Pseudonym", ""}, {6, "Pseudonym", ""}, {7, "PatientID", ""}, {8, "PatientID", ""}},
			"",
		},
		"hidden": {
			"Pseudonym,PatientID\nP-1,a\u202eb\nP-2,\u200b1\nP\ufeff3,1\nP-4,<U+202E>2\n",
			[]Link{{PatientID: "\u202e2", Pseudonym: "P-4", Issuer: "here"}},
			[]RowFault{{2, "PatientID", ""}, {3, "PatientID", ""}, {4, "Pseudonym", ""}},
			"",
		},
		"quotation":      {"Pseudonym,PatientID\nP\"1,4711\n", nil, []RowFault{{2, "", ""}}, ""},
		"no column":      {"Pseudonym,Patient\nP-1,4711\n", nil, nil, `no column "PatientID"`},
		"column twice":   {"Pseudonym,PatientID,patient_id\n", nil, nil, "twice"},
		"empty":          {"", nil, nil, "empty"},
		"another coding": {"Pseudonym,PatientID\nP-1,M\xfcller\n", nil, nil, "UTF-8"},
	} {
		rows, faults, err := readLinkage([]byte(c.text), "here")
		if c.err != "" {
			require.ErrorContains(t, err, c.err, name)
			continue
		}
		require.NoError(t, err, name)
		var got []Link
		for _, r := range rows {
			got = append(got, r.Link)
		}
		require.Equal(t, c.want, got, name)
		require.Equal(t, len(c.faults), faults.Count, name)
		for i, f := range faults.Faults {
			require.NotEmpty(t, f.Reason)
			for _, value := range []string{"4711", "0815", "A^B"} {
				require.NotContains(t, f.Reason, value)
			}
			f.Reason = ""
			require.Equal(t, c.faults[i], f, name)
		}
	}
	var invalid *refusal.Invalid
	_, _, err := readLinkage([]byte("Pseudonym,PatientID\n"+strings.Repeat("P,1\n", maxLinkageRows+1)), "")
	require.ErrorAs(t, err, &invalid)
}

// FuzzReadLinkage: whatever is imported, rows that are taken have a sound pseudonym and a patient, and come back from
// what is written of them.
func FuzzReadLinkage(f *testing.F) {
	f.Add([]byte("Pseudonym,PatientID\nP-1,4711\n'=x,'-1\n"))
	f.Add([]byte("Pseudonym,PatientID\nP-1,\"x;'=1+1\"\nP-2,\"x; =1|-2\"\nP-3,a<U+202E>b\nP-4,a\u202eb\u200b\n"))
	f.Add([]byte("pseudonym;patient_id;Issuer\nP-1;\"47;11\";'@\n"))
	f.Add([]byte("Pseudonym\tPatientID\tStudyInstanceUID\nP\t\t1.2.3\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows, _, err := readLinkage(text, "")
		if err != nil {
			return
		}
		var b bytes.Buffer
		w := csv.NewWriter(&b)
		require.NoError(t, w.Write(linkageColumns[:5]))
		for _, r := range rows {
			column, reason := r.fault()
			require.Empty(t, column+reason)
			require.NoError(
				t, WriteRow(w, []string{r.Pseudonym, r.PatientID, r.Issuer, r.StudyInstanceUID, r.TrialProtocolID}),
			)
		}
		w.Flush()
		again, faults, err := readLinkage(b.Bytes(), "")
		require.NoError(t, err)
		require.Zero(t, faults.Count)
		require.Len(t, again, len(rows))
		for i := range rows {
			require.Equal(t, rows[i].Link, again[i].Link)
		}
	})
}
