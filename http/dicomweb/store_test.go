// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// dripping gives some bytes after each pause, so many at most.
type dripping struct {
	pause time.Duration
	bytes int
	left  int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left <= 0 {
		return 0, io.EOF
	}
	<-time.After(d.pause)
	n := min(len(p), d.bytes, d.left)
	d.left -= n
	return n, nil
}

// TestTrickle: a body that trickles is given up, one that is slow is not, however long somebody else holds it up.
func TestTrickle(t *testing.T) {
	for name, c := range map[string]struct {
		from  *dripping
		taken time.Duration // by who reads
		want  error
	}{
		"a byte now and then":      {&dripping{5 * time.Second, 1, 1000}, 0, errTrickles},
		"a byte every 29 s":        {&dripping{29 * time.Second, 1, 1000}, 0, errTrickles},
		"slow":                     {&dripping{time.Second, 1500, 1 << 20}, 0, nil},
		"at once, taken slowly":    {&dripping{0, 100, 10_000}, time.Minute, nil},
		"an object now and then":   {&dripping{29 * time.Second, 32 << 10, 1 << 20}, 0, nil},
		"little, but soon all":     {&dripping{10 * time.Second, 10, 20}, 0, nil},
		"slow, and the last is so": {&dripping{30 * time.Second, 20 << 10, 20 << 10}, 0, errTrickles},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := &incoming{r: c.from, conn: http.NewResponseController(httptest.NewRecorder())}
				var err error
				for b := make([]byte, 64<<10); err == nil; {
					_, err = in.Read(b)
					<-time.After(c.taken)
				}
				if c.want == nil {
					c.want = io.EOF
				}
				require.ErrorIs(t, err, c.want)
			})
		})
	}
}
