// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"cmp"
	"fmt"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestColumnsAreDescribed: the README has a row for each column, as Column describes it.
func TestColumnsAreDescribed(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	for _, c := range append(QueryColumns(), TransferColumns()...) {
		require.Contains(t, string(readme), fmt.Sprintf(
			"| `%s` | %s | %s | `%s` |\n", c.Name, cmp.Or(c.Required, "never"), c.Meaning, c.Example,
		))
	}
}
