// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// Link ties a pseudonym to a patient within a project.
type Link struct {
	Pseudonym        string
	PatientID        string
	Issuer           string // of the Patient ID, as configured for the source
	StudyInstanceUID string // stands for a patient without Patient ID
	TrialProtocolID  string // in a group's default project, where each trial has pseudonyms of its own
	CreatedAt        time.Time
}

func (l Link) identity() deid.Identity {
	return deid.PatientIdentity(l.PatientID, l.Issuer, l.StudyInstanceUID)
}

// LinkFilter chooses rows of a linkage table. They come in the order of trial and pseudonym.
type LinkFilter struct {
	AfterTrial, AfterPseudonym string // the row before
	Pseudonym, PatientID       string // empty: any
	Limit                      int
}

// Linkage returns rows of a project's linkage table. It needs the permission for it, and that the user belongs to the
// project.
func (svc *Service) Linkage(ctx context.Context, user people.User, project string, f LinkFilter) ([]Link, error) {
	id, err := svc.linkageOf(ctx, user, project)
	if err != nil {
		return nil, err
	}
	err = audit.Record(ctx, svc.Q, audit.Entry{
		Action: "linkage.read", Object: "project " + project, PatientID: strings.TrimSpace(f.PatientID),
		Detail: map[string]any{"by_pseudonym": f.Pseudonym != ""},
	})
	if err != nil {
		return nil, err
	}
	svc.Log.InfoContext(ctx, "linkage table read", "project", id, "user", user.ID)
	return svc.links(ctx, id, f)
}

// linkageOf finds a project whose linkage table the user may see.
func (svc *Service) linkageOf(ctx context.Context, user people.User, project string) (int64, error) {
	row, err := svc.projectRow(ctx, user, project)
	if err != nil {
		return 0, err
	}
	a := people.LinkageRight()
	a.Project = row.Project.ID
	return row.Project.ID, svc.People.Check(ctx, user.ID, a)
}

func (svc *Service) links(ctx context.Context, project int64, f LinkFilter) ([]Link, error) {
	rows, err := svc.Q.Planned().ListLinkage(ctx, db.ListLinkageParams{
		ProjectID: project, AfterTrial: f.AfterTrial, AfterPseudonym: f.AfterPseudonym,
		Pseudonym: f.Pseudonym, PatientID: strings.TrimSpace(f.PatientID), Max: int32(f.Limit),
	})
	if err != nil {
		return nil, err
	}
	out := make([]Link, len(rows))
	for i, row := range rows {
		out[i] = Link{
			Pseudonym: row.Pseudonym, PatientID: row.PatientID, Issuer: row.Issuer,
			TrialProtocolID: row.Trial, CreatedAt: row.CreatedAt,
		}
		if strings.Trim(row.PatientID, " \x00") == "" {
			out[i].StudyInstanceUID = strings.Trim(row.Identity, "\x1f") // see deid.PatientIdentity
		}
	}
	return out, nil
}

// LinkageImport says how a CSV is imported into a linkage table.
type LinkageImport struct {
	Issuer string // of rows that name none
	DryRun bool   // check only
}

// ImportResult is what an import made, or would make.
type ImportResult struct {
	Added   int // pairs
	Present int // pairs that were there already
	// OtherThanSalt counts pairs whose pseudonym is not the one that the project's salt of the original ADIT gives: if
	// it is most of them, the salt is that of another job.
	OtherThanSalt int
}

// RowFault is what is wrong with a row of a table. It holds no value of the row.
type RowFault struct {
	Row    int    // as a spreadsheet numbers it: the header is row 1
	Column string // empty: the row as a whole
	Reason string
}

// FaultyTable says which rows can't be used. Nothing was made.
type FaultyTable struct {
	Faults []RowFault // the first maxFaults of them
	Count  int
}

const maxFaults = 1000

func (e *FaultyTable) Error() string {
	if e.Count == 1 {
		return "one row is invalid, so nothing was imported; correct it and import the table again"
	}
	return fmt.Sprintf(
		"%d rows are invalid, so nothing was imported; correct them and import the table again", e.Count,
	)
}

func (e *FaultyTable) add(row int, column, reason string) {
	if e.Count++; e.Count <= maxFaults {
		e.Faults = append(e.Faults, RowFault{row, column, reason})
	}
}

// ImportLinkage adds the pairs of a table in CSV (see readLinkage) to a project's linkage table: all of them, or, if a
// row can't be used, none. What is there already is fine. Errors: *Invalid for a file that is no such table,
// *FaultyTable.
func (svc *Service) ImportLinkage(
	ctx context.Context, user people.User, project string, text []byte, opt LinkageImport,
) (ImportResult, error) {
	id, err := svc.linkageOf(ctx, user, project)
	if err != nil {
		return ImportResult{}, err
	}
	if !fault.ValidText(opt.Issuer) {
		return ImportResult{}, &refusal.Invalid{Field: "issuer", Reason: fault.TextReason}
	}
	rows, faulty, err := readLinkage(text, strings.TrimSpace(opt.Issuer))
	if err != nil {
		return ImportResult{}, err
	}
	var result ImportResult
	err = svc.InTx(ctx, func(q *db.Queries) error {
		// a transaction may be run again
		faults := &FaultyTable{Faults: slices.Clip(faulty.Faults), Count: faulty.Count}
		p, err := q.LockProjectRow(ctx, id)
		if err != nil {
			return err
		}
		added, err := checkLinks(ctx, q, p, rows, faults)
		if err != nil {
			return err
		}
		if faults.Count > 0 {
			return faults
		}
		result = ImportResult{Added: len(added), Present: len(rows) - len(added)}
		if result.OtherThanSalt, err = svc.otherThanSalt(p.SealedSalt, rows); err != nil || opt.DryRun {
			return err
		}
		n, err := q.LinkAll(ctx, linkAll(id, added))
		if err == nil && n < int64(len(added)) { // a running task has tied one of them just now
			return &refusal.Conflict{
				Reason: "a running job has added to the linkage table meanwhile; import the table again",
			}
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "linkage.import", Object: "project " + p.Name,
			Detail: map[string]any{"added": result.Added, "present": result.Present},
		})
	})
	if err != nil {
		return ImportResult{}, err
	}
	svc.Log.InfoContext(
		ctx, "linkage table imported", "project", id, "user", user.ID, "added",
		result.Added, "present", result.Present, "dry_run", opt.DryRun,
	)
	return result, nil
}

// linkRow is a row of an imported table.
type linkRow struct {
	Link
	row int
}

// checkLinks returns the pairs that are new, and notes those that contradict what is there.
func checkLinks(
	ctx context.Context, q *db.Queries, p db.Project, rows []linkRow, faults *FaultyTable,
) (added []linkRow, err error) {
	all := linkAll(p.ID, rows)
	there, err := q.LinkedAlready(ctx, db.LinkedAlreadyParams{
		ProjectID: p.ID, Trials: all.Trials, Pseudonyms: all.Pseudonyms, Identities: all.Identities,
	})
	if err != nil {
		return nil, err
	}
	type key struct{ trial, value string }
	byPseudonym, byIdentity := map[key]string{}, map[key]string{}
	for _, l := range there {
		byPseudonym[key{l.Trial, l.Pseudonym}], byIdentity[key{l.Trial, l.Identity}] = l.Identity, l.Pseudonym
	}
	for _, r := range rows {
		identity := string(r.identity())
		if r.TrialProtocolID != "" && !p.IsDefault {
			faults.add(
				r.row, "TrialProtocolID", "only the default project of a group has pseudonyms by trial; leave it empty",
			)
			continue
		}
		pseudonym, patientKnown := byIdentity[key{r.TrialProtocolID, identity}]
		owner, pseudonymKnown := byPseudonym[key{r.TrialProtocolID, r.Pseudonym}]
		switch {
		case patientKnown && pseudonym == r.Pseudonym:
		case patientKnown:
			faults.add(r.row, "PatientID", "this patient already has another pseudonym in the project")
		case pseudonymKnown && owner != identity:
			faults.add(r.row, "Pseudonym", "this pseudonym already belongs to another patient of the project")
		default:
			added = append(added, r)
		}
	}
	return added, nil
}

func linkAll(project int64, rows []linkRow) db.LinkAllParams {
	p := db.LinkAllParams{ProjectID: project}
	for _, r := range rows {
		p.Trials = append(p.Trials, r.TrialProtocolID)
		p.Pseudonyms = append(p.Pseudonyms, r.Pseudonym)
		p.Identities = append(p.Identities, string(r.identity()))
		p.PatientIds = append(p.PatientIds, r.PatientID)
		p.Issuers = append(p.Issuers, r.Issuer)
	}
	return p
}

// otherThanSalt counts the pairs that a project's salt does not give.
func (svc *Service) otherThanSalt(sealed []byte, rows []linkRow) (n int, err error) {
	if len(sealed) == 0 {
		return 0, nil
	}
	salt, err := svc.People.Open(projectSaltPurpose, sealed)
	if err != nil {
		return 0, err
	}
	for _, r := range rows {
		if r.PatientID != "" && originalPseudonym(string(salt), r.PatientID) != r.Pseudonym {
			n++
		}
	}
	return n, nil
}
