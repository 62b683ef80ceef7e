// SPDX-License-Identifier: AGPL-3.0-or-later

package batchjobs

import (
	"context"
	"fmt"
	"io"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/people"
)

// reasonColumn is what the tables of failed rows have behind the columns of the file. It is left alone when such a
// table is used again.
const reasonColumn = batch.RemarksColumn

// FailedRows returns what writes the rows of a batch query that failed, with the reason. The table can be used again
// for a batch query.
func (svc *Service) FailedRows(ctx context.Context, user people.User, id int64, f batch.Format) (
	func(ctx context.Context, w io.Writer) error, error,
) {
	list, err := svc.queries.Batch(ctx, user, id, false)
	if err != nil {
		return nil, err
	}
	job := list[0]
	if err := audit.Record(ctx, svc.Q, audit.Entry{
		Action: "job.failed_rows", Object: fmt.Sprintf("job %d", id), Source: job.Source,
	}); err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		out, err := batch.NewTable(w, f, "Failed rows", failedColumns(job.ExtraColumns))
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		if err := svc.failedQueries(ctx, job, func(cells []string) error { return out.Row(cells...) }); err != nil {
			return err
		}
		return out.Finish()
	}, nil
}

func failedColumns(extra []string) (list []batch.ExportColumn) {
	for _, c := range batch.QueryColumns() {
		kind := batch.TextExport
		if c.Kind == batch.DateColumn {
			kind = batch.DateExport
		}
		list = append(list, batch.ExportColumn{Name: c.Name, Kind: kind})
	}
	for _, name := range append(append([]string{}, extra...), reasonColumn) {
		list = append(list, batch.ExportColumn{Name: name, Kind: batch.TextExport})
	}
	return list
}

// failedQueries gives the rows of a job that failed, in the order of failedColumns.
func (svc *Service) failedQueries(ctx context.Context, job jobs.Job, row func(cells []string) error) error {
	p := db.ListFailedQueriesParams{JobID: job.ID, Status: jobs.Failure, Max: exportPage}
	for {
		list, err := svc.Q.ListFailedQueries(ctx, p)
		if err != nil {
			return err
		}
		for _, r := range list {
			q := r.Query
			cells := []string{
				q.PatientID, batch.NameForPeople(q.PatientName), q.PatientBirthDate, q.AccessionNumber,
				q.StudyDateFrom, q.StudyDateTo, strings.Join(q.Modalities, ", "), q.StudyDescription,
				q.SeriesDescription, jobs.Joined(q.SeriesNumbers, ", "), r.Pseudonym,
			}
			cells = append(cells, padded(q.Extra, len(job.ExtraColumns))...)
			if err := row(append(cells, r.Message)); err != nil {
				return err
			}
			p.After = r.Seq
		}
		if len(list) < exportPage {
			return nil
		}
	}
}
