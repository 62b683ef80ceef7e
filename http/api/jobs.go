// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/people"
)

// jobsRoutes are the routes of this file.
type jobsRoutes struct{ *API }

const (
	jobsTag = "Jobs"
	jobBody = 24 << 20 // 100,000 studies
)

// JobID names a job in a path.
type JobID struct {
	ID int64 `path:"id" minimum:"1" doc:"Number of the job." example:"4711"`
}

type createJob struct {
	IdempotencyKey string `header:"Idempotency-Key" maxLength:"255" doc:"A text of one's own that makes it safe to repeat the request: the same key and job within 24 hours answer with the job that was made first; another job under the same key is refused (422)." example:"nightly-export-2026-11-23"`
	Body           client.NewJob
}

type listJobs struct {
	route.Paging
	Sort   string   `query:"sort" enum:"id,-id,created_at,-created_at,started_at,-started_at,ended_at,-ended_at,priority,-priority,status,-status" default:"-id" example:"-ended_at" doc:"What the list is sorted by; with - downwards. What has not started or ended counts as later than all that has."`
	Status []string `query:"status" enum:"unverified,pending,in_progress,canceling,canceled,success,warning,failure" example:"failure,warning" doc:"Only jobs in this status; or several with commas, in one of them."`
	JobFilter
}

// JobFilter chooses jobs, in a query.
type JobFilter struct {
	Kind        string    `query:"kind" enum:"selective_transfer,batch_query,batch_transfer,mass_transfer" example:"selective_transfer" doc:"Only jobs of this kind."`
	Source      string    `query:"source" maxLength:"255" example:"PACS" doc:"Only jobs from this DICOM node."`
	Destination string    `query:"destination" maxLength:"255" example:"Research" doc:"Only jobs to this DICOM node."`
	Project     string    `query:"project" maxLength:"255" example:"Trial" doc:"Only jobs of this project."`
	Owner       string    `query:"owner" maxLength:"150" example:"ann" doc:"Only jobs of this user; another one's is for staff."`
	CreatedFrom time.Time `query:"created_from" example:"2026-11-01T00:00:00Z" doc:"Jobs made from then on (RFC 3339)."`
	CreatedTo   time.Time `query:"created_to" example:"2026-12-01T00:00:00Z" doc:"Jobs made before then (RFC 3339)."`
	Urgent      string    `query:"urgent" enum:"true,false" example:"true" doc:"Only urgent jobs; false: only others."`
	Paused      string    `query:"paused" enum:"true,false" example:"true" doc:"Only paused jobs; false: only others."`
	Mine        string    `query:"mine" enum:"true,false" example:"true" doc:"Only one's own jobs, which are all that others than staff see."`
}

// jobActions are what can be done to a job.
var jobActions = []struct {
	name                 jobs.JobAction
	summary, description string
}{
	{
		jobs.VerifyJob, "Verify an unverified job",
		"Lets a job run that waits until staff agrees to it. Today no kind of job has to.",
	},
	{
		jobs.CancelJob, "Cancel a job",
		"Starts no more tasks of a pending or running job, and stops the running ones between two instances. " +
			"What was delivered stays; `:resume` goes on later.",
	},
	{
		jobs.ResumeJob, "Resume a canceled job",
		"Makes the canceled tasks of a job pending again. They go on at the instance where they stopped.",
	},
	{
		jobs.RetryJob, "Retry what failed in a job",
		"Makes the failed tasks of an ended job pending again, and verifies again what is unverified. Only " +
			"instances that the destination has not acknowledged are sent.",
	},
	{
		jobs.RestartJob, "Restart an ended job",
		"Resets all tasks of an ended job, so that every study is sent again as a whole. To fetch only what is " +
			"missing, use `:retry`.",
	},
	{
		jobs.BeginJob, "Begin a dry run",
		"Transfers what the dry run of a mass transfer has found, once it has ended. The job goes on as if it had " +
			"been none.",
	},
	{
		jobs.PauseJob, "Pause a job",
		"Starts no more tasks of a job for now. Running tasks stop at the next instance, and go on there when the " +
			"job continues. It keeps its status.",
	},
	{
		jobs.ContinueJob, "Continue a paused job",
		"Lets the tasks of a paused job run again, from where they stopped.",
	},
}

func (a *jobsRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/jobs", ID: "create-job", Summary: "Make a job", Tag: jobsTag,
		Status: http.StatusCreated, Body: jobBody, Timeout: 2 * route.Quick, Errors: []int{409},
		Description: "Moves studies from a source to a destination, with a task for each. The answer comes at once " +
			"and the transfer runs on its own: follow it with `GET /jobs/{id}`. Send an `Idempotency-Key` so that " +
			"you can repeat the request without making a second job.",
		Example: `{"kind": "selective_transfer", "source": "PACS", "destination": "research", "studies": [{"study_instance_uid": "1.2.826.0.1.3680043.8.498.1", "pseudonym": "SUBJ-001"}]}`,
	}, a.createJob)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs", ID: "list-jobs", Errors: []int{403},
		Summary: "List jobs",
		Description: "Shows one's own jobs, newest first; staff sees those of everybody. Filter by a status to " +
			"find, say, what failed.", Tag: jobsTag,
	}, a.listJobs)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/jobs/{id}", ID: "get-job",
		Summary: "Get a job", Tag: jobsTag, Errors: []int{404},
		Description: "Shows how far a job is: its status, how many of its tasks are in which status, and, once it " +
			"has ended, what became of it.",
	}, func(ctx context.Context, user people.User, in *JobID) (*route.Changed[client.Job], error) {
		return jobOfVersion(a.engine.Jobs.Show(ctx, user, in.ID))
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/jobs/{id}", ID: "delete-job", Editable: true,
		Summary: "Remove a job", Tag: jobsTag,
		Status: http.StatusNoContent, Errors: []int{404, 409},
		Description: "Removes a job of which no task has started, with its tasks. Staff may also remove one that " +
			"has ended. Anything that was delivered stays at the destination.",
	}, func(ctx context.Context, user people.User, in *struct {
		JobID
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.engine.Jobs.Act(ctx, user, in.ID, jobs.DeleteJob)
	})
	for _, action := range jobActions {
		route.Handle(a.routes, route.Operation{
			Method: http.MethodPost, Path: "/jobs/{id}:" + string(action.name),
			ID: string(action.name) + "-job", Summary: action.summary, Description: action.description, Tag: jobsTag,
			Errors: []int{404, 409},
		}, func(ctx context.Context, user people.User, in *JobID) (*route.Body[client.Job], error) {
			if err := a.engine.Jobs.Act(ctx, user, in.ID, action.name); err != nil {
				return nil, err
			}
			job, err := a.engine.Jobs.Show(ctx, user, in.ID)
			if err != nil {
				return nil, err
			}
			return route.Answer(view.Job(job)), nil
		})
	}
}

func (a *jobsRoutes) createJob(
	ctx context.Context, user people.User, in *createJob,
) (*route.Created[client.Job], error) {
	if err := plainText(
		map[string]string{"source": in.Body.Source, "destination": in.Body.Destination, "project": in.Body.Project},
	); err != nil {
		return nil, err
	}
	t := jobs.Transfer{
		Source: in.Body.Source, Destination: in.Body.Destination,
		TrialProtocolID: in.Body.TrialProtocolID, TrialProtocolName: in.Body.TrialProtocolName,
		Project: in.Body.Project, Pseudonymize: in.Body.Pseudonymize, Urgent: in.Body.Urgent,
		OutsideWindows: in.Body.OutsideWindows, MailWhenFinished: in.Body.MailWhenFinished,
		LeaveOutRejected: in.Body.LeaveOutRejected, IdempotencyKey: in.IdempotencyKey,
		ArchivePassword: nodes.Secret(in.Body.ArchivePassword),
		Studies:         make([]jobs.Study, len(in.Body.Studies)),
	}
	for i, s := range in.Body.Studies {
		t.Studies[i] = jobs.Study{
			StudyInstanceUID: s.StudyInstanceUID, SeriesInstanceUIDs: s.SeriesInstanceUIDs,
			PatientID: s.PatientID, Pseudonym: s.Pseudonym,
		}
	}
	job, err := a.engine.Jobs.Create(ctx, user, t)
	if err != nil {
		return nil, err
	}
	if job, err = a.engine.Jobs.Show(ctx, user, job.ID); err != nil {
		return nil, err
	}
	return route.MadeAt("/jobs", strconv.FormatInt(job.ID, 10), view.Job(job)), nil
}

func (a *jobsRoutes) listJobs(ctx context.Context, user people.User, in *listJobs) (
	*route.Body[client.Page[client.Job]], error,
) {
	f, err := in.filter()
	if err != nil {
		return nil, err
	}
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	f.Order, f.Status, f.Limit = o, strings.Join(in.Status, ","), in.Limit+1
	list, err := a.engine.Jobs.List(ctx, user, f)
	if err != nil {
		return nil, err
	}
	return route.Ordered(list, in.Limit, o, view.Job, func(j jobs.Job) (string, int64) { return j.Place(o.By), j.ID }), nil
}

// filter checks what is asked for.
func (in JobFilter) filter() (jobs.JobFilter, error) {
	return jobs.JobFilter{
		Kind: in.Kind, Source: in.Source, Destination: in.Destination, Project: in.Project, Owner: in.Owner,
		Urgent: yesOrNo(in.Urgent), Paused: yesOrNo(in.Paused), Mine: in.Mine == "true",
		CreatedFrom: in.CreatedFrom, CreatedTo: in.CreatedTo,
	}, plainText(map[string]string{
		"source": in.Source, "destination": in.Destination, "project": in.Project, "owner": in.Owner,
	})
}

func jobOfVersion(j jobs.Job, err error) (*route.Changed[client.Job], error) {
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(j.Version(), view.Job(j)), nil
}
