// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"bytes"
	"cmp"
	"context"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/people"
)

// linkageColumns are those of an exported linkage table; an imported one has Pseudonym and PatientID at least.
var linkageColumns = []string{"Pseudonym", "PatientID", "Issuer", "StudyInstanceUID", "TrialProtocolID", "CreatedAt"}

// ExportPage is how many rows of a table are read at once.
const ExportPage = 1000

// ExportLinkage writes a project's linkage table as CSV. Nothing is written if the user may not see it.
func (svc *Service) ExportLinkage(ctx context.Context, user people.User, project string) (func(
	ctx context.Context, w io.Writer,
) error, error,
) {
	id, err := svc.linkageOf(ctx, user, project)
	if err != nil {
		return nil, err
	}
	if err := audit.Record(
		ctx, svc.Q, audit.Entry{Action: "linkage.export", Object: "project " + project},
	); err != nil {
		return nil, err
	}
	svc.Log.InfoContext(ctx, "linkage table exported", "project", id, "user", user.ID)
	return func(ctx context.Context, w io.Writer) error {
		out := csv.NewWriter(w)
		if err := out.Write(linkageColumns); err != nil {
			return err
		}
		f := LinkFilter{Limit: ExportPage}
		for {
			rows, err := svc.links(ctx, id, f)
			if err != nil {
				return err
			}
			for _, l := range rows {
				cells := []string{
					l.Pseudonym, l.PatientID, l.Issuer, l.StudyInstanceUID,
					l.TrialProtocolID, l.CreatedAt.UTC().Format(time.RFC3339),
				}
				if err := WriteRow(out, cells); err != nil {
					return err
				}
				f.AfterTrial, f.AfterPseudonym = l.TrialProtocolID, l.Pseudonym
			}
			if out.Flush(); out.Error() != nil || len(rows) < ExportPage {
				return out.Error()
			}
		}
	}, nil
}

// WriteRow writes a row whose values a spreadsheet takes as text.
func WriteRow(w *csv.Writer, cells []string) error {
	safe := make([]string, len(cells))
	for i, c := range cells {
		safe[i] = text.Cell(c)
	}
	return w.Write(safe)
}

// maxLinkageRows bounds an imported table.
const maxLinkageRows = 200_000

// readLinkage reads a table of pseudonyms in CSV, UTF-8, with commas, semicolons or tabs: the columns are those of an
// export, of which Pseudonym and PatientID must be there, in any order; or those of the export of a mass transfer by
// the original ADIT, which has a row for each series. Other columns are left alone, empty rows skipped, and a pair that
// comes again is one. The error says that it is no such table.
func readLinkage(table []byte, issuer string) (rows []linkRow, faults *FaultyTable, err error) {
	table = bytes.TrimPrefix(table, []byte("\xef\xbb\xbf"))
	if !utf8.Valid(table) {
		return nil, nil, &refusal.Invalid{Field: "", Reason: "the file is not in UTF-8; save it as \"CSV UTF-8\""}
	}
	head, _, _ := bytes.Cut(table, []byte("\n"))
	in := csv.NewReader(bytes.NewReader(table))
	in.FieldsPerRecord, in.ReuseRecord = -1, true
	for _, sign := range ";\t" {
		if bytes.ContainsRune(head, sign) {
			in.Comma = sign
		}
	}
	columns, err := linkageHeader(in)
	if err != nil {
		return nil, nil, err
	}
	t := linkageTable{
		faults: &FaultyTable{}, pseudonyms: map[[2]string]deid.Identity{}, patients: map[[2]string]string{},
	}
	for n := 2; ; n++ {
		record, err := in.Read()
		if errors.Is(err, io.EOF) {
			t.refuseRealIDs()
			return t.rows, t.faults, nil
		}
		if err != nil { // the parser's words quote nothing, but its numbers are those of lines
			t.faults.add(n, "", "it is not valid CSV: a quotation mark is in the wrong place")
			return t.rows, t.faults, nil
		}
		if n-1 > maxLinkageRows {
			return nil, nil, &refusal.Invalid{Field: "", Reason: fmt.Sprintf(
				"the table has more than %d rows; import it in parts", maxLinkageRows,
			)}
		}
		t.take(n, columns, record, issuer)
	}
}

// LinkRow is a pair of a table, and its row as a spreadsheet numbers it.
type LinkRow struct {
	Link
	Row int
}

// ReadLinkage reads a table of pseudonyms by the rules of ImportLinkage, for a program without a database: as an export
// has it, or one that somebody wrote. Rows that can't be used are named in faults; neither these nor the error hold a
// value.
func ReadLinkage(table []byte) (rows []LinkRow, faults *FaultyTable, err error) {
	all, faults, err := readLinkage(table, "")
	for _, r := range all {
		rows = append(rows, LinkRow{r.Link, r.row})
	}
	return rows, faults, err
}

// linkageHeader finds where the columns are.
func linkageHeader(in *csv.Reader) (map[string]int, error) {
	record, err := in.Read()
	if err != nil {
		return nil, &refusal.Invalid{Field: "", Reason: "the file is empty or not CSV"}
	}
	columns := map[string]int{}
	for i, name := range record {
		name = strings.TrimSpace(name)
		if original, ok := map[string]string{"pseudonym": "Pseudonym", "patient_id": "PatientID"}[name]; ok {
			name = original
		}
		if _, twice := columns[name]; twice && name != "" {
			return nil, &refusal.Invalid{Field: "", Reason: "a column occurs twice; remove one of them"}
		}
		columns[name] = i
	}
	for _, name := range linkageColumns[:2] {
		if _, ok := columns[name]; !ok {
			return nil, &refusal.Invalid{Field: "", Reason: fmt.Sprintf(
				"the first row has no column %q; it must name the columns Pseudonym and PatientID", name,
			)}
		}
	}
	return columns, nil
}

// linkageTable is an imported table as far as it is read.
type linkageTable struct {
	rows       []linkRow
	faults     *FaultyTable
	pseudonyms map[[2]string]deid.Identity // by trial and pseudonym
	patients   map[[2]string]string        // pseudonyms by trial and identity
}

func (t *linkageTable) take(n int, columns map[string]int, record []string, issuer string) {
	hidden := ""
	cell := func(name string) string {
		i, ok := columns[name]
		if !ok || i >= len(record) {
			return ""
		}
		if !text.Plain(strings.TrimSpace(record[i])) {
			hidden = name
		}
		return strings.Clone(strings.TrimSpace(text.FromCell(record[i]))) // see writeRow
	}
	l := Link{
		Pseudonym: cell("Pseudonym"), PatientID: cell("PatientID"), Issuer: cell("Issuer"),
		StudyInstanceUID: cell("StudyInstanceUID"), TrialProtocolID: cell("TrialProtocolID"),
	}
	if l == (Link{}) {
		return
	}
	if hidden != "" { // a PACS may have such an ID, which an export shows
		t.faults.add(
			n, hidden, "it contains invisible characters; if they belong to it, write them as in <U+202E>",
		)
		return
	}
	if l.Issuer == "" && l.PatientID != "" {
		l.Issuer = issuer
	}
	if l.PatientID != "" {
		l.StudyInstanceUID = ""
	}
	if column, reason := l.fault(); reason != "" {
		t.faults.add(n, column, reason)
		return
	}
	identity := l.identity()
	pseudonym, patient := [2]string{l.TrialProtocolID, l.Pseudonym}, [2]string{l.TrialProtocolID, string(identity)}
	known, again := t.patients[patient]
	_, given := t.pseudonyms[pseudonym]
	switch {
	case again && known == l.Pseudonym:
		return // the same pair
	case again:
		t.faults.add(n, "PatientID", "another row gives this patient another pseudonym")
		return
	case given:
		t.faults.add(n, "Pseudonym", "another row gives this pseudonym to another patient")
		return
	}
	t.pseudonyms[pseudonym], t.patients[patient] = identity, l.Pseudonym
	t.rows = append(t.rows, linkRow{l, n})
}

// refuseRealIDs refuses the rows whose pseudonym is the Patient ID of a row: so it is where the columns of some rows
// were swapped.
func (t *linkageTable) refuseRealIDs() {
	patients := make(map[string]bool, len(t.rows))
	for _, r := range t.rows {
		if r.PatientID != "" {
			patients[deid.BareID(r.PatientID)] = true
		}
	}
	t.rows = slices.DeleteFunc(t.rows, func(r linkRow) bool {
		isID := patients[deid.BareID(r.Pseudonym)]
		if isID {
			t.faults.add(
				r.row, "Pseudonym",
				"it is the Patient ID of another row and would reveal an identity; check that the columns "+
					"aren't swapped, and choose another",
			)
		}
		return isID
	})
}

// fault says what is wrong with a row by itself. Neither holds a value.
func (l Link) fault() (column, reason string) {
	if err := cmp.Or(deid.CheckPseudonym(l.Pseudonym), deid.CheckPseudonymOf(l.PatientID, l.Pseudonym)); err != nil {
		return "Pseudonym", err.Error()
	}
	switch {
	case l.PatientID == "" && l.StudyInstanceUID == "":
		return "PatientID", "it is empty"
	case !fault.ValidText(l.PatientID):
		return "PatientID", fault.TextReason
	case l.PatientID == "" && !fault.ValidUID(l.StudyInstanceUID):
		return "StudyInstanceUID", "not a DICOM UID"
	case !fault.ValidText(l.Issuer):
		return "Issuer", fault.TextReason
	case !fault.ValidText(l.TrialProtocolID):
		return "TrialProtocolID", fault.TextReason
	}
	return "", ""
}
