// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// shiftTo lets the clock of all schedules show an instant, for every session of the database.
func shiftTo(t *testing.T, n *harness.Member, to time.Time) {
	t.Helper()
	var name string
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT current_database()").Scan(&name))
	_, err := n.Pool.Exec(t.Context(),
		fmt.Sprintf("ALTER DATABASE %q SET adit.clock_shift = '%f seconds'", name, time.Until(to).Seconds()),
	)
	require.NoError(t, err)
	n.Pool.Reset()
}

// TestClockGoesBack: what waits by the database's clock waits no longer when that goes back by an hour.
func TestClockGoesBack(t *testing.T) {
	study, port := ct(1, 3), testpeer.Port(t)
	n := harness.New(t, harness.Config{})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("source", "SRC", fmt.Sprintf("127.0.0.1:%d", port), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	shiftTo(t, n, time.Now().Add(time.Hour))
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.Status == jobs.InProgress && n.Task(j.ID).WaitingReason != "" })

	shiftTo(t, n, time.Now())
	src := pacs.Config{AETitle: "SRC", Listen: fmt.Sprintf("127.0.0.1:%d", port), Studies: []*phantom.Study{study}}
	startPACS(t, src)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
}

func berlin(t *testing.T, text string) time.Time {
	t.Helper()
	loc, err := time.LoadLocation("Europe/Berlin")
	require.NoError(t, err)
	instant, err := time.ParseInLocation("2006-01-02 15:04:05", text, loc)
	require.NoError(t, err)
	return instant
}

// night is open for jobs from 20:00 to 06:00, with so many associations.
func night(batch int) schedule.Schedule {
	return schedule.Schedule{
		Default: schedule.Limits{Interactive: 2},
		Windows: []schedule.Window{{
			Span:   schedule.Span{From: schedule.Clock(20, 0), To: schedule.Clock(6, 0), TimeZone: "Europe/Berlin"},
			Limits: schedule.Limits{Batch: batch, Interactive: 1},
		}},
	}
}

func setSchedule(t *testing.T, n *harness.Member, server string, s schedule.Schedule) {
	t.Helper()
	_, err := n.Engine.Nodes.SetSchedule(t.Context(), n.Admin, server, s)
	require.NoError(t, err)
}

func registered(t *testing.T, n *harness.Member) uuid.UUID {
	t.Helper()
	member, err := n.Engine.Lease.Register(
		t.Context(), lease.Registration{DataDirID: uuid.New(), Name: "test", Version: "test"},
	)
	require.NoError(t, err)
	return member
}

// TestWeekOfClaims: over a week with a clock change and a holiday, as many tasks can be claimed at each hour as its
// window allows.
func TestWeekOfClaims(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{Idle: true})
	source := n.AddServer("source", "SRC", "127.0.0.1:1", withCap(100))
	destination := n.AddServer("destination", "DST", "127.0.0.1:2", withCap(100))
	manyTasks(t, n, n.Admin.ID, source, destination, 50, "1.2.3")
	s := night(8)
	s.Windows = append(s.Windows,
		schedule.Window{Span: schedule.Span{Weekdays: []schedule.Weekday{schedule.Sunday, schedule.Holiday}, From: 0, To: schedule.Clock(24, 0), TimeZone: "Europe/Berlin"}, Limits: schedule.Limits{Batch: 3, Interactive: 1}},
		schedule.Window{Span: schedule.Span{Weekdays: []schedule.Weekday{schedule.Wednesday}, From: schedule.Clock(12, 0), To: schedule.Clock(13, 0), TimeZone: "Europe/Berlin"}},
	)
	s.Holidays = []schedule.Date{{Year: 2030, Month: time.March, Day: 28}}
	setSchedule(t, n, "source", s)
	member := registered(t, n)

	for _, tt := range []struct {
		at    string
		batch int
		live  string // what a search is told: "" = it gets a slot
	}{
		{"2030-03-25 19:59:50", 0, ""}, // Monday
		{"2030-03-25 20:00:10", 8, ""},
		{"2030-03-26 05:59:50", 8, ""},
		{"2030-03-26 06:00:10", 0, ""},
		{"2030-03-27 12:30:00", 0, "closed for interactive use"}, // Wednesday at noon: nobody
		{"2030-03-27 13:00:10", 0, ""},
		{"2030-03-28 10:00:00", 3, ""}, // the holiday
		{"2030-03-29 10:00:00", 0, ""},
		{"2030-03-31 01:59:50", 8, ""}, // Sunday, the clock jumps at 2
		{"2030-03-31 03:00:10", 8, ""},
		{"2030-03-31 06:00:10", 3, ""},
		{"2030-03-31 23:00:00", 8, ""},
		{"2030-04-01 06:00:10", 0, ""},
	} {
		shiftTo(t, n, berlin(t, tt.at))
		claimed := 0
		for {
			_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member) // finds by itself that the hour is another one
			require.NoError(t, err)
			if !ok {
				break
			}
			claimed++
		}
		require.Equal(t, tt.batch, claimed, tt.at)
		for _, err := range n.Engine.Query.Studies(t.Context(), n.Admin, "source", query.Search{PatientID: "X"}) {
			if tt.live == "" {
				require.ErrorContains(t, err, "nothing listens", tt.at)
			} else {
				require.ErrorContains(t, err, tt.live, tt.at)
			}
		}
		_, err := n.Pool.Exec(t.Context(), "DELETE FROM association_slots")
		require.NoError(t, err)
		_, err = n.Pool.Exec(t.Context(),
			"WITH t AS (UPDATE tasks SET status = 'pending', lease_member = NULL, lease_token = NULL) UPDATE jobs SET n_pending = 50, n_running = 0",
		)
		require.NoError(t, err)
		state, err := n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		require.Equal(t, tt.batch, state.Now.InForce.Batch)
	}
}

// TestCapFalls: of eight running tasks the two oldest go on when the cap falls to two; the others go on later, without
// repeating anything.
func TestCapFalls(t *testing.T) {
	t.Parallel()
	var studies []*phantom.Study
	var uids []string
	for i := range 8 {
		st := ct(uint64(300+i), 5)
		studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
	}
	open := make(chan struct{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtSubOperation && e.Number == 3 {
			select {
			case <-open:
			case <-ctx.Done():
			}
		}
	}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{
		Workers: 20, Engine: base.Config{ParkGrace: time.Millisecond, ParkPatience: 50 * time.Millisecond},
	})
	n.AddServer("source", "SRC", src.Addr(), withCap(8))
	n.AddServer("destination", "DST", dst.Addr(), withCap(40))
	job := n.Transfer("source", "destination", uids...)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 8 })
	oldest := func() (ids []int64) {
		rows, err := n.Pool.Query(
			t.Context(), "SELECT id FROM tasks WHERE status = 'in_progress' ORDER BY lease_token LIMIT 2",
		)
		require.NoError(t, err)
		defer rows.Close()
		for rows.Next() {
			var id int64
			require.NoError(t, rows.Scan(&id))
			ids = append(ids, id)
		}
		return ids
	}
	stay := oldest()

	setSchedule(t, n, "source", schedule.Schedule{Default: schedule.Limits{Batch: 2, Interactive: 2}})
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 2 && j.NPending == 6 })
	require.Equal(t, stay, oldest())
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Status: jobs.Pending, Limit: 10})
	require.NoError(t, err)
	for _, task := range tasks {
		require.Zero(t, task.Failures+task.Waits+task.Losses, "parking is no attempt")
		require.Contains(t, task.WhyWaiting, "cap reached")
	}
	close(open)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 40)
}

// requireOnce tells that so many instances were stored, and none twice.
func requireOnce(t *testing.T, dst *pacs.PACS, instances int) {
	t.Helper()
	seen := map[string]int{}
	for _, s := range dst.Recorder().Log().Stores {
		seen[s.SOPInstanceUID]++
		require.Equal(t, 1, seen[s.SOPInstanceUID], "%s was stored twice", s.SOPInstanceUID)
	}
	require.Len(t, seen, instances)
}

// TestWindowCloses: a window closes in the middle of a series. The task stops politely between two instances, tells
// when it goes on, and then does so without repeating one. TestFaultWindowClosesInALongSeries is the same with 10,000.
func TestWindowCloses(t *testing.T) {
	t.Parallel()
	windowCloses(t, 2000)
}

func windowCloses(t *testing.T, instances int) {
	t.Helper()
	study := phantom.New(31, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: instances, Rows: 8, Columns: 8}},
	})
	reached, open := make(chan struct{}), make(chan struct{})
	var once sync.Once
	src := startPACS(t,
		pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.Number == instances/4 {
				once.Do(func() { close(reached) })
				select {
				case <-open:
				case <-ctx.Done():
				}
			}
		}},
	)
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Idle: true, Engine: base.Config{ParkGrace: time.Millisecond}})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	shiftTo(t, n, berlin(t, "2030-06-03 22:00:00"))
	setSchedule(t, n, "source", night(4))
	n.Start()
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-reached
	shiftTo(t, n, berlin(t, "2030-06-04 06:00:10"))
	n.WaitFor(job.ID, func(jobs.Job) (seen bool) { // by the member; the task is told in the same moment
		require.NoError(t, n.Pool.QueryRow(t.Context(),
			"SELECT st.batch_cap = 0 FROM server_state st JOIN dicom_nodes d ON d.id = st.server_id WHERE d.name = 'source'",
		).Scan(&seen))
		return seen
	})
	close(open)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 0 })
	task := n.Task(job.ID)
	require.Equal(t, jobs.Pending, task.Status)
	require.GreaterOrEqual(t, int(task.Delivered), instances/4-1)
	require.Less(t, int(task.Delivered), instances)
	require.Zero(t, task.Failures+task.Waits+task.Losses)
	require.Equal(
		t, "DICOM Server source is closed for jobs now; window opens at 20:00 on Tue 2030-06-04 (Europe/Berlin)",
		task.WhyWaiting,
	)
	require.Zero(t, src.Recorder().Log().Lost, "released politely")
	t.Logf("parked after %d instances", task.Delivered)

	shiftTo(t, n, berlin(t, "2030-06-04 20:00:10"))
	job = n.Wait(job.ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	requireOnce(t, dst, instances)
}

// TestStudyRate simulates minutes of claims that come late by chance, of two members: no 60 seconds have more starts
// than the rate, even if each start is seen at the server up to a second later or earlier than the others, and all
// minutes together reach 97 % of it.
func TestStudyRate(t *testing.T) {
	t.Parallel()
	const (
		span   = 4 * time.Minute
		onWire = time.Second // between a claim and what the server sees of it, at most
	)
	for seed, rate := range []float64{0.5, 1, 2, 7, 10, 20, 30, 120, 240} {
		t.Run(fmt.Sprint(rate), func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{Idle: true})
			source := n.AddServer("source", "SRC", "127.0.0.1:1", withCap(1000))
			destination := n.AddServer("destination", "DST", "127.0.0.1:2", withCap(1000))
			setSchedule(t, n, "source", schedule.Schedule{
				Default: schedule.Limits{Batch: 1000, Interactive: 1, StudiesPerMinute: rate},
			})
			manyTasks(t, n, n.Admin.ID, source, destination, 1000, "1.2.3")
			members := []uuid.UUID{registered(t, n), registered(t, n)}
			conn, err := n.Pool.Acquire(t.Context())
			require.NoError(t, err)
			defer conn.Release()

			chance := rand.New(rand.NewPCG(uint64(seed), 8))
			var starts []time.Duration
			for now := time.Duration(0); now < span; {
				c := claimAt(t, conn, members[chance.IntN(len(members))], now)
				if c.Found {
					starts = append(starts, now)
					continue
				}
				require.Positive(t, c.Again, "it says when to look again")
				now += c.Again + time.Duration(chance.Int64N(int64(400*time.Millisecond)))
			}
			most := int(math.Ceil(rate))
			for i := range len(starts) - most {
				require.GreaterOrEqual(
					t, starts[i+most]-starts[i], time.Minute+onWire-time.Millisecond,
					"%d starts from %s", most+1, starts[i],
				)
			}
			require.GreaterOrEqual(t, float64(len(starts)), math.Floor(0.97*rate*span.Minutes()))
		})
	}
}

// claimAt claims at an instant of a clock that stands still: now() is that of a transaction.
func claimAt(t *testing.T, conn *pgxpool.Conn, member uuid.UUID, now time.Duration) (c db.Claim) {
	t.Helper()
	require.NoError(t, pgx.BeginFunc(t.Context(), conn, func(tx pgx.Tx) error {
		_, err := tx.Exec(t.Context(),
			"SELECT set_config('adit.clock_shift', (timestamptz '2030-06-03 10:00Z' - now() + $1 * interval '1 microsecond')::text, true)",
			now.Microseconds(),
		)
		if err != nil {
			return err
		}
		c, err = db.ClaimTask(t.Context(), tx, member, 90*time.Second)
		return err
	}))
	return c
}

// TestNobodyBorrows: a night batch fills its cap; a search answers over the interactive slot, and the next one gives up
// after ten seconds with a sentence.
func TestNobodyBorrows(t *testing.T) {
	t.Parallel()
	studies := []*phantom.Study{ct(41, 3), ct(42, 3), ct(43, 3)}
	list, searching := make(chan struct{}), make(chan struct{})
	retrieving := make(chan struct{}, len(studies))
	searches, letSearch := make(chan struct{}, 1), make(chan struct{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		switch {
		case e.Kind == pacs.AtSubOperation:
			select {
			case retrieving <- struct{}{}:
			default:
			}
			select {
			case <-list:
			case <-ctx.Done():
			}
		case e.Kind == pacs.AtFind && isClosed(searching):
			select {
			case searches <- struct{}{}:
			default:
			}
			select {
			case <-letSearch:
			case <-ctx.Done():
			}
		}
	}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	shiftTo(t, n, berlin(t, "2030-06-03 22:00:00"))
	setSchedule(t, n, "source", night(2))
	n.Start()
	job := n.Transfer(
		"source", "destination", studies[0].StudyInstanceUID, studies[1].StudyInstanceUID, studies[2].StudyInstanceUID,
	)
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 2 })
	for range 2 { // they have no lists to ask for any more
		<-retrieving
	}

	search := func() (found int, err error) {
		for _, err := range n.Engine.Query.Studies(
			t.Context(), n.Admin, "source", query.Search{PatientID: "PHANTOM-001"},
		) {
			if err != nil {
				return found, err
			}
			found++
		}
		return found, nil
	}
	found, err := search()
	require.NoError(t, err)
	require.Equal(t, 3, found)

	close(searching)
	first := make(chan error, 1)
	go func() {
		_, err := search()
		first <- err
	}()
	<-searches
	begin := time.Now()
	_, err = search()
	var busy *door.Busy
	require.ErrorAs(t, err, &busy)
	require.EqualError(t, err, "DICOM Server source has no connection free for interactive use; try again in a moment")
	require.GreaterOrEqual(t, time.Since(begin), 9*time.Second)
	close(letSearch)
	require.NoError(t, <-first)
	require.LessOrEqual(t, src.Recorder().Log().Peak, 3, "two of jobs, one of people")
	close(list)
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// TestOutageOfEightHours: a server is away for eight simulated hours. It is asked for a sign of life less and less, at
// last once a minute; no task fails, and all goes on by itself.
func TestOutageOfEightHours(t *testing.T) {
	t.Parallel()
	studies := []*phantom.Study{ct(51, 2), ct(52, 2), ct(53, 2), ct(54, 2)}
	addr := fmt.Sprintf("127.0.0.1:%d", testpeer.Port(t))
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{Engine: base.Config{ProbePause: time.Minute}})
	n.AddServer("source", "SRC", addr, withCap(1))
	n.AddServer("destination", "DST", dst.Addr(), nil)
	begin := berlin(t, "2030-06-03 22:00:00")
	shiftTo(t, n, begin)
	job := n.Transfer(
		"source", "destination", studies[0].StudyInstanceUID, studies[1].StudyInstanceUID,
		studies[2].StudyInstanceUID, studies[3].StudyInstanceUID,
	)
	n.WaitFor(job.ID, func(jobs.Job) bool {
		s, err := n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		return s.Now.Down != ""
	})
	n.WaitFor(job.ID, func(j jobs.Job) bool { return j.NRunning == 0 })
	n.Stop(harness.Deadline)

	member := registered(t, n)
	var last time.Time
	probes := 0
	step := 41 * time.Second
	for now := begin.Add(time.Minute); now.Before(begin.Add(8 * time.Hour)); now = now.Add(step) {
		if now.Sub(begin) > time.Hour {
			step = 5 * time.Minute
		}
		shiftTo(t, n, now)
		asked, err := n.Engine.Lease.Probe(t.Context(), member)
		require.NoError(t, err)
		if asked {
			require.GreaterOrEqual(t, now.Sub(last), min(time.Minute, 5*time.Second<<min(probes, 10)))
			last = now
			probes++
		}
		again, err := n.Engine.Lease.Probe(t.Context(), registered(t, n)) // whichever member asks
		require.NoError(t, err)
		require.False(t, again)
		_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
		require.NoError(t, err)
		require.False(t, ok, "nobody is sent there meanwhile")
	}
	require.InDelta(
		t, 45+84, probes, 4, "after the first few, each 82 seconds while the clock moves by 41, then at each step",
	)
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 10})
	require.NoError(t, err)
	for _, task := range tasks {
		require.Equal(t, jobs.Pending, task.Status)
		require.Zero(t, task.Failures)
		require.Contains(t, task.WhyWaiting, "nothing listens there")
		require.Contains(t, task.WhyWaiting, "next attempt in")
	}

	src, err := pacs.Start(pacs.Config{Listen: addr, AETitle: "SRC", Studies: studies})
	require.NoError(t, err)
	t.Cleanup(func() { _ = src.Close() })
	shiftTo(t, n, begin.Add(8*time.Hour+5*time.Minute))
	n.Start()
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status)
	requireOnce(t, dst, 8)
}

// TestActionsActAtOnce: each action is seen on running and pending tasks, long before anybody would look again by
// himself.
func TestActionsActAtOnce(t *testing.T) {
	t.Parallel()
	var studies []*phantom.Study
	var uids []string
	for i := range 3 {
		st := phantom.New(uint64(60+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 60, Rows: 8, Columns: 8}},
		})
		studies, uids = append(studies, st), append(uids, st.StudyInstanceUID)
	}
	var mu sync.Mutex
	gate := make(chan struct{})
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind != pacs.AtSubOperation || e.Number != 5 {
			return
		}
		mu.Lock()
		g := gate
		mu.Unlock()
		select {
		case <-g:
		case <-ctx.Done():
		}
	}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	// No beat helps: the lease is an hour.
	n := harness.New(t, harness.Config{Lease: time.Hour, Engine: base.Config{ParkPatience: 50 * time.Millisecond}})
	n.AddServer("source", "SRC", src.Addr(), withCap(1))
	n.AddServer("destination", "DST", dst.Addr(), nil)
	first, other := n.Transfer("source", "destination", uids[0], uids[1]), n.Transfer("source", "destination", uids[2])
	n.WaitFor(first.ID, func(j jobs.Job) bool { return j.NRunning == 1 })
	act := func(id int64, a jobs.JobAction) {
		t.Helper()
		require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, id, a))
	}
	idle := func(j jobs.Job) bool { return j.NRunning == 0 }
	runs := func(j jobs.Job) bool { return j.NRunning == 1 }

	act(first.ID, jobs.PauseJob)
	n.WaitFor(first.ID, idle) // the running task stops
	n.WaitFor(other.ID, runs) // and makes room
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", true))
	n.WaitFor(other.ID, idle) // a server's pause stops what runs there
	require.Contains(t, n.Task(other.ID).WhyWaiting, "DICOM Server source is paused")
	var conflict *refusal.Conflict
	require.ErrorAs(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", true), &conflict)

	act(first.ID, jobs.ContinueJob)
	yes := true
	require.NoError(t, n.Engine.Jobs.SetUrgency(t.Context(), n.Admin, other.ID, jobs.Urgency{Urgent: &yes}))
	require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", false))
	n.WaitFor(other.ID, runs) // the urgent one comes first
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, first.ID, jobs.TaskFilter{Status: jobs.Pending, Limit: 5})
	require.NoError(t, err)
	require.Contains(t, tasks[1].WhyWaiting, "1 of your tasks comes before it")

	act(other.ID, jobs.CancelJob)
	n.WaitFor(other.ID, jobs.Job.Done) // a cancel stops it
	n.WaitFor(first.ID, runs)          // and makes room
	top := 8
	require.NoError(t, n.Engine.Jobs.SetUrgency(t.Context(), n.Admin, first.ID, jobs.Urgency{Priority: &top}))
	mu.Lock()
	close(gate)
	mu.Unlock()
	require.Equal(t, jobs.Success, n.Wait(first.ID).Status)
	act(other.ID, jobs.ResumeJob)
	n.WaitFor(other.ID, func(j jobs.Job) bool { return j.NRunning == 1 || j.Done() }) // a resume goes on
	require.Equal(t, jobs.Success, n.Wait(other.ID).Status)
	require.Equal(t, 1, src.Recorder().Log().Peak)
}

// TestUrgentOutsideWindows: a job that may do so runs while the window is closed for all others, within the default's
// cap.
func TestUrgentOutsideWindows(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("source", "SRC", "127.0.0.1:1", withCap(1))
	n.AddServer("destination", "DST", "127.0.0.1:2", nil)
	s := schedule.Schedule{
		Default: schedule.Limits{Batch: 1, Interactive: 1},
		Windows: []schedule.Window{{Span: schedule.Span{From: schedule.Clock(8, 0), To: schedule.Clock(17, 0), TimeZone: "Europe/Berlin"}, Limits: schedule.Limits{Interactive: 2}}},
	}
	shiftTo(t, n, berlin(t, "2030-06-03 10:00:00"))
	setSchedule(t, n, "source", s)
	member := registered(t, n)
	job := n.Transfer("source", "destination", "1.2.3", "1.2.4")
	_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.False(t, ok)

	yes := true
	var invalid *refusal.Invalid
	require.ErrorAs(
		t, n.Engine.Jobs.SetUrgency(t.Context(), n.Admin, job.ID, jobs.Urgency{OutsideWindows: &yes}), &invalid,
	)
	require.NoError(t, n.Engine.Jobs.SetUrgency(
		t.Context(), n.Admin, job.ID, jobs.Urgency{Urgent: &yes, OutsideWindows: &yes},
	))
	_, ok, _, err = n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.True(t, ok)
	_, ok, _, err = n.Engine.Lease.Claim(t.Context(), member)
	require.NoError(t, err)
	require.False(t, ok, "the default's cap is one")
	orders, err := n.Engine.Lease.Orders(t.Context(), member, "test")
	require.NoError(t, err)
	require.Empty(t, orders.Tasks, "it isn't parked either")

	s.Windows[0].Interactive = 0 // nobody
	setSchedule(t, n, "source", s)
	orders, err = n.Engine.Lease.Orders(t.Context(), member, "test")
	require.NoError(t, err)
	require.Len(t, orders.Tasks, 1)
	require.True(t, orders.Tasks[0].Park)
}

// TestGraceOfASchedule: what has to give way has as long for its series in hand as the schedules of its servers say,
// the shorter one; a pause gives none. It is told in the zone of the windows.
func TestGraceOfASchedule(t *testing.T) {
	t.Parallel()
	sec := func(n int) *int { return &n }
	for _, tt := range []struct {
		name                string
		source, destination *int
		paused              bool
		grace               time.Duration
	}{
		{"neither says", nil, nil, false, schedule.DefaultGrace},
		{"the source's", sec(30), nil, false, 30 * time.Second},
		{"the destination's is no longer than that of who says nothing", nil, sec(900), false, schedule.DefaultGrace},
		{"longer", sec(1200), sec(900), false, 900 * time.Second},
		{"none", sec(0), sec(900), false, 0},
		{"a pause", sec(1200), sec(900), true, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			n := harness.New(t, harness.Config{Idle: true})
			n.AddServer("source", "SRC", "127.0.0.1:1", nil)
			n.AddServer("destination", "DST", "127.0.0.1:2", nil)
			shiftTo(t, n, berlin(t, "2030-06-03 22:00:00"))
			set := func(server string, grace *int) {
				s := night(2)
				s.Grace = grace
				setSchedule(t, n, server, s)
			}
			set("source", tt.source)
			set("destination", tt.destination)
			kept, err := n.Engine.Nodes.Schedule(t.Context(), "source")
			require.NoError(t, err)
			require.Equal(t, tt.source, kept.Grace)
			require.Equal(t, "Europe/Berlin", kept.Now.Zone)
			require.Equal(t, "2030-06-04T06:00:00+02:00", kept.Now.Until.Format(time.RFC3339))
			member := registered(t, n)
			n.Transfer("source", "destination", "1.2.3")
			_, ok, _, err := n.Engine.Lease.Claim(t.Context(), member)
			require.NoError(t, err)
			require.True(t, ok)
			shiftTo(t, n, berlin(t, "2030-06-04 06:00:10"))
			if tt.paused {
				require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", true))
			}
			orders, err := n.Engine.Lease.Orders(t.Context(), member, "test")
			require.NoError(t, err)
			require.Len(t, orders.Tasks, 1)
			require.Equal(t, tt.grace, orders.Tasks[0].Grace)
		})
	}
}

// TestWorkersOfTheHour: more workers at night.
func TestWorkersOfTheHour(t *testing.T) {
	t.Parallel()
	n := harness.New(t, harness.Config{Idle: true})
	member := registered(t, n)
	w, err := schedule.ParseWorkers(
		[]byte(`{"default": 2, "windows": [{"from": "20:00", "to": "06:00", "time_zone": "Europe/Berlin", "workers": 16}], "grace": 40}`),
	)
	require.NoError(t, err)
	orders, err := n.Engine.Lease.Orders(t.Context(), member, "test")
	require.NoError(t, err)
	require.Equal(t, -1, orders.Workers)
	require.NoError(t, n.Engine.Lease.SetWorkers(t.Context(), n.Admin, "test", w))
	for at, workers := range map[string]int{"2030-06-03 19:59:00": 2, "2030-06-03 20:00:10": 16} {
		shiftTo(t, n, berlin(t, at))
		orders, err = n.Engine.Lease.Orders(t.Context(), member, "test")
		require.NoError(t, err)
		require.Equal(t, workers, orders.Workers, at)
		require.Equal(t, 40*time.Second, orders.Grace)
	}
}
