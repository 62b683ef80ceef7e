// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// slotsOf counts the slots of one use that are taken.
func slotsOf(t *testing.T, n *harness.Member, use string) (count int) {
	t.Helper()
	require.NoError(t, n.Pool.QueryRow(
		context.Background(), "SELECT count(*) FROM association_slots WHERE use = $1", use,
	).Scan(&count))
	return count
}

// TestDoctorSlots: the association over which the doctor's C-MOVE brings an instance holds a slot of its own, so that
// people have no more of them at a server than their cap; it is given back whatever happens, and nothing is tried
// without it.
func TestDoctorSlots(t *testing.T) {
	const cap1 = "a C-MOVE takes two connections, and DICOM Server pacs allows searches and checks only one now"
	for _, tt := range []struct {
		name  string
		cap   int
		fault pacs.MoveFaults
		stop  bool // the caller goes away meanwhile
		seen  bool // the C-MOVE, while it sends
		says  string
	}{
		{"a cap of 2", 2, pacs.MoveFaults{}, false, true, "An instance of"},
		{"a cap of 3", 3, pacs.MoveFaults{}, false, true, "An instance of"},
		{"a cap of 1", 1, pacs.MoveFaults{}, false, false, cap1},
		{"an instance that comes late", 2, pacs.MoveFaults{Late: 1}, false, false, "An instance of"},
		{"under another AE title", 2, pacs.MoveFaults{CallingAE: "STRANGER"}, false, true, "turned away"},
		{"the caller goes away", 2, pacs.MoveFaults{}, true, true, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var open, held atomic.Int32 // associations at the PACS, and slots for them, while it sends
			var src *pacs.PACS
			ready := make(chan struct{})
			src = startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{ct(1, 3)},
				MoveDestinations: movesTo(n), Misbehave: pacs.Misbehave{Move: tt.fault},
				Gate: func(_ context.Context, e pacs.Event) {
					if e.Kind != pacs.AtSubOperation {
						return
					}
					<-ready
					open.Store(int32(src.Recorder().Log().Open) + 1)
					held.Store(int32(slotsOf(t, n, "interactive")))
					if tt.stop {
						cancel()
					}
				},
			})
			close(ready)
			n.AddServer("pacs", "SRC", src.Addr(), func(s *nodes.NewServer) {
				byMove(s)
				s.InteractiveCap = &tt.cap
				s.Retrieve.MovePatience = time.Second
			})
			report, err := n.Engine.Doctor.Check(ctx, n.Admin, "pacs")
			if tt.stop {
				require.ErrorIs(t, err, context.Canceled)
			} else {
				require.NoError(t, err)
				var words []string
				for _, c := range report.Checks {
					if c.Name == "move" {
						words = append(words, c.Detail)
					}
				}
				require.Contains(t, strings.Join(words, "\n"), tt.says)
			}
			require.Equal(t, tt.seen, open.Load() > 0)
			require.LessOrEqual(t, open.Load(), held.Load(), "each association has a slot")
			require.LessOrEqual(t, int(held.Load()), tt.cap)
			require.Zero(t, slotsOf(t, n, "interactive"))
			require.Zero(t, slotsOf(t, n, "batch"))
		})
	}
}
