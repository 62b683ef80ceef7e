// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestReportCountsBehindPixels: the report of a task counts what went behind the pixel data, of instances that were
// held and of those that passed through.
func TestReportCountsBehindPixels(t *testing.T) {
	tail := func(ds *stream.DataSet) {
		ds.SetBytes(dict.NewTag(0x7FE1, 0x0010), dict.LO, []byte("ACME BEHIND "))
		ds.SetBytes(dict.NewTag(0x7FE1, 0x1001), dict.LO, []byte("Zzyzx "))
		ds.SetBytes(dict.DataSetTrailingPadding, dict.OB, make([]byte, 64))
	}
	for name, pixels := range map[string]int{"held": 1 << 10, "passed through": 6 << 20} {
		t.Run(name, func(t *testing.T) {
			plain, tailed := studyOf(41, quorra), studyOf(42, quorra)
			w := newWard(t, harness.Config{}, pacs.Config{Memory: 64 << 20})
			large := func(ds *stream.DataSet) { ds.SetBytes(dict.PixelData, dict.OW, make([]byte, pixels)) }
			give(
				t, w.src, altered(t, plain.Instances()[0], large),
				altered(t, tailed.Instances()[0], func(ds *stream.DataSet) { large(ds); tail(ds) }),
			)
			want := w.report(w.require(w.send(plain.StudyInstanceUID, nil), jobs.Success, "1 instance transferred")).Counts
			got := w.report(w.require(w.send(tailed.StudyInstanceUID, nil), jobs.Success, "1 instance transferred")).Counts
			want = maps.Clone(want)
			want[deid.Remove.String()] += 3
			require.Equal(t, want, got)
		})
	}
}
