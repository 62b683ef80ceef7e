// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// Orders are what the hour wants of a member.
type Orders struct {
	Workers int           // tasks that it may run at once; -1: as many as it was started with
	Grace   time.Duration // for the series in hand of those that run beyond that
	Roles   []string      // those in effect
	Tasks   []Order
}

// Order tells a running task to give way.
type Order struct {
	TaskID, Token int64
	Park          bool          // the task stops, and goes on later
	Slots         []int64       // or only these associations of it
	Grace         time.Duration // for the series in hand
}

// Orders refreshes what the schedules allow, and gives what follows for a member. It also divides the limits in MB/s.
func (svc *Service) Orders(ctx context.Context, member uuid.UUID, name string) (Orders, error) {
	out := Orders{Workers: -1, Grace: svc.Config.ParkGrace}
	if err := svc.nodes.RefreshSchedules(ctx); err != nil {
		return out, err
	}
	if err := svc.boundWaits(ctx); err != nil {
		return out, err
	}
	if err := svc.share(ctx, member); err != nil {
		return out, err
	}
	if err := svc.wanted(ctx, member, name, &out); err != nil {
		return out, err
	}
	rows, err := svc.Q.Overdrawn(ctx, member)
	if err != nil {
		return out, err
	}
	for _, row := range rows {
		if n := len(out.Tasks); n == 0 || out.Tasks[n-1].TaskID != row.TaskID || out.Tasks[n-1].Token != row.Token {
			out.Tasks = append(out.Tasks, Order{TaskID: row.TaskID, Token: row.Token, Grace: schedule.MaxGrace})
		}
		o := &out.Tasks[len(out.Tasks)-1]
		o.Grace = min(o.Grace, graceOf(row.ParkGraceS, svc.Config.ParkGrace))
		o.Park = o.Park || !row.Further || row.Paused
		if row.Paused {
			o.Grace = 0
		}
		o.Slots = append(o.Slots, row.ID)
	}
	return out, nil
}

// wanted gives what people want of a member at this hour.
func (svc *Service) wanted(ctx context.Context, member uuid.UUID, name string, out *Orders) error {
	row, err := svc.Q.WantedOfMember(ctx, member)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil // it was fenced long ago, and learns so at its next beat
	}
	if err != nil {
		return err
	}
	if row.Schedule != nil {
		w, err := schedule.ParseWorkers(row.Schedule)
		if err != nil {
			return fmt.Errorf("the number of workers of member %s can't be read: %w", name, err)
		}
		out.Workers, out.Grace = w.At(row.Now), graceOf(w.Grace, out.Grace)
	}
	out.Roles = inEffect(row.Roles, row.Wanted)
	if !works(row.Draining, out.Roles) {
		out.Workers = 0
	}
	return nil
}

// graceOf returns a grace that was named in seconds, else another one.
func graceOf[T int | int32](seconds *T, other time.Duration) time.Duration {
	if seconds == nil {
		return other
	}
	return time.Duration(*seconds) * time.Second
}

// share gives this member its part of each limit in MB/s: the whole, divided among the associations that live. A member
// without any has the part of the next one, until the beat after that has begun.
func (svc *Service) share(ctx context.Context, member uuid.UUID) error {
	rows, err := svc.Q.Shares(ctx, member)
	if err != nil {
		return err
	}
	limits := map[int64]float64{}
	for _, row := range rows {
		limits[row.ServerID] = row.MbPerSecond * 1e6 * float64(max(row.Own, 1)) / float64(row.Slots+max(1-row.Own, 0))
	}
	svc.Paces.Set(limits)
	return nil
}

// boundWaits sees to it that nothing waits longer than it was meant to because the database's clock was put back.
// Instants are kept by that clock, since waits outlive processes; how long each was to be is kept beside it.
func (svc *Service) boundWaits(ctx context.Context) error {
	n, err := svc.Q.BoundWaits(ctx, svc.Config.ProbePause.Seconds())
	if err != nil {
		return fmt.Errorf("waits can't be compared with the database's clock: %w", err)
	}
	if n > 0 {
		svc.Log.WarnContext(
			ctx, "the database's clock was set back; nothing waits longer than it was meant to", "waits", n,
		)
		svc.Signals.Wake()
	}
	return nil
}

// Workers returns how many tasks the members of a name run at once over the week, nil if they run as many as they were
// started with.
func (svc *Service) Workers(ctx context.Context, memberName string) (*schedule.Workers, error) {
	row, err := svc.Q.WorkersOfMember(ctx, memberName)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	if err != nil {
		return nil, err
	}
	return schedule.ParseWorkers(row.Schedule)
}

// SetWorkers changes that; nil: as many as they were started with. It is for staff.
func (svc *Service) SetWorkers(ctx context.Context, user people.User, memberName string, w *schedule.Workers) error {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	if memberName == "" || len(memberName) > 255 {
		return &refusal.Invalid{Field: "member", Reason: "name the member by its host name, as `hostname` prints it there"}
	}
	entry := audit.Entry{Action: "workers.delete", Object: "member " + memberName}
	var text []byte
	if w != nil {
		if err := w.Validate(); err != nil {
			return nodes.InvalidSchedule(err)
		}
		var err error
		if text, err = json.Marshal(w); err != nil {
			return err
		}
		entry.Action, entry.Detail = "workers.change", map[string]any{"schedule": w}
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		if err := checkWorkers(ctx, q, memberName); err != nil {
			return err
		}
		err := audit.Record(ctx, q, entry)
		if w == nil {
			return errors.Join(err, q.DeleteWorkers(ctx, memberName))
		}
		return errors.Join(err, q.PutWorkers(ctx, db.PutWorkersParams{MemberName: memberName, Schedule: text}))
	})
	if err != nil {
		return err
	}
	svc.Reconsider()
	return nil
}

// checkWorkers locks the number of workers of a name, and refuses a change if the caller expects another version.
func checkWorkers(ctx context.Context, q *db.Queries, memberName string) error {
	text, err := q.LockWorkers(ctx, memberName)
	if errors.Is(err, pgx.ErrNoRows) {
		return version.None(ctx)
	}
	if err != nil {
		return err
	}
	w, err := schedule.ParseWorkers(text)
	if err != nil {
		return version.None(ctx) // a damaged one is put right by another one
	}
	return version.Check(ctx, w.Version())
}
