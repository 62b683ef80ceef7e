// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"encoding/csv"
	"io"
	"regexp"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/people"
)

// FailureGroup is tasks of a job that failed, or have warnings, for the same reason.
type FailureGroup struct {
	Status  string // Failure or Warning
	Message string // their own if it is the same, else what their messages have in common (ReasonOf)
	// DICOMStatus is that of a peer, four hexadecimal digits; empty: the message names none.
	DICOMStatus string
	Tasks       int
	Missing     int64 // instances that the destination has not acknowledged
	// RetryHelps: a retry of the job tries them again, and nothing has to be changed before.
	RetryHelps bool
	IDs        []int64 // of the first tasks
	Seqs       []int32 // of the same
}

// NamedFailures is how many tasks of each group are named.
const NamedFailures = 20

var statusInWords = regexp.MustCompile(`\b([0-9A-F]{4})H\b`)

// Failures returns why tasks of a job that the user may see failed or have warnings, the most frequent reason first.
func (svc *Service) Failures(ctx context.Context, user people.User, jobID int64, limit int) ([]FailureGroup, error) {
	job, err := svc.Get(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	rows, err := svc.Q.Planned().FailuresOfJob(ctx, db.FailuresOfJobParams{
		JobID: jobID, Named: NamedFailures, Max: int32(limit),
	})
	if err != nil {
		return nil, err
	}
	groups := make([]FailureGroup, len(rows))
	for i, row := range rows {
		groups[i] = FailureGroup{
			Status: row.Status, Message: row.Message, Tasks: int(row.Tasks), Missing: row.Missing,
			RetryHelps: row.Retry && job.Stripped == stripNothing, IDs: row.Ids, Seqs: row.Seqs,
		}
		if m := statusInWords.FindStringSubmatch(row.Message); m != nil {
			groups[i].DICOMStatus = m[1]
		}
	}
	return groups, nil
}

// ExportFailedStudies returns what writes, as CSV, the studies of a job's tasks in some statuses, with commas: what a
// job is made from again. The pseudonym is a column if the job de-identifies anything, and empty where it was not given
// with the job or is not the user's to see.
func (svc *Service) ExportFailedStudies(ctx context.Context, user people.User, jobID int64, status string) (func(
	ctx context.Context, w io.Writer,
) error, error,
) {
	job, err := svc.Get(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	all, err := svc.SeesPseudonyms(ctx, user, job)
	if err != nil {
		return nil, err
	}
	columns := []string{"study_instance_uid", "series_instance_uids", "patient_id"}
	deidentifies := job.ProfileName != ""
	if deidentifies {
		columns = append(columns, "pseudonym")
	}
	return func(ctx context.Context, w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(append(columns, "status", "message")); err != nil {
			return err
		}
		f := TaskFilter{Order: page.Order{By: "seq"}, Status: status, Limit: projects.ExportPage}
		for {
			rows, err := svc.tasksOf(ctx, jobID, f)
			if err != nil {
				return err
			}
			for _, t := range rows {
				cells := []string{t.StudyInstanceUid, strings.Join(t.SeriesInstanceUids, " "), t.PatientID}
				if deidentifies && (all || job.OwnerID == user.ID) {
					cells = append(cells, t.Pseudonym)
				} else if deidentifies {
					cells = append(cells, "")
				}
				if err := projects.WriteRow(out, append(cells, t.Status, t.Message)); err != nil {
					return err
				}
				f.Order.After = int64(t.Seq)
			}
			if out.Flush(); out.Error() != nil || len(rows) < projects.ExportPage {
				return out.Error()
			}
		}
	}, nil
}

// Count counts by their status the jobs that List would list, whatever status the filter names.
func (svc *Service) Count(ctx context.Context, user people.User, f JobFilter) (map[string]int, error) {
	counts := map[string]int{}
	p, none, err := svc.params(ctx, user, f)
	if none || err != nil {
		return counts, err
	}
	rows, err := svc.Q.Planned().CountListed(ctx, db.CountListedParams{
		OwnerID: p.OwnerID, Kind: p.Kind, SourceID: p.SourceID, DestinationID: p.DestinationID, ProjectID: p.ProjectID,
		Urgent: p.Urgent, Paused: p.Paused, CreatedFrom: p.CreatedFrom, CreatedTo: p.CreatedTo,
	})
	for _, row := range rows {
		counts[row.Status] = int(row.Jobs)
	}
	return counts, err
}
