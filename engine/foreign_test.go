// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
)

// TestForeignByGet: what a source sends by C-GET without having been asked stands in the list of what came to the receiver so, under the
// source's name.
func TestForeignByGet(t *testing.T) {
	e := &Engine{foreign: newForeign()}
	r := &run{e: e, src: DICOMNode{Name: "pacs", Server: &db.Server{AeTitle: "PACS", Host: "pacs.example"}}}
	for range 3 {
		r.takeForeign(t.Context(), &dimse.Incoming{SOPClassUID: "1.2.3", SOPInstanceUID: "1.2.3.4"}, nil)
	}
	counts := e.foreign.take()
	require.Len(t, counts, 1)
	got := counts[foreignKey{Caller{Server: "pacs", CallingAE: "PACS", Address: "pacs.example"}, "1.2.3"}]
	require.NotNil(t, got)
	require.Equal(t, []int64{3, 0}, []int64{got.objects, got.quarantined})
}

// TestForeignText: nothing that is no text for the database is counted, and the classes that are counted apart have a bound.
func TestForeignText(t *testing.T) {
	f := newForeign()
	for _, class := range []string{"\xff\xfe", "a\x00b", "CTImageStorage"} {
		f.count(Caller{Server: "pacs"}, class, false)
	}
	counts := f.take()
	require.Len(t, counts, 1)
	require.EqualValues(t, 3, counts[foreignKey{Caller{Server: "pacs"}, NotUID}].objects)
	for i := range 2 * maxForeign {
		f.count(Caller{Server: "pacs", CallingAE: "PACS"}, fmt.Sprintf("1.2.%d", i), false)
	}
	counts = f.take()
	require.Len(t, counts, maxForeign+1)
	require.EqualValues(t, maxForeign, counts[foreignKey{Caller: Caller{Server: "pacs"}}].objects)
}
