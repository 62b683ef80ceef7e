// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

func listFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "list")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return "@" + path
}

// TestReadStudies: lists as people and spreadsheets write them.
func TestReadStudies(t *testing.T) {
	study := func(uid string) client.NewStudy { return client.NewStudy{StudyInstanceUID: uid} }
	named := client.NewStudy{
		StudyInstanceUID: "1.2.3", Pseudonym: "P1", PatientID: "4711", SeriesInstanceUIDs: []string{"1.2.3.1", "1.2.3.2"},
	}
	const head = "study_instance_uid,pseudonym,patient_id,series_instance_uids"
	for name, test := range map[string]struct {
		text   string
		want   []client.NewStudy
		chosen bool // the pseudonyms that are not given
	}{
		"a UID per line":   {"1.2.3\n1.2.4", []client.NewStudy{study("1.2.3"), study("1.2.4")}, false},
		"blanks, comments": {"# mine\n\n  1.2.3  \n\n# more\n1.2.4\n", []client.NewStudy{study("1.2.3"), study("1.2.4")}, false},
		"of Windows":       {"\xef\xbb\xbf1.2.3\r\n1.2.4\r\n", []client.NewStudy{study("1.2.3"), study("1.2.4")}, false},
		"CSV":              {head + "\n1.2.3,P1,4711,1.2.3.1 1.2.3.2\n", []client.NewStudy{named}, false},
		"semicolons in it": {head + "\n1.2.3,P1,4711,1.2.3.1;1.2.3.2\n", []client.NewStudy{named}, false},
		"by semicolons": {
			"\xef\xbb\xbf" + strings.ReplaceAll(head, ",", ";") + "\r\n\r\n1.2.3;P1;4711;\"1.2.3.1;1.2.3.2\"\r\n",
			[]client.NewStudy{named},
			false,
		},
		"in another order": {
			"Pseudonym, Study_Instance_UID\nP1, 1.2.3\n", []client.NewStudy{{StudyInstanceUID: "1.2.3", Pseudonym: "P1"}}, false,
		},
		"of job failures": {
			"study_instance_uid,series_instance_uids,patient_id,pseudonym,status,message\n1.2.3,1.2.3.1 1.2.3.2,4711,P1,failure,\"2, gone\"\n1.2.4,,'-1,,failure,x\n",
			[]client.NewStudy{named, {StudyInstanceUID: "1.2.4", PatientID: "-1"}},
			true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			studies, err := readStudies([]string{listFile(t, test.text)}, test.chosen)
			require.NoError(t, err)
			got := make([]client.NewStudy, len(studies))
			for i, s := range studies {
				got[i] = s.NewStudy
			}
			for i := range got {
				if len(got[i].SeriesInstanceUIDs) == 0 {
					got[i].SeriesInstanceUIDs = nil
				}
			}
			require.Equal(t, test.want, got)
		})
	}

	var many strings.Builder
	for i := range 2500 {
		fmt.Fprintf(&many, "1.2.%d\n", i)
	}
	studies, err := readStudies([]string{listFile(t, many.String()), "1.3"}, false)
	require.NoError(t, err)
	require.Len(t, studies, 2501)
	require.Equal(t, "1.2.2499 (line 2500)", studies[2499].String())
}

// TestReadStudiesFaults: all faults of a list are told at once, with their lines, up to a bound.
func TestReadStudiesFaults(t *testing.T) {
	for name, test := range map[string]struct{ text, want string }{
		"no UIDs": {"1.2.3\nmy study\n1.2..4\n", "line 2: \"my study\" is not a DICOM UID\n  line 3: \"1.2..4\" is not"},
		"twice":   {"1.2.3\n\n1.2.3\n", "line 3: study 1.2.3 is in line 1 already"},
		"empty":   {"# nothing\n", "the list is empty"},
		"no row":  {"study_instance_uid\n", "no study below its header"},
		"column":  {"study_instance_uid,name\n1.2.3,x\n", `there is no column "name"`},
		"short":   {"study_instance_uid,patient_id\n1.2.3\n", "line 2: it has 1 fields, and the header has 2"},
		"series":  {"study_instance_uid,series_instance_uids\n1.2.3,x\n", `line 2: study 1.2.3: "x" is not`},
		"no name": {"study_instance_uid,pseudonym\n1.2.3,P\n1.2.4,\n", "line 3: the pseudonym is empty"},
		"not UTF": {"1.2.3\xff\n", "not UTF-8"},
		"many":    {strings.Repeat("x\n", 1) + strings.Repeat("1.2.3\n", 30), "and 10 more faults like these"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := readStudies([]string{listFile(t, test.text)}, false)
			require.ErrorContains(t, err, test.want)
		})
	}
}

// TestNameStudies: a problem that the server finds names the study, not its place in a request that nobody sees.
func TestNameStudies(t *testing.T) {
	studies := []listed{
		{NewStudy: client.NewStudy{StudyInstanceUID: "1.2.3"}},
		{NewStudy: client.NewStudy{StudyInstanceUID: "1.2.4"}, place: "line 7"},
	}
	problem := &client.Problem{
		Status: 422, Detail: "The request is not valid.",
		Errors: []client.FieldError{
			{Field: "studies[0]", Message: "is bad"}, {Field: "studies[1].series_instance_uids[0]", Message: "is no UID"},
		},
	}
	err := nameStudies(problem, studies)
	require.EqualError(t, err, "The request is not valid.\n  study 1.2.3: is bad\n"+
		"  study 1.2.4 (line 7), series_instance_uids[0]: is no UID")
	require.ErrorIs(t, err, problem)
	require.NoError(t, nameStudies(nil, studies))
}
