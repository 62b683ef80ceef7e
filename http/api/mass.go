// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/mass"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// massRoutes are the routes of this file.
type massRoutes struct{ *API }

const massTag = "Mass transfers"

func (a *massRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/mass-transfers", ID: "create-mass-transfer", Tag: massTag,
		Status: http.StatusCreated, Errors: []int{409}, Body: 1 << 20,
		Summary: "Transfer what a server has of some days",
		Description: "Makes a job that looks through the days, partition by partition, and transfers each series that the " +
			"filters take. A dry run only counts; `POST /jobs/{id}:begin` transfers what it has found. Each partition is a " +
			"task of the job, and so is each study that is found.",
		Example: `{"source": "PACS", "destination": "research", "start_date": "2024-01-01", "end_date": "2024-12-31", "filters": [{"modality": "CT", "study_description": "*head*", "min_age": 18}], "dry_run": true}`,
	}, a.create)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/mass-filters:read", ID: "read-mass-filters", Tag: massTag, Body: 8 << 20,
		Summary: "Make filters of a table",
		Description: "Reads a table, .xlsx or CSV, whose columns are named as the properties of a filter. It makes " +
			"nothing else.",
		Example: `{"file": "bW9kYWxpdHksc3R1ZHlfZGVzY3JpcHRpb24NCkNULENUIGhlYWQNCg=="}`,
	}, a.read)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/mass", ID: "get-mass-transfer", Tag: massTag, Errors: []int{404, 409},
		Summary:     "Get a mass transfer",
		Description: "Shows what it looks for, what it has found so far, and how far its partitions and studies are.",
	}, a.get)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/partitions", ID: "list-partitions", Tag: massTag, Errors: []int{404, 409},
		Summary:     "List the partitions of a mass transfer",
		Description: "Shows for each partition how far it is and how much it has found.",
	}, a.partitions)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/volumes", ID: "list-volumes", Tag: massTag, Errors: []int{404, 409},
		Summary:     "List the series that a mass transfer has found",
		Description: "Shows each series with what became of it, in the order in which they were found.",
	}, a.volumes)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/volumes:export", ID: "export-volumes", Tag: massTag,
		Errors: []int{404, 409}, CSV: true, XLSX: true,
		Summary: "Export the series that a mass transfer has found",
		Description: "Streams them as a table, with what became of each. Who may see the project's linkage table also gets " +
			"the pseudonym and the UIDs that were sent. Each export leaves a row in the audit log.",
		Example: "partition_key,pseudonym,patient_id,accession_number,study_instance_uid,study_instance_uid_pseudonymized," +
			"series_instance_uid,series_instance_uid_pseudonymized,modality,study_description,series_description," +
			"series_number,study_date,study_time,institution_name,number_of_images,status,delivered\n",
	}, a.export)
}

func (a *massRoutes) create(ctx context.Context, user people.User, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As of POST /jobs." example:"cohort-2026-11-23"`
	Body           client.NewMassTransfer
},
) (*route.Created[client.Job], error) {
	o, err := orderOf(in.Body.MassSettings)
	if err != nil {
		return nil, err
	}
	o.DryRun, o.IdempotencyKey = in.Body.DryRun, in.IdempotencyKey
	if o.First, err = dayOf("start_date", in.Body.StartDate); err != nil {
		return nil, err
	}
	if o.Last, err = dayOf("end_date", in.Body.EndDate); err != nil {
		return nil, err
	}
	job, err := a.engine.Mass.Create(ctx, user, o)
	if err != nil {
		return nil, err
	}
	if job, err = a.engine.Jobs.Show(ctx, user, job.ID); err != nil {
		return nil, err
	}
	return route.MadeAt("/jobs", strconv.FormatInt(job.ID, 10), view.Job(job)), nil
}

// orderOf returns what is to be made by some settings, without its days.
func orderOf(b client.MassSettings) (o mass.Order, err error) {
	if err := plainText(
		map[string]string{"source": b.Source, "destination": b.Destination, "project": b.Project},
	); err != nil {
		return o, err
	}
	o = mass.Order{
		Transfer: jobs.Transfer{
			About: aboutOf(b.BatchAbout), Source: b.Source, Destination: b.Destination, Project: b.Project,
			Pseudonymize: b.Pseudonymize == nil || *b.Pseudonymize, LeaveOutRejected: b.LeaveOutRejected,
			TrialProtocolID: b.TrialProtocolID, TrialProtocolName: b.TrialProtocolName, MailWhenFinished: b.MailWhenFinished,
		},
		Weekly: b.Partitions == client.Weekly,
	}
	for _, f := range b.Filters {
		o.Filters = append(o.Filters, mass.Filter(f))
	}
	return o, nil
}

// dayOf reads a date of a request.
func dayOf(field, text string) (time.Time, error) {
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return day, &refusal.Invalid{Field: field, Reason: "not a calendar date in the form YYYY-MM-DD"}
	}
	return day, nil
}

func (a *massRoutes) read(ctx context.Context, _ people.User, in *struct{ Body client.FilterTable }) (
	*route.Body[client.MassFilters], error,
) {
	filters, err := mass.Read(ctx, in.Body.File)
	if err != nil {
		return nil, err
	}
	return route.Answer(client.MassFilters{Filters: view.MassFilters(filters)}), nil
}

func (a *massRoutes) get(ctx context.Context, user people.User, in *JobID) (*route.Body[client.MassTransfer], error) {
	t, err := a.engine.Mass.Get(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.MassTransfer(t)), nil
}

func (a *massRoutes) partitions(ctx context.Context, user people.User, in *struct {
	JobID
	route.Paging
},
) (*route.Body[client.Page[client.MassPartition]], error) {
	after, err := in.After()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.Mass.Partitions(ctx, user, in.ID, after, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(list, in.Limit, view.MassPartition, func(p mass.Partition) int64 { return int64(p.Seq) }), nil
}

func (a *massRoutes) volumes(ctx context.Context, user people.User, in *struct {
	JobID
	route.Paging
	Status    string `query:"status" pattern:"^(found|pending|in_progress|canceled|success|warning|failure|left_out)(,(found|pending|in_progress|canceled|success|warning|failure|left_out))*$" example:"failure" doc:"Only those of this status, or of one of several with commas between them."`
	Partition int64  `query:"partition" minimum:"0" example:"1201" doc:"Only those that the partition of this task has found."`
},
) (*route.Body[client.Page[client.MassVolume]], error) {
	after, err := in.After()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.Mass.Volumes(ctx, user, in.ID, mass.VolumeFilter{
		Status: in.Status, Partition: in.Partition, After: after, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return route.PageOf(list, in.Limit, view.MassVolume, func(v mass.Volume) int64 { return v.Volume.ID }), nil
}

func (a *massRoutes) export(ctx context.Context, user people.User, in *struct {
	JobID
	TableFormat
},
) (*route.Table, error) {
	write, err := a.engine.Mass.Export(ctx, user, in.ID, batch.Format(in.Format))
	if err != nil {
		return nil, err
	}
	return inFormat(fmt.Sprintf("mass_transfer_job_%d", in.ID), in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}
