// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

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

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/people"
)

type auditCmd struct {
	List   auditListCmd   `cmd:"" help:"Who did what: changes, searches, and every study that was moved. For staff."`
	Verify auditVerifyCmd `cmd:"" help:"Find rows that were changed, removed or cut off."`
	Export auditExportCmd `cmd:"" help:"Write the log as JSON lines, with the head of its chain in the last one."`
	Months auditMonthsCmd `cmd:"" help:"List the months of the log that the database has, and what they take."`
	Detach auditDetachCmd `cmd:"" help:"Export the oldest month of the log and take it out of the database. The chain goes on over it."`
}

type auditListCmd struct {
	remote
	Study   string `placeholder:"UID" help:"Of this study (at the source)."`
	Patient string `placeholder:"ID" help:"Of this patient (at the source)."`
	User    string `placeholder:"NAME" help:"By this user."`
	Action  string `placeholder:"ACTION" help:"Of this kind: task.transfer (a study was moved), server.search, job.create, …"`
	From    string `placeholder:"TIME" help:"From then on: 2026-11-23, or 2026-11-23T20:00:00Z."`
	Until   string `placeholder:"TIME" help:"Before then."`
	Limit   int    `default:"100" placeholder:"N" help:"At most so many rows (${default}); 0: all."`
	JSON    bool   `name:"json" help:"Write JSON, with all that a row says."`
}

// Run lists rows.
func (c *auditListCmd) Run(ctx context.Context, io streams) error {
	f := client.AuditFilter{StudyUID: c.Study, PatientID: c.Patient, Username: c.User, Action: c.Action, Limit: 500}
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
	cl, err := c.client()
	if err != nil {
		return err
	}
	rows, more, err := upTo(cl.Audit(ctx, f), c.Limit)
	if err != nil {
		return err
	}
	defer sayMore(io, more, len(rows), "rows")
	if c.JSON {
		return printJSON(io.out, rows)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "TIME\tUSER\tACTION\tOBJECT\tPATIENT\tSTUDY\tFROM\tTO\tPROFILE")
	for _, r := range rows {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", stamp(r.At), printable(r.Username), printable(r.Action), printable(r.Object),
			printable(r.PatientID), printable(r.StudyUID), printable(r.Source), printable(r.Destination), printable(r.Profile))
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
		return time.Time{}, usage("%s: give a day such as 2026-11-23, or a time such as 2026-11-23T20:00:00Z", flag)
	}
	return at, nil
}

// auditDatabase says where the log is. These commands ask the database itself and no server, which may be what is suspected.
type auditDatabase struct {
	DatabaseURL string `name:"database-url" env:"ADIT_DATABASE_URL" placeholder:"URL" help:"PostgreSQL that holds the log, if it is not the embedded one."`
	DataDir     string `env:"ADIT_DATA_DIR" type:"path" default:"${data_dir}" placeholder:"DIR" help:"Data directory with the embedded PostgreSQL (${default}), whether ADIT runs or not."`
}

// use opens the log, and starts the embedded PostgreSQL meanwhile if it does not run.
func (d *auditDatabase) use(ctx context.Context, fn func(*people.Audit) error) (err error) {
	url := d.DatabaseURL
	if url == "" {
		if _, err := os.Stat(d.DataDir); err != nil {
			return usage("there is no data directory %s; name it with --data-dir, or the database with --database-url", d.DataDir)
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
	return fn(people.NewAudit(pool))
}

type auditVerifyCmd struct {
	auditDatabase
	Heads []string `name:"head" placeholder:"SEQ:HASH" help:"A head that was kept outside of the database: from the last line of an export, or from the receiver of the audit messages. May be given several times."`
	File  string   `type:"path" placeholder:"FILE" help:"Verify an export instead of the database (-: standard input)."`
}

// Help tells what can be found.
func (c *auditVerifyCmd) Help() string {
	return `Each row holds a hash of itself and of the row before it. A row that was changed or removed breaks the chain. Rows that were cut off its end, or a chain that was written anew, show only by a head that was kept elsewhere: give it with --head. The exit code is 1 if anything is found.`
}

// Run verifies.
func (c *auditVerifyCmd) Run(ctx context.Context, io streams) error {
	var heads []people.Head
	for _, text := range c.Heads {
		head, err := people.ParseHead(text)
		if err != nil {
			return usage("--head: %w", err)
		}
		heads = append(heads, head)
	}
	if c.File != "" {
		in, err := openInput(c.File)
		if err != nil {
			return err
		}
		defer func() { _ = in.Close() }() // was only read
		report, err := people.VerifyExport(in, heads...)
		if err != nil {
			return err
		}
		return tellChain(io, report)
	}
	return c.use(ctx, func(a *people.Audit) error {
		report, err := a.Verify(ctx, heads...)
		if err != nil {
			return err
		}
		return tellChain(io, report)
	})
}

func openInput(path string) (stdio.ReadCloser, error) {
	if path == "-" {
		return stdio.NopCloser(os.Stdin), nil
	}
	return os.Open(path)
}

func tellChain(io streams, r people.ChainReport) error {
	for _, f := range r.Faults {
		fmt.Fprintln(io.out, f)
	}
	for _, m := range r.Months {
		fmt.Fprintf(io.out, "%s was exported and detached: %d rows. SHA-256 of its export: %s\n", m.Month, m.Rows, m.SHA256)
	}
	for _, g := range r.Gone {
		fmt.Fprintf(io.out, "Rows %d to %d are in such exports, which --file verifies; the chain goes on over them.\n", g.From, g.To)
	}
	for _, h := range r.Passed {
		fmt.Fprintf(io.out, "The head %d could not be compared: its row was detached. Give it with --file and the export of its month.\n", h.Seq)
	}
	if r.Unsealed > 0 {
		fmt.Fprintf(io.out, "%d rows wait to be sealed, the oldest since %s; a running ADIT seals them within a second.\n", r.Unsealed, stamp(r.Oldest))
	}
	fmt.Fprintf(io.out, "%d rows were checked. Head: %s\n", r.Rows, r.Head)
	if len(r.Faults) > 0 {
		return errors.New("the audit log is not what ADIT wrote; keep the database as it is, and compare it with exports and backups")
	}
	return nil
}

type auditExportCmd struct {
	auditDatabase
	After  int64  `default:"0" placeholder:"SEQ" help:"Only rows after this one: the number in the head of the export before."`
	Output string `short:"o" type:"path" placeholder:"FILE" help:"File to be written (standard output)."`
}

// Run exports.
func (c *auditExportCmd) Run(ctx context.Context, io streams) error {
	return c.use(ctx, func(a *people.Audit) error {
		if c.Output == "" {
			_, err := a.Export(ctx, io.out, c.After)
			return err
		}
		f, err := createNew(c.Output)
		if err != nil {
			return err
		}
		head, err := a.Export(ctx, f, c.After)
		if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "The log was written to %s. Head: %s\n", c.Output, head)
		return nil
	})
}

type auditMonthsCmd struct {
	auditDatabase
}

// Run lists the months.
func (c *auditMonthsCmd) Run(ctx context.Context, io streams) error {
	return c.use(ctx, func(a *people.Audit) error {
		months, err := a.Months(ctx)
		if err != nil {
			return err
		}
		w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "MONTH\tROWS\tFROM\tTO\tMB")
		for _, m := range months {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.1f\n", m, m.Rows, m.From, m.To, float64(m.Bytes)/1e6)
		}
		return w.Flush()
	})
}

type auditDetachCmd struct {
	auditDatabase
	Month  string `arg:"" placeholder:"MONTH" help:"The oldest month that the database has, such as 2026-11 (UTC)."`
	Output string `short:"o" required:"" type:"path" placeholder:"FILE" help:"File to be written. Keep it as long as the log has to be kept: the rows are nowhere else any more."`
}

// Help tells what stays.
func (c *auditDetachCmd) Help() string {
	return `The month is written to FILE, which is read again and verified, before its rows leave the database. A row of the log, itself part of the chain, tells which rows these were, by which hashes the chain goes on over them, and the SHA-256 of FILE: adit audit verify says so, and finds any other gap.`
}

// Run exports and detaches.
func (c *auditDetachCmd) Run(ctx context.Context, io streams) error {
	return c.use(ctx, func(a *people.Audit) error {
		f, err := createNew(c.Output)
		if err != nil {
			return err
		}
		x, sum, err := exportMonth(ctx, a, f, c.Month)
		if err = errors.Join(err, f.Close()); err != nil {
			return errors.Join(err, os.Remove(c.Output))
		}
		if err := a.DetachMonth(ctx, x, sum); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "%s was written to %s (%d rows; SHA-256 %s) and is not in the database any more. Verify the file by:\n  adit audit verify --file %s",
			x.Month, c.Output, x.Month.Rows, sum, quoted(c.Output))
		if x.Before.Seq > 0 {
			fmt.Fprintf(io.out, " --head %s", x.Before)
		}
		fmt.Fprintln(io.out)
		return nil
	})
}

// exportMonth writes a month, and reads and verifies what was written.
func exportMonth(ctx context.Context, a *people.Audit, f *os.File, month string) (x people.MonthExport, sum string, err error) {
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
	report, err := people.VerifyExport(stdio.TeeReader(f, hash), x.Before)
	if err == nil && (len(report.Faults) > 0 || report.Head != x.Head) {
		err = fmt.Errorf("%s was not detached: the audit log is not what ADIT wrote; adit audit verify says where", month)
	}
	return x, hex.EncodeToString(hash.Sum(nil)), err
}
