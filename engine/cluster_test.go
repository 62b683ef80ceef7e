// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// join makes a member of a cluster.
func join(t *testing.T, n *harness.Member, dataDir uuid.UUID, name string, roles ...string) uuid.UUID {
	t.Helper()
	id, err := n.Engine.Lease.Register(t.Context(), lease.Registration{
		DataDirID: dataDir, Name: name, Roles: roles, Workers: 8, Version: "1.2",
		ActorAddr: name + ":7201", DataAddr: name + ":7202",
	})
	require.NoError(t, err)
	return id
}

func orders(t *testing.T, n *harness.Member, id uuid.UUID, name string) lease.Orders {
	t.Helper()
	o, err := n.Engine.Lease.Orders(t.Context(), id, name)
	require.NoError(t, err)
	return o
}

// TestMembers: what staff sees of each member, and of those that ended.
func TestMembers(t *testing.T) {
	n := newIdle(t)
	ctx, e := t.Context(), n.Engine.Lease
	folder := n.AddFolder("disk", t.TempDir())
	n.AddFolder("elsewhere", t.TempDir())
	dir := uuid.New()
	join(t, n, dir, "one")
	join(t, n, dir, "one")
	two := join(t, n, uuid.New(), "two", lease.RoleWorker, lease.RoleReceiver)
	gone := join(t, n, uuid.New(), "gone", lease.RoleWeb)
	silent := join(t, n, uuid.New(), "silent")
	require.NoError(t, e.Deregister(ctx, gone))
	_, err := n.Pool.Exec(ctx, "UPDATE members SET fenced_at = now(), ended = 'silent' WHERE id = $1", silent)
	require.NoError(t, err)
	_, err = n.Pool.Exec(ctx, "UPDATE members SET folders = $2, beat_at = now() - interval '7 seconds' WHERE id = $1",
		two, []int64{folder.ID})
	require.NoError(t, err)
	require.NoError(t, e.SetWorkers(ctx, n.Admin, "two", &schedule.Workers{Default: 3}))
	n.Transfer("source", "destination", "1.2.3")
	claim(t, n, two)

	list, err := e.Members(ctx, n.Admin)
	require.NoError(t, err)
	type row struct {
		name, ended                string
		tasks, workers, configured int
		slots                      int
	}
	var rows []row
	for _, m := range list {
		rows = append(rows, row{m.Name, m.Ended, m.Tasks, m.Workers, m.Configured, m.Slots})
		require.Equal(t, m.Ended != "", m.EndedAt != nil)
		require.Equal(t, m.Name+":7201 "+m.Name+":7202 1.2", m.ActorAddr+" "+m.DataAddr+" "+m.Version)
	}
	require.Equal(t, []row{
		{"gone", lease.Left, 0, 0, 8, 0},
		{"one", "", 0, 8, 8, 0},
		{"one", lease.Replaced, 0, 0, 8, 0},
		{"silent", lease.Silent, 0, 0, 8, 0},
		{"two", "", 1, 3, 8, 2},
	}, rows)
	require.Equal(t, two, list[4].ID)
	require.GreaterOrEqual(t, list[4].Beat, 7*time.Second)
	require.Equal(t, []string{"disk"}, list[4].Folders)
	require.False(t, list[4].AnyFolder)
	require.Equal(t, []string{lease.RoleWorker, lease.RoleReceiver}, list[4].Started)
	require.True(t, list[1].AnyFolder)
	require.Equal(t, lease.Roles, list[1].Roles)

	_, err = n.Pool.Exec(ctx, "UPDATE members SET fenced_at = now() - interval '61 minutes' WHERE fenced_at IS NOT NULL")
	require.NoError(t, err)
	list, err = e.Members(ctx, n.Admin)
	require.NoError(t, err)
	require.Len(t, list, 2)

	var denied *people.Denied
	_, err = e.Members(ctx, somebody(t, n))
	require.ErrorAs(t, err, &denied)
}

// somebody is a user without any right.
func somebody(t *testing.T, n *harness.Member) people.User {
	t.Helper()
	var id int64
	row := n.Pool.QueryRow(t.Context(), "INSERT INTO users (username) VALUES ('somebody') RETURNING id")
	require.NoError(t, row.Scan(&id))
	return people.User{ID: id, Username: "somebody"}
}

// TestDrain: a member that is drained has no workers, also after a restart, until somebody resumes it; no other is
// touched.
func TestDrain(t *testing.T) {
	n := newIdle(t)
	ctx, e, dir := t.Context(), n.Engine.Lease, uuid.New()
	one, two := join(t, n, dir, "one"), join(t, n, uuid.New(), "two")
	require.NoError(t, e.SetWorkers(ctx, n.Admin, "one", &schedule.Workers{Default: 3}))
	require.Equal(t, 3, orders(t, n, one, "one").Workers)

	for range 2 { // the second time it is so already
		s, err := e.Drain(ctx, n.Admin, "one", true)
		require.NoError(t, err)
		require.Equal(t, lease.MemberSettings{Name: "one", Draining: true}, s)
	}
	_, rows := lastEntry(t, n)
	_, err := e.Drain(ctx, n.Admin, "one", true)
	require.NoError(t, err)
	_, after := lastEntry(t, n)
	require.Equal(t, rows, after, "nothing changed")
	require.Zero(t, orders(t, n, one, "one").Workers)
	require.Equal(t, lease.Roles, orders(t, n, one, "one").Roles, "it takes what others move, and serves people")
	require.Equal(t, -1, orders(t, n, two, "two").Workers)
	one = join(t, n, dir, "one")
	require.Zero(t, orders(t, n, one, "one").Workers)

	require.NoError(t, e.Deregister(ctx, one))
	_, err = n.Pool.Exec(ctx, "DELETE FROM members WHERE name = 'one'")
	require.NoError(t, err)
	_, err = e.Drain(ctx, n.Admin, "one", false)
	require.NoError(t, err, "nobody has to start a member to resume it")
	_, err = e.Drain(ctx, n.Admin, "one", false)
	require.ErrorIs(t, err, refusal.ErrNotFound)
	one = join(t, n, dir, "one")
	require.Equal(t, 3, orders(t, n, one, "one").Workers)
}

// TestRoles: members do what they were started with, or less of it.
func TestRoles(t *testing.T) {
	n := newIdle(t)
	ctx, e := t.Context(), n.Engine.Lease
	one, two := join(t, n, uuid.New(), "one"), join(t, n, uuid.New(), "two", lease.RoleWorker, lease.RoleWeb)

	s, err := e.SetRoles(ctx, n.Admin, "one", []string{lease.RoleReceiver, lease.RoleWeb, lease.RoleWeb})
	require.NoError(t, err)
	require.Equal(t, []string{lease.RoleWeb, lease.RoleReceiver}, s.Roles)
	o := orders(t, n, one, "one")
	require.Equal(t, []string{lease.RoleWeb, lease.RoleReceiver}, o.Roles)
	require.Zero(t, o.Workers)

	for roles, want := range map[string]string{
		"cook": "is no role", lease.RoleReceiver: "was not started with the role receiver",
	} {
		var invalid *refusal.Invalid
		_, err = e.SetRoles(ctx, n.Admin, "two", []string{roles})
		require.ErrorAs(t, err, &invalid)
		require.Contains(t, invalid.Reason, want)
	}
	_, err = e.SetRoles(ctx, n.Admin, "nobody", []string{lease.RoleWeb})
	require.ErrorIs(t, err, refusal.ErrNotFound)
	var denied *people.Denied
	_, err = e.SetRoles(ctx, somebody(t, n), "one", nil)
	require.ErrorAs(t, err, &denied)

	_, err = e.SetRoles(ctx, n.Admin, "two", []string{lease.RoleWorker})
	require.NoError(t, err)
	require.Equal(t, -1, orders(t, n, two, "two").Workers)
	var conflict *refusal.Conflict
	_, err = e.SetRoles(ctx, n.Admin, "one", []string{lease.RoleReceiver})
	require.ErrorAs(t, err, &conflict)
	require.Contains(t, conflict.Reason, "no other member has the role web")

	s, err = e.SetRoles(ctx, n.Admin, "one", nil)
	require.NoError(t, err)
	require.Nil(t, s.Roles)
	require.Equal(t, lease.Roles, orders(t, n, one, "one").Roles)
	require.Equal(t, -1, orders(t, n, one, "one").Workers)
	require.Zero(t, orders(t, n, uuid.New(), "one").Roles, "one that nobody knows is told nothing")
}
