// SPDX-License-Identifier: AGPL-3.0-or-later

package door

import (
	"bytes"
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestPace: eight readers at once stay within the limit, and use it: any 60 seconds within 0.9 and 1.05 times of it.
func TestPace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate = 2e6 // bytes per second
		p := &Pace{rate: rate}
		time.Sleep(time.Minute) //nolint:forbidigo // of the bubble's own clock: a pause that must not be made up for
		begin := time.Now()
		var mu sync.Mutex
		var at []time.Duration // of each 64 KiB
		var all sync.WaitGroup
		var crept atomic.Int64
		for range 8 {
			all.Go(func() {
				r := &pacedReader{t.Context(), bytes.NewReader(make([]byte, 40<<20)), p, &crept}
				buf := make([]byte, paceChunk)
				for {
					n, err := r.Read(buf)
					if errors.Is(err, io.EOF) {
						return
					}
					if n != paceChunk {
						panic(n)
					}
					mu.Lock()
					at = append(at, time.Since(begin))
					mu.Unlock()
				}
			})
		}
		all.Wait()
		end := time.Since(begin)
		require.InEpsilon(t, float64(8*40<<20)/rate, end.Seconds(), 0.02)
		for from := time.Duration(0); from+time.Minute <= end; from += time.Second {
			bytes := 0
			for _, d := range at {
				if d >= from && d < from+time.Minute {
					bytes += paceChunk
				}
			}
			require.LessOrEqual(t, float64(bytes), 1.05*60*rate)
			require.GreaterOrEqual(t, float64(bytes), 0.9*60*rate)
		}
	})
}
