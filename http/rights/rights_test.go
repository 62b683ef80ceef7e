// SPDX-License-Identifier: AGPL-3.0-or-later

package rights

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A route that nobody said who may use can't be served.
func TestRouteWithoutARight(t *testing.T) {
	require.PanicsWithValue(t, "rights: GET /api/v1/secrets is not in the table (rights.go)", func() {
		Of("GET /api/v1/secrets")
	})
	table["POST /api/v1/secrets"] = staff
	defer delete(table, "POST /api/v1/secrets")
	for _, acts := range [][]string{nil, {"secret.make"}} { // none, and one that nobody thought of
		table["POST /api/v1/secrets"] = staff.does(acts...)
		require.PanicsWithValue(
			t, "rights: nothing says whether POST /api/v1/secrets takes the password (rights.go and audit/acts.go)",
			func() {
				Of("POST /api/v1/secrets")
			},
		)
	}
	for route, r := range Table() {
		require.NotEmpty(t, r.Who, route)
		require.Equal(t, r.Who == Staff, r.Needs.Staff, route)
		require.False(t, r.Who == Anybody && r.TakesPermission(), route)
	}
}
