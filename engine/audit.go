// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/people"
)

// recordBegin leaves a row before the first image moves: whatever becomes of this process, it is known what was under way.
func (r *run) recordBegin(ctx context.Context) error {
	return recordTransfer(ctx, r.e.q, people.ActBegin, r.job, r.task, r.inv.patientID, map[string]any{
		"expected": r.progress.Expected.Load(), "folder": r.dst.Folder != nil,
	})
}

// recordRun leaves a row for a run that moved images: which study went from where to where, on whose behalf. A run that only goes on where
// others stopped leaves one for what it added; the last one always does, with the whole and how it ended. The pseudonym is not in it: audit and
// Patient ID together would be a linkage table, which needs a right of its own.
func (r *run) recordRun(ctx context.Context, q *db.Queries, o Outcome) error {
	delivered := r.progress.Delivered.Load()
	if delivered == 0 || o.Status == Pending && delivered <= r.task.Delivered {
		return nil
	}
	patient := r.task.PatientID
	if r.inv != nil {
		patient = r.inv.patientID
	}
	return recordTransfer(ctx, q, people.ActTransfer, r.job, r.task, patient, map[string]any{
		"outcome": o.Status, "expected": r.progress.Expected.Load(), "delivered": delivered, "bytes": r.progress.Bytes.Load(),
		"folder": r.dst.Folder != nil,
	})
}

// recordLoss does so for a task whose process is gone: what it had delivered stays delivered, whatever becomes of the task.
func recordLoss(ctx context.Context, q *db.Queries, t db.Task, status string) error {
	if t.Delivered == 0 {
		return nil
	}
	row, err := q.GetJob(ctx, t.JobID)
	if err != nil {
		return err
	}
	node, err := q.GetDicomNode(ctx, *row.Job.DestinationID)
	if err != nil {
		return err
	}
	return recordTransfer(ctx, q, people.ActTransfer, jobOf(row), t, t.PatientID, map[string]any{
		"folder": node.Kind == "folder", "outcome": status, "lost": true, "expected": t.Expected, "delivered": t.Delivered, "bytes": t.Bytes,
	})
}

func recordTransfer(ctx context.Context, q *db.Queries, act string, job Job, t db.Task, patient string, detail map[string]any) error {
	ctx = people.WithActor(ctx, people.Actor{UserID: job.OwnerID, Username: job.Owner, Via: people.ViaSystem})
	detail["project"], detail["series"], detail["job"] = job.Project, t.SeriesInstanceUids, job.ID
	e := people.Entry{
		Action: act, Object: fmt.Sprintf("task %d", t.ID), PatientID: patient, StudyUID: t.StudyInstanceUid,
		Source: job.Source, Destination: job.Destination, Detail: detail,
	}
	if pseudonymized(t, job.Job) {
		e.Profile, e.ProfileSHA256 = job.ProfileName+" "+job.ProfileVersion, job.ProfileSha256
	}
	return people.Record(ctx, q, e)
}

// recordSearch leaves a row for a search, before it is made: who looked for whom is in the keys, which the log alone keeps.
func (e *Engine) recordSearch(ctx context.Context, node DICOMNode, s Search) error {
	keys := map[string]any{}
	for key, value := range map[string]string{
		"patient_id": s.PatientID, "patient_name": s.PatientName, "study_date_from": s.StudyDateFrom, "study_date_to": s.StudyDateTo,
		"modality": s.Modality, "accession_number": s.AccessionNumber,
	} {
		if value != "" {
			keys[key] = value
		}
	}
	query, err := s.identifier(s.modalities()...).Encode(dict.ExplicitVRLittleEndian)
	if err != nil {
		return err
	}
	return people.Record(ctx, e.q, people.Entry{
		Action: people.ActSearch, Object: "server " + node.Name, Source: node.Name, PatientID: s.PatientID, Detail: map[string]any{
			"keys": keys, "sop_class": findRoot(node.Server.StudyRootFind), "transfer_syntax": dict.ExplicitVRLittleEndian, "query": query,
		},
	})
}

// recordJob leaves a row for what somebody does to a job.
func recordJob(ctx context.Context, q *db.Queries, job Job, act string, detail map[string]any) error {
	return people.Record(ctx, q, people.Entry{
		Action: "job." + act, Object: fmt.Sprintf("job %d", job.ID), Source: job.Source, Destination: job.Destination, Detail: detail,
	})
}

// recordNewJob leaves a row for a job that was made. Its studies have rows of their own when they move; the study of a job of one is
// named at once.
func recordNewJob(ctx context.Context, q *db.Queries, job db.Job, t Transfer) error {
	e := people.Entry{
		Action: "job.create", Object: fmt.Sprintf("job %d", job.ID), Source: t.Source, Destination: t.Destination,
		ProfileSHA256: job.ProfileSha256, Detail: map[string]any{"kind": job.Kind, "tasks": len(t.Studies), "urgent": t.Urgent, "outside_windows": t.OutsideWindows},
	}
	if job.ProfileName != "" {
		e.Profile = job.ProfileName + " " + job.ProfileVersion
	}
	if len(t.Studies) == 1 {
		e.PatientID, e.StudyUID = t.Studies[0].PatientID, t.Studies[0].StudyInstanceUID
	}
	return people.Record(ctx, q, e)
}

// changedFields names the fields in which two values of a struct differ; those of structs within it with a dot.
func changedFields(before, after any) []string {
	names := map[string]bool{}
	compareFields(names, "", reflect.ValueOf(before), reflect.ValueOf(after))
	return slices.Sorted(maps.Keys(names))
}

func compareFields(names map[string]bool, prefix string, before, after reflect.Value) {
	for field, value := range before.Fields() {
		other := after.FieldByIndex(field.Index)
		if reflect.DeepEqual(value.Interface(), other.Interface()) {
			continue
		}
		if name := prefix + field.Name; value.Kind() == reflect.Struct {
			compareFields(names, name+".", value, other)
		} else {
			names[name] = true
		}
	}
}

// setFields names the fields of a change that are given.
func setFields(fields map[string]bool) []string {
	maps.DeleteFunc(fields, func(_ string, set bool) bool { return !set })
	return slices.Sorted(maps.Keys(fields))
}
