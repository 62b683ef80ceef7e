// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"os"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestWordsOfPages holds the help of the web pages against the columns that are read.
func TestWordsOfPages(t *testing.T) {
	page, err := os.ReadFile("../../ui/src/batch/columns.ts")
	require.NoError(t, err)
	field := func(name string) *regexp.Regexp {
		return regexp.MustCompile(name + `:\s+(?:'([^']*)'|"([^"]*)"|patientID\b)`)
	}
	values := func(name string) (list []string) {
		for _, m := range field(name).FindAllSubmatch(page, -1) {
			list = append(list, string(m[1])+string(m[2]))
		}
		return list
	}
	var names, meanings, required, examples []string
	for _, c := range append(QueryColumns(), TransferColumns()...) {
		names, examples = append(names, c.Name), append(examples, c.Example)
		if c.Name == "PatientID" {
			require.Contains(t, string(page), c.Meaning)
			c.Meaning = "" // it stands once for both
		}
		meanings = append(meanings, c.Meaning)
		if c.Required != "" {
			required = append(required, c.Required)
		}
	}
	require.Equal(t, names, values("name"))
	require.Equal(t, meanings, values("meaning"))
	require.Equal(t, required, values("required"))
	require.Equal(t, examples, values("example"))
}
