// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
)

// TestPrintMissing: one line for a reason with its count, however many instances are missing for it.
func TestPrintMissing(t *testing.T) {
	refused := func(uid string) client.MissingInstance {
		return client.MissingInstance{SOPInstanceUID: uid, Status: "A900", Reason: "the destination refused this instance"}
	}
	var out strings.Builder
	printMissing(&out, []client.Series{
		{Missing: []client.MissingInstance{refused("1.1"), {SOPInstanceUID: "1.9", Reason: "it came damaged"}, refused("1.2")}},
		{Missing: []client.MissingInstance{refused("2.1"), refused("2.2"), refused("2.3")}},
	})
	require.Equal(t, "    5 missing: the destination refused this instance (status A900): 1.1, 1.2, 2.1 and 2 more\n"+
		"    missing 1.9: it came damaged\n", out.String())
}
