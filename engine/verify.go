// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

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
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/pacs"
)

// verification is what is left to do of a task whose study is delivered: to see that the destination has it. It lives in the database
// from its beginning, so that it goes on after parking, a crash or a restart without anything being sent again. Between two checks the
// task waits, and holds nothing.
type verification struct {
	db.Verification
	method    string
	patience  time.Duration
	elapsed   time.Duration
	instances []db.VerificationInstance
	// verdict is set when waiting would change nothing: why what is not verified stays so.
	verdict     string
	awaited     int  // requests for commitment without a report
	uncountable bool // the destination can only count, and its count proves nothing
}

const longestVerifyPause = time.Minute

// unverified begins the reason of an instance that the destination acknowledged, and is not known to have.
const unverified = "unverified: "

// openVerification goes on with a verification that was begun, if there is one.
func (r *run) openVerification(ctx context.Context) error {
	row, err := r.e.q.OpenVerification(ctx, r.held.TaskID)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	v := &verification{
		Verification: row.Verification, method: r.dst.Verify.Method, patience: r.dst.Verify.Patience, elapsed: time.Duration(row.ElapsedS * float64(time.Second)),
	}
	if v.method == VerifyNone { // moved directly, or changed meanwhile
		v.method = VerifyPresence
	}
	if v.instances, err = r.e.q.ListVerificationInstances(ctx, r.held.TaskID); err != nil {
		return err
	}
	r.verification = v
	return nil
}

// verify begins to verify what was delivered, if the destination's settings want it, and checks a first time. From here on nothing is sent.
// The ledger must be closed.
func (r *run) verify(ctx context.Context) error {
	if r.dst.Server == nil || r.dst.Verify.Method == VerifyNone && !r.mustVerify || r.instances.deliveredOf("") == 0 {
		return nil
	}
	o := Outcome{}
	if r.verdict(&o); o.Status != Success && o.Status != Warning {
		return nil
	}
	p := db.InsertVerificationInstancesParams{TaskID: r.held.TaskID}
	for uid, f := range r.instances.deliveries() {
		p.SourceSopUids = append(p.SourceSopUids, uid)
		p.SeriesUids = append(p.SeriesUids, f.series)
		p.SopClassUids = append(p.SopClassUids, r.classOf(uid, f))
		p.SentSopUids = append(p.SentSopUids, r.sentUID(uid))
		p.SentSeriesUids = append(p.SentSeriesUids, r.sentUID(f.series))
		p.Verified = append(p.Verified, f.seen)
	}
	err := r.e.inTx(ctx, func(q *db.Queries) error {
		if err := holds(ctx, q, r.held); err != nil {
			return err
		}
		begin := db.BeginVerificationParams{TaskID: r.held.TaskID, JobID: r.held.JobID, PatientID: r.sentPatient(), StudyUid: r.sentUID(r.inv.study), Status: o.Status, Message: o.Message}
		return errors.Join(q.DeleteVerification(ctx, r.held.TaskID), q.BeginVerification(ctx, begin), q.InsertVerificationInstances(ctx, p))
	})
	if err != nil {
		return err
	}
	if err := r.openVerification(ctx); err != nil {
		return err
	}
	r.keepOne(ctx)
	return r.check(ctx)
}

// classOf gives the SOP class of a delivered instance: as it came, else as the source lists it.
func (r *run) classOf(uid string, f fact) string {
	if f.class != "" {
		return f.class
	}
	for _, s := range r.inv.series {
		if i, ok := s.instances[uid]; ok {
			return i.class
		}
	}
	return ""
}

// sentPatient gives the Patient ID that was sent.
func (r *run) sentPatient() string {
	if r.deid.pseudonymizes() {
		return r.deid.pseudonym
	}
	return r.inv.patientID
}

// keepOne ends all associations and gives all slots back but the first of the destination.
func (r *run) keepOne(ctx context.Context) {
	r.source.release(ctx)
	r.sink.close(ctx)
	kept := r.sink.(*serverSink).slots[0]
	for _, s := range r.slots {
		if s != kept {
			r.gaveBack(ctx, s.Close(ctx))
		}
	}
	r.slots = []*pacs.Slot{kept}
}

// check asks the destination once.
func (r *run) check(ctx context.Context) error {
	v := r.verification
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	var err error
	if v.method == VerifyCommitment {
		err = r.checkCommitment(ctx, asker)
	} else {
		err = r.checkPresence(ctx, asker)
	}
	if err != nil {
		asker.abort()
		return &atDestination{fmt.Errorf("the destination %s could not be asked what it has: %w", r.dst.Name, err)}
	}
	return nil
}

// asker speaks to the destination over the task's first slot there, of which nothing else may be open.
func (r *run) asker() *source {
	store := r.sink.(*serverSink)
	return &source{node: r.dst, peer: store.peer, slot: store.slots[0], heard: &r.heardDestination}
}

// checkPresence asks for the instances by C-FIND, under the UIDs that they were sent with.
func (r *run) checkPresence(ctx context.Context, asker *source) error {
	v := r.verification
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
		before, err := r.countedBefore(series)
		if err != nil {
			return err
		}
		found, byName, err := present(ctx, asker, v.PatientID, v.StudyUid, series, uids, sent, before)
		if err != nil {
			return err
		}
		v.uncountable = v.uncountable || !byName && before != 0
		if err := r.markVerified(ctx, all, found); err != nil {
			return err
		}
	}
	return nil
}

// unverifiedBySeries gives the indexes of the instances that are not verified, by the series that they were sent in.
func (v *verification) unverifiedBySeries() map[string][]int {
	out := map[string][]int{}
	for n, i := range v.instances {
		if !i.Verified {
			out[i.SentSeriesUid] = append(out[i.SentSeriesUid], n)
		}
	}
	return out
}

// left counts what is not verified.
func (v *verification) left() (n int) {
	for _, i := range v.instances {
		if !i.Verified {
			n++
		}
	}
	return n
}

// markVerified writes down which of the instances were found.
func (r *run) markVerified(ctx context.Context, which []int, found map[string]bool) error {
	v := r.verification
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
	return r.e.inTx(ctx, func(q *db.Queries) error {
		if err := holds(ctx, q, r.held); err != nil {
			return err
		}
		return q.MarkVerified(ctx, db.MarkVerifiedParams{TaskID: r.held.TaskID, SourceSopUids: uids})
	})
}

// leastCap is how many answers to a C-FIND may be all that a server gives: what it did not list is then asked for by its UIDs.
const leastCap = 100

// present asks a server which of the instances of a series it lists. byName is false of one that knows no IMAGE level: it is asked for its
// count, which proves that all are there only if it is no less than what was sent, and was 0 before. before is -1 where that is not known.
func present(ctx context.Context, asker *source, patientID, study, series string, uids []string, sent, before int) (found map[string]bool, byName bool, err error) {
	if asker.node.Server.FindImages {
		found = map[string]bool{}
		listed, err := listPresent(ctx, asker, patientID, study, series, nil, found)
		var status *dimse.StatusError
		switch {
		case errors.As(err, &status) && !outOfResources(status.Status): // it knows no IMAGE level
		case err != nil || listed < leastCap:
			return found, true, err
		default:
			rest := slices.DeleteFunc(slices.Clone(uids), func(uid string) bool { return found[uid] })
			for chunk := range slices.Chunk(rest, listChunk) {
				if _, err := listPresent(ctx, asker, patientID, study, series, chunk, found); err != nil {
					return found, true, err
				}
			}
			return found, true, nil
		}
	}
	found = map[string]bool{}
	if before != 0 {
		return found, false, nil
	}
	there, err := countPresent(ctx, asker, patientID, study, series)
	if err == nil && there >= sent {
		for _, uid := range uids {
			found[uid] = true
		}
	}
	return found, false, err
}

// listPresent asks for a series, or for the instances named, and adds what is answered.
func listPresent(ctx context.Context, asker *source, patientID, study, series string, uids []string, found map[string]bool) (listed int, err error) {
	id := asker.seriesQuery("IMAGE", presenceKeys, patientID, study, series)
	id.Set(dict.SOPInstanceUID, uids...)
	for ds, err := range asker.find(ctx, id) {
		if err != nil {
			return listed, err
		}
		if uid := ds.String(dict.SeriesInstanceUID); uid != "" && uid != series {
			continue
		}
		listed++
		found[ds.String(dict.SOPInstanceUID)] = true
	}
	return listed, nil
}

// seriesAbsent is given instead of a count where a server does not list a series at all.
const seriesAbsent = -2

// countPresent asks how many instances of a series a server counts; -1: it lists the series and doesn't count.
func countPresent(ctx context.Context, asker *source, patientID, study, series string) (int, error) {
	id := asker.seriesQuery("SERIES", []dict.Tag{dict.NumberOfSeriesRelatedInstances}, patientID, study, series)
	there := seriesAbsent
	for ds, err := range asker.find(ctx, id) {
		if err != nil {
			return there, err
		}
		if ds.String(dict.SeriesInstanceUID) == series {
			there = count(ds, dict.NumberOfSeriesRelatedInstances)
		}
	}
	return there, nil
}

// countBefore asks a destination that can only count, before anything is sent, what it has of the study: its count proves nothing about a
// series that was not empty then.
func (r *run) countBefore(ctx context.Context) error {
	if r.dst.Server == nil || r.dst.Verify.Method != VerifyPresence || r.dst.Server.FindImages || r.instances.deliveredOf("") > 0 || len(r.task.CountedBefore) > len("{}") {
		return nil
	}
	asker := r.asker()
	defer func() { asker.release(ctx) }()
	id := levelQuery("SERIES", []dict.Tag{dict.SeriesInstanceUID, dict.NumberOfSeriesRelatedInstances})
	id.Set(dict.StudyInstanceUID, r.sentUID(r.inv.study))
	asker.keyPatient(id, r.sentPatient())
	before := map[string]int{"": 0}
	for ds, err := range asker.find(ctx, id) {
		if err != nil {
			return r.unasked(asker, err)
		}
		if n := count(ds, dict.NumberOfSeriesRelatedInstances); n != 0 {
			before[ds.String(dict.SeriesInstanceUID)] = n
		}
	}
	text, err := json.Marshal(before)
	if err != nil {
		return err
	}
	r.task.CountedBefore = text
	return r.e.q.PutCountedBefore(ctx, db.PutCountedBeforeParams{ID: r.held.TaskID, CountedBefore: text, Token: r.held.Token})
}

// countedBefore returns how many instances the destination counted in a series before anything was sent; -1 if that is not known.
func (r *run) countedBefore(sentSeries string) (int, error) {
	before := map[string]int{}
	if err := json.Unmarshal(r.task.CountedBefore, &before); err != nil {
		return 0, fmt.Errorf("what task %d counted before is damaged: %w", r.held.TaskID, err)
	}
	if _, asked := before[""]; !asked {
		return -1, nil
	}
	return before[sentSeries], nil
}

// judgeVerification says how a task goes on after a check. While the destination can't be had it waits, whatever its patience.
func (r *run) judgeVerification(o *Outcome, err error) {
	v := r.verification
	left := v.left()
	if err != nil {
		o.logLine = err.Error()
	}
	switch {
	case left == 0:
		o.Status, o.Message = v.Status, fmt.Sprintf("%s Verified by %s.", v.Message, v.method)
	case err != nil && (policyOf(err) == policyWait || r.down != nil):
		r.judgeError(o, err)
	case v.verdict != "":
		r.giveUp(o, left, v.verdict)
	case v.elapsed >= v.patience && err != nil:
		r.giveUp(o, left, strings.TrimSuffix(err.Error(), "."))
	case v.elapsed >= v.patience:
		r.giveUp(o, left, fmt.Sprintf("%s within %s", v.lacking(), v.patience))
	default:
		o.Status, o.WaitingReason = Pending, fmt.Sprintf("all is sent, and DICOM Server %s has yet to show %s of %d", r.dst.Name, images(left), len(v.instances))
		o.Wait = min(max(v.elapsed/2, r.e.cfg.VerifyPause), longestVerifyPause, v.patience-v.elapsed+r.e.cfg.VerifyPause)
		if v.awaited > 0 { // its report ends the waiting
			o.Wait = v.patience - v.elapsed + r.e.cfg.VerifyPause
		}
	}
}

func (v *verification) lacking() string {
	if v.method == VerifyCommitment {
		return "the destination acknowledged this image, but did not report its storage commitment"
	}
	if v.uncountable {
		return "the destination acknowledged this image, but can only count, and its count proves nothing: it had images of the series before, or was not asked " +
			"(adit node set --no-find-images has it asked)"
	}
	return "the destination acknowledged this image, but didn't list it"
}

// giveUp makes a Warning of what is not verified. Nothing is sent again by itself.
func (r *run) giveUp(o *Outcome, left int, reason string) {
	v := r.verification
	v.verdict = reason
	o.Status = Warning
	o.Message = fmt.Sprintf("Unverified: of %s, %s not known to be at the destination: %s. The task lists which; a retry verifies again and sends nothing. %s",
		images(len(v.instances)), imagesAre(left), reason, v.Message)
}

// writeVerification takes down, where a run ends, how far the verification is.
func (r *run) writeVerification(ctx context.Context, q *db.Queries, o Outcome) error {
	v := r.verification
	if v == nil {
		return nil
	}
	if err := q.CountVerified(ctx, r.held.TaskID); err != nil {
		return err
	}
	switch {
	case (o.Status == Success || o.Status == Warning) && v.left() == 0:
		return errors.Join(r.nameUnverified(ctx, q, nil), q.DeleteVerification(ctx, r.held.TaskID))
	case o.Status == Warning:
		return errors.Join(r.nameUnverified(ctx, q, v), q.GiveUpVerification(ctx, r.held.TaskID))
	case o.Status == Canceled:
		return q.HoldVerification(ctx, r.held.TaskID)
	}
	return q.PostponeVerification(ctx, r.held.TaskID)
}

// nameUnverified puts what is not verified (v is nil: nothing) among what each series lacks.
func (r *run) nameUnverified(ctx context.Context, q *db.Queries, v *verification) error {
	rows, err := q.ListTaskSeries(ctx, r.held.TaskID)
	if err != nil {
		return err
	}
	for _, row := range rows {
		missing := []MissingInstance{}
		if err := json.Unmarshal(row.Missing, &missing); err != nil {
			return fmt.Errorf("the summary of task %d is damaged: %w", r.held.TaskID, err)
		}
		before := len(missing)
		missing = slices.DeleteFunc(missing, func(m MissingInstance) bool { return strings.HasPrefix(m.Reason, unverified) })
		changed := before != len(missing)
		if v != nil {
			for _, i := range v.instances {
				if !i.Verified && i.SeriesUid == row.SeriesUid && len(missing) < MaxMissing {
					missing, changed = append(missing, MissingInstance{SOPInstanceUID: i.SourceSopUid, Reason: unverified + v.reason(i)}), true
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
			TaskID: row.TaskID, SeriesUid: row.SeriesUid, Expected: row.Expected, Delivered: row.Delivered, Bytes: row.Bytes, Missing: list,
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// reason tells why an instance is not verified: as the destination gave it, else as it is for all.
func (v *verification) reason(i db.VerificationInstance) string {
	if i.Reason != "" {
		return i.Reason
	}
	return v.verdict
}
