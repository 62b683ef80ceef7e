// SPDX-License-Identifier: AGPL-3.0-or-later

package deidentify

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/projects"
)

// namer gives patients their pseudonyms.
type namer interface {
	of(f facts) Patient        // with a fault if there is no pseudonym for it
	faults() []string          // of the table as such
	twice(first string) string // what to do where a pseudonym came to two patients; first is a file of the other
}

// namer reads how the pseudonyms are given.
func (c *Cmd) namer(key deid.Key) (namer, error) {
	switch {
	case c.Pseudonymize:
		return derivedNames{key}, nil
	case c.Pseudonyms != "":
		return readNames(c.Pseudonyms, c.TrialID)
	}
	if err := deid.CheckPseudonym(c.Pseudonym); err != nil {
		return nil, &command.Status{Code: command.ExitUsage, Err: err}
	}
	return oneName(c.Pseudonym), nil
}

// oneName is the pseudonym of the only patient.
type oneName string

func (n oneName) of(f facts) Patient {
	p := Patient{Identity: deid.PatientIdentity(f.patientID, "", f.study), Pseudonym: string(n)}
	if err := deid.CheckPseudonymOf(f.patientID, p.Pseudonym); err != nil {
		p.fault = err.Error()
	}
	return p
}

func (oneName) faults() []string { return nil }

func (oneName) twice(first string) string {
	return fmt.Sprintf(
		"it is of another patient than %s, and --pseudonym stands for one; for several take --pseudonyms FILE or "+
			"--pseudonymize",
		first,
	)
}

// derivedNames are made of key and patient.
type derivedNames struct{ key deid.Key }

func (n derivedNames) of(f facts) Patient {
	id := deid.PatientIdentity(f.patientID, "", f.study)
	return Patient{Identity: id, Pseudonym: n.key.Pseudonym(id)}
}

func (derivedNames) faults() []string { return nil }

func (derivedNames) twice(first string) string {
	return fmt.Sprintf(
		"the key gives it the pseudonym of %s too; name the two patients in a table (--pseudonyms FILE)", first,
	)
}

// namesTable is a table of pseudonyms.
type namesTable struct {
	path      string
	byPatient map[string][]projects.LinkRow // by trimmed Patient ID; several are of several issuers
	byStudy   map[string]projects.LinkRow   // of objects without Patient ID
	bad       []string

	byPseudonym map[string]int // rows
}

// mostNames bounds a table of pseudonyms, in bytes.
const mostNames = 64 << 20

// readNames reads a table of pseudonyms. Of the rows that are for a trial only those for ours count.
func readNames(path, trial string) (*namesTable, error) {
	f, err := command.OpenRegular(path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // was only read
	text, err := io.ReadAll(io.LimitReader(f, mostNames+1))
	if err == nil && len(text) > mostNames {
		err = fmt.Errorf("it is larger than %d MiB; take a part of it", mostNames>>20)
	}
	if err != nil {
		return nil, fmt.Errorf("the pseudonyms of %s can't be read: %w", command.Printable(path), err)
	}
	rows, faulty, err := projects.ReadLinkage(text)
	if err != nil {
		return nil, fmt.Errorf("the pseudonyms of %s can't be read: %w", command.Printable(path), err)
	}
	t := &namesTable{
		path: command.Printable(path), byPatient: map[string][]projects.LinkRow{},
		byStudy: map[string]projects.LinkRow{}, byPseudonym: map[string]int{},
	}
	for _, fault := range faulty.Faults {
		column := ""
		if fault.Column != "" {
			column = ", column " + fault.Column
		}
		t.bad = append(t.bad, fmt.Sprintf("%s, row %d%s: %s", t.path, fault.Row, column, fault.Reason))
	}
	if n := faulty.Count - len(faulty.Faults); n > 0 {
		t.bad = append(t.bad, fmt.Sprintf("%s: %d more rows can't be used", t.path, n))
	}
	pseudonyms, patients := map[string]projects.LinkRow{}, map[deid.Identity]projects.LinkRow{}
	for _, row := range rows {
		if row.TrialProtocolID != "" && row.TrialProtocolID != trial {
			continue
		}
		id := deid.PatientIdentity(row.PatientID, row.Issuer, row.StudyInstanceUID)
		if other, known := patients[id]; known && other.Pseudonym == row.Pseudonym {
			continue // for the trial as without one
		} else if known {
			t.bad = append(t.bad, fmt.Sprintf(
				"%s, row %d, column PatientID: row %d gives this patient another pseudonym", t.path, row.Row, other.Row,
			))
			continue
		}
		if other, known := pseudonyms[row.Pseudonym]; known {
			t.bad = append(t.bad, fmt.Sprintf(
				"%s, row %d, column Pseudonym: row %d gives this pseudonym to another patient",
				t.path, row.Row, other.Row,
			))
			continue
		}
		pseudonyms[row.Pseudonym], patients[id] = row, row
		t.byPseudonym[row.Pseudonym] = row.Row
		t.add(row)
	}
	return t, nil
}

func (t *namesTable) add(row projects.LinkRow) {
	if patient := trimID(row.PatientID); patient != "" {
		t.byPatient[patient] = append(t.byPatient[patient], row)
		return
	}
	t.byStudy[row.StudyInstanceUID] = row
}

// trimID is how deid.PatientIdentity reads a Patient ID.
func trimID(id string) string { return strings.Trim(id, " \x00") }

func (t *namesTable) faults() []string { return t.bad }

func (t *namesTable) twice(first string) string {
	return fmt.Sprintf("%s gives it the pseudonym of %s too; give one of the two patients another one", t.path, first)
}

// of finds the row for an object. Rows of one Patient ID are told apart by their issuer, which the object must then
// name.
func (t *namesTable) of(f facts) Patient {
	id := trimID(f.patientID)
	none := Patient{Identity: deid.PatientIdentity(id, "", f.study)}
	if id == "" {
		row, ok := t.byStudy[f.study]
		if !ok {
			none.fault = "it has no Patient ID, and no row of " + t.path +
				" that can be used has its Study Instance UID; add one, with an empty Patient ID"
			return none
		}
		none.Pseudonym = row.Pseudonym
		return none
	}
	rows := t.byPatient[id]
	if row, taken := t.byPseudonym[id]; len(rows) == 0 && taken {
		none.fault = fmt.Sprintf(
			"row %d of %s has its Patient ID as a pseudonym; the columns PatientID and Pseudonym seem to be swapped",
			row, t.path,
		)
		return none
	}
	if len(rows) == 0 {
		none.fault = "no row of " + t.path +
			" that can be used has its Patient ID; add one (letters and leading zeros count)"
		return none
	}
	row, err := chooseRow(rows, f.issuer)
	if err != nil {
		none.Identity += deid.Identity(f.issuer) // told apart from those that have a row
		none.fault, none.unclear = err.Error(), true
		return none
	}
	return Patient{Identity: deid.PatientIdentity(id, row.Issuer, ""), issuer: row.Issuer, Pseudonym: row.Pseudonym}
}

func chooseRow(rows []projects.LinkRow, issuer string) (projects.LinkRow, error) {
	for _, row := range rows {
		if len(rows) == 1 && (row.Issuer == "" || issuer == "") || row.Issuer != "" && row.Issuer == issuer {
			return row, nil
		}
	}
	if len(rows) == 1 {
		return projects.LinkRow{}, fmt.Errorf("row %d has its Patient ID, but under another issuer than its Issuer "+
			"of Patient ID (0010,0021); correct the row, or leave its issuer empty if there is but one",
			rows[0].Row)
	}
	var numbers []string
	for _, row := range rows {
		numbers = append(numbers, fmt.Sprint(row.Row))
	}
	return projects.LinkRow{}, errors.New("rows " + strings.Join(numbers, ", ") +
		" have its Patient ID, under different issuers, and its Issuer of Patient ID (0010,0021) names none of them; " +
		"de-identify its files apart, with a table of one row")
}
