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
	handle(a.API, operation{
		method: http.MethodPost, path: "/batch:check", id: "check-batch", tag: batchTag, body: batchBody, timeout: 2 * quick,
		summary: "Check a file of rows",
		description: "Reads a file as a batch query or a batch transfer would, and makes nothing: what is in it, every " +
			"fault by row and cell, and what else should be looked at.",
		example: `{"kind": "batch_query", "file": "UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSxDVA0K"}`,
	}, a.check)
	handle(a.API, operation{
		method: http.MethodPost, path: "/batch-queries", id: "create-batch-query", tag: batchTag,
		status: http.StatusCreated, body: batchBody, timeout: 2 * quick, errors: []int{409},
		summary: "Make a batch query",
		description: "Asks each of the sources what each row of the file describes; each source gets a job of its own, " +
			"with a task for each row. A file with a fault makes nothing. Send an `Idempotency-Key` so that you can repeat " +
			"the request.",
		example: `{"sources": ["PACS"], "file": "UGF0aWVudElELE1vZGFsaXR5DQpQSEFOVE9NLTAwMSxDVA0K"}`,
	}, a.createQuery)
	handle(a.API, operation{
		method: http.MethodPost, path: "/batch-transfers", id: "create-batch-transfer", tag: batchTag,
		status: http.StatusCreated, body: batchBody, timeout: 2 * quick, errors: []int{409},
		summary: "Make a batch transfer",
		description: "Moves the studies that the rows of a file name; rows of one study are one task. A file with a fault " +
			"makes nothing. Send an `Idempotency-Key` so that you can repeat the request.",
		example: `{"source": "PACS", "destination": "research", "pseudonymize": true, "file": "UGF0aWVudElELFN0dWR5SW5zdGFuY2VVSUQNClBIQU5UT00tMDAxLDEuMi44MjYuMC4xLjM2ODAwNDMuOC40OTguMQ0K"}`,
	}, a.createTransfer)
	handle(a.API, operation{
		method: http.MethodGet, path: "/batch-samples/{kind}", id: "get-batch-sample", tag: batchTag, csv: true, xlsx: true,
		summary:     "Get a sample of a file of rows",
		description: "Gives a small file with all columns, to begin with.",
		example:     "PatientID,Modality\nPHANTOM-001,CT\n",
	}, a.sample)
	handle(a.API, operation{
		method: http.MethodGet, path: "/jobs/{id}/results", id: "list-results", tag: batchTag, errors: []int{404, 409},
		summary: "List what a batch query found",
		description: "Shows the studies that it has found so far, in the order in which it found them; or the series, " +
			"where a row asks for series.",
	}, a.results)
	handle(a.API, operation{
		method: http.MethodGet, path: "/jobs/{id}/results:count", id: "count-results", tag: batchTag, errors: []int{404, 409},
		summary:     "Count what a batch query found",
		description: "Counts the results, studies and patients that it has found so far.",
	}, a.count)
	handle(a.API, operation{
		method: http.MethodGet, path: "/jobs/{id}/results:export", id: "export-results", tag: batchTag,
		errors: []int{404, 409}, csv: true, xlsx: true,
		summary: "Export what a batch query found",
		description: "Streams the results as a table that a batch transfer takes as it is. A workbook has the rows that " +
			"failed on a second sheet. Each export leaves a row in the audit log.",
		example: "PatientID,PatientName,BirthDate,ModalitiesInStudy,StudyDate,StudyTime,StudyDescription," +
			"NumberOfStudyRelatedInstances,AccessionNumber,StudyInstanceUID,Row\n",
	}, a.export)
	handle(a.API, operation{
		method: http.MethodGet, path: "/jobs/{id}/failed-rows", id: "export-failed-rows", tag: batchTag,
		errors: []int{404, 409}, csv: true, xlsx: true,
		summary: "Export the rows of a batch query that failed",
		description: "Streams the rows with the reason of each. Once that is mended, the table can be used for a batch " +
			"query as it is.",
		example: "PatientID,Modality,Remarks\nPHANTOM-999,CT,The source knows no patient with this Patient ID.\n",
	}, a.failedRows)
}

func fileOf(f client.BatchFile) batchjobs.File {
	return batchjobs.File{Bytes: f.File, Dates: batch.Layout(f.Dates), MacRoman: f.MacRoman}
}

func aboutOf(a client.BatchAbout) jobs.About {
	return jobs.About{Title: a.Title, Description: a.Description, EthicsID: a.EthicsID}
}

func (a *batchRoutes) check(ctx context.Context, user people.User, in *struct{ Body client.BatchToCheck }) (
	*body[client.BatchPreview], error,
) {
	p, err := a.engine.BatchJobs.Check(ctx, user, in.Body.Kind, fileOf(in.Body.BatchFile), in.Body.Pseudonymize)
	if err != nil {
		return nil, err
	}
	return &body[client.BatchPreview]{view.BatchPreview(p)}, nil
}

func (a *batchRoutes) createQuery(ctx context.Context, user people.User, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As of POST /jobs." example:"cohort-2026-11-23"`
	Body           client.NewBatchQuery
},
) (*body[client.BatchJobs], error) {
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
	return &body[client.BatchJobs]{out}, nil
}

func (a *batchRoutes) createTransfer(ctx context.Context, user people.User, in *struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"As of POST /jobs." example:"cohort-2026-11-23"`
	Body           client.NewBatchTransfer
},
) (*created[client.Job], error) {
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
	})
	if err != nil {
		return nil, err
	}
	if job, err = a.engine.Jobs.Show(ctx, user, job.ID); err != nil {
		return nil, err
	}
	return madeAt("/jobs", strconv.FormatInt(job.ID, 10), view.Job(job)), nil
}

func (a *batchRoutes) sample(_ context.Context, _ people.User, in *struct {
	Kind string `path:"kind" enum:"batch_query,batch_transfer" doc:"What it is a file of." example:"batch_query"`
	TableFormat
},
) (*table, error) {
	write := func(_ context.Context, w io.Writer) error {
		return batchjobs.Sample(in.Kind, batch.Format(in.Format), w)
	}
	return inFormat("adit-"+in.Kind, in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}

// inFormat streams a table in a format.
func inFormat(name string, f TableFormat, write func(ctx context.Context, w io.Writer) error) *table {
	if f.Format != string(batch.FormatXLSX) {
		return asTable(name+".csv", write)
	}
	t := asTable(name+".xlsx", write)
	t.ContentType = workbook
	return t
}

func (a *batchRoutes) results(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
	Paging
	Task int64 `query:"task" minimum:"0" example:"1201" doc:"Only those of this task."`
},
) (*body[client.Page[client.QueryResult]], error) {
	after, err := in.after()
	if err != nil {
		return nil, err
	}
	list, err := a.engine.BatchQuery.Results(ctx, user, in.ID, batchquery.ResultFilter{
		AllSources: in.AllSources.AllSources, Task: in.Task, After: after, Limit: in.Limit + 1,
	})
	if err != nil {
		return nil, err
	}
	return pageOf(list, in.Limit, view.QueryResult, func(r batchquery.Result) int64 { return r.ID }), nil
}

func (a *batchRoutes) count(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
},
) (*body[client.QueryCount], error) {
	n, err := a.engine.BatchQuery.Count(ctx, user, in.ID, in.AllSources.AllSources)
	if err != nil {
		return nil, err
	}
	return &body[client.QueryCount]{view.QueryCount(n)}, nil
}

func (a *batchRoutes) export(ctx context.Context, user people.User, in *struct {
	JobID
	AllSources
	TableFormat
},
) (*table, error) {
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
) (*table, error) {
	write, err := a.engine.BatchJobs.FailedRows(ctx, user, in.ID, batch.Format(in.Format))
	if err != nil {
		return nil, err
	}
	return inFormat(fmt.Sprintf("batch_query_job_%d_failed_rows", in.ID), in.TableFormat, write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
}
