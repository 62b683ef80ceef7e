// SPDX-License-Identifier: AGPL-3.0-or-later

// Package failures is the command adit job failures: why tasks of a job failed, and their studies as a file.
package failures

import (
	"context"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

// Cmd is the command.
type Cmd struct {
	command.Remote
	ID     int64  `complete:"job" arg:"" help:"Number of the job."`
	File   string `name:"output" short:"o" type:"path" placeholder:"FILE" help:"Write the studies that failed into this file instead, which must not exist. adit transfer --study @FILE takes it."`
	Status string `placeholder:"STATUS" enum:",failure,warning,canceled" default:"" help:"With --output: the studies of tasks in this status: failure (by default), warning, canceled."`
}

// Help says what to do with the file.
func (*Cmd) Help() string {
	return `adit job retry tries the tasks of the same job again. With --output the studies go into a new one: adit transfer --source NAME --destination NAME --study @FILE. If the job de-identified, the file has a column of pseudonyms, which is empty where ADIT chose them; then add --pseudonymize. The file holds Patient IDs if they were given with the job.`
}

// Run shows the failures of a job, or writes its studies.
func (c *Cmd) Run(ctx context.Context, io command.Streams) error {
	if c.Status != "" && c.File == "" {
		return command.Usage("--status goes with --output: it says whose studies are written")
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.File != "" {
		return c.write(ctx, io, cl)
	}
	groups, more, err := cl.Jobs.Failures(ctx, c.ID)
	if err != nil {
		return err
	}
	defer command.SayMore(io, more, len(groups), "reasons")
	return c.Tell(io, groups, func(w stdio.Writer) error {
		if len(groups) == 0 {
			fmt.Fprintln(w, "No task of this job failed or has a warning.")
		}
		for _, g := range groups {
			show(w, g)
		}
		return nil
	})
}

func (c *Cmd) write(ctx context.Context, io command.Streams, cl *client.Client) error {
	f, err := command.CreateNew(c.File)
	if err != nil {
		return err
	}
	err = cl.Jobs.FailedStudies(ctx, c.ID, c.Status, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(c.File))
	}
	return c.Say(
		io, command.Done{"done": "written", "job": c.ID, "file": c.File}, "The studies were written into %s.",
		command.Printable(c.File),
	)
}

// show tells why some tasks failed, and which.
func show(w stdio.Writer, g client.FailureGroup) {
	missing := ""
	if g.Missing > 0 {
		missing = ", " + words.Plural(g.Missing, "instance", "instances") + " missing"
	}
	fmt.Fprintf(
		w, "%s, %s%s: %s\n", words.Plural(g.Tasks, "task", "tasks"), g.Status, missing,
		command.Printable(g.Message),
	)
	var ids []string
	for _, t := range g.First {
		ids = append(ids, fmt.Sprint(t.ID))
	}
	text := strings.Join(ids, ", ")
	if more := g.Tasks - len(ids); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	fmt.Fprintf(w, "  %s %s\n", map[bool]string{true: "task", false: "tasks"}[g.Tasks == 1], text)
	if g.RetryHelps {
		fmt.Fprintln(w, "  A retry of the job may help.")
	}
}
