// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// atLedger calls a function before the ledger is written.
type atLedger struct{ f atomic.Pointer[func()] }

func (l *atLedger) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	if f := l.f.Load(); f != nil && strings.HasPrefix(q.SQL, "-- name: Deliver ") {
		(*f)()
	}
	return ctx
}

func (l *atLedger) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

// TestNoServerWaitsForTheLedger: when a run has moved what it could, its associations end, whatever the database still
// has to write. A server may serve one association at a time (DCMTK's storescp does), and the next task wait for this
// one's.
func TestNoServerWaitsForTheLedger(t *testing.T) {
	for _, tt := range []struct {
		name   string
		source func(*nodes.NewServer)
		folder bool
	}{
		{name: "by C-GET"},
		{name: "by C-MOVE", source: byMove},
		{name: "into a folder", folder: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			trace := &atLedger{}
			n := harness.New(t, harness.Config{Trace: trace})
			study := phantom.New(1, phantom.StudySpec{
				Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
				Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16}},
			})
			src := startPACS(t, pacs.Config{
				AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n),
			})
			n.AddServer("source", "SRC", src.Addr(), tt.source)
			peers := []*pacs.PACS{src}
			if tt.folder {
				n.AddFolder("destination", t.TempDir())
			} else {
				dst := startPACS(t, pacs.Config{AETitle: "DST"})
				n.AddServer("destination", "DST", dst.Addr(), nil)
				peers = append(peers, dst)
			}
			var waited, open atomic.Int32
			idle := func() { // what is acknowledged may be written before all is
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				waited.Add(1)
				for _, p := range peers {
					if p.Recorder().WaitOpen(ctx, 0) != nil {
						open.Add(1)
					}
				}
			}
			trace.f.Store(&idle)
			require.Equal(
				t, jobs.Success, n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID).Status,
			)
			require.Positive(t, waited.Load())
			require.Zero(t, open.Load(), "associations that were open until the ledger was written")
		})
	}
}
