// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
)

// TestChosen: of several transfer syntaxes in one context the receiver takes what makes the peer convert least, and never one with loss
// if there is another.
func TestChosen(t *testing.T) {
	const ele, ile, be, rle, lossy = dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian, dict.RLELossless, dict.JPEGBaseline8Bit
	for _, tt := range []struct {
		name          string
		proposed      []string
		plain, pixels bool
		want          string
	}{
		{"the only one", []string{lossy}, false, true, lossy},
		{"the first", []string{rle, ele, ile}, false, true, rle},
		{"not the lossy one", []string{lossy, ile}, false, true, ile},
		{"not big endian", []string{be, ile, ele}, false, true, ile},
		{"big endian rather than loss", []string{lossy, be}, false, true, be},
		{"a private one", []string{"1.2.3.4"}, false, true, "1.2.3.4"},
		{"without pixels", []string{rle, ile, ele}, false, false, ele},
		{"without pixels, in one only", []string{dict.DeflatedExplicitVRLittleEndian}, false, false, dict.DeflatedExplicitVRLittleEndian},
		{"plain", []string{rle, be, ile}, true, true, ile},
		{"plain, nothing else", []string{rle, be}, true, true, be},
		{"plain, of none", []string{rle}, true, true, ""},
		{"of nothing", nil, false, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) { require.Equal(t, tt.want, chosen(tt.proposed, tt.plain, tt.pixels)) })
	}
}

// TestMethodsOf: what a server supports, in its order.
func TestMethodsOf(t *testing.T) {
	both := db.Server{StudyRootGet: true, PatientRootMove: true}
	require.Equal(t, []string{MethodGet, MethodMove}, methodsOf(&both))
	both.RetrieveMethods = []string{MethodMove, MethodGet}
	require.Equal(t, []string{MethodMove, MethodGet}, methodsOf(&both))
	both.RetrieveMethods = []string{MethodMove}
	require.Equal(t, []string{MethodMove}, methodsOf(&both))
	require.Equal(t, []string{MethodMove}, methodsOf(&db.Server{StudyRootMove: true}))
	require.Empty(t, methodsOf(&db.Server{StudyRootFind: true}))
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
		s := NewServer{Name: "PACS", AETitle: "PACS", Host: "localhost", Port: 104, Supports: Supports{Store: true}, Retrieve: r}
		var invalid *Invalid
		require.ErrorAs(t, s.validate(), &invalid, field)
		require.Equal(t, field, invalid.Field)
	}
}
