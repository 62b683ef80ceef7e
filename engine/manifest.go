// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash"
	"io"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/people"
)

// prove has what goes out be hashed on its way: anew each time that it is opened, since it may be sent a second time.
func (p *parcel) prove() {
	open := p.open
	p.sum = sha256.New()
	p.open = func() io.Reader {
		p.sum.Reset()
		return io.TeeReader(open(), p.sum)
	}
}

// proof is what the manifest says of a delivered object; nil if nobody wants it.
func (p *parcel) proof() *manifest.Object {
	if p.sum == nil {
		return nil
	}
	return &manifest.Object{
		Path: p.file, Study: p.names.study, Series: p.names.series, Instance: p.uid, Of: manifest.OfDataSet, Size: p.bytes.n, SHA256: sumOf(p.sum),
		Codes: p.report.Codes, ToUTF8: p.report.ToUTF8, Behind: p.report.Behind, Done: p.report.Done,
	}
}

func sumOf(h hash.Hash) string { return hex.EncodeToString(h.Sum(nil)) }

// putProofs writes down what the manifest says of a batch, in the ledger's transaction.
func putProofs(ctx context.Context, q *db.Queries, task int64, batch []receipt) error {
	p := db.PutDeidObjectsParams{TaskID: task}
	known := map[*deid.Done][]byte{} // hashes of what was done: most objects of a batch share it
	for _, rc := range batch {
		if rc.proof == nil || len(rc.proof.Done) == 0 {
			continue
		}
		sum := known[&rc.proof.Done[0]]
		if sum == nil {
			done, err := json.Marshal(rc.proof.Done)
			if err != nil {
				return err
			}
			of := sha256.Sum256(done)
			sum = of[:]
			known[&rc.proof.Done[0]] = sum
			if err := q.PutDeidActions(ctx, db.PutDeidActionsParams{Sha256: sum, Done: done}); err != nil {
				return err
			}
		}
		object, err := json.Marshal(rc.proof)
		if err != nil {
			return err
		}
		p.SopUids, p.Objects, p.Actions = append(p.SopUids, rc.proof.Instance), append(p.Objects, string(object)), append(p.Actions, sum)
	}
	if len(p.SopUids) == 0 {
		return nil
	}
	return q.PutDeidObjects(ctx, p)
}

// ExportManifest gives what writes the manifest of a job: what it delivered, with hashes, in the order of its tasks and UIDs. It is of the job as it
// is now, so a job that may still deliver has none.
func (e *Engine) ExportManifest(ctx context.Context, user people.User, jobID int64, program string) (func(ctx context.Context, w io.Writer) error, error) {
	job, err := e.Job(ctx, user, jobID)
	if err != nil {
		return nil, err
	}
	switch {
	case !job.Manifest:
		return nil, &Conflict{Reason: "this job keeps no manifest; `adit project set NAME --manifest` has jobs that pseudonymize keep one from then on"}
	case job.EndedAt == nil:
		return nil, &Conflict{Reason: "the job has not ended, and its manifest would be out of date at once; ask again when it has"}
	}
	project, err := e.q.GetProjectKey(ctx, job.ProjectID)
	if err != nil {
		return nil, err
	}
	key, err := e.keyOf(project.IsDefault, project.SealedKey, job.TrialProtocolID)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, w io.Writer) error {
		m, err := manifest.NewWriter(w, manifest.Chain{}, e.manifestRun(ctx, program, job.Job, key))
		if err != nil {
			return err
		}
		if err := e.writeObjects(ctx, m, jobID); err != nil {
			return err
		}
		left, err := e.leftOutOf(ctx, jobID)
		if err != nil {
			return err
		}
		_, err = m.End(left, key)
		return err
	}, nil
}

// manifestRun describes a job. Of a profile that this ADIT doesn't have any more it knows name, version and hash.
func (e *Engine) manifestRun(ctx context.Context, program string, job db.Job, key deid.Key) manifest.Run {
	definition := deid.Definition{Name: job.ProfileName, Version: job.ProfileVersion}
	if profile, err := e.pinnedProfile(ctx, job); err == nil {
		definition = profile.Definition()
	}
	run := manifest.NewRun(program, definition, job.ProfileSha256, key)
	run.Generation, run.Scan, run.Job = uint32(job.UidGeneration), job.Scan, job.ID
	return run
}

func (e *Engine) writeObjects(ctx context.Context, m *manifest.Writer, job int64) error {
	p := db.ListDeidObjectsParams{JobID: job, Seq: -1, Max: exportPage}
	for {
		rows, err := e.q.Planned().ListDeidObjects(ctx, p)
		if err != nil {
			return err
		}
		for _, row := range rows {
			var o manifest.Object
			if err := json.Unmarshal(row.Object, &o); err != nil {
				return fmt.Errorf("object %s of the manifest: %w", row.SopUid, err)
			}
			o.Actions = row.Done
			if err := m.Add(o); err != nil {
				return err
			}
			p.Seq, p.SopUid = row.Seq, row.SopUid
		}
		if len(rows) < exportPage {
			return nil
		}
	}
}

// leftOutOf counts by reason what a job did not send.
func (e *Engine) leftOutOf(ctx context.Context, job int64) (map[string]int, error) {
	left := map[string]int{}
	p := db.ListTaskDeidParams{JobID: job, Max: exportPage}
	for {
		rows, err := e.q.ListTaskDeid(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			report, err := reportOf(row.Task, db.Job{}, row.TaskDeid)
			if err != nil {
				return nil, err
			}
			for _, out := range report.LeftOut {
				left[string(out.Reason)]++
			}
			p.Above = row.Task.Seq
		}
		if len(rows) < exportPage {
			return left, nil
		}
	}
}
