// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"archive/zip"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"strconv"
	"strings"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/batch"
)

const (
	manyRows     = 100_000
	manyQueries  = 10_000
	fewQueries   = 1_000
	manyResults  = 100_000
	studiesOfOne = 100 // of one patient: each row finds as many
)

// atLeast tells whether ours does so many a second.
func atLeast(perSecond float64) func(r result) bool {
	return func(r result) bool {
		return r.median(func(p pair) float64 { return p.ours.perSecond() }) >= perSecond
	}
}

// batches are the rows of batch files and batch queries.
var batches = []comparison{
	{
		name: "batch-file", what: "Checking a batch file of 100,000 rows: rows/s",
		ours: ".xlsx", theirs: "the same rows in CSV",
		required: "≥ 5,000 rows/s (< 20 s)", met: func(r result) bool {
			return r.median(func(p pair) float64 { return p.ours.perSecond() }) >= manyRows/20
		},
		prepare: batchFiles,
	},
	{
		name: "batch-bomb", what: "Refusing a file of 0.5 MB with a cell in column XFD of each of 100,000 rows: files/s",
		ours: "the bomb", theirs: "a file of one row, checked",
		required: "≥ 1/s", met: atLeast(1),
		prepare: batchBombs,
	},
	{
		name: "queries", what: "A batch query at a PACS of our own that answers at once: rows/s",
		ours: "10,000 rows at a cap of 8", theirs: "1,000 rows at a cap of 1",
		required: "≥ 1×", met: func(r result) bool { return r.ratio() >= 1 },
		prepare: batchQueries,
	},
	{
		name: "results", what: "The first page of a batch query's results, 50: pages/s",
		ours: "of 100,000 results", theirs: "of 100 results",
		required: "≥ 0.33× (≤ 3 times as long)", met: func(r result) bool { return r.ratio() >= 1.0/3 },
		prepare: pagesOfResults,
	},
}

// checking checks a file, which is refused as a whole or not.
func (a *aditServer) checking(ctx context.Context, n int, file []byte, refused bool) side {
	return func() (sample, error) {
		return a.timed(n, func() error {
			p, err := a.Batch.Check(ctx, client.BatchToCheck{
				Kind: client.BatchQuery, BatchFile: client.BatchFile{File: file},
			})
			switch {
			case refused && err == nil:
				return errors.New("the file was not refused")
			case refused, err != nil:
				var problem *client.Problem
				if refused && errors.As(err, &problem) && problem.Status == 422 {
					return nil
				}
				return err
			case p.Rows != n || p.FaultCount > 0:
				return fmt.Errorf("%d of %d rows, %d faults", p.Rows, n, p.FaultCount)
			}
			return nil
		})
	}
}

func batchFiles(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.idle(in, "batch-file")
	if err != nil {
		return nil, nil, err
	}
	files := map[batch.Format][]byte{}
	for _, format := range []batch.Format{batch.FormatXLSX, batch.FormatCSV} {
		var file bytes.Buffer
		t, err := batch.NewTable(&file, format, "Rows", []batch.ExportColumn{
			{Name: "PatientID"}, {Name: "Modality"}, {Name: "StudyDescription"},
		})
		if err != nil {
			return nil, nil, err
		}
		for i := range manyRows {
			if err := t.Row(fmt.Sprintf("%010d", i), "CT", "*head*"); err != nil {
				return nil, nil, err
			}
		}
		if err := errors.Join(t.Finish(), t.Close()); err != nil {
			return nil, nil, err
		}
		files[format] = file.Bytes()
	}
	return a.checking(in.ctx, manyRows, files[batch.FormatXLSX], false),
		a.checking(in.ctx, manyRows, files[batch.FormatCSV], false), nil
}

func batchBombs(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.idle(in, "batch-bomb")
	if err != nil {
		return nil, nil, err
	}
	var bomb bytes.Buffer
	z := zip.NewWriter(&bomb)
	for name, write := range map[string]func(io.Writer){
		"[Content_Types].xml": func(w io.Writer) {
			fmt.Fprint(w, `<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Override PartName="/xl/workbook.xml" ContentType="application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/></Types>`)
		},
		"_rels/.rels": func(w io.Writer) {
			fmt.Fprint(w, `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument" Target="xl/workbook.xml"/></Relationships>`)
		},
		"xl/workbook.xml": func(w io.Writer) {
			fmt.Fprint(w, `<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="A" sheetId="1" r:id="r1"/></sheets></workbook>`)
		},
		"xl/_rels/workbook.xml.rels": func(w io.Writer) {
			fmt.Fprint(w, `<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet" Target="worksheets/sheet1.xml"/></Relationships>`)
		},
		"xl/worksheets/sheet1.xml": func(w io.Writer) {
			fmt.Fprint(w, `<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>PatientID</t></is></c></row>`)
			for i := range manyRows {
				fmt.Fprintf(w, `<row r="%d"><c r="XFD%d"><v>1</v></c></row>`, i+2, i+2)
			}
			fmt.Fprint(w, `</sheetData></worksheet>`)
		},
	} {
		w, err := z.Create(name)
		if err != nil {
			return nil, nil, err
		}
		write(w)
	}
	if err := z.Close(); err != nil {
		return nil, nil, err
	}
	small := []byte("PatientID,Modality\n1,CT\n")
	return a.checking(in.ctx, 1, bomb.Bytes(), true), a.checking(in.ctx, 1, small, false), nil
}

// asked starts an adit serve with a server named source, a PACS of our own.
func (b *bench) asked(in *room, name string, studies []*phantom.Study) (*aditServer, error) {
	p, err := pacs.Start(pacs.Config{AETitle: "SOURCE", Studies: studies})
	if err != nil {
		return nil, err
	}
	in.closers = append(in.closers, p.Close)
	a, err := b.serve(in, name)
	if err != nil {
		return nil, err
	}
	_, port, err := net.SplitHostPort(p.Addr())
	if err != nil {
		return nil, err
	}
	return a, a.add(in.ctx, "source", "SOURCE", &server{port: port})
}

// query asks the source for rows of a patient, and waits until it has.
func (a *aditServer) query(ctx context.Context, rows int) (client.Job, error) {
	file := "PatientID,Modality\n" + strings.Repeat("BENCH-1,CT\n", rows)
	jobs, err := a.Batch.Query(ctx, client.NewBatchQuery{
		BatchFile: client.BatchFile{File: []byte(file)}, Sources: []string{"source"},
	}, "")
	if err != nil {
		return client.Job{}, err
	}
	job, err := a.Jobs.Wait(ctx, jobs[0].ID, nil)
	if err == nil && job.Status != client.Success && job.Status != client.Warning {
		err = fmt.Errorf("job %d ended with %s: %s", job.ID, job.Status, job.Message)
	}
	return job, err
}

// studiesOf makes so many studies of one patient.
func studiesOf(n int) []*phantom.Study {
	studies := make([]*phantom.Study, n)
	for i := range studies {
		studies[i] = phantom.New(uint64(880_000+i), phantom.StudySpec{
			Patient: phantom.Patient{ID: "BENCH-1", Name: "Bench^One", BirthDate: "19500101", Sex: "F"},
			Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 16, Columns: 16}},
		})
	}
	return studies
}

func batchQueries(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.asked(in, "queries", studiesOf(1))
	if err != nil {
		return nil, nil, err
	}
	rows := func(limit, n int) side {
		return func() (sample, error) {
			if _, err := a.Servers.SetSchedule(in.ctx, "source", client.Schedule{
				Default: client.Limits{Batch: limit, Interactive: 1},
			}); err != nil {
				return sample{}, err
			}
			return a.timed(n, func() error {
				_, err := a.query(in.ctx, n)
				return err
			})
		}
	}
	return rows(8, manyQueries), rows(1, fewQueries), nil
}

func pagesOfResults(b *bench, in *room) (ours, theirs side, err error) {
	a, err := b.asked(in, "results", studiesOf(studiesOfOne))
	if err != nil {
		return nil, nil, err
	}
	if _, err := a.Servers.SetSchedule(in.ctx, "source", client.Schedule{
		Default: client.Limits{Batch: 8, Interactive: 1},
	}); err != nil {
		return nil, nil, err
	}
	var sides [2]side
	for i, rows := range []int{manyResults / studiesOfOne, 1} {
		job, err := a.query(in.ctx, rows)
		if err != nil {
			return nil, nil, err
		}
		if n, err := a.Batch.Count(in.ctx, job.ID, false); err != nil || n.Results != int64(rows*studiesOfOne) {
			return nil, nil, errors.Join(err, errors.New("the query found "+strconv.FormatInt(n.Results, 10)+" results"))
		}
		sides[i] = firstPage(a, pageOfJobs, func() iter.Seq2[client.QueryResult, error] {
			return a.Batch.Results(in.ctx, job.ID, client.ResultFilter{Limit: pageOfJobs})
		})
	}
	return sides[0], sides[1], nil
}
