// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
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
	ahead := make(map[int64]db.AheadOfRow, len(places))
	for _, place := range places {
		ahead[place.ID] = place
	}
	for i := range tasks {
		if t := &tasks[i]; t.Status == Pending {
			t.WhyWaiting = whyWaiting(own, job, t.Task, servers, placeOf(ahead[t.ID]), svc.Config.Zone)
		}
	}
	return tasks, nil
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

// whyWaiting returns everything that keeps a task from starting. What passes within moments is reported only if nothing
// else does.
func whyWaiting(
	own bool, job Job, row db.Task, servers []db.WhatKeepsRow, ahead place, zone *time.Location,
) string {
	var reasons []string
	switch {
	case !job.Verified:
		reasons = append(reasons, "the job waits for verification by staff")
	case job.Paused:
		reasons = append(reasons, "the job is paused")
	}
	if ahead.WaitSeconds > 0 {
		retry := nextAttempt(ahead.WaitSeconds, zone)
		if row.WaitingReason != "" {
			retry = row.WaitingReason + "; " + retry
		}
		reasons = append(reasons, retry)
	}
	if ahead.Verifying { // the source is not needed any more
		servers = slices.DeleteFunc(slices.Clone(servers), func(s db.WhatKeepsRow) bool {
			return s.Name != job.Destination
		})
	}
	for _, s := range servers {
		reasons = append(reasons, serverKeeps(s, zone)...)
	}
	if len(reasons) == 0 {
		reasons = append(reasons, whyInARow(own, servers, ahead, zone))
		if row.Alone {
			reasons = append(reasons,
				"it must run alone, since ADIT's process ended unexpectedly 3 times while it ran: it waits until a "+
					"member of the cluster runs nothing else",
			)
		}
	}
	return strings.Join(reasons, "; ")
}

func nextAttempt(seconds float64, zone *time.Location) string {
	return "next attempt " + inAndAt(seconds, zone)
}

// inAndAt names an instant both ways: people look at the clock, and may be elsewhere.
func inAndAt(seconds float64, zone *time.Location) string {
	d := time.Duration(seconds * float64(time.Second)).Round(time.Second)
	return fmt.Sprintf("in %s (at %s %s)", d, time.Now().In(zone).Add(d).Format("15:04"), zone)
}

// askedAgain says when a server that takes less than its schedule allows is asked for more.
func askedAgain(seconds float64, zone *time.Location) string {
	if seconds <= 0 {
		return "ADIT asks for more as soon as one of them has succeeded"
	}
	return "ADIT asks for more " + inAndAt(seconds, zone)
}

// serverKeeps says what about a server keeps its tasks from starting.
func serverKeeps(s db.WhatKeepsRow, zone *time.Location) (reasons []string) {
	if s.Paused {
		reasons = append(reasons, "DICOM Server "+s.Name+" is paused")
	}
	if s.Breaker == nodes.BreakerOpen {
		reason := s.BreakerReason
		if !strings.Contains(reason, s.Name) {
			reason = "DICOM Server " + s.Name + " is not available: " + reason
		}
		reasons = append(reasons, reason+"; "+nextAttempt(max(s.ProbeSeconds, 0), zone))
	}
	if s.Cap == 0 && s.Current {
		reasons = append(reasons, "DICOM Server "+s.Name+" is closed for jobs now"+windowOpens(s, zone))
	}
	return reasons
}

// windowOpens says when a server that is closed for jobs takes them again, by the clock of its windows, else of the
// site.
func windowOpens(s db.WhatKeepsRow, zone *time.Location) string {
	if s.OpensAt == nil {
		return ""
	}
	loc, err := time.LoadLocation(s.OpensZone)
	if err != nil || s.OpensZone == "" {
		loc = zone
	}
	opens := s.OpensAt.In(loc)
	return fmt.Sprintf("; window opens at %s on %s (%s)", opens.Format("15:04"), opens.Format("Mon 2006-01-02"), loc)
}

// whyInARow says whose turn it is, if nothing else keeps a task from starting.
func whyInARow(own bool, servers []db.WhatKeepsRow, ahead place, zone *time.Location) string {
	for _, s := range servers {
		if s.PaceSeconds > 0 {
			return fmt.Sprintf(
				"the rate limit of DICOM Server %s lets the next study start in %s", s.Name,
				time.Duration(s.PaceSeconds*float64(time.Second)).Round(100*time.Millisecond),
			)
		}
	}
	for _, s := range servers {
		if s.Allowance != nil && *s.Allowance < s.Cap && s.Used >= int64(*s.Allowance) {
			return fmt.Sprintf("DICOM Server %s takes only %d of %d connections now, since it refused more; %s%s",
				s.Name, *s.Allowance, s.Cap, askedAgain(s.ProbeSeconds, zone), aheadWords(own, ahead))
		}
		if s.Used >= int64(s.Cap) {
			return "cap reached: all connections that DICOM Server " + s.Name +
				" allows to jobs are in use" + aheadWords(own, ahead)
		}
		if s.Moves && !ahead.Verifying && s.Cap > 1 && s.Used+2 > int64(s.Cap) {
			return "cap reached: a C-MOVE needs two connections, and of those that DICOM Server " +
				s.Name + " allows to jobs only one is free" + aheadWords(own, ahead)
		}
	}
	if ahead.Ahead > 0 {
		return strings.TrimPrefix(aheadWords(own, ahead), ", and ")
	}
	return "it starts as soon as a worker is free"
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
