// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/batch"
	"github.com/adit-go/adit/engine/batchjobs"
	"github.com/adit-go/adit/engine/batchquery"
)

// maxBatchFaults is how many faults of a file are told, and how many hints.
const maxBatchFaults = 1000

// BatchPreview returns what a file holds.
func BatchPreview(p batchjobs.Preview) client.BatchPreview {
	of := p.Preview
	out := client.BatchPreview{
		Sheet: of.Sheet, Encoding: of.Encoding, Delimiter: of.Delimiter, Columns: list(of.Columns),
		ExtraColumns: list(of.Extra), Rows: of.Rows, FaultyRows: of.FaultyRows, Tasks: of.Tasks, MergedRows: of.MergedRows,
		Patients: of.Patients, IdentifiedRows: of.IdentifiedRows, FaultCount: of.Faults, Kinds: []client.BatchKind{},
		Faults: batchFaults(p.Faults), Hints: batchFaults(p.Hints), Shown: []client.BatchRow{},
	}
	for _, k := range of.Kinds {
		out.Kinds = append(out.Kinds, client.BatchKind{Kind: string(k.Kind), Title: k.Kind.Title(), Count: k.Count})
	}
	for _, row := range p.Shown {
		out.Shown = append(out.Shown, client.BatchRow{Row: row.Row, Cells: list(row.Cells)})
	}
	return out
}

func batchFaults(faults []batch.Fault) []client.BatchFault {
	out := make([]client.BatchFault, min(len(faults), maxBatchFaults))
	for i := range out {
		f := faults[i]
		out[i] = client.BatchFault{
			Row: f.Row, Column: f.Column, Cell: f.Cell, Text: f.Text, Kind: string(f.Kind), Says: f.Sentence,
		}
	}
	return out
}

// list returns a list that is [] if it has nothing, not null.
func list(texts []string) []string { return append([]string{}, texts...) }

// QueryResult returns what a batch query found.
func QueryResult(r batchquery.Result) client.QueryResult {
	out := client.QueryResult{
		ID: r.ID, JobID: r.JobID, TaskID: r.TaskID, Source: r.Source, Row: int(r.Row), Pseudonym: r.Pseudonym,
		PatientID: r.PatientID, PatientName: r.PatientName, PatientBirthDate: r.PatientBirthDate,
		AccessionNumber: r.AccessionNumber, StudyInstanceUID: r.StudyInstanceUid, StudyDate: r.StudyDate,
		StudyTime: r.StudyTime, StudyDescription: r.StudyDescription, Modalities: list(r.Modalities),
		SeriesInstanceUID: r.SeriesInstanceUid, SeriesDescription: r.SeriesDescription, Extra: list(r.Extra),
	}
	if r.SeriesNumber != nil {
		out.SeriesNumber = new(int(*r.SeriesNumber))
	}
	if r.Instances >= 0 {
		out.Instances = new(int(r.Instances))
	}
	return out
}

// QueryCount returns how much a batch query has found.
func QueryCount(n batchquery.Count) client.QueryCount {
	out := client.QueryCount{
		Results: n.Results, Studies: n.Studies, Patients: n.Patients, OfSeries: n.OfSeries, Pseudonyms: n.Pseudonyms,
		ExtraColumns: list(n.Extra), Jobs: make([]client.JobOfSource, len(n.Jobs)),
	}
	for i, job := range n.Jobs {
		out.Jobs[i] = client.JobOfSource{ID: job.ID, Source: job.Source}
	}
	return out
}
