// SPDX-License-Identifier: AGPL-3.0-or-later

// Package batchjobs makes jobs of the files that people give (engine/batch reads them), and writes the tables that they
// get back.
package batchjobs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchquery"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	jobs    *jobs.Service
	queries *batchquery.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofJobs *jobs.Service, ofQueries *batchquery.Service) *Service {
	return &Service{Base: b, jobs: ofJobs, queries: ofQueries}
}

// File is a file of rows, and how its dates and text are to be read.
type File struct {
	Bytes    []byte
	Dates    batch.Layout
	MacRoman bool
}

const (
	// MaxFile is the size of a file at most.
	MaxFile = 32 << 20
	// MaxFileOfNonStaff is the size of a file of people without staff rights.
	MaxFileOfNonStaff = 5 << 20
)

// options says how a file is read for somebody.
func (f File) options(user people.User, kind string) (batch.Options, error) {
	most := MaxFile
	if !user.IsStaff {
		most = MaxFileOfNonStaff
	}
	if len(f.Bytes) > most {
		return batch.Options{}, &refusal.Invalid{Field: "file", Reason: fmt.Sprintf(
			"the file is larger than %d MiB; split it, or remove columns that ADIT doesn't need", most>>20,
		)}
	}
	return batch.Options{Dates: f.Dates, MacRoman: f.MacRoman, Rows: jobs.MaxRows(kind, user)}, nil
}

// Preview is what a file holds, and some of its rows.
type Preview struct {
	batch.Result
	Shown []Row
}

// Row is a row as it was read: what it holds in the known columns that the file has, and then in the others.
type Row struct {
	Row   int
	Cells []string
}

const (
	shownFaulty = 500 // rows with a fault that a preview shows
	shownFine   = 50  // and rows, if there is no fault
)

// Check reads a file as that of a job of a kind, and makes nothing. pseudonymize: the rows of a transfer need no
// pseudonym.
func (svc *Service) Check(
	ctx context.Context, user people.User, kind string, f File, pseudonymize bool,
) (Preview, error) {
	o, err := f.options(user, kind)
	if err != nil {
		return Preview{}, err
	}
	var p Preview
	if kind == jobs.BatchQuery {
		q, err := batch.ReadQueries(ctx, bytes.NewReader(f.Bytes), int64(len(f.Bytes)), o)
		if err != nil {
			return Preview{}, err
		}
		p.Result, o.Columns = q.Result, batch.QueryColumns()
	} else {
		t, err := svc.readTransfers(ctx, user, f, o, pseudonymize)
		if err != nil {
			return Preview{}, err
		}
		p.Result, o.Columns = t.Result, batch.TransferColumns()
	}
	p.Shown, err = shown(ctx, f, o, p.Result)
	return p, err
}

// shown reads the rows that a preview shows.
func shown(ctx context.Context, f File, o batch.Options, found batch.Result) (rows []Row, err error) {
	faulty, most := map[int]bool{}, shownFine
	if found.Preview.FaultyRows > 0 { // other faults are of the header, or of the whole file
		most = shownFaulty
		for _, fault := range found.Faults {
			faulty[fault.Row] = true
		}
	}
	t, err := batch.Open(ctx, bytes.NewReader(f.Bytes), int64(len(f.Bytes)), o)
	if err != nil {
		return nil, err
	}
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		if len(faulty) > 0 && !faulty[row.Row] {
			continue
		}
		rows = append(rows, Row{row.Row, cellsOf(row, o.Columns, found.Preview)})
		if len(rows) == most {
			break
		}
	}
	return rows, nil
}

// cellsOf returns what a row holds, in the order of the preview's columns.
func cellsOf(row *batch.Row, known []batch.Column, p batch.Preview) []string {
	cells := make([]string, 0, len(p.Columns)+len(p.Extra))
	for _, name := range p.Columns {
		text := ""
		for i := range known {
			if known[i].Name == name && i < len(row.Cells) {
				text = row.Cells[i].Shown
			}
		}
		cells = append(cells, text)
	}
	for i := range p.Extra {
		text := ""
		if i < len(row.Extra) {
			text = row.Extra[i]
		}
		cells = append(cells, text)
	}
	return cells
}

// readTransfers reads the file of a transfer. Unless those without get a pseudonym, each row has to give one if its
// owner may not send patients, or if another row does.
func (svc *Service) readTransfers(
	ctx context.Context, user people.User, f File, o batch.Options, pseudonymize bool,
) (*batch.Transfers, error) {
	read := func(why string) (*batch.Transfers, error) {
		return batch.ReadTransfers(ctx, bytes.NewReader(f.Bytes), int64(len(f.Bytes)), o, why)
	}
	if pseudonymize {
		return read("")
	}
	err := svc.People.Check(ctx, user.ID, people.Action{Permissions: []string{people.TransferUnpseudonymized}})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return read(batch.OnlyPseudonyms)
	}
	if err != nil {
		return nil, err
	}
	t, err := read("")
	if err != nil {
		return nil, err
	}
	given := func(task batch.TransferTask) bool { return task.Pseudonym != "" }
	lacks := func(task batch.TransferTask) bool { return task.Pseudonym == "" }
	if slices.ContainsFunc(t.Tasks, given) && slices.ContainsFunc(t.Tasks, lacks) {
		return read(batch.AllPseudonyms)
	}
	return t, nil
}

// fine refuses a file that has faults.
func fine(r batch.Result) error {
	if r.Preview.Faults == 0 {
		return nil
	}
	first := r.Faults[0]
	where := "in the file"
	switch {
	case first.Cell != "":
		where = "in cell " + first.Cell
	case first.Row > 0:
		where = fmt.Sprintf("in row %d", first.Row)
	}
	count := "1 fault"
	if n := r.Preview.Faults; n > 1 {
		count = fmt.Sprintf("%d faults", n)
	}
	return &refusal.Invalid{Field: "file", Reason: fmt.Sprintf(
		"%s in %d of %d rows, so that nothing was made; the first is %s: %s Check the file to see all of them.",
		count, r.Preview.FaultyRows, r.Preview.Rows, where, first.Sentence,
	)}
}

// Query makes the jobs of a batch query of a file, as Queries reads it.
func (svc *Service) Query(ctx context.Context, user people.User, f File, q jobs.Queries) ([]jobs.Job, error) {
	q, err := svc.Queries(ctx, user, f, q)
	if err != nil {
		return nil, err
	}
	return svc.jobs.CreateQueries(ctx, user, q)
}

// Queries fills the rows and extra columns of q in, which a file has. A file with faults makes nothing.
func (svc *Service) Queries(ctx context.Context, user people.User, f File, q jobs.Queries) (jobs.Queries, error) {
	o, err := f.options(user, jobs.BatchQuery)
	if err != nil {
		return q, err
	}
	read, err := batch.ReadQueries(ctx, bytes.NewReader(f.Bytes), int64(len(f.Bytes)), o)
	if err != nil {
		return q, err
	}
	if err := fine(read.Result); err != nil {
		return q, err
	}
	q.ExtraColumns, q.Rows = read.Extra, make([]jobs.Query, len(read.Rows))
	for i, row := range read.Rows {
		numbers := make([]int32, len(row.SeriesNumbers))
		for j, n := range row.SeriesNumbers {
			number, err := strconv.ParseInt(n, 10, 32)
			if err != nil {
				return q, fmt.Errorf("series number of row %d: %w", row.Row, err) // it was checked when it was read
			}
			numbers[j] = int32(number)
		}
		q.Rows[i] = jobs.Query{
			Row: int32(row.Row), Pseudonym: row.Pseudonym, PatientID: row.PatientID, PatientName: row.PatientName,
			PatientBirthDate: row.BirthDate, AccessionNumber: row.AccessionNumber,
			StudyDateFrom: row.From, StudyDateTo: row.Until, Modalities: row.Modalities,
			StudyDescription: row.StudyDescription, SeriesDescription: row.SeriesDescription, SeriesNumbers: numbers,
			Extra: row.Extra,
		}
	}
	return q, nil
}

// Transfer makes a batch transfer of a file; of t the kind and the studies are filled in. A file with faults makes
// nothing.
func (svc *Service) Transfer(ctx context.Context, user people.User, f File, t jobs.Transfer) (jobs.Job, error) {
	o, err := f.options(user, jobs.BatchTransfer)
	if err != nil {
		return jobs.Job{}, err
	}
	read, err := svc.readTransfers(ctx, user, f, o, t.Pseudonymize)
	if err != nil {
		return jobs.Job{}, err
	}
	if err := fine(read.Result); err != nil {
		return jobs.Job{}, err
	}
	t.Kind, t.Studies = jobs.BatchTransfer, make([]jobs.Study, len(read.Tasks))
	for i, task := range read.Tasks {
		s := jobs.Study{
			StudyInstanceUID: task.StudyInstanceUID, SeriesInstanceUIDs: task.Series,
			PatientID: task.PatientID, Pseudonym: task.Pseudonym,
		}
		for _, row := range task.Rows {
			s.Rows = append(s.Rows, int32(row.Row))
		}
		t.Studies[i] = s
	}
	return svc.jobs.Create(ctx, user, t)
}

// Sample writes a small file with all columns of a kind, for people to begin with.
func Sample(kind string, f batch.Format, w io.Writer) error {
	sample := batch.QuerySample()
	if kind == jobs.BatchTransfer {
		sample = batch.TransferSample()
	}
	switch f {
	case batch.FormatCSV:
		return sample.CSV(w, ',')
	case batch.FormatCSVSemicolon:
		return sample.CSV(w, ';')
	}
	return sample.XLSX(w)
}
