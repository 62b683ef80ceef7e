// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

var key = seriesKey{1, "1.2", "1.2.3"}

var bear = patience{bears: time.Hour} // longer than any test

func newCache(t *testing.T, bytes int64) *Cache {
	t.Helper()
	c, err := OpenCache(filepath.Join(t.TempDir(), "series"), bytes)
	require.NoError(t, err)
	return c
}

// object is the data of an instance.
type object []byte

func (o object) WriteTo(w io.Writer) (int64, error) {
	n, err := bytes.NewReader(o).WriteTo(struct{ io.Writer }{w})
	return n, err
}

func meta(n int) stream.FileMeta {
	return stream.FileMeta{
		MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: fmt.Sprintf("1.2.3.%d", n),
		TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
}

func data(n, size int) object { return bytes.Repeat([]byte{byte(n)}, size) }

// sends returns a fetch that brings so many instances of a size.
func sends(n, size int) func(context.Context, *entry) error {
	return func(ctx context.Context, e *entry) error {
		for i := range n {
			if err := e.add(ctx, meta(i), data(i, size), bear); err != nil {
				return err
			}
		}
		return nil
	}
}

// readAll reads a series from its beginning, as far as it goes.
func readAll(t *testing.T, e *entry) (got [][]byte, err error) {
	t.Helper()
	pos := e.follow()
	defer e.unfollow(pos)
	for n := 0; ; n++ {
		_, ok, err := e.next(t.Context(), n)
		if err != nil || !ok {
			return got, err
		}
		b, err := io.ReadAll(&tail{ctx: t.Context(), e: e, n: n, pos: pos})
		if err != nil {
			return got, err
		}
		got = append(got, b)
		e.passed(pos, n)
	}
}

func want(n, i, size int) []byte { return append(meta(i).AppendTo(nil), data(n, size)...) }

// TestCrowd: many who read a series at once cost one fetch, and each gets all of it.
func TestCrowd(t *testing.T) {
	c := newCache(t, 1<<30)
	var mu sync.Mutex
	fetches := 0
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() {
			e, _, err := c.join(key, -1, func(ctx context.Context, e *entry) error {
				mu.Lock()
				fetches++
				mu.Unlock()
				return sends(20, 1<<16)(ctx, e)
			})
			if !errors.Is(err, nil) {
				t.Error(err)
				return
			}
			defer e.leave(true)
			got, err := readAll(t, e)
			if err != nil || len(got) != 20 || !bytes.Equal(got[19], want(19, 19, 1<<16)) {
				t.Errorf("%d instances, %v", len(got), err)
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, fetches)
	require.Equal(t, int64(20*(1<<16+len(meta(0).AppendTo(nil)))), c.Used())
}

// TestSlow: one who takes nothing holds the server back, at the window; somebody faster lets it go on, and the slow one
// gets all of it later.
func TestSlow(t *testing.T) {
	const size = 1 << 20
	c := newCache(t, 1<<30)
	e, _, err := c.join(key, -1, sends(64, size))
	require.NoError(t, err)
	slow := e.follow()
	_, ok, err := e.next(t.Context(), 14)
	require.NoError(t, err)
	require.True(t, ok)
	e.mu.Lock()
	for e.size < window { // it is held back then
		require.NoError(t, e.await(t.Context()))
	}
	require.False(t, e.ended)
	require.Less(t, e.size, int64(window+size))
	e.mu.Unlock()

	fast, there, err := c.join(key, -1, nil)
	require.NoError(t, err)
	require.True(t, there)
	got, err := readAll(t, fast)
	require.NoError(t, err)
	require.Len(t, got, 64)
	fast.leave(true)

	b, err := io.ReadAll(&tail{ctx: t.Context(), e: e, n: 63, pos: slow})
	require.NoError(t, err)
	require.Equal(t, want(63, 63, size), b)
	e.leave(true)
}

// TestBornLongEnough: a server that was held back for as long as it bears is held back no more.
func TestBornLongEnough(t *testing.T) {
	c := newCache(t, 1<<30)
	e, _, err := c.join(key, -1, func(ctx context.Context, e *entry) error {
		for i := range 40 {
			if err := e.add(ctx, meta(i), data(i, 1<<20), patience{bears: time.Millisecond}); err != nil {
				return err
			}
		}
		return nil
	})
	require.NoError(t, err)
	defer e.leave(true)
	defer e.unfollow(e.follow())
	items, err := e.whole(t.Context())
	require.NoError(t, err)
	require.Len(t, items, 40)
}

// TestLeaves: a fetch that nobody waits for ends, unless the last one got what it wanted; what broke off is not kept,
// and nobody takes it for the whole.
func TestLeaves(t *testing.T) {
	c := newCache(t, 1<<30)
	ended := make(chan error, 1)
	stuck := func(ctx context.Context, e *entry) error {
		if err := sends(1, 10)(ctx, e); err != nil {
			return err
		}
		<-ctx.Done()
		ended <- context.Cause(ctx)
		return context.Cause(ctx)
	}
	e, _, err := c.join(key, -1, stuck)
	require.NoError(t, err)
	other, there, err := c.join(key, -1, stuck)
	require.NoError(t, err)
	require.True(t, there)
	_, _, err = other.find(t.Context(), "1.2.3.0")
	require.NoError(t, err)
	other.leave(false)
	select {
	case <-ended:
		t.Fatal("somebody reads it still")
	default:
	}
	e.leave(false)
	require.ErrorIs(t, <-ended, errAbandoned)
	_, err = e.whole(t.Context())
	require.ErrorIs(t, err, errAbandoned)

	broken := errors.New("the server has gone")
	e, there, err = c.join(key, -1, func(ctx context.Context, e *entry) error {
		return errors.Join(sends(2, 10)(ctx, e), broken)
	})
	require.NoError(t, err)
	require.False(t, there)
	_, err = readAll(t, e)
	require.ErrorIs(t, err, broken)
	e.leave(false)
	require.Zero(t, c.Used())
	e, there, err = c.join(key, -1, sends(1, 10))
	require.NoError(t, err)
	require.False(t, there)
	_, err = e.whole(t.Context())
	require.NoError(t, err)
	e.leave(true)
	files, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Len(t, files, 1)
	info, err := files[0].Info()
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}

// TestBrokenInstance: an instance that broke off ends with an error, not as a shorter one.
func TestBrokenInstance(t *testing.T) {
	c := newCache(t, 1<<30)
	lost := errors.New("lost")
	e, _, err := c.join(key, -1, func(ctx context.Context, e *entry) error {
		return e.add(ctx, meta(0), breaking{data(0, 100), lost}, bear)
	})
	require.NoError(t, err)
	defer e.leave(false)
	_, ok, err := e.next(t.Context(), 0)
	require.NoError(t, err)
	require.True(t, ok)
	b, err := io.ReadAll(&tail{ctx: t.Context(), e: e, n: 0})
	require.ErrorIs(t, err, lost)
	require.NotEmpty(t, b)
	_, ok, err = e.find(t.Context(), "1.2.3.0")
	require.ErrorIs(t, err, lost)
	require.False(t, ok)
}

type breaking struct {
	object
	err error
}

func (b breaking) WriteTo(w io.Writer) (int64, error) {
	n, _ := b.object.WriteTo(w)
	return n, b.err
}

// TestRoom: what was read longest ago makes room; what is read now never does; and a series that is too large is
// refused, with nothing left of it.
func TestRoom(t *testing.T) {
	one := int64(len(meta(0).AppendTo(nil)) + 1000)
	c := newCache(t, 3*one)
	series := func(n int) seriesKey { return seriesKey{1, "1.2", fmt.Sprintf("1.2.%d", n)} }
	get := func(n int) (*entry, bool) {
		e, there, err := c.join(series(n), -1, sends(1, 1000))
		require.NoError(t, err)
		return e, there
	}
	for n := range 3 {
		e, _ := get(n)
		_, err := e.whole(t.Context())
		require.NoError(t, err)
		e.leave(true)
	}
	first, there := get(0) // it is read now
	require.True(t, there)
	e, _ := get(3)
	_, err := e.whole(t.Context())
	require.NoError(t, err)
	e.leave(true)
	require.Len(t, c.all, 3)
	require.NotContains(t, c.all, series(1), "it was read longest ago")
	got, err := readAll(t, first)
	require.NoError(t, err)
	require.Equal(t, want(0, 0, 1000), got[0])

	large, _, err := c.join(series(9), -1, sends(1, 5000))
	require.NoError(t, err)
	_, err = large.whole(t.Context())
	require.ErrorIs(t, err, ErrFull)
	large.leave(false)
	first.leave(true)

	c.Expire(time.Now().Add(keptIdle + time.Second))
	require.Zero(t, c.Used())
	files, err := os.ReadDir(c.dir)
	require.NoError(t, err)
	require.Empty(t, files)
}

// TestOld: a series is not kept for ever, though somebody reads it; who does reads on, and its room is theirs until
// then.
func TestOld(t *testing.T) {
	c := newCache(t, 1<<30)
	e, _, err := c.join(key, -1, sends(2, 10))
	require.NoError(t, err)
	_, err = e.whole(t.Context())
	require.NoError(t, err)
	c.Expire(time.Now().Add(keptMost + time.Second))
	require.Empty(t, c.all)
	require.Positive(t, c.Used())
	got, err := readAll(t, e)
	require.NoError(t, err)
	require.Len(t, got, 2)
	e.leave(true)
	require.Zero(t, c.Used())
}

// TestLent: another member reads a series while it comes, and finds out where it breaks off.
func TestLent(t *testing.T) {
	c := newCache(t, 1<<30)
	goOn := make(chan error)
	e, _, err := c.join(key, -1, func(ctx context.Context, e *entry) error {
		if err := sends(2, 100)(ctx, e); err != nil {
			return err
		}
		return <-goOn
	})
	require.NoError(t, err)
	_, err = c.Open("1/1.2/9.9")
	require.ErrorIs(t, err, os.ErrNotExist)
	file, err := c.Open(key.fileName(-1))
	require.NoError(t, err)
	var length [8]byte
	for n := range 2 {
		_, err = io.ReadFull(file, length[:])
		require.NoError(t, err)
		b := make([]byte, binary.BigEndian.Uint64(length[:]))
		_, err = io.ReadFull(file, b)
		require.NoError(t, err)
		require.Equal(t, want(n, n, 100), b)
	}
	goOn <- nil
	_, err = io.ReadFull(file, length[:])
	require.NoError(t, err)
	require.Zero(t, binary.BigEndian.Uint64(length[:]))
	require.NoError(t, file.Close())
	e.leave(true)
}

// TestOutgrown: a series of which the server counts more than it did is fetched anew, once.
func TestOutgrown(t *testing.T) {
	c := newCache(t, 1<<30)
	fetch := func(counted, n int) func(context.Context, *entry) error {
		return func(ctx context.Context, e *entry) error {
			e.counts(counted)
			return sends(n, 10)(ctx, e)
		}
	}
	get := func(counted, n int) (got int, there bool) {
		c.outgrown(key, counted)
		e, there, err := c.join(key, -1, fetch(counted, n))
		require.NoError(t, err)
		defer e.leave(true)
		items, err := e.whole(t.Context())
		require.NoError(t, err)
		return len(items), there
	}
	for _, step := range []struct {
		counted, has, got int
		there             bool
	}{{3, 3, 3, false}, {3, 9, 3, true}, {4, 4, 4, false}, {9, 4, 4, false}, {9, 4, 4, true}, {-1, 4, 4, true}} {
		got, there := get(step.counted, step.has)
		require.Equal(t, step.got, got)
		require.Equal(t, step.there, there, "%d counted", step.counted)
	}
}
