// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTally: what can't be written down is kept, with when it first and last came, and keeps nothing else; kinds have a
// bound.
func TestTally(t *testing.T) {
	ta := NewTally(2, func(int) int { return 0 })
	at := func(s int) time.Time { return time.Unix(1e9+int64(s), 0) }
	ta.add(1, Sightings{N: 2, first: at(1), last: at(2)})
	ta.add(2, Sightings{N: 1, Kept: 1, first: at(1), last: at(1)})
	wrote := map[int]int64{}
	require.Error(t, ta.Flush(func(of int, c Sightings) error {
		if of == 1 {
			ta.add(1, Sightings{N: 1, first: at(5), last: at(6)}) // comes while the other can't be written
			return errors.New("no room")
		}
		wrote[of] = c.N
		return nil
	}))
	require.Equal(t, map[int]int64{2: 1}, wrote)
	require.Equal(t, map[int]Sightings{1: {N: 3, first: at(1), last: at(6)}}, ta.Take())

	for of := range 5 {
		ta.One(of+1, of%2 == 0)
	}
	counts := ta.Take()
	require.Len(t, counts, 3)
	require.EqualValues(t, 3, counts[0].N)
	require.EqualValues(t, 2, counts[0].Kept)
}
