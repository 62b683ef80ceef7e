// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Stats are figures of jobs, of one owner or of everybody.
type Stats struct {
	Zone  *time.Location   // of the days
	Jobs  map[string]int64 // by status
	Tasks map[string]int64 // by status
	Days  []Moved          // each day, oldest first, the last one is today
	Nodes []NodeMoved      // by name
}

// Moved is what tasks that ended in some time had moved.
type Moved struct {
	Day    time.Time // midnight UTC of the date; zero where it is no day
	Tasks  int64
	Failed int64 // of those
	Images int64
	Bytes  int64
}

func (m *Moved) add(tasks, failed, images, bytes int64) {
	m.Tasks += tasks
	m.Failed += failed
	m.Images += images
	m.Bytes += bytes
}

// NodeMoved is what was moved from and to a DICOM node, over all the days.
type NodeMoved struct {
	Name     string // empty: nodes that have been removed
	From, To Moved
}

// MaxStatsDays is how far Stats looks back.
const MaxStatsDays = 366

// Stats returns figures of the last so many days: of the user's own jobs, of all jobs for staff.
func (svc *Service) Stats(ctx context.Context, user people.User, days int) (Stats, error) {
	if days < 1 || days > MaxStatsDays {
		return Stats{}, &refusal.Invalid{Field: "days", Reason: "must be between 1 and 366"}
	}
	owner := user.ID
	if user.IsStaff {
		owner = 0
	}
	out := Stats{Zone: svc.Config.Zone, Jobs: map[string]int64{}, Tasks: map[string]int64{}}
	counts, err := svc.Q.CountJobs(ctx, owner)
	if err != nil {
		return Stats{}, err
	}
	for _, c := range counts {
		out.Jobs[c.Status] = c.Jobs
		for status, n := range map[string]int64{
			jobs.Pending: c.Pending, jobs.InProgress: c.Running, jobs.Success: c.Success,
			jobs.Warning: c.Warning, jobs.Failure: c.Failure, jobs.Canceled: c.Canceled,
		} {
			out.Tasks[status] += n
		}
	}
	return out, svc.moved(ctx, &out, owner, days)
}

// moved fills in what was moved: from the sums of days that were summed up, and from the tasks of those that were not.
func (svc *Service) moved(ctx context.Context, out *Stats, owner int64, days int) error {
	now, err := svc.Q.Now(ctx)
	if err != nil {
		return err
	}
	through, err := svc.summedUp(ctx, now)
	if err != nil {
		return err
	}
	names, err := svc.Q.NodeNames(ctx)
	if err != nil {
		return err
	}
	m := movements{
		first: dayOf(now.In(svc.Config.Zone)).AddDate(0, 0, 1-days),
		names: map[int64]string{}, nodes: map[string]*NodeMoved{},
	}
	m.days = make([]Moved, days)
	for i := range m.days {
		m.days[i].Day = m.first.AddDate(0, 0, i)
	}
	for _, n := range names {
		m.names[n.ID] = n.Name
	}
	rolled, err := svc.Q.RolledUp(ctx, db.RolledUpParams{First: m.first, Last: through, OwnerID: owner})
	if err != nil {
		return err
	}
	for _, r := range rolled {
		m.add(db.LatelyRow(r))
	}
	lately, err := svc.Q.Lately(ctx, db.LatelyParams{
		Zone: svc.Config.Zone.String(), First: base.Later(m.first, through.AddDate(0, 0, 1)), OwnerID: owner,
	})
	if err != nil {
		return err
	}
	for _, r := range lately {
		m.add(r)
	}
	out.Days = m.days
	for _, n := range m.nodes {
		out.Nodes = append(out.Nodes, *n)
	}
	slices.SortFunc(out.Nodes, func(a, b NodeMoved) int { return cmp.Compare(a.Name, b.Name) })
	return nil
}

type movements struct {
	first time.Time
	days  []Moved
	names map[int64]string
	nodes map[string]*NodeMoved
}

func (m *movements) add(r db.LatelyRow) {
	i := int(r.Day.Sub(m.first) / (24 * time.Hour))
	if i < 0 || i >= len(m.days) {
		return // a clock went back
	}
	m.days[i].add(r.Tasks, r.Failed, r.Images, r.Bytes)
	m.node(r.SourceID).From.add(r.Tasks, r.Failed, r.Images, r.Bytes)
	m.node(r.DestinationID).To.add(r.Tasks, r.Failed, r.Images, r.Bytes)
}

func (m *movements) node(id int64) *NodeMoved {
	name := m.names[id]
	if m.nodes[name] == nil {
		m.nodes[name] = &NodeMoved{Name: name}
	}
	return m.nodes[name]
}

// HouseKeeping is how the site keeps itself in order.
type HouseKeeping struct {
	Warnings []db.Warning // that staff was told of and that still hold
	Last     *time.Time   // when the daily clean-up was last done; nil: not yet
	Next     *time.Time   // when it is done next; nil: no member has planned it yet
	Removed  CleanedUp    // by the last one
}

// HouseKeeping is for staff.
func (svc *Service) HouseKeeping(ctx context.Context, user people.User) (h HouseKeeping, err error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return h, err
	}
	if h.Warnings, err = svc.Q.ListWarnings(ctx); err != nil {
		return h, err
	}
	row, err := svc.Q.GetChore(ctx, cleanUpChore)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, nil
	}
	if err != nil {
		return h, err
	}
	h.Last, h.Next = row.RanAt, &row.NextAt
	return h, json.Unmarshal(row.Result, &h.Removed)
}
