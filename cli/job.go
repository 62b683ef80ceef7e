// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/client"
)

type jobCmd struct {
	List     jobListCmd     `cmd:"" help:"List jobs, newest first."`
	Get      jobGetCmd      `cmd:"" help:"Show a job and its tasks, and what is missing."`
	Cancel   jobCancelCmd   `cmd:"" help:"Cancel a job."`
	Delete   jobDeleteCmd   `cmd:"" help:"Remove jobs: those of which no task has started; staff: those that have ended, too."`
	Resume   jobResumeCmd   `cmd:"" help:"Go on with a canceled job."`
	Pause    jobPauseCmd    `cmd:"" help:"Stop a job for now: what runs stops at the next instance, and goes on when it is continued."`
	Continue jobContinueCmd `cmd:"" help:"Go on with a paused job."`
	Set      jobSetCmd      `cmd:"" help:"Change how urgent a job is."`
	Retry    jobRetryCmd    `cmd:"" help:"Try the failed tasks of a job again: only what is missing is transferred."`

	Manifest         jobManifestCmd `cmd:"" help:"Write the manifest of a job: what it delivered, with hashes, for adit deid --verify."`
	Deidentification jobDeidCmd     `cmd:"" help:"Show what de-identification did to the studies of a job."`
}

type jobDeidCmd struct {
	remote
	ID  int64 `arg:"" help:"Number of the job."`
	CSV bool  `name:"csv" help:"Write CSV: a row for each study, with counts by action and reason, and nothing of the originals."`
}

// Run shows what was done.
func (c *jobDeidCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.CSV {
		return cl.JobDeidentification(ctx, c.ID, io.out)
	}
	shown := false
	for t, err := range cl.Tasks(ctx, c.ID, client.TaskFilter{Limit: 500}) {
		if err != nil {
			return err
		}
		report, err := cl.Deidentification(ctx, t.ID)
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == 404 {
			continue
		}
		if err != nil {
			return err
		}
		shown = true
		printDeid(io.out, report)
	}
	if !shown {
		fmt.Fprintln(io.out, "Nothing of this job was de-identified.")
	}
	return nil
}

func printDeid(w io.Writer, r client.Deidentification) {
	fmt.Fprintf(w, "Task %d: %s, study %s as sent, %s\n", r.TaskID, printable(r.Pseudonym), r.StudyInstanceUID, plural(r.Instances, "instance", "instances"))
	if r.Truncated {
		fmt.Fprintln(w, "  More instances were not sent than the report names.")
	}
	fmt.Fprintf(w, "  profile %s, version %s (%s), UID generation %d\n", printable(r.Profile), printable(r.ProfileVersion), r.ProfileSHA256, r.UIDGeneration)
	if len(r.Codes) > 0 {
		fmt.Fprintf(w, "  codes (CID 7050): %s\n", printable(strings.Join(r.Codes, ", ")))
	}
	for _, group := range []struct {
		title  string
		counts map[string]int
	}{
		{"attributes", r.Attributes}, {"text read though no character set is declared", r.AssumedCharsets}, {"left out by the profile", r.Refused}, {"not sent, since not safe", r.Unsafe}, {"excluded modalities", r.Excluded},
	} {
		if len(group.counts) == 0 {
			continue
		}
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(group.counts)) {
			parts = append(parts, fmt.Sprintf("%s %d", name, group.counts[name]))
		}
		fmt.Fprintf(w, "  %s: %s\n", group.title, printable(strings.Join(parts, ", ")))
	}
}

type jobListCmd struct {
	remote
	Status string `placeholder:"STATUS" enum:",unverified,pending,in_progress,canceling,canceled,success,warning,failure" default:"" help:"Only jobs in this status: unverified, pending, in_progress, canceling, canceled, success, warning, failure."`
	Limit  int    `default:"50" placeholder:"N" help:"Most jobs (${default}); 0: all."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

// Run lists jobs.
func (c *jobListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	jobs, more, err := upTo(cl.Jobs(ctx, client.JobFilter{Status: c.Status}), c.Limit)
	if err != nil {
		return err
	}
	defer sayMore(io, more, len(jobs), "jobs")
	if c.JSON {
		return printJSON(io.out, jobs)
	}
	if len(jobs) == 0 {
		fmt.Fprintln(io.out, "There is no job.")
		return nil
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tTASKS\tFROM\tTO\tPATIENTS\tOWNER\tCREATED")
	for _, j := range jobs {
		fmt.Fprintf(w, "%d\t%s\t%d of %d\t%s\t%s\t%s\t%s\t%s\n", j.ID, words(j.Status), ended(j.Tasks), j.Tasks.Total(),
			printable(j.Source), printable(j.Destination), patients(j), printable(j.Owner), stamp(j.CreatedAt))
	}
	return w.Flush()
}

// patients says whether the studies of a job keep their patients.
func patients(j client.Job) string {
	if j.Deidentified != nil {
		return "pseudonyms"
	}
	return "identified"
}

func words(status string) string { return strings.ReplaceAll(status, "_", " ") }

func ended(c client.TaskCounts) int { return c.Total() - c.Pending - c.InProgress }

type jobGetCmd struct {
	remote
	ID     int64  `arg:"" help:"Number of the job."`
	Status string `placeholder:"STATUS" enum:",pending,in_progress,canceled,success,warning,failure" default:"" help:"Only tasks in this status: pending, in_progress, canceled, success, warning, failure."`
	Limit  int    `default:"100" placeholder:"N" help:"Most tasks to show (${default}); 0: all."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

// jobWithTasks is what job get --json writes.
type jobWithTasks struct {
	client.Job
	TaskList []client.Task `json:"task_list"`
}

// Run shows a job.
func (c *jobGetCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	job, err := cl.Job(ctx, c.ID)
	if err != nil {
		return err
	}
	out := jobWithTasks{Job: job, TaskList: []client.Task{}}
	more := false
	for t, err := range cl.Tasks(ctx, c.ID, client.TaskFilter{Status: c.Status, Limit: 500}) {
		if err != nil {
			return err
		}
		if more = c.Limit > 0 && len(out.TaskList) == c.Limit; more {
			break
		}
		if t.Status == client.Failure || t.Status == client.Warning { // with what is missing
			if t, err = cl.Task(ctx, t.ID); err != nil {
				return err
			}
		}
		out.TaskList = append(out.TaskList, t)
	}
	if c.JSON {
		sayMore(io, more, len(out.TaskList), "tasks")
		return printJSON(io.out, out)
	}
	printJob(io.out, job)
	for _, t := range out.TaskList {
		printTask(io.out, t)
	}
	if more {
		fmt.Fprintln(io.out, "  There are more tasks; --limit 0 shows all, --status failure those that failed.")
	}
	return nil
}

func printJob(w io.Writer, j client.Job) {
	fmt.Fprintf(w, "Job %d: %s", j.ID, words(j.Status))
	if j.Paused {
		fmt.Fprint(w, ", paused")
	}
	if j.Urgent {
		fmt.Fprint(w, ", urgent")
	}
	fmt.Fprintf(w, "; from %s to %s, by %s\n", printable(j.Source), printable(j.Destination), printable(j.Owner))
	fmt.Fprintf(w, "Tasks: %d pending, %d in progress, %d success, %d warning, %d failure, %d canceled\n",
		j.Tasks.Pending, j.Tasks.InProgress, j.Tasks.Success, j.Tasks.Warning, j.Tasks.Failure, j.Tasks.Canceled)
	if j.Message != "" {
		fmt.Fprintln(w, j.Message)
	}
}

// shownMissing is how many missing instances are named of those that lack for one reason.
const shownMissing = 3

func printTask(w io.Writer, t client.Task) {
	fmt.Fprintf(w, "  Task %d: study %s: %s, %d of %d instances, %s\n", t.ID, printable(t.StudyInstanceUID), words(t.Status), t.Delivered, t.Expected, size(t.Bytes))
	if t.WhyWaiting != "" {
		fmt.Fprintf(w, "    waits: %s\n", printable(t.WhyWaiting))
	}
	if t.Message != "" {
		fmt.Fprintf(w, "    %s\n", printable(t.Message))
	}
	printMissing(w, t.Series)
	if slices.ContainsFunc(t.Series, func(s client.Series) bool { return s.Truncated }) {
		fmt.Fprintln(w, "    More are missing than are counted here one by one.")
	}
}

// printMissing prints a line for each reason, with how many instances are missing for it and the first of them.
func printMissing(w io.Writer, series []client.Series) {
	uids := map[string][]string{}
	var reasons []string
	for _, s := range series {
		for _, m := range s.Missing {
			reason := printable(m.Reason)
			if m.Status != "" {
				reason += " (status " + m.Status + ")"
			}
			if uids[reason] == nil {
				reasons = append(reasons, reason)
			}
			uids[reason] = append(uids[reason], printable(m.SOPInstanceUID))
		}
	}
	for _, reason := range reasons {
		named := uids[reason]
		if len(named) == 1 {
			fmt.Fprintf(w, "    missing %s: %s\n", named[0], reason)
			continue
		}
		text := strings.Join(named[:min(len(named), shownMissing)], ", ")
		if more := len(named) - shownMissing; more > 0 {
			text += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(w, "    %d missing: %s: %s\n", len(named), reason, text)
	}
}

// size gives bytes for people.
func size(n int64) string {
	units := []string{"B", "kB", "MB", "GB", "TB"}
	v, i := float64(n), 0
	for v >= 1000 && i < len(units)-1 {
		v /= 1000
		i++
	}
	if i == 0 {
		return fmt.Sprintf("%d B", n)
	}
	return fmt.Sprintf("%.1f %s", v, units[i])
}

// jobActionCmd does one action.
type jobActionCmd struct {
	remote
	ID int64 `arg:"" help:"Number of the job."`
}

func (c *jobActionCmd) act(ctx context.Context, io streams, action client.JobAction) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	job, err := cl.ActOnJob(ctx, c.ID, action)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Job %d is %s now.\n", job.ID, words(job.Status))
	return nil
}

type jobCancelCmd struct{ jobActionCmd }

// Run cancels.
func (c *jobCancelCmd) Run(ctx context.Context, io streams) error {
	return c.act(ctx, io, client.CancelJob)
}

type jobDeleteCmd struct {
	remote
	ID []int64 `arg:"" help:"Numbers of the jobs."`
}

// Run deletes. What was transferred stays where it is, and the audit log tells of it.
func (c *jobDeleteCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	for _, id := range c.ID {
		if err := cl.DeleteJob(ctx, id); err != nil {
			return fmt.Errorf("job %d: %w", id, err)
		}
		fmt.Fprintf(io.out, "Job %d was deleted.\n", id)
	}
	return nil
}

type jobResumeCmd struct{ jobActionCmd }

// Run resumes.
func (c *jobResumeCmd) Run(ctx context.Context, io streams) error {
	return c.act(ctx, io, client.ResumeJob)
}

type jobRetryCmd struct{ jobActionCmd }

// Run tries again.
func (c *jobRetryCmd) Run(ctx context.Context, io streams) error {
	return c.act(ctx, io, client.RetryJob)
}

type jobPauseCmd struct{ jobActionCmd }

// Run pauses.
func (c *jobPauseCmd) Run(ctx context.Context, io streams) error {
	return c.act(ctx, io, client.PauseJob)
}

type jobContinueCmd struct{ jobActionCmd }

// Run continues.
func (c *jobContinueCmd) Run(ctx context.Context, io streams) error {
	return c.act(ctx, io, client.ContinueJob)
}

type jobSetCmd struct {
	remote
	ID             int64 `arg:"" help:"Number of the job."`
	Urgent         *bool `negatable:"" help:"Before all that is not urgent; needs a permission."`
	OutsideWindows *bool `negatable:"" help:"An urgent job runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	Priority       *int  `placeholder:"N" help:"1 to 8; 8 comes first. For staff."`
}

// Run changes the job.
func (c *jobSetCmd) Run(ctx context.Context, io streams) error {
	change := client.JobChange{Urgent: c.Urgent, OutsideWindows: c.OutsideWindows, Priority: c.Priority}
	if change == (client.JobChange{}) {
		return usage("say what is to be changed: --urgent, --outside-windows or --priority")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	job, err := cl.ChangeJob(ctx, c.ID, change)
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Job %d has priority %d now, %s.\n", job.ID, job.Priority, map[bool]string{true: "urgent", false: "not urgent"}[job.Urgent])
	return nil
}
