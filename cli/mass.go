// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	stdio "io"
	"os"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

type massCmd struct {
	Transfer   massTransferCmd   `cmd:"" help:"Look through the days of a server, and move the series that the filters take."`
	Begin      massBeginCmd      `cmd:"" help:"Move what a dry run has found."`
	Show       massShowCmd       `cmd:"" help:"Show what a mass transfer looks for, and what it has found so far."`
	Partitions massPartitionsCmd `cmd:"" help:"List the days of a mass transfer, with what each has."`
	Volumes    massVolumesCmd    `cmd:"" help:"Write the series that a mass transfer has found as a table, with what became of each."`
	Filters    massFiltersCmd    `cmd:"" help:"Make filters of a table, .xlsx or CSV, and write them as JSON."`
}

type massTransferCmd struct {
	command.Remote
	Source       string   `complete:"source" required:"" placeholder:"NAME" help:"Name of the server to look through."`
	Destination  string   `complete:"destination" required:"" placeholder:"NAME" help:"Name of the server or folder to write to."`
	From         string   `required:"" placeholder:"YYYY-MM-DD" help:"The first day, as the server has its dates."`
	Until        string   `placeholder:"YYYY-MM-DD" help:"The last day. Not with --every, which goes on until yesterday each time."`
	Weekly       bool     `help:"Look through seven days at once. Default: through each day by itself."`
	Filters      string   `placeholder:"FILE" help:"Filters: a JSON array of objects (.json), or a table (.xlsx, .csv) whose columns are named as their properties. - reads JSON from the standard input."`
	Include      []string `sep:"none" placeholder:"KEY=VALUE,…" help:"A filter that includes, such as modality=CT,study_description=*head*,min_age=18; a comma within a value is \\,. May be repeated."`
	Exclude      []string `sep:"none" placeholder:"KEY=VALUE,…" help:"A filter that excludes. May be repeated."`
	DryRun       bool     `help:"Only count what there is. adit mass begin JOB moves it afterwards."`
	KeepIdentity bool     `help:"Send the studies as they are, with their patients. Needs a permission. Default: de-identify."`
	Project      string   `complete:"project" placeholder:"NAME" help:"Project whose key and profile pseudonymize. Default: the default project of your active group."`
	jobs.SentFlags
	aboutFlags
	every
	jobs.EndFlags
}

// Run makes the job, and waits for it if asked to.
func (c *massTransferCmd) Run(ctx context.Context, io command.Streams) error {
	if err := c.Check(); err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	filters, err := c.filters(ctx, cl)
	if err != nil {
		return err
	}
	if (c.Until == "") == (c.Every == "") {
		return command.Usage("give either --until, or --every for what is to run again and again")
	}
	m := client.NewMassTransfer{
		MassSettings: client.MassSettings{
			BatchAbout: c.about(), Source: c.Source, Destination: c.Destination, Project: c.Project, Filters: filters,
			Pseudonymize: new(!c.KeepIdentity), LeaveOutRejected: c.LeaveOutRejected(),
			TrialProtocolID: c.TrialID, TrialProtocolName: c.TrialName,
			MailWhenFinished: c.Mail,
		},
		StartDate: c.From, EndDate: c.Until, DryRun: c.DryRun,
	}
	if c.Weekly {
		m.Partitions = client.Weekly
	}
	if c.Every != "" {
		return c.make(ctx, io, c.Output, cl, client.NewRecurrence{
			Mass: &client.RecurringMass{MassSettings: m.MassSettings, StartDate: m.StartDate},
		}, c.DryRun || c.Wait)
	}
	made, err := cl.Mass.Create(ctx, m, "")
	if err != nil {
		return err
	}
	return c.Follow(ctx, io, c.Output, cl, made)
}

// filters are those of the file and of the flags.
func (c *massTransferCmd) filters(ctx context.Context, cl *client.Client) (list []client.MassFilter, err error) {
	if c.Filters != "" {
		if list, err = readFilters(ctx, cl, c.Filters); err != nil {
			return nil, err
		}
	}
	for _, flag := range []struct {
		mode  string
		given []string
	}{{"include", c.Include}, {"exclude", c.Exclude}} {
		for _, text := range flag.given {
			f, err := filterOf(flag.mode, text)
			if err != nil {
				return nil, command.Usage("--%s %s: %v", flag.mode, command.Printable(text), err)
			}
			list = append(list, f)
		}
	}
	if len(list) == 0 {
		return nil, command.Usage("say which series to move: --include modality=CT, or --filters FILE")
	}
	return list, nil
}

// readFilters reads a file of filters.
func readFilters(ctx context.Context, cl *client.Client, name string) (list []client.MassFilter, err error) {
	var content []byte
	if name == "-" {
		content, err = stdio.ReadAll(stdio.LimitReader(os.Stdin, maxBatchFile))
	} else {
		content, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, err
	}
	if start := bytes.TrimSpace(content); name != "-" && (len(start) == 0 || start[0] != '[') {
		return cl.Mass.Filters(ctx, client.FilterTable{File: content})
	}
	strict := json.NewDecoder(bytes.NewReader(content))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s is no JSON array of filters: %w", command.Printable(name), err)
	}
	return list, nil
}

// filterOf makes a filter of KEY=VALUE,…; a comma within a value is written as \,.
func filterOf(mode, text string) (f client.MassFilter, err error) {
	values := map[string]any{"mode": mode}
	const comma = "\x00"
	for part := range strings.SplitSeq(strings.ReplaceAll(text, `\,`, comma), ",") {
		key, value, ok := strings.Cut(strings.ReplaceAll(part, comma, ","), "=")
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if !ok || key == "" || value == "" {
			return f, fmt.Errorf("write KEY=VALUE, with commas between several")
		}
		if _, twice := values[key]; twice && key != "mode" {
			return f, fmt.Errorf("%s is given twice; make a filter for each", command.Printable(key))
		}
		switch key {
		case "series_number", "min_age", "max_age", "min_number_of_series_related_instances", "apply_institution_on_study":
			values[key] = json.RawMessage(value)
		default:
			values[key] = value
		}
	}
	encoded, err := json.Marshal(values)
	if err != nil {
		return f, fmt.Errorf("a value is no number, and neither true nor false")
	}
	strict := json.NewDecoder(bytes.NewReader(encoded))
	strict.DisallowUnknownFields()
	if err := strict.Decode(&f); err != nil {
		return f, fmt.Errorf("%s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return f, nil
}

type massBeginCmd struct{ jobs.ActionCmd }

// Run begins a dry run.
func (c *massBeginCmd) Run(ctx context.Context, io command.Streams) error {
	return c.Act(ctx, io, client.BeginJob)
}

type massShowCmd struct {
	command.Remote
	Job int64 `complete:"job" arg:"" placeholder:"JOB" help:"Number of the job."`
}

// Run shows a mass transfer.
func (c *massShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	m, err := cl.Mass.Get(ctx, c.Job)
	if err != nil {
		return err
	}
	return c.Tell(io, m, func(w stdio.Writer) error {
		run := "Mass transfer"
		if m.DryRun {
			run = "Dry run of a mass transfer"
		}
		fmt.Fprintf(w, "%s: %s to %s, %s\n", run, m.StartDate, m.EndDate, m.Partitions)
		for _, f := range m.Filters {
			text, err := json.Marshal(f)
			if err != nil {
				return err
			}
			fmt.Fprintf(w, "  %s\n", command.Printable(string(text)))
		}
		fmt.Fprintf(w, "Partitions: %d of %d looked through (%d warning, %d failure)\n",
			m.Looked.Success+m.Looked.Warning+m.Looked.Failure, m.Looked.All, m.Looked.Warning, m.Looked.Failure)
		fmt.Fprintf(w, "Found: %s, %s, %d series, %s\n", words.Plural(int(m.Found.Patients), "patient", "patients"),
			words.Plural(int(m.Found.Studies), "study", "studies"), m.Found.Series,
			words.Plural(int(m.Found.Instances), "instance", "instances"))
		if m.Found.Uncounted > 0 {
			fmt.Fprintf(w, "  and those of %d series that the source does not count\n", m.Found.Uncounted)
		}
		if m.DryRun && m.Found.Series == 0 {
			fmt.Fprintln(w, "Nothing is moved.")
			return nil
		}
		if m.DryRun {
			fmt.Fprintf(w, "Nothing is moved. adit mass begin %d moves it.\n", c.Job)
			return nil
		}
		_, err := fmt.Fprintf(w, "Studies: %d of %d moved, %d with a warning, %d failed\n",
			m.Moved.Success, m.Moved.All, m.Moved.Warning, m.Moved.Failure)
		return err
	})
}

type massPartitionsCmd struct {
	command.Remote
	Job int64 `complete:"job" arg:"" placeholder:"JOB" help:"Number of the job."`
}

// Run lists the partitions.
func (c *massPartitionsCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	list, err := command.Collect(cl.Mass.Partitions(ctx, c.Job))
	if err != nil {
		return err
	}
	return c.Tell(io, list, func(w stdio.Writer) error {
		for _, p := range list {
			days := p.From
			if p.To != p.From {
				days += " to " + p.To
			}
			fmt.Fprintf(w, "%s: %s, %s, %d series",
				days, jobs.Words(p.Status), words.Plural(p.Studies, "study", "studies"), p.Series)
			if p.Instances > 0 || p.Series == 0 { // else the source doesn't count them
				fmt.Fprintf(w, ", %s", words.Plural(int(p.Instances), "instance", "instances"))
			}
			fmt.Fprintln(w)
			if p.Message != "" && p.Status != client.Success {
				fmt.Fprintf(w, "  %s\n", command.Printable(p.Message))
			}
		}
		return nil
	})
}

type massVolumesCmd struct {
	tableFlags
	Job int64 `complete:"job" arg:"" placeholder:"JOB" help:"Number of the job."`
}

// Run writes the volumes.
func (c *massVolumesCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.JSON && c.To == "" {
		list, err := command.Collect(cl.Mass.Volumes(ctx, c.Job, client.VolumeFilter{Limit: 500}))
		if err != nil {
			return err
		}
		return command.PrintJSON(io.Out, list)
	}
	return c.write(io, func(f client.Format, w stdio.Writer) error { return cl.Mass.Export(ctx, c.Job, f, w) })
}

type massFiltersCmd struct {
	command.Remote
	File string `arg:"" type:"existingfile" placeholder:"FILE" help:"The table; its columns are named as the properties of a filter, such as modality and study_description."`
}

// Run makes filters of a table.
func (c *massFiltersCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	list, err := readFilters(ctx, cl, c.File)
	if err != nil {
		return err
	}
	return command.PrintJSON(io.Out, list)
}
