// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// BenchmarkTransfer moves a study of 400 CT images of 0.5 MB from server to server, all in this process, by either
// retrieve method.
func BenchmarkTransfer(b *testing.B) {
	b.Run(nodes.MethodGet, func(b *testing.B) { benchmarkTransfer(b, nil) })
	b.Run(nodes.MethodMove, func(b *testing.B) { benchmarkTransfer(b, byMove) })
}

func benchmarkTransfer(b *testing.B, method func(*nodes.NewServer)) {
	study := large(1)
	src, err := pacs.Start(pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	require.NoError(b, err)
	defer src.Close()
	dst, err := pacs.Start(pacs.Config{AETitle: "DST"})
	require.NoError(b, err)
	defer dst.Close()
	n := harness.New(b, harness.Config{})
	src.AddMoveDestination("ADIT", n.ReceiverAddr)
	n.AddServer("source", "SRC", src.Addr(), method)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	for b.Loop() {
		job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
		require.Equal(b, jobs.Success, job.Status)
		b.SetBytes(n.Task(job.ID).Bytes)
	}
	b.ReportMetric(float64(400*b.N)/b.Elapsed().Seconds(), "images/s")
}
