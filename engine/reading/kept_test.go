// SPDX-License-Identifier: AGPL-3.0-or-later

package reading

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestOuts: an instance that goes out again soon is made once, for each wish, and goes when nobody has used it for a
// moment, or at once where there is little room.
func TestOuts(t *testing.T) {
	for name, c := range map[string]struct {
		used int64
		kept bool
	}{"roomy": {0, true}, "nearly full": {600, false}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cache := &Cache{max: 1000, used: c.used, all: map[seriesKey]*entry{}}
				o := &outs{all: map[outKey]*out{}}
				made, released := 0, 0
				produce := func() (io.ReaderAt, int64, func(), error) {
					made++
					<-time.After(time.Second)
					return strings.NewReader("x"), 1, func() { released++ }, nil
				}
				key := outKey{wish: Wish{Pseudonym: "A"}}
				var all sync.WaitGroup
				got := make(chan bool, 10)
				for range cap(got) {
					all.Go(func() {
						file, size, release, err := o.get(t.Context(), cache, key, produce)
						got <- err == nil && file != nil && size == 1
						<-time.After(time.Second)
						release()
						release() // once counts
					})
				}
				all.Wait()
				synctest.Wait()
				for range cap(got) {
					require.True(t, <-got)
				}
				require.Equal(t, 1, made)
				require.Equal(t, !c.kept, released == 1)
				_, _, again, err := o.get(t.Context(), cache, key, produce)
				require.NoError(t, err)
				require.Equal(t, c.kept, made == 1)
				<-time.After(2 * keptOut)
				synctest.Wait()
				require.Len(t, o.all, 1, "somebody uses it")
				_, _, other, err := o.get(t.Context(), cache, outKey{wish: Wish{Pseudonym: "B"}}, produce)
				require.NoError(t, err)
				require.Len(t, o.all, 2)
				again()
				other()
				<-time.After(2 * keptOut)
				synctest.Wait()
				require.Empty(t, o.all)
				require.Equal(t, made, released)
			})
		})
	}
}

// TestOutsFail: an error is that of one request alone.
func TestOutsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cache, o := &Cache{max: 1000, all: map[seriesKey]*entry{}}, &outs{all: map[outKey]*out{}}
		left := errors.New("left")
		tries := 0
		produce := func() (io.ReaderAt, int64, func(), error) {
			tries++
			<-time.After(time.Second)
			if tries == 1 {
				return nil, 0, nil, left
			}
			return strings.NewReader("x"), 1, func() {}, nil
		}
		failed := make(chan error, 3)
		for range 3 {
			go func() {
				_, _, _, err := o.get(t.Context(), cache, outKey{}, produce)
				failed <- err
			}()
		}
		gone, leave := context.WithCancel(t.Context())
		leave()
		synctest.Wait()
		_, _, _, err := o.get(gone, cache, outKey{}, produce)
		require.ErrorIs(t, err, context.Canceled)
		errs := []error{<-failed, <-failed, <-failed}
		require.ElementsMatch(t, []error{left, nil, nil}, errs)
		require.Equal(t, 2, tries)
	})
}
