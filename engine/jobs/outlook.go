// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/nodes"
)

// Outlook is what can be said of a job that has not ended. All of it comes from the database, so that every process
// says the same.
type Outlook struct {
	Waiting           // what keeps most of its pending tasks from starting
	Rate    *Rate     // while it runs; nil: not known
	ReadyAt time.Time // when it will have ended, if it goes on as it did; zero: nothing honest can be said
}

// Rate is how fast a job was over the last minutes.
type Rate struct {
	Instances, Bytes float64 // delivered per second
}

const (
	rateOver  = 5 * time.Minute  // a rate looks back so far
	leastSeen = 20 * time.Second // less says nothing
	longPause = 3 * time.Minute  // between two samples nothing ran meanwhile
	maxAhead  = 60 * 24 * time.Hour
)

// notEnded returns the ids of those jobs that have not ended, and of those of them with pending tasks.
func notEnded(jobs []Job) (ids, pending []int64) {
	for _, j := range jobs {
		if j.Done() {
			continue
		}
		ids = append(ids, j.ID)
		if j.NPending > 0 {
			pending = append(pending, j.ID)
		}
	}
	return ids, pending
}

// lookAhead adds the outlook to those jobs that have not ended, as their owners see it or as others do. It asks as
// often for many as for one.
func (svc *Service) lookAhead(ctx context.Context, own func(Job) bool, jobs []Job) error {
	ids, pending := notEnded(jobs)
	if len(ids) == 0 {
		return nil
	}
	q := svc.Q.Planned() // a plan for any values walks over all tasks of a job
	samples, err := q.SamplesOfJobs(ctx, ids)
	if err != nil {
		return err
	}
	if len(pending) == 0 && len(samples) == 0 { // nothing waits, and nothing can be said yet of how fast it is
		return nil
	}
	var waiting []db.WaitingOfJobsRow
	if len(pending) > 0 {
		if waiting, err = q.WaitingOfJobs(ctx, pending); err != nil {
			return err
		}
	}
	keeps, err := q.WhatKeeps(ctx, ids)
	if err != nil {
		return err
	}
	nobody, err := nobodyFor(ctx, q, svc.Config, ids)
	if err != nil {
		return err
	}
	weeks, err := svc.nodes.Weeks(ctx)
	if err != nil {
		return err
	}
	seen := map[int64][]db.SamplesOfJobsRow{}
	for _, s := range samples {
		seen[s.JobID] = append(seen[s.JobID], s)
	}
	waits := map[int64]db.WaitingOfJobsRow{}
	for _, w := range waiting {
		waits[w.ID] = w
	}
	servers := map[int64][]db.WhatKeepsRow{}
	for _, s := range keeps {
		servers[s.JobID] = append(servers[s.JobID], s)
	}
	for i := range jobs {
		j := &jobs[i]
		if j.Done() {
			continue
		}
		w, isPending := waits[j.ID]
		if isPending {
			j.Waiting = whyJobWaits(own(*j), *j, w, servers[j.ID], nobody[j.ID], svc.Config.Zone)
		}
		if past := seen[j.ID]; len(past) > 0 {
			j.Rate = rateOf(*j, past)
			j.ReadyAt = readyAt(*j, past, w, servers[j.ID], nobody[j.ID] != "", weeks)
		}
	}
	return nil
}

// rateOf compares with what was some minutes ago. What is done again is no way back: only what was added counts.
func rateOf(j Job, past []db.SamplesOfJobsRow) *Rate {
	now := past[0].Now
	if j.NRunning == 0 {
		return nil
	}
	var since time.Time
	var last db.SamplesOfJobsRow
	var instances, bytes int64
	add := func(s db.SamplesOfJobsRow) {
		if since.IsZero() {
			since = s.At
		} else {
			instances += max(s.Delivered-last.Delivered, 0)
			bytes += max(s.Bytes-last.Bytes, 0)
		}
		last = s
	}
	for _, s := range past {
		if now.Sub(s.At) <= rateOver {
			add(s)
		}
	}
	add(db.SamplesOfJobsRow{At: now, Delivered: j.Delivered, Bytes: j.Bytes})
	seconds := now.Sub(since).Seconds()
	if seconds < leastSeen.Seconds() {
		return nil
	}
	return &Rate{Instances: float64(instances) / seconds, Bytes: float64(bytes) / seconds}
}

// paceOf returns how many tasks a job ended per second over the last hour in which it ran, parts of tasks included.
// 0: not known.
func paceOf(j Job, past []db.SamplesOfJobsRow) float64 {
	var took time.Duration
	var done float64
	last := past[0]
	add := func(s db.SamplesOfJobsRow) {
		if gap := s.At.Sub(last.At); gap <= longPause {
			took += gap
			done += s.Done - last.Done
		}
		last = s
	}
	for _, s := range past[1:] {
		add(s)
	}
	if j.NRunning > 0 {
		add(db.SamplesOfJobsRow{At: past[0].Now, Done: j.TasksDone})
	}
	if took < leastSeen || done <= 0 {
		return 0
	}
	return done / took.Seconds()
}

// readyAt says when a job will have ended: what is left, at its own pace, while its servers are open for jobs. Nothing
// is said of one that somebody or a fault keeps from going on, since nobody knows until when.
func readyAt(
	j Job, past []db.SamplesOfJobsRow, w db.WaitingOfJobsRow, servers []db.WhatKeepsRow, nobody bool,
	weeks nodes.Weeks,
) time.Time {
	pace := paceOf(j, past)
	if pace == 0 || nobody || isHeld(j, w, servers) {
		return time.Time{}
	}
	var hours []int64 // of whose servers the job has to keep to
	for _, s := range servers {
		if !j.OutsideWindows {
			hours = append(hours, s.ServerID)
		}
	}
	now := weeks.Now
	if now.IsZero() { // no server at all
		now = past[0].Now
	}
	from := now
	if j.NRunning == 0 && w.Due == 0 { // all of it waits for a time of its own
		from = from.Add(seconds(w.WaitSeconds))
	}
	ends := func(from time.Time, tasks float64) time.Time {
		if tasks/pace > maxAhead.Seconds() {
			return time.Time{}
		}
		if end := weeks.Ends(from, seconds(tasks/pace), hours...); end.Sub(now) <= maxAhead {
			return end
		}
		return time.Time{}
	}
	ready := ends(from, float64(j.NPending+j.NRunning)-(j.TasksDone-float64(j.ended())))
	if w.LastSeconds > 0 && !ready.IsZero() { // the last one that waits for a time of its own
		last := ends(now.Add(seconds(w.LastSeconds)), 1)
		if last.IsZero() || last.After(ready) {
			ready = last
		}
	}
	return ready.Truncate(time.Second)
}

// isHeld reports whether nobody knows when a job goes on: somebody or a fault keeps it, or it waits for its turn.
func isHeld(j Job, w db.WaitingOfJobsRow, servers []db.WhatKeepsRow) bool {
	closed := false
	for _, s := range servers {
		if s.Paused || s.Breaker == nodes.BreakerOpen {
			return true
		}
		closed = closed || s.Cap == 0 && s.Current
	}
	return !j.Verified || j.Paused || j.Canceled || j.NRunning == 0 && !closed && w.Due > 0
}

func seconds(n float64) time.Duration { return time.Duration(n * float64(time.Second)) }

// whyJobWaits says what keeps most of a job's pending tasks from starting.
func whyJobWaits(
	own bool, j Job, w db.WaitingOfJobsRow, servers []db.WhatKeepsRow, nobody string, zone *time.Location,
) Waiting {
	var row db.Task
	ahead := place{Ahead: w.Ahead, Many: w.Many, Verifying: w.Verifying > 0 && w.Verifying >= w.Due+w.Later}
	if w.Later > w.Due {
		row.WaitingReason, ahead.WaitSeconds = mostly(w.Reasons), w.WaitSeconds
	}
	return whyWaiting(own, j, row, servers, nobody, ahead, zone)
}

// mostly returns the reason that most have in common: in its own words if they are those of all of them, else in
// those that they have in common.
func mostly(reasons []string) (most string) {
	count, words := map[string]int{}, map[string]string{}
	for _, r := range reasons {
		common := ReasonOf(r)
		if own, ok := words[common]; ok && own != r {
			words[common] = common
		} else if !ok {
			words[common] = r
		}
		if count[common]++; count[common] > count[most] || most == "" {
			most = common
		}
	}
	return words[most]
}
