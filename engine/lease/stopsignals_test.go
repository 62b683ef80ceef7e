// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestStopSignalsGrace: a grace ends by itself, a shorter one at once, and what is dropped ends nothing any more.
func TestStopSignalsGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := NewStopSignals()
		r.ParkWithin(time.Minute)
		require.True(t, IsClosed(r.Parked))
		require.False(t, IsClosed(r.Halted))
		r.ParkWithin(0)
		require.True(t, IsClosed(r.Halted))

		r = NewStopSignals()
		r.ParkWithin(time.Hour)
		r.ParkWithin(time.Minute) // sooner
		r.ParkWithin(time.Hour)   // not later
		time.Sleep(time.Minute)   //nolint:forbidigo // of the bubble's own clock
		synctest.Wait()
		require.True(t, IsClosed(r.Halted))

		r = NewStopSignals()
		r.Shed([]int64{7}, time.Minute)
		require.True(t, IsClosed(r.Of(7).Parked))
		require.False(t, IsClosed(r.Parked))
		time.Sleep(time.Minute) //nolint:forbidigo // of the bubble's own clock
		synctest.Wait()
		require.True(t, IsClosed(r.Of(7).Halted))
		require.False(t, IsClosed(r.Of(8).Parked))

		r = NewStopSignals()
		r.ParkWithin(time.Minute)
		r.Drop()
		time.Sleep(time.Hour) //nolint:forbidigo // of the bubble's own clock
		synctest.Wait()
		require.False(t, IsClosed(r.Halted))
	})
}
