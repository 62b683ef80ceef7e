// SPDX-License-Identifier: AGPL-3.0-or-later

package socket

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/rand/v2"
	"net"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/actors/cluster"
)

// certificates are those of a member of a cluster that the test made.
func certificates(t testing.TB) *cluster.Certificates {
	t.Helper()
	dir := t.TempDir()
	ca, member := filepath.Join(dir, "ca"), filepath.Join(dir, "member")
	require.NoError(t, cluster.InitCA(ca))
	require.NoError(t, cluster.Issue(ca, "m1", member, 365*24*time.Hour))
	c, err := cluster.OpenCertificates(
		filepath.Join(member, "ca.pem"), filepath.Join(member, "member.pem"), filepath.Join(member, "member.key"),
	)
	require.NoError(t, err)
	return c
}

// scripted is a Handler whose functions the test names.
type scripted struct {
	take func(ctx context.Context, o Object, data io.Reader, abort func()) Answer
	open func(f File) (io.ReadCloser, error)

	mu      sync.Mutex
	removed []string
}

func (s *scripted) Take(ctx context.Context, o Object, data io.Reader, abort func()) Answer {
	return s.take(ctx, o, data, abort)
}

func (s *scripted) Open(_ context.Context, f File) (io.ReadCloser, error) { return s.open(f) }

func (s *scripted) Remove(_ context.Context, f File) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.removed = append(s.removed, f.Name)
	return nil
}

// pair is a server and a client that calls it.
type pair struct {
	*Client
	address string
	conns   atomic.Int32 // that were made
}

// serve starts a server on TCP, which ends with the test.
func serve(t testing.TB, h Handler) *pair {
	t.Helper()
	certs := certificates(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &pair{address: l.Addr().String()}
	p.Client = &Client{TLS: certs.ClientTLS(Protocol), dial: func(ctx context.Context, address string) (net.Conn, error) {
		p.conns.Add(1)
		return (&net.Dialer{}).DialContext(ctx, "tcp", address)
	}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := &Server{Handler: h, TLS: certs.ServerTLS(Protocol), Log: slog.New(slog.DiscardHandler)}
	go func() { done <- s.Serve(ctx, l) }()
	t.Cleanup(func() {
		p.Close()
		cancel()
		require.NoError(t, <-done)
	})
	return p
}

func randomBytes(n int) []byte {
	b := make([]byte, n)
	r := rand.NewChaCha8([32]byte{1})
	_, _ = r.Read(b)
	return b
}

// TestBring: objects of any size arrive byte for byte, one after the other over one connection, with what describes
// them, and the answer comes back.
func TestBring(t *testing.T) {
	var got []byte
	var head Object
	p := serve(t, &scripted{take: func(_ context.Context, o Object, data io.Reader, _ func()) Answer {
		var err error
		head = o
		got, err = io.ReadAll(data)
		if err != nil {
			return Answer{Status: 0x0110, Outcome: err.Error()}
		}
		return Answer{Status: 0, Outcome: "taken"}
	}})
	want := Object{
		Token: "t", Servers: []int64{3, 4}, SOPClassUID: "1.2", SOPInstanceUID: "1.3", TransferSyntaxUID: "1.4",
		Priority: 1, Originator: "ADIT", MessageID: 65535,
	}
	for _, size := range []int{0, 1, partSize - 1, partSize, partSize + 1, 5 << 20} {
		whole := randomBytes(size)
		a, err := p.Bring(t.Context(), p.address, want, bytes.NewReader(whole), never(t))
		require.NoError(t, err)
		require.Equal(t, Answer{Outcome: "taken"}, a)
		require.True(t, bytes.Equal(whole, got), size)
		require.Equal(t, want, head)
	}
	require.EqualValues(t, 1, p.conns.Load())
}

// TestAnswerBeforeTheEnd: who refuses an object is not sent the rest, and the connection is used again.
func TestAnswerBeforeTheEnd(t *testing.T) {
	p := serve(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, abort func()) Answer {
		var first [1]byte
		_, _ = io.ReadFull(data, first[:])
		if first[0] == 1 {
			abort()
		}
		return Answer{Status: 0xA900, Outcome: "refused"}
	}})
	for i, want := range []Answer{{Status: 0xA900, Outcome: "refused"}, {Abort: true}, {Status: 0xA900, Outcome: "refused"}} {
		aborted := false
		endless := io.MultiReader(bytes.NewReader([]byte{byte(i)}), zeros{})
		a, err := p.Bring(t.Context(), p.address, Object{}, endless, func() { aborted = true })
		require.NoError(t, err)
		require.Equal(t, want, a)
		require.Equal(t, want.Abort, aborted)
	}
	require.EqualValues(t, 2, p.conns.Load(), "one that was aborted is not used again")
}

func never(t *testing.T) func() { return func() { t.Error("nobody aborted it") } }

// TestAbortOfASilentSource: an object that doesn't go on is ended on both sides when nobody waits for it any more.
func TestAbortOfASilentSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gone, ended := make(chan struct{}), make(chan time.Duration, 1)
		c := piped(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, abort func()) Answer {
			time.AfterFunc(time.Minute, abort)
			began := time.Now()
			_, err := io.Copy(io.Discard, data)
			require.Error(t, err)
			ended <- time.Since(began)
			return Answer{Outcome: "taken"}
		}}, func(c net.Conn) net.Conn { return c })
		began := time.Now()
		silent := io.MultiReader(strings.NewReader("one"), until{gone})
		a, err := c.Bring(t.Context(), "peer", Object{}, silent, func() { close(gone) })
		require.NoError(t, err)
		require.Equal(t, Answer{Abort: true}, a)
		most := time.Minute + silence + 2*aliveEvery // a pipe has no buffer: what nobody reads is given up
		require.Less(t, time.Since(began), most)
		require.Less(t, <-ended, most)
	})
}

// until is a part of a reader in which nothing comes before an end.
type until struct{ gone chan struct{} }

func (u until) Read([]byte) (int, error) {
	<-u.gone
	return 0, errFailing
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// TestBrokenData: what ends before its end is never taken for whole, on either side.
func TestBrokenData(t *testing.T) {
	seen := make(chan error, 1)
	p := serve(t, &scripted{
		take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
			_, err := io.Copy(io.Discard, data)
			seen <- err
			return Answer{Outcome: "taken"}
		},
		open: func(File) (io.ReadCloser, error) {
			return io.NopCloser(io.MultiReader(strings.NewReader("half"), failing{})), nil
		},
	})
	half := io.MultiReader(bytes.NewReader(randomBytes(1<<20)), failing{})
	_, err := p.Bring(t.Context(), p.address, Object{}, half, never(t))
	var source *SourceError
	require.ErrorAs(t, err, &source)
	require.ErrorIs(t, err, errFailing)
	require.Error(t, <-seen)

	f, err := p.Open(t.Context(), p.address, File{})
	require.NoError(t, err)
	text, err := io.ReadAll(f)
	require.ErrorIs(t, err, errBroken)
	require.Equal(t, "half", string(text))
	require.NoError(t, f.Close())
}

var errFailing = errors.New("the PACS broke off")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errFailing }

// TestFiles: a file is read whole, one that is missing is told from one that can't be read, and one is removed.
func TestFiles(t *testing.T) {
	whole := randomBytes(3 << 20)
	h := &scripted{open: func(f File) (io.ReadCloser, error) {
		switch f.Name {
		case "there":
			return io.NopCloser(bytes.NewReader(whole)), nil
		case "missing":
			return nil, fmt.Errorf("%s: %w", f.Name, fs.ErrNotExist)
		}
		return nil, errors.New("the disk is damaged")
	}}
	p := serve(t, h)
	file := func(name string) File { return File{Store: uuid.Nil, Name: name} }
	for range 2 {
		f, err := p.Open(t.Context(), p.address, file("there"))
		require.NoError(t, err)
		got, err := io.ReadAll(f)
		require.NoError(t, errors.Join(err, f.Close()))
		require.True(t, bytes.Equal(whole, got))
	}
	_, err := p.Open(t.Context(), p.address, file("missing"))
	require.ErrorIs(t, err, fs.ErrNotExist)
	_, err = p.Open(t.Context(), p.address, file("damaged"))
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "the disk is damaged", refused.Reason)
	require.NoError(t, p.Remove(t.Context(), p.address, file("old")))
	require.Equal(t, []string{"old"}, h.removed)

	f, err := p.Open(t.Context(), p.address, file("there"))
	require.NoError(t, err)
	require.NoError(t, f.Close(), "not read to its end")
	_ = f.Close() // twice does no harm
	require.NoError(t, p.Remove(t.Context(), p.address, file("old")))
}

// TestSlowReader: who reads a file slowly reads it all.
func TestSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := piped(t, &scripted{open: func(File) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(zeros{}, 8<<20)), nil
		}}, func(c net.Conn) net.Conn { return c })
		f, err := c.Open(t.Context(), "peer", File{Name: "there"})
		require.NoError(t, err)
		n, err := io.CopyN(io.Discard, f, 1<<20)
		require.NoError(t, err)
		wait(time.Hour)
		rest, err := io.Copy(io.Discard, f)
		require.NoError(t, err)
		require.EqualValues(t, 8<<20, n+rest)
		require.NoError(t, f.Close())
	})
}

// TestStrangers: who calls and says nothing keeps no member away.
func TestStrangers(t *testing.T) {
	p := serve(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
		_, _ = io.Copy(io.Discard, data)
		return Answer{Outcome: "taken"}
	}})
	for range 3 * mostStrangers {
		c, err := net.Dial("tcp", p.address)
		require.NoError(t, err)
		defer func() { _ = c.Close() }()
	}
	a, err := p.Bring(t.Context(), p.address, Object{}, strings.NewReader("one"), never(t))
	require.NoError(t, err)
	require.Equal(t, "taken", a.Outcome)
}

// TestPeerThatIsGone: nobody listens, or the peer ends in the middle.
func TestPeerThatIsGone(t *testing.T) {
	reached := make(chan context.CancelFunc, 1)
	p := serve(t, &scripted{take: func(ctx context.Context, _ Object, data io.Reader, _ func()) Answer {
		var some [1 << 20]byte
		_, _ = io.ReadFull(data, some[:])
		(<-reached)()
		<-ctx.Done()
		return Answer{}
	}})
	ctx, cancel := context.WithCancel(t.Context())
	reached <- cancel
	_, err := p.Bring(ctx, p.address, Object{}, zeros{}, never(t))
	require.Error(t, err)

	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := l.Addr().String()
	require.NoError(t, l.Close())
	_, err = p.Bring(t.Context(), nobody, Object{}, zeros{}, never(t))
	require.ErrorContains(t, err, "can't be reached")
}

// piped is a client whose connections end at a server, all in memory and in the time of a bubble.
func piped(t *testing.T, h Handler, wrap func(net.Conn) net.Conn) *Client {
	t.Helper()
	certs := certificates(t) // a bubble has a time of its own
	s := &Server{Handler: h, TLS: certs.ServerTLS(Protocol), Log: slog.New(slog.DiscardHandler)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	c := &Client{TLS: certs.ClientTLS(Protocol), dial: func(context.Context, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		all.Go(func() { s.serve(ctx, theirs, make(chan struct{}, 1)) })
		return wrap(ours), nil
	}}
	t.Cleanup(func() {
		c.Close()
		cancel()
		all.Wait()
	})
	return c
}

// TestPatience: who waits for a slow PACS or a slow destination waits as long as it takes; a peer that says nothing is
// given up.
func TestPatience(t *testing.T) {
	same := func(c net.Conn) net.Conn { return c }
	t.Run("a slow PACS and a slow destination", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
				n, err := io.Copy(io.Discard, data)
				wait(2 * time.Hour)
				return Answer{Outcome: fmt.Sprint(n, err)}
			}}, same)
			slow := io.MultiReader(strings.NewReader("one"), waiting{time.Hour}, strings.NewReader("two"))
			a, err := c.Bring(t.Context(), "peer", Object{}, slow, never(t))
			require.NoError(t, err)
			require.Equal(t, "6 <nil>", a.Outcome)
		})
	})
	t.Run("a destination that takes nothing for a while", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			c := piped(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
				wait(time.Hour)
				n, err := io.Copy(io.Discard, data)
				return Answer{Outcome: fmt.Sprint(n, err)}
			}}, same)
			a, err := c.Bring(t.Context(), "peer", Object{}, io.LimitReader(zeros{}, 1<<20), never(t))
			require.NoError(t, err)
			require.Equal(t, "1048576 <nil>", a.Outcome)
		})
	})
	t.Run("a peer that is frozen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			frozen := &freezing{}
			seen := make(chan error, 1)
			c := piped(t, &scripted{take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
				frozen.now.Store(true)
				_, err := io.Copy(io.Discard, data)
				seen <- err
				return Answer{}
			}}, func(c net.Conn) net.Conn { frozen.Conn = c; return frozen })
			quiet := io.MultiReader(strings.NewReader("one"), waiting{time.Hour})
			_, err := c.Bring(t.Context(), "peer", Object{}, quiet, never(t))
			require.Error(t, err)
			require.Error(t, <-seen)
			require.Less(t, time.Since(began), 2*time.Hour)
		})
	})
}

// freezing is a connection over which nothing more comes or goes from a moment on, as if the peer were stopped.
type freezing struct {
	net.Conn
	now atomic.Bool
}

func (f *freezing) Read(b []byte) (int, error) {
	for {
		n, err := f.Conn.Read(b)
		if err != nil || !f.now.Load() {
			return n, err
		}
	}
}

func (f *freezing) Write(b []byte) (int, error) {
	if f.now.Load() {
		return len(b), nil
	}
	return f.Conn.Write(b)
}

// waiting is a part of a reader in which nothing comes for a while.
type waiting struct{ d time.Duration }

func (w waiting) Read([]byte) (int, error) {
	wait(w.d)
	return 0, io.EOF
}

// wait lets time pass in a bubble.
func wait(d time.Duration) { <-time.After(d) }

// FuzzServer: whatever a peer sends, the server neither panics nor takes for whole what is not.
func FuzzServer(f *testing.F) {
	text, err := headerText(Object{Token: "t"})
	require.NoError(f, err)
	object := appendFrame(nil, frameObject, text)
	text, err = headerText(File{Name: "f"})
	require.NoError(f, err)
	file := appendFrame(nil, frameFile, text)
	whole := appendFrame(appendFrame(object, frameData, []byte("data")), frameEnd, nil)
	f.Add(whole)
	f.Add(append(bytes.Clone(file), whole...))
	f.Add(appendFrame(bytes.Clone(object), frameBroken, nil))
	f.Add([]byte{frameData, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, sent []byte) {
		s := &Server{Log: slog.New(slog.DiscardHandler), Handler: &scripted{
			take: func(_ context.Context, _ Object, data io.Reader, _ func()) Answer {
				if n, err := io.Copy(io.Discard, data); err == nil && !bytes.Contains(sent, []byte{frameEnd, 0, 0, 0, 0}) {
					t.Errorf("%d bytes were taken for whole", n)
				}
				return Answer{}
			},
			open: func(File) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("text")), nil },
		}}
		c := newConn(fed{Reader: bytes.NewReader(sent)})
		for {
			kind, n, err := readHead(c.in)
			if err != nil || s.exchange(t.Context(), c, kind, n) != nil {
				return
			}
		}
	})
}

// fed is a connection that has received some bytes, and takes any.
type fed struct {
	net.Conn
	io.Reader
}

func (f fed) Read(p []byte) (int, error)     { return f.Reader.Read(p) }
func (fed) Write(p []byte) (int, error)      { return len(p), nil }
func (fed) SetReadDeadline(time.Time) error  { return nil }
func (fed) SetWriteDeadline(time.Time) error { return nil }
