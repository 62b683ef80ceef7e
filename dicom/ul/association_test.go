// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http/httptest"
	"runtime"
	"runtime/metrics"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is a deadline as safety only; short is a timeout that a test waits for.
const (
	patience = 20 * time.Second
	short    = 100 * time.Millisecond
)

func request() *AssociateRQ {
	return &AssociateRQ{
		CalledAE: "PACS", CallingAE: "ADIT",
		Contexts: []ContextRQ{{1, "1.2.840.10008.1.1", []string{"1.2.840.10008.1.2"}}},
	}
}

func accept(rq *AssociateRQ) PDU {
	ac := &AssociateAC{CalledAE: rq.CalledAE, CallingAE: rq.CallingAE}
	for _, c := range rq.Contexts {
		ac.Contexts = append(ac.Contexts, ContextAC{c.ID, ContextAccepted, c.TransferSyntaxes[0]})
	}
	return ac
}

// peer listens and runs a script on the first connection. The returned function waits for its end.
func peer(t *testing.T, script func(c net.Conn)) (addr string, wait func()) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		script(c)
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String(), func() { <-done }
}

func encode(t testing.TB, p PDU) []byte {
	t.Helper()
	b, err := AppendPDU(nil, p)
	require.NoError(t, err)
	return b
}

// readRaw reads one PDU of the script's other side.
func readRaw(c io.Reader) (PDU, error) {
	h := make([]byte, pduHeaderLen)
	if _, err := io.ReadFull(c, h); err != nil {
		return nil, err
	}
	body := make([]byte, int(h[2])<<24|int(h[3])<<16|int(h[4])<<8|int(h[5]))
	if _, err := io.ReadFull(c, body); err != nil {
		return nil, err
	}
	return DecodePDU(PDUType(h[0]), body)
}

// greet accepts the association that the script's other side requests.
func greet(t testing.TB, c io.ReadWriter) {
	p, err := readRaw(c)
	if err != nil {
		return
	}
	_, _ = c.Write(encode(t, accept(p.(*AssociateRQ))))
}

// until reads until the other side sends A-ABORT or closes, and returns the last PDU.
func until(c io.Reader) PDU {
	var last PDU
	for {
		p, err := readRaw(c)
		if err != nil {
			return last
		}
		last = p
	}
}

// TestDialMisbehaving: a peer that answers the request with something else.
func TestDialMisbehaving(t *testing.T) {
	abort := &Abort{AbortedByProvider, AbortUnexpectedPDU}
	for name, tc := range map[string]struct {
		answer []byte
		hold   bool // keep the connection open after the answer
		check  func(t *testing.T, err error)
	}{
		"called AE title": {encode(t, &AssociateRJ{1, 1, 7}), true, func(t *testing.T, err error) {
			var rejected *RejectedError
			require.ErrorAs(t, err, &rejected)
			require.False(t, rejected.Transient())
			require.ErrorContains(t, err, `called AE title "PACS" not recognized; ask the administrator`)
		}},
		"calling AE title": {encode(t, &AssociateRJ{1, 1, 3}), true, func(t *testing.T, err error) {
			require.ErrorContains(
				t, err, `calling AE title "ADIT" not recognized; ask the administrator of that server to add`,
			)
		}},
		"local limit": {encode(t, &AssociateRJ{2, 3, 2}), true, func(t *testing.T, err error) {
			var rejected *RejectedError
			require.ErrorAs(t, err, &rejected)
			require.True(t, rejected.Transient())
			require.ErrorContains(t, err, "local limit exceeded")
		}},
		"congestion": {encode(t, &AssociateRJ{2, 3, 1}), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "temporary congestion")
		}},
		"reserved reason": {encode(t, &AssociateRJ{1, 1, 9}), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "result 1, source 1, reason 9")
		}},
		"abort": {encode(t, abort), true, func(t *testing.T, err error) {
			var aborted *AbortedError
			require.ErrorAs(t, err, &aborted)
			require.Equal(t, *abort, aborted.Abort)
		}},
		"HTTP": {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), true, func(t *testing.T, err error) {
			require.ErrorAs(t, err, new(*NotDICOMError))
			require.ErrorContains(t, err, "does not speak DICOM (it sent HTTP)")
		}},
		"SSH": {[]byte("SSH-2.0-OpenSSH_9.9\r\n"), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "it sent SSH")
		}},
		"TLS alert": {[]byte{0x15, 3, 1, 0, 2, 2, 22}, true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "whether it expects TLS")
		}},
		"garbage": {bytes.Repeat([]byte{0xFF}, 1000), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "something unknown")
		}},
		"4 GB": {[]byte{2, 0, 0xFF, 0xFF, 0xFF, 0xFF}, true, func(t *testing.T, err error) {
			require.ErrorAs(t, err, new(*ProtocolError))
			require.ErrorContains(t, err, "4294967295 bytes, more than the limit")
		}},
		"data": {encode(t, &PDataTF{[]PDV{{1, true, true, nil}}}), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "it sent P-DATA-TF")
		}},
		"item cut short": {encode(t, accept(request()))[:40], false, func(t *testing.T, err error) {
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
		}},
		"closed": {nil, false, func(t *testing.T, err error) {
			require.ErrorAs(t, err, new(*LostError))
		}},
		"half a PDU, then silence": {[]byte{2, 0, 0, 0, 1}, true, func(t *testing.T, err error) {
			var timeout *TimeoutError
			require.ErrorAs(t, err, &timeout)
			require.Equal(t, short, timeout.After)
		}},
		"silence": {nil, true, func(t *testing.T, err error) {
			require.ErrorAs(t, err, new(*TimeoutError))
		}},
		"max PDU of nothing": {encode(t, &AssociateAC{User: UserInfo{MaxPDU: 7}}), true, func(t *testing.T, err error) {
			require.ErrorContains(t, err, "takes at most 7 bytes")
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := peer(t, func(c net.Conn) {
				_, _ = readRaw(c)
				_, _ = c.Write(tc.answer)
				if tc.hold {
					_, _ = io.Copy(io.Discard, c)
				}
			})
			opt := Options{ConnectTimeout: patience}
			if name == "silence" || strings.HasSuffix(name, "silence") {
				opt.ConnectTimeout = short
			}
			a, err := Dial(t.Context(), addr, request(), opt)
			require.Error(t, err)
			require.Nil(t, a)
			tc.check(t, err)
		})
	}
}

func TestDialNobody(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := l.Addr().String()
	l.Close()
	_, err = Dial(t.Context(), addr, request(), Options{})
	require.ErrorAs(t, err, new(*ConnectError))
	require.ErrorContains(t, err, "nothing listens there; check host and port")
}

func established(t *testing.T, opt Options, script func(c net.Conn)) (*Association, func()) {
	t.Helper()
	addr, wait := peer(t, func(c net.Conn) {
		greet(t, c)
		script(c)
	})
	a, err := Dial(t.Context(), addr, request(), opt)
	require.NoError(t, err)
	t.Cleanup(a.Drop)
	return a, wait
}

// TestReceiveMisbehaving: a peer that breaks the protocol inside an association.
func TestReceiveMisbehaving(t *testing.T) {
	data := encode(t, &PDataTF{[]PDV{{1, false, false, make([]byte, 1000)}}})
	for name, tc := range map[string]struct {
		bytes  []byte
		reason AbortReason
		text   string
	}{
		"4 GB PDU":              {[]byte{4, 0, 0xFF, 0xFF, 0xFF, 0xFF}, AbortInvalidParameter, "4294967295 bytes, more than the limit"},
		"just above the limit":  {[]byte{4, 0, 0, 0x10, 0, 7}, AbortInvalidParameter, "more than the limit"},
		"empty PDU":             {[]byte{4, 0, 0, 0, 0, 0}, AbortInvalidParameter, "empty P-DATA-TF"},
		"PDV beyond the PDU":    {[]byte{4, 0, 0, 0, 0, 8, 0, 0, 0, 5, 1, 0, 0, 0}, AbortInvalidParameter, "value of 5 bytes where 4 are left"},
		"PDV of 4 GB":           {[]byte{4, 0, 0, 0, 0, 8, 0xFF, 0xFF, 0xFF, 0xFF, 1, 0, 0, 0}, AbortInvalidParameter, "value of 4294967295 bytes"},
		"PDV without header":    {[]byte{4, 0, 0, 0, 0, 3, 0, 0, 0}, AbortInvalidParameter, "ends inside the header"},
		"PDV of one byte":       {[]byte{4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 0}, AbortInvalidParameter, "value of 1 bytes"},
		"unknown PDU":           {[]byte{9, 0, 0, 0, 0, 4}, AbortUnrecognizedPDU, "unknown PDU type 0x09"},
		"HTTP in mid-stream":    {[]byte("HTTP/1.1 400 Bad Request"), AbortUnrecognizedPDU, "unknown PDU type 0x48"},
		"second request":        {encode(t, request()), AbortUnexpectedPDU, "it sent A-ASSOCIATE-RQ inside an association"},
		"release answer":        {encode(t, &ReleaseRP{}), AbortUnexpectedPDU, "it sent A-RELEASE-RP"},
		"long release":          {[]byte{5, 0, 0, 0, 0, 5}, AbortInvalidParameter, "5 bytes instead of 4"},
		"garbage after a value": {slices.Concat(data, bytes.Repeat([]byte{0xEE}, 100)), AbortUnrecognizedPDU, "unknown PDU type 0xEE"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var last PDU
			a, wait := established(t, Options{}, func(c net.Conn) {
				_, _ = c.Write(tc.bytes)
				last = until(c)
			})
			var err error
			for err == nil {
				_, err = a.NextPDV()
			}
			var broken *ProtocolError
			require.ErrorAs(t, err, &broken)
			require.ErrorContains(t, err, tc.text)
			require.Equal(t, tc.reason, broken.Reason)
			wait()
			require.Equal(t, &Abort{AbortedByProvider, tc.reason}, last)
			require.Equal(t, err, a.Err())
		})
	}
}

// TestReceiveEnds: a peer that goes away, in one way or another.
func TestReceiveEnds(t *testing.T) {
	half := encode(t, &PDataTF{[]PDV{{1, false, true, make([]byte, 1000)}}})[:500]
	for name, tc := range map[string]struct {
		bytes []byte
		hold  bool
		check func(t *testing.T, err error)
	}{
		"abort": {encode(t, &Abort{}), false, func(t *testing.T, err error) { require.ErrorAs(t, err, new(*AbortedError)) }},
		"close": {nil, false, func(t *testing.T, err error) {
			require.ErrorAs(t, err, new(*LostError))
			require.ErrorIs(t, err, io.ErrUnexpectedEOF)
			require.NotErrorIs(t, err, io.EOF)
		}},
		"close in mid-data":   {half, false, func(t *testing.T, err error) { require.ErrorIs(t, err, io.ErrUnexpectedEOF) }},
		"silence":             {nil, true, func(t *testing.T, err error) { require.ErrorAs(t, err, new(*TimeoutError)) }},
		"silence in mid-data": {half, true, func(t *testing.T, err error) { require.ErrorAs(t, err, new(*TimeoutError)) }},
		"release": {encode(t, &ReleaseRQ{}), true, func(t *testing.T, err error) {
			require.ErrorIs(t, err, ErrReleaseRequested)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			idle := patience
			if strings.HasPrefix(name, "silence") {
				idle = short
			}
			a, _ := established(t, Options{IdleTimeout: idle}, func(c net.Conn) {
				_, _ = c.Write(tc.bytes)
				if tc.hold {
					_, _ = io.Copy(io.Discard, c)
				}
			})
			_, err := a.NextPDV()
			if err == nil {
				_, err = io.Copy(io.Discard, a)
			}
			tc.check(t, err)
		})
	}
}

// TestSeveralValues: several values per PDU, several PDUs per segment, a value in many segments.
func TestSeveralValues(t *testing.T) {
	first := encode(t,
		&PDataTF{[]PDV{{1, true, false, []byte("ab")}, {1, true, true, []byte("cd")}, {1, false, false, []byte("ef")}}},
	)
	second := encode(t, &PDataTF{[]PDV{{1, false, true, bytes.Repeat([]byte("x"), 100000)}}})
	for name, pieces := range map[string]int{"one write": 1 << 20, "byte by byte": 1, "in thousands": 1000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			all := slices.Concat(first, second)
			if pieces == 1 {
				all = all[:len(first)+200]
			}
			a, _ := established(t, Options{}, func(c net.Conn) {
				for p := range slices.Chunk(all, pieces) {
					_, _ = c.Write(p)
				}
				_, _ = io.Copy(io.Discard, c)
			})
			for _, want := range []string{"ab", "cd", "ef"} {
				f, err := a.NextPDV()
				require.NoError(t, err)
				require.Equal(t, Fragment{1, want != "ef", want == "cd", 2}, f)
				b, err := io.ReadAll(a)
				require.NoError(t, err)
				require.Equal(t, want, string(b))
			}
			f, err := a.NextPDV()
			require.NoError(t, err)
			require.Equal(t, Fragment{1, false, true, 100000}, f)
			if pieces > 1 {
				b, err := io.ReadAll(a)
				require.NoError(t, err)
				require.Len(t, b, 100000)
			}
		})
	}
}

// TestCancelOnStalledPeer: the end of a context ends an operation at once, whether the peer is silent or does not read.
func TestCancelOnStalledPeer(t *testing.T) {
	cause := errors.New("the user canceled")
	for name, operation := range map[string]func(a *Association) error{
		"reading": func(a *Association) error { _, err := a.NextPDV(); return err },
		"writing": func(a *Association) error { return a.SendMessage(1, []byte("command"), endless{}) },
		"source":  func(a *Association) error { <-a.Done(); return a.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancelCause(t.Context())
			over := make(chan struct{})
			a, _ := established(t, Options{}, func(net.Conn) { <-over })
			defer close(over)
			defer a.Watch(ctx)()
			result := make(chan error, 1)
			go func() { result <- operation(a) }()
			for start := a.w.lastWrite.Load(); name == "writing"; { // until it has stalled
				runtime.Gosched()
				if now := a.w.lastWrite.Load(); now != start && time.Since(time.Unix(0, now)) > short {
					break
				}
			}
			cancel(cause)
			select {
			case err := <-result:
				require.ErrorIs(t, err, cause) // and not that of a peer that does nothing, which comes much later
			case <-time.After(patience):
				t.Fatal("the operation did not end")
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// TestWriteIdle: a peer that does not read is given up after the idle timeout.
func TestWriteIdle(t *testing.T) {
	over := make(chan struct{})
	a, _ := established(t, Options{IdleTimeout: short}, func(net.Conn) { <-over })
	defer close(over)
	err := a.SendMessage(1, []byte("command"), endless{})
	var timeout *TimeoutError
	require.ErrorAs(t, err, &timeout)
	require.Equal(t, short, timeout.After)
}

// TestAbortWithoutReason: who aborts instead of answering the first request may not know our AE title.
func TestAbortWithoutReason(t *testing.T) {
	message := encode(t, &PDataTF{[]PDV{{1, true, true, make([]byte, 10)}}})
	byUser, byProvider, given := encode(t, &Abort{}), encode(t, &Abort{AbortedByProvider, AbortNoReason}),
		encode(t, &Abort{AbortedByProvider, AbortUnexpectedPDU})
	for name, tc := range map[string]struct {
		script func(c net.Conn)
		hint   bool
	}{
		"instead of an answer": {func(c net.Conn) { _, _ = readRaw(c); _, _ = c.Write(byUser) }, true},
		"once it has accepted": {func(c net.Conn) { greet(t, c); _, _ = c.Write(byUser) }, true},
		"at the first request": {func(c net.Conn) { greet(t, c); _, _ = readRaw(c); _, _ = c.Write(byProvider) }, true},
		"with a reason":        {func(c net.Conn) { greet(t, c); _, _ = c.Write(given) }, false},
		"after an answer":      {func(c net.Conn) { greet(t, c); _, _ = readRaw(c); _, _ = c.Write(append(message, byUser...)) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			addr, wait := peer(t, tc.script)
			a, err := Dial(t.Context(), addr, request(), Options{})
			if err == nil {
				_ = a.SendMessage(1, []byte("command!"), nil)
				for err == nil {
					_, err = a.NextPDV()
				}
			}
			wait()
			require.ErrorAs(t, err, new(*AbortedError))
			const hint = `perhaps it does not know the AE title "ADIT"`
			if tc.hint {
				require.ErrorContains(t, err, hint)
			} else {
				require.NotContains(t, err.Error(), hint)
			}
		})
	}
}

// TestAbortWhileSending: the peer's A-ABORT is found though the write fails first.
func TestAbortWhileSending(t *testing.T) {
	a, _ := established(t, Options{}, func(c net.Conn) {
		_, _ = io.CopyN(io.Discard, c, 1<<20)
		_, _ = c.Write(encode(t, &Abort{AbortedByProvider, AbortUnexpectedPDU}))
	})
	err := a.SendMessage(1, []byte("command"), endless{})
	var aborted *AbortedError
	require.ErrorAs(t, err, &aborted)
	require.Equal(t, AbortUnexpectedPDU, aborted.Reason)
}

func TestRelease(t *testing.T) {
	rq, rp := encode(t, &ReleaseRQ{}), encode(t, &ReleaseRP{})
	data := encode(t, &PDataTF{[]PDV{{1, false, true, make([]byte, 5000)}}})
	for name, script := range map[string]func(c net.Conn){
		"polite":     func(c net.Conn) { _, _ = readRaw(c); _, _ = c.Write(rp) },
		"late data":  func(c net.Conn) { _, _ = readRaw(c); _, _ = c.Write(slices.Concat(data, data, rp)) },
		"collision":  func(c net.Conn) { _, _ = c.Write(rq); _, _ = readRaw(c); _, _ = readRaw(c); _, _ = c.Write(rp) },
		"just close": func(c net.Conn) { _, _ = readRaw(c) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, _ := established(t, Options{}, script)
			err := a.Release(t.Context())
			if name == "just close" {
				require.ErrorAs(t, err, new(*LostError))
			} else {
				require.NoError(t, err)
			}
			require.Error(t, a.Err())
		})
	}
}

// acceptOne answers one connection, made by client.
func acceptOne(t *testing.T, opt Options, client func(c net.Conn)) (*Association, error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	var wg sync.WaitGroup
	t.Cleanup(wg.Wait)
	wg.Go(func() {
		c, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			return
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(patience))
		client(c)
	})
	c, err := l.Accept()
	require.NoError(t, err)
	return Accept(t.Context(), c, opt, accept)
}

func TestAcceptMisbehaving(t *testing.T) {
	rq := encode(t, request())
	for name, tc := range map[string]struct {
		bytes []byte
		text  string
	}{
		"HTTP":          {[]byte("GET / HTTP/1.1\r\n\r\n"), "it sent HTTP"},
		"TLS":           {[]byte{0x16, 3, 1, 2, 0, 1, 0}, "it sent TLS"},
		"4 GB":          {[]byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, "more than the limit of 98304"},
		"data first":    {encode(t, &PDataTF{[]PDV{{1, true, true, nil}}}), "it sent P-DATA-TF"},
		"even context":  {encode(t, &AssociateRQ{Contexts: []ContextRQ{{ID: 2}}}), "ID 2 is not odd"},
		"abort":         {encode(t, &Abort{}), "the peer aborted"},
		"too short":     {[]byte{1, 0, 0, 0, 0, 4, 0, 1, 0, 0}, "shorter than its fixed part"},
		"no version 1":  {append(slices.Clone(rq[:6]), append([]byte{0, 2}, rq[8:]...)...), "lacks version 1"},
		"a slow sender": {rq[:20], "did nothing for " + short.String()},
		"silence":       {nil, "did nothing for " + short.String()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			artim := patience
			if strings.Contains(tc.text, "did nothing") {
				artim = short
			}
			a, err := acceptOne(t, Options{ARTIM: artim}, func(c net.Conn) {
				_, _ = c.Write(tc.bytes)
				_, _ = io.Copy(io.Discard, c)
			})
			require.Nil(t, a)
			require.ErrorContains(t, err, tc.text)
		})
	}
}

// memory is what the process holds in heap and stacks, garbage collected, with what is held for goroutines.
func memory() int64 {
	runtime.GC()
	samples := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/stacks:bytes"},
	}
	metrics.Read(samples)
	return int64(samples[0].Value.Uint64() + samples[1].Value.Uint64())
}

// allocated is what was ever allocated.
func allocated() uint64 {
	samples := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(samples)
	return samples[0].Value.Uint64()
}

// largest is a request as large as is taken.
func largest(t *testing.T) []byte {
	t.Helper()
	big := request()
	for i := 1; len(encode(t, big)) < maxAssociatePDU-900; i++ {
		big.Contexts = append(
			big.Contexts, ContextRQ{byte(2*i + 1), "1.2", slices.Repeat([]string{"1.2.840.10008.1.2.4.100"}, 30)},
		)
	}
	return encode(t, big)
}

// TestMemoryBeforeAcceptance: what each of a thousand connections (a hundred over TLS) costs before its association is
// accepted, whatever it sends, and that it is gone when the ARTIM timer has expired, or at once when it has broken the
// protocol.
func TestMemoryBeforeAcceptance(t *testing.T) {
	big := largest(t)
	serverTLS, clientConfig := certificates(t)
	clientConfig.ServerName = "127.0.0.1"
	broken := bytes.Clone(big)
	broken[pduHeaderLen+68+3] = 0xFF // the first item is longer than it was
	for name, tc := range map[string]struct {
		first, second []byte // the second when all have sent the first
		decided       bool   // the first is a whole request
		text          string // of the error in the end
	}{
		"the largest request":         {big, nil, true, ErrRefused.Error()},
		"nothing":                     {nil, nil, false, "the peer did nothing for"},
		"all of it but the last byte": {big[:len(big)-1], nil, false, "the peer did nothing for"},
		"a malformed request":         {broken[:len(broken)-1], broken[len(broken)-1:], false, "item 0x"},
		"the most over TLS":           {big[:len(big)-1], nil, false, "the peer did nothing for"},
		"4 GB":                        {nil, []byte{1, 0, 0xFF, 0xFF, 0xFF, 0xFF}, false, "4294967295 bytes, more than the limit"},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			connections, opt := 1000, Options{ARTIM: 2 * time.Second}
			if tc.decided || tc.second != nil {
				opt.ARTIM = patience
			}
			secure := name == "the most over TLS"
			if secure {
				connections, opt.TLS = 100, serverTLS // a thousand handshakes take long
			}
			before := memory()
			decided, ended := make(chan struct{}, connections), make(chan error, connections)
			decide := make(chan struct{})
			var clients []net.Conn
			for range connections {
				c, err := net.Dial("tcp", l.Addr().String())
				require.NoError(t, err)
				defer c.Close()
				if secure {
					c = tls.Client(c, clientConfig) // its own memory is counted as well
				}
				clients = append(clients, c)
				s, err := l.Accept()
				require.NoError(t, err)
				go func() {
					_, err := Accept(t.Context(), s, opt, func(*AssociateRQ) PDU {
						decided <- struct{}{}
						<-decide
						return &AssociateRJ{RejectedPermanent, RejectedByUser, ReasonNone}
					})
					ended <- err
				}()
				_, err = c.Write(tc.first)
				require.NoError(t, err)
			}
			if tc.decided {
				for range connections {
					<-decided
				}
			}
			per := (memory() - before) / int64(connections)
			t.Logf("%d bytes per connection", per)
			require.Less(t, per, int64(300<<10))
			for _, c := range clients {
				if tc.decided {
					_ = c.Close()
				} else if _, err = c.Write(tc.second); err != nil {
					require.Nil(t, tc.second, "it has expired before all had come")
				}
			}
			close(decide)
			for range connections {
				require.ErrorContains(t, <-ended, tc.text)
			}
		})
	}
}

// TestLongPDUAllocatesNothing: a length of 4 GB, before and in an association, is refused without memory for it.
func TestLongPDUAllocatesNothing(t *testing.T) {
	for _, kind := range []PDUType{TypeAssociateRQ, TypePDataTF} {
		t.Run(kind.String(), func(t *testing.T) {
			before := allocated()
			a, err := acceptOne(t, Options{}, func(c net.Conn) {
				if kind == TypePDataTF {
					_, _ = c.Write(encode(t, request()))
					_, _ = readRaw(c)
				}
				_, _ = c.Write([]byte{byte(kind), 0, 0xFF, 0xFF, 0xFF, 0xFF})
				_, _ = io.Copy(io.Discard, c)
			})
			if kind == TypePDataTF {
				require.NoError(t, err)
				_, err = a.NextPDV()
			}
			require.ErrorContains(t, err, "4294967295 bytes, more than the limit")
			require.Less(t, allocated()-before, uint64(1<<20), "bytes")
		})
	}
}

// TestCheck: what the peer did while nobody read is found without waiting; a message that has come stays.
func TestCheck(t *testing.T) {
	message := encode(t, &PDataTF{[]PDV{{1, true, true, []byte("12")}}})
	for name, tc := range map[string]struct {
		bytes []byte
		close bool
		check func(t *testing.T, a *Association, err error)
	}{
		"abort": {encode(t, &Abort{}), false, func(t *testing.T, a *Association, err error) {
			require.ErrorAs(t, err, new(*AbortedError))
			require.ErrorAs(t, a.Err(), new(*AbortedError))
		}},
		"release": {encode(t, &ReleaseRQ{}), false, func(t *testing.T, a *Association, err error) {
			require.ErrorIs(t, err, ErrReleaseRequested)
			require.NoError(t, a.ConfirmRelease())
		}},
		"closed": {nil, true, func(t *testing.T, _ *Association, err error) {
			require.ErrorContains(t, err, "the connection was lost while it was idle")
		}},
		"garbage": {[]byte("HTTP/1.1 "), false, func(t *testing.T, _ *Association, err error) {
			require.ErrorAs(t, err, new(*ProtocolError))
		}},
		"message": {message, false, func(t *testing.T, a *Association, err error) {
			require.NoError(t, err)
			f, err := a.NextPDV()
			require.NoError(t, err)
			require.Equal(t, Fragment{1, true, true, 2}, f)
		}},
		"half a header": {
			message[:3], false, func(t *testing.T, a *Association, err error) { require.NoError(t, err) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			act, acted := make(chan struct{}), make(chan struct{})
			a, _ := established(t, Options{}, func(c net.Conn) {
				<-act
				_, _ = c.Write(tc.bytes)
				if tc.close {
					_ = c.Close()
				}
				close(acted)
				_, _ = readRaw(c)
			})
			require.NoError(t, a.Check(), "nothing has happened")
			close(act)
			<-acted // on loopback it has then arrived
			tc.check(t, a, a.Check())
		})
	}
}

// told is a source that writes pieces, and tells the end of the last ones.
type told struct{ pieces, rest [][]byte }

func (told) Read([]byte) (int, error) { panic("its WriteWhole is to be used") }

func (d told) WriteWhole(w RestWriter) error {
	for _, p := range d.pieces {
		if _, err := w.Write(p); err != nil {
			return err
		}
	}
	return w.WriteRest(d.rest...)
}

// TestWriteRest: what is told to be all that is left ends with a full fragment that is marked, whatever was written
// before.
func TestWriteRest(t *testing.T) {
	some := func(n int) []byte { return bytes.Repeat([]byte("0123456789abcdef"), n/16+1)[:n] }
	for name, data := range map[string]told{
		"all at once":         {nil, [][]byte{some(50000)}},
		"in pieces":           {nil, [][]byte{some(10), some(70000), nil, some(30000)}},
		"after little":        {[][]byte{some(100)}, [][]byte{some(50000)}},
		"after much":          {[][]byte{some(100), some(100000)}, [][]byte{some(100)}},
		"in odd pieces":       {[][]byte{some(99), some(20001)}, [][]byte{some(33333), some(3)}},
		"an odd rest":         {[][]byte{some(100000)}, [][]byte{some(20001)}},
		"an odd end":          {[][]byte{some(99)}, nil},
		"nothing":             {nil, nil},
		"nothing after much":  {[][]byte{some(40000)}, nil},
		"nothing after a few": {[][]byte{some(6)}, [][]byte{nil}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var fragments []Fragment
			var got []byte
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer l.Close()
			done := make(chan error, 1)
			go func() {
				c, err := l.Accept()
				if err != nil {
					done <- err
					return
				}
				a, err := Accept(t.Context(), c, Options{MaxPDU: minPDU}, accept)
				for err == nil {
					var f Fragment
					if f, err = a.NextPDV(); err == nil && !f.Command {
						fragments = append(fragments, f)
						p, _ := io.ReadAll(a)
						got = append(got, p...)
					}
				}
				_ = a.ConfirmRelease()
				done <- err
			}()
			a, err := Dial(t.Context(), l.Addr().String(), request(), Options{})
			require.NoError(t, err)
			require.NoError(t, a.SendMessage(1, []byte("command!"), data))
			require.NoError(t, a.Release(t.Context()))
			require.ErrorIs(t, <-done, ErrReleaseRequested)
			want := slices.Concat(append(data.pieces, data.rest...)...)
			require.Equal(t, string(append(want, make([]byte, len(want)%2)...)), string(got))
			for i, f := range fragments {
				last := i == len(fragments)-1
				require.Equal(t, last, f.Last, "fragment %d of %d", i, len(fragments))
				require.True(t, f.Len > 0 || len(got) == 0, "fragment %d of %d is empty", i, len(fragments))
				require.Zero(t, f.Len%2)
			}
		})
	}
}

// TestTLS: an association over TLS, and what is said when only one side uses it.
func TestTLS(t *testing.T) {
	server, client := certificates(t)
	got := make(chan []byte, 1)
	run := func(opt Options) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		done := make(chan struct{})
		t.Cleanup(func() { l.Close(); <-done })
		go func() {
			defer close(done)
			c, err := l.Accept()
			if err != nil {
				return
			}
			a, err := Accept(t.Context(), c, opt, accept)
			if err != nil {
				return
			}
			var b []byte
			for {
				_, err := a.NextPDV()
				if errors.Is(err, ErrReleaseRequested) {
					_ = a.ConfirmRelease()
					got <- b
				}
				if err != nil {
					return
				}
				p, _ := io.ReadAll(a)
				b = append(b, p...)
			}
		}()
		return l.Addr().String()
	}
	a, err := Dial(t.Context(), run(Options{TLS: server}), request(), Options{TLS: client})
	require.NoError(t, err)
	data := bytes.Repeat([]byte("0123456789"), 300000)
	require.NoError(t, a.SendMessage(1, []byte("command!"), bytes.NewReader(data)))
	require.NoError(t, a.Release(t.Context()))
	require.Equal(t, "command!"+string(data), string(<-got))

	_, err = Dial(t.Context(), run(Options{}), request(), Options{TLS: client, ConnectTimeout: patience})
	require.ErrorAs(t, err, new(*ConnectError))
	_, err = Dial(t.Context(), run(Options{TLS: server}), request(), Options{ConnectTimeout: patience})
	require.Error(t, err)
	_, err = Dial(
		t.Context(), run(Options{TLS: server}), request(), Options{TLS: &tls.Config{}, ConnectTimeout: patience},
	)
	require.ErrorContains(t, err, "which is not trusted here; get the authority's certificate")
}

func certificates(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		&tls.Config{RootCAs: pool}
}

// TestDialSilentHTTP: an HTTP server that waits for the end of a line is told apart from a DICOM server that hangs.
func TestDialSilentHTTP(t *testing.T) {
	web := httptest.NewServer(nil)
	defer web.Close()
	opt := Options{ConnectTimeout: 500 * time.Millisecond}
	_, err := Dial(t.Context(), web.Listener.Addr().String(), &AssociateRQ{CalledAE: "A", CallingAE: "B"}, opt)
	var notDICOM *NotDICOMError
	require.ErrorAs(t, err, &notDICOM)
	require.Equal(t, "HTTP", notDICOM.Got)

	mute, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer mute.Close()
	_, err = Dial(t.Context(), mute.Addr().String(), &AssociateRQ{CalledAE: "A", CallingAE: "B"}, opt)
	var connect *ConnectError
	require.ErrorAs(t, err, &connect)
	require.ErrorAs(t, err, new(*TimeoutError))
	require.ErrorContains(t, err, "did not answer the association request within 500ms")
}
