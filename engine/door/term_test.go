// SPDX-License-Identifier: AGPL-3.0-or-later

package door_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine/door"
)

var echo = []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{dict.ImplicitVRLittleEndian}}}

// TestTerm: what an incarnation has opened sends nothing any more when its term is over, and is not the server's fault;
// a later incarnation is another matter.
func TestTerm(t *testing.T) {
	pool := dbtest.New(t)
	p, err := pacs.Start(pacs.Config{AETitle: "PACS"})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	for name, end := range map[string]func(*door.Door, uuid.UUID){
		"it has run out": func(d *door.Door, member uuid.UUID) { d.Extend(member, time.Now().Add(-time.Second)) },
		"it was ended": func(d *door.Door, member uuid.UUID) {
			d.Fence(member)
			d.Extend(member, time.Now().Add(time.Hour)) // a beat that was under way
		},
	} {
		t.Run(name, func(t *testing.T) {
			doors, member := door.NewDoor(pool), uuid.New()
			doors.SetMember(member)
			peer := newServer(t, pool, 3)
			defer func() {
				_, err := pool.Exec(t.Context(), "DELETE FROM dicom_nodes")
				require.NoError(t, err)
			}()
			peer.Addr = p.Addr()
			doors.Extend(member, time.Now().Add(time.Hour))
			slot, err := doors.Interactive(t.Context(), peer)
			require.NoError(t, err)
			a, err := slot.Open(t.Context(), peer, echo)
			require.NoError(t, err)
			require.NoError(t, a.Echo(t.Context()))

			end(doors, member)
			require.ErrorIs(t, doors.Guard(member)(), door.ErrFenced)
			require.ErrorIs(t, a.Echo(t.Context()), door.ErrFenced)
			a.Abort()
			_, err = slot.Open(t.Context(), peer, echo)
			require.ErrorIs(t, err, door.ErrFenced)
			require.NotErrorAs(t, err, new(*door.NoAssociation))
			require.NoError(t, slot.Close(t.Context()))

			doors.SetMember(uuid.New())
			slot, err = doors.Interactive(t.Context(), peer)
			require.NoError(t, err)
			a, err = slot.Open(t.Context(), peer, echo)
			require.NoError(t, err)
			require.NoError(t, a.Release(t.Context()))
			require.NoError(t, slot.Close(t.Context()))
		})
	}
}

// BenchmarkGuard is what each write costs.
func BenchmarkGuard(b *testing.B) {
	doors, member := door.NewDoor(nil), uuid.New()
	doors.SetMember(member)
	doors.Extend(member, time.Now().Add(time.Hour))
	guard := doors.Guard(member)
	for b.Loop() {
		if err := guard(); err != nil {
			b.Fatal(err)
		}
	}
}
