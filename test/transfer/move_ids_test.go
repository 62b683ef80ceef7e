// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestMessageIDs: a message ID is not used again within an hour, whichever source it was for; afterwards it is.
func TestMessageIDs(t *testing.T) {
	study := ct(51, 3)
	n := harness.New(t, harness.Config{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, MoveDestinations: movesTo(n)})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", src.Addr(), byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	exec := func(sql string) {
		t.Helper()
		_, err := n.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec(`INSERT INTO expectations (source_id, message_id, task_id, lease_member, lease_token, study_uid, ended_at)
		SELECT 4711, id, 0, gen_random_uuid(), 0, '1.2', now() FROM generate_series(65534, 65535) id`)
	exec(`INSERT INTO expectations (source_id, message_id, task_id, lease_member, lease_token, study_uid, ended_at)
		SELECT 4711, id, 0, gen_random_uuid(), 0, '1.2', now() - interval '59 minutes' FROM generate_series(1, 5) id`)
	exec("SELECT setval('move_message_ids', 65533)")
	move := func() uint16 {
		t.Helper()
		job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
		require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
		moves := src.Recorder().Log().Moves
		return moves[len(moves)-1].MessageID
	}
	require.EqualValues(t, 6, move(), "65534 to 5 are in use")
	exec("UPDATE expectations SET ended_at = ended_at - interval '2 minutes' WHERE source_id = 4711")
	exec("SELECT setval('move_message_ids', 65535)")
	n.WaitFor(1, func(jobs.Job) bool { // the housekeeping of a beat
		var left int
		require.NoError(t, n.Pool.QueryRow(
			t.Context(), "SELECT count(*) FROM expectations WHERE source_id = 4711",
		).Scan(&left))
		return left == 2
	})
	require.EqualValues(t, 1, move())
}
