// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/test/harness"
)

// simulation runs tasks as a member does, with workers of its own, over real associations. Its clock is that of all
// schedules: it jumps to the next instant that anything waits for whenever nothing runs or all that runs sleeps, so
// that ten minutes of waiting take a moment.
type simulation struct {
	t       *testing.T
	n       *harness.Member
	engines []*engine.Engine // more than one: they take turns
	members []uuid.UUID
	workers int
	tries   atomic.Int32 // runs and probes

	inFlight int
	ended    chan struct{}
	woken    chan struct{}

	mu       sync.Mutex
	ahead    time.Duration // of the clock on the wall
	sleepers []sleeper
}

// sleeper is a peer that takes its time by the simulated clock.
type sleeper struct {
	until time.Time
	wake  chan struct{}
}

func simulate(t *testing.T, n *harness.Member, workers int, engines ...*engine.Engine) *simulation {
	t.Helper()
	s := &simulation{
		t: t, n: n, engines: engines, workers: workers,
		ended: make(chan struct{}, workers), woken: make(chan struct{}, 1),
	}
	if len(engines) == 0 {
		s.engines = []*engine.Engine{n.Engine}
	}
	for _, e := range s.engines {
		member, err := e.Lease.Register(
			t.Context(), lease.Registration{DataDirID: uuid.New(), Name: "test", Version: "test"},
		)
		require.NoError(t, err)
		s.members = append(s.members, member)
		e.SetSignals(s)
	}
	t.Cleanup(s.finish)
	// Sessions that are open see a table change; a setting of the database would cost each jump all of its connections.
	_, err := n.Pool.Exec(t.Context(), `CREATE TABLE IF NOT EXISTS simulated_clock AS SELECT interval '0' AS shift;
		CREATE OR REPLACE FUNCTION schedule_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS $$
			SELECT now() + (SELECT shift FROM public.simulated_clock)
		$$`)
	require.NoError(t, err)
	return s
}

// Wake says that there may be work to claim.
func (s *simulation) Wake() {
	select {
	case s.woken <- struct{}{}:
	default:
	}
}

// Cancel and Steer make it a Signals; nobody cancels.
func (s *simulation) Cancel([]int64) {}

// Steer is for schedules that change.
func (s *simulation) Steer() {}

func (s *simulation) ServersChanged() {}

func (s *simulation) now() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Add(s.ahead)
}

// jump moves the clock on, if it has not passed that instant already, and wakes who has slept enough.
func (s *simulation) jump(to time.Time) {
	if to.After(s.now()) {
		_, err := s.n.Pool.Exec(
			s.t.Context(), "UPDATE simulated_clock SET shift = make_interval(secs => $1)", time.Until(to).Seconds(),
		)
		require.NoError(s.t, err)
		s.mu.Lock()
		s.ahead = time.Until(to)
		s.mu.Unlock()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now().Add(s.ahead)
	s.sleepers = slices.DeleteFunc(s.sleepers, func(l sleeper) bool {
		if l.until.After(now) {
			return false
		}
		close(l.wake)
		return true
	})
}

// sleep is for the gates of peers: each run sleeps at most once at a time.
func (s *simulation) sleep(ctx context.Context, d time.Duration) {
	l := sleeper{s.now().Add(d), make(chan struct{})}
	s.mu.Lock()
	s.sleepers = append(s.sleepers, l)
	s.mu.Unlock()
	s.Wake()
	select {
	case <-l.wake:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sleepers = slices.DeleteFunc(s.sleepers, func(o sleeper) bool { return o == l })
	}
}

func (s *simulation) allSleep() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sleepers) >= s.inFlight
}

// play goes on until enough is true, and reports whether it was, or for so long by the schedules' clock.
func (s *simulation) play(d time.Duration, enough func() bool) bool {
	s.t.Helper()
	end := s.now().Add(d)
	for {
		if enough() {
			return true
		}
		looked := s.now()
		s.start()
		if !s.allSleep() {
			select {
			case <-s.ended:
				s.inFlight--
			case <-s.woken:
			case <-time.After(harness.Deadline):
				s.t.Fatal("nothing goes on")
			}
			continue
		}
		next := s.next(looked)
		if next.IsZero() || next.After(end) {
			s.jump(end)
			return enough()
		}
		s.jump(next)
	}
}

// next is the instant that something waits for.
func (s *simulation) next(after time.Time) (next time.Time) {
	var due *time.Time
	require.NoError(s.t, s.n.Pool.QueryRow(s.t.Context(), `SELECT min(at) FROM (
		SELECT probe_at FROM server_state UNION ALL SELECT next_start_at FROM server_state
		UNION ALL SELECT not_before FROM tasks WHERE status = 'pending') AS v (at) WHERE at > $1`, after).Scan(&due))
	if due != nil {
		next = due.Add(time.Millisecond)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.sleepers {
		if next.IsZero() || l.until.Before(next) {
			next = l.until
		}
	}
	return next
}

// start begins all that may begin now.
func (s *simulation) start() {
	for {
		began := false
		for i, e := range s.engines {
			asked, err := e.Lease.Probe(s.t.Context(), s.members[i])
			require.NoError(s.t, err)
			if asked {
				s.tries.Add(1)
			}
			if s.inFlight == s.workers {
				continue
			}
			held, ok, _, err := e.Lease.Claim(s.t.Context(), s.members[i])
			require.NoError(s.t, err)
			if !ok {
				continue
			}
			began = true
			s.inFlight++
			s.tries.Add(1)
			ctx := context.WithoutCancel(s.t.Context())
			go func() {
				outcome := e.Transfer.Run(ctx, held, lease.NewStopSignals(), &lease.Progress{})
				if err := e.Lease.End(ctx, outcome); err != nil {
					s.t.Errorf("the end of a task can't be written: %v", err)
				}
				s.ended <- struct{}{}
			}()
		}
		if !began {
			return
		}
	}
}

// finish lets all that runs come to its end.
func (s *simulation) finish() {
	s.mu.Lock()
	for _, l := range s.sleepers {
		close(l.wake)
	}
	s.sleepers = nil
	s.mu.Unlock()
	for ; s.inFlight > 0; s.inFlight-- {
		<-s.ended
	}
}

// associations counts those that a PACS was asked for.
func associations(p *pacs.PACS) int {
	log := p.Recorder().Log()
	return log.Total + log.Rejected
}

// distant listens before a peer that is so far away: whatever comes waits for that before it is passed on.
func distant(t *testing.T, peer string, latency time.Duration) string {
	t.Helper()
	if latency == 0 {
		return peer
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				there, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", peer)
				if err != nil {
					return
				}
				go func() {
					_, _ = io.Copy(c, there)
					_ = c.Close()
				}()
				defer func() { _ = there.Close() }()
				buf := make([]byte, 64<<10)
				for {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					<-time.After(latency)
					if _, err := there.Write(buf[:n]); err != nil {
						return
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}
