// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
)

// discard takes each instance in large pieces, as a relay to another association does.
func discard(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
	if _, err := in.Data.(io.WriterTo).WriteTo(io.Discard); err != nil {
		return dimse.StoreResponse{Status: dimse.ProcessingFailure}
	}
	return dimse.StoreResponse{Status: dimse.Success}
}

// BenchmarkStore sends instances of one size over one association on loopback, both sides ours.
func BenchmarkStore(b *testing.B) {
	for _, size := range []int{6 << 10, 512 << 10, 64 << 20} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			a := dial(b, serve(b, &dimse.Server{Store: discard}))
			object := pattern(size)
			r := bytes.NewReader(object)
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				r.Reset(object)
				rsp, err := a.Store(b.Context(),
					dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: "1.2.3", TransferSyntaxUID: explicit}, r,
				)
				require.NoError(b, err)
				require.Equal(b, dimse.Success, rsp.Status)
			}
		})
	}
}

// BenchmarkRelay retrieves from one server and stores to another: the way of an instance through ADIT, all three
// parties in this process.
func BenchmarkRelay(b *testing.B) {
	for _, size := range []int{6 << 10, 512 << 10} {
		b.Run(fmt.Sprintf("%dKB", size>>10), func(b *testing.B) {
			object := pattern(size)
			source := dial(b,
				serve(b, &dimse.Server{Get: func(ctx context.Context, op *dimse.GetOperation) dimse.Status {
					for range b.N {
						rq := dimse.StoreRequest{
							SOPClassUID: ctClass, SOPInstanceUID: "1.2.3", TransferSyntaxUID: explicit,
						}
						if _, err := op.Store(ctx, rq, bytes.NewReader(object)); err != nil {
							return dimse.ProcessingFailure
						}
					}
					return dimse.Success
				}}),
			)
			sink := dial(b, serve(b, &dimse.Server{Store: discard}))
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.ResetTimer()
			r, err := source.Get(
				b.Context(), dimse.GetRequest{SOPClassUID: getClass, Identifier: query("1.2")},
				func(ctx context.Context, in *dimse.Incoming) dimse.Status {
					rsp, err := sink.Store(ctx,
						dimse.StoreRequest{SOPClassUID: ctClass, SOPInstanceUID: "1.2.3", TransferSyntaxUID: explicit},
						in.Data,
					)
					if err != nil {
						return dimse.ProcessingFailure
					}
					return rsp.Status
				},
			)
			require.NoError(b, err)
			require.Equal(b, dimse.Success, r.Status)
		})
	}
}
