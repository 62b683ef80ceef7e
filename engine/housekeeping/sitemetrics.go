// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/lease"
)

// What a pending task waits for. Of several things it is the first one in this order.
var waitingReasons = []string{
	"unverified",    // its job, for staff
	"paused",        // its job
	"offline",       // its study has to be brought back at the source
	"verification",  // its destination, for what it acknowledged
	"retry",         // the next attempt, after one that failed
	"server_paused", // one of its servers
	"server_down",   // one of its servers: the breaker is open
	"server_closed", // one of its servers takes no jobs at this hour
	"rate",          // one of its servers takes so many studies a minute
	"cap",           // all associations that one of its servers allows to jobs are in use
	"worker",        // its turn
}

var (
	tasksWaiting = prometheus.NewDesc("adit_tasks_waiting",
		"Tasks of the whole site that wait, by reason (of tasks that wait for a time of their own, those of the "+
			"1000 eldest jobs, and 10000 at most).",
		[]string{"reason"}, nil)
	tasksRunning  = prometheus.NewDesc("adit_tasks_running", "Running tasks of the whole site.", nil, nil)
	breakerOpened = prometheus.NewDesc(
		"adit_server_breaker_open",
		"Whether a server is not available, and its tasks wait for it: 1, or 0.", []string{"server"}, nil,
	)
	serverPaused = prometheus.NewDesc(
		"adit_server_paused", "Whether staff paused a server for jobs: 1 or 0.", []string{"server"}, nil,
	)
	serverOpen = prometheus.NewDesc(
		"adit_server_window_open",
		"Whether the schedule of a server lets jobs use it now: 1 or 0.", []string{"server"}, nil,
	)
	slotsInUse = prometheus.NewDesc(
		"adit_server_associations_used",
		"Associations of the whole site that are, or may still be, open at a server, by use.",
		[]string{"server", "use"}, nil,
	)
	slotsAllowed = prometheus.NewDesc(
		"adit_server_associations_limit",
		"Associations that a server allows now, by use.", []string{"server", "use"}, nil,
	)
	beatAge = prometheus.NewDesc("adit_member_beat_age_seconds",
		"How long ago this process saw a member's heartbeat change; members that ended or were declared dead "+
			"are left out.",
		[]string{"member"}, nil)
	cleanedUp = prometheus.NewDesc(
		"adit_clean_up_timestamp_seconds",
		"When the daily clean-up last finished; absent until it first has.", nil, nil,
	)
)

// SiteMetrics returns what the database says of the whole site: each process of a cluster gives the same.
func (svc *Service) SiteMetrics() *db.Snapshot {
	beats := map[uuid.UUID]lease.SeenBeat{}
	return db.NewSnapshot(
		[]*prometheus.Desc{
			tasksWaiting, tasksRunning, breakerOpened, serverPaused,
			serverOpen, slotsInUse, slotsAllowed, beatAge, cleanedUp,
		},
		func(ctx context.Context) ([]prometheus.Metric, error) {
			var out gauges
			for _, read := range []func(context.Context, *gauges) error{
				svc.waitingMetrics, svc.serverMetrics,
				func(ctx context.Context, out *gauges) error { return svc.beatMetrics(ctx, out, beats) },
				svc.cleanUpMetrics,
			} {
				if err := read(ctx, &out); err != nil {
					return nil, err
				}
			}
			return out, nil
		})
}

// gauges are values as they are read.
type gauges []prometheus.Metric

func (g *gauges) add(d *prometheus.Desc, value float64, labels ...string) {
	*g = append(*g, prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...))
}

func (g *gauges) flag(d *prometheus.Desc, on bool, labels ...string) {
	value := 0.0
	if on {
		value = 1
	}
	g.add(d, value, labels...)
}

// waitingMetrics counts by job what keeps jobs, and by task what waits for a time of its own, which its job's count has
// as well.
func (svc *Service) waitingMetrics(ctx context.Context, out *gauges) error {
	jobs, err := svc.Q.WaitingJobs(ctx)
	if err != nil {
		return err
	}
	tasks, err := svc.Q.WaitingTasks(ctx)
	if err != nil {
		return err
	}
	waiting, running, own := map[string]int64{}, int64(0), int64(0)
	for _, t := range tasks {
		waiting[t.Reason] = t.Tasks
		own += t.Tasks
	}
	for _, j := range jobs {
		waiting[j.Reason] += j.Pending
		running += j.Running
	}
	for i := len(waitingReasons) - 1; i >= 0 && own > 0; i-- {
		reason := waitingReasons[i]
		if reason == "retry" { // what comes before keeps whole jobs
			break
		}
		n := min(own, waiting[reason])
		waiting[reason] -= n
		own -= n
	}
	for _, reason := range waitingReasons {
		out.add(tasksWaiting, float64(waiting[reason]), reason)
	}
	out.add(tasksRunning, float64(running))
	return nil
}

func (svc *Service) serverMetrics(ctx context.Context, out *gauges) error {
	servers, err := svc.Q.ServerFigures(ctx)
	if err != nil {
		return err
	}
	for _, s := range servers {
		out.flag(breakerOpened, s.Down, s.Name)
		out.flag(serverPaused, s.Paused, s.Name)
		out.flag(serverOpen, s.BatchCap > 0, s.Name)
		out.add(slotsInUse, float64(s.Batch), s.Name, "batch")
		out.add(slotsInUse, float64(s.Interactive), s.Name, "interactive")
		out.add(slotsAllowed, float64(s.BatchCap), s.Name, "batch")
		out.add(slotsAllowed, float64(s.InteractiveCap), s.Name, "interactive")
	}
	return nil
}

// beatMetrics tells how old the heartbeats are by this process's clock: the database's may be put back. Of several
// processes of one name it tells of the one that was silent longest.
func (svc *Service) beatMetrics(ctx context.Context, out *gauges, seen map[uuid.UUID]lease.SeenBeat) error {
	members, err := svc.Q.AliveMembers(ctx)
	if err != nil {
		return err
	}
	ages, alive := map[string]time.Duration{}, map[uuid.UUID]bool{}
	for _, m := range members {
		alive[m.ID] = true
		if s, ok := seen[m.ID]; !ok || s.Beat != m.Beat {
			seen[m.ID] = lease.SeenBeat{Beat: m.Beat, At: time.Now()}
		}
		ages[m.Name] = max(ages[m.Name], time.Since(seen[m.ID].At))
	}
	for id := range seen {
		if !alive[id] {
			delete(seen, id)
		}
	}
	for name, age := range ages {
		out.add(beatAge, age.Seconds(), name)
	}
	return nil
}

func (svc *Service) cleanUpMetrics(ctx context.Context, out *gauges) error {
	chore, err := svc.Q.GetChore(ctx, cleanUpChore)
	if errors.Is(err, pgx.ErrNoRows) || err == nil && chore.RanAt == nil {
		return nil
	}
	if err == nil {
		out.add(cleanedUp, float64(chore.RanAt.Unix()))
	}
	return err
}
