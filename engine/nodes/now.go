// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"cmp"
	"context"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

// ServerNow is what holds of a server now, and what is in use of it.
type ServerNow struct {
	ID         int64
	Name       string
	At         time.Time // by the database's clock
	Zone       string    // that At, Until and Opens are told in
	InForce    schedule.Limits
	Window     int       // place of the window that is open; -1: the default holds
	Until      time.Time // from then on something else holds; zero: not within the next weeks
	Opens      time.Time // for jobs: At if it is open; zero: not within a year
	Paused     bool
	Down       string    // why it is not available now; empty: it is available
	Takes      *int      // associations of jobs at once, since it refused more; nil: what the schedule allows
	NextProbe  time.Time // when it is asked for a sign of life, or for one more
	BatchInUse int
	LiveInUse  int
}

// Now returns what holds now of some servers, or of all if none is named, by their IDs, with one statement whatever
// their number. It asks for nobody's rights: why a server is down is for staff and for those who may use it. Of a
// server whose schedule is damaged the limits are those that were kept last. IDs of folders, and of servers that
// are gone, are left out.
func (svc *Service) Now(ctx context.Context, ids ...int64) ([]ServerNow, error) {
	rows, err := svc.Q.ServerSchedules(ctx, ids)
	if err != nil {
		return nil, err
	}
	all := make([]ServerNow, 0, len(rows))
	for _, row := range rows {
		s, err := scheduleOf(row)
		if err != nil {
			svc.Log.WarnContext(ctx, "a schedule can't be read", "server", row.Name, "err", err)
			st := row.ServerState
			s = &schedule.Schedule{Default: schedule.Limits{
				Batch: int(st.BatchCap), Interactive: int(st.InteractiveCap),
				StudiesPerMinute: st.StudiesPerMinute, MBPerSecond: st.MbPerSecond,
			}}
		}
		all = append(all, svc.now(s, row))
	}
	return all, nil
}

// NowFor returns what holds now of the servers that a user may use as a source or a destination; for staff, of all.
func (svc *Service) NowFor(ctx context.Context, user people.User) ([]ServerNow, error) {
	if user.IsStaff || user.IsSuperuser {
		return svc.Now(ctx)
	}
	uses, err := svc.People.Groups.NodeUses(ctx, user.ID)
	if err != nil || len(uses) == 0 {
		return nil, err
	}
	ids := make([]int64, 0, len(uses))
	for id := range uses {
		ids = append(ids, id)
	}
	return svc.Now(ctx, ids...)
}

func (svc *Service) now(s *schedule.Schedule, row db.ServerSchedulesRow) ServerNow {
	state := s.At(row.Now)
	out := ServerNow{
		ID: row.ID, Name: row.Name, At: row.Now, Zone: cmp.Or(s.Zone(row.Now), svc.Config.Zone.String()),
		InForce: state.Limits, Window: state.Window, Until: state.Until, Opens: s.Opens(row.Now),
		Paused: row.ServerState.Paused, Down: downReason(row.ServerState),
		BatchInUse: int(row.BatchInUse), LiveInUse: int(row.InteractiveInUse),
	}
	if loc, err := schedule.Location(out.Zone); err == nil {
		out.At, out.Until, out.Opens = out.At.In(loc), inZone(out.Until, loc), inZone(out.Opens, loc)
	}
	out.Takes, out.NextProbe = takes(row.ServerState)
	return out
}

// inZone leaves what is no instant as it is.
func inZone(t time.Time, loc *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(loc)
}

// downReason says why a server is not available now; empty: it is available.
func downReason(st db.ServerState) string {
	if st.Breaker != BreakerOpen {
		return ""
	}
	return st.BreakerReason
}

// takes tells how many associations of jobs a server was seen to take at once, nil if it has refused none, and when it
// is asked for more.
func takes(st db.ServerState) (n *int, next time.Time) {
	if st.Allowance == nil {
		return nil, next
	}
	if st.ProbeAt != nil {
		next = *st.ProbeAt
	}
	return new(int(*st.Allowance)), next
}
