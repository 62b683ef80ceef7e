// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// BenchmarkTransfer moves a study of 400 CT images of 0.5 MB from server to server, all in this process.
func BenchmarkTransfer(b *testing.B) {
	study := large(1)
	src, err := pacs.Start(pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	require.NoError(b, err)
	defer src.Close()
	dst, err := pacs.Start(pacs.Config{AETitle: "DST"})
	require.NoError(b, err)
	defer dst.Close()
	n := harness.New(b, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	for b.Loop() {
		job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
		require.Equal(b, engine.Success, job.Status)
		b.SetBytes(n.Task(job.ID).Bytes)
	}
	b.ReportMetric(float64(400*b.N)/b.Elapsed().Seconds(), "images/s")
}
