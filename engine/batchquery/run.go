// SPDX-License-Identifier: AGPL-3.0-or-later

package batchquery

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/inquiry"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/internal/words"
)

// row is what a row of a file asks, and what was found.
type row struct {
	svc     *Service
	query   db.Query
	of      inquiry.Of
	found   []found
	known   int      // further ones, that earlier runs of a recurrence have found
	remarks []string // what has to be known: the task is a Warning
}

// Run asks the source of a claimed task for what its row describes, as inquiry.Run does. A patient whom the source
// doesn't know, or knows as somebody else, is a failure; finding nothing of a known one is not.
func (svc *Service) Run(ctx context.Context, held lease.Held, signals *lease.StopSignals) lease.Outcome {
	return svc.inquiry.Run(ctx, held, signals, &row{svc: svc})
}

// Load implements inquiry.Inquiry.
func (r *row) Load(ctx context.Context, of inquiry.Of) (err error) {
	r.of = of
	r.query, err = r.svc.Q.GetQuery(ctx, of.Task.ID)
	return err
}

// Ask implements inquiry.Inquiry.
func (r *row) Ask(ctx context.Context, line *inquiry.Line) (err error) {
	if r.found, r.remarks, err = (&asking{Asking: line.Asking, of: r.query}).ask(ctx); err != nil {
		return err
	}
	return r.forget(ctx)
}

// forget leaves out what earlier runs of a recurrence have found.
func (r *row) forget(ctx context.Context) error {
	job := r.of.Job
	if job.RecurrenceID == nil || len(r.found) == 0 {
		return nil
	}
	p := db.KnownResultsParams{RecurrenceID: job.RecurrenceID, JobID: job.ID, SourceID: job.SourceID}
	for _, f := range r.found {
		p.Studies = append(p.Studies, f.Study)
	}
	list, err := r.svc.Q.Planned().KnownResults(ctx, p)
	known := map[[2]string]bool{}
	for _, k := range list {
		known[[2]string{k.StudyInstanceUid, k.SeriesInstanceUid}] = true
	}
	before := len(r.found)
	r.found = slices.DeleteFunc(r.found, func(f found) bool { return known[[2]string{f.Study, f.Series}] })
	r.known = before - len(r.found)
	return err
}

// Found implements inquiry.Inquiry.
func (r *row) Found() (message string, remarks []string) {
	message = r.tally()
	if r.known > 0 {
		message += fmt.Sprintf(" Earlier runs have found %d more.", r.known)
	}
	return message, r.remarks
}

// Grow implements inquiry.Inquiry: what was found is no task.
func (r *row) Grow(context.Context, *db.Queries) error { return nil }

// tally says what was found.
func (r *row) tally() string {
	studies, series := map[string]bool{}, 0
	for _, f := range r.found {
		studies[f.Study] = true
		if f.Series != "" {
			series++
		}
	}
	switch {
	case len(r.found) == 0:
		return "Nothing found."
	case series > 0:
		return fmt.Sprintf("%s of %s found.",
			words.Plural(series, "series", "series"), words.Plural(len(studies), "study", "studies"))
	}
	return words.Plural(len(studies), "study", "studies") + " found."
}

// Keep implements inquiry.Inquiry.
func (r *row) Keep(ctx context.Context, q *db.Queries) (e audit.Entry, err error) {
	if err := q.DeleteResults(ctx, r.of.Task.ID); err != nil {
		return e, err
	}
	if len(r.found) > 0 {
		text, err := json.Marshal(r.found)
		if err != nil {
			return e, err
		}
		if err := q.InsertResults(ctx, r.of.Job.ID, r.of.Task.ID, text); err != nil {
			return e, err
		}
	}
	return audit.Entry{
		PatientID: r.query.PatientID, Detail: map[string]any{"keys": keysOf(r.query), "found": len(r.found)},
	}, nil
}

// keysOf names what a query asks for, for the audit log.
func keysOf(q db.Query) map[string]string {
	keys := map[string]string{}
	for name, value := range map[string]string{
		"patient_id": q.PatientID, "patient_name": q.PatientName, "patient_birth_date": q.PatientBirthDate,
		"accession_number": q.AccessionNumber, "study_date_from": q.StudyDateFrom, "study_date_to": q.StudyDateTo,
		"modality": strings.Join(q.Modalities, ","), "study_description": q.StudyDescription,
		"series_description": q.SeriesDescription, "series_number": jobs.Joined(q.SeriesNumbers, ","),
	} {
		if value != "" {
			keys[name] = value
		}
	}
	return keys
}
