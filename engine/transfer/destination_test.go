// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/nodes"
)

// TestIdentityOf: what a destination has is known as long as it is stored to at the same place.
func TestIdentityOf(t *testing.T) {
	dimse := db.Server{AeTitle: "PACS", Host: "PACS.example.org", Port: 104, StoreScp: true, WebRootUrl: "https://a/rs"}
	stow := dimse
	stow.StowRs, stow.WebStowPrefix = true, "stow"
	alone := stow
	alone.Host, alone.Port, alone.StoreScp, alone.WebRootUrl = "", 0, false, "https://A:443/rs"
	other := alone
	other.WebRootUrl = "https://b/rs"
	for want, servers := range map[string][]db.Server{
		"server PACS at pacs.example.org:104":  {dimse},
		"server PACS at https://a:443/rs/stow": {stow, alone},
		"server PACS at https://b:443/rs/stow": {other},
	} {
		for _, s := range servers {
			require.Equal(t, want, identityOf(nodes.DICOMNode{Server: &s}))
		}
	}
}
