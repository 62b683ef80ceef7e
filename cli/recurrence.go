// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	stdio "io"
	"regexp"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

type recurrenceCmd struct {
	List     recurrenceListCmd     `cmd:"" help:"List what runs again and again, newest first."`
	Show     recurrenceShowCmd     `cmd:"" help:"Show when something runs, and how the last run ended."`
	Set      recurrenceSetCmd      `cmd:"" help:"Change when something runs."`
	Pause    recurrencePauseCmd    `cmd:"" help:"Let something not run for now."`
	Continue recurrenceContinueCmd `cmd:"" help:"Let something run again that is paused."`
	Run      recurrenceRunCmd      `cmd:"" help:"Run something now, beside its plan."`
	Delete   recurrenceDeleteCmd   `cmd:"" help:"Remove something that runs again and again. The jobs that it has made stay."`
}

// every says when something is to run again and again.
type every struct {
	Every   string `placeholder:"[DAYS] HH:MM" help:"Run again and again at this time of the site's day, such as 02:00 or 'mon-fri 02:00'. Each run is about what earlier ones did not deliver or find."`
	LastDay string `placeholder:"YYYY-MM-DD" help:"With --every: the last day on which it runs."`
	Overlap int    `placeholder:"DAYS" help:"With --every, of a mass transfer: days before the new ones that each run looks through again, for what arrives late."`
}

var everyForm = regexp.MustCompile(`^(?:([a-z, -]+) +)?((?:[01][0-9]|2[0-3]):[0-5][0-9])$`)

// plan reads the flags.
func (e every) plan() (p client.Plan, err error) {
	m := everyForm.FindStringSubmatch(strings.ToLower(strings.TrimSpace(e.Every)))
	if m == nil {
		return p, command.Usage("--every: write a time such as 02:00, with days before it such as mon-fri or mon,thu")
	}
	p = client.Plan{At: m[2], LastDay: e.LastDay, OverlapDays: e.Overlap}
	for part := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return r == ',' || r == ' ' }) {
		days, ok := command.Weekdays(part)
		if !ok {
			return p, command.Usage("--every: %s is no day; days are mon, tue, wed, thu, fri, sat, sun", command.Printable(part))
		}
		p.Weekdays = append(p.Weekdays, days...)
	}
	return p, nil
}

// make makes a recurrence. alone: flags were given that it can't have.
func (e every) make(
	ctx context.Context, io command.Streams, o command.Output, cl *client.Client, r client.NewRecurrence, alone bool,
) (err error) {
	if alone {
		return command.Usage("--every can't be given with --wait or --dry-run; adit recurrence run starts a run at once")
	}
	if r.Plan, err = e.plan(); err != nil {
		return err
	}
	made, err := cl.Recurrences.Create(ctx, r)
	if err != nil {
		return err
	}
	return o.Say(io, made, "Recurrence %d was made: %s.", made.ID, when(made))
}

// when says when something runs.
func when(r client.Recurrence) string {
	days := "every day"
	if len(r.Weekdays) > 0 {
		days = strings.Join(r.Weekdays, ", ")
	}
	text := days + " at " + r.At
	switch {
	case r.Paused:
		text += ", but it is paused"
	case r.NextAt != nil:
		text += ", next on " + command.Stamp(*r.NextAt)
	default:
		text += ", but its last day is over"
	}
	return text
}

func printRecurrence(w stdio.Writer, r client.Recurrence) {
	what := "batch query at " + strings.Join(r.Sources, ", ")
	if r.Kind == client.MassTransferJob {
		what = fmt.Sprintf("mass transfer from %s to %s", strings.Join(r.Sources, ", "), r.Destination)
	}
	fmt.Fprintf(w, "Recurrence %d: %s, by %s; %s\n",
		r.ID, command.Printable(what), command.Printable(r.Owner), when(r))
	if r.Title != "" {
		fmt.Fprintf(w, "  Title: %s\n", command.Printable(r.Title))
	}
	if r.StartDate != "" {
		fmt.Fprintf(w, "  Days from %s on, with an overlap of %s\n",
			r.StartDate, words.Plural(r.OverlapDays, "day", "days"))
	}
	if r.LastDay != "" {
		fmt.Fprintf(w, "  It runs until %s.\n", r.LastDay)
	}
	if r.Covered != "" {
		fmt.Fprintf(w, "  All days up to %s were looked through.\n", r.Covered)
	}
	if r.JobID != 0 && r.Message == "" {
		fmt.Fprintf(w, "  Job %d is its last run.\n", r.JobID)
	}
	if r.Message != "" {
		fmt.Fprintf(w, "  %s\n", command.Printable(r.Message))
	}
}

type recurrenceListCmd struct{ command.Remote }

// Run lists recurrences.
func (c *recurrenceListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	list, err := command.Collect(cl.Recurrences.List(ctx))
	if err != nil {
		return err
	}
	return c.Tell(io, list, func(w stdio.Writer) error {
		if len(list) == 0 {
			fmt.Fprintln(w, "Nothing runs again and again.")
		}
		for _, r := range list {
			printRecurrence(w, r)
		}
		return nil
	})
}

// oneRecurrence names a recurrence on the command line.
type oneRecurrence struct {
	command.Remote
	ID int64 `arg:"" placeholder:"ID" help:"Number of the recurrence."`
}

// tell does something with the recurrence, and prints it as it is then.
func (c *oneRecurrence) tell(
	io command.Streams, do func(cl *client.Client) (client.Recurrence, error),
) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	r, err := do(cl)
	if err != nil {
		return err
	}
	return c.Tell(io, r, func(w stdio.Writer) error {
		printRecurrence(w, r)
		return nil
	})
}

type recurrenceShowCmd struct{ oneRecurrence }

// Run shows a recurrence.
func (c *recurrenceShowCmd) Run(ctx context.Context, io command.Streams) error {
	return c.tell(io, func(cl *client.Client) (client.Recurrence, error) { return cl.Recurrences.Get(ctx, c.ID) })
}

type recurrenceSetCmd struct {
	oneRecurrence
	every
}

// Run changes the plan.
func (c *recurrenceSetCmd) Run(ctx context.Context, io command.Streams) error {
	plan, err := c.plan()
	if err != nil {
		return err
	}
	return c.tell(io, func(cl *client.Client) (client.Recurrence, error) {
		return cl.Recurrences.Change(ctx, c.ID, client.RecurrenceChange{Plan: &plan})
	})
}

func (c *oneRecurrence) pause(ctx context.Context, io command.Streams, paused bool) error {
	return c.tell(io, func(cl *client.Client) (client.Recurrence, error) {
		return cl.Recurrences.Change(ctx, c.ID, client.RecurrenceChange{Paused: &paused})
	})
}

type recurrencePauseCmd struct{ oneRecurrence }

// Run pauses.
func (c *recurrencePauseCmd) Run(ctx context.Context, io command.Streams) error {
	return c.pause(ctx, io, true)
}

type recurrenceContinueCmd struct{ oneRecurrence }

// Run continues.
func (c *recurrenceContinueCmd) Run(ctx context.Context, io command.Streams) error {
	return c.pause(ctx, io, false)
}

type recurrenceRunCmd struct{ oneRecurrence }

// Run makes a run at once.
func (c *recurrenceRunCmd) Run(ctx context.Context, io command.Streams) error {
	return c.tell(io, func(cl *client.Client) (client.Recurrence, error) { return cl.Recurrences.Run(ctx, c.ID) })
}

type recurrenceDeleteCmd struct{ oneRecurrence }

// Run removes a recurrence.
func (c *recurrenceDeleteCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Recurrences.Delete(ctx, c.ID); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "removed", "recurrence": fmt.Sprint(c.ID)}, "Recurrence %d was removed.", c.ID)
}
