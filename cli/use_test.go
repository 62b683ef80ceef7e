// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestSumUse: a row for each day, user and token, the latest day first, unless each operation is to be seen.
func TestSumUse(t *testing.T) {
	at := func(hour int) time.Time { return time.Date(2026, 11, 23, hour, 0, 0, 0, time.UTC) }
	all := []client.APIUse{
		{Day: "2026-11-22", Username: "ada", TokenID: 1, Operation: "get-me", Requests: 1},
		{Day: "2026-11-23", Username: "bob", Operation: "get-me", Requests: 1},
		{Day: "2026-11-23", Username: "ada", TokenID: 1, Operation: "get-me", Requests: 2, Bytes: 5, Last: at(9)},
		{Day: "2026-11-23", Username: "ada", TokenID: 1, Operation: "get-job", Requests: 3, ClientErrors: 1, ServerErrors: 2, Bytes: 7, Last: at(8)},
	}
	require.Equal(t, []client.APIUse{
		{Day: "2026-11-23", Username: "ada", TokenID: 1, Operation: "all", Requests: 5, ClientErrors: 1, ServerErrors: 2, Bytes: 12, Last: at(9)},
		{Day: "2026-11-23", Username: "bob", Operation: "all", Requests: 1},
		{Day: "2026-11-22", Username: "ada", TokenID: 1, Operation: "all", Requests: 1},
	}, sumUse(all, false))
	require.Len(t, sumUse(all, true), 4)
}
