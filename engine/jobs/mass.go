// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Days are the first and the last day of a partition, YYYYMMDD.
type Days struct{ First, Last string }

// Name returns the days as a name: one, or the first and the last of several.
func (d Days) Name() string {
	if d.First == d.Last {
		return d.First
	}
	return d.First + "-" + d.Last
}

// Mass is a mass transfer to be made. Of the transfer no studies are given: they are found.
type Mass struct {
	Transfer
	Partitions []Days
	Weekly     bool
	Filters    []byte // as JSON, of package mass
	DryRun     bool   // nothing is transferred until somebody begins it
}

// CreateMass makes a job with one task for each partition. Errors: as Create.
func (svc *Service) CreateMass(ctx context.Context, user people.User, m Mass) (Job, error) {
	m.Kind = MassTransfer
	if len(m.Partitions) == 0 {
		return Job{}, &refusal.Invalid{Field: "start_date", Reason: "there is no day to look through"}
	}
	if err := m.validateCommon(); err != nil {
		return Job{}, err
	}
	insert := func(q *db.Queries, p db.InsertJobParams) (int64, error) {
		job, err := insertTransfer(ctx, q, user, m.Transfer, len(m.Partitions), p)
		if err != nil {
			return 0, err
		}
		if err := q.InsertMass(ctx, db.InsertMassParams{
			JobID: job.ID, FirstDay: m.Partitions[0].First, LastDay: m.Partitions[len(m.Partitions)-1].Last,
			Weekly: m.Weekly, Filters: m.Filters, DryRun: m.DryRun,
		}); err != nil {
			return 0, err
		}
		days := db.InsertPartitionsParams{JobID: job.ID}
		for _, d := range m.Partitions {
			days.FirstDays, days.LastDays = append(days.FirstDays, d.First), append(days.LastDays, d.Last)
		}
		return job.ID, q.InsertPartitions(ctx, days)
	}
	return making{svc}.createTransfer(ctx, user, m.Transfer, m.hash(), insert)
}

// CheckMass asks whether the user may make such a mass transfer, and returns its project. Errors: as CreateMass.
func (svc *Service) CheckMass(ctx context.Context, user people.User, t Transfer) (project int64, err error) {
	t.Kind = MassTransfer
	if err := t.validateCommon(); err != nil {
		return 0, err
	}
	_, _, project, err = making{svc}.checkTransfer(ctx, user, t)
	return project, err
}

func (m Mass) hash() []byte {
	h := sha256.New()
	fmt.Fprintf(h, "%x %v %v %s %v", m.Transfer.hash(), m.Partitions, m.Weekly, m.Filters, m.DryRun)
	return h.Sum(nil)
}

// tellDays tells of the tasks of a mass transfer which days they look through.
func (svc *Service) tellDays(ctx context.Context, job Job, tasks []Task) error {
	if job.Kind != MassTransfer {
		return nil
	}
	var ids []int64
	for _, t := range tasks {
		if t.StudyInstanceUid == "" {
			ids = append(ids, t.ID)
		}
	}
	rows, err := svc.Q.DaysOf(ctx, ids)
	if err != nil {
		return err
	}
	days := map[int64]Days{}
	for _, row := range rows {
		days[row.TaskID] = Days{row.FirstDay, row.LastDay}
	}
	for i := range tasks {
		tasks[i].Days = days[tasks[i].ID]
	}
	return nil
}

// beginMass makes the tasks of what a dry run has found.
func beginMass(ctx context.Context, q *db.Queries, job db.Job) error {
	if job.Kind != MassTransfer {
		return &refusal.Conflict{Reason: "only the dry run of a mass transfer can be begun"}
	}
	n, err := q.BeginMass(ctx, job.ID)
	switch {
	case err != nil:
		return err
	case n == 0:
		return &refusal.Conflict{Reason: "the job is no dry run, or was begun before"}
	case job.ErasedAt != nil:
		return &refusal.Conflict{Reason: "the dry run ended too long ago: what it found is no longer known. Make a new one"}
	}
	made, err := q.MoveVolumes(ctx, db.MoveVolumesParams{JobID: job.ID})
	switch {
	case err != nil:
		return err
	case made == 0:
		return &refusal.Conflict{Reason: "the dry run has found nothing that could be transferred"}
	}
	return q.StripJob(ctx, db.StripJobParams{ID: job.ID}) // it has a ledger again
}

// restartMass forgets what a mass transfer has found, which it looks for again.
func restartMass(ctx context.Context, q *db.Queries, job db.Job) error {
	if job.Kind != MassTransfer {
		return nil
	}
	return q.ForgetVolumes(ctx, job.ID)
}
