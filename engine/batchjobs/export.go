// SPDX-License-Identifier: AGPL-3.0-or-later

package batchjobs

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/people"
)

// exportPage is how many rows of a table are read at once.
const exportPage = 1000

// Export returns what writes the results of a batch query, in a form that a batch transfer takes. A workbook has the
// rows that failed on a second sheet.
func (svc *Service) Export(ctx context.Context, user people.User, job int64, allSources bool, f batch.Format) (
	func(ctx context.Context, w io.Writer) error, error,
) {
	list, err := svc.queries.Batch(ctx, user, job, allSources)
	if err != nil {
		return nil, err
	}
	count, err := svc.queries.Count(ctx, user, job, allSources)
	if err != nil {
		return nil, err
	}
	if err := audit.Record(ctx, svc.Q, audit.Entry{
		Action: "job.results", Object: fmt.Sprintf("job %d", job), Source: list[0].Source,
		Detail: map[string]any{"results": count.Results, "all_sources": allSources},
	}); err != nil {
		return nil, err
	}
	of := exported{Count: count, sources: len(list) > 1, extra: list[0].ExtraColumns}
	return func(ctx context.Context, w io.Writer) error {
		out, err := batch.NewTable(w, f, "Results", of.columns())
		if err != nil {
			return err
		}
		defer func() { _ = out.Close() }()
		filter := batchquery.ResultFilter{AllSources: allSources, Limit: exportPage}
		for {
			results, err := svc.queries.Results(ctx, user, job, filter)
			if err != nil {
				return err
			}
			for _, r := range results {
				if err := out.Row(of.row(r)...); err != nil {
					return err
				}
				filter.After = r.ID
			}
			if len(results) < exportPage {
				break
			}
		}
		if book, ok := out.(*batch.XLSX); ok {
			if err := svc.failedSheet(ctx, book, list); err != nil {
				return err
			}
		}
		return out.Finish()
	}, nil
}

// exported is what an export of results has columns for.
type exported struct {
	batchquery.Count
	sources bool
	extra   []string
}

func (e exported) columns() (list []batch.ExportColumn) {
	add := func(kind batch.ExportKind, names ...string) {
		for _, n := range names {
			list = append(list, batch.ExportColumn{Name: n, Kind: kind})
		}
	}
	if e.Pseudonyms {
		add(batch.TextExport, "Pseudonym")
	}
	add(batch.TextExport, "PatientID", "PatientName")
	add(batch.DateExport, "BirthDate")
	add(batch.TextExport, "ModalitiesInStudy")
	add(batch.DateExport, "StudyDate")
	add(batch.TimeExport, "StudyTime")
	add(batch.TextExport, "StudyDescription")
	add(batch.NumberExport, "NumberOfStudyRelatedInstances")
	add(batch.TextExport, "AccessionNumber", "StudyInstanceUID")
	if e.OfSeries {
		list[len(list)-3].Name = "NumberOfSeriesRelatedInstances"
		add(batch.TextExport, "SeriesInstanceUID", "SeriesDescription")
		add(batch.NumberExport, "SeriesNumber")
	}
	if e.sources {
		add(batch.TextExport, "Source")
	}
	add(batch.NumberExport, "Row")
	add(batch.TextExport, beside(list, e.extra)...)
	return list
}

// beside returns names for the extra columns of a file, other than those of the export and of a batch transfer: a study
// that somebody has written into a row must not be taken for the one that was found.
func beside(list []batch.ExportColumn, extra []string) []string {
	taken := map[string]bool{}
	for _, c := range list {
		taken[c.Name] = true
	}
	for _, c := range batch.TransferColumns() {
		taken[c.Name] = true
	}
	names := make([]string, len(extra))
	for i, name := range extra {
		for taken[name] {
			name += " (file)"
		}
		taken[name], names[i] = true, name
	}
	return names
}

func (e exported) row(r batchquery.Result) (cells []string) {
	if e.Pseudonyms {
		cells = append(cells, r.Pseudonym)
	}
	cells = append(cells,
		r.PatientID, batch.NameForPeople(r.PatientName), r.PatientBirthDate, strings.Join(r.Modalities, ", "),
		r.StudyDate, r.StudyTime, r.StudyDescription, counted(r.Instances), r.AccessionNumber, r.StudyInstanceUid,
	)
	if e.OfSeries {
		number := ""
		if r.SeriesNumber != nil {
			number = strconv.Itoa(int(*r.SeriesNumber))
		}
		cells = append(cells, r.SeriesInstanceUid, r.SeriesDescription, number)
	}
	if e.sources {
		cells = append(cells, r.Source)
	}
	cells = append(cells, strconv.Itoa(int(r.Row)))
	return append(cells, padded(r.Extra, len(e.extra))...)
}

// counted returns a number of instances, empty if it is not known.
func counted(n int32) string {
	if n < 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

// padded returns a list of n texts.
func padded(list []string, n int) []string {
	return append(list[:min(len(list), n):min(len(list), n)], make([]string, max(0, n-len(list)))...)
}

// failedSheet adds a sheet with the rows that failed, if there are any.
func (svc *Service) failedSheet(ctx context.Context, book *batch.XLSX, list []jobs.Job) error {
	begun := false
	for _, job := range list {
		err := svc.failedQueries(ctx, job, func(cells []string) error {
			if !begun {
				begun = true
				if err := book.Sheet("Failed rows", failedColumns(list[0].ExtraColumns)); err != nil {
					return err
				}
			}
			return book.Row(cells...)
		})
		if err != nil {
			return err
		}
	}
	return nil
}
