// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/engine/retrieve"
)

// deidentification is how a run changes instances. Without a session not one byte changes.
type deidentification struct {
	*retrieve.Task
	svc       *Service
	session   *deid.Session
	pseudonym string // empty: only what the trial says is written
	study     string // Study Instance UID as sent
}

// changes reports whether anything of an instance changes.
func (r *deidentification) changes() bool { return r.session != nil }

// pseudonymizes reports whether instances lose their patient: not if only what the trial says is written.
func (r *deidentification) pseudonymizes() bool { return r.session != nil && r.pseudonym != "" }

// openDeid finds out, once the study's patient is known, under which pseudonym and key the run de-identifies.
func (r *deidentification) openDeid(ctx context.Context) error {
	trial, subject := r.Job.TrialProtocolID, deid.Subject{
		TrialID: r.Job.TrialProtocolID, TrialName: r.Job.TrialProtocolName,
	}
	subject.Charset = r.Src.Server.FallbackCharset
	profile, _ := deid.BuiltinProfile(deid.DefaultProfile)
	switch {
	case jobs.Pseudonymized(r.Row, r.Job.Job):
		project, err := r.svc.Q.GetProjectKey(ctx, r.Job.ProjectID)
		if err != nil {
			return err
		}
		if profile, err = r.svc.projects.PinnedProfile(ctx, r.Job.Job); err != nil {
			return err
		}
		key, err := r.svc.projects.KeyOf(project.IsDefault, project.SealedKey, trial)
		if err != nil {
			return err
		}
		subject.Generation, subject.Issuer = uint32(r.Job.UidGeneration), r.Src.Server.IssuerOfPatientID
		subject.Scan, subject.Account = r.Job.Scan, r.Job.Manifest
		if subject.Known, err = known(profile, subject.Charset, r.Inv.Answer); err != nil {
			return fault.Permanent("The study can't be de-identified: %w", err)
		}
		subject.Patient = deid.PatientIdentity(r.Inv.PatientID, subject.Issuer, r.Inv.Study)
		subject.Key = key.OfPatient(subject.Patient)
		derived, err := r.svc.projects.DerivedPseudonym(project.SealedSalt, key, subject.Patient, r.Inv.PatientID)
		if err != nil {
			return err
		}
		if subject.Pseudonym, err = r.link(
			ctx, projects.LinkageTrial(project.IsDefault, trial), derived, subject,
		); err != nil {
			return err
		}
	case trial == "" && r.Job.TrialProtocolName == "":
		return nil
	}
	session, err := profile.Session(subject)
	if err != nil {
		return fault.Permanent("The study can't be de-identified: %w", err)
	}
	r.session, r.pseudonym, r.study = session, subject.Pseudonym, session.MapUID(r.Inv.Study)
	return nil
}

// link returns the pseudonym of the study's patient: the one that the task names, the one of the linkage table, or the
// one derived. Pseudonym and patient belong together for ever, both ways. No error names a pseudonym: logs and reasons
// name the study.
func (r *deidentification) link(ctx context.Context, trial, derived string, s deid.Subject) (string, error) {
	if err := deid.CheckPseudonymOf(r.Inv.PatientID, r.Row.Pseudonym); err != nil {
		return "", fault.Permanent("Study %s was not sent: %w.", r.Inv.Study, err)
	}
	of := db.PseudonymOfParams{ProjectID: r.Job.ProjectID, Trial: trial, Identity: string(s.Patient)}
	known, err := r.svc.Q.PseudonymOf(ctx, of)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && r.Src.Server.PseudonymsSince == nil:
		err = r.svc.InTx(ctx, func(q *db.Queries) error {
			known, err = r.linkAnew(ctx, q, of, derived, s.Issuer)
			return err
		})
	}
	if err == nil && r.Row.Pseudonym != "" && known != r.Row.Pseudonym {
		return "", fault.Permanent(
			"The patient of study %s already has another pseudonym in this project, so it was not sent under the "+
				"one given; "+
				"let ADIT choose the pseudonym (--pseudonymize), or use another project. Anyone who may see the project's "+
				"linkage table can find the pseudonym there.", r.Inv.Study,
		)
	}
	return known, err
}

// linkAnew ties a patient to a pseudonym, unless somebody else has done so meanwhile.
func (r *deidentification) linkAnew(
	ctx context.Context, q *db.Queries, of db.PseudonymOfParams, derived, issuer string,
) (string, error) {
	if r.Src.Server.PseudonymsSince == nil {
		n, err := q.NotePseudonyms(ctx, db.NotePseudonymsParams{ID: r.Src.ID, IssuerOfPatientID: issuer})
		if err != nil {
			return "", err
		}
		if n == 0 {
			return "", fault.Again(
				"Somebody has just changed the issuer of %s's Patient IDs, so study %s has to start again.",
				r.Src.Name, r.Inv.Study,
			)
		}
	}
	known, err := q.PseudonymOf(ctx, of)
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.Link(ctx, db.LinkParams{
		ProjectID: of.ProjectID, Trial: of.Trial, Pseudonym: cmp.Or(r.Row.Pseudonym, derived),
		Identity: of.Identity, PatientID: r.Inv.PatientID, Issuer: issuer,
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.PseudonymOf(ctx, of) // somebody else has the pseudonym, or has linked this patient just now
	if errors.Is(err, pgx.ErrNoRows) {
		return "", fault.Permanent(
			"The pseudonym for study %s belongs to another patient of this project, so the study was "+
				"not sent; "+
				"choose another pseudonym.", r.Inv.Study,
		)
	}
	return known, err
}

// known returns what the source's answer tells of patient and study, which the scan looks for in every instance.
func known(profile *deid.Profile, charset string, answer *stream.DataSet) (deid.Known, error) {
	reader, err := profile.Reader(charset)
	if err != nil {
		return deid.Known{}, err
	}
	return reader.Answer(answer)
}

// deidentify makes of an instance what goes out; the report is complete when that has been read. done tells that
// nothing does, and that the source is to be told Success: the instance came whole, and what follows is decided.
func (r *deidentification) deidentify(uid, series string, obj *stream.Object) (
	report *deid.Report, done bool, err error,
) {
	if !r.changes() {
		return nil, false, nil
	}
	report, err = r.session.Rewrite(obj)
	switch {
	case err == nil && !r.pseudonymizes():
		return nil, false, nil
	case err == nil:
		return report, false, nil
	}
	return nil, r.leaveOut(uid, series, err), err
}

// leaveOut takes down that an instance is not sent, if the error says so.
func (r *deidentification) leaveOut(uid, series string, err error) bool {
	out := jobs.LeftOutInstance{UID: uid}
	if refused, ok := errors.AsType[*deid.RefusedError](err); ok {
		out.Reason = refused.Reason
	} else if unsafe, ok := errors.AsType[*deid.UnsafeError](err); ok {
		out.Reason, out.Unsafe = unsafe.Reason, true
	} else if r.pseudonymizes() && damaged(err) &&
		!errors.Is(err, io.ErrUnexpectedEOF) { // it came whole, and would not come otherwise
		out.Reason, out.Unsafe = deid.Unparsable, true
	} else {
		return false
	}
	if r.Instances.Leave(uid, series, out, evidence.NotDeidentified+err.Error()) && !out.Unsafe {
		r.Progress.Expected.Add(-1)
	}
	return true
}

// sentUID returns the UID under which something of the source is sent.
func (r *deidentification) sentUID(uid string) string {
	if !r.changes() {
		return uid
	}
	return r.session.MapUID(uid)
}

// sentPatient returns the Patient ID that was sent.
func (r *deidentification) sentPatient() string {
	if r.pseudonymizes() {
		return r.pseudonym
	}
	return r.Inv.PatientID
}

// noteLeftOut tells people what a rule left out: it is not a fault.
func (r *deidentification) noteLeftOut() (notes []string) {
	counts := map[deid.Reason]int{}
	for _, out := range r.Instances.Summary.LeftOuts() {
		if !out.Unsafe {
			counts[out.Reason]++
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		if isRule(reason) {
			notes = append(notes, fmt.Sprintf("%s left out: %s.", fault.Instances(counts[reason]), reason))
			continue
		}
		notes = append(notes, fmt.Sprintf("%s left out by the profile (%s).", fault.Instances(counts[reason]), reason))
	}
	if r.pseudonymizes() {
		if note := r.session.IssuersDiffer(); note != "" {
			notes = append(notes, note)
		}
	}
	if r.Inv != nil {
		for _, modality := range slices.Sorted(maps.Keys(r.Inv.Omitted)) {
			notes = append(notes,
				fmt.Sprintf("Series of modality %s left out (%s).", modality, fault.Instances(r.Inv.Omitted[modality])),
			)
		}
	}
	return notes
}

// writeLeftOut keeps what was left out, beside the counts that the ledger has written.
func (r *deidentification) writeLeftOut(ctx context.Context, q *db.Queries) error {
	if !r.pseudonymizes() {
		return nil
	}
	all := r.Instances.Summary.LeftOuts()
	omitted := map[string]int{}
	maps.Copy(omitted, r.Inv.Omitted)
	// none is [], not null
	left, err := json.Marshal(append([]jobs.LeftOutInstance{}, all[:min(len(all), evidence.MaxMissing)]...))
	if err != nil {
		return err
	}
	omittedJSON, err := json.Marshal(omitted)
	if err != nil {
		return err
	}
	return q.PutTaskDeidLeftOut(ctx, db.PutTaskDeidLeftOutParams{
		TaskID: r.Held.TaskID, StudyUid: r.study, Pseudonym: r.pseudonym, LeftOut: left, Omitted: omittedJSON,
	})
}

// writeVolumes takes down under which UIDs the series of a mass transfer were sent.
func (r *deidentification) writeVolumes(ctx context.Context, q *db.Queries, series []string) error {
	if r.Job.Kind != jobs.MassTransfer || !r.pseudonymizes() {
		return nil
	}
	p := db.SentVolumesParams{TaskID: &r.Held.TaskID}
	for _, uid := range series {
		if fault.ValidUID(uid) {
			p.Series, p.Sent = append(p.Series, uid), append(p.Sent, r.sentUID(uid))
		}
	}
	return q.SentVolumes(ctx, p)
}
