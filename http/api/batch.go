// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchjobs"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// batchRoutes are the routes of this file.
type batchRoutes struct{ *API }

const (
	batchTag  = "Batch files"
	batchBody = batchjobs.MaxFile/3*4 + 64<<10 // in base64, with the rest of the request
)

// AllSources tells whether a question is about one job of a batch query or about those of all its sources.
type AllSources struct {
	AllSources bool `query:"all_sources" doc:"Of all jobs that were made together, one for each source; otherwise of this one."`
}

// TableFormat is how a table is wanted.
type TableFormat struct {
	Format string `query:"format" enum:"xlsx,csv,csv-semicolon" default:"xlsx" example:"csv" doc:"An Excel workbook, or CSV in UTF-8 with a byte order mark, with commas or with semicolons."`
}

func (a *batchRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/batch:check", ID: "check-batch", Tag: batchTag, Body: batchBody,
		Timeout: 2 * route.Quick,
		Summary: "Check a file of rows",
		Description: "Reads a file as a batch query or a batch transfer would, and makes nothing: what is in it, every " +
			"fault by row and cell, and what else should be looked at.",
		Example: `{"kind": "batch_query", "file": "UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSxDVA0K"}`,
	}, a.check)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/batch:remarks", ID: "remark-batch", Tag: batchTag, Body: batchBody,
		Timeout: 2 * route.Quick, XLSX: true,
		Summary: "Get a file of rows back with remarks",
		Description: "Reads a file as `batch:check` does, and gives its rows as a workbook with what is wrong with each in " +
			"a column of its own, and the faulty cells in red. Correct them there, and use the workbook: the remarks are " +
			"left alone.",
		Example: `{"kind": "batch_query", "file": "UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSwNCg=="}`,
	}, a.remarks)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/batch-queries", ID: "create-batch-query", Tag: batchTag,
		Status: http.StatusCreated, Body: batchBody, Timeout: 2 * route.Quick, Errors: []int{409},
		Summary: "Make a batch query",
		Description: "Asks each of the sources what each row of the file describes; each source gets a job of its own, " +
			"with a task for each row. A file with a fault makes nothing. Send an `Idempotency-Key` so that you can repeat " +
			"the request.",
		Example: `{"sources": ["PACS"], "file": "UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSxDVA0K"}`,
	}, a.createQuery)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/batch-transfers", ID: "create-batch-transfer", Tag: batchTag,
		Status: http.StatusCreated, Body: batchBody, Timeout: 2 * route.Quick, Errors: []int{409},
		Summary: "Make a batch transfer",
		Description: "Moves the studies that the rows of a file name; rows of one study are one task. A file with a fault " +
			"makes nothing. Send an `Idempotency-Key` so that you can repeat the request.",
		Example: `{"source": "PACS", "destination": "research", "pseudonymize": true, "file": "UGF0aWVudElELFN0dWR5SW5zdGFuY2VVSUQNClBIQU5UT00tMDAxLDEuMi44MjYuMC4xLjM2ODAwNDMuOC40OTguMQ0K"}`,
	}, a.createTransfer)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/batch-samples/{kind}", ID: "get-batch-sample", Tag: batchTag, CSV: true, XLSX: true,
		Summary:     "Get a sample of a file of rows",
		Description: "Gives a small file with all columns, to begin with.",
		Example:     "PatientID,Modality\nPHANTOM-001,CT\n",
	}, a.sample)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/results", ID: "list-results", Tag: batchTag, Errors: []int{404, 409},
		Summary: "List what a batch query found",
		Description: "Shows the studies that it has found so far, in the order in which it found them; or the series, " +
			"where a row asks for series.",
	}, a.results)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/results:count", ID: "count-results", Tag: batchTag, Errors: []int{404, 409},
		Summary:     "Count what a batch query found",
		Description: "Counts the results, studies and patients that it has found so far.",
	}, a.count)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/results:export", ID: "export-results", Tag: batchTag,
		Errors: []int{404, 409}, CSV: true, XLSX: true,
		Summary: "Export what a batch query found",
		Description: "Streams the results as a table that a batch transfer takes as it is. A workbook has the rows that " +
			"failed on a second sheet. Each export leaves a row in the audit log.",
		Example: "PatientID,PatientName,BirthDate,ModalitiesInStudy,StudyDate,StudyTime,StudyDescription," +
			"NumberOfStudyRelatedInstances,AccessionNumber,StudyInstanceUID,Row\n",
	}, a.export)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/failed-rows", ID: "export-failed-rows", Tag: batchTag,
		Errors: []int{404, 409}, CSV: true, XLSX: true,
		Summary: "Export the rows of a batch query that failed",
		Description: "Streams the rows with the reason of each. Once that is mended, the table can be used for a batch " +
			"query as it is.",
		Example: "PatientID,Modality,Remarks\nPHANTOM-999,CT,The source knows no patient with this Patient ID.\n",
	}, a.failedRows)
}

func fileOf(f client.BatchFile) batchjobs.File {
	return batchjobs.File{Bytes: f.File, Dates: batch.Layout(f.Dates), MacRoman: f.MacRoman}
}

func toCheck(b client.BatchToCheck) batchjobs.ToCheck {
	return batchjobs.ToCheck{File: fileOf(b.BatchFile), Kind: b.Kind, Pseudonymize: b.Pseudonymize, AllRows: b.AllRows}
}

func aboutOf(a client.BatchAbout) jobs.About {
	return jobs.About{Title: a.Title, Description: a.Description, EthicsID: a.EthicsID}
}

func (a *batchRoutes) check(ctx context.Context, user people.User, in *struct{ Body client.BatchToCheck }) (
	*route.Body[client.BatchPreview], error,
) {
	p, err := a.engine.BatchJobs.Check(ctx, user, toCheck(in.Body))
	if err != nil {
		return nil, err
	}
	return route.Answer(view.BatchPreview(p)), nil
}

func (a *batchRoutes) remarks(ctx context.Context, user people.User, in *struct{ Body client.BatchToCheck }) (
	*route.Table, error,
) {
	write, err := a.engine.BatchJobs.Remarks(ctx, user, toCheck(in.Body))
	if err != nil {
		return nil, err
	}
	return inFormat("remarks", TableFormat{string(batch.FormatXLSX)}, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}

func (a *batchRoutes) createQuery(ctx context.Context, user people.User, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As of POST /jobs." example:"cohort-2026-11-23"`
	Body           client.NewBatchQuery
},
) (*route.Body[client.BatchJobs], error) {
	b := in.Body
	named := map[string]string{"project": b.Project}
	for i, s := range b.Sources {
		named[fmt.Sprintf("sources[%d]", i)] = s
	}
	if err := plainText(named); err != nil {
		return nil, err
	}
	queries, err := a.queriesOf(ctx, user, b)
	if err != nil {
		return nil, err
	}
	queries.IdempotencyKey = in.IdempotencyKey
	list, err := a.engine.Jobs.CreateQueries(ctx, user, queries)
	if err != nil {
		return nil, err
	}
	out := client.BatchJobs{Jobs: []client.Job{}}
	for _, job := range list {
		if job, err = a.engine.Jobs.Show(ctx, user, job.ID); err != nil {
			return nil, err
		}
		out.Jobs = append(out.Jobs, view.Job(job))
	}
	return route.Answer(out), nil
}

func (a *batchRoutes) createTransfer(ctx context.Context, user people.User, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As of POST /jobs." example:"cohort-2026-11-23"`
	Body           client.NewBatchTransfer
},
) (*route.Created[client.Job], error) {
	b := in.Body
	if err := plainText(
		map[string]string{"source": b.Source, "destination": b.Destination, "project": b.Project},
	); err != nil {
		return nil, err
	}
	job, err := a.engine.BatchJobs.Transfer(ctx, user, fileOf(b.BatchFile), jobs.Transfer{
		About: aboutOf(b.BatchAbout), Source: b.Source, Destination: b.Destination, Project: b.Project,
		Pseudonymize: b.Pseudonymize, LeaveOutRejected: b.LeaveOutRejected, TrialProtocolID: b.TrialProtocolID,
		TrialProtocolName: b.TrialProtocolName, Urgent: b.Urgent, OutsideWindows: b.OutsideWindows,
		MailWhenFinished: b.MailWhenFinished, IdempotencyKey: in.IdempotencyKey,
		ArchivePassword: nodes.Secret(b.ArchivePassword),
	})
	if err != nil {
		return nil, err
	}
	if job, err = a.engine.Jobs.Show(ctx, user, job.ID); err != nil {
		return nil, err
	}
	return route.MadeAt("/jobs", strconv.FormatInt(job.ID, 10), view.Job(job)), nil
}

func (a *batchRoutes) sample(_ context.Context, _ people.User, in *struct {
	Kind string `path:"kind" enum:"batch_query,batch_transfer" doc:"What it is a file of." example:"batch_query"`
	TableFormat
},
) (*route.Table, error) {
	write := func(_ context.Context, w io.Writer) error {
		return batchjobs.Sample(in.Kind, batch.Format(in.Format), w)
	}
	return inFormat("adit-"+in.Kind, in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}

// inFormat streams a table in a format.
func inFormat(name string, f TableFormat, write func(ctx context.Context, w io.Writer) error) *route.Table {
	if f.Format != string(batch.FormatXLSX) {
		return route.AsTable(name+".csv", write)
	}
	t := route.AsTable(name+".xlsx", write)
	t.ContentType = route.Workbook
	return t
}

func (a *batchRoutes) results(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
	route.Paging
	Task int64 `query:"task" minimum:"0" example:"1201" doc:"Only those of this task."`
},
) (*route.Body[client.Page[client.QueryResult]], error) {
	after, err := in.After()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.BatchQuery.Results(ctx, user, in.ID, batchquery.ResultFilter{
		AllSources: in.AllSources.AllSources, Task: in.Task, After: after, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return route.PageOf(list, in.Limit, view.QueryResult, func(r batchquery.Result) int64 { return r.ID }), nil
}

func (a *batchRoutes) count(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
},
) (*route.Body[client.QueryCount], error) {
	n, err := a.engine.BatchQuery.Count(ctx, user, in.ID, in.AllSources.AllSources)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.QueryCount(n)), nil
}

func (a *batchRoutes) export(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
	TableFormat
},
) (*route.Table, error) {
	write, err := a.engine.BatchJobs.Export(
		ctx, user, in.ID, in.AllSources.AllSources, batch.Format(in.Format),
	)
	if err != nil {
		return nil, err
	}
	return inFormat(fmt.Sprintf("batch_query_job_%d_results", in.ID), in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}

func (a *batchRoutes) failedRows(ctx context.Context, user people.User, in *struct {
	JobID
	TableFormat
},
) (*route.Table, error) {
	write, err := a.engine.BatchJobs.FailedRows(ctx, user, in.ID, batch.Format(in.Format))
	if err != nil {
		return nil, err
	}
	return inFormat(fmt.Sprintf("batch_query_job_%d_failed_rows", in.ID), in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}
