// SPDX-License-Identifier: AGPL-3.0-or-later

package batchjobs

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchquery"
)

// TestExtraColumnsAreAside: whatever columns a file has had, what was found is a batch transfer as it is, and they are
// taken for none of ours.
func TestExtraColumnsAreAside(t *testing.T) {
	extra := []string{
		"Cohort", "Series UID", "study", "series", "pseudo", "Pseudonyms", "Pseudonym", "Patient ID", "MRN",
		"SeriesInstanceUIDs", "SeriesInstanceUID", "StudyInstanceUID", "Pseudonym (file)", "Row", "Source",
	}
	for _, of := range []exported{
		{extra: extra},
		{extra: extra, sources: true},
		{extra: extra, Count: batchquery.Count{Pseudonyms: true}},
		{extra: extra, Count: batchquery.Count{OfSeries: true, Pseudonyms: true}},
	} {
		t.Run(fmt.Sprintf("%+v", of.Count), func(t *testing.T) {
			columns := of.columns()
			var file bytes.Buffer
			out, err := batch.NewCSV(&file, ',', columns)
			require.NoError(t, err)
			require.NoError(t, out.Finish())
			table, err := batch.Open(t.Context(), bytes.NewReader(file.Bytes()), int64(file.Len()), batch.Options{
				Columns: batch.TransferColumns(),
			})
			require.NoError(t, err)
			require.Empty(t, table.Faults)
			for _, c := range columns[len(columns)-len(extra):] {
				require.Contains(t, table.Extra, c.Name)
			}
		})
	}
}
