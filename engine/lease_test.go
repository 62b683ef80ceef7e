// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/test/harness"
)

// register makes a node in a data directory of its own.
func register(t *testing.T, n *harness.Node, dataDir uuid.UUID) uuid.UUID {
	t.Helper()
	id, err := n.Engine.Register(t.Context(), engine.Registration{DataDirID: dataDir, Name: "node", Version: "test"})
	require.NoError(t, err)
	return id
}

func claim(t *testing.T, n *harness.Node, node uuid.UUID) engine.Held {
	t.Helper()
	held, ok, _, err := n.Engine.Claim(t.Context(), node)
	require.NoError(t, err)
	require.True(t, ok)
	return held
}

func slots(t *testing.T, n *harness.Node) (live, expiring int) {
	t.Helper()
	require.NoError(t, n.Pool.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE expires_at IS NULL), count(*) FILTER (WHERE expires_at IS NOT NULL)
		FROM association_slots`).Scan(&live, &expiring))
	return live, expiring
}

// TestRestartTakesBack: a process that starts in the same data directory has its predecessor's tasks and slots back at once.
func TestRestartTakesBack(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	first := register(t, n, dir)
	held := claim(t, n, first)
	live, _ := slots(t, n)
	require.Equal(t, 2, live, "one for each server")

	second := register(t, n, dir)
	task := n.Task(job.ID)
	require.Equal(t, engine.Pending, task.Status)
	require.EqualValues(t, 1, task.Losses)
	live, expiring := slots(t, n)
	require.Zero(t, live+expiring, "that process is dead, and so are its sockets")
	require.ErrorIs(t, n.Engine.Lose(t.Context(), held), engine.ErrFenced, "the first one's token is worth nothing")
	again := claim(t, n, second)
	require.Greater(t, again.Token, held.Token)
}

// TestSilentNodeIsFenced: another node sees the beat stand still for a whole lease by its own clock, and takes the tasks; the slots stay
// counted while the peers may hold the associations open.
func TestSilentNodeIsFenced(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	silent := register(t, n, uuid.New())
	claim(t, n, silent)
	_, err := n.Pool.Exec(t.Context(), "INSERT INTO association_slots (server_id, use, node_id) SELECT min(id), 'interactive', $1 FROM servers", silent)
	require.NoError(t, err)
	self := register(t, n, uuid.New())

	const lease = 10 * time.Second
	seen := map[uuid.UUID]engine.SeenBeat{}
	require.NoError(t, n.Engine.Watch(t.Context(), self, seen, lease))
	require.Contains(t, seen, silent)
	require.Equal(t, engine.InProgress, n.Task(job.ID).Status, "seen once is no proof")

	seen[silent] = engine.SeenBeat{Beat: seen[silent].Beat, At: time.Now().Add(-lease - time.Second)}
	require.NoError(t, n.Engine.Watch(t.Context(), self, seen, lease))
	require.Equal(t, engine.Pending, n.Task(job.ID).Status)
	live, expiring := slots(t, n)
	require.Zero(t, live)
	require.Equal(t, 3, expiring, "those of the task, and the one of a person who waited")

	heart := n.Engine.NewHeart(n.URL)
	defer heart.Close()
	_, err = heart.Beat(t.Context(), silent)
	require.ErrorIs(t, err, engine.ErrFenced)
	_, err = heart.Beat(t.Context(), self)
	require.NoError(t, err)
}

// TestPoisonTask: a task that takes the process along three times in a row, without one new image, fails and says so.
func TestPoisonTask(t *testing.T) {
	n := newIdle(t)
	job := n.Transfer("source", "destination", "1.2.3")
	dir := uuid.New()
	node := register(t, n, dir)
	for range 3 {
		claim(t, n, node)
		node = register(t, n, dir)
	}
	task := n.Task(job.ID)
	require.Equal(t, engine.Failure, task.Status)
	require.Contains(t, task.Message, "ended unexpectedly 3 times")
	_, ok, _, err := n.Engine.Claim(t.Context(), node)
	require.NoError(t, err)
	require.False(t, ok)
}
