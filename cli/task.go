// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	stdio "io"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/client"
)

type taskCmd struct {
	Get    taskGetCmd    `cmd:"" help:"Show a task with its series, and what is missing."`
	Log    taskLogCmd    `cmd:"" help:"Show the log of a task. For staff."`
	Reset  taskResetCmd  `cmd:"" help:"Run a task that has ended from the beginning."`
	Kill   taskKillCmd   `cmd:"" help:"Stop a task that is in progress; the other tasks of its job go on. For staff."`
	Delete taskDeleteCmd `cmd:"" help:"Delete a pending task that is not its job's last one."`
}

// oneTask names a task.
type oneTask struct {
	command.Remote
	ID int64 `arg:"" help:"Number of the task, as adit job get shows it."`
}

type taskGetCmd struct{ oneTask }

// Run shows the task.
func (c *taskGetCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	task, err := cl.Tasks.Get(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.Tell(io, task, func(w stdio.Writer) error {
		fmt.Fprintf(w, "Job %d:\n", task.JobID)
		jobs.PrintTask(w, task)
		return nil
	})
}

type taskLogCmd struct{ oneTask }

// Run shows the log.
func (c *taskLogCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	lines, err := command.Collect(cl.Tasks.Log(ctx, c.ID))
	if err != nil {
		return err
	}
	return c.Tell(io, lines, func(w stdio.Writer) error {
		if len(lines) == 0 {
			fmt.Fprintln(w, "The log of this task is empty.")
		}
		for _, l := range lines {
			fmt.Fprintf(w, "%s  %s\n", command.Stamp(l.At), command.Printable(l.Line))
		}
		return nil
	})
}

func (c *oneTask) act(ctx context.Context, io command.Streams, action client.TaskAction) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	task, err := cl.Tasks.Act(ctx, c.ID, action)
	if err != nil {
		return err
	}
	if action == client.KillTask && task.Status == client.InProgress {
		return c.Say(io, task, "Task %d stops at the next instance.", task.ID)
	}
	return c.Say(io, task, "Task %d is %s now.", task.ID, jobs.Words(task.Status))
}

type taskResetCmd struct{ oneTask }

// Run resets.
func (c *taskResetCmd) Run(ctx context.Context, io command.Streams) error {
	return c.act(ctx, io, client.ResetTask)
}

type taskKillCmd struct{ oneTask }

// Run kills.
func (c *taskKillCmd) Run(ctx context.Context, io command.Streams) error {
	return c.act(ctx, io, client.KillTask)
}

type taskDeleteCmd struct{ oneTask }

// Run deletes.
func (c *taskDeleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Tasks.Delete(ctx, c.ID); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "deleted", "task": c.ID}, "Task %d was deleted.", c.ID)
}
