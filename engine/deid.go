// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
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
	"github.com/adit-go/adit/people"
)

// ProjectKeyPurpose is what projects' keys are sealed for.
const ProjectKeyPurpose = "project"

// keyOf gives the key of a project, which its patients' keys derive from. The default project of a group has one for each trial.
func (e *Engine) keyOf(isDefault bool, sealed []byte, trial string) (deid.Key, error) {
	secret, err := e.people.Open(ProjectKeyPurpose, sealed)
	if err != nil || len(secret) != len(deid.Key{}) {
		return deid.Key{}, permanent("The key of the job's project can't be opened; start ADIT with the server key that it was made with.")
	}
	if !isDefault {
		return deid.Key(secret), nil
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("trial\x00" + trial))
	return deid.Key(mac.Sum(nil)), nil
}

// linkageTrial is the part of the linkage table that a job belongs to within its project.
func linkageTrial(isDefault bool, trial string) string {
	if isDefault {
		return trial
	}
	return ""
}

// profileOf gives a project's profile as it is now.
func profileOf(p db.LockProjectRow) (*deid.Profile, error) {
	if p.ProfileText != "" {
		return deid.LoadProfile([]byte(p.ProfileText))
	}
	profile, ok := deid.BuiltinProfile(p.Profile)
	if !ok {
		return nil, fmt.Errorf("there is no de-identification profile named %q; choose another for the project", p.Profile)
	}
	return profile, nil
}

// pinProfile finds what a new job de-identifies with. A profile that gives another output than the one before begins a new generation of
// UIDs.
func pinProfile(ctx context.Context, q *db.Queries, project int64, job *db.InsertJobParams) error {
	p, err := q.LockProject(ctx, project)
	if err != nil {
		return err
	}
	profile, err := profileOf(p)
	if err != nil {
		return &Invalid{Field: "", Reason: err.Error()}
	}
	job.ProfileName, job.ProfileVersion, job.ProfileSha256, job.UidGeneration = profile.Name(), profile.Version(), profile.Hash(), p.UidGeneration
	job.Scan, job.Manifest = p.Scan, p.Manifest
	switch p.ProfileSha256 {
	case profile.Hash():
		return nil
	case "":
		return q.PinProfile(ctx, db.PinProfileParams{ID: project, ProfileSha256: profile.Hash()})
	}
	job.UidGeneration, err = q.BeginGeneration(ctx, db.BeginGenerationParams{ID: project, ProfileSha256: profile.Hash()})
	return err
}

// pinnedProfile gives the profile that a job was made with.
func (e *Engine) pinnedProfile(ctx context.Context, job db.Job) (*deid.Profile, error) {
	if profile, ok := deid.BuiltinProfile(job.ProfileName); ok && profile.Hash() == job.ProfileSha256 {
		return profile, nil
	}
	text, err := e.q.ProfileBySHA256(ctx, job.ProfileSha256)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, err
	}
	if err == nil {
		if profile, err := deid.LoadProfile([]byte(text)); err == nil && profile.Hash() == job.ProfileSha256 {
			return profile, nil
		}
	}
	return nil, permanent("This version of ADIT de-identifies by profile %q otherwise than when the job was made, so that a retry would mix two outputs; "+
		"make a new job.", job.ProfileName)
}

// deidentification is how a run changes objects. It is nil where not one byte changes.
type deidentification struct {
	session   *deid.Session
	pseudonym string // empty: only what the trial says is written
	study     string // Study Instance UID as sent
}

// pseudonymizes tells whether objects lose their patient: not if only what the trial says is written.
func (d *deidentification) pseudonymizes() bool { return d != nil && d.pseudonym != "" }

// pseudonymized tells whether a task's objects lose their patient.
func pseudonymized(task db.Task, job db.Job) bool { return task.Pseudonym != "" || job.Pseudonymize }

// openDeid finds out, once the study's patient is known, under which pseudonym and key the run de-identifies.
func (r *run) openDeid(ctx context.Context) error {
	trial, subject := r.job.TrialProtocolID, deid.Subject{TrialID: r.job.TrialProtocolID, TrialName: r.job.TrialProtocolName}
	subject.Charset = r.src.Server.FallbackCharset
	profile, _ := deid.BuiltinProfile(deid.DefaultProfile)
	switch {
	case pseudonymized(r.task, r.job.Job):
		project, err := r.e.q.GetProjectKey(ctx, r.job.ProjectID)
		if err != nil {
			return err
		}
		if profile, err = r.e.pinnedProfile(ctx, r.job.Job); err != nil {
			return err
		}
		key, err := r.e.keyOf(project.IsDefault, project.SealedKey, trial)
		if err != nil {
			return err
		}
		subject.Generation, subject.Issuer = uint32(r.job.UidGeneration), r.src.Server.IssuerOfPatientID
		subject.Scan, subject.Account = r.job.Scan, r.job.Manifest
		subject.Patient = deid.PatientIdentity(r.inv.patientID, subject.Issuer, r.inv.study)
		subject.Key = key.OfPatient(subject.Patient)
		derived, err := r.e.derivedPseudonym(project.SealedSalt, key, subject.Patient, r.inv.patientID)
		if err != nil {
			return err
		}
		if subject.Pseudonym, err = r.link(ctx, linkageTrial(project.IsDefault, trial), derived, subject); err != nil {
			return err
		}
	case trial == "" && r.job.TrialProtocolName == "":
		return nil
	}
	session, err := profile.Session(subject)
	if err != nil {
		return permanent("The study can't be de-identified: %w", err)
	}
	r.deid = &deidentification{session, subject.Pseudonym, session.MapUID(r.inv.study)}
	return nil
}

// link gives the pseudonym of the study's patient: the one that the task names, the one of the linkage table, or the one derived. Pseudonym and patient belong together for ever, both ways.
// No error names a pseudonym: logs and reasons name the study.
func (r *run) link(ctx context.Context, trial, derived string, s deid.Subject) (string, error) {
	if err := deid.CheckPseudonymOf(r.inv.patientID, r.task.Pseudonym); err != nil {
		return "", permanent("Study %s was not sent: %w.", r.inv.study, err)
	}
	of := db.PseudonymOfParams{ProjectID: r.job.ProjectID, Trial: trial, Identity: string(s.Patient)}
	known, err := r.e.q.PseudonymOf(ctx, of)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && r.src.Server.PseudonymsSince == nil:
		err = r.e.inTx(ctx, func(q *db.Queries) error {
			known, err = r.linkAnew(ctx, q, of, derived, s.Issuer)
			return err
		})
	}
	if err == nil && r.task.Pseudonym != "" && known != r.task.Pseudonym {
		return "", permanent("The patient of study %s has another pseudonym in this project already, so it was not sent under the one given; "+
			"leave the pseudonym to ADIT (--pseudonymize), or use another project. Who may see the project's linkage table finds the pseudonym there.", r.inv.study)
	}
	return known, err
}

// linkAnew ties a patient to a pseudonym, unless somebody else has done so meanwhile.
func (r *run) linkAnew(ctx context.Context, q *db.Queries, of db.PseudonymOfParams, derived, issuer string) (string, error) {
	if r.src.Server.PseudonymsSince == nil {
		n, err := q.NotePseudonyms(ctx, db.NotePseudonymsParams{ID: r.src.ID, IssuerOfPatientID: issuer})
		if err != nil {
			return "", err
		}
		if n == 0 {
			return "", again("The issuer of %s's Patient IDs was changed just now, so study %s has to begin anew.", r.src.Name, r.inv.study)
		}
	}
	known, err := q.PseudonymOf(ctx, of)
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.Link(ctx, db.LinkParams{
		ProjectID: of.ProjectID, Trial: of.Trial, Pseudonym: cmp.Or(r.task.Pseudonym, derived), Identity: of.Identity, PatientID: r.inv.patientID, Issuer: issuer,
	})
	if !errors.Is(err, pgx.ErrNoRows) {
		return known, err
	}
	known, err = q.PseudonymOf(ctx, of) // somebody else has the pseudonym, or has linked this patient just now
	if errors.Is(err, pgx.ErrNoRows) {
		return "", permanent("The pseudonym that study %s was to be sent under belongs to another patient of this project, so it was not sent; "+
			"choose another pseudonym.", r.inv.study)
	}
	return known, err
}

// sentUID gives the UID under which something of the source is sent.
func (r *run) sentUID(uid string) string {
	if r.deid == nil {
		return uid
	}
	return r.deid.session.MapUID(uid)
}

// leftOut is an instance that is not sent: because a rule says so, or because it can't be de-identified safely.
type leftOut struct {
	UID    string      `json:"uid"` // as received
	Reason deid.Reason `json:"reason"`
	Unsafe bool        `json:"unsafe,omitempty"`
}

// notDeidentified begins the reason of what could not be de-identified.
const notDeidentified = "not sent, since it could not be de-identified: "

// deidentify makes of an object what goes out; the report is complete when that has been read. done tells that nothing does, and that the source is to be told Success: the object came
// whole, and what follows is decided.
func (r *run) deidentify(uid, series string, obj *stream.Object) (report *deid.Report, done bool, err error) {
	if r.deid == nil {
		return nil, false, nil
	}
	report, err = r.deid.session.Rewrite(obj)
	switch {
	case err == nil && !r.deid.pseudonymizes():
		return nil, false, nil
	case err == nil:
		return report, false, nil
	}
	return nil, r.leaveOut(uid, series, err), err
}

// leaveOut takes down that an object is not sent, if the error says so.
func (r *run) leaveOut(uid, series string, err error) bool {
	out := leftOut{UID: uid}
	if refused, ok := errors.AsType[*deid.RefusedError](err); ok {
		out.Reason = refused.Reason
	} else if unsafe, ok := errors.AsType[*deid.UnsafeError](err); ok {
		out.Reason, out.Unsafe = unsafe.Reason, true
	} else if r.deid.pseudonymizes() && damaged(err) && !errors.Is(err, io.ErrUnexpectedEOF) { // it came whole, and would not come otherwise
		out.Reason, out.Unsafe = deid.Unparsable, true
	} else {
		return false
	}
	if r.instances.leave(uid, series, out, notDeidentified+err.Error()) && !out.Unsafe {
		r.progress.Expected.Add(-1)
	}
	return true
}

// omits tells whether the job leaves series of this modality out.
func (r *run) omits(modality string) bool {
	if modality == keyObjectModality && r.heedsNotes() { // they are read first
		return false
	}
	return pseudonymized(r.task, r.job.Job) && slices.Contains(r.e.cfg.ExcludedModalities, modality)
}

// noteLeftOut tells people what a rule left out: it is no fault.
func (r *run) noteLeftOut() (notes []string) {
	counts := map[deid.Reason]int{}
	for _, out := range r.instances.leftOuts() {
		if !out.Unsafe {
			counts[out.Reason]++
		}
	}
	for _, reason := range slices.Sorted(maps.Keys(counts)) {
		if isRule(reason) {
			notes = append(notes, fmt.Sprintf("%s left out: %s.", images(counts[reason]), reason))
			continue
		}
		notes = append(notes, fmt.Sprintf("%s left out by the profile (%s).", images(counts[reason]), reason))
	}
	if r.deid.pseudonymizes() {
		if note := r.deid.session.IssuersDiffer(); note != "" {
			notes = append(notes, note)
		}
	}
	if r.inv != nil {
		for _, modality := range slices.Sorted(maps.Keys(r.inv.omitted)) {
			notes = append(notes, fmt.Sprintf("Series of modality %s left out (%s).", modality, images(r.inv.omitted[modality])))
		}
	}
	return notes
}

// writeLeftOut keeps what was left out, beside the counts that the ledger has written.
func (r *run) writeLeftOut(ctx context.Context, q *db.Queries) error {
	if !r.deid.pseudonymizes() {
		return nil
	}
	all := r.instances.leftOuts()
	omitted := map[string]int{}
	maps.Copy(omitted, r.inv.omitted)
	left, err := json.Marshal(append([]leftOut{}, all[:min(len(all), MaxMissing)]...)) // none is [], not null
	if err != nil {
		return err
	}
	omittedJSON, err := json.Marshal(omitted)
	if err != nil {
		return err
	}
	return q.PutTaskDeidLeftOut(ctx, db.PutTaskDeidLeftOutParams{
		TaskID: r.held.TaskID, StudyUid: r.deid.study, Pseudonym: r.deid.pseudonym, LeftOut: left, Omitted: omittedJSON,
	})
}

// DeidReport is what de-identification did to a task's study.
type DeidReport struct {
	TaskID           int64
	Pseudonym        string
	StudyInstanceUID string // as sent
	ProfileName      string
	ProfileVersion   string
	ProfileSHA256    string
	UIDGeneration    int32
	Instances        int            // delivered
	Counts           map[string]int // attributes of them, by action
	Codes            []string       // of CID 7050, as (0012,0064) says what was done
	ToUTF8           int            // instances whose text was moved to ISO_IR 192
	AssumedCharsets  map[string]int // instances by what their text was read in, as they declare nothing
	Refused          map[deid.Reason]int
	Unsafe           map[deid.Reason]int
	LeftOut          []LeftOut
	Omitted          map[string]int // instances of excluded modalities, as far as the source counts them
}

// LeftOut is an instance that was not sent.
type LeftOut struct {
	SOPInstanceUID string // as received
	Reason         deid.Reason
	Unsafe         bool // it could not be de-identified; otherwise the profile leaves it out
}

// reportOf reads a row of task_deid.
func reportOf(task db.Task, job db.Job, row db.TaskDeid) (DeidReport, error) {
	report := DeidReport{
		TaskID: task.ID, Pseudonym: row.Pseudonym, StudyInstanceUID: row.StudyUid, ProfileName: job.ProfileName, ProfileVersion: job.ProfileVersion,
		ProfileSHA256: job.ProfileSha256, UIDGeneration: job.UidGeneration, Instances: int(row.Instances), Codes: row.Codes, ToUTF8: int(row.ToUtf8),
		Refused: map[deid.Reason]int{}, Unsafe: map[deid.Reason]int{},
	}
	var out []leftOut
	err := errors.Join(json.Unmarshal(row.Counts, &report.Counts), json.Unmarshal(row.LeftOut, &out), json.Unmarshal(row.Omitted, &report.Omitted),
		json.Unmarshal(row.AssumedCharsets, &report.AssumedCharsets))
	for _, o := range out {
		report.LeftOut = append(report.LeftOut, LeftOut{o.UID, o.Reason, o.Unsafe})
		if o.Unsafe {
			report.Unsafe[o.Reason]++
		} else {
			report.Refused[o.Reason]++
		}
	}
	return report, err
}

// countDeid adds what was done to a batch of instances to the task's report, in the ledger's transaction.
func countDeid(ctx context.Context, q *db.Queries, task int64, study string, batch []receipt) error {
	p := db.PutTaskDeidParams{TaskID: task, StudyUid: study, Codes: []string{}}
	counts, assumed := map[string]int{}, map[string]int{}
	row, err := q.GetTaskDeid(ctx, task)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil {
		p.Instances, p.ToUtf8, p.Codes = row.Instances, row.ToUtf8, row.Codes
		if err := errors.Join(json.Unmarshal(row.Counts, &counts), json.Unmarshal(row.AssumedCharsets, &assumed)); err != nil {
			return err
		}
	}
	for _, rc := range batch {
		if rc.report == nil {
			continue
		}
		p.Instances++
		if rc.report.ToUTF8 {
			p.ToUtf8++
		}
		if rc.report.AssumedCharset != "" {
			assumed[rc.report.AssumedCharset]++
		}
		for a, n := range rc.report.Counts {
			if n > 0 {
				counts[deid.Action(a).String()] += n
			}
		}
		for _, code := range rc.report.Codes {
			if !slices.Contains(p.Codes, code) {
				p.Codes = append(p.Codes, code)
			}
		}
	}
	slices.Sort(p.Codes)
	if p.Counts, err = json.Marshal(counts); err != nil {
		return err
	}
	if p.AssumedCharsets, err = json.Marshal(assumed); err != nil {
		return err
	}
	return q.PutTaskDeid(ctx, p)
}

// DeidReport gives what de-identification did to a task's study, ErrNotFound if nothing of it was de-identified.
func (e *Engine) DeidReport(ctx context.Context, user people.User, id int64) (DeidReport, error) {
	task, err := e.Task(ctx, user, id)
	if err != nil {
		return DeidReport{}, err
	}
	job, err := e.Job(ctx, user, task.JobID)
	if err != nil {
		return DeidReport{}, err
	}
	row, err := e.q.GetTaskDeid(ctx, id)
	if err != nil {
		return DeidReport{}, notFound(err, "de-identification report of task", id)
	}
	all, err := e.seesPseudonyms(ctx, user, job)
	if err != nil {
		return DeidReport{}, err
	}
	if !all && row.Pseudonym != task.Pseudonym {
		row.Pseudonym = ""
	}
	return reportOf(task.Task, job.Job, row)
}

// seesPseudonyms reports whether a user may see the pseudonyms of all studies of a job, beside whose they are: that is what the project's linkage table
// says. Who made the job sees those that were given to it, and nobody else does.
func (e *Engine) seesPseudonyms(ctx context.Context, user people.User, job Job) (bool, error) {
	if job.ProfileName == "" { // nothing is pseudonymized
		return true, nil
	}
	err := e.people.Check(ctx, user.ID, people.Action{Permissions: []string{people.Linkage}, Project: job.ProjectID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return false, nil
	}
	return err == nil, err
}
