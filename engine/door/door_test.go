// SPDX-License-Identifier: AGPL-3.0-or-later

package door_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
)

// newServer makes a server with an interactive cap.
func newServer(t *testing.T, pool *pgxpool.Pool, interactive int) door.Peer {
	t.Helper()
	p := door.Peer{Name: "PACS", Addr: "127.0.0.1:1", CalledAE: "PACS", CallingAE: "ADIT"}
	require.NoError(t, pool.QueryRow(t.Context(), `WITH n AS (INSERT INTO dicom_nodes (name, kind) VALUES ('PACS', 'server') RETURNING id),
		s AS (INSERT INTO servers (id, ae_title, host, port, interactive_cap) SELECT id, 'PACS', '127.0.0.1', 1, $1 FROM n RETURNING id, interactive_cap)
		INSERT INTO server_state (server_id, interactive_cap, caps_until) SELECT id, interactive_cap, NULL FROM s RETURNING server_id`, interactive).Scan(&p.ServerID))
	return p
}

func count(t *testing.T, pool *pgxpool.Pool) (n int) {
	t.Helper()
	require.NoError(t, pool.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&n))
	return n
}

// TestInteractive: slots up to the cap; who comes then waits for one to be given back, or gives up with the context.
func TestInteractive(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	doors.SetMember(uuid.New())
	peer := newServer(t, pool, 1)

	first, err := doors.Interactive(t.Context(), peer)
	require.NoError(t, err)
	require.Equal(t, 1, count(t, pool))
	impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = doors.Interactive(impatient, peer)
	require.ErrorIs(t, err, context.DeadlineExceeded)

	got := make(chan error, 1)
	go func() {
		second, err := doors.Interactive(t.Context(), peer)
		if err == nil {
			err = second.Close(t.Context())
		}
		got <- err
	}()
	require.NoError(t, first.Close(t.Context()))
	select {
	case err := <-got:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("the slot that was given back was not given on")
	}
	require.Zero(t, count(t, pool))
}

func TestInteractiveClosed(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	_, err := doors.Interactive(t.Context(), newServer(t, pool, 0))
	var closed *door.Closed
	require.ErrorAs(t, err, &closed)
	require.ErrorContains(t, err, "PACS is closed for interactive use")
}

// TestInteractiveButOne: two slots at once or none, so that nobody who has one waits for somebody who has the other;
// and one is left, where the cap has as many.
func TestInteractiveButOne(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	doors.SetMember(uuid.New())
	peer := newServer(t, pool, 4)
	slots, err := doors.InteractiveButOne(t.Context(), peer, 2)
	require.NoError(t, err)
	require.Len(t, slots, 2)
	refused := func(n int) {
		t.Helper()
		impatient, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		_, err := doors.InteractiveButOne(impatient, peer, n)
		require.ErrorIs(t, err, context.DeadlineExceeded)
	}
	refused(2)
	more, err := doors.InteractiveButOne(t.Context(), peer, 1)
	require.NoError(t, err)
	refused(1)
	require.Equal(t, 3, count(t, pool))
	last, err := doors.Interactive(t.Context(), peer)
	require.NoError(t, err)
	for _, s := range append(append(slots, more...), last) {
		require.NoError(t, s.Close(t.Context()))
	}
	for most, n := range map[int]int{1: 1, 2: 2} {
		_, err = pool.Exec(t.Context(), "UPDATE server_state SET interactive_cap = $1", most)
		require.NoError(t, err)
		slots, err = doors.InteractiveButOne(t.Context(), peer, n)
		require.NoError(t, err)
		for _, s := range slots {
			require.NoError(t, s.Close(t.Context()))
		}
	}
	_, err = pool.Exec(t.Context(), "UPDATE server_state SET interactive_cap = 1")
	require.NoError(t, err)
	_, err = doors.InteractiveButOne(t.Context(), peer, 2)
	var narrow *door.Narrow
	require.ErrorAs(t, err, &narrow)
}

// TestOwedSlot: a slot that can't be given back, because the database is away, is given back before the next one is
// taken.
func TestOwedSlot(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	doors.SetMember(uuid.New())
	peer := newServer(t, pool, 1)
	slot, err := doors.Interactive(t.Context(), peer)
	require.NoError(t, err)

	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	exec("ALTER TABLE association_slots RENAME TO away")
	require.Error(t, slot.Close(t.Context()))
	exec("ALTER TABLE away RENAME TO association_slots")
	require.Equal(t, 1, count(t, pool))
	slot, err = doors.Interactive(t.Context(), peer)
	require.NoError(t, err)
	require.NoError(t, slot.Close(t.Context()))
	require.Zero(t, count(t, pool))
}

// TestOneAssociationPerSlot: a second association on one slot would break the PACS's cap.
func TestOneAssociationPerSlot(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	peer := newServer(t, pool, 1)
	slot, err := doors.Interactive(t.Context(), peer)
	require.NoError(t, err)
	_, err = slot.Open(
		t.Context(), peer, []dimse.Context{{AbstractSyntax: "1.2", TransferSyntaxes: []string{"1.2.840.10008.1.2"}}},
	)
	require.ErrorContains(t, err, "nothing listens there")
	other := peer
	other.ServerID++
	require.Panics(t, func() { _, _ = slot.Open(t.Context(), other, nil) })
	peer.Addr = ""
	_, err = slot.Open(t.Context(), peer, nil)
	require.EqualError(t, err, "PACS is reached by DICOMweb alone: without a host and a port no association to it can be opened")
	require.NoError(t, slot.Close(t.Context()))
}

// TestSlotTakenWhileItIsCanceled: who goes away while a slot is being taken, even in the middle of the commit, leaves
// none behind.
func TestSlotTakenWhileItIsCanceled(t *testing.T) {
	pool := dbtest.New(t)
	doors := door.NewDoor(pool)
	doors.SetMember(uuid.New())
	peer := newServer(t, pool, 2)
	exec := func(sql string) {
		t.Helper()
		_, err := pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	var task db.Claimed
	exec(`UPDATE server_state SET batch_cap = 4, outside_cap = 4`)
	require.NoError(t, pool.QueryRow(t.Context(), `WITH u AS (INSERT INTO users (username) VALUES ('ada') RETURNING id), g AS (INSERT INTO groups (name) VALUES ('g') RETURNING id),
		p AS (INSERT INTO projects (name, group_id, sealed_key) SELECT 'p', id, '' FROM g RETURNING id),
		j AS (INSERT INTO jobs (kind, owner_id, project_id, source_id, priority, n_running) SELECT 'selective_transfer', u.id, p.id, $1, 0, 1 FROM u, p RETURNING id)
		INSERT INTO tasks (job_id, seq, status, lease_member, lease_token) SELECT id, 1, 'in_progress', gen_random_uuid(), 7 FROM j RETURNING id, job_id, lease_token`,
		peer.ServerID).Scan(&task.TaskID, &task.JobID, &task.Token))
	// A commit of a slot waits for this lock.
	exec(`CREATE FUNCTION commit_waits() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_advisory_xact_lock(4711); RETURN NULL; END $$`)
	exec(`CREATE CONSTRAINT TRIGGER commit_waits AFTER INSERT ON association_slots DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION commit_waits()`)

	for name, take := range map[string]func(ctx context.Context) ([]*door.Slot, error){
		"of a task": func(ctx context.Context) ([]*door.Slot, error) {
			return doors.MoreTaskSlots(ctx, task, peer.ServerID, 1)
		},
		"of a C-MOVE": func(ctx context.Context) ([]*door.Slot, error) {
			slot, _, err := doors.MoveSlot(ctx, task, peer.ServerID)
			return []*door.Slot{slot}, err
		},
		"again": func(ctx context.Context) ([]*door.Slot, error) {
			slot, err := doors.SlotAgain(ctx, task, peer.ServerID)
			return []*door.Slot{slot}, err
		},
		"of a probe": func(ctx context.Context) ([]*door.Slot, error) {
			_, err := pool.Exec(ctx, "UPDATE server_state SET breaker = 'open', echo = true, probe_at = schedule_now()")
			require.NoError(t, err)
			slot, err := doors.ProbeSlot(ctx, uuid.New(), time.Minute)
			return []*door.Slot{slot}, err
		},
		"of somebody who waits": func(ctx context.Context) ([]*door.Slot, error) {
			slot, err := doors.Interactive(ctx, peer)
			return []*door.Slot{slot}, err
		},
	} {
		t.Run(name, func(t *testing.T) {
			exec("UPDATE server_state SET breaker = 'closed'")
			holder, err := pool.Begin(t.Context())
			require.NoError(t, err)
			_, err = holder.Exec(t.Context(), "SELECT pg_advisory_xact_lock(4711)")
			require.NoError(t, err)
			ctx, cancel := context.WithCancel(t.Context())
			type result struct {
				slots []*door.Slot
				err   error
			}
			done := make(chan result, 1)
			go func() {
				slots, err := take(ctx)
				done <- result{slots, err}
			}()
			waiting := func() (n int) {
				require.NoError(t, pool.QueryRow(t.Context(),
					"SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 4711 AND NOT granted",
				).Scan(&n))
				return n
			}
			require.Eventually(t, func() bool { return waiting() == 1 }, time.Minute, 10*time.Millisecond)
			cancel()
			require.NoError(t, holder.Rollback(t.Context()))
			r := <-done
			require.NoError(t, r.err)
			for _, slot := range r.slots {
				require.NoError(t, slot.Close(ctx))
			}
			require.Eventually(t, func() bool { return waiting() == 0 }, time.Minute, 10*time.Millisecond)
			require.Zero(t, count(t, pool))
		})
	}
}
