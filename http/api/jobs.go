// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const jobsTag = "Jobs"

// JobID names a job in a path.
type JobID struct {
	ID int64 `path:"id" minimum:"1"`
}

type createJob struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"The same key and job within 24 hours give the first one's job; another job under the same key is refused."`
	Body           client.NewJob
}

type listJobs struct {
	Paging
	Status string `query:"status" enum:"unverified,pending,in_progress,canceling,canceled,success,warning,failure" doc:"Only jobs in this status."`
}

func (a *API) registerJobs() {
	handle(a, operation{
		method: http.MethodPost, path: "/jobs", id: "create-job", summary: "Make a job", tag: jobsTag,
		status: http.StatusCreated, body: jobBody, timeout: 2 * quick, errors: []int{400, 403, 409, 413},
	}, a.createJob)
	handle(a, operation{
		method: http.MethodGet, path: "/jobs", id: "list-jobs", summary: "List one's own jobs, all jobs for staff, newest first", tag: jobsTag,
	}, a.listJobs)
	handle(a, operation{method: http.MethodGet, path: "/jobs/{id}", id: "get-job", summary: "Get a job", tag: jobsTag, errors: []int{404}}, a.getJob)
	handle(a, operation{
		method: http.MethodDelete, path: "/jobs/{id}", id: "delete-job", summary: "Remove a job of which no task has started; staff: one that has ended, too", tag: jobsTag,
		status: http.StatusNoContent, errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *JobID) (*none, error) {
		return nil, a.engine.ActOnJob(ctx, user, in.ID, engine.DeleteJob)
	})
	for _, action := range []struct {
		name    engine.JobAction
		summary string
	}{
		{engine.VerifyJob, "Verify an unverified job (staff)"},
		{engine.CancelJob, "Cancel a pending or running job"},
		{engine.ResumeJob, "Go on with a canceled job"},
		{engine.RetryJob, "Try the failed tasks of a job again, and verify again what is unverified"},
		{engine.RestartJob, "Do all tasks of an ended job again (staff)"},
		{engine.PauseJob, "Start no more tasks of a job for now"},
		{engine.ContinueJob, "Go on with a paused job"},
	} {
		handle(a, operation{
			method: http.MethodPost, path: "/jobs/{id}:" + string(action.name), id: string(action.name) + "-job", summary: action.summary, tag: jobsTag,
			errors: []int{403, 404, 409},
		}, func(ctx context.Context, user people.User, in *JobID) (*body[client.Job], error) {
			if err := a.engine.ActOnJob(ctx, user, in.ID, action.name); err != nil {
				return nil, err
			}
			return a.getJob(ctx, user, in)
		})
	}
}

func (a *API) createJob(ctx context.Context, user people.User, in *createJob) (*created[client.Job], error) {
	if err := plainText(map[string]string{"source": in.Body.Source, "destination": in.Body.Destination, "project": in.Body.Project}); err != nil {
		return nil, err
	}
	t := engine.Transfer{
		Source: in.Body.Source, Destination: in.Body.Destination, TrialProtocolID: in.Body.TrialProtocolID, TrialProtocolName: in.Body.TrialProtocolName,
		Project: in.Body.Project, Pseudonymize: in.Body.Pseudonymize, Urgent: in.Body.Urgent, OutsideWindows: in.Body.OutsideWindows, MailWhenFinished: in.Body.MailWhenFinished, LeaveOutRejected: in.Body.LeaveOutRejected, IdempotencyKey: in.IdempotencyKey,
		Studies: make([]engine.Study, len(in.Body.Studies)),
	}
	for i, s := range in.Body.Studies {
		t.Studies[i] = engine.Study(s)
	}
	job, err := a.engine.CreateTransfer(ctx, user, t)
	if err != nil {
		return nil, err
	}
	return madeAt("/jobs", strconv.FormatInt(job.ID, 10), clientJob(job)), nil
}

func (a *API) listJobs(ctx context.Context, user people.User, in *listJobs) (*body[client.Page[client.Job]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	jobs, err := a.engine.Jobs(ctx, user, engine.JobFilter{Below: below, Status: in.Status, Limit: in.Limit + 1})
	if err != nil {
		return nil, err
	}
	return pageOf(jobs, in.Limit, clientJob, func(j engine.Job) int64 { return j.ID }), nil
}

func (a *API) getJob(ctx context.Context, user people.User, in *JobID) (*body[client.Job], error) {
	job, err := a.engine.Job(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[client.Job]{clientJob(job)}, nil
}

func clientJob(j engine.Job) client.Job {
	var by *client.DeidBy
	if j.ProfileName != "" {
		by = &client.DeidBy{Profile: j.ProfileName, ProfileVersion: j.ProfileVersion, ProfileSHA256: j.ProfileSha256, UIDGeneration: int(j.UidGeneration)}
	}
	return client.Job{
		ID: j.ID, Kind: j.Kind, Status: j.Status, Message: j.Message(), Owner: j.Owner, Source: j.Source, Destination: j.Destination,
		Project: j.Project, Pseudonymize: j.Pseudonymize, Deidentified: by, LeaveOutRejected: j.LeaveOutRejected,
		TrialProtocolID: j.TrialProtocolID, TrialProtocolName: j.TrialProtocolName, Urgent: j.Urgent, OutsideWindows: j.OutsideWindows, Priority: int(j.Priority), Paused: j.Paused,
		MailWhenFinished: j.MailWhenFinished, CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, EndedAt: j.EndedAt,
		Tasks: client.TaskCounts{
			Pending: int(j.NPending), InProgress: int(j.NRunning), Success: int(j.NSuccess), Warning: int(j.NWarning),
			Failure: int(j.NFailure), Canceled: int(j.NCanceled),
		},
	}
}
