// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// ServerSchedule is the schedule of a server and what follows from it now.
type ServerSchedule struct {
	schedule.Schedule
	Now ServerNow
}

// Schedule returns a server's schedule.
func (svc *Service) Schedule(ctx context.Context, server string) (ServerSchedule, error) {
	n, err := svc.serverByName(ctx, server)
	if err != nil {
		return ServerSchedule{}, err
	}
	rows, err := svc.Q.ServerSchedules(ctx, []int64{n.ID})
	if err != nil {
		return ServerSchedule{}, err
	}
	if len(rows) == 0 {
		return ServerSchedule{}, fmt.Errorf("DICOM Server %s: %w", server, refusal.ErrNotFound)
	}
	s, err := scheduleOf(rows[0])
	if err != nil {
		return ServerSchedule{}, err
	}
	return ServerSchedule{*s, svc.now(s, rows[0])}, nil
}

// Weeks are the schedules of servers by their IDs, and the instant that they are read at by the database's clock.
type Weeks struct {
	Now time.Time
	Of  map[int64]*schedule.Schedule
}

// Weeks returns the schedules of all servers. One that is damaged is left out.
func (svc *Service) Weeks(ctx context.Context) (Weeks, error) {
	rows, err := svc.Q.ServerSchedules(ctx, []int64{})
	if err != nil {
		return Weeks{}, err
	}
	w := Weeks{Of: make(map[int64]*schedule.Schedule, len(rows))}
	for _, row := range rows {
		w.Now = row.Now
		if s, err := scheduleOf(row); err == nil {
			w.Of[row.ID] = s
		}
	}
	return w, nil
}

// maxSpans bounds how many spans of its servers' schedules a job is followed through.
const maxSpans = 200

// Ends returns when work that takes so long is done that goes on only while all of these servers are open for jobs;
// zero: not within sight.
func (w Weeks) Ends(from time.Time, work time.Duration, servers ...int64) time.Time {
	t := from
	for range maxSpans {
		until, open := time.Time{}, true
		for _, id := range servers {
			s := w.Of[id]
			if s == nil { // a folder is always open
				continue
			}
			if opens := s.Opens(t); opens.IsZero() {
				return time.Time{}
			} else if opens.After(t) {
				t, open = opens, false
				break
			}
			if u := s.At(t).Until; !u.IsZero() && (until.IsZero() || u.Before(until)) {
				until = u
			}
		}
		switch {
		case !open:
		case until.IsZero() || !t.Add(work).After(until):
			return t.Add(work)
		default:
			work -= until.Sub(t)
			t = until
		}
	}
	return time.Time{}
}

// seconds returns a number as the database keeps it, and the other way round.
func seconds[From, To int | int32](n *From) *To {
	if n == nil {
		return nil
	}
	to := To(*n)
	return &to
}

func (svc *Service) serverByName(ctx context.Context, name string) (DICOMNode, error) {
	n, err := svc.ByName(ctx, name)
	if err == nil && n.Server == nil {
		err = &refusal.Invalid{Field: "name", Reason: "this DICOM node is a folder; only servers have a schedule"}
	}
	return n, err
}

// weekOf is what a server keeps of its schedule beside the columns of the default.
type weekOf struct {
	Name     string            `json:"name,omitempty"` // of the default
	Windows  []schedule.Window `json:"windows,omitempty"`
	Holidays []schedule.Date   `json:"holidays,omitempty"`
}

// scheduleOf puts together what a server's row holds.
func scheduleOf(row db.ServerSchedulesRow) (*schedule.Schedule, error) {
	var week weekOf
	if err := json.Unmarshal(row.Schedule, &week); err != nil {
		return nil, fmt.Errorf("the schedule of DICOM Server %s is damaged: %w", row.Name, err)
	}
	return &schedule.Schedule{
		Default: schedule.Limits{
			Name: week.Name, Batch: int(row.BatchCap), Interactive: int(row.InteractiveCap),
			StudiesPerMinute: row.StudiesPerMinute, MBPerSecond: row.MbPerSecond,
		},
		Windows: week.Windows, Holidays: week.Holidays, Grace: seconds[int32, int](row.ParkGraceS),
	}, nil
}

// SetSchedule changes a server's schedule, which holds from then on. It is for staff.
func (svc *Service) SetSchedule(
	ctx context.Context, user people.User, server string, s schedule.Schedule,
) (ServerSchedule, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return ServerSchedule{}, err
	}
	if err := s.Validate(); err != nil {
		return ServerSchedule{}, InvalidSchedule(err)
	}
	n, err := svc.serverByName(ctx, server)
	if err != nil {
		return ServerSchedule{}, err
	}
	week, err := json.Marshal(weekOf{s.Default.Name, s.Windows, s.Holidays})
	if err != nil {
		return ServerSchedule{}, err
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		if err := checkSchedule(ctx, q, n.ID); err != nil {
			return err
		}
		_, err := q.PutSchedule(ctx, db.PutScheduleParams{
			ID: n.ID, Schedule: week, BatchCap: int32(s.Default.Batch), InteractiveCap: int32(s.Default.Interactive),
			StudiesPerMinute: s.Default.StudiesPerMinute,
			MbPerSecond:      s.Default.MBPerSecond, ParkGraceS: seconds[int, int32](s.Grace),
		})
		if err != nil {
			return err
		}
		if err := errors.Join(keepCaps(ctx, q, n.ID), q.ResetServer(ctx, n.ID)); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "schedule.change", Object: "server " + n.Name,
			Detail: map[string]any{
				"default": s.Default, "windows": len(s.Windows), "holidays": len(s.Holidays), "grace": s.Grace,
			},
		})
	})
	if err != nil {
		return ServerSchedule{}, err
	}
	svc.Log.InfoContext(ctx, "schedule changed", "server", n.Name, "user", user.ID)
	svc.Reconsider()
	return svc.Schedule(ctx, server)
}

// checkSchedule locks a server, and refuses a change of its schedule if the caller expects another version.
func checkSchedule(ctx context.Context, q *db.Queries, server int64) error {
	if _, err := q.LockServer(ctx, server); err != nil {
		return refusal.NotFound(err, "DICOM Server", server)
	}
	rows, err := q.ServerSchedules(ctx, []int64{server})
	if err != nil || len(rows) == 0 {
		return err
	}
	s, err := scheduleOf(rows[0])
	if err != nil {
		return version.None(ctx) // a damaged one is put right by another one
	}
	return version.Check(ctx, s.Version())
}

// InvalidSchedule says of a schedule what is wrong with it.
func InvalidSchedule(err error) error {
	if invalid, ok := errors.AsType[*schedule.Invalid](err); ok {
		return &refusal.Invalid{Field: invalid.Field, Reason: invalid.Reason}
	}
	return err
}

// PauseServer keeps jobs away from a server until it is told to go on: what runs there stops at the next instance. It
// is for staff. *Conflict: it is so already.
func (svc *Service) PauseServer(ctx context.Context, user people.User, server string, paused bool) error {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	n, err := svc.serverByName(ctx, server)
	if err != nil {
		return err
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		changed, err := q.PauseServer(ctx, db.PauseServerParams{ServerID: n.ID, Paused: paused})
		act := "server.continue"
		if paused {
			act = "server.pause"
		}
		switch {
		case err != nil:
			return err
		case changed == 0 && paused:
			return &refusal.Conflict{Reason: "the server is already paused"}
		case changed == 0:
			return &refusal.Conflict{Reason: "the server isn't paused"}
		}
		if !paused {
			if err := q.ResetServer(ctx, n.ID); err != nil {
				return err
			}
		}
		return audit.Record(ctx, q, audit.Entry{Action: act, Object: "server " + n.Name})
	})
	if err != nil {
		return err
	}
	svc.Log.InfoContext(ctx, "server paused or continued", "server", n.Name, "paused", paused, "user", user.ID)
	svc.Reconsider()
	return nil
}

// RefreshSchedules works out what the schedules allow now, and keeps it where claims and searches find it.
func (svc *Service) RefreshSchedules(ctx context.Context) error { return keepCaps(ctx, svc.Q) }

// keepCaps does so for some servers, or for all if none is named. Only what differs is written.
func keepCaps(ctx context.Context, q *db.Queries, servers ...int64) error {
	rows, err := q.ServerSchedules(ctx, servers)
	if err != nil {
		return err
	}
	var all error
	for _, row := range rows {
		s, err := scheduleOf(row)
		if err != nil {
			all = errors.Join(all, err) // the others go on
			continue
		}
		p := capsAt(s, row)
		if current(row.ServerState, p) {
			continue
		}
		if err := q.PutCaps(ctx, p); err != nil {
			return err
		}
	}
	return all
}

func capsAt(s *schedule.Schedule, row db.ServerSchedulesRow) db.PutCapsParams {
	state := s.At(row.Now)
	p := db.PutCapsParams{
		ServerID: row.ID, BatchCap: int32(state.Batch),
		InteractiveCap: int32(state.Interactive), OutsideCap: int32(state.Batch),
		StudiesPerMinute: state.StudiesPerMinute, MbPerSecond: state.MBPerSecond, CapsUntil: instant(state.Until),
		OfSchedule: row.Schedule, OfBatchCap: row.BatchCap, OfInteractiveCap: row.InteractiveCap,
		OfStudiesPerMinute: row.StudiesPerMinute, OfMbPerSecond: row.MbPerSecond,
	}
	if state.Batch+state.Interactive > 0 { // both 0: nobody
		p.OutsideCap = max(p.OutsideCap, row.BatchCap)
	}
	if state.Batch == 0 {
		opens := s.Opens(row.Now)
		p.OpensAt = instant(opens)
		if w := s.At(opens).Window; !opens.IsZero() && w >= 0 {
			p.OpensZone = s.Windows[w].TimeZone
		} else if state.Window >= 0 {
			p.OpensZone = s.Windows[state.Window].TimeZone
		}
	}
	return p
}

func instant(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

// current reports whether what is kept is what is to be kept.
func current(st db.ServerState, p db.PutCapsParams) bool {
	same := func(a, b *time.Time) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(*b) }
	return st.BatchCap == p.BatchCap && st.InteractiveCap == p.InteractiveCap && st.OutsideCap == p.OutsideCap &&
		st.StudiesPerMinute == p.StudiesPerMinute &&
		st.MbPerSecond == p.MbPerSecond && same(st.CapsUntil, p.CapsUntil) &&
		same(st.OpensAt, p.OpensAt) && st.OpensZone == p.OpensZone
}

// BreakerOpen is the breaker of a server that is not available.
const BreakerOpen = "open"
