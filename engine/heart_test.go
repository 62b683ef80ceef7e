// SPDX-License-Identifier: AGPL-3.0-or-later

package engine_test

import (
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
)

// TestHeartStopsInTheMiddle: a member that stops while its beat is under way closes the connection after it, and none
// is opened later.
func TestHeartStopsInTheMiddle(t *testing.T) {
	n := newIdle(t)
	member := register(t, n, uuid.New())
	heart := n.Engine.Lease.NewHeartbeat(n.URL)
	_, err := heart.Beat(t.Context(), member)
	require.NoError(t, err)
	var beating sync.WaitGroup
	for range 20 {
		beating.Go(func() { _, _ = heart.Beat(t.Context(), member) }) // before Close or after it
	}
	heart.Close()
	beating.Wait()
	_, err = heart.Beat(t.Context(), member)
	require.Error(t, err)
}
