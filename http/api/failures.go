// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// failuresRoutes are the routes of this file.
type failuresRoutes struct{ *API }

// maxFailures is how many reasons are told of a job; more are none that people read.
const maxFailures = 100

type failedStudies struct {
	JobID
	Status []string `query:"status" enum:"failure,warning,canceled" example:"failure,canceled" doc:"Studies of tasks in this status; or several with commas, in one of them. By default failure."`
}

func (a *failuresRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/failures", ID: "list-failures", Tag: jobsTag, Errors: []int{404},
		Summary: "List why tasks of a job failed",
		Description: "Groups the tasks that failed or have warnings by reason, the most frequent first: how many there " +
			"are, what happened, whether `:retry` can help, and the first of them. In a sentence about several tasks, N " +
			"stands for a number and UID for UIDs in which they differ.",
	}, func(ctx context.Context, user people.User, in *JobID) (*route.Body[client.Page[client.FailureGroup]], error) {
		groups, err := a.engine.Jobs.Failures(ctx, user, in.ID, maxFailures+1)
		if err != nil {
			return nil, err
		}
		out := client.Page[client.FailureGroup]{Items: []client.FailureGroup{}, Truncated: len(groups) > maxFailures}
		for _, g := range groups[:min(len(groups), maxFailures)] {
			out.Items = append(out.Items, view.FailureGroup(g))
		}
		return route.Answer(out), nil
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}/failed-studies", ID: "export-failed-studies", Tag: jobsTag,
		Errors: []int{404}, CSV: true,
		Summary: "Export the studies of a job that failed",
		Description: "Streams a table with a row per study that failed, which `adit transfer --study @FILE` takes as it " +
			"is. Series are separated by blanks; none means the whole study. The column `pseudonym` is there if the job " +
			"de-identifies, and empty where ADIT chose the pseudonym or the caller may not see it.",
		Example: "study_instance_uid,series_instance_uids,patient_id,pseudonym,status,message\n" +
			"1.2.826.0.1.3680043.8.498.1,,PHANTOM-001,SUBJ-001,failure,2 instances are missing at the destination.\n",
	}, func(ctx context.Context, user people.User, in *failedStudies) (*route.Table, error) {
		status := strings.Join(in.Status, ",")
		if status == "" {
			status = jobs.Failure
		}
		write, err := a.engine.Jobs.ExportFailedStudies(ctx, user, in.ID, status)
		if err != nil {
			return nil, err
		}
		return route.AsTable(fmt.Sprintf("job-%d-failed-studies.csv", in.ID), write), nil //nolint:contextcheck // it is written when the handler has returned, with the context of the request
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs:count", ID: "count-jobs", Tag: jobsTag, Errors: []int{403},
		Summary: "Count jobs by status",
		Description: "Counts the jobs that `GET /jobs` lists with the same filters, by their status. A status without " +
			"any job counts 0.",
	}, func(ctx context.Context, user people.User, in *JobFilter) (*route.Body[client.JobCounts], error) {
		f, err := in.filter()
		if err != nil {
			return nil, err
		}
		n, err := a.engine.Jobs.Count(ctx, user, f)
		if err != nil {
			return nil, err
		}
		return route.Answer(client.JobCounts{
			Unverified: n[jobs.Unverified], Pending: n[jobs.Pending], InProgress: n[jobs.InProgress],
			Canceling: n[jobs.Canceling], Canceled: n[jobs.Canceled], Success: n[jobs.Success],
			Warning: n[jobs.Warning], Failure: n[jobs.Failure],
		}), nil
	})
}
