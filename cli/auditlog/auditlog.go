// SPDX-License-Identifier: AGPL-3.0-or-later

// Package auditlog are the commands of the audit log.
package auditlog

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	stdio "io"
	"log/slog"
	"os"
	"text/tabwriter"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/words"
)

// Cmd is the command adit audit.
type Cmd struct {
	List   listCmd   `cmd:"" help:"Who did what: changes, searches, and every study that was moved. For staff."`
	Verify verifyCmd `cmd:"" help:"Check the log for rows that were changed, removed or cut off."`
	Export exportCmd `cmd:"" help:"Write the log as JSON lines; the last line holds the head of its chain."`
	Months monthsCmd `cmd:"" help:"List the months of the log in the database, and their size."`
	Detach detachCmd `cmd:"" help:"Export the oldest month of the log and remove it from the database. The chain stays verifiable."`
}

type listCmd struct {
	command.Remote
	Study   string `placeholder:"UID" help:"Only this study (its UID at the source)."`
	Patient string `placeholder:"ID" help:"Only this patient (the ID at the source)."`
	User    string `complete:"user" placeholder:"NAME" help:"Only this user."`
	Action  string `placeholder:"ACTION" help:"Only this action: task.transfer (a study was moved), server.search, job.create, …"`
	From    string `placeholder:"TIME" help:"From this time on: 2026-11-23, or 2026-11-23T20:00:00Z."`
	Until   string `placeholder:"TIME" help:"Before this time."`
	Limit   int    `default:"100" placeholder:"N" help:"Maximum number of rows (${default}); 0: all."`
}

// Run lists rows.
func (c *listCmd) Run(ctx context.Context, io command.Streams) error {
	f := client.AuditFilter{
		StudyUID: c.Study, PatientID: c.Patient, Username: c.User, Action: c.Action, Part: client.Part{Limit: 500},
	}
	if c.Limit > 0 {
		f.Limit = min(c.Limit+1, 500) // one more tells whether there are more
	}
	var err error
	if f.From, err = instantOf("--from", c.From); err != nil {
		return err
	}
	if f.Until, err = instantOf("--until", c.Until); err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	rows, more, err := command.UpTo(cl.Audit.List(ctx, f), c.Limit)
	if err != nil {
		return err
	}
	defer command.SayMore(io, more, len(rows), "rows")
	if c.JSON {
		return command.PrintJSON(io.Out, rows)
	}
	if len(rows) == 0 {
		fmt.Fprintln(io.Out, "The audit log has no rows that match.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tUSER\tACTION\tOBJECT\tPATIENT\tSTUDY\tFROM\tTO\tPROFILE")
	for _, r := range rows {
		fmt.Fprintf(
			w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", command.Stamp(r.At), command.Printable(r.Username),
			command.Printable(r.Action), command.Printable(r.Object),
			command.Printable(r.PatientID), command.Printable(r.StudyUID), command.Printable(r.Source),
			command.Printable(r.Destination), command.Printable(r.Profile),
		)
	}
	return w.Flush()
}

// instantOf reads a time of a flag: a day begins at midnight of this machine's time zone.
func instantOf(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if day, err := time.ParseInLocation(time.DateOnly, text, time.Local); err == nil {
		return day, nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{},
			command.Usage("%s: give a day such as 2026-11-23, or a time such as 2026-11-23T20:00:00Z", flag)
	}
	return at, nil
}

// database says where the log is. These commands ask the database itself and no server, which may be what is
// suspected.
type database struct {
	command.Output
	DatabaseURL string `name:"database-url" env:"ADIT_DATABASE_URL" placeholder:"URL" help:"PostgreSQL that holds the log, if it is not the embedded one."`
	DataDir     string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Data directory with the embedded PostgreSQL (${default}), whether ADIT runs or not."`
}

// databaseGrace is how long the embedded PostgreSQL may take to end.
const databaseGrace = 20 * time.Second

// use opens the log, and starts the embedded PostgreSQL meanwhile if it does not run.
func (d *database) use(ctx context.Context, fn func(*audit.Service) error) (err error) {
	url := d.DatabaseURL
	if url == "" {
		if _, err := os.Stat(d.DataDir); err != nil {
			return command.Usage(
				"there is no data directory %s; name it with --data-dir, or the database with --database-url",
				d.DataDir,
			)
		}
		srv, err := local.Start(ctx, d.DataDir, slog.New(slog.DiscardHandler))
		switch {
		case errors.Is(err, local.ErrInUse):
			url, err = local.URL(d.DataDir)
		case err == nil:
			url = srv.URL()
			defer func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), databaseGrace)
				defer cancel()
				err = errors.Join(err, srv.Stop(ctx))
			}()
		}
		if err != nil {
			return err
		}
	}
	pool, err := db.Open(ctx, url, db.Options{})
	if err != nil {
		return err
	}
	defer pool.Close()
	if err := db.CheckSchema(ctx, pool); err != nil {
		return err
	}
	return fn(audit.New(pool))
}

type verifyCmd struct {
	database
	Heads []string `name:"head" placeholder:"SEQ:HASH" help:"A head that was kept outside the database: from the last line of an export, or from the receiver of the audit messages. The flag may be given several times."`
	File  string   `type:"path" placeholder:"FILE" help:"Verify an export instead of the database (-: standard input)."`
}

// Help tells what can be found.
func (c *verifyCmd) Help() string {
	return `Each row holds a hash of itself and of the row before it. A row that was changed or removed breaks the chain. Rows that were cut off at the end, or a chain that was rewritten as a whole, show only by a head that was kept elsewhere: give it with --head. The exit code is 1 if the command finds a fault.`
}

// Run verifies.
func (c *verifyCmd) Run(ctx context.Context, io command.Streams) error {
	var heads []audit.Head
	for _, text := range c.Heads {
		head, err := audit.ParseHead(text)
		if err != nil {
			return command.Usage("--head: %w", err)
		}
		heads = append(heads, head)
	}
	if c.File != "" {
		in, err := openInput(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }() // was only read
		report, err := audit.VerifyExport(in, heads...)
		if err != nil {
			return err
		}
		return c.tell(io, report)
	}
	return c.use(ctx, func(a *audit.Service) error {
		report, err := a.Verify(ctx, heads...)
		if err != nil {
			return err
		}
		return c.tell(io, report)
	})
}

// chainReport is what audit verify --json writes.
type chainReport struct {
	Rows     int64             `json:"rows"`
	Head     string            `json:"head"`
	Faults   []string          `json:"faults"`
	Gone     []audit.GoneRows  `json:"gone"`
	Months   []audit.GoneMonth `json:"detached_months"`
	Passed   []string          `json:"heads_not_compared"`
	Unsealed int64             `json:"unsealed"`
}

func (c *verifyCmd) tell(io command.Streams, r audit.ChainReport) error {
	if !c.JSON {
		tellChain(io, r)
	} else if err := command.PrintJSON(io.Out, jsonChain(r)); err != nil {
		return err
	}
	if len(r.Faults) > 0 {
		return errors.New(
			"the audit log is not what ADIT wrote; keep the database as it is, and compare it with exports and backups",
		)
	}
	return nil
}

func jsonChain(r audit.ChainReport) chainReport {
	out := chainReport{
		Rows: r.Rows, Head: r.Head.String(), Faults: []string{}, Gone: append([]audit.GoneRows{}, r.Gone...),
		Months: append([]audit.GoneMonth{}, r.Months...), Passed: []string{}, Unsealed: r.Unsealed,
	}
	for _, f := range r.Faults {
		out.Faults = append(out.Faults, f.String())
	}
	for _, h := range r.Passed {
		out.Passed = append(out.Passed, h.String())
	}
	return out
}

func openInput(path string) (stdio.ReadCloser, error) {
	if path == "-" {
		return stdio.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

func tellChain(io command.Streams, r audit.ChainReport) {
	for _, f := range r.Faults {
		fmt.Fprintln(io.Out, f)
	}
	for _, m := range r.Months {
		fmt.Fprintf(
			io.Out, "%s was exported and detached: %s. SHA-256 of its export: %s\n", m.Month,
			words.Plural(m.Rows, "row", "rows"), m.SHA256,
		)
	}
	for _, g := range r.Gone {
		fmt.Fprintf(
			io.Out, "Rows %d to %d are in such exports, which --file verifies; the chain goes on over them.\n",
			g.From, g.To,
		)
	}
	for _, h := range r.Passed {
		fmt.Fprintf(io.Out,
			"The head %d could not be compared: its row was detached. Give it with --file and the export of its "+
				"month.\n",
			h.Seq,
		)
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(
			io.Out, "%s to be sealed, the oldest since %s; a running ADIT seals them within a second.\n",
			words.Plural(r.Unsealed, "row waits", "rows wait"), command.Stamp(r.Oldest),
		)
	}
	fmt.Fprintf(io.Out, "%s checked. Head: %s\n", words.Plural(r.Rows, "row was", "rows were"), r.Head)
}

type exportCmd struct {
	database
	After int64  `default:"0" placeholder:"SEQ" help:"Only rows after this one: the number in the head of the previous export."`
	File  string `name:"output" short:"o" type:"path" placeholder:"FILE" help:"File to write (standard output, always as JSON lines)."`
}

// Run exports.
func (c *exportCmd) Run(ctx context.Context, io command.Streams) error {
	return c.use(ctx, func(a *audit.Service) error {
		if c.File == "" {
			_, err := a.Export(ctx, io.Out, c.After)
			return err
		}
		f, err := command.CreateNew(c.File)
		if err != nil {
			return err
		}
		head, err := a.Export(ctx, f, c.After)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		return c.Say(
			io, command.Done{"done": "exported", "file": c.File, "head": head.String()},
			"The log was written to %s. Head: %s", c.File, head,
		)
	})
}

type monthsCmd struct {
	database
}

// Run lists the months.
func (c *monthsCmd) Run(ctx context.Context, io command.Streams) error {
	return c.use(ctx, func(a *audit.Service) error {
		months, err := a.Months(ctx)
		if err != nil {
			return err
		}
		if c.JSON {
			return command.PrintJSON(io.Out, jsonMonths(months))
		}
		w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "MONTH\tROWS\tFROM\tTO\tMB")
		for _, m := range months {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.1f\n", m, m.Rows, m.From, m.To, float64(m.Bytes)/1e6)
		}
		return w.Flush()
	})
}

// month is a month as audit months --json writes it.
type month struct {
	Month string `json:"month"`
	Rows  int64  `json:"rows"`
	From  int64  `json:"from"`
	To    int64  `json:"to"`
	Bytes int64  `json:"bytes"`
}

func jsonMonths(months []audit.Month) []month {
	out := []month{}
	for _, m := range months {
		out = append(out, month{m.String(), m.Rows, m.From, m.To, m.Bytes})
	}
	return out
}

type detachCmd struct {
	database
	Month string `arg:"" placeholder:"MONTH" help:"The oldest month that the database has, such as 2026-11 (UTC)."`
	File  string `name:"output" short:"o" required:"" type:"path" placeholder:"FILE" help:"File to write. Keep it for as long as you must keep the log: the rows are stored nowhere else."`
}

// Help tells what stays.
func (c *detachCmd) Help() string {
	return `The command writes the month to FILE, and reads and verifies FILE before the rows leave the database. A new row of the log, itself part of the chain, records which rows these were, the hashes that join the chain, and the SHA-256 of FILE. adit audit verify reports this gap, and finds any other one.`
}

// Run exports and detaches.
func (c *detachCmd) Run(ctx context.Context, io command.Streams) error {
	return c.use(ctx, func(a *audit.Service) error {
		f, err := command.CreateNew(c.File)
		if err != nil {
			return err
		}
		x, sum, err := exportMonth(ctx, a, f, c.Month)
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, os.Remove(c.File))
		}
		if err := a.DetachMonth(ctx, x, sum); err != nil {
			return err
		}
		if c.JSON {
			return command.PrintJSON(io.Out, command.Done{
				"done": "detached", "month": x.Month.String(), "file": c.File, "rows": x.Month.Rows, "sha256": sum,
				"before": x.Before.String(), "head": x.Head.String(),
			})
		}
		fmt.Fprintf(io.Out, "%s was written to %s (%d rows; SHA-256 %s) and has left the database. Verify "+
			"the file by:\n  adit audit verify --file %s",
			x.Month, c.File, x.Month.Rows, sum, text.ShellWord(c.File))
		if x.Before.Seq > 0 {
			fmt.Fprintf(io.Out, " --head %s", x.Before)
		}
		fmt.Fprintln(io.Out)
		return nil
	})
}

// exportMonth writes a month, and reads and verifies what was written.
func exportMonth(ctx context.Context, a *audit.Service, f *os.File, month string) (
	x audit.MonthExport, sum string, err error,
) {
	if x, err = a.ExportMonth(ctx, f, month); err == nil {
		err = f.Sync()
	}
	if err == nil {
		_, err = f.Seek(0, stdio.SeekStart)
	}
	if err != nil {
		return x, "", err
	}
	hash := sha256.New()
	report, err := audit.VerifyExport(stdio.TeeReader(f, hash), x.Before)
	if err == nil && (len(report.Faults) > 0 || report.Head != x.Head) {
		err = fmt.Errorf(
			"%s was not detached: the audit log is not what ADIT wrote; adit audit verify says where", month,
		)
	}
	return x, hex.EncodeToString(hash.Sum(nil)), err
}
