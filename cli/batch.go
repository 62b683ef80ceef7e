// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	stdio "io"
	"os"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/jobs"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

type batchCmd struct {
	Query    batchQueryCmd    `cmd:"" help:"Ask servers what each row of a file describes."`
	Transfer batchTransferCmd `cmd:"" help:"Move the studies that the rows of a file name."`
	Results  batchResultsCmd  `cmd:"" help:"Write what a batch query found as a table, which a batch transfer takes as it is."`
	Failed   batchFailedCmd   `cmd:"" help:"Write the rows of a batch query that failed, with the reason; the table can be used again."`
	Sample   batchSampleCmd   `cmd:"" help:"Write a small file with all columns, to begin with."`
}

// batchFile is a file of rows on the command line.
type batchFile struct {
	File     string `arg:"" placeholder:"FILE" help:"The file, .xlsx or CSV; its first row names the columns. - reads it from the standard input."`
	Dates    string `enum:"DD.MM.YYYY,MM/DD/YYYY," default:"" placeholder:"DD.MM.YYYY|MM/DD/YYYY" help:"How dates are written beside YYYY-MM-DD, which is always understood."`
	MacRoman bool   `help:"A CSV file that is not UTF-8 is in MacRoman, not in Windows-1252."`
	DryRun   bool   `help:"Say what is in the file and what is wrong with it, and make nothing. With a fault the exit code is 1."`
	Remarks  string `type:"path" placeholder:"FILE" help:"With --dry-run: write the rows with what is wrong with them to this file, an .xlsx that must not exist yet. Corrected there, it can be used in place of the first one."`

	aboutFlags
}

// aboutFlags are what people write about a job.
type aboutFlags struct {
	Title       string `placeholder:"TEXT" help:"What the job is called, for people."`
	Description string `placeholder:"TEXT" help:"What the job is for."`
	EthicsID    string `name:"ethics-id" placeholder:"ID" help:"Number of the application to the ethics committee."`
}

// maxBatchFile is what the server takes at most.
const maxBatchFile = 32 << 20

func (f batchFile) read() (client.BatchFile, error) {
	if f.Remarks != "" && !f.DryRun {
		return client.BatchFile{}, command.Usage("--remarks needs --dry-run, which makes nothing of the file")
	}
	from := os.Stdin
	if f.File != "-" {
		file, err := os.Open(f.File)
		if err != nil {
			return client.BatchFile{}, err
		}
		defer func() { _ = file.Close() }()
		from = file
	}
	content, err := stdio.ReadAll(stdio.LimitReader(from, maxBatchFile+1))
	if err != nil {
		return client.BatchFile{}, err
	}
	if len(content) > maxBatchFile {
		return client.BatchFile{}, fmt.Errorf("%s is larger than 32 MiB; split it", command.Printable(f.File))
	}
	return client.BatchFile{File: content, Dates: f.Dates, MacRoman: f.MacRoman}, nil
}

func (f aboutFlags) about() client.BatchAbout {
	return client.BatchAbout{Title: f.Title, Description: f.Description, EthicsID: f.EthicsID}
}

// dryRun says what is in a file, and writes it with remarks if asked to. An error is the exit code if it has a fault.
func (f batchFile) dryRun(
	ctx context.Context, streams command.Streams, o command.Output, cl *client.Client, b client.BatchToCheck,
) error {
	p, err := cl.Batch.Check(ctx, b)
	if err != nil {
		return err
	}
	if err := o.Tell(streams, p, func(w stdio.Writer) error { return tellPreview(w, b.Kind, p) }); err != nil {
		return err
	}
	if f.Remarks != "" {
		if err := command.WriteNew(f.Remarks, func(w stdio.Writer) error { return cl.Batch.Remarks(ctx, b, w) }); err != nil {
			return err
		}
		fmt.Fprintf(o.Progress(streams), "%s was written.\n", command.Printable(f.Remarks))
	}
	if p.FaultCount > 0 {
		return &command.Status{Code: command.ExitFailure}
	}
	return nil
}

func tellPreview(w stdio.Writer, kind string, p client.BatchPreview) error {
	tasks := words.Plural(p.Tasks, "query", "queries")
	if kind == client.BatchTransfer {
		tasks = words.Plural(p.Tasks, "study", "studies")
	}
	for _, f := range p.Faults {
		fmt.Fprintf(w, "%s: %s\n", placeOf(f), command.Printable(f.Says))
	}
	if more := p.FaultCount - len(p.Faults); more > 0 {
		fmt.Fprintf(w, "… and %s\n", words.Plural(more, "further fault", "further faults"))
	}
	for _, h := range p.Hints {
		fmt.Fprintf(w, "%s: look at this: %s\n", placeOf(h), command.Printable(h.Says))
	}
	if len(p.ExtraColumns) > 0 {
		fmt.Fprintf(w, "ADIT does not know these columns and keeps them beside: %s.\n",
			command.Printable(strings.Join(p.ExtraColumns, ", ")))
	}
	if p.FaultCount > 0 {
		_, err := fmt.Fprintf(w, "%d of %s have faults. Nothing can be made of this file; the other %d are fine.\n",
			p.FaultyRows, words.Plural(p.Rows, "row", "rows"), p.Rows-p.FaultyRows)
		return err
	}
	_, err := fmt.Fprintf(w, "%s, %s of %s.\n", words.Plural(p.Rows, "row", "rows"), tasks,
		words.Plural(p.Patients, "patient", "patients"))
	return err
}

func placeOf(f client.BatchFault) string {
	switch {
	case f.Cell != "":
		return "Cell " + f.Cell
	case f.Row > 0:
		return fmt.Sprintf("Row %d", f.Row)
	}
	return "The file"
}

type batchQueryCmd struct {
	command.Remote
	batchFile
	Source  []string `complete:"source" required:"" placeholder:"NAME" help:"Name of the server to ask. For several, separate them by commas or repeat the flag; each gets a job of its own."`
	Project string   `complete:"project" placeholder:"NAME" help:"Project that the jobs belong to. Default: the default project of your active group."`
	every
	jobs.Flags
}

// Run makes the jobs, and waits for them if asked to.
func (c *batchQueryCmd) Run(ctx context.Context, io command.Streams) error {
	if err := c.Check(); err != nil {
		return err
	}
	file, err := c.read()
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(ctx, io, c.Output, cl, client.BatchToCheck{BatchFile: file, Kind: client.BatchQuery})
	}
	query := client.NewBatchQuery{
		BatchFile: file, BatchAbout: c.about(), Sources: c.Source, Project: c.Project, Urgent: c.Urgent,
		OutsideWindows: c.OutsideWindows, MailWhenFinished: c.Mail,
	}
	if c.Every != "" {
		return c.make(ctx, io, c.Output, cl, client.NewRecurrence{Query: &query}, c.Wait)
	}
	made, err := cl.Batch.Query(ctx, query, "")
	if err != nil {
		return err
	}
	if !c.Wait {
		return c.Tell(io, made, func(w stdio.Writer) error {
			for _, job := range made {
				fmt.Fprintf(w, "Job %d was made, which asks %s; adit job get %d shows its progress.\n",
					job.ID, command.Printable(job.Source), job.ID)
			}
			return nil
		})
	}
	ids := make([]int64, len(made))
	for i, job := range made {
		ids[i] = job.ID
		fmt.Fprintf(c.Progress(io), "Job %d was made, which asks %s.\n", job.ID, command.Printable(job.Source))
	}
	return jobs.WaitForAll(ctx, io, c.Output, cl, ids, c.GiveUpAfter)
}

type batchTransferCmd struct {
	command.Remote
	batchFile
	Source       string `complete:"source" required:"" placeholder:"NAME" help:"Name of the server to read from."`
	Destination  string `complete:"destination" required:"" placeholder:"NAME" help:"Name of the server or folder to write to."`
	Project      string `complete:"project" placeholder:"NAME" help:"Project whose key and profile pseudonymize. Default: the default project of your active group."`
	Pseudonymize bool   `help:"De-identify. Studies without a pseudonym in the file get their patient's pseudonym from the project's linkage table, or a new one."`
	jobs.SentFlags
	jobs.ArchiveFlags
	jobs.Flags
}

// Run makes the job, and waits for it if asked to.
func (c *batchTransferCmd) Run(ctx context.Context, io command.Streams) error {
	if err := c.Check(); err != nil {
		return err
	}
	file, err := c.read()
	if err != nil {
		return err
	}
	password, err := c.Password(io, c.File == "-")
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.dryRun(ctx, io, c.Output, cl, client.BatchToCheck{
			BatchFile: file, Kind: client.BatchTransfer, Pseudonymize: c.Pseudonymize,
		})
	}
	b := client.NewBatchTransfer{
		BatchFile: file, BatchAbout: c.about(), Source: c.Source, Destination: c.Destination, Project: c.Project,
		Pseudonymize: c.Pseudonymize, TrialProtocolID: c.TrialID, TrialProtocolName: c.TrialName,
		LeaveOutRejected: c.LeaveOutRejected(), Urgent: c.Urgent,
		OutsideWindows: c.OutsideWindows, MailWhenFinished: c.Mail, ArchivePassword: password,
	}
	made, err := cl.Batch.Transfer(ctx, b, "")
	if err != nil {
		return err
	}
	return c.Follow(ctx, io, c.Output, cl, made)
}

// tableFlags say where a table goes.
type tableFlags struct {
	command.Remote
	Format client.Format `enum:"xlsx,csv,csv-semicolon," default:"" placeholder:"xlsx|csv|csv-semicolon" help:"How the table is written. Default: as the name of the file says, else csv."`
	To     string        `name:"output" short:"o" type:"path" placeholder:"FILE" help:"Write to this file, which must not exist yet. Default: the standard output."`
}

// write writes a table as it is wanted.
func (t tableFlags) write(streams command.Streams, table func(f client.Format, w stdio.Writer) error) error {
	format := t.Format
	if format == "" {
		if format = client.CSV; strings.HasSuffix(strings.ToLower(t.To), ".xlsx") {
			format = client.XLSX
		}
	}
	if t.To == "" && t.JSON {
		return command.Usage("--json tells of a file that was written; name the file by --output")
	}
	if t.To == "" {
		return table(format, streams.Out)
	}
	if err := command.WriteNew(t.To, func(w stdio.Writer) error { return table(format, w) }); err != nil {
		return err
	}
	return t.Say(streams, command.Done{"done": "written", "file": t.To}, "%s was written.", command.Printable(t.To))
}

type batchResultsCmd struct {
	tableFlags
	Job        int64 `complete:"job" arg:"" placeholder:"JOB" help:"Number of the job."`
	AllSources bool  `help:"What all jobs found that were made together, one for each source."`
}

// Run writes what a batch query found.
func (c *batchResultsCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.JSON && c.To == "" {
		found, err := command.Collect(cl.Batch.Results(ctx, c.Job, client.ResultFilter{AllSources: c.AllSources, Limit: 500}))
		if err != nil {
			return err
		}
		return command.PrintJSON(io.Out, found)
	}
	return c.write(io, func(f client.Format, w stdio.Writer) error {
		return cl.Batch.Export(ctx, c.Job, c.AllSources, f, w)
	})
}

type batchFailedCmd struct {
	tableFlags
	Job int64 `complete:"job" arg:"" placeholder:"JOB" help:"Number of the job."`
}

// Run writes the rows that failed.
func (c *batchFailedCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	return c.write(io, func(f client.Format, w stdio.Writer) error { return cl.Batch.FailedRows(ctx, c.Job, f, w) })
}

type batchSampleCmd struct {
	tableFlags
	Kind string `arg:"" enum:"query,transfer" placeholder:"query|transfer" help:"Of what it is a sample."`
}

// Run writes a sample.
func (c *batchSampleCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	return c.write(io, func(f client.Format, w stdio.Writer) error { return cl.Batch.Sample(ctx, "batch_"+c.Kind, f, w) })
}
