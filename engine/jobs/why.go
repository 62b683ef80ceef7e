// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
)

// explain adds to the pending ones among tasks of a job why they wait, for its owner or for others. What keeps the job,
// and where its tasks stand, is asked once for all of them.
func (svc *Service) explain(ctx context.Context, own bool, job Job, rows ...db.Task) ([]Task, error) {
	tasks := make([]Task, len(rows))
	var pending []int64
	for i, row := range rows {
		tasks[i].Task = row
		if row.Status == Pending {
			pending = append(pending, row.ID)
		}
	}
	if err := svc.tellDays(ctx, job, tasks); err != nil || len(pending) == 0 {
		return tasks, err
	}
	servers, err := svc.Q.Planned().WhatKeeps(ctx, []int64{job.ID})
	if err != nil {
		return nil, err
	}
	places, err := svc.Q.Planned().AheadOf(ctx, db.AheadOfParams{JobID: job.ID, Ids: pending})
	if err != nil {
		return nil, err
	}
	nobody, err := nobodyFor(ctx, svc.Q.Planned(), svc.Config, []int64{job.ID})
	if err != nil {
		return nil, err
	}
	ahead := make(map[int64]db.AheadOfRow, len(places))
	for _, place := range places {
		ahead[place.ID] = place
	}
	for i := range tasks {
		if t := &tasks[i]; t.Status == Pending {
			t.Waiting = whyWaiting(
				own, job, t.Task, servers, nobody[job.ID], placeOf(ahead[t.ID]), svc.Config.Zone,
			)
		}
	}
	return tasks, nil
}

// nobodyFor says of those of jobs that no member of the cluster may run now why that is so.
func nobodyFor(ctx context.Context, q *db.Queries, cfg base.Config, jobs []int64) (map[int64]string, error) {
	if !cfg.Cluster {
		return nil, nil //nolint:nilnil // there is none
	}
	rows, err := q.NobodyFor(ctx, jobs)
	why := make(map[int64]string, len(rows))
	for _, row := range rows {
		if row.Working {
			why[row.JobID] = "no running member of the cluster sees the folder " + row.Folder +
				"; mount its disk on one of them, or start a member that sees it"
		} else {
			why[row.JobID] = "no member of the cluster runs tasks now: those that run are drained, or lack the role worker " +
				"(see adit cluster status)"
		}
	}
	return why, err
}

// place is where a task stands, or the tasks of a job.
type place struct {
	WaitSeconds float64 // for a time of its own
	Ahead       int64   // tasks of the same owner that come before it
	Many        bool    // so many at least
	Verifying   bool    // nothing is left to be sent
}

func placeOf(row db.AheadOfRow) place {
	return place{WaitSeconds: row.WaitSeconds, Ahead: row.Ahead, Verifying: row.Verifying}
}

// Waiting says why something does not start.
type Waiting struct {
	WhyWaiting   string    // in words; empty: nothing waits
	WaitingUntil time.Time // the last of the instants that it names; zero: it names none
}

// add adds a reason, which is gone at an instant; zero: nobody knows when.
func (w *Waiting) add(until time.Time, reason string) {
	if w.WhyWaiting != "" {
		w.WhyWaiting += "; "
	}
	w.WhyWaiting += reason
	if until.After(w.WaitingUntil) {
		w.WaitingUntil = until
	}
}

// whyWaiting returns everything that keeps a task from starting. What passes within moments is reported only if nothing
// else does. nobody: why no member may run it.
func whyWaiting(
	own bool, job Job, row db.Task, servers []db.WhatKeepsRow, nobody string, ahead place, zone *time.Location,
) (w Waiting) {
	switch {
	case !job.Verified:
		w.add(time.Time{}, "the job waits for verification by staff")
	case job.Paused:
		w.add(time.Time{}, "the job is paused")
	}
	if ahead.WaitSeconds > 0 {
		at := in(ahead.WaitSeconds)
		retry := nextAttempt(at, zone)
		if row.WaitingReason != "" {
			retry = row.WaitingReason + "; " + retry
		}
		w.add(at, retry)
	}
	if ahead.Verifying { // the source is not needed any more
		servers = slices.DeleteFunc(slices.Clone(servers), func(s db.WhatKeepsRow) bool {
			return s.Name != job.Destination
		})
	}
	for _, s := range servers {
		w.addServer(s, zone)
	}
	if nobody != "" {
		w.add(time.Time{}, nobody)
	}
	if w.WhyWaiting == "" {
		w.add(whyInARow(own, servers, ahead, zone))
		if row.Alone {
			w.add(time.Time{},
				"it must run alone, since ADIT's process ended unexpectedly 3 times while it ran: it waits until a "+
					"member of the cluster runs nothing else",
			)
		}
	}
	return w
}

// in returns the instant in so many seconds.
func in(n float64) time.Time { return time.Now().Add(seconds(n)) }

func nextAttempt(at time.Time, zone *time.Location) string {
	return "next attempt " + inAndAt(at, zone)
}

// inAndAt names an instant both ways: people look at the clock, and may be elsewhere.
func inAndAt(at time.Time, zone *time.Location) string {
	return fmt.Sprintf("in %s (at %s %s)", time.Until(at).Round(time.Second), at.In(zone).Format("15:04"), zone)
}

// askedAgain says when a server that takes less than its schedule allows is asked for more.
func askedAgain(s db.WhatKeepsRow, zone *time.Location) (at time.Time, says string) {
	if s.ProbeSeconds <= 0 {
		return at, "ADIT asks for more as soon as one of them has succeeded"
	}
	at = in(s.ProbeSeconds)
	return at, "ADIT asks for more " + inAndAt(at, zone)
}

// addServer adds what about a server keeps its tasks from starting.
func (w *Waiting) addServer(s db.WhatKeepsRow, zone *time.Location) {
	if s.Paused {
		w.add(time.Time{}, "DICOM Server "+s.Name+" is paused")
	}
	if s.Breaker == nodes.BreakerOpen {
		reason := s.BreakerReason
		if !strings.Contains(reason, s.Name) {
			reason = "DICOM Server " + s.Name + " is not available: " + reason
		}
		at := in(max(s.ProbeSeconds, 0))
		w.add(at, reason+"; "+nextAttempt(at, zone))
	}
	if s.Cap == 0 && s.Current {
		at, opens := windowOpens(s, zone)
		w.add(at, "DICOM Server "+s.Name+" is closed for jobs now"+opens)
	}
}

// windowOpens says when a server that is closed for jobs takes them again, by the clock of its windows, else of the
// site.
func windowOpens(s db.WhatKeepsRow, zone *time.Location) (at time.Time, says string) {
	if s.OpensAt == nil {
		return at, ""
	}
	loc, err := time.LoadLocation(s.OpensZone)
	if err != nil || s.OpensZone == "" {
		loc = zone
	}
	opens := s.OpensAt.In(loc)
	return opens, fmt.Sprintf("; window opens at %s (%s)", opens.Format("15:04 on Mon 2006-01-02"), loc)
}

// whyInARow says whose turn it is, if nothing else keeps a task from starting.
func whyInARow(
	own bool, servers []db.WhatKeepsRow, ahead place, zone *time.Location,
) (until time.Time, says string) {
	for _, s := range servers {
		if s.PaceSeconds > 0 {
			return until, fmt.Sprintf(
				"the rate limit of DICOM Server %s lets the next study start in %s", s.Name,
				time.Duration(s.PaceSeconds*float64(time.Second)).Round(100*time.Millisecond),
			)
		}
	}
	for _, s := range servers {
		if s.Allowance != nil && *s.Allowance < s.Cap && s.Used >= int64(*s.Allowance) {
			at, again := askedAgain(s, zone)
			return at, fmt.Sprintf("DICOM Server %s takes only %d of %d connections now, since it refused more; %s%s",
				s.Name, *s.Allowance, s.Cap, again, aheadWords(own, ahead))
		}
		if s.Used >= int64(s.Cap) {
			return until, "cap reached: all connections that DICOM Server " + s.Name +
				" allows to jobs are in use" + aheadWords(own, ahead)
		}
		if s.Moves && !ahead.Verifying && s.Cap > 1 && s.Used+2 > int64(s.Cap) {
			return until, "cap reached: a C-MOVE needs two connections, and of those that DICOM Server " +
				s.Name + " allows to jobs only one is free" + aheadWords(own, ahead)
		}
	}
	if ahead.Ahead > 0 {
		return until, strings.TrimPrefix(aheadWords(own, ahead), ", and ")
	}
	return until, "it starts as soon as a worker is free"
}

func aheadWords(own bool, ahead place) string {
	n := ahead.Ahead
	if n == 0 {
		return ""
	}
	whose := "your"
	if !own {
		whose = "its owner's"
	}
	if ahead.Many {
		return fmt.Sprintf(", and %d or more of %s tasks come before it", n, whose)
	}
	if n == 1 {
		return fmt.Sprintf(", and 1 of %s tasks comes before it", whose)
	}
	return fmt.Sprintf(", and %d of %s tasks come before it", n, whose)
}
