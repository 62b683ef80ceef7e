// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"context"
	"fmt"
	"io"
	"slices"

	"github.com/adit-go/adit/dicom/deid"
)

// TransferTask is a study of a batch transfer.
type TransferTask struct {
	PatientID        string
	StudyInstanceUID string
	Series           []string // each once, in the order of the rows; empty: the whole study
	Pseudonym        string
	Rows             []TransferRow // at least one
}

// TransferRow is a row of a task.
type TransferRow struct {
	Row               int    // see Row.Row
	SeriesInstanceUID string // empty: the row stands for the whole study
	Extra             []string

	record int
}

// Transfers is what a file of a batch transfer asks for.
type Transfers struct {
	Result

	Tasks []TransferTask // of the rows that are fine, by their first rows
	Extra []string       // names for TransferRow.Extra
}

// Why each row needs a pseudonym.
const (
	OnlyPseudonyms = "You may transfer under pseudonyms only."
	AllPseudonyms  = "Other rows have one, and this patient's identity would travel with them. " +
		"Give each row a pseudonym, let those without get one, or make two files."
)

// ReadTransfers reads the file of a batch transfer; why says why each row needs a pseudonym, if it does. Faults are in
// the result; the error is a *refusal.Invalid if the file can't be read at all.
func ReadTransfers(ctx context.Context, in io.ReaderAt, size int64, o Options, why string) (*Transfers, error) {
	o.Columns = TransferColumns()
	t, err := Open(ctx, in, size, o)
	if err != nil {
		return nil, err
	}
	tr := &transfers{
		reading: t.reading(), studies: map[string]int32{}, patients: map[string]int32{}, pseudonyms: map[string]int32{},
		why: why,
	}
	tr.noPatient = tr.lacks(transferPatientID, "Each row needs it.")
	tr.noStudy = tr.lacks(transferStudy, "Each row needs it.")
	tr.noPseudonym = why != "" && tr.lacks(transferPseudonym, why)
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		tr.take(row)
	}
	tr.refuseRealIDs()
	tasks := tr.finished()
	out := &Transfers{Result: tr.result(), Tasks: tasks, Extra: t.Extra}
	p := &out.Preview
	p.Tasks = len(tasks)
	ids := map[string]struct{}{}
	for _, task := range tasks {
		ids[task.PatientID] = struct{}{}
		p.MergedRows += len(task.Rows) - 1
		if task.Pseudonym == "" {
			p.IdentifiedRows += len(task.Rows)
		}
	}
	p.Patients = len(ids)
	return out, nil
}

type transfers struct {
	*reading

	tasks []TransferTask
	why   string // each row needs a pseudonym; empty: none does

	// What rows are compared with, in little memory: the maps hold places in the lists.
	named      []patient
	patients   map[string]int32 // by PatientID
	pseudonyms map[string]int32
	asked      []study
	studies    map[string]int32 // by StudyInstanceUID

	noPatient, noStudy, noPseudonym bool // no such column
}

// study is one with the first row that names it.
type study struct {
	owner string // PatientID
	row   int32
	task  int32 // its place; -1: no row is fine yet
}

// patient is one with the first row that names it.
type patient struct {
	id, pseudonym string
	row, record   int32
}

func (tr *transfers) take(row *Row) {
	fine := tr.reading.take(row)
	if row.Broken != "" {
		return
	}
	given := func(known int) bool { return row.Cells[known].Text != "" || row.Cells[known].Kind != "" }
	missing := func(known int, noColumn bool, sentence string) {
		if !given(known) {
			fine = false
			if !noColumn {
				tr.fault(row, known, KindMissing, sentence)
			}
		}
	}
	missing(transferPatientID, tr.noPatient, "PatientID is missing.")
	missing(transferStudy, tr.noStudy, "StudyInstanceUID is missing.")
	if tr.why != "" {
		missing(transferPseudonym, tr.noPseudonym, "Pseudonym is missing. "+tr.why)
	}
	tr.lengths.take(row, row.Cells[transferPatientID].Text)
	if !tr.agrees(row) || !fine {
		return
	}
	tr.merge(row)
}

// agrees compares a row with those before it, by the cells that are fine.
func (tr *transfers) agrees(row *Row) bool {
	get := func(known int) (string, bool) { c := &row.Cells[known]; return c.Text, c.Kind == "" }
	id, okID := get(transferPatientID)
	uid, okStudy := get(transferStudy)
	pseudonym, okPseudonym := get(transferPseudonym)
	if !okID || id == "" {
		return true
	}
	fine := true
	no := func(known int, kind Kind, format string, args ...any) {
		tr.fault(row, known, kind, fmt.Sprintf(format, args...))
		fine = false
	}
	if okStudy && uid != "" {
		if first := tr.study(uid, id, row); first.owner != id {
			no(transferPatientID, KindStudyPatients, "The study has the Patient ID %s in row %d.", first.owner,
				first.row)
		}
	}
	if !okPseudonym || pseudonym == "" && tr.why != "" {
		return fine
	}
	first := tr.first(tr.patients, id, patient{id, pseudonym, int32(row.Row), int32(row.Record)})
	switch {
	case first.pseudonym == pseudonym:
	case first.pseudonym == "":
		no(transferPseudonym, KindPatientPseudonyms, "%s has no pseudonym in row %d.", id, first.row)
	default:
		no(transferPseudonym, KindPatientPseudonyms, "%s has the pseudonym %s in row %d.", id, first.pseudonym,
			first.row)
	}
	if pseudonym == "" {
		return fine
	}
	if err := deid.CheckPseudonymOf(id, pseudonym); err != nil {
		no(transferPseudonym, KindPseudonym, "%s", sentenceOf(err))
	}
	first = tr.first(tr.pseudonyms, pseudonym, patient{id, pseudonym, int32(row.Row), int32(row.Record)})
	if first.id != id {
		no(transferPseudonym, KindPseudonymPatients, "%s in row %d has this pseudonym, too.", first.id, first.row)
	}
	return fine
}

// study returns what is known of a study, which this row may be the first to name.
func (tr *transfers) study(uid, owner string, row *Row) *study {
	i, known := tr.studies[uid]
	if !known {
		i = int32(len(tr.asked))
		tr.studies[uid] = i
		tr.asked = append(tr.asked, study{owner, int32(row.Row), -1})
	}
	return &tr.asked[i]
}

// first returns who was the first with an ID or a pseudonym, which may be p.
func (tr *transfers) first(of map[string]int32, key string, p patient) patient {
	i, known := of[key]
	if !known {
		i = int32(len(tr.named)) - 1
		if i < 0 || tr.named[i] != p { // as it mostly is: the ID was new, too
			tr.named = append(tr.named, p)
			i++
		}
		of[key] = i
	}
	return tr.named[i]
}

// merge adds a row to the task of its study.
func (tr *transfers) merge(row *Row) {
	uid := row.Cells[transferStudy].Text
	of := &tr.asked[tr.studies[uid]]
	if of.task < 0 {
		of.task = int32(len(tr.tasks))
		tr.tasks = append(tr.tasks, TransferTask{
			PatientID: of.owner, StudyInstanceUID: uid, Pseudonym: row.Cells[transferPseudonym].Text,
		})
	}
	task := &tr.tasks[of.task]
	task.Rows = append(task.Rows, TransferRow{row.Row, row.Cells[transferSeries].Text, row.Extra, row.Record})
}

// refuseRealIDs refuses the rows whose pseudonym is the Patient ID of a row: so it is where the columns of some rows
// were swapped.
func (tr *transfers) refuseRealIDs() {
	tr.studies, tr.asked = nil, nil // the memory is needed here
	ids := make(map[string]int32, len(tr.patients))
	for i, p := range tr.named {
		bare := deid.BareID(p.id)
		if _, known := ids[bare]; !known {
			ids[bare] = int32(i)
		}
	}
	reveals := func(p patient) (owner patient, yes bool) {
		if p.pseudonym == "" {
			return owner, false
		}
		i, yes := ids[deid.BareID(p.pseudonym)]
		return tr.named[i], yes && tr.named[i].id != p.id // the patient's own ID has its own fault
	}
	for _, task := range tr.tasks {
		for _, row := range task.Rows {
			p := patient{task.PatientID, task.Pseudonym, int32(row.Row), int32(row.record)}
			if owner, yes := reveals(p); yes {
				tr.refuseRealID(p, owner)
			}
		}
	}
	for _, p := range tr.named { // those of rows that have other faults
		if owner, yes := reveals(p); yes && !tr.faults.faulty(int(p.row)) {
			tr.refuseRealID(p, owner)
		}
	}
}

func (tr *transfers) refuseRealID(p, owner patient) {
	tr.faults.add(Fault{
		Row: int(p.row), Column: "Pseudonym", Cell: columnLetters(tr.t.known[transferPseudonym]) + itoa(int(p.record)),
		Text: p.pseudonym, Kind: KindPseudonymIsID, Sentence: fmt.Sprintf("It is the Patient ID of row %d and would reveal "+
			"an identity. Check that the columns are not swapped, or choose another.", owner.row),
	})
}

// finished returns the tasks of the rows that are fine, with their series.
func (tr *transfers) finished() []TransferTask {
	seen := map[string]bool{}
	for i := range tr.tasks {
		task := &tr.tasks[i]
		task.Rows = slices.DeleteFunc(task.Rows, func(r TransferRow) bool { return tr.faults.faulty(r.Row) })
		if slices.ContainsFunc(task.Rows, func(r TransferRow) bool { return r.SeriesInstanceUID == "" }) {
			continue
		}
		clear(seen)
		for _, r := range task.Rows {
			if !seen[r.SeriesInstanceUID] {
				seen[r.SeriesInstanceUID] = true
				task.Series = append(task.Series, r.SeriesInstanceUID)
			}
		}
	}
	return slices.DeleteFunc(tr.tasks, func(task TransferTask) bool { return len(task.Rows) == 0 })
}
