// SPDX-License-Identifier: AGPL-3.0-or-later

package ledger

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/deid/manifest"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/internal/pause"
)

// Ledger writes what the destination acknowledged, in batches, while the task's lease holds. Its goroutine ends with
// close or with the context.
type Ledger struct {
	svc    *Service
	held   lease.Held
	to     string       // the destination, as identityOf names it
	study  string       // Study Instance UID as sent
	commit func() error // makes durable at the destination what it acknowledged
	wrote  *atomic.Bool // something was written

	in   chan Receipt
	idle sync.WaitGroup
}

// NewLedger returns the ledger of a task. to is the destination as identityOf names it, study the Study Instance UID as
// sent; wrote is set when something was written.
func (svc *Service) NewLedger(h lease.Held, to, study string, wrote *atomic.Bool) *Ledger {
	return &Ledger{svc: svc, held: h, to: to, study: study, wrote: wrote}
}

// Receipt is the destination's acknowledgement of an instance.
type Receipt struct {
	SOPUID, SeriesUID, Class string
	Bytes                    int64
	Status                   dimse.Status
	Report                   *deid.Report // nil: not de-identified
	Remarks                  Oddity
	File                     string // in a folder
	FileBytes                int64
	Proof                    *manifest.Object // nil: the job keeps no manifest
}

// Oddity is a set of what people have to know of an instance that was delivered. The ledger keeps it.
type Oddity int16

// How receipts are gathered, and how long they wait.
const (
	ledgerBatch    = 120                    // as many again may wait behind a batch: a crash sends at most 256 again
	ledgerInterval = 250 * time.Millisecond // how long an acknowledged instance may wait for the others
	Retry          = 500 * time.Millisecond // between tries while the database is away
)

// Open starts it. commit makes durable at the destination what it acknowledged. If the ledger can't go on it stops the
// task by calling stop with the reason.
func (l *Ledger) Open(ctx context.Context, commit func() error, stop context.CancelCauseFunc) {
	l.commit, l.in = commit, make(chan Receipt, ledgerBatch)
	l.idle.Go(func() {
		if err := l.run(ctx); err != nil {
			stop(err)
		}
	})
}

func (l *Ledger) run(ctx context.Context) error {
	first := true
	batch := make([]Receipt, 0, ledgerBatch)
	for r := range l.in {
		batch = append(batch[:0], r)
		open := l.gather(&batch)
		if err := l.write(ctx, batch, first); err != nil {
			return err
		}
		first = false
		if !open {
			return nil
		}
	}
	return nil
}

// gather collects further receipts until the batch is full or old enough; false when the ledger is closed.
func (l *Ledger) gather(batch *[]Receipt) bool {
	timer := time.NewTimer(ledgerInterval)
	defer timer.Stop()
	for len(*batch) < ledgerBatch {
		select {
		case r, ok := <-l.in:
			if !ok {
				return false
			}
			*batch = append(*batch, r)
		case <-timer.C:
			return true
		}
	}
	return true
}

// write puts a batch into the database. A database that is away is tried again until the context ends, which it does
// when the lease can't be held any longer.
func (l *Ledger) write(ctx context.Context, batch []Receipt, first bool) error {
	if err := l.commit(); err != nil {
		return err
	}
	for {
		err := l.WriteOnce(ctx, batch, first)
		if err == nil || errors.Is(err, fault.ErrFenced) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.svc.Log.WarnContext(ctx, "the ledger can't be written, trying again", "task", l.held.TaskID, "err", err)
		if err := pause.For(ctx, Retry); err != nil {
			return err
		}
	}
}

// Put records an instance. It blocks while a batch's worth of instances waits for the database.
func (l *Ledger) Put(ctx context.Context, r Receipt) error {
	select {
	case l.in <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Close writes what is left and returns when it is in the database, or the context has ended. put must not be called
// any more.
func (l *Ledger) Close() {
	close(l.in)
	l.idle.Wait()
}

// WriteOnce writes a batch at once. first: it is the first of its run.
func (l *Ledger) WriteOnce(ctx context.Context, batch []Receipt, first bool) error {
	p := db.DeliverParams{
		TaskID: l.held.TaskID, Member: &l.held.Member, Token: &l.held.Token, First: first, DeliveredTo: l.to,
	}
	for _, r := range batch {
		p.SopUids = append(p.SopUids, r.SOPUID)
		p.SeriesUids = append(p.SeriesUids, r.SeriesUID)
		p.SopClassUids = append(p.SopClassUids, r.Class)
		p.Bytes = append(p.Bytes, r.Bytes)
		p.Statuses = append(p.Statuses, int32(r.Status))
		p.Remarks = append(p.Remarks, int16(r.Remarks))
		p.Files = append(p.Files, r.File)
		p.FileBytes = append(p.FileBytes, r.FileBytes)
	}
	err := l.writeAll(ctx, p, batch)
	if err == nil {
		l.wrote.Store(true)
	}
	return err
}

// writeAll writes what was delivered, and what de-identification did to it.
func (l *Ledger) writeAll(ctx context.Context, p db.DeliverParams, batch []Receipt) error {
	if !slices.ContainsFunc(batch, func(r Receipt) bool { return r.Report != nil }) {
		return deliver(ctx, l.svc.Q, p)
	}
	return l.svc.InTx(ctx, func(q *db.Queries) error {
		if err := deliver(ctx, q, p); err != nil {
			return err
		}
		if err := countDeid(ctx, q, l.held.TaskID, l.study, batch); err != nil {
			return err
		}
		return putProofs(ctx, q, l.held.TaskID, batch)
	})
}

// deliver writes into the ledger. ErrFenced: the task is not this member's any more.
func deliver(ctx context.Context, q *db.Queries, p db.DeliverParams) error {
	n, err := q.Deliver(ctx, p)
	switch {
	case err != nil:
		return fmt.Errorf("%d instances: %w", len(p.SopUids), err)
	case n == 0:
		return fault.ErrFenced
	}
	return nil
}

// countDeid adds what was done to a batch of instances to the task's report, in the ledger's transaction.
func countDeid(ctx context.Context, q *db.Queries, task int64, study string, batch []Receipt) error {
	p := db.PutTaskDeidParams{TaskID: task, StudyUid: study, Codes: []string{}}
	counts, assumed := map[string]int{}, map[string]int{}
	row, err := q.GetTaskDeid(ctx, task)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return err
	}
	if err == nil {
		p.Instances, p.ToUtf8, p.Codes = row.Instances, row.ToUtf8, row.Codes
		if err := errors.Join(
			json.Unmarshal(row.Counts, &counts), json.Unmarshal(row.AssumedCharsets, &assumed),
		); err != nil {
			return err
		}
	}
	for _, rc := range batch {
		if rc.Report == nil {
			continue
		}
		p.Instances++
		if rc.Report.ToUTF8 {
			p.ToUtf8++
		}
		if rc.Report.AssumedCharset != "" {
			assumed[rc.Report.AssumedCharset]++
		}
		for a, n := range rc.Report.Counts {
			if n > 0 {
				counts[deid.Action(a).String()] += n
			}
		}
		for _, code := range rc.Report.Codes {
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

// putProofs writes down what the manifest says of a batch, in the ledger's transaction.
func putProofs(ctx context.Context, q *db.Queries, task int64, batch []Receipt) error {
	p := db.PutDeidObjectsParams{TaskID: task}
	known := map[*deid.Done][]byte{} // hashes of what was done: most instances of a batch share it
	for _, rc := range batch {
		if rc.Proof == nil || len(rc.Proof.Done) == 0 {
			continue
		}
		sum := known[&rc.Proof.Done[0]]
		if sum == nil {
			done, err := json.Marshal(rc.Proof.Done)
			if err != nil {
				return err
			}
			of := sha256.Sum256(done)
			sum = of[:]
			known[&rc.Proof.Done[0]] = sum
			if err := q.PutDeidActions(ctx, db.PutDeidActionsParams{Sha256: sum, Done: done}); err != nil {
				return err
			}
		}
		object, err := json.Marshal(rc.Proof)
		if err != nil {
			return err
		}
		p.SopUids, p.Objects, p.Actions = append(p.SopUids, rc.Proof.Instance), append(p.Objects, string(object)),
			append(p.Actions, sum)
	}
	if len(p.SopUids) == 0 {
		return nil
	}
	return q.PutDeidObjects(ctx, p)
}

// What people have to know.
const (
	OtherPatient Oddity = 1 << iota // it carries another Patient ID than its study
	MovedSeries                     // it says that it is of another series than the source lists it in
	OtherReply                      // the destination acknowledged another SOP Instance UID
	TwoSeries                       // another one came under its UID, of another series
	EndsEarly                       // it ends before what its SOP class must have at its end
	UnclearNote                     // it is a key object that could not be understood
	TwoContents                     // another one came under its UID, of the same series and with other content
)
