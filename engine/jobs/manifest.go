// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// ExportManifest returns what writes the manifest of a job: what it delivered, with hashes, in the order of its tasks
// and UIDs. It is of the job as it is now, so a job that may still deliver has none.
func (svc *Service) ExportManifest(ctx context.Context, user people.User, jobID int64, program string) (func(
	ctx context.Context, w io.Writer,
) error, error,
) {
	job, err := svc.Get(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	switch {
	case !job.Manifest:
		return nil, &refusal.Conflict{
			Reason: "this job keeps no manifest; after `adit project set NAME --manifest`, new jobs that pseudonymize keep " +
				"one",
		}
	case job.EndedAt == nil:
		return nil, &refusal.Conflict{
			Reason: "the job has not ended, so its manifest is not complete; ask again when it has",
		}
	}
	project, err := svc.Q.GetProjectKey(ctx, job.ProjectID)
	if err != nil {
		return nil, err
	}
	key, err := svc.projects.KeyOf(project.IsDefault, project.SealedKey, job.TrialProtocolID)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		m, err := manifest.NewWriter(w, manifest.Chain{}, svc.manifestRun(ctx, program, job.Job, key))
		if err != nil {
			return err
		}
		if err := svc.writeObjects(ctx, m, jobID); err != nil {
			return err
		}
		left, err := svc.leftOutOf(ctx, jobID)
		if err != nil {
			return err
		}
		_, err = m.End(left, key)
		return err
	}, nil
}

// manifestRun describes a job. Of a profile that this ADIT doesn't have any more it knows name, version and hash.
func (svc *Service) manifestRun(ctx context.Context, program string, job db.Job, key deid.Key) manifest.Run {
	definition := deid.Definition{Name: job.ProfileName, Version: job.ProfileVersion}
	if profile, err := svc.projects.PinnedProfile(ctx, job); err == nil {
		definition = profile.Definition()
	}
	run := manifest.NewRun(program, definition, job.ProfileSha256, key)
	run.Generation, run.Scan, run.Job = uint32(job.UidGeneration), job.Scan, job.ID
	return run
}

func (svc *Service) writeObjects(ctx context.Context, m *manifest.Writer, job int64) error {
	p := db.ListDeidObjectsParams{JobID: job, Seq: -1, Max: projects.ExportPage}
	for {
		rows, err := svc.Q.Planned().ListDeidObjects(ctx, p)
		if err != nil {
			return err
		}
		for _, row := range rows {
			var o manifest.Object
			if err := json.Unmarshal(row.Object, &o); err != nil {
				return fmt.Errorf("instance %s of the manifest: %w", row.SopUid, err)
			}
			o.Actions = row.Done
			if err := m.Add(o); err != nil {
				return err
			}
			p.Seq, p.SopUid = row.Seq, row.SopUid
		}
		if len(rows) < projects.ExportPage {
			return nil
		}
	}
}

// leftOutOf counts by reason what a job did not send.
func (svc *Service) leftOutOf(ctx context.Context, job int64) (map[string]int, error) {
	left := map[string]int{}
	p := db.ListTaskDeidParams{JobID: job, Max: projects.ExportPage}
	for {
		rows, err := svc.Q.ListTaskDeid(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			report, err := reportOf(row.Task, db.Job{}, row.TaskDeid)
			if err != nil {
				return nil, err
			}
			for _, out := range report.LeftOut {
				left[string(out.Reason)]++
			}
			p.Above = row.Task.Seq
		}
		if len(rows) < projects.ExportPage {
			return left, nil
		}
	}
}
