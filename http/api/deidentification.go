// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/people"
)

// deidentificationRoutes are the routes of this file.
type deidentificationRoutes struct{ *API }

func (a *deidentificationRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/tasks/{id}/deidentification",
		ID: "get-task-deidentification", Tag: tasksTag, Errors: []int{404},
		Summary: "Get the de-identification report of a task",
		Description: "Shows what de-identification did to a study: how many instances went out, what happened to " +
			"their attributes, and which instances were held back and why. A task that sent nothing under a " +
			"pseudonym has no report (404).",
	}, a.taskDeidentification)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/deidentification",
		ID: "get-job-deidentification", Tag: jobsTag, Errors: []int{404},
		Summary: "Sum up what de-identification did to a job",
		Description: "Shows how many studies of a job were delivered under a pseudonym and how many with the identity " +
			"of their patient, what happened to attributes, and how many instances were held back and why. It counts " +
			"what the destination has acknowledged, and holds nothing of the originals. A job that de-identified " +
			"nothing answers as well.",
	}, a.jobDeidentification)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/deidentification:export",
		ID: "export-job-deidentification", Tag: jobsTag, Errors: []int{404}, CSV: true,
		Summary: "Export the de-identification report of a job",
		Description: "Streams a table with a row per study of what de-identification did. It holds nothing of the " +
			"originals, so that it can be handed out with the data.",
		Example: "Task,Status,Pseudonym,StudyInstanceUID,Instances\n12,success,SUBJ-001,2.25.4711,240\n",
	}, func(ctx context.Context, user people.User, in *JobID) (*route.Table, error) {
		write, err := a.engine.Jobs.ExportDeidReport(ctx, user, in.ID)
		if err != nil {
			return nil, err
		}
		return route.AsTable(fmt.Sprintf("job-%d-deidentification.csv", in.ID), write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/manifest",
		ID: "export-job-manifest", Tag: jobsTag, Errors: []int{404, 409}, Lines: true,
		Summary: "Export the manifest of a job",
		Description: "Streams what an ended job delivered under pseudonyms: for each instance the SHA-256 of what " +
			"went out and what was done to it, each line chained to the one before. Check files against it with " +
			"`adit deid --verify`. A job whose project keeps no manifests, or that has not ended, answers 409.",
		Example: `{"object": {"instance": "2.25.4713", "of": "9f86d081884c", "size": 524288, "sha256": ` +
			`"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"}}` + "\n",
	}, func(ctx context.Context, user people.User, in *JobID) (*route.Table, error) {
		write, err := a.engine.Jobs.ExportManifest(ctx, user, in.ID, "adit "+a.routes.OpenAPI().Info.Version)
		if err != nil {
			return nil, err
		}
		t := route.AsTable(fmt.Sprintf("job-%d-manifest.jsonl", in.ID), write) //nolint:contextcheck // it is written when the handler has returned, with the context of the request
		t.ContentType = route.JSONLines
		return t, nil
	})
}

func (a *API) jobDeidentification(ctx context.Context, user people.User, in *JobID) (
	*route.Body[client.JobDeidentification], error,
) {
	s, err := a.engine.Jobs.DeidSum(ctx, user, in.ID, evidence.MaxMissing)
	if err != nil {
		return nil, err
	}
	out := client.JobDeidentification{
		Studies: s.Studies, ToPseudonymize: s.Meant, Pseudonymized: s.Pseudonymized, WithIdentity: s.Identified,
		Patients: s.Patients, Instances: s.Instances, InstancesWithIdentity: s.IdentifiedInstances,
		Attributes: s.Counts, Codes: s.Codes, MovedToUTF8: s.ToUTF8, AssumedCharsets: s.AssumedCharsets,
		HeldBack: []client.HeldBack{}, Truncated: s.Truncated, Excluded: s.Omitted,
	}
	for _, h := range s.HeldBack {
		out.HeldBack = append(out.HeldBack, client.HeldBack{
			Reason: string(h.Reason), Unsafe: h.Unsafe, Instances: h.Instances, Studies: h.Studies, First: int(h.First),
		})
	}
	return route.Answer(out), nil
}

func (a *API) taskDeidentification(ctx context.Context, user people.User, in *TaskID) (
	*route.Body[client.Deidentification], error,
) {
	r, err := a.engine.Jobs.DeidReport(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	out := client.Deidentification{
		TaskID: r.TaskID, Pseudonym: r.Pseudonym, StudyInstanceUID: r.StudyInstanceUID,
		Profile: r.ProfileName, ProfileVersion: r.ProfileVersion,
		ProfileSHA256: r.ProfileSHA256, UIDGeneration: int(r.UIDGeneration),
		Instances: r.Instances, Attributes: r.Counts, Codes: r.Codes,
		MovedToUTF8: r.ToUTF8, AssumedCharsets: r.AssumedCharsets, Refused: byReason(r.Refused),
		Unsafe: byReason(r.Unsafe), Excluded: r.Omitted, NotSent: []client.NotSentInstance{},
		Truncated: len(r.LeftOut) >= evidence.MaxMissing,
	}
	for _, l := range r.LeftOut {
		out.NotSent = append(out.NotSent,
			client.NotSentInstance{SOPInstanceUID: l.SOPInstanceUID, Reason: string(l.Reason), Unsafe: l.Unsafe},
		)
	}
	return route.Answer(out), nil
}

func byReason[R ~string](counts map[R]int) map[string]int {
	out := make(map[string]int, len(counts))
	for reason, n := range counts {
		out[string(reason)] = n
	}
	return out
}
