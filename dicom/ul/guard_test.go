// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"errors"
	"io"
	"net"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestGuard: once the guard has said no nothing is sent any more, neither the rest of what is being written, nor
// another message, nor A-ABORT. Its error is the association's.
func TestGuard(t *testing.T) {
	denied := errors.New("not any more")
	for name, tc := range map[string]struct {
		stalls bool // in the middle of a message, until the guard says no and the peer reads on
		use    func(a *Association) error
	}{
		"in the middle": {stalls: true, use: func(a *Association) error {
			return a.SendMessage(1, []byte("command"), endless{})
		}},
		"another message": {use: func(a *Association) error { return a.SendMessage(1, []byte("command"), nil) }},
		"release":         {use: func(a *Association) error { return a.Release(t.Context()) }},
		"abort": {use: func(a *Association) error {
			a.Abort()
			return denied
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var no atomic.Bool
			var refused atomic.Int64
			guard := func() error {
				if no.Load() {
					refused.Add(1)
					return denied
				}
				return nil
			}
			read := make(chan struct{})
			var got int64
			a, wait := established(t, Options{Guard: guard}, func(c net.Conn) {
				<-read
				got, _ = io.Copy(io.Discard, c)
			})
			result := make(chan error, 1)
			if !tc.stalls {
				no.Store(true)
				close(read)
			}
			go func() { result <- tc.use(a) }()
			for start := a.w.lastWrite.Load(); tc.stalls; { // until it has
				runtime.Gosched()
				if now := a.w.lastWrite.Load(); now != start && time.Since(time.Unix(0, now)) > short {
					no.Store(true)
					close(read)
					break
				}
			}
			require.ErrorIs(t, <-result, denied)
			wait()
			require.Equal(t, int64(1), refused.Load(), "it is not tried twice")
			if !tc.stalls {
				require.Zero(t, got)
			}
		})
	}
}

// TestGuardOfAcceptor: it holds for answers, too.
func TestGuardOfAcceptor(t *testing.T) {
	denied := errors.New("not any more")
	got := make(chan int64, 1)
	_, err := acceptOne(t, Options{Guard: func() error { return denied }}, func(c net.Conn) {
		_, _ = c.Write(encode(t, request()))
		n, _ := io.Copy(io.Discard, c)
		got <- n
	})
	require.ErrorIs(t, err, denied)
	require.Zero(t, <-got)
}
