// SPDX-License-Identifier: AGPL-3.0-or-later

package dimse_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

// silentConns opens connections from an address of loopback that say nothing, or the beginning of a request.
func silentConns(t *testing.T, addr, from string, n int, words string) []net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	conns := make([]net.Conn, n)
	for i := range conns {
		c, err := d.DialContext(t.Context(), "tcp", addr)
		require.NoError(t, err)
		t.Cleanup(func() { _ = c.Close() })
		_, _ = io.WriteString(c, words) // it may be closed already
		conns[i] = c
	}
	return conns
}

// closed waits until the other side has closed a connection.
func closed(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
	_, err := io.Copy(io.Discard, c)
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "it is still open")
}

// someClosed waits until the other side has closed n of the connections.
func someClosed(t *testing.T, conns []net.Conn, n int) {
	t.Helper()
	ended := make(chan error, len(conns))
	for _, c := range conns {
		require.NoError(t, c.SetReadDeadline(time.Now().Add(patience)))
		go func() {
			_, err := io.Copy(io.Discard, c)
			ended <- err
		}()
	}
	for range n {
		require.NotErrorIs(t, <-ended, os.ErrDeadlineExceeded, "too many are still open")
	}
}

// TestSilentConnections: whoever has something to say gets in, however many are silent. The oldest of them make room,
// those of the address that has the most: not the few of another.
func TestSilentConnections(t *testing.T) {
	for name, words := range map[string]string{"nothing": "", "half a request": "\x01\x00\x00\x00\x10\x00half"} {
		t.Run(name, func(t *testing.T) {
			addr := serve(t, &dimse.Server{})
			few := silentConns(t, addr, "127.0.0.1", 1, "")
			many := silentConns(t, addr, "127.0.0.2", 300, words)
			a := dial(t, addr)
			require.NoError(t, a.Echo(t.Context()))
			for _, c := range many[:100] {
				closed(t, c)
			}
			require.NoError(t, few[0].SetReadDeadline(time.Now().Add(10*time.Millisecond)))
			_, err := few[0].Read(make([]byte, 1))
			require.ErrorIs(t, err, os.ErrDeadlineExceeded, "it keeps its place")
			require.NoError(t, a.Release(t.Context()))
		})
	}
}

// balanced is a listener behind a balancer: a connection tells where it comes from by its first line.
type balanced struct{ net.Listener }

func (b balanced) Accept() (net.Conn, error) {
	c, err := b.Listener.Accept()
	return &toldConn{Conn: c}, err
}

type toldConn struct {
	net.Conn
	once sync.Once
	addr net.TCPAddr
}

func (c *toldConn) RemoteAddr() net.Addr {
	c.once.Do(func() {
		var b [1]byte
		_, _ = io.ReadFull(c.Conn, b[:])
		c.addr.IP = net.IPv4(192, 0, 2, b[0])
	})
	return &c.addr
}

func (c *toldConn) Read(b []byte) (int, error) {
	c.RemoteAddr()
	return c.Conn.Read(b)
}

// TestSilentBehindBalancer: the address that counts is the one that the balancer tells, and who waits for it holds up
// nobody.
func TestSilentBehindBalancer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := serveOn(t, &dimse.Server{}, balanced{l})
	few := silentConns(t, addr, "127.0.0.1", 1, "\x01")
	many := silentConns(t, addr, "127.0.0.1", 300, "\x02")
	untold := silentConns(t, addr, "127.0.0.1", 300, "")
	someClosed(t, many, 200) // which ones depends on when each was told
	someClosed(t, untold, 200)
	rq, err := ul.AppendPDU(nil, &ul.AssociateRQ{CalledAE: "A", CallingAE: "B", Contexts: []ul.ContextRQ{
		{ID: 1, AbstractSyntax: ctClass, TransferSyntaxes: []string{explicit}},
	}})
	require.NoError(t, err)
	_, err = few[0].Write(rq)
	require.NoError(t, err)
	require.NoError(t, few[0].SetReadDeadline(time.Now().Add(patience)))
	var answer [1]byte
	_, err = io.ReadFull(few[0], answer[:])
	require.NoError(t, err)
	require.EqualValues(t, ul.TypeAssociateAC, answer[0], "it kept its place")
}

// as dials under an AE title.
func as(t *testing.T, addr, callingAE string) (*dimse.Association, error) {
	t.Helper()
	cfg := config(addr)
	cfg.CallingAE = callingAE
	a, err := dimse.Dial(t.Context(), cfg)
	if err == nil {
		t.Cleanup(a.Abort)
	}
	return a, err
}

// TestSilentAssociations: who gets in where places are short, and who leaves.
func TestSilentAssociations(t *testing.T) {
	const rests, works, brought = "rests", "works", "has brought something"
	type one struct{ ae, does string }
	for name, tc := range map[string]struct {
		there   []one
		comes   string
		expects string // AE title that is asked to call, from the moment before
		leaves  int    // counted from 1; 0: nobody
		refused bool
	}{
		"room":                                 {there: []one{{"A", rests}, {"A", works}}, comes: "B"},
		"a caller with too many that rest":     {there: []one{{"A", rests}, {"A", rests}, {"A", rests}}, comes: "A", leaves: 1},
		"a caller with too many at work":       {there: []one{{"A", works}, {"A", works}, {"A", works}}, comes: "A", refused: true},
		"full, the one with the most pays":     {there: []one{{"B", rests}, {"A", rests}, {"A", rests}, {"A", works}}, comes: "C", leaves: 2},
		"full, all are at work":                {there: []one{{"B", works}, {"A", works}, {"A", works}, {"A", works}}, comes: "C", refused: true},
		"full, nobody pays for who has more":   {there: []one{{"B", rests}, {"C", works}, {"C", works}, {"A", works}}, comes: "C", refused: true},
		"full, what has brought something":     {there: []one{{"A", brought}, {"A", brought}, {"A", rests}, {"B", brought}}, comes: "B", leaves: 3},
		"full, all have just brought":          {there: []one{{"A", brought}, {"A", brought}, {"B", brought}, {"B", brought}}, comes: "C", refused: true},
		"expected, though all are at work":     {there: []one{{"B", works}, {"A", works}, {"A", works}, {"A", works}}, comes: "C", expects: "C"},
		"expected, though its own are at work": {there: []one{{"A", works}, {"A", works}, {"A", works}}, comes: "A", expects: "A"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			held, begun := make(chan struct{}), make(chan struct{}, 4)
			defer close(held)
			ended := make(chan *dimse.ServerAssociation, 5)
			expected := make(chan string, 1)
			expected <- ""
			addr := serve(t, &dimse.Server{
				MaxAssociations: 4, MaxPerCaller: 3,
				Accept: func(_ context.Context, rq *dimse.AssociationRequest) error {
					ae := <-expected
					rq.Expected = ae == rq.CallingAE
					expected <- ae
					return nil
				},
				Store: func(_ context.Context, _ *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
					if in.SOPInstanceUID == "1.2.0" {
						begun <- struct{}{}
						<-held
					}
					return dimse.StoreResponse{}
				},
				Ended: func(a *dimse.ServerAssociation, _ error) { ended <- a },
			})
			var all []*dimse.Association
			for _, o := range tc.there {
				a, err := as(t, addr, o.ae)
				require.NoError(t, err)
				all = append(all, a)
				switch o.does {
				case works:
					go func() { _, _ = a.Store(context.Background(), ctRequest(0), bytes.NewReader(pattern(1000))) }()
					<-begun
				case brought:
					rsp, err := a.Store(t.Context(), ctRequest(1), bytes.NewReader(pattern(1000)))
					require.NoError(t, err)
					require.Equal(t, dimse.Success, rsp.Status)
				}
			}
			<-expected
			expected <- tc.expects
			a, err := as(t, addr, tc.comes)
			if tc.refused {
				require.ErrorAs(t, err, new(*ul.RejectedError))
				require.ErrorContains(t, err, "local limit exceeded")
			} else {
				require.NoError(t, err)
				require.NoError(t, a.Echo(t.Context()))
			}
			for i, o := range tc.there {
				if i+1 == tc.leaves {
					<-ended
					require.Error(t, all[i].Echo(t.Context()))
				} else if o.does != works {
					require.NoError(t, all[i].Echo(t.Context()), "%d stays", i+1)
				}
			}
			require.Empty(t, ended, "nobody else has left")
		})
	}
}

// TestEndlessNewcomers: an association that brings one instance after the other isn't disturbed by any number that come
// and rest.
func TestEndlessNewcomers(t *testing.T) {
	var got store
	addr := serve(t, &dimse.Server{MaxAssociations: 8, MaxPerCaller: 4, Store: got.handle})
	worker, err := as(t, addr, "A")
	require.NoError(t, err)
	for n := range 50 {
		rsp, err := worker.Store(t.Context(), ctRequest(n), bytes.NewReader(pattern(1000)))
		require.NoError(t, err)
		require.Equal(t, dimse.Success, rsp.Status)
		for _, ae := range []string{"A", "B", "C"} {
			_, err = as(t, addr, ae)
			require.NoError(t, err)
		}
	}
	require.NoError(t, worker.Release(t.Context()))
}
