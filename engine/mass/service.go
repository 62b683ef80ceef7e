// SPDX-License-Identifier: AGPL-3.0-or-later

// Package mass is mass transfers: what a source has of some days, by filters, found partition by partition. What is
// found becomes tasks of the same job, which package transfer runs as all others.
package mass

import (
	"context"
	"encoding/json"
	"math"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/inquiry"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	jobs    *jobs.Service
	inquiry *inquiry.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofJobs *jobs.Service, ofInquiry *inquiry.Service) *Service {
	return &Service{Base: b, jobs: ofJobs, inquiry: ofInquiry}
}

// Order is a mass transfer to be made: of the transfer no studies are given.
type Order struct {
	jobs.Transfer
	First, Last time.Time // days; the time of day and the zone have no say
	Weekly      bool
	Filters     Filters
	DryRun      bool // nothing is transferred until somebody begins it (jobs.BeginJob)
}

// Check tidies an order that is to be made again and again, and asks whether the user may; it returns its project.
func (svc *Service) Check(ctx context.Context, user people.User, o *Order) (project int64, err error) {
	if o.Filters, err = o.Filters.tidied(); err != nil {
		return 0, err
	}
	if _, err := partitioned(o.First, o.First, o.Weekly); err != nil {
		return 0, err
	}
	return svc.jobs.CheckMass(ctx, user, o.Transfer)
}

// Create makes the job of a mass transfer. Errors: as jobs.Create.
func (svc *Service) Create(ctx context.Context, user people.User, o Order) (jobs.Job, error) {
	filters, err := o.Filters.tidied()
	if err != nil {
		return jobs.Job{}, err
	}
	days, err := partitioned(o.First, o.Last, o.Weekly)
	if err != nil {
		return jobs.Job{}, err
	}
	text, err := json.Marshal(filters)
	if err != nil {
		return jobs.Job{}, err
	}
	return svc.jobs.CreateMass(ctx, user, jobs.Mass{
		Transfer: o.Transfer, Partitions: days, Weekly: o.Weekly, Filters: text, DryRun: o.DryRun,
	})
}

// Transfer is what a mass transfer looks for, and what it has found so far.
type Transfer struct {
	db.MassTransfer
	Filters Filters
	Count   db.CountMassRow
}

// Get returns a mass transfer of a job that the user may see.
func (svc *Service) Get(ctx context.Context, user people.User, job int64) (t Transfer, err error) {
	if _, err := svc.jobOf(ctx, user, job); err != nil {
		return t, err
	}
	if t.MassTransfer, err = svc.Q.GetMass(ctx, job); err != nil {
		return t, err
	}
	if err := json.Unmarshal(t.MassTransfer.Filters, &t.Filters); err != nil {
		return t, err
	}
	t.Count, err = svc.Q.CountMass(ctx, job)
	return t, err
}

func (svc *Service) jobOf(ctx context.Context, user people.User, id int64) (jobs.Job, error) {
	job, err := svc.jobs.Get(ctx, user, id)
	if err == nil && job.Kind != jobs.MassTransfer {
		err = &refusal.Conflict{Reason: "this job is no mass transfer, so that it has no partitions and volumes"}
	}
	return job, err
}

// Partition is some days of a job, and what they have.
type Partition struct{ db.ListPartitionsRow }

// Partitions lists partitions of a job that the user may see, those after a place in the job.
func (svc *Service) Partitions(
	ctx context.Context, user people.User, job, after int64, limit int,
) ([]Partition, error) {
	if _, err := svc.jobOf(ctx, user, job); err != nil {
		return nil, err
	}
	rows, err := svc.Q.Planned().ListPartitions(ctx, db.ListPartitionsParams{
		JobID: job, After: int32(min(after, math.MaxInt32)), Max: int32(limit),
	})
	list := make([]Partition, len(rows))
	for i, row := range rows {
		list[i] = Partition{row}
	}
	return list, err
}

// Volume is a series that a job has found, and what became of it.
type Volume struct{ db.ListVolumesRow }

// VolumeFilter chooses volumes of a job.
type VolumeFilter struct {
	Status    string // one, or several with commas; empty: any
	Partition int64  // its task; 0: any
	After     int64  // the ID of a volume, those after which are wanted
	Limit     int
}

// Volumes lists the series that a job has found, in the order in which they were found.
func (svc *Service) Volumes(
	ctx context.Context, user people.User, job int64, f VolumeFilter,
) ([]Volume, error) {
	if _, err := svc.jobOf(ctx, user, job); err != nil {
		return nil, err
	}
	return svc.volumes(ctx, job, f)
}

func (svc *Service) volumes(ctx context.Context, job int64, f VolumeFilter) ([]Volume, error) {
	p := db.ListVolumesParams{JobID: job, After: f.After, PartitionID: f.Partition, Max: int32(f.Limit)}
	if f.Status != "" {
		p.Statuses = strings.Split(f.Status, ",")
	}
	rows, err := svc.Q.Planned().ListVolumes(ctx, p)
	list := make([]Volume, len(rows))
	for i, row := range rows {
		list[i] = Volume{row}
	}
	return list, err
}

// Partition names the days in which it was found.
func (v Volume) Partition() string { return jobs.Days{First: v.FirstDay, Last: v.LastDay}.Name() }
