// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
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
)

const (
	ledgerBatch    = 120                    // as many again may wait behind a batch: a crash sends at most 256 again
	ledgerInterval = 250 * time.Millisecond // how long an acknowledged instance may wait for the others
	ledgerRetry    = 500 * time.Millisecond // between tries while the database is away
)

// receipt is the destination's acknowledgement of an instance.
type receipt struct {
	sopUID, seriesUID, class string
	bytes                    int64
	status                   dimse.Status
	report                   *deid.Report // nil: not de-identified
	remarks                  oddity
	file                     string // in a folder
	fileBytes                int64
	proof                    *manifest.Object // nil: the job keeps no manifest
}

// ledger writes what the destination acknowledged, in batches, while the task's lease holds. Its goroutine ends with close
// or with the context.
type ledger struct {
	e      *Engine
	held   Held
	to     string       // the destination, as identityOf names it
	study  string       // Study Instance UID as sent
	commit func() error // makes durable at the destination what it acknowledged
	stop   context.CancelCauseFunc
	wrote  *atomic.Bool // something was written

	in   chan receipt
	idle sync.WaitGroup
}

// newLedger gives the ledger of a run whose study is known.
func (r *run) newLedger() *ledger {
	return &ledger{e: r.e, held: r.held, to: r.task.DeliveredTo, study: r.sentUID(r.inv.study), wrote: &r.wrote}
}

// openLedger starts a task's ledger. If it can't go on it stops the task by calling stop with the reason.
func (r *run) openLedger(ctx context.Context, stop context.CancelCauseFunc) *ledger {
	l := r.newLedger()
	l.commit, l.stop, l.in = r.sink.commit, stop, make(chan receipt, ledgerBatch)
	l.idle.Go(func() {
		if err := l.run(ctx); err != nil {
			stop(err)
		}
	})
	return l
}

// put records an instance. It blocks while a batch's worth of instances waits for the database.
func (l *ledger) put(ctx context.Context, r receipt) error {
	select {
	case l.in <- r:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// close writes what is left and returns when it is in the database, or the context has ended. put must not be called
// any more.
func (l *ledger) close() {
	close(l.in)
	l.idle.Wait()
}

func (l *ledger) run(ctx context.Context) error {
	first := true
	batch := make([]receipt, 0, ledgerBatch)
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
func (l *ledger) gather(batch *[]receipt) bool {
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

// write puts a batch into the database. A database that is away is tried again until the context ends, which it does when the
// lease can't be held any longer.
func (l *ledger) write(ctx context.Context, batch []receipt, first bool) error {
	if err := l.commit(); err != nil {
		return err
	}
	for {
		err := l.writeOnce(ctx, batch, first)
		if err == nil || errors.Is(err, ErrFenced) {
			return err
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		l.e.log.WarnContext(ctx, "the ledger can't be written, trying again", "task", l.held.TaskID, "err", err)
		if err := pause(ctx, ledgerRetry); err != nil {
			return err
		}
	}
}

func (l *ledger) writeOnce(ctx context.Context, batch []receipt, first bool) error {
	p := db.DeliverParams{TaskID: l.held.TaskID, Node: &l.held.Node, Token: &l.held.Token, First: first, DeliveredTo: l.to}
	for _, r := range batch {
		p.SopUids = append(p.SopUids, r.sopUID)
		p.SeriesUids = append(p.SeriesUids, r.seriesUID)
		p.SopClassUids = append(p.SopClassUids, r.class)
		p.Bytes = append(p.Bytes, r.bytes)
		p.Statuses = append(p.Statuses, int32(r.status))
		p.Remarks = append(p.Remarks, int16(r.remarks))
		p.Files = append(p.Files, r.file)
		p.FileBytes = append(p.FileBytes, r.fileBytes)
	}
	err := l.writeAll(ctx, p, batch)
	if err == nil {
		l.wrote.Store(true)
	}
	return err
}

// writeAll writes what was delivered, and what de-identification did to it.
func (l *ledger) writeAll(ctx context.Context, p db.DeliverParams, batch []receipt) error {
	if !slices.ContainsFunc(batch, func(r receipt) bool { return r.report != nil }) {
		return deliver(ctx, l.e.q, p)
	}
	return l.e.inTx(ctx, func(q *db.Queries) error {
		if err := deliver(ctx, q, p); err != nil {
			return err
		}
		if err := countDeid(ctx, q, l.held.TaskID, l.study, batch); err != nil {
			return err
		}
		return putProofs(ctx, q, l.held.TaskID, batch)
	})
}

// deliver writes into the ledger. ErrFenced: the task is not this node's any more.
func deliver(ctx context.Context, q *db.Queries, p db.DeliverParams) error {
	n, err := q.Deliver(ctx, p)
	switch {
	case err != nil:
		return fmt.Errorf("%d instances: %w", len(p.SopUids), err)
	case n == 0:
		return ErrFenced
	}
	return nil
}

// holds returns ErrFenced if the task is not this node's any more, and else keeps it so until the transaction ends.
func holds(ctx context.Context, q *db.Queries, h Held) error {
	_, err := q.HoldsLease(ctx, db.HoldsLeaseParams{ID: h.TaskID, LeaseNode: &h.Node, LeaseToken: &h.Token})
	if errors.Is(err, pgx.ErrNoRows) {
		return ErrFenced
	}
	return err
}
