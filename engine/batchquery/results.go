// SPDX-License-Identifier: AGPL-3.0-or-later

package batchquery

import (
	"context"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Result is a study that a batch query found, or a series where its row asks for series.
type Result struct {
	db.ListResultsRow
	Row int32 // of the file
}

// ResultFilter chooses results of a job.
type ResultFilter struct {
	AllSources bool  // those of all jobs of the batch query
	Task       int64 // 0: any
	After      int64 // the ID of a result, those after which are wanted
	Limit      int
}

// Results lists what a batch query has found so far, in the order in which it was found.
func (svc *Service) Results(ctx context.Context, user people.User, job int64, f ResultFilter) ([]Result, error) {
	list, err := svc.Batch(ctx, user, job, f.AllSources)
	if err != nil {
		return nil, err
	}
	rows, err := svc.Q.Planned().ListResults(ctx, db.ListResultsParams{
		JobIds: idsOf(list), TaskID: f.Task, After: f.After, Max: int32(f.Limit),
	})
	out := make([]Result, len(rows))
	for i, row := range rows {
		out[i] = Result{row, row.Rows[0]}
	}
	return out, err
}

// Batch returns a job of a batch query, or all those of its sources.
func (svc *Service) Batch(ctx context.Context, user people.User, id int64, all bool) ([]jobs.Job, error) {
	job, err := svc.jobs.Get(ctx, user, id)
	if err != nil {
		return nil, err
	}
	if job.Kind != jobs.BatchQuery {
		return nil, &refusal.Conflict{Reason: "this job is no batch query, so that it has no results"}
	}
	if !all {
		return []jobs.Job{job}, nil
	}
	return svc.jobs.OfBatch(ctx, user, id)
}

func idsOf(list []jobs.Job) []int64 {
	ids := make([]int64, len(list))
	for i, job := range list {
		ids[i] = job.ID
	}
	return ids
}

// Count is how much a batch query has found.
type Count struct {
	Results, Studies, Patients int64
	OfSeries                   bool     // some are series
	Pseudonyms                 bool     // some rows give one
	Extra                      []string // the columns of the file that ADIT doesn't know
	Jobs                       []jobs.Job
}

// Count counts what a batch query has found so far.
func (svc *Service) Count(ctx context.Context, user people.User, job int64, allSources bool) (Count, error) {
	list, err := svc.Batch(ctx, user, job, allSources)
	if err != nil {
		return Count{}, err
	}
	row, err := svc.Q.CountResults(ctx, idsOf(list))
	return Count{
		row.Results, row.Studies, row.Patients, row.OfSeries, row.Pseudonyms, list[0].ExtraColumns, list,
	}, err
}
