// SPDX-License-Identifier: AGPL-3.0-or-later

package zipaes

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestCutAnywhere: whatever a crash leaves behind the last Commit, in either file, an archive goes on with all that was
// committed; and with a part of it where a part of the index is left.
func TestCutAnywhere(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	type state struct {
		file, list int64
		want       map[string][]byte
	}
	want := map[string][]byte{}
	size := func(f *os.File) int64 {
		info, err := f.Stat()
		require.NoError(t, err)
		return info.Size()
	}
	states := []state{{size(p.file), w.index.end, map[string][]byte{}}}
	for i := range uint64(8) {
		b := content(i, int(i)*1000)
		if i < 4 {
			name := fmt.Sprintf("%d", i%3)
			put(t, w, name, b)
			want[name] = b
		} else {
			name := fmt.Sprintf("%d", i%3)
			putWithin(t, w, "1.zip", name, b)
			want["1.zip/"+name] = b
		}
		require.NoError(t, w.Commit())
		now := maps.Clone(want)
		states = append(states, state{size(p.file), w.index.end, now})
	}
	data, err := os.ReadFile(p.file.Name())
	require.NoError(t, err)
	list, err := os.ReadFile(p.list.Name())
	require.NoError(t, err)
	list = list[:w.index.end]
	check := func(cut int64, extra []byte, listCut int64, listExtra []byte, want map[string][]byte) {
		q := newPair(t)
		for f, b := range map[*os.File][]byte{
			q.file: slices.Concat(data[:cut], extra), q.list: slices.Concat(list[:listCut], listExtra),
		} {
			_, err := f.WriteAt(b, 0)
			require.NoError(t, err)
		}
		w, err := Continue(q.file, q.list, password, about)
		require.NoError(t, err)
		want = with(want, "more", content(99, 3000))
		if w.Writing() != "" {
			delete(want, "more")
			want["1.zip/more"] = content(99, 3000)
			putWithin(t, w, "1.zip", "more", content(99, 3000))
		} else {
			put(t, w, "more", content(99, 3000))
		}
		require.NoError(t, w.Finish(t.Context()))
		require.Equal(t, want, unpack(t, q.file.Name()))
	}
	for _, s := range states {
		check(s.file, nil, s.list, nil, s.want)
		check(s.file, content(1, 500), s.list, content(2, 70), s.want)
		check(int64(len(data)), nil, s.list, list[s.list:min(int64(len(list)), s.list+30)], s.want)
	}
	for range 10 {
		cut := rand.Int64N(int64(len(list))-states[0].list) + states[0].list
		s := states[0]
		for _, later := range states {
			if later.list <= cut {
				s = later
			}
		}
		check(int64(len(data)), nil, cut, nil, s.want)
	}
}

func with(of map[string][]byte, name string, b []byte) map[string][]byte {
	more := maps.Clone(of)
	more[name] = b
	return more
}

// TestReopened: a finished archive goes on, time and again, and its list can be read meanwhile.
func TestReopened(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	want := map[string][]byte{}
	for i := range uint64(4) {
		name := fmt.Sprintf("%d.dcm", i)
		want[name] = content(i, 5<<20*int(i%2)+10)
		put(t, w, name, want[name])
		require.NoError(t, w.Commit())
		l, err := ReadList(p.list, password)
		require.NoError(t, err)
		n, there := l.Size("", name)
		require.True(t, there)
		require.EqualValues(t, len(want[name]), n)
		require.Equal(t, w.End(), l.End)
		require.NoError(t, w.Finish(t.Context()))
		require.Equal(t, want, unpack(t, p.file.Name()))

		info, err := p.file.Stat()
		require.NoError(t, err)
		finished, err := ReadFinished(p.file, info.Size())
		require.NoError(t, err)
		require.Equal(t, "job 1", finished.Label)
		_, there = finished.Size("", name)
		require.True(t, there)
		require.ErrorIs(t, Reopen(p.file, info.Size(), p.list, password, "job 2"), ErrOther)
		require.NoError(t, Reopen(p.file, info.Size(), p.list, password, "job 1"))
		entries := w.Entries()
		w, err = Continue(p.file, p.list, password, about)
		require.NoError(t, err)
		require.Equal(t, entries, w.Entries())
		got, err := w.Content("", name, 5)
		require.NoError(t, err)
		require.Equal(t, want[name][:5], got)
	}
	_, err := Continue(p.file, p.list, password, About{Label: "job 2"})
	require.ErrorIs(t, err, ErrOther)
	_, err = Continue(p.file, p.list, []byte("another password"), about)
	require.ErrorIs(t, err, ErrOther)
}

// TestTogether: several put and commit at once.
func TestTogether(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for k := range 10 {
				_, err := w.Put(t.Context(), fmt.Sprintf("%d/%d", i, k), noon, bytes.NewReader(content(uint64(k), 10_000*k)))
				if err == nil {
					err = w.Commit()
				}
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w, err := Continue(p.file, p.list, password, about)
	require.NoError(t, err)
	require.NoError(t, w.Finish(t.Context()))
	got := unpack(t, p.file.Name())
	require.Len(t, got, 40)
	for name, b := range got {
		var i, k int
		_, err := fmt.Sscanf(name, "%d/%d", &i, &k)
		require.NoError(t, err)
		require.True(t, bytes.Equal(content(uint64(k), 10_000*k), b), name)
	}
}

// failing is a file that has no room for so many bytes beyond a place.
type failing struct {
	*os.File
	full int64
}

var errFull = errors.New("no room")

func (f *failing) WriteAt(b []byte, at int64) (int, error) {
	if at+int64(len(b)) <= f.full {
		return f.File.WriteAt(b, at)
	}
	n := 0
	if at < f.full {
		n, _ = f.File.WriteAt(b[:f.full-at], at)
	}
	return n, errFull
}

// TestFull: what has no room is an error, and what comes when there is some again is whole.
func TestFull(t *testing.T) {
	p := newPair(t)
	file := &failing{File: p.file, full: 50_000}
	w, err := Create(t.Context(), file, p.list, password, about)
	require.NoError(t, err)
	want := map[string][]byte{"a": content(1, 10_000), "1.zip/b": content(2, 20_000)}
	put(t, w, "a", want["a"])
	putWithin(t, w, "1.zip", "b", want["1.zip/b"])
	for range 2 {
		_, err := w.PutWithin(t.Context(), "1.zip", "c", noon, bytes.NewReader(content(3, 30_000)))
		require.ErrorIs(t, err, errFull)
		_, err = w.Put(t.Context(), "d", noon, bytes.NewReader(content(3, 30_000)))
		require.ErrorIs(t, err, errFull)
	}
	require.NoError(t, w.Commit())
	require.ErrorIs(t, w.Finish(t.Context()), errFull)
	file.full = 1 << 30
	want["e"] = content(5, 100_000)
	put(t, w, "e", want["e"])
	require.NoError(t, w.Finish(t.Context()))
	require.Equal(t, want, unpack(t, p.file.Name()))
}

// TestFullIndex: what was put finds a place in the index, however full the disk is, and what has none is an error.
func TestFullIndex(t *testing.T) {
	p := newPair(t)
	list := &failing{File: p.list, full: 200_000}
	w, err := Create(t.Context(), p.file, list, password, about)
	require.NoError(t, err)
	want, put := map[string][]byte{}, 0
	for i := 0; err == nil; i++ {
		name := fmt.Sprintf("%d/%s", i, strings.Repeat("&long ", i%20))
		if i%3 == 0 {
			_, err = w.PutWithin(t.Context(), fmt.Sprintf("%d.zip", i/100), name, noon, strings.NewReader(name))
			name = fmt.Sprintf("%d.zip/%s", i/100, name)
		} else {
			_, err = w.Put(t.Context(), name, noon, strings.NewReader(name))
		}
		if err == nil {
			put++
		} else if strings.HasSuffix(err.Error(), "is over") {
			err = nil
		}
		if i%50 == 0 {
			require.NoError(t, w.Commit())
		}
		want[name] = nil
	}
	require.ErrorIs(t, err, errFull)
	require.Greater(t, put, 100)
	require.NoError(t, w.Commit())
}

// FuzzDirectory: no file makes who reads it for a finished archive do harm.
func FuzzDirectory(f *testing.F) {
	p := newPair(f)
	w := p.create(f)
	put(f, w, "a/b.dcm", []byte("content"))
	require.NoError(f, w.Finish(f.Context()))
	b, err := os.ReadFile(p.file.Name())
	require.NoError(f, err)
	f.Add(b)
	f.Add(directory(make([]*Entry, 0), 0, ""))
	var many []*Entry
	for range most16 {
		many = append(many, &Entry{Name: "x"})
	}
	f.Add(directory(many, 0, ""))
	f.Fuzz(func(t *testing.T, b []byte) {
		entries, at, _, err := readDirectory(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		for _, e := range entries {
			if e.Offset < 0 || e.Size < 0 || e.Offset >= at {
				t.Errorf("%+v of an archive of %d bytes", e, len(b))
			}
		}
	})
}

// FuzzIndex: no index makes who reads it do harm, though its batches were sealed.
func FuzzIndex(f *testing.F) {
	of, err := newIndex(nil, password, make([]byte, saltSize))
	require.NoError(f, err)
	for _, b := range []batch{{Label: "job 1"}, {Changes: []change{{Entry: Entry{Name: "a"}}}, Open: &Entry{Name: "1.zip"}}} {
		text, err := json.Marshal(b)
		require.NoError(f, err)
		f.Add(text, true)
		f.Add(of.seal(text), false)
	}
	f.Fuzz(func(t *testing.T, b []byte, seal bool) {
		i := &index{aead: of.aead, end: of.end}
		if seal {
			b = of.seal(b)
		}
		w := newWriter(nil, i, password, about)
		w.apply(i.read(b))
		for _, e := range w.Entries() {
			if e.Offset < 0 || e.Size < 0 || e.end() < 0 {
				t.Errorf("%+v", e)
			}
		}
		if w.End() < 0 {
			t.Error(w.End())
		}
	})
}

// BenchmarkPut is what an entry of 512 KB costs.
func BenchmarkPut(b *testing.B) {
	w, data := newPair(b).create(b), content(1, 512<<10)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		put(b, w, "a", data)
		if w.end > 1<<30 {
			w.end = 0
		}
	}
}

// BenchmarkPutWithin is what one costs in an archive within.
func BenchmarkPutWithin(b *testing.B) {
	w, data := newPair(b).create(b), content(1, 512<<10)
	b.SetBytes(int64(len(data)))
	for i := 0; b.Loop(); i++ {
		putWithin(b, w, fmt.Sprintf("%d.zip", i/1000), "a", data)
	}
}

// BenchmarkKey is what the keys of an entry cost.
func BenchmarkKey(b *testing.B) {
	for b.Loop() {
		_, _ = newCrypt(password, nil)
	}
}

// BenchmarkXOR is what encryption costs without the sum.
func BenchmarkXOR(b *testing.B) {
	c, err := newCrypt(password, nil)
	require.NoError(b, err)
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c.xor(data, 0)
	}
}

// BenchmarkSum is what the sum costs without encryption.
func BenchmarkSum(b *testing.B) {
	c, err := newCrypt(password, nil)
	require.NoError(b, err)
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		c.mac.Write(data)
	}
}

// TestMany: 70,000 entries open.
func TestMany(t *testing.T) {
	p := newPair(t)
	w := p.create(t)
	c, err := newCrypt(password, nil) // 70,000 keys take a minute: one key does for entries that nobody is to keep secret
	require.NoError(t, err)
	const n = 70_000
	for i := range n {
		e := &Entry{Name: fmt.Sprintf("%d/%d.dcm", i/1000, i), Modified: noon, Size: 5}
		c.mac.Reset()
		b := []byte(fmt.Sprintf("%05d", i))
		c.xor(b, 0)
		c.mac.Write(b)
		require.NoError(t, w.add(t.Context(), e, append(append(e.head(nil, c), b...), c.sum()...)))
		if i%10_000 == 0 {
			require.NoError(t, w.Commit())
		}
	}
	require.NoError(t, w.Finish(t.Context()))
	for _, args := range [][]string{{"7zz", "l", p.file.Name()}, {"bsdtar", "-tf", p.file.Name()}} {
		out, err := run(t, args[0], args[1:]...)
		require.NoError(t, err, out)
		require.Contains(t, out, "69/69999.dcm")
		require.Equal(t, n, strings.Count(out, ".dcm"))
		require.NotContains(t, out, "Error")
	}
	out, err := run(t, "7zz", "t", "-p"+string(password), p.file.Name(), "0/*", "69/*")
	require.NoError(t, err, out)
	info, err := p.file.Stat()
	require.NoError(t, err)
	require.NoError(t, Reopen(p.file, info.Size(), p.list, password, "job 1"))
	w, err = Continue(p.file, p.list, password, about)
	require.NoError(t, err)
	require.Len(t, w.Entries(), n+1)
}
