// SPDX-License-Identifier: AGPL-3.0-or-later

package table

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRows(t *testing.T) {
	for i := 1; i < len(Rows); i++ {
		require.Less(t, Rows[i-1].Tag, Rows[i].Tag)
	}
	for i := range Rows {
		require.True(t, Rows[i].VR.Known(), "%s", Rows[i].Tag)
	}
	require.Len(t, Rows, 617) // 621 less overlays (2), curves, private ones
}
