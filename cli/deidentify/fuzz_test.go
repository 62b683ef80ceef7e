// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// FuzzReadKey: a key file is read as it was written, or refused without a word of what it holds.
func FuzzReadKey(f *testing.F) {
	for _, text := range []string{
		strings.Repeat("0f", 32) + "\n", strings.Repeat("0F1e", 16), strings.Repeat("0f", 31),
		"", "\xff", strings.Repeat("0f", 33), " \n" + strings.Repeat("aB", 32) + "\r\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "key")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		key, err := ReadKey(path)
		if err != nil {
			require.Contains(t, []string{
				path + " is no key file: it must hold 64 hexadecimal digits and nothing else",
				"the key in " + path +
					" is no secret: it is one byte repeated; --key-file with --new-key makes another",
			}, err.Error())
			return
		}
		other := path + "2"
		require.NoError(t, saveKey(other, key))
		again, err := ReadKey(other)
		require.NoError(t, err)
		require.Equal(t, key, again)
		require.True(t, strings.EqualFold(strings.TrimSpace(string(text)), strings.TrimSpace(string(must(t, other)))))
	})
}

func must(t *testing.T, path string) []byte {
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// FuzzReadNames: of a table of pseudonyms each patient has one pseudonym, and no pseudonym two patients; what is wrong
// is said in a line that can be shown.
func FuzzReadNames(f *testing.F) {
	for _, text := range []string{
		"PatientID,Pseudonym\n4711,P-1\n4712,P-2\n",
		"PatientID;Pseudonym;Issuer of Patient ID\n4711;P-1;A\n4711;P-2;B\n",
		"Pseudonym\tPatientID\tStudyInstanceUID\nP\t\t1.2.3\n",
		"PatientID,Pseudonym,TrialProtocolID\n1,A,T\n1,B,U\n1,A,\n",
		"\ufeffPatientID,Pseudonym\n\"1\n\",A\n", "PatientID,Pseudonym\n1,A\n1,B\n2,A\n",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "names.csv")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		table, err := readNames(path, "T")
		if err != nil {
			return
		}
		patients := map[string]string{}
		for id, rows := range table.byPatient {
			for _, row := range rows {
				who := id + "\x1f" + row.Issuer
				require.NotContains(t, patients, row.Pseudonym)
				patients[row.Pseudonym] = who
			}
		}
		for _, fault := range table.faults() {
			for _, r := range fault {
				require.True(t, unicode.IsPrint(r), "%q", fault)
			}
		}
	})
}
