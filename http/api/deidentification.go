// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

func (a *API) registerDeidentification() {
	handle(a, operation{
		method: http.MethodGet, path: "/tasks/{id}/deidentification", id: "get-task-deidentification", tag: tasksTag, errors: []int{404},
		summary: "What de-identification did to the study of a task",
	}, a.taskDeidentification)
	handle(a, operation{
		method: http.MethodGet, path: "/jobs/{id}/deidentification", id: "export-job-deidentification", tag: jobsTag, errors: []int{404}, csv: true,
		summary: "What de-identification did to the studies of a job, as CSV, without anything of the originals",
	}, func(ctx context.Context, user people.User, in *JobID) (*table, error) {
		write, err := a.engine.ExportDeidReport(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return asTable(fmt.Sprintf("job-%d-deidentification.csv", in.ID), write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
	})
	handle(a, operation{
		method: http.MethodGet, path: "/jobs/{id}/manifest", id: "export-job-manifest", tag: jobsTag, errors: []int{404, 409}, lines: true,
		summary: "What a job delivered under a pseudonym: per instance the SHA-256 of what went out and what was done to it, chained and sealed",
	}, func(ctx context.Context, user people.User, in *JobID) (*table, error) {
		write, err := a.engine.ExportManifest(ctx, user, in.ID, "adit "+a.huma.OpenAPI().Info.Version)
		if err != nil {
			return nil, err
		}
		t := asTable(fmt.Sprintf("job-%d-manifest.jsonl", in.ID), write) //nolint:contextcheck // it is written when the handler has returned, with the context of the request
		t.ContentType = jsonLines
		return t, nil
	})
}

func (a *API) taskDeidentification(ctx context.Context, user people.User, in *TaskID) (*body[client.Deidentification], error) {
	r, err := a.engine.DeidReport(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.Deidentification{
		TaskID: r.TaskID, Pseudonym: r.Pseudonym, StudyInstanceUID: r.StudyInstanceUID, Profile: r.ProfileName, ProfileVersion: r.ProfileVersion,
		ProfileSHA256: r.ProfileSHA256, UIDGeneration: int(r.UIDGeneration), Instances: r.Instances, Attributes: r.Counts, Codes: r.Codes,
		MovedToUTF8: r.ToUTF8, AssumedCharsets: r.AssumedCharsets, Refused: byReason(r.Refused), Unsafe: byReason(r.Unsafe), Excluded: r.Omitted, NotSent: []client.NotSentInstance{},
		Truncated: len(r.LeftOut) >= engine.MaxMissing,
	}
	for _, l := range r.LeftOut {
		out.NotSent = append(out.NotSent, client.NotSentInstance{SOPInstanceUID: l.SOPInstanceUID, Reason: string(l.Reason), Unsafe: l.Unsafe})
	}
	return &body[client.Deidentification]{out}, nil
}

func byReason[R ~string](counts map[R]int) map[string]int {
	out := make(map[string]int, len(counts))
	for reason, n := range counts {
		out[string(reason)] = n
	}
	return out
}
