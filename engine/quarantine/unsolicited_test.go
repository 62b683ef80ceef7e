// SPDX-License-Identifier: AGPL-3.0-or-later

package quarantine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/nodes"
)

// TestUnsolicitedByGet: what a source sends by C-GET without having been asked stands in the list of what came to the
// receiver so, under the source's name.
func TestUnsolicitedByGet(t *testing.T) {
	e := &Service{unsolicited: newUnsolicited()}
	source := nodes.DICOMNode{Name: "pacs", Server: &db.Server{AeTitle: "PACS", Host: "pacs.example"}}
	for range 3 {
		e.TakeOpened(
			t.Context(), CallerOf(source), &dimse.Incoming{SOPClassUID: "1.2.3", SOPInstanceUID: "1.2.3.4"}, nil,
		)
	}
	counts := e.unsolicited.Take()
	require.Len(t, counts, 1)
	got := counts[unsolicitedKey{Caller{Server: "pacs", CallingAE: "PACS", Address: "pacs.example"}, "1.2.3"}]
	require.Equal(t, []int64{3, 0}, []int64{got.N, got.Kept})
}

// TestUnsolicitedText: nothing that is no text for the database is counted, and the classes that are counted apart have
// a bound.
func TestUnsolicitedText(t *testing.T) {
	f := newUnsolicited()
	for _, class := range []string{"\xff\xfe", "a\x00b", "CTImageStorage"} {
		f.count(Caller{Server: "pacs"}, class, false)
	}
	counts := f.Take()
	require.Len(t, counts, 1)
	require.EqualValues(t, 3, counts[unsolicitedKey{Caller{Server: "pacs"}, NotUID}].N)
	for i := range 2 * maxUnsolicited {
		f.count(Caller{Server: "pacs", CallingAE: "PACS"}, fmt.Sprintf("1.2.%d", i), false)
	}
	counts = f.Take()
	require.Len(t, counts, maxUnsolicited+1)
	require.EqualValues(t, maxUnsolicited, counts[unsolicitedKey{Caller: Caller{Server: "pacs"}}].N)
}
