// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// script is a connection over which a peer has sent everything already, and closed. Each read gets as many bytes as the
// next cut says.
type script struct {
	net.Conn
	sent  []byte
	cuts  []byte // in units of 64 bytes; 0: all
	reads int
}

func (s *script) readv(v [][]byte, _ int, _ func(int)) (n int, _ bool, err error) {
	if len(s.sent) == 0 {
		return 0, false, io.EOF
	}
	most := len(s.sent)
	if s.reads < len(s.cuts) && s.cuts[s.reads] > 0 {
		most = min(most, 64*int(s.cuts[s.reads]))
	}
	s.reads++
	for _, p := range v {
		k := copy(p, s.sent[:most-n])
		s.sent, n = s.sent[k:], n+k
		if n == most {
			break
		}
	}
	return n, false, nil
}

func (s *script) setGuard(func() error) {}

func (s *script) writev(*net.Buffers, func(int)) (int64, bool, error) {
	return 0, false, io.ErrClosedPipe
}
func (s *script) Read([]byte) (int, error)        { return 0, io.EOF }
func (s *script) SetDeadline(time.Time) error     { return nil }
func (s *script) SetReadDeadline(time.Time) error { return nil }
func (s *script) Close() error                    { return nil }

// scripted returns an association whose peer follows a script.
func scripted(t testing.TB, s *script) *Association {
	a := newAssociation("peer", true, Options{}.withDefaults())
	for _, e := range []Event{Evt5, Evt6, Evt7} {
		a.event(e)
	}
	a.rq, a.ac = request(), &AssociateAC{}
	a.w = &wire{raw: s, moves: s, idle: time.Minute}
	a.w.waitRead, a.w.waitWrite = func(int) {}, func(int) {}
	a.w.nc = guarded{s, a.w}
	require.NoError(t, a.establish(&UserInfo{}))
	return a
}

// pdvs encodes values as one P-DATA-TF.
func pdvs(values ...[]byte) []byte {
	var body []byte
	for _, v := range values {
		body = binary.BigEndian.AppendUint32(body, uint32(len(v)))
		body = append(body, v...)
	}
	return append(binary.BigEndian.AppendUint32([]byte{byte(TypePDataTF), 0}, uint32(len(body))), body...)
}

func pdv(id, control byte, data []byte) []byte { return append([]byte{id, control}, data...) }

const command, last = 1, 2

// message encodes a message: its command, and its data in fragments of these lengths, each in a P-DATA-TF of its own.
func message(r *rand.ChaCha8, fragments ...int) (encoded, data []byte) {
	encoded = pdvs(pdv(1, command|last, []byte("command")))
	for i, n := range fragments {
		f := make([]byte, n)
		_, _ = r.Read(f) // never fails
		data = append(data, f...)
		control := byte(0)
		if i == len(fragments)-1 {
			control = last
		}
		encoded = append(encoded, pdvs(pdv(1, control, f))...)
	}
	return encoded, data
}

// nextCommand reads a command.
func nextCommand(a *Association) (string, error) {
	f, err := a.NextPDV()
	if err != nil {
		return "", err
	}
	if !f.Command {
		return "", errors.New("no command")
	}
	b := make([]byte, f.Len)
	_, err = io.ReadFull(a, b)
	return string(b), err
}

// dataOf reads a data set with reads of so many bytes.
func dataOf(a *Association, room int) (data []byte, err error) {
	p := make([]byte, room)
	for {
		n, err := a.ReadData(1, p)
		data = append(data, p[:n]...)
		if errors.Is(err, io.EOF) { // no connection ends with it here
			return data, nil
		}
		if err != nil {
			return data, err
		}
	}
}

// TestReadData: however the fragments are long, the bytes come and the reader asks, the data set is what was sent, and
// so is the message after it.
func TestReadData(t *testing.T) {
	repeated := func(n, times int) (all []int) {
		for range times {
			all = append(all, n)
		}
		return all
	}
	for name, fragments := range map[string][]int{
		"one":            {1000},
		"one, empty":     {0},
		"alike":          repeated(5000, 40),
		"a shorter end":  append(repeated(5000, 9), 77),
		"an empty end":   append(repeated(5000, 9), 0),
		"growing":        {10, 100, 1000, 10000, 100000},
		"shrinking":      {100000, 10000, 1000, 100, 10},
		"up and down":    {3000, 4000, 3000, 4000, 3000, 1, 4000, 0, 4000, 2000},
		"large":          repeated(131066, 5),
		"more than once": repeated(131066, 10),
		"tiny":           repeated(1, 500),
	} {
		t.Run(name, func(t *testing.T) {
			r := rand.NewChaCha8([32]byte{1})
			first, wantFirst := message(r, fragments...)
			second, wantSecond := message(r, fragments...)
			for _, room := range []int{1, 100, 4096, 1 << 17, 8 << 20} {
				if room == 1 && len(first) > 50_000 {
					continue
				}
				for range 4 {
					cuts := make([]byte, r.Uint64()%100)
					_, _ = r.Read(cuts)
					for i := range cuts {
						cuts[i] >>= r.Uint64() % 8
					}
					s := &script{sent: bytes.Join([][]byte{first, second}, nil), cuts: cuts}
					a := scripted(t, s)
					for _, want := range [][]byte{wantFirst, wantSecond} {
						c, err := nextCommand(a)
						require.NoError(t, err)
						require.Equal(t, "command", c)
						a.Bound(int64(len(want)))
						got, err := dataOf(a, room)
						require.NoError(t, err)
						require.True(t, bytes.Equal(want, got), "reads of %d bytes, cuts %v", room, cuts)
					}
					_, err := a.NextPDV()
					require.ErrorAs(t, err, new(*LostError))
				}
			}
		})
	}
}

// TestFewReads: a data set of small fragments that has come costs few system calls.
func TestFewReads(t *testing.T) {
	r := rand.NewChaCha8([32]byte{1})
	fragments := make([]int, 33)
	for i := range fragments {
		fragments[i] = 16378
	}
	first, _ := message(r, fragments...)
	s := &script{sent: bytes.Repeat(first, 10)}
	a := scripted(t, s)
	for range 10 {
		_, err := nextCommand(a)
		require.NoError(t, err)
		_, err = dataOf(a, 1<<20)
		require.NoError(t, err)
	}
	require.LessOrEqual(t, s.reads, 40)
}

type readerOf func([]byte) (int, error)

func (r readerOf) Read(p []byte) (int, error) { return r(p) }

// watched returns an association over TCP, and for how many bytes its reads wait.
func watched(t *testing.T) (a *Association, theirs *net.TCPConn, waiting chan int) {
	t.Helper()
	ours, theirs := pair(t)
	a = scripted(t, nil)
	a.w = newWire(ours, time.Minute)
	a.in.w = a.w
	waiting = make(chan int, 100)
	wait := a.w.waitRead
	a.w.waitRead = func(least int) {
		wait(least)
		waiting <- least
	}
	return a, theirs, waiting
}

// TestBrokenWord: a peer that sends less than its instance says, and then waits, is found out.
func TestBrokenWord(t *testing.T) {
	a, theirs, waiting := watched(t)
	send := func(parts ...[]byte) {
		_, err := theirs.Write(bytes.Join(parts, nil))
		require.NoError(t, err)
	}
	send(pdvs(pdv(1, command|last, []byte("command"))), pdvs(pdv(1, 0, make([]byte, 20000))))
	_, err := nextCommand(a)
	require.NoError(t, err)
	_, err = io.ReadFull(readerOf(func(p []byte) (int, error) { return a.ReadData(1, p) }), make([]byte, 20000))
	require.NoError(t, err)
	a.Bound(1 << 20)
	type result struct {
		bytes int
		err   error
	}
	rest := make(chan result)
	go func() {
		data, err := dataOf(a, 1<<20)
		rest <- result{len(data), err}
	}()
	require.Greater(t, <-waiting, 9010)
	send(pdvs(pdv(1, 0, make([]byte, 9000))), pdvs(pdv(1, last, make([]byte, 10))))
	require.Equal(t, result{9010, nil}, <-rest)
	require.Equal(t, 1, <-waiting)
	require.Empty(t, waiting)
	require.NoError(t, theirs.Close())
	a.Drop()
}

// TestWaitBetweenMessages: a wait for the next message is an idle one from the start, and the instance after it is
// waited for as a whole all the same.
func TestWaitBetweenMessages(t *testing.T) {
	a, theirs, waiting := watched(t)
	read := make(chan error)
	go func() {
		_, err := nextCommand(a)
		read <- err
	}()
	require.Equal(t, 1, <-waiting)
	_, err := theirs.Write(pdvs(pdv(1, command|last, []byte("command"))))
	require.NoError(t, err)
	require.NoError(t, <-read)
	require.NoError(t, theirs.Close())
	a.Drop()
}

// FuzzReadData: whatever the peer sends, ReadData gives what is read fragment by fragment, and ends the same way.
func FuzzReadData(f *testing.F) {
	r := rand.NewChaCha8([32]byte{1})
	for _, fragments := range [][]int{{100, 100, 100, 50}, {10, 200, 10, 0}, {300, 300, 300, 300, 300, 1}} {
		m, _ := message(r, fragments...)
		f.Add(m, []byte{1, 2, 3}, uint16(1000))
		f.Add(append(m, encode(f, &ReleaseRQ{})...), []byte{}, uint16(64))
		f.Add(append(m[:len(m)-60], encode(f, &Abort{})...), []byte{200, 1}, uint16(5000))
	}
	f.Add(append(pdvs(pdv(1, command|last, nil), pdv(1, 0, []byte("two")), pdv(1, 0, []byte("in one"))), pdvs(
		pdv(3, last, []byte("another context")),
	)...), []byte{}, uint16(9))
	f.Fuzz(func(t *testing.T, sent, cuts []byte, room uint16) {
		whole := scripted(t, &script{sent: bytes.Clone(sent), cuts: cuts})
		piecemeal := scripted(t, &script{sent: bytes.Clone(sent)})
		for range 5 {
			got, err := nextCommand(whole)
			want, wantErr := nextCommand(piecemeal)
			require.Equal(t, want, got)
			require.Equal(t, wantErr, err)
			if err != nil {
				return
			}
			data, err := dataOf(whole, 1+int(room))
			wantData, wantErr := fragmentByFragment(piecemeal)
			require.Equal(t, wantErr == nil, err == nil, "%v instead of %v", err, wantErr)
			require.True(t, bytes.Equal(wantData, data))
			if err != nil {
				return
			}
		}
	})
}

// fragmentByFragment reads a data set as plainly as can be.
func fragmentByFragment(a *Association) (data []byte, err error) {
	for {
		f, err := a.NextPDV()
		if err != nil {
			return data, err
		}
		if f.Command || f.ContextID != 1 {
			return data, errors.New("no data set")
		}
		b, err := io.ReadAll(io.LimitReader(a, int64(f.Len)))
		data = append(data, b...)
		if err != nil || f.Last {
			return data, err
		}
	}
}
