// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/pause"
)

const (
	slowPoll   = 2 * time.Second // between two attempts while a server is away
	outage     = 2 * time.Minute // how long a server may be away while a job is waited for
	cancelWait = 2 * time.Minute // for a canceled job to stop
)

// waiting follows a job until it has ended.
type waiting struct {
	client *client.Client
	out    io.Writer    // where it says how far the job is
	bar    *command.Bar // on a terminal, in place of lines
	id     int64
	giveUp time.Duration
	start  time.Time

	job      client.Job
	line     string // the progress that was printed last
	reason   string // the reason that was printed last
	canceled bool   // by us
	lost     time.Time
}

// Wait follows a job until it has ended, and says how far it is and how it ended. The error is the exit code of its
// status.
func Wait(
	ctx context.Context, streams command.Streams, o command.Output, cl *client.Client, id int64, giveUp time.Duration,
) (client.Job, error) {
	out := o.Progress(streams)
	w := &waiting{client: cl, out: out, bar: command.NewBar(out), id: id, giveUp: giveUp, start: time.Now()}
	err := w.run(ctx)
	w.bar.Clear()
	switch {
	case errors.Is(err, context.Canceled):
		return w.job, fmt.Errorf("interrupted; job %d goes on. adit job get %d shows its progress", id, id)
	case w.job.ID != 0 && err != nil:
		return w.job, fmt.Errorf("job %d goes on as far as is known: %w", id, err)
	case err != nil:
		return w.job, err
	}
	return w.job, w.result(ctx)
}

// TellEnded writes the job that was waited for, if programs want it; people have been told. The status of the job
// stays the exit code.
func TellEnded(streams command.Streams, o command.Output, answer any, err error) error {
	if _, ended := errors.AsType[*command.Status](err); o.JSON && (err == nil || ended) {
		return errors.Join(command.PrintJSON(streams.Out, answer), err)
	}
	return err
}

// sayf writes a line, and not into the bar.
func (w *waiting) sayf(format string, args ...any) {
	w.bar.Clear()
	fmt.Fprintf(w.out, format+"\n", args...)
}

// run follows the job by events until it has ended.
func (w *waiting) run(ctx context.Context) error {
	for {
		until, cancel := w.untilGiveUp(ctx)
		_, err := w.client.Jobs.Wait(until, w.id, w.show)
		due := until.Err() != nil && ctx.Err() == nil
		cancel()
		switch {
		case err == nil, ctx.Err() != nil:
			return err
		case due:
			err = w.giveUpIfDue(ctx)
		}
		if err == nil {
			continue
		}
		if !w.tolerable(err) {
			return err
		}
		if err := pause.For(ctx, slowPoll); err != nil {
			return err
		}
	}
}

// tolerable reports whether an error is an outage that has not lasted too long: a server that is started again goes on
// with the job.
func (w *waiting) tolerable(err error) bool {
	var away *client.UnreachableError
	var broken *client.BrokenAnswerError
	var problem *client.Problem
	if w.job.ID == 0 { // nothing has been heard of it: the address may be wrong
		return false
	}
	if !errors.As(err, &away) && !errors.As(err, &broken) && (!errors.As(err, &problem) || problem.Status != 503) {
		return false
	}
	if w.lost.IsZero() {
		w.lost = time.Now()
		w.sayf("ADIT doesn't answer; trying again.")
	}
	return time.Since(w.lost) < outage
}

// untilGiveUp ends when patience does: with the job, and then with what was canceled.
func (w *waiting) untilGiveUp(ctx context.Context) (context.Context, context.CancelFunc) {
	patience := w.giveUp
	if w.canceled {
		patience += cancelWait
	}
	if w.giveUp == 0 {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, w.start.Add(patience))
}

// show says how far the job is, and why it waits.
func (w *waiting) show(job client.Job) {
	w.job, w.lost = job, time.Time{}
	done, total := ended(job.Tasks), job.Tasks.Total()
	line := fmt.Sprintf("%s: %d of %d tasks ended", Words(job.Status), done, total)
	if job.Expected > 0 {
		line += fmt.Sprintf(", %d of %d instances, %s", job.Delivered, job.Expected, Size(job.Bytes))
		if total == 1 {
			done, total = int(job.Delivered), int(job.Expected)
		}
	}
	if w.bar != nil {
		w.bar.Show(done, total, line)
	} else if line != w.line {
		w.line = line
		w.sayf("%s", line)
	}
	if job.Tasks.Pending == 0 || job.Tasks.InProgress > 0 || client.Final(job.Status) {
		return
	}
	if reason, _, _ := strings.Cut(job.WhyWaiting, "; next attempt in"); reason != w.reason {
		w.reason = reason
		w.sayf("waiting: %s", command.Printable(job.WhyWaiting))
	}
}

func (w *waiting) giveUpIfDue(ctx context.Context) error {
	waited := time.Since(w.start)
	switch {
	case w.giveUp == 0 || waited < w.giveUp:
		return nil
	case w.canceled && waited >= w.giveUp+cancelWait:
		return fmt.Errorf(
			"it has not stopped %s after it was canceled; adit job get %d shows its tasks", cancelWait, w.id,
		)
	case w.canceled:
		return nil
	}
	w.canceled = true
	why := ""
	if w.reason != "" {
		why = "; it waited: " + command.Printable(w.reason)
	}
	w.sayf("giving up after %s%s", w.giveUp, why)
	_, err := w.client.Jobs.Act(ctx, w.id, client.CancelJob)
	var problem *client.Problem
	if errors.As(err, &problem) && problem.Status == 409 {
		return nil // it has ended meanwhile
	}
	return err
}

// shownTasks is how many tasks are listed at the end: those that are no successes, and those that left something out.
const shownTasks = 20

// remarkable reports whether the message of a success says more than how many images were transferred: what was left
// out, or was there already.
func remarkable(message string) bool {
	return strings.Contains(message, ". ") || strings.Contains(message, ";")
}

// result tells how the job ended; the exit code is its status.
func (w *waiting) result(ctx context.Context) error {
	w.sayf("Job %d: %s. %s", w.id, Words(w.job.Status), w.job.Message)
	shown := 0
	for t, err := range w.client.Tasks.List(ctx, w.id, client.TaskFilter{Limit: 500}) {
		if err != nil {
			return err
		}
		if t.Status == client.Success && !remarkable(t.Message) {
			continue
		}
		if shown++; shown > shownTasks {
			w.sayf("adit job get %d shows the other tasks.", w.id)
			break
		}
		if t, err = w.client.Tasks.Get(ctx, t.ID); err != nil {
			return err
		}
		PrintTask(w.out, t)
	}
	return verdict(w.job.Status)
}

// verdict is the exit code for the status of a job.
func verdict(status string) error {
	switch status {
	case client.Success:
		return nil
	case client.Warning:
		return &command.Status{Code: command.ExitWarning}
	case client.Canceled:
		return &command.Status{Code: command.ExitCanceled}
	}
	return &command.Status{Code: command.ExitFailure}
}
