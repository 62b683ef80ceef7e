// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

const moveClass = dict.StudyRootQueryRetrieveInformationModelMove

// mover is a PACS whose C-MOVE sends the instances to the AE titles that it knows.
func mover(all map[string][]byte, destinations map[string]string) func(
	context.Context, *dimse.MoveOperation,
) dimse.Status {
	return func(ctx context.Context, op *dimse.MoveOperation) dimse.Status {
		addr, known := destinations[op.Destination]
		if !known {
			return dimse.MoveDestinationUnknown
		}
		cfg := config(addr)
		cfg.CalledAE = op.Destination
		a, err := dimse.Dial(ctx, cfg)
		if err != nil {
			return dimse.OutOfResourcesSubOps
		}
		defer a.Abort()
		done := 0
		for uid, b := range all {
			rsp, err := a.Store(ctx, dimse.StoreRequest{
				SOPClassUID: ctClass, SOPInstanceUID: uid, TransferSyntaxUID: explicit,
				MoveOriginatorAETitle: op.Association.CallingAE, MoveOriginatorMessageID: op.MessageID(),
			}, bytes.NewReader(b))
			if err != nil || rsp.Status != dimse.Success {
				return dimse.OutOfResourcesSubOps
			}
			done++
			if op.Pending(
				dimse.Counts{Remaining: dimse.Counted(len(all) - done), Completed: dimse.Counted(done)},
			) != nil {
				return dimse.ProcessingFailure
			}
		}
		_ = a.Release(ctx)
		_ = op.Final(dimse.MoveResult{Counts: dimse.Counts{Completed: dimse.Counted(done), Failed: dimse.Counted(0)}})
		return dimse.Success
	}
}

func dialMover(t testing.TB, addr string) *dimse.Association {
	t.Helper()
	cfg := config(addr)
	cfg.Contexts = []dimse.Context{
		{AbstractSyntax: moveClass, TransferSyntaxes: []string{explicit}},
		{AbstractSyntax: dict.Verification, TransferSyntaxes: []string{implicit}},
	}
	a, err := dimse.Dial(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	return a
}

// TestMove: both sides of a C-MOVE are ours; the receiver sees whose move it is.
func TestMove(t *testing.T) {
	all := objects(t)
	var got store
	receiver := serve(t, &dimse.Server{Store: got.handle})
	a := dialMover(t, serve(t, &dimse.Server{Move: mover(all, map[string]string{"ADIT": receiver})}))
	var counts []int
	rq := dimse.MoveRequest{SOPClassUID: moveClass, Identifier: query(study), Destination: "ADIT", MessageID: 4711}
	r, err := a.Move(t.Context(), rq, func(c dimse.Counts) { counts = append(counts, c.Completed.Value) })
	require.NoError(t, err)
	require.Equal(t, dimse.Counts{Completed: dimse.Counted(5), Failed: dimse.Counted(0)}, r.Counts)
	require.Equal(t, []int{1, 2, 3, 4, 5}, counts)
	seen, sums := got.all()
	require.Len(t, seen, len(all))
	for i, in := range seen {
		require.Equal(t, "ADIT", in.MoveOriginatorAETitle)
		require.EqualValues(t, 4711, in.MoveOriginatorMessageID)
		require.Equal(t, sum(all[in.SOPInstanceUID]), sums[i])
	}
	rq.Destination, rq.MessageID = "NOBODY", 0
	r, err = a.Move(t.Context(), rq, nil)
	require.NoError(t, err)
	require.Equal(t, dimse.MoveDestinationUnknown, r.Status)
	require.Equal(t, dimse.Configure, r.Status.Meaning(dimse.CMove).Outcome)
	require.NoError(t, a.Release(t.Context()))
}

// TestMoveMisbehaving: what a source may answer, and what the caller of Move sees of it.
func TestMoveMisbehaving(t *testing.T) {
	for name, tc := range map[string]struct {
		move  func(context.Context, *dimse.MoveOperation) dimse.Status
		check func(t *testing.T, r dimse.MoveResult, err error)
	}{
		"final without counts": {
			func(context.Context, *dimse.MoveOperation) dimse.Status { return dimse.Success },
			func(t *testing.T, r dimse.MoveResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.MoveResult{}, r)
			},
		},
		"failed list": {
			func(_ context.Context, op *dimse.MoveOperation) dimse.Status {
				_ = op.Final(dimse.MoveResult{
					Status: dimse.SubOperationsIncomplete, Counts: dimse.Counts{Failed: dimse.Counted(2)},
					FailedSOPInstanceUIDs: []string{"1.2.77", "1.2.78"},
				})
				return dimse.Success
			},
			func(t *testing.T, r dimse.MoveResult, err error) {
				require.NoError(t, err)
				require.Equal(t, []string{"1.2.77", "1.2.78"}, r.FailedSOPInstanceUIDs)
				require.Equal(t, dimse.Incomplete, r.Status.Meaning(dimse.CMove).Outcome)
			},
		},
		"busy": {
			func(context.Context, *dimse.MoveOperation) dimse.Status { return dimse.OutOfResourcesSubOps },
			func(t *testing.T, r dimse.MoveResult, err error) {
				require.NoError(t, err)
				require.Equal(t, dimse.BackOff, r.Status.Meaning(dimse.CMove).Outcome)
			},
		},
		"abort": {
			func(_ context.Context, op *dimse.MoveOperation) dimse.Status {
				_ = op.Pending(dimse.Counts{})
				op.Association.Abort()
				return dimse.Success
			},
			func(t *testing.T, _ dimse.MoveResult, err error) { require.ErrorAs(t, err, new(*ul.AbortedError)) },
		},
		"drop": {
			func(_ context.Context, op *dimse.MoveOperation) dimse.Status {
				op.Association.Drop()
				return dimse.Success
			},
			func(t *testing.T, _ dimse.MoveResult, err error) { require.ErrorAs(t, err, new(*ul.LostError)) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := dialMover(t, serve(t, &dimse.Server{Move: tc.move}))
			r, err := a.Move(t.Context(),
				dimse.MoveRequest{SOPClassUID: moveClass, Identifier: query(study), Destination: "ADIT"}, nil,
			)
			tc.check(t, r, err)
		})
	}
}

// TestMoveStop: as with C-GET, a server that heeds C-CANCEL answers, one that doesn't is aborted.
func TestMoveStop(t *testing.T) {
	for _, heeds := range []bool{true, false} {
		t.Run(fmt.Sprintf("heeds %t", heeds), func(t *testing.T) {
			t.Parallel()
			a := dialMover(t,
				serve(t, &dimse.Server{Move: func(ctx context.Context, op *dimse.MoveOperation) dimse.Status {
					if op.Pending(dimse.Counts{Remaining: dimse.Counted(7)}) != nil {
						return dimse.ProcessingFailure
					}
					<-op.Canceled()
					if !heeds {
						<-ctx.Done()
					}
					_ = op.Final(
						dimse.MoveResult{Status: dimse.Canceled, Counts: dimse.Counts{Remaining: dimse.Counted(7)}},
					)
					return dimse.Canceled
				}}),
			)
			if !heeds {
				a.SetCancelGrace(200 * time.Millisecond)
			}
			stop := make(chan struct{})
			r, err := a.Move(t.Context(), dimse.MoveRequest{
				SOPClassUID: moveClass, Identifier: query(study), Destination: "ADIT", Stop: stop,
			}, func(dimse.Counts) { close(stop) })
			if heeds {
				require.NoError(t, err)
				require.Equal(
					t, dimse.MoveResult{Status: dimse.Canceled, Counts: dimse.Counts{Remaining: dimse.Counted(7)}}, r,
				)
				require.NoError(t, a.Echo(t.Context()))
				return
			}
			require.ErrorAs(t, err, new(*ul.TimeoutError))
			require.ErrorContains(t, err, "canceled C-MOVE")
		})
	}
}
