// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/people"
)

// ServerSchedule is the schedule of a server and what follows from it now.
type ServerSchedule struct {
	schedule.Schedule
	Now        time.Time // by the database's clock
	Zone       string    // that Until and Opens are told in
	State      schedule.State
	Opens      time.Time // for jobs: Now if it is open; zero: not within a year
	Paused     bool
	Down       string    // why it can't be had now; empty: it can
	Takes      *int      // associations of jobs at once, since it refused more; nil: what the schedule allows
	NextProbe  time.Time // when it is asked for a sign of life, or for one more
	BatchInUse int
	LiveInUse  int
}

// Schedule gives a server's schedule.
func (e *Engine) Schedule(ctx context.Context, server string) (ServerSchedule, error) {
	n, err := e.serverByName(ctx, server)
	if err != nil {
		return ServerSchedule{}, err
	}
	rows, err := e.q.ServerSchedules(ctx, n.ID)
	if err != nil {
		return ServerSchedule{}, err
	}
	if len(rows) == 0 {
		return ServerSchedule{}, fmt.Errorf("DICOM Server %s: %w", server, ErrNotFound)
	}
	row := rows[0]
	s, err := scheduleOf(row)
	if err != nil {
		return ServerSchedule{}, err
	}
	used, err := e.q.SlotsInUse(ctx, n.ID)
	if err != nil {
		return ServerSchedule{}, err
	}
	out := ServerSchedule{
		Schedule: *s, Now: row.Now, State: s.At(row.Now), Opens: s.Opens(row.Now), Paused: row.ServerState.Paused,
		BatchInUse: int(used.Batch), LiveInUse: int(used.Interactive), Zone: orDefault(s.Zone(row.Now), e.cfg.Zone.String()),
	}
	if loc, err := time.LoadLocation(out.Zone); err == nil {
		out.Now, out.State.Until, out.Opens = out.Now.In(loc), inZone(out.State.Until, loc), inZone(out.Opens, loc)
	}
	if row.ServerState.Breaker == breakerOpen {
		out.Down = row.ServerState.BreakerReason
	}
	out.Takes, out.NextProbe = takes(row.ServerState)
	return out, nil
}

// inZone leaves what is no instant as it is.
func inZone(t time.Time, loc *time.Location) time.Time {
	if t.IsZero() {
		return t
	}
	return t.In(loc)
}

// seconds gives a number as the database keeps it, and the other way round.
func seconds[From, To int | int32](n *From) *To {
	if n == nil {
		return nil
	}
	to := To(*n)
	return &to
}

// takes tells how many associations of jobs a server was seen to take at once, nil if it has refused none, and when it is asked for more.
func takes(st db.ServerState) (n *int, next time.Time) {
	if st.Allowance == nil {
		return nil, next
	}
	if st.ProbeAt != nil {
		next = *st.ProbeAt
	}
	return new(int(*st.Allowance)), next
}

func (e *Engine) serverByName(ctx context.Context, name string) (DICOMNode, error) {
	n, err := e.DICOMNodeByName(ctx, name)
	if err == nil && n.Server == nil {
		err = &Invalid{Field: "name", Reason: "this DICOM node is a folder; only servers have a schedule"}
	}
	return n, err
}

// weekOf is what a server keeps of its schedule beside the columns of the default.
type weekOf struct {
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
			Batch: int(row.BatchCap), Interactive: int(row.InteractiveCap), StudiesPerMinute: row.StudiesPerMinute, MBPerSecond: row.MbPerSecond,
		},
		Windows: week.Windows, Holidays: week.Holidays, Grace: seconds[int32, int](row.ParkGraceS),
	}, nil
}

// SetSchedule changes a server's schedule, which holds from then on. It is for staff.
func (e *Engine) SetSchedule(ctx context.Context, user people.User, server string, s schedule.Schedule) (ServerSchedule, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return ServerSchedule{}, err
	}
	if err := s.Validate(); err != nil {
		return ServerSchedule{}, invalidSchedule(err)
	}
	n, err := e.serverByName(ctx, server)
	if err != nil {
		return ServerSchedule{}, err
	}
	week, err := json.Marshal(weekOf{s.Windows, s.Holidays})
	if err != nil {
		return ServerSchedule{}, err
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		_, err := q.PutSchedule(ctx, db.PutScheduleParams{
			ID: n.ID, Schedule: week, BatchCap: int32(s.Default.Batch), InteractiveCap: int32(s.Default.Interactive),
			StudiesPerMinute: s.Default.StudiesPerMinute, MbPerSecond: s.Default.MBPerSecond, ParkGraceS: seconds[int, int32](s.Grace),
		})
		if err != nil {
			return err
		}
		if err := errors.Join(keepCaps(ctx, q, n.ID), q.ResetServer(ctx, n.ID)); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{
			Action: "schedule.change", Object: "server " + n.Name,
			Detail: map[string]any{"default": s.Default, "windows": len(s.Windows), "holidays": len(s.Holidays), "grace": s.Grace},
		})
	})
	if err != nil {
		return ServerSchedule{}, err
	}
	e.log.InfoContext(ctx, "schedule changed", "server", n.Name, "user", user.ID)
	e.reconsider()
	return e.Schedule(ctx, server)
}

func invalidSchedule(err error) error {
	if invalid, ok := errors.AsType[*schedule.Invalid](err); ok {
		return &Invalid{Field: invalid.Field, Reason: invalid.Reason}
	}
	return err
}

// reconsider has the node look at once at what may start now, and what has to stop.
func (e *Engine) reconsider() {
	e.signals.Steer()
	e.signals.Wake()
}

// PauseServer keeps jobs away from a server until it is told to go on: what runs there stops at the next instance. It is for staff. *Conflict:
// it is so already.
func (e *Engine) PauseServer(ctx context.Context, user people.User, server string, paused bool) error {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	n, err := e.serverByName(ctx, server)
	if err != nil {
		return err
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		changed, err := q.PauseServer(ctx, db.PauseServerParams{ServerID: n.ID, Paused: paused})
		act := "server.continue"
		if paused {
			act = "server.pause"
		}
		switch {
		case err != nil:
			return err
		case changed == 0 && paused:
			return &Conflict{Reason: "the server is paused already"}
		case changed == 0:
			return &Conflict{Reason: "the server isn't paused"}
		}
		if !paused {
			if err := q.ResetServer(ctx, n.ID); err != nil {
				return err
			}
		}
		return people.Record(ctx, q, people.Entry{Action: act, Object: "server " + n.Name})
	})
	if err != nil {
		return err
	}
	e.log.InfoContext(ctx, "server paused or continued", "server", n.Name, "paused", paused, "user", user.ID)
	e.reconsider()
	return nil
}

// RefreshSchedules works out what the schedules allow now, and keeps it where claims and searches find it.
func (e *Engine) RefreshSchedules(ctx context.Context) error { return keepCaps(ctx, e.q, 0) }

// keepCaps does so for one server, or all (0). Only what differs is written.
func keepCaps(ctx context.Context, q *db.Queries, server int64) error {
	rows, err := q.ServerSchedules(ctx, server)
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
		ServerID: row.ID, BatchCap: int32(state.Batch), InteractiveCap: int32(state.Interactive), OutsideCap: int32(state.Batch),
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

// current tells whether what is kept is what is to be kept.
func current(st db.ServerState, p db.PutCapsParams) bool {
	same := func(a, b *time.Time) bool { return a == nil && b == nil || a != nil && b != nil && a.Equal(*b) }
	return st.BatchCap == p.BatchCap && st.InteractiveCap == p.InteractiveCap && st.OutsideCap == p.OutsideCap &&
		st.StudiesPerMinute == p.StudiesPerMinute && st.MbPerSecond == p.MbPerSecond && same(st.CapsUntil, p.CapsUntil) &&
		same(st.OpensAt, p.OpensAt) && st.OpensZone == p.OpensZone
}

// Workers gives how many tasks the nodes of a name run at once over the week, nil if they run as many as they were started with.
func (e *Engine) Workers(ctx context.Context, nodeName string) (*schedule.Workers, error) {
	row, err := e.q.WorkersOfNode(ctx, nodeName)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if err != nil {
		return nil, err
	}
	return schedule.ParseWorkers(row.Schedule)
}

// SetWorkers changes that; nil: as many as they were started with. It is for staff.
func (e *Engine) SetWorkers(ctx context.Context, user people.User, nodeName string, w *schedule.Workers) error {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	if nodeName == "" || len(nodeName) > 255 {
		return &Invalid{Field: "node", Reason: "name the node as `hostname` gives it where it runs"}
	}
	entry := people.Entry{Action: "workers.delete", Object: "node " + nodeName}
	var text []byte
	if w != nil {
		if err := w.Validate(); err != nil {
			return invalidSchedule(err)
		}
		var err error
		if text, err = json.Marshal(w); err != nil {
			return err
		}
		entry.Action, entry.Detail = "workers.change", map[string]any{"schedule": w}
	}
	err := e.inTx(ctx, func(q *db.Queries) error {
		err := people.Record(ctx, q, entry)
		if w == nil {
			return errors.Join(err, q.DeleteWorkers(ctx, nodeName))
		}
		return errors.Join(err, q.PutWorkers(ctx, db.PutWorkersParams{NodeName: nodeName, Schedule: text}))
	})
	if err != nil {
		return err
	}
	e.reconsider()
	return nil
}

// Orders are what the hour wants of a node.
type Orders struct {
	Workers int           // tasks that it may run at once; -1: as many as it was started with
	Grace   time.Duration // for the series in hand of those that run beyond that
	Tasks   []Order
}

// Order tells a running task to give way.
type Order struct {
	TaskID, Token int64
	Park          bool          // the task stops, and goes on later
	Slots         []int64       // or only these associations of it
	Grace         time.Duration // for the series in hand
}

// Orders refreshes what the schedules allow, and gives what follows for a node. It also divides the limits in MB/s.
func (e *Engine) Orders(ctx context.Context, node uuid.UUID, name string) (Orders, error) {
	out := Orders{Workers: -1, Grace: e.cfg.ParkGrace}
	if err := e.RefreshSchedules(ctx); err != nil {
		return out, err
	}
	if err := e.boundWaits(ctx); err != nil {
		return out, err
	}
	if err := e.share(ctx, node); err != nil {
		return out, err
	}
	row, err := e.q.WorkersOfNode(ctx, name)
	switch {
	case err == nil:
		w, err := schedule.ParseWorkers(row.Schedule)
		if err != nil {
			return out, fmt.Errorf("the workers of node %s can't be known: %w", name, err)
		}
		out.Workers, out.Grace = w.At(row.Now), graceOf(w.Grace, out.Grace)
	case !errors.Is(err, pgx.ErrNoRows):
		return out, err
	}
	rows, err := e.q.Overdrawn(ctx, node)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		if n := len(out.Tasks); n == 0 || out.Tasks[n-1].TaskID != row.TaskID || out.Tasks[n-1].Token != row.Token {
			out.Tasks = append(out.Tasks, Order{TaskID: row.TaskID, Token: row.Token, Grace: schedule.MaxGrace})
		}
		o := &out.Tasks[len(out.Tasks)-1]
		o.Grace = min(o.Grace, graceOf(row.ParkGraceS, e.cfg.ParkGrace))
		o.Park = o.Park || !row.Further || row.Paused
		if row.Paused {
			o.Grace = 0
		}
		o.Slots = append(o.Slots, row.ID)
	}
	return out, nil
}

// graceOf returns a grace that was named in seconds, else another one.
func graceOf[T int | int32](seconds *T, other time.Duration) time.Duration {
	if seconds == nil {
		return other
	}
	return time.Duration(*seconds) * time.Second
}

// share gives this node its part of each limit in MB/s: the whole, divided among the associations that live. A node without any has
// the part of the next one, until the beat after that has begun.
func (e *Engine) share(ctx context.Context, node uuid.UUID) error {
	rows, err := e.q.Shares(ctx, node)
	if err != nil {
		return err
	}
	limits := map[int64]float64{}
	for _, row := range rows {
		limits[row.ServerID] = row.MbPerSecond * 1e6 * float64(max(row.Own, 1)) / float64(row.Slots+max(1-row.Own, 0))
	}
	e.paces.set(limits)
	return nil
}
