// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"fmt"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/words"
	"github.com/adit-go/adit/people"
)

// SchedulePreview is what a schedule would mean now, if it were saved.
type SchedulePreview struct {
	Now  ServerNow      // as it would be
	Next schedule.State // what would hold from Now.Until on; zero if that is
	Over int            // running tasks beyond the new cap: they go on for Grace, and then wait
	// Further are associations that other running tasks would give back beside that.
	Further int
	Grace   time.Duration
	// Starting are pending tasks that wait for the server to open, as it would do at once.
	Starting int
	Waiting  int // pending tasks that the schedule would keep from starting, until Now.Opens
	// Effects say in sentences what becomes of what runs and waits; at least one.
	Effects []string
}

// PreviewSchedule says what a schedule of a server would mean now, and changes nothing. It is for staff.
func (svc *Service) PreviewSchedule(
	ctx context.Context, user people.User, server string, s schedule.Schedule,
) (SchedulePreview, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return SchedulePreview{}, err
	}
	if err := s.Validate(); err != nil {
		return SchedulePreview{}, InvalidSchedule(err)
	}
	n, err := svc.serverByName(ctx, server)
	if err != nil {
		return SchedulePreview{}, err
	}
	rows, err := svc.Q.ServerSchedules(ctx, []int64{n.ID})
	if err != nil {
		return SchedulePreview{}, err
	}
	if len(rows) == 0 {
		return SchedulePreview{}, fmt.Errorf("DICOM Server %s: %w", server, refusal.ErrNotFound)
	}
	row := rows[0]
	out := SchedulePreview{Now: svc.now(&s, row), Grace: schedule.DefaultGrace}
	if s.Grace != nil {
		out.Grace = time.Duration(*s.Grace) * time.Second
	}
	if !out.Now.Until.IsZero() {
		out.Next = s.At(out.Now.Until)
		if loc, err := schedule.Location(out.Now.Zone); err == nil {
			out.Next.Until = inZone(out.Next.Until, loc)
		}
	}
	row.BatchCap = int32(s.Default.Batch) // as it would be kept
	caps := capsAt(&s, row)
	over, err := svc.Q.OverCaps(ctx, db.OverCapsParams{
		ServerID: n.ID, BatchCap: caps.BatchCap, OutsideCap: caps.OutsideCap,
	})
	if err != nil {
		return SchedulePreview{}, err
	}
	pending, err := svc.Q.PendingAt(ctx, n.ID)
	if err != nil {
		return SchedulePreview{}, err
	}
	out.Over, out.Further = int(over.Tasks), int(over.Further)
	if row.ServerState.BatchCap == 0 && caps.BatchCap > 0 {
		out.Starting = int(pending.Inside)
	}
	if caps.BatchCap == 0 {
		out.Waiting += int(pending.Inside)
	}
	if caps.OutsideCap == 0 {
		out.Waiting += int(pending.Outside)
	}
	out.Effects = out.sentences()
	return out, nil
}

// sentences say what becomes of what runs and waits.
func (p SchedulePreview) sentences() (list []string) {
	if p.Over > 0 {
		what := words.Plural(p.Over, "running study would be over the new cap: it ",
			"running studies would be over the new cap: they ")
		end := numberedVerb(p.Over, "stops at the next instance and waits.", "stop at the next instance and wait.")
		if p.Grace > 0 {
			within := shortly(p.Grace)
			end = numberedVerb(p.Over, "finishes its series within "+within+" and waits.",
				"finish their series within "+within+" and wait.")
		}
		list = append(list, what+end)
	}
	if p.Further > 0 {
		list = append(list, "Running studies would give back "+
			words.Plural(p.Further, "further connection.", "further connections."))
	}
	if p.Starting > 0 {
		list = append(list, words.Plural(p.Starting, "waiting study", "waiting studies")+" may start at once.")
	}
	switch {
	case p.Waiting == 0:
	case p.Now.Opens.IsZero():
		list = append(list, words.Plural(p.Waiting, "study", "studies")+
			" would wait, and no window opens the server for jobs within a year.")
	default:
		list = append(list, words.Plural(p.Waiting, "study", "studies")+" would wait until "+
			p.Now.Opens.Format("2006-01-02 15:04 MST")+".")
	}
	if p.Now.InForce.Batch+p.Now.InForce.Interactive == 0 {
		list = append(list, "Nobody could use the server now.")
	} else if p.Now.InForce.Interactive == 0 {
		list = append(list, "Nobody could search the server now.")
	}
	if len(list) == 0 {
		list = append(list, "Nothing that runs or waits now would be affected.")
	}
	return list
}

func numberedVerb(n int, one, several string) string {
	if n == 1 {
		return one
	}
	return several
}

// shortly returns a length of time in words.
func shortly(d time.Duration) string {
	if d%time.Minute == 0 {
		return words.Plural(int(d/time.Minute), "minute", "minutes")
	}
	return words.Plural(int(d/time.Second), "second", "seconds")
}
