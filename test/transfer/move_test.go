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

// byMove makes a server one that may only C-MOVE.
func byMove(s *engine.NewServer) {
	s.Supports.StudyRootGet, s.Supports.StudyRootMove = false, true
}

// TestMove: a source that may only C-MOVE.
func TestMove(t *testing.T) {
	study := ct(1, 40)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	src.AddMoveDestination("ADIT", n.ReceiverAddr)
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)

	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, engine.Success, job.Status, "%+v", n.Task(job.ID))
	requireSame(t, src, dst, 40)
	moves := src.Recorder().Log().Moves
	require.Len(t, moves, 1)
	require.Equal(t, "ADIT", moves[0].MoveDestination)
	require.Equal(t, "SERIES", moves[0].Level)
}
