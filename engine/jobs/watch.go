// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Sight is how somebody sees a job and its tasks. All who see them alike can be told of them by the same words.
type Sight struct {
	Own        bool // it is their own
	Pseudonyms bool // they see the pseudonyms that came with the job
}

// SightOf returns how a user sees a job; refusal.ErrNotFound: not at all.
func (svc *Service) SightOf(ctx context.Context, user people.User, id int64) (Sight, error) {
	job, err := svc.Get(ctx, user, id)
	if err != nil {
		return Sight{}, err
	}
	own := job.OwnerID == user.ID
	all, err := svc.SeesPseudonyms(ctx, user, job)
	return Sight{Own: own, Pseudonyms: own || all}, err
}

// SightOfTask returns how a user sees a task, and the job that it belongs to.
func (svc *Service) SightOfTask(ctx context.Context, user people.User, id int64) (job int64, s Sight, err error) {
	row, err := svc.Q.GetTask(ctx, id)
	if err != nil {
		return 0, Sight{}, refusal.NotFound(err, "task", id)
	}
	s, err = svc.SightOf(ctx, user, row.JobID)
	if err != nil {
		err = fmt.Errorf("task %d: %w", id, refusal.ErrNotFound)
	}
	return row.JobID, s, err
}

// Watched returns those of some jobs that are there, by their ids, each with its outlook: as their owners see them, or
// as others do. Nobody's rights are asked: that is done before.
func (svc *Service) Watched(ctx context.Context, ids []int64, own bool) (map[int64]Job, error) {
	rows, err := svc.Q.GetJobs(ctx, ids)
	if err != nil {
		return nil, err
	}
	jobs := make([]Job, len(rows))
	for i, row := range rows {
		jobs[i] = JobOf(db.GetJobRow(row))
	}
	found := make(map[int64]Job, len(rows))
	err = svc.lookAhead(ctx, func(Job) bool { return own }, jobs)
	for _, j := range jobs {
		found[j.ID] = j
	}
	return found, err
}

// WatchedTasks returns those of some tasks of a job that are there, by their ids, as somebody with such a sight sees
// them. Nobody's rights are asked: that is done before.
func (svc *Service) WatchedTasks(ctx context.Context, job Job, s Sight, ids []int64) (map[int64]Task, error) {
	rows, err := svc.Q.GetTasks(ctx, ids)
	if err != nil {
		return nil, err
	}
	if !s.Pseudonyms {
		for i := range rows {
			rows[i].Pseudonym = ""
		}
	}
	tasks, err := svc.explain(ctx, s.Own, job, rows...)
	found := make(map[int64]Task, len(tasks))
	for _, t := range tasks {
		found[t.ID] = t
	}
	return found, err
}
