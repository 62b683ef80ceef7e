// SPDX-License-Identifier: AGPL-3.0-or-later

package verify

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/source"
)

// Verification is what is left to do of a task whose study is delivered: to see that the destination has it. It lives
// in the database from its beginning, so that it goes on after parking, a crash or a restart without anything being
// sent again. Between two checks the task waits, and holds nothing.
type Verification struct {
	svc    *Service
	held   lease.Held
	at     nodes.DICOMNode // the destination
	before []byte          // what was counted there before anything was sent, as JSON

	row       db.Verification
	method    string
	patience  time.Duration
	elapsed   time.Duration
	instances []db.VerificationInstance
	// verdict is set when waiting would change nothing: why what is not verified stays so.
	verdict     string
	awaited     int  // requests for commitment without a report
	uncountable bool // the destination can only count, and its count proves nothing
}

// Delivered is what a task has delivered, under the UIDs and the patient that were sent.
type Delivered struct {
	PatientID, StudyUID string
	Instances           []Instance
	Status, Message     string // of the task if all of it is there
}

// Instance is one that the destination acknowledged.
type Instance struct {
	UID, Series, Class  string // as at the source
	SentUID, SentSeries string
	Seen                bool // at the destination already
}

// Begin takes down what is to be verified. The ledger must be closed.
func (svc *Service) Begin(
	ctx context.Context, h lease.Held, at nodes.DICOMNode, before []byte, d Delivered,
) (*Verification, error) {
	p := db.InsertVerificationInstancesParams{TaskID: h.TaskID}
	for _, i := range d.Instances {
		p.SourceSopUids = append(p.SourceSopUids, i.UID)
		p.SeriesUids = append(p.SeriesUids, i.Series)
		p.SopClassUids = append(p.SopClassUids, i.Class)
		p.SentSopUids = append(p.SentSopUids, i.SentUID)
		p.SentSeriesUids = append(p.SentSeriesUids, i.SentSeries)
		p.Verified = append(p.Verified, i.Seen)
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		if err := lease.Holds(ctx, q, h); err != nil {
			return err
		}
		begin := db.BeginVerificationParams{
			TaskID: h.TaskID, JobID: h.JobID, PatientID: d.PatientID,
			StudyUid: d.StudyUID, Status: d.Status, Message: d.Message,
		}
		return errors.Join(
			q.DeleteVerification(ctx, h.TaskID), q.BeginVerification(ctx, begin), q.InsertVerificationInstances(ctx, p),
		)
	})
	if err != nil {
		return nil, err
	}
	return svc.Open(ctx, h, at, before)
}

// Open goes on with a verification that was begun, if there is one. before is what the task counted at the destination
// before anything was sent.
func (svc *Service) Open(ctx context.Context, h lease.Held, at nodes.DICOMNode, before []byte) (*Verification, error) {
	row, err := svc.Q.OpenVerification(ctx, h.TaskID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, err
	}
	v := &Verification{
		svc: svc, held: h, at: at, before: before,
		row: row.Verification, method: at.Verify.Method, patience: at.Verify.Patience,
		elapsed: time.Duration(row.ElapsedS * float64(time.Second)),
	}
	if v.method == nodes.VerifyNone { // moved directly, or changed meanwhile
		v.method = nodes.VerifyPresence
	}
	v.instances, err = svc.Q.ListVerificationInstances(ctx, h.TaskID)
	return v, err
}

// Check asks the destination once, over asker.
func (v *Verification) Check(ctx context.Context, asker *source.Server) error {
	if v.method == nodes.VerifyCommitment {
		return v.checkCommitment(ctx, asker)
	}
	return v.checkPresence(ctx, asker)
}

// checkPresence asks for the instances by C-FIND, under the UIDs that they were sent with.
func (v *Verification) checkPresence(ctx context.Context, asker *source.Server) error {
	for series, all := range v.unverifiedBySeries() {
		uids := make([]string, len(all))
		for i, n := range all {
			uids[i] = v.instances[n].SentSopUid
		}
		sent := 0
		for _, i := range v.instances {
			if i.SentSeriesUid == series {
				sent++
			}
		}
		before, err := v.countedBefore(series)
		if err != nil {
			return err
		}
		found, byName, err := asker.Present(ctx, v.row.PatientID, v.row.StudyUid, series, uids, sent, before)
		if err != nil {
			return err
		}
		v.uncountable = v.uncountable || !byName && before != 0
		if err := v.markVerified(ctx, all, found); err != nil {
			return err
		}
	}
	return nil
}

// unverifiedBySeries returns the indexes of the instances that are not verified, by the series that they were sent in.
func (v *Verification) unverifiedBySeries() map[string][]int {
	out := map[string][]int{}
	for n, i := range v.instances {
		if !i.Verified {
			out[i.SentSeriesUid] = append(out[i.SentSeriesUid], n)
		}
	}
	return out
}

// countedBefore returns how many instances the destination counted in a series before anything was sent; -1 if that is
// not known.
func (v *Verification) countedBefore(sentSeries string) (int, error) {
	before := map[string]int{}
	if err := json.Unmarshal(v.before, &before); err != nil {
		return 0, fmt.Errorf("the earlier counts of task %d are damaged: %w", v.held.TaskID, err)
	}
	if _, asked := before[""]; !asked {
		return -1, nil
	}
	return before[sentSeries], nil
}

// markVerified writes down which of the instances were found.
func (v *Verification) markVerified(ctx context.Context, which []int, found map[string]bool) error {
	var uids []string
	for _, n := range which {
		if found[v.instances[n].SentSopUid] {
			v.instances[n].Verified = true
			uids = append(uids, v.instances[n].SourceSopUid)
		}
	}
	if len(uids) == 0 {
		return nil
	}
	return v.svc.InTx(ctx, func(q *db.Queries) error {
		if err := lease.Holds(ctx, q, v.held); err != nil {
			return err
		}
		return q.MarkVerified(ctx, db.MarkVerifiedParams{TaskID: v.held.TaskID, SourceSopUids: uids})
	})
}

// Left counts what is not verified.
func (v *Verification) Left() (n int) {
	for _, i := range v.instances {
		if !i.Verified {
			n++
		}
	}
	return n
}

const longestVerifyPause = time.Minute

// Judge says how a task goes on after a check, which err ended.
func (v *Verification) Judge(o *lease.Outcome, err error) {
	left := v.Left()
	if err != nil {
		o.LogLine = err.Error()
	}
	switch {
	case left == 0:
		o.Status, o.Message = v.row.Status, fmt.Sprintf("%s Verified by %s.", v.row.Message, v.method)
	case v.verdict != "":
		v.giveUp(o, left, v.verdict)
	case v.elapsed >= v.patience && err != nil:
		v.giveUp(o, left, strings.TrimSuffix(err.Error(), "."))
	case v.elapsed >= v.patience:
		v.giveUp(o, left, fmt.Sprintf("%s within %s", v.lacking(), v.patience))
	default:
		o.Status, o.WaitingReason = jobs.Pending, fmt.Sprintf(
			"everything was sent, but DICOM Server %s does not show %s of %d yet",
			v.at.Name, fault.Instances(left), len(v.instances),
		)
		o.Wait = min(
			max(v.elapsed/2, v.svc.Config.VerifyPause), longestVerifyPause,
			v.patience-v.elapsed+v.svc.Config.VerifyPause,
		)
		if v.awaited > 0 { // its report ends the waiting
			o.Wait = v.patience - v.elapsed + v.svc.Config.VerifyPause
		}
	}
}

// giveUp makes a Warning of what is not verified. Nothing is sent again automatically.
func (v *Verification) giveUp(o *lease.Outcome, left int, reason string) {
	v.verdict = reason
	o.Status = jobs.Warning
	o.Message = fmt.Sprintf(
		"Unverified: of %s, %s not known to be at the destination: %s. The task lists them; a retry verifies again "+
			"and sends nothing. %s",
		fault.Instances(len(v.instances)), fault.InstancesAre(left), reason, v.row.Message,
	)
}

func (v *Verification) lacking() string {
	if v.method == nodes.VerifyCommitment {
		return "the destination acknowledged this instance, but did not report its storage commitment"
	}
	if v.uncountable {
		return "the destination acknowledged this instance, but can only count, and its count proves nothing: it had " +
			"instances of the series before, or was not asked " +
			"(adit node set --no-find-images has it asked)"
	}
	return "the destination acknowledged this instance, but didn't list it"
}

// Write takes down, where a run ends, how far the verification is.
func (v *Verification) Write(ctx context.Context, q *db.Queries, o lease.Outcome) error {
	if err := q.CountVerified(ctx, v.held.TaskID); err != nil {
		return err
	}
	switch {
	case (o.Status == jobs.Success || o.Status == jobs.Warning) && v.Left() == 0:
		return errors.Join(v.nameUnverified(ctx, q, false), q.DeleteVerification(ctx, v.held.TaskID))
	case o.Status == jobs.Warning:
		return errors.Join(v.nameUnverified(ctx, q, true), q.GiveUpVerification(ctx, v.held.TaskID))
	case o.Status == jobs.Canceled:
		return q.HoldVerification(ctx, v.held.TaskID)
	}
	return q.PostponeVerification(ctx, v.held.TaskID)
}

// unverified begins the reason of an instance that the destination acknowledged, and is not known to have.
const unverified = "unverified: "

// nameUnverified puts what is not verified among what each series lacks; nothing, where all of it is.
func (v *Verification) nameUnverified(ctx context.Context, q *db.Queries, some bool) error {
	rows, err := q.ListTaskSeries(ctx, v.held.TaskID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		missing := []jobs.MissingInstance{}
		if err := json.Unmarshal(row.Missing, &missing); err != nil {
			return fmt.Errorf("the summary of task %d is damaged: %w", v.held.TaskID, err)
		}
		before := len(missing)
		missing = slices.DeleteFunc(
			missing, func(m jobs.MissingInstance) bool { return strings.HasPrefix(m.Reason, unverified) },
		)
		changed := before != len(missing)
		if some {
			for _, i := range v.instances {
				if !i.Verified && i.SeriesUid == row.SeriesUid && len(missing) < evidence.MaxMissing {
					missing, changed = append(
						missing, jobs.MissingInstance{SOPInstanceUID: i.SourceSopUid, Reason: unverified + v.reason(i)},
					), true
				}
			}
		}
		if !changed {
			continue
		}
		list, err := json.Marshal(missing)
		if err != nil {
			return err
		}
		err = q.PutTaskSeries(ctx, db.PutTaskSeriesParams{
			TaskID: row.TaskID, SeriesUid: row.SeriesUid, Expected: row.Expected,
			Delivered: row.Delivered, Bytes: row.Bytes, Missing: list,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reason says why an instance is not verified: as the destination gave it, else as it is for all.
func (v *Verification) reason(i db.VerificationInstance) string {
	if i.Reason != "" {
		return i.Reason
	}
	return v.verdict
}
