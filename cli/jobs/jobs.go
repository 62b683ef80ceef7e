// SPDX-License-Identifier: AGPL-3.0-or-later

// Package jobs is the commands about jobs, how they are followed to their end, and the flags of the commands that make
// them.
package jobs

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdio "io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/deidentify"
	"github.com/adit-go/adit/cli/failures"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

// Cmd is adit job.
type Cmd struct {
	List     listCmd     `cmd:"" help:"List jobs, newest first."`
	Get      getCmd      `cmd:"" help:"Show a job and its tasks, and what is missing."`
	Wait     waitCmd     `cmd:"" help:"Wait until jobs have ended; the exit code is their status."`
	Log      logCmd      `cmd:"" help:"Show the logs of a job's tasks. For staff."`
	Cancel   cancelCmd   `cmd:"" help:"Cancel a job that is pending or in progress; \"resume\" takes it up again."`
	Resume   resumeCmd   `cmd:"" help:"Take up a canceled job: its canceled tasks run."`
	Pause    pauseCmd    `cmd:"" help:"Pause a job that is pending or in progress: running tasks stop at the next instance; \"continue\" lets it go on."`
	Continue continueCmd `cmd:"" help:"Let a paused job go on."`
	Retry    retryCmd    `cmd:"" help:"Try the failed tasks of a job that ended with failure or warning again: only what is missing is transferred."`
	Restart  restartCmd  `cmd:"" help:"Run all tasks of a job that has ended, whatever its status, from the beginning. For staff."`
	Set      setCmd      `cmd:"" help:"Change how urgent a job is."`
	Delete   deleteCmd   `cmd:"" help:"Delete jobs of which no task has started, with their reports and manifests; staff may also delete jobs that have ended. What was transferred stays."`

	Failures         failures.Cmd              `cmd:"" help:"Show why tasks of a job failed or have warnings, or write their studies into a file."`
	Manifest         deidentify.JobManifestCmd `cmd:"" help:"Write the manifest of a job for adit deid --verify: what it delivered, with hashes."`
	Deidentification deidCmd                   `cmd:"" help:"Show what de-identification did to the studies of a job."`
}

type deidCmd struct {
	command.Remote
	ID  int64 `complete:"job" arg:"" help:"Number of the job."`
	CSV bool  `name:"csv" help:"Write CSV with a row for each study: counts by action and reason, and no value of the originals."`
}

// Run shows what was done.
func (c *deidCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.CSV {
		return cl.Jobs.Deidentification(ctx, c.ID, io.Out)
	}
	reports := []client.Deidentification{}
	for t, err := range cl.Tasks.List(ctx, c.ID, client.TaskFilter{Limit: 500}) {
		if err != nil {
			return err
		}
		report, err := cl.Tasks.Deidentification(ctx, t.ID)
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == 404 {
			continue
		}
		if err != nil {
			return err
		}
		reports = append(reports, report)
	}
	return c.Tell(io, reports, func(w stdio.Writer) error {
		if len(reports) == 0 {
			fmt.Fprintln(w, "Nothing of this job was de-identified.")
		}
		for _, r := range reports {
			printDeid(w, r)
		}
		return nil
	})
}

func printDeid(w stdio.Writer, r client.Deidentification) {
	fmt.Fprintf(
		w, "Task %d: %s, study %s as sent, %s\n", r.TaskID, command.Printable(r.Pseudonym),
		r.StudyInstanceUID, words.Plural(r.Instances, "instance", "instances"),
	)
	if r.Truncated {
		fmt.Fprintln(w, "  The report does not name all instances that were not sent.")
	}
	fmt.Fprintf(
		w, "  profile %s, version %s (%s), UID generation %d\n", command.Printable(r.Profile),
		command.Printable(r.ProfileVersion), r.ProfileSHA256, r.UIDGeneration,
	)
	if len(r.Codes) > 0 {
		fmt.Fprintf(w, "  codes (CID 7050): %s\n", command.Printable(strings.Join(r.Codes, ", ")))
	}
	for _, group := range []struct {
		title  string
		counts map[string]int
	}{
		{"attributes", r.Attributes},
		{"text without a declared character set", r.AssumedCharsets},
		{"left out by the profile", r.Refused},
		{"not sent, because not safe", r.Unsafe},
		{"excluded modalities", r.Excluded},
	} {
		if len(group.counts) == 0 {
			continue
		}
		var parts []string
		for _, name := range slices.Sorted(maps.Keys(group.counts)) {
			parts = append(parts, fmt.Sprintf("%s %d", name, group.counts[name]))
		}
		fmt.Fprintf(w, "  %s: %s\n", group.title, command.Printable(strings.Join(parts, ", ")))
	}
}

type listCmd struct {
	command.Remote
	Status string `placeholder:"STATUS" enum:",unverified,pending,in_progress,canceling,canceled,success,warning,failure" default:"" help:"Only jobs in this status: unverified, pending, in_progress, canceling, canceled, success, warning, failure."`
	Mine   bool   `help:"Only your own jobs, where you may see those of others."`
	Limit  int    `default:"50" placeholder:"N" help:"Maximum number of jobs (${default}); 0: all."`
}

// Run lists jobs.
func (c *listCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	jobs, more, err := command.UpTo(cl.Jobs.List(ctx, client.JobFilter{Status: c.Status, Mine: c.Mine}), c.Limit)
	if err != nil {
		return err
	}
	defer command.SayMore(io, more, len(jobs), "jobs")
	if c.JSON {
		return command.PrintJSON(io.Out, jobs)
	}
	if len(jobs) == 0 {
		fmt.Fprintln(io.Out, "There are no jobs.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tSTATUS\tTASKS\tFROM\tTO\tPATIENTS\tOWNER\tCREATED")
	for _, j := range jobs {
		fmt.Fprintf(w, "%d\t%s\t%d of %d\t%s\t%s\t%s\t%s\t%s\n", j.ID, state(j), ended(j.Tasks), j.Tasks.Total(),
			command.Printable(j.Source), cmp.Or(command.Printable(j.Destination), "-"),
			patients(j), command.Printable(j.Owner), command.Stamp(j.CreatedAt))
	}
	return w.Flush()
}

// patients says whether the studies of a job keep their patients.
func patients(j client.Job) string {
	switch {
	case j.Kind == client.BatchQuery: // it moves nothing
		return "-"
	case j.Deidentified != nil:
		return "pseudonyms"
	}
	return "identified"
}

// state is the status of a job, and whether it is paused.
func state(j client.Job) string {
	if j.Paused {
		return Words(j.Status) + ", paused"
	}
	return Words(j.Status)
}

// Words returns a status for people.
func Words(status string) string { return strings.ReplaceAll(status, "_", " ") }

func ended(c client.TaskCounts) int { return c.Total() - c.Pending - c.InProgress }

type getCmd struct {
	command.Remote
	ID     int64  `complete:"job" arg:"" help:"Number of the job."`
	Status string `placeholder:"STATUS" enum:",pending,in_progress,canceled,success,warning,failure" default:"" help:"Only tasks in this status: pending, in_progress, canceled, success, warning, failure."`
	Limit  int    `default:"100" placeholder:"N" help:"Maximum number of tasks to show (${default}); 0: all."`
	Watch  bool   `help:"Show the progress until the job has ended, then the job; with --json nothing but a line of JSON for each state."`
}

// jobWithTasks is what job get --json writes.
type jobWithTasks struct {
	client.Job
	TaskList []client.Task `json:"task_list"`
}

// Run shows a job.
func (c *getCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.Watch {
		if err := c.watch(ctx, io, cl); err != nil || c.JSON {
			return err
		}
	}
	job, err := cl.Jobs.Get(ctx, c.ID)
	if err != nil {
		return err
	}
	out := jobWithTasks{Job: job, TaskList: []client.Task{}}
	more := false
	for t, err := range cl.Tasks.List(ctx, c.ID, client.TaskFilter{Status: c.Status, Limit: 500}) {
		if err != nil {
			return err
		}
		if more = c.Limit > 0 && len(out.TaskList) == c.Limit; more {
			break
		}
		if t.Status == client.Failure || t.Status == client.Warning { // with what is missing
			if t, err = cl.Tasks.Get(ctx, t.ID); err != nil {
				return err
			}
		}
		out.TaskList = append(out.TaskList, t)
	}
	if c.JSON {
		command.SayMore(io, more, len(out.TaskList), "tasks")
		return command.PrintJSON(io.Out, out)
	}
	printJob(io.Out, job)
	for _, t := range out.TaskList {
		PrintTask(io.Out, t)
	}
	if more {
		fmt.Fprintln(io.Out, "  There are more tasks; --limit 0 shows all, --status failure those that failed.")
	}
	return nil
}

// watch shows a job as it changes, until it has ended.
func (c *getCmd) watch(ctx context.Context, io command.Streams, cl *client.Client) error {
	if !c.JSON {
		out := c.Progress(io)
		w := &waiting{client: cl, out: out, bar: command.NewBar(out), id: c.ID, start: time.Now()}
		defer w.bar.Clear()
		return w.run(ctx)
	}
	line := json.NewEncoder(io.Out)
	var broken error
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	_, err := cl.Jobs.Wait(ctx, c.ID, func(j client.Job) {
		if broken = line.Encode(j); broken != nil {
			cancel()
		}
	})
	return cmp.Or(broken, err)
}

func printJob(w stdio.Writer, j client.Job) {
	fmt.Fprintf(w, "Job %d: %s", j.ID, state(j))
	if j.Urgent {
		fmt.Fprint(w, ", urgent")
	}
	source, destination := command.Printable(j.Source), command.Printable(j.Destination)
	way := fmt.Sprintf("from %s to %s", source, destination)
	if j.Kind == client.BatchQuery {
		way = "batch query at " + source
	}
	fmt.Fprintf(w, "; %s, by %s\n", way, command.Printable(j.Owner))
	if j.Title != "" {
		fmt.Fprintf(w, "Title: %s\n", command.Printable(j.Title))
	}
	fmt.Fprintf(w, "Tasks: %d pending, %d in progress, %d success, %d warning, %d failure, %d canceled\n",
		j.Tasks.Pending, j.Tasks.InProgress, j.Tasks.Success, j.Tasks.Warning, j.Tasks.Failure, j.Tasks.Canceled)
	if j.Kind != client.BatchQuery { // which moves nothing
		printMoved(w, j)
	}
	if j.WhyWaiting != "" {
		fmt.Fprintf(w, "Pending tasks wait: %s\n", command.Printable(j.WhyWaiting))
	}
	if j.Message != "" {
		fmt.Fprintln(w, j.Message)
	}
}

// printMoved prints how many instances of a job have arrived, and how fast they come.
func printMoved(w stdio.Writer, j client.Job) {
	fmt.Fprintf(w, "Instances: %d of %d, %s", j.Delivered, j.Expected, Size(j.Bytes))
	if j.Rate != nil {
		fmt.Fprintf(w, "; %.1f per second, %s/s", j.Rate.InstancesPerSecond, Size(int64(j.Rate.BytesPerSecond)))
	}
	if j.ReadyAt != nil {
		fmt.Fprintf(w, "; ready about %s", command.Stamp(*j.ReadyAt))
	}
	fmt.Fprintln(w)
}

// shownMissing is how many missing instances are named of those that lack for one reason.
const shownMissing = 3

// PrintTask prints how far a task is, and what is missing.
func PrintTask(w stdio.Writer, t client.Task) {
	switch {
	case t.StudyInstanceUID == "" && len(t.Rows) > 0: // of a batch query, which moves nothing
		fmt.Fprintf(w, "  Task %d: row %d: %s\n", t.ID, t.Rows[0], Words(t.Status))
	case t.Days != "": // a partition of a mass transfer
		fmt.Fprintf(w, "  Task %d: %s: %s\n", t.ID, strings.ReplaceAll(t.Days, "/", " to "), Words(t.Status))
	default:
		fmt.Fprintf(
			w, "  Task %d: study %s: %s, %d of %d instances, %s\n", t.ID,
			command.Printable(t.StudyInstanceUID), Words(t.Status), t.Delivered, t.Expected, Size(t.Bytes),
		)
	}
	if t.WhyWaiting != "" {
		fmt.Fprintf(w, "    waits: %s\n", command.Printable(t.WhyWaiting))
	}
	if t.Message != "" {
		fmt.Fprintf(w, "    %s\n", command.Printable(t.Message))
	}
	printMissing(w, t.Series)
	if slices.ContainsFunc(t.Series, func(s client.Series) bool { return s.Truncated }) {
		fmt.Fprintln(w, "    More instances are missing than this list counts.")
	}
}

// printMissing prints a line for each reason, with how many instances are missing for it and the first of them.
func printMissing(w stdio.Writer, series []client.Series) {
	uids := map[string][]string{}
	var reasons []string
	for _, s := range series {
		for _, m := range s.Missing {
			reason := command.Printable(m.Reason)
			if m.Status != "" {
				reason += " (status " + m.Status + ")"
			}
			if uids[reason] == nil {
				reasons = append(reasons, reason)
			}
			uids[reason] = append(uids[reason], command.Printable(m.SOPInstanceUID))
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

// Size returns bytes for people.
func Size(n int64) string {
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

// ActionCmd does one action to a job.
type ActionCmd struct {
	command.Remote
	ID int64 `complete:"job" arg:"" help:"Number of the job."`
}

// Act does the action, and tells how the job is then.
func (c *ActionCmd) Act(ctx context.Context, io command.Streams, action client.JobAction) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	job, err := cl.Jobs.Act(ctx, c.ID, action)
	if err != nil {
		return err
	}
	return c.Say(io, job, "%s", acted(job))
}

// acted says in which state an action has left a job.
func acted(j client.Job) string {
	switch running := j.Tasks.InProgress; {
	case client.Final(j.Status): // which a paused job may be, too
	case j.Paused && running > 0:
		return fmt.Sprintf("Job %d is pausing: its running tasks stop at the next instance.", j.ID)
	case j.Paused:
		return fmt.Sprintf("Job %d is paused.", j.ID)
	case j.Status == client.Canceling:
		return fmt.Sprintf("Job %d is canceling: its running tasks stop at the next instance.", j.ID)
	}
	return fmt.Sprintf("Job %d is %s now.", j.ID, Words(j.Status))
}

type cancelCmd struct{ ActionCmd }

// Run cancels.
func (c *cancelCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.CancelJob)
}

type resumeCmd struct{ ActionCmd }

// Run takes a canceled job up again.
func (c *resumeCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.ResumeJob)
}

type retryCmd struct{ ActionCmd }

// Run tries again.
func (c *retryCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.RetryJob)
}

type restartCmd struct{ ActionCmd }

// Run does all tasks again.
func (c *restartCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.RestartJob)
}

type pauseCmd struct{ ActionCmd }

// Run pauses.
func (c *pauseCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.PauseJob)
}

type continueCmd struct{ ActionCmd }

// Run continues.
func (c *continueCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.ContinueJob)
}

type deleteCmd struct {
	command.Remote
	ID []int64 `complete:"job" arg:"" help:"Numbers of the jobs."`
}

// Run deletes. What was transferred stays where it is, and the audit log tells of it.
func (c *deleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	deleted := []command.Done{}
	for _, id := range c.ID {
		if err = cl.Jobs.Delete(ctx, id); err != nil {
			if !client.IsCode(err, client.CodeNotFound) { // which names the job itself
				err = fmt.Errorf("job %d: %w", id, err)
			}
			break
		}
		deleted = append(deleted, command.Done{"done": "deleted", "job": id})
	}
	if err != nil && len(deleted) == 0 {
		return err
	}
	return errors.Join(c.Tell(io, deleted, func(w stdio.Writer) error {
		for _, d := range deleted {
			fmt.Fprintf(w, "Job %d was deleted.\n", d["job"])
		}
		return nil
	}), err)
}

type waitCmd struct {
	command.Remote
	ID []int64 `complete:"job" arg:"" help:"Numbers of the jobs."`
}

// Help tells what the exit codes mean.
func (*waitCmd) Help() string {
	return `The exit code is how the job ended: 0 Success, 1 Failure, 3 Warning, 4 Canceled; of several jobs, the worst: Failure, then Canceled, then Warning. Interrupting the command (Ctrl-C) leaves the jobs running and exits with 1. With --json the jobs are written as a list when all of them have ended, and the progress goes to the standard error.`
}

// worse are the statuses of jobs that have ended, from good to bad.
var worse = []string{client.Success, client.Warning, client.Canceled, client.Failure}

// Run waits.
func (c *waitCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	return WaitForAll(ctx, io, c.Output, cl, c.ID, 0)
}

// WaitForAll waits for jobs, one after the other, and tells how they ended. The error is the exit code of the worst.
func WaitForAll(
	ctx context.Context, io command.Streams, o command.Output, cl *client.Client, ids []int64, giveUp time.Duration,
) error {
	jobs, worst := []client.Job{}, client.Success
	for _, id := range ids {
		job, err := Wait(ctx, io, o, cl, id, giveUp)
		if _, ended := errors.AsType[*command.Status](err); err != nil && !ended {
			return err
		}
		jobs = append(jobs, job)
		if slices.Index(worse, job.Status) > slices.Index(worse, worst) {
			worst = job.Status
		}
	}
	return TellEnded(io, o, jobs, verdict(worst))
}

type logCmd struct {
	command.Remote
	ID int64 `complete:"job" arg:"" help:"Number of the job."`
}

// taskLogLine is what job log --json writes.
type taskLogLine struct {
	TaskID int64 `json:"task_id"`
	client.LogLine
}

// Run shows the logs of all tasks.
func (c *logCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	lines := []taskLogLine{}
	for t, err := range cl.Tasks.List(ctx, c.ID, client.TaskFilter{Limit: 500}) {
		if err != nil {
			return err
		}
		for line, err := range cl.Tasks.Log(ctx, t.ID) {
			if err != nil {
				return err
			}
			lines = append(lines, taskLogLine{t.ID, line})
		}
	}
	return c.Tell(io, lines, func(w stdio.Writer) error {
		if len(lines) == 0 {
			fmt.Fprintln(w, "The logs of this job's tasks are empty.")
		}
		for _, l := range lines {
			fmt.Fprintf(w, "task %d  %s  %s\n", l.TaskID, command.Stamp(l.At), command.Printable(l.Line))
		}
		return nil
	})
}

type setCmd struct {
	command.Remote
	ID             int64 `complete:"job" arg:"" help:"Number of the job."`
	Urgent         *bool `negatable:"" help:"Run before everything that is not urgent. Needs a permission."`
	OutsideWindows *bool `negatable:"" help:"Run an urgent job even while a server's window is closed for jobs, within the limit of the server's default. Needs a permission."`
	Priority       *int  `placeholder:"N" help:"Priority from 1 to 8; 8 runs first. For staff."`
}

// Run changes the job.
func (c *setCmd) Run(ctx context.Context, io command.Streams) error {
	change := client.JobChange{Urgent: c.Urgent, OutsideWindows: c.OutsideWindows, Priority: c.Priority}
	if change == (client.JobChange{}) {
		return command.Usage("name at least one change: --urgent, --outside-windows or --priority")
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	job, err := cl.Jobs.Change(ctx, c.ID, change)
	if err != nil {
		return err
	}
	return c.Say(
		io, job, "Job %d has priority %d now, %s.", job.ID, job.Priority,
		map[bool]string{true: "urgent", false: "not urgent"}[job.Urgent],
	)
}
