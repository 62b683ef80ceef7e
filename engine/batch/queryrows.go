// SPDX-License-Identifier: AGPL-3.0-or-later

package batch

import (
	"context"
	"fmt"
	"hash/maphash"
	"io"
	"strings"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/internal/words"
)

// QueryRow is a row of a batch query. Dates are in DICOM form, YYYYMMDD; what isn't given is empty.
type QueryRow struct {
	Row               int // see Row.Row
	PatientID         string
	PatientName       string // in DICOM form, Last^First
	BirthDate         string
	AccessionNumber   string
	From, Until       string
	Modalities        []string // in capital letters, each once
	StudyDescription  string   // * and ? are wildcards
	SeriesDescription string
	SeriesNumbers     []string // each once
	Pseudonym         string
	Extra             []string // see Row.Extra
}

// Queries is what a file of a batch query asks for.
type Queries struct {
	Result

	Rows  []QueryRow // those that are fine
	Extra []string   // names for QueryRow.Extra
}

// ReadQueries reads the file of a batch query. Faults are in the result; the error is a *refusal.Invalid if the file
// can't be read at all.
func ReadQueries(ctx context.Context, in io.ReaderAt, size int64, o Options) (*Queries, error) {
	o.Columns = QueryColumns()
	t, err := Open(ctx, in, size, o)
	if err != nil {
		return nil, err
	}
	q := queries{
		reading: t.reading(), out: &Queries{}, patients: map[string]struct{}{}, same: map[uint64]int{},
		seed: maphash.MakeSeed(),
	}
	q.checkColumns()
	for row, err := range t.Rows(ctx) {
		if err != nil {
			return nil, err
		}
		q.take(row)
	}
	q.out.Result, q.out.Extra = q.result(), t.Extra
	q.out.Preview.Tasks, q.out.Preview.Patients = len(q.out.Rows), len(q.patients)
	return q.out, nil
}

type queries struct {
	*reading

	out        *Queries
	patients   map[string]struct{}
	same       map[uint64]int // the row of a query, by its hash
	seed       maphash.Seed
	nobody     bool // no column tells the patient
	noModality bool
}

const identify = "Give PatientID, or PatientName and PatientBirthDate, or AccessionNumber."

func (q *queries) checkColumns() {
	t := q.t
	if !t.has(queryPatientID) && !t.has(queryAccession) && !(t.has(queryPatientName) && t.has(queryBirthDate)) {
		q.nobody = true
		q.faults.add(Fault{
			Row: t.head, Kind: KindColumn, Sentence: "No column says which patient or study is meant. " + identify,
		})
	}
	if !t.has(queryAccession) {
		q.noModality = q.lacks(queryModality, "It is needed unless AccessionNumber is given.")
	}
}

func (q *queries) take(row *Row) {
	fine := q.reading.take(row)
	if row.Broken != "" {
		return
	}
	text := func(known int) string { return row.Cells[known].Text }
	q.lengths.take(row, text(queryPatientID))
	if !q.identified(row) || !q.ordered(row) || !fine {
		return
	}
	if err := deid.CheckPseudonymOf(text(queryPatientID), text(queryPseudonym)); err != nil {
		q.fault(row, queryPseudonym, KindPseudonym, sentenceOf(err))
		return
	}
	one := QueryRow{
		Row:       row.Row,
		PatientID: text(queryPatientID), PatientName: text(queryPatientName), BirthDate: text(queryBirthDate),
		AccessionNumber: text(queryAccession), From: text(queryFrom), Until: text(queryUntil),
		Modalities: values(text(queryModality)), StudyDescription: text(queryStudyDescription),
		SeriesDescription: text(querySeriesDescription), SeriesNumbers: values(text(querySeriesNumber)),
		Pseudonym: text(queryPseudonym), Extra: row.Extra,
	}
	switch {
	case one.PatientID != "":
		q.patients[one.PatientID] = struct{}{}
	case one.PatientName != "":
		q.patients[one.PatientName+"\x00"+one.BirthDate] = struct{}{}
	}
	q.noteSame(row)
	q.out.Rows = append(q.out.Rows, one)
}

// values parts what Column.check has joined.
func values(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

// identified checks that a row says whose studies are meant. A cell that has a fault of its own is taken as given.
func (q *queries) identified(row *Row) bool {
	given := func(known int) bool { return row.Cells[known].Text != "" || row.Cells[known].Kind != "" }
	fine := true
	missing := func(known int, sentence string) {
		q.fault(row, known, KindMissing, sentence)
		fine = false
	}
	switch {
	case given(queryPatientID), given(queryAccession), given(queryPatientName) && given(queryBirthDate), q.nobody:
	case given(queryPatientName):
		missing(queryBirthDate, "PatientBirthDate is missing: a name tells who is meant only with the date of birth.")
	case given(queryBirthDate):
		missing(queryPatientName, "PatientName is missing: a date of birth tells who is meant only with the name.")
	default:
		missing(queryPatientID, "The row does not say which patient or study is meant. "+identify)
	}
	if !given(queryModality) && !given(queryAccession) && !q.noModality {
		missing(queryModality, "Modality is missing. It is needed unless AccessionNumber is given.")
	}
	return fine
}

func (q *queries) ordered(row *Row) bool {
	from, until := &row.Cells[queryFrom], &row.Cells[queryUntil]
	if from.Kind != "" || until.Kind != "" || from.Text == "" || until.Text == "" || from.Text <= until.Text {
		return true
	}
	q.fault(row, queryUntil, KindOrder, fmt.Sprintf(
		"Until (%s) is before From (%s).", words.Day(until.Text), words.Day(from.Text),
	))
	return false
}

// noteSame says that a row asks for what another one has asked for.
func (q *queries) noteSame(row *Row) {
	var h maphash.Hash
	h.SetSeed(q.seed)
	for _, c := range row.Cells {
		h.WriteString(c.Text)
		h.WriteByte(0)
	}
	first, again := q.same[h.Sum64()]
	if !again {
		q.same[h.Sum64()] = row.Row
		return
	}
	q.hints.add(Fault{
		Row: row.Row, Kind: HintSameRow, Sentence: fmt.Sprintf("It asks for the same as row %d.", first),
	})
}
