// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
)

// recordJob leaves a row for what somebody does to a job.
func recordJob(ctx context.Context, q *db.Queries, job Job, act string, detail map[string]any) error {
	return audit.Record(ctx, q, audit.Entry{
		Action: "job." + act, Object: fmt.Sprintf("job %d", job.ID),
		Source: job.Source, Destination: job.Destination, Detail: detail,
	})
}

// recordNewJob leaves a row for a job that was made. Its studies have rows of their own when they move; the study of a
// job of one is named at once.
func recordNewJob(ctx context.Context, q *db.Queries, job db.Job, t Transfer, tasks int) error {
	e := audit.Entry{
		Action: "job.create", Object: fmt.Sprintf("job %d", job.ID), Source: t.Source, Destination: t.Destination,
		ProfileSHA256: job.ProfileSha256, Detail: map[string]any{
			"kind": job.Kind, "tasks": tasks, "urgent": t.Urgent, "outside_windows": t.OutsideWindows,
		},
	}
	if t.ArchivePassword != "" {
		e.Detail["archive"] = true
	}
	if job.ProfileName != "" {
		e.Profile = job.ProfileName + " " + job.ProfileVersion
	}
	if len(t.Studies) == 1 {
		e.PatientID, e.StudyUID = t.Studies[0].PatientID, t.Studies[0].StudyInstanceUID
	}
	return audit.Record(ctx, q, e)
}

// RecordTransfer leaves a row in the audit log for what a task moves.
func RecordTransfer(
	ctx context.Context, q *db.Queries, act string, job Job, t db.Task, patient string, detail map[string]any,
) error {
	ctx = audit.WithActor(ctx, audit.Actor{UserID: job.OwnerID, Username: job.Owner, Via: audit.ViaSystem})
	detail["project"], detail["series"], detail["job"] = job.Project, t.SeriesInstanceUids, job.ID
	e := audit.Entry{
		Action: act, Object: fmt.Sprintf("task %d", t.ID), PatientID: patient, StudyUID: t.StudyInstanceUid,
		Source: job.Source, Destination: job.Destination, Detail: detail,
	}
	if Pseudonymized(t, job.Job) {
		e.Profile, e.ProfileSHA256 = job.ProfileName+" "+job.ProfileVersion, job.ProfileSha256
	}
	return audit.Record(ctx, q, e)
}
