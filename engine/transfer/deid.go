// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

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
	session, pseudonym, err := r.svc.projects.Session(ctx, r.Job.Job, projects.Study{
		Source: r.Src.Server, SourceName: r.Src.Name, UID: r.Inv.Study, PatientID: r.Inv.PatientID, Answer: r.Inv.Answer,
		Pseudonym: r.Row.Pseudonym, Pseudonymize: jobs.Pseudonymized(r.Row, r.Job.Job),
	})
	if err != nil || session == nil {
		return err
	}
	r.session, r.pseudonym, r.study = session, pseudonym, session.MapUID(r.Inv.Study)
	return nil
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
