// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"cmp"
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/fault"
)

// Study is a study of a server that is to go out changed.
type Study struct {
	Source       *db.Server
	SourceName   string
	UID          string // Study Instance UID
	PatientID    string
	Answer       *stream.DataSet // of the server, to the search for the study
	Pseudonym    string          // that was given for its patient; empty: that of the linkage table, or a new one
	Pseudonymize bool
}

// Session begins to change the instances of a study as a job says: under a pseudonym, or with what a trial is called
// alone. It ties the patient to the pseudonym for ever. Without either there is no session.
func (svc *Service) Session(ctx context.Context, job db.Job, s Study) (
	session *deid.Session, pseudonym string, err error,
) {
	return svc.session(ctx, job, s, svc.link)
}

// Later is Session for a pseudonym that is given, which the patient is not tied to before tie is called: that is to be
// done before anything goes out.
func (svc *Service) Later(ctx context.Context, job db.Job, s Study) (
	session *deid.Session, tie func(context.Context) error, err error,
) {
	tie = func(context.Context) error { return nil }
	session, _, err = svc.session(ctx, job, s, func(
		ctx context.Context, of db.PseudonymOfParams, derived string, s Study,
	) (string, error) {
		_, err := svc.Q.PseudonymOf(ctx, of)
		if !errors.Is(err, pgx.ErrNoRows) {
			return svc.link(ctx, of, derived, s)
		}
		tied := false
		tie = func(ctx context.Context) error {
			if tied {
				return nil
			}
			_, err := svc.link(ctx, of, derived, s)
			tied = err == nil
			return err
		}
		return s.Pseudonym, s.check()
	})
	return session, tie, err
}

// session is Session with what ties, or finds out how the patient is called.
func (svc *Service) session(
	ctx context.Context, job db.Job, s Study,
	link func(context.Context, db.PseudonymOfParams, string, Study) (string, error),
) (session *deid.Session, pseudonym string, err error) {
	trial, subject := job.TrialProtocolID, deid.Subject{TrialID: job.TrialProtocolID, TrialName: job.TrialProtocolName}
	subject.Charset = s.Source.FallbackCharset
	profile, _ := deid.BuiltinProfile(deid.DefaultProfile)
	switch {
	case s.Pseudonymize:
		project, err := svc.Q.GetProjectKey(ctx, job.ProjectID)
		if err != nil {
			return nil, "", err
		}
		if profile, err = svc.PinnedProfile(ctx, job); err != nil {
			return nil, "", err
		}
		key, err := svc.KeyOf(project.IsDefault, project.SealedKey, trial)
		if err != nil {
			return nil, "", err
		}
		subject.Generation, subject.Issuer = uint32(job.UidGeneration), s.Source.IssuerOfPatientID
		subject.Scan, subject.Account = job.Scan, job.Manifest
		if subject.Known, err = known(profile, subject.Charset, s.Answer); err != nil {
			return nil, "", fault.Permanent("The study can't be de-identified: %w", err)
		}
		subject.Patient = deid.PatientIdentity(s.PatientID, subject.Issuer, s.UID)
		subject.Key = key.OfPatient(subject.Patient)
		derived, err := svc.DerivedPseudonym(project.SealedSalt, key, subject.Patient, s.PatientID)
		if err != nil {
			return nil, "", err
		}
		of := db.PseudonymOfParams{
			ProjectID: job.ProjectID, Trial: LinkageTrial(project.IsDefault, trial), Identity: string(subject.Patient),
		}
		if subject.Pseudonym, err = link(ctx, of, derived, s); err != nil {
			return nil, "", err
		}
	case trial == "" && job.TrialProtocolName == "":
		return nil, "", nil
	}
	session, err = profile.Session(subject)
	if err != nil {
		return nil, "", fault.Permanent("The study can't be de-identified: %w", err)
	}
	return session, subject.Pseudonym, nil
}

// link returns the pseudonym of the study's patient: the one that was given, the one of the linkage table, or the one
// derived. Pseudonym and patient belong together for ever, both ways. No error names a pseudonym: logs and reasons name
// the study.
func (svc *Service) link(ctx context.Context, of db.PseudonymOfParams, derived string, s Study) (string, error) {
	if err := s.check(); err != nil {
		return "", err
	}
	known, err := svc.Q.PseudonymOf(ctx, of)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && s.Source.PseudonymsSince == nil:
		err = svc.InTx(ctx, func(q *db.Queries) error {
			known, err = linkAnew(ctx, q, of, derived, s)
			return err
		})
	}
	if err == nil && s.Pseudonym != "" && known != s.Pseudonym {
		return "", fault.Permanent(
			"The patient of study %s already has another pseudonym in this project, so it was not sent under the "+
				"one given; use the patient's, which whoever may see the project's linkage table finds there, or another "+
				"project. A transfer can also leave the pseudonym to ADIT.", s.UID,
		)
	}
	return known, err
}

// check refuses a pseudonym that tells who the patient is.
func (s Study) check() error {
	if err := deid.CheckPseudonymOf(s.PatientID, s.Pseudonym); err != nil {
		return fault.Permanent("Study %s was not sent: %w.", s.UID, err)
	}
	return nil
}

// linkAnew ties a patient to a pseudonym, unless somebody else has done so meanwhile.
func linkAnew(
	ctx context.Context, q *db.Queries, of db.PseudonymOfParams, derived string, s Study,
) (string, error) {
	issuer := s.Source.IssuerOfPatientID
	if s.Source.PseudonymsSince == nil {
		n, err := q.NotePseudonyms(ctx, db.NotePseudonymsParams{ID: s.Source.ID, IssuerOfPatientID: issuer})
		if err != nil {
			return "", err
		}
		if n == 0 {
			return "", fault.Again(
				"Somebody has just changed the issuer of %s's Patient IDs, so study %s has to start again.",
				s.SourceName, s.UID,
			)
		}
	}
	known, err := q.PseudonymOf(ctx, of)
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.Link(ctx, db.LinkParams{
		ProjectID: of.ProjectID, Trial: of.Trial, Pseudonym: cmp.Or(s.Pseudonym, derived),
		Identity: of.Identity, PatientID: s.PatientID, Issuer: issuer,
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.PseudonymOf(ctx, of) // somebody else has the pseudonym, or has linked this patient just now
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fault.Permanent(
			"The pseudonym for study %s belongs to another patient of this project, so the study was "+
				"not sent; "+
				"choose another pseudonym.", s.UID,
		)
	}
	return known, err
}

// known returns what the server's answer tells of patient and study, which the scan looks for in every instance.
func known(profile *deid.Profile, charset string, answer *stream.DataSet) (deid.Known, error) {
	reader, err := profile.Reader(charset)
	if err != nil {
		return deid.Known{}, err
	}
	return reader.Answer(answer)
}
