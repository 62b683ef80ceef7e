// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// sendsPatiently is sends of a server that bears to be held back for a while.
func sendsPatiently(n, size int, p patience) func(context.Context, *entry) error {
	return func(ctx context.Context, e *entry) error {
		for i := range n {
			if err := e.add(ctx, meta(i), data(i, size), p); err != nil {
				return err
			}
		}
		return nil
	}
}

func filesOf(t *testing.T, c *Cache) int {
	t.Helper()
	files, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	return len(files)
}

// TestPassing: who takes a series away gets all of it, whatever the sizes, and nothing of it touches the disk, however
// slow they are.
func TestPassing(t *testing.T) {
	for _, size := range []int{1, 1000, 1<<20 + 7, passingRoom / 2} {
		c := newCache(t, 1<<30)
		n := 2 + 3*passingRoom/(size+1000)
		e, there := c.pass(key, -1, sends(n, size))
		require.False(t, there)
		got, err := readAll(t, e)
		require.NoError(t, err)
		require.Len(t, got, n)
		for i, b := range got {
			require.Equal(t, want(i, i, size), b)
		}
		require.Zero(t, filesOf(t, c))
		e.leave(true)
		require.Zero(t, c.Used())
		require.Empty(t, c.all, "nobody else can join it")
	}
}

// TestPassingSpill: where the server can't be held back, what waits for a slow reader goes to the disk, and comes from
// there; it is gone with the reader.
func TestPassingSpill(t *testing.T) {
	const size, n = 1 << 20, 20
	c := newCache(t, 1<<30)
	e, _ := c.pass(key, -1, sendsPatiently(n, size, patience{bears: 1}))
	pos := e.follow()
	_, err := e.whole(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, filesOf(t, c))
	require.Positive(t, c.Used())
	e.unfollow(pos)
	got, err := readAll(t, e)
	require.NoError(t, err)
	for i, b := range got {
		require.Equal(t, want(i, i, size), b)
	}
	e.leave(true)
	require.Zero(t, filesOf(t, c))
	require.Zero(t, c.Used())
}

// TestPassingNoRoom: without room on the disk a server that can't be held back ends the retrieve.
func TestPassingNoRoom(t *testing.T) {
	c := newCache(t, 1<<20)
	e, _ := c.pass(key, -1, sendsPatiently(20, 1<<20, patience{bears: 1}))
	pos := e.follow()
	_, err := e.whole(t.Context())
	require.ErrorIs(t, err, ErrFull)
	e.unfollow(pos)
	e.leave(false)
	require.Zero(t, c.Used())
	require.Zero(t, filesOf(t, c))
}

// TestPassingLeft: who leaves ends the fetch.
func TestPassingLeft(t *testing.T) {
	c := newCache(t, 1<<30)
	ended := make(chan error, 1)
	e, _ := c.pass(key, -1, func(ctx context.Context, e *entry) error {
		err := sends(1000, 1<<20)(ctx, e)
		ended <- err
		return err
	})
	pos := e.follow()
	_, ok, err := e.next(t.Context(), 0)
	require.NoError(t, err)
	require.True(t, ok)
	e.unfollow(pos)
	e.leave(false)
	require.ErrorIs(t, <-ended, errAbandoned)
}

// TestPassingHeld: what is there already is taken from there.
func TestPassingHeld(t *testing.T) {
	c := newCache(t, 1<<30)
	first, _, err := c.join(key, -1, sends(3, 1000))
	require.NoError(t, err)
	e, there := c.pass(key, -1, nil)
	require.True(t, there)
	got, err := readAll(t, e)
	require.NoError(t, err)
	require.Len(t, got, 3)
	e.leave(true)
	first.leave(true)
}

// TestPressed: while others wait for the server, nobody's slowness holds it back for longer than a moment.
func TestPressed(t *testing.T) {
	c := newCache(t, 1<<30)
	e, _, err := c.join(key, -1, sendsPatiently(40, 1<<20, patience{
		bears: bear.bears, pressed: func() bool { return true },
	}))
	require.NoError(t, err)
	pos := e.follow()
	_, err = e.whole(t.Context())
	require.NoError(t, err)
	e.unfollow(pos)
	e.leave(false)
}

// TestHeldCounts: what somebody still reads counts for the room, though it was taken out of the cache.
func TestHeldCounts(t *testing.T) {
	c := newCache(t, 10<<20)
	lost := errors.New("the server broke off")
	for range 5 {
		e, _, err := c.join(key, -1, func(ctx context.Context, e *entry) error {
			return errors.Join(e.add(ctx, meta(0), data(0, 3<<20), bear), lost)
		})
		require.NoError(t, err)
		defer e.leave(false)
		_, err = e.whole(t.Context())
		require.ErrorIs(t, err, lost)
		require.LessOrEqual(t, c.Used(), int64(10<<20))
	}
	require.Equal(t, int64(3), c.Used()/(3<<20), "the fourth and fifth have no room")
}

// TestDiskFull: people are told that a disk is full.
func TestDiskFull(t *testing.T) {
	err := notKept(fmt.Errorf("write: %w", syscall.ENOSPC))
	require.ErrorIs(t, err, ErrNoDisk)
	require.ErrorIs(t, notKept(syscall.EDQUOT), ErrNoDisk)
	require.NotErrorIs(t, notKept(syscall.EIO), ErrNoDisk)
}
