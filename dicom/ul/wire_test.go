// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// pair returns both ends of a TCP connection.
func pair(t *testing.T) (ours, theirs *net.TCPConn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	c, err := net.Dial("tcp", l.Addr().String())
	require.NoError(t, err)
	o, err := l.Accept()
	require.NoError(t, err)
	t.Cleanup(func() { c.Close(); o.Close() })
	return o.(*net.TCPConn), c.(*net.TCPConn)
}

// TestLimitWhileBytesCome: a limit ends a peer that never lets a read wait.
func TestLimitWhileBytesCome(t *testing.T) {
	ours, theirs := pair(t)
	w := newWire(ours, time.Minute)
	flooded := make(chan struct{})
	go func() {
		defer close(flooded)
		for err := error(nil); err == nil; {
			_, err = theirs.Write(make([]byte, 1<<16))
		}
	}()
	w.setLimit(time.Millisecond, time.Now().Add(50*time.Millisecond))
	var err error
	for p := make([]byte, 512); err == nil; {
		_, err = w.nc.Read(p)
	}
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	w.cut()
	<-flooded
}

// TestStaleDeadline: a deadline that passed while nobody read or wrote counts for nothing.
func TestStaleDeadline(t *testing.T) {
	ours, theirs := pair(t)
	w := newWire(ours, time.Minute)
	require.NoError(t, ours.SetDeadline(past))
	_, err := theirs.Write([]byte("there"))
	require.NoError(t, err)
	p := make([]byte, 5)
	_, err = io.ReadFull(w.nc, p)
	require.NoError(t, err)
	require.Equal(t, "there", string(p))
	require.NoError(t, ours.SetDeadline(past))
	n, err := w.writev(&net.Buffers{[]byte("and"), nil, []byte("back")})
	require.NoError(t, err)
	require.EqualValues(t, 7, n)
	p = make([]byte, 7)
	_, err = io.ReadFull(theirs, p)
	require.NoError(t, err)
	require.Equal(t, "andback", string(p))
}

// TestWritevInParts: more buffers than one system call takes and more bytes than the socket holds arrive in order, to a
// peer that reads a little at a time; then its end is told, and that it's gone.
func TestWritevInParts(t *testing.T) {
	ours, theirs := pair(t)
	require.NoError(t, ours.SetWriteBuffer(16<<10))
	w := newWire(ours, time.Minute)
	var v net.Buffers
	var want []byte
	for i := range 3000 {
		v = append(v, bytes.Repeat([]byte{byte(i)}, i%997))
		want = append(want, v[i]...)
	}
	got := make(chan []byte)
	go func() {
		b, _ := io.ReadAll(io.LimitReader(smallReader{theirs}, int64(len(want))))
		got <- b
	}()
	n, err := w.writev(&v)
	require.NoError(t, err)
	require.EqualValues(t, len(want), n)
	require.Equal(t, want, <-got)

	require.NoError(t, theirs.CloseWrite())
	_, err = w.nc.Read(make([]byte, 1))
	require.Equal(t, io.EOF, err)
	require.NoError(t, theirs.SetLinger(0))
	require.NoError(t, theirs.Close())
	for err = nil; err == nil; {
		_, err = w.writev(&net.Buffers{[]byte("gone")})
	}
	require.True(t, errors.Is(err, syscall.EPIPE) || errors.Is(err, syscall.ECONNRESET), err.Error())
}

type smallReader struct{ io.Reader }

func (r smallReader) Read(p []byte) (int, error) { return r.Reader.Read(p[:min(len(p), 777)]) }
