// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
)

// TestMethodsOf: what a server supports, in its order.
func TestMethodsOf(t *testing.T) {
	both := db.Server{StudyRootGet: true, PatientRootMove: true}
	require.Equal(t, []string{MethodGet, MethodMove}, MethodsOf(&both))
	both.RetrieveMethods = []string{MethodMove, MethodGet}
	require.Equal(t, []string{MethodMove, MethodGet}, MethodsOf(&both))
	both.RetrieveMethods = []string{MethodMove}
	require.Equal(t, []string{MethodMove}, MethodsOf(&both))
	require.Equal(t, []string{MethodMove}, MethodsOf(&db.Server{StudyRootMove: true}))
	require.Empty(t, MethodsOf(&db.Server{StudyRootFind: true}))
}

// TestRetrieveSettings: what can't be is refused by name.
func TestRetrieveSettings(t *testing.T) {
	for field, r := range map[string]Retrieve{
		"retrieve.methods":                {Methods: []string{"WADO"}},
		"retrieve.move_destination":       {MoveDestination: "ABCDEFGHIJKLMNOPQ"},
		"retrieve.move_destination_plain": {MoveDestination: "A", MoveDestinationPlain: "A"},
		"retrieve.other_ae_titles":        {OtherAETitles: []string{"GOOD", `BAD\`}},
		"retrieve.address_ranges":         {AddressRanges: []string{"10.0.0.0/8", "pacs"}},
		"retrieve.move_patience":          {MovePatience: 2 * time.Hour},
	} {
		s := NewServer{
			Name: "PACS", AETitle: "PACS", Host: "localhost",
			Port: 104, Supports: Supports{Store: true}, Retrieve: r,
		}
		var invalid *refusal.Invalid
		require.ErrorAs(t, s.validate(), &invalid, field)
		require.Equal(t, field, invalid.Field)
	}
}
