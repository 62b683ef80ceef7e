// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// Registration is how a process introduces itself.
type Registration struct {
	DataDirID uuid.UUID // of the data directory that this process holds locked
	Previous  uuid.UUID // this process's own earlier incarnation, if it was fenced
	Name      string
	Version   string
	SchemaMin int64
	SchemaMax int64
}

// Held names a task that a node runs, with the token that each of its writes must show.
type Held struct {
	db.Claimed
	Node uuid.UUID
}

// HeldTask is a task that the database says this node runs.
type HeldTask struct {
	Held
	CancelRequested     bool
	Owner               int64
	Source, Destination int64
	Project             int64
	Pseudonymized       bool
}

// Register makes this process a node under a new incarnation and gives back what its predecessor in the same data directory
// held: that process is dead, since the directory's lock is ours.
func (e *Engine) Register(ctx context.Context, r Registration) (uuid.UUID, error) {
	id := uuid.New()
	var predecessors []uuid.UUID
	err := e.inTx(ctx, func(q *db.Queries) error {
		err := q.RegisterNode(ctx, db.RegisterNodeParams{
			ID: id, DataDirID: r.DataDirID, Name: r.Name, Roles: []string{"worker"}, Version: r.Version, SchemaMin: r.SchemaMin, SchemaMax: r.SchemaMax,
		})
		if err != nil {
			return err
		}
		predecessors, err = q.FencePredecessors(ctx, db.FencePredecessorsParams{DataDirID: r.DataDirID, Self: id})
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("this process can't be registered as a node: %w", err)
	}
	for _, p := range predecessors {
		how := lostWithProcess
		if p == r.Previous {
			how = lostLease
		}
		if err := e.takeBack(ctx, p, how); err != nil {
			return uuid.Nil, err
		}
		if err := e.q.DeleteSlotsOfNode(ctx, p); err != nil {
			return uuid.Nil, err
		}
	}
	e.door.SetNode(id)
	return id, e.Tidy(ctx)
}

// Tidy gives back what nodes left behind that were fenced before they could do so themselves.
func (e *Engine) Tidy(ctx context.Context) error {
	nodes, err := e.q.FencedNodesWithTasks(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		if err := e.takeBack(ctx, n, lostWithProcess); err != nil {
			return err
		}
	}
	if err := e.q.ExpireSlotsOfFencedNodes(ctx); err != nil {
		return err
	}
	if _, err := e.q.DeleteExpiredSlots(ctx); err != nil {
		return err
	}
	return errors.Join(e.q.DeleteOldNodes(ctx), e.q.EndLostMoves(ctx), e.q.DeleteOldMoves(ctx))
}

func (e *Engine) beat(ctx context.Context, conn *pgx.Conn, node uuid.UUID) ([]HeldTask, error) {
	q := db.New(conn)
	n, err := q.Beat(ctx, node)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, ErrFenced
	}
	rows, err := q.TasksOfNode(ctx, &node)
	if err != nil {
		return nil, err
	}
	held := make([]HeldTask, len(rows))
	for i, row := range rows {
		held[i] = HeldTask{
			Held:            Held{Claimed: db.Claimed{TaskID: row.ID, JobID: row.JobID, Token: *row.LeaseToken}, Node: node},
			CancelRequested: row.CancelRequested, Owner: row.OwnerID, Source: *row.SourceID, Destination: *row.DestinationID, Project: row.ProjectID,
			Pseudonymized: row.Pseudonymized,
		}
	}
	return held, nil
}

// Watch looks at the beats of the other nodes and fences those that stood still for a whole lease by this process's own
// clock. seen is kept by the caller from one call to the next, and must be emptied after any time in which this node itself
// could not see the database.
func (e *Engine) Watch(ctx context.Context, self uuid.UUID, seen map[uuid.UUID]SeenBeat, lease time.Duration) error {
	nodes, err := e.q.AliveNodes(ctx)
	if err != nil {
		return err
	}
	for _, n := range nodes {
		last, known := seen[n.ID]
		if n.ID == self || known && last.Beat == n.Beat && time.Since(last.At) < lease {
			continue
		}
		if !known || last.Beat != n.Beat {
			seen[n.ID] = SeenBeat{Beat: n.Beat, At: time.Now()}
			continue
		}
		fenced, err := e.q.FenceNode(ctx, db.FenceNodeParams{ID: n.ID, Beat: n.Beat})
		if err != nil {
			return err
		}
		if fenced > 0 {
			e.log.WarnContext(ctx, "a node stopped beating and was fenced", "node", n.ID, "name", n.Name)
		}
		delete(seen, n.ID)
	}
	return e.Tidy(ctx)
}

// SeenBeat is when a node's beat was first seen at a value, by this process's monotonic clock.
type SeenBeat struct {
	Beat int64
	At   time.Time
}

// loss is how a lease was lost.
type loss int

const (
	lostLease       loss = iota // the row says that we run it, but we don't
	lostWithProcess             // the process that ran it is gone
)

// In a row, without one new instance.
const (
	maxLosses  = 5 // of the lease alone
	maxCrashes = 3 // beside other tasks; the next one is alone
)

// takeBack makes the tasks of a dead node pending again.
func (e *Engine) takeBack(ctx context.Context, node uuid.UUID, how loss) error {
	rows, err := e.q.TasksOfNode(ctx, &node)
	if err != nil {
		return err
	}
	for _, row := range rows {
		h := Held{Claimed: db.Claimed{TaskID: row.ID, JobID: row.JobID, Token: *row.LeaseToken}, Node: node}
		if err := e.lose(ctx, h, how); err != nil && !errors.Is(err, ErrFenced) {
			return err
		}
	}
	if len(rows) > 0 {
		e.log.InfoContext(ctx, "tasks of a lost process wait again", "node", node, "tasks", len(rows))
		e.signals.Wake()
	}
	return nil
}

// Lose gives back a task that the database believes to run here while it does not.
func (e *Engine) Lose(ctx context.Context, h Held) error { return e.lose(ctx, h, lostLease) }

func (e *Engine) lose(ctx context.Context, h Held, how loss) error {
	t, err := e.q.GetTask(ctx, h.TaskID)
	if err != nil {
		return notFound(err, "task", h.TaskID)
	}
	p := leaseEnd(h, t, Outcome{Status: Pending})
	p.FreeSlots = false // the caller knows whether the peers still hold the associations
	p.Losses++
	if how == lostWithProcess {
		p.Crashes++
	}
	switch {
	case t.CancelRequested: // endLease makes it Canceled
	case t.Alone && p.Crashes > maxCrashes:
		p.Status = Failure
		p.Message = fmt.Sprintf("ADIT's process ended unexpectedly %d times while it ran this task, the last time with nothing else running beside it, and not one new instance was delivered. "+
			"So the cause is probably in this study. Look in the server's log for the reason, and then retry.", p.Crashes)
	case p.Losses-p.Crashes >= maxLosses:
		p.Status = Failure
		p.Message = fmt.Sprintf("This task was interrupted %d times in a row, and not one new instance was delivered in between. Look in the server's log for the reason, and then retry.", p.Losses)
	}
	p.Alone = p.Crashes >= maxCrashes
	return e.inTx(ctx, func(q *db.Queries) error {
		p := p // a transaction may run again
		if _, err := e.endLease(ctx, q, h, &p); err != nil {
			return err
		}
		return recordLoss(ctx, q, t, p.Status)
	})
}

func leaseEnd(h Held, t db.Task, o Outcome) db.EndLeaseParams {
	return db.EndLeaseParams{
		ID: h.TaskID, Node: &h.Node, Token: &h.Token, Status: o.Status, Message: o.Message, WaitingReason: o.WaitingReason,
		WaitSeconds: o.Wait.Seconds(), Failures: t.Failures, Waits: t.Waits, Losses: t.Losses, Crashes: t.Crashes,
		Refused: t.Refused, RefusedSince: t.RefusedSince, Alone: t.Crashes >= maxCrashes, FreeSlots: true,
	}
}

// endLease ends a run. A task that somebody wants to stop is Canceled instead of Pending.
// pressed: a server of its job has refused something lately.
func (e *Engine) endLease(ctx context.Context, q *db.Queries, h Held, p *db.EndLeaseParams) (pressed bool, err error) {
	if err := sayCanceled(ctx, q, h.JobID, p); err != nil {
		return false, err
	}
	pressed, err = q.EndLease(ctx, *p)
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrFenced
	}
	return pressed, err
}

// Claim takes the next task for a node. If there is none for now it returns false, with the time after which a rate or a window may allow
// one (0: not in sight), and with the task without a token that has to run alone here: the node has to stop what it runs.
func (e *Engine) Claim(ctx context.Context, node uuid.UUID) (held Held, ok bool, again time.Duration, err error) {
	c, err := db.ClaimTask(ctx, e.pool, node)
	if err == nil && !c.Found && c.Stale {
		if err = e.RefreshSchedules(ctx); err == nil {
			c, err = db.ClaimTask(ctx, e.pool, node)
		}
	}
	return Held{Claimed: c.Claimed, Node: node}, c.Found, c.Again, err
}

// Heart beats for a node over a connection outside the pool, so that a pool that is in use up to its last connection costs nobody
// the lease.
type Heart struct {
	e   *Engine
	url string

	mu     sync.Mutex // held for a whole beat: a node may stop in the middle of one
	conn   *pgx.Conn
	closed bool
}

var errHeartClosed = errors.New("the node has stopped")

// NewHeart gives a heart that connects to the database when it first beats.
func (e *Engine) NewHeart(databaseURL string) *Heart { return &Heart{e: e, url: databaseURL} }

// Beat says that the node lives and gives the tasks that it holds. It connects anew if it has to. ErrFenced: the node holds
// nothing any more, and must close every socket before it does anything else.
func (h *Heart) Beat(ctx context.Context, node uuid.UUID) ([]HeldTask, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errHeartClosed
	}
	if h.conn == nil || h.conn.IsClosed() {
		conn, err := db.Connect(ctx, h.url, "adit beat")
		if err != nil {
			return nil, err
		}
		h.conn = conn
	}
	return h.e.beat(ctx, h.conn, node)
}

// Close ends the connection, after the beat that may be under way.
func (h *Heart) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = true
	if h.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = h.conn.Close(ctx) // nothing is lost with it
		h.conn = nil
	}
}

// Deregister says that a node has ended by itself and holds nothing any more.
func (e *Engine) Deregister(ctx context.Context, node uuid.UUID) error {
	return e.inTx(ctx, func(q *db.Queries) error {
		return errors.Join(q.DeleteSlotsOfNode(ctx, node), q.RetireNode(ctx, node))
	})
}

// RevokedError tells why a running task is stopped: its owner lost the right to what it does. It is an ErrCanceled.
type RevokedError struct {
	Reason string
}

func (e *RevokedError) Error() string {
	return "the owner of this job may not go on with it: " + e.Reason
}

// Is makes it an ErrCanceled.
func (e *RevokedError) Is(target error) bool { return target == ErrCanceled }

// Revoked finds, by one query, those of a node's running tasks whose owners lost the right to what they do: a right lost is a cancel. While
// the database can't say, nothing is lost.
func (e *Engine) Revoked(ctx context.Context, running []HeldTask) (map[Held]*RevokedError, error) {
	revoked := map[Held]*RevokedError{}
	if len(running) == 0 {
		return revoked, nil
	}
	deeds := make([]people.Deed, len(running))
	for i, t := range running {
		a := transferAction(t.Source, t.Destination, !t.Pseudonymized, false)
		a.Project = t.Project
		deeds[i] = people.Deed{UserID: t.Owner, Action: a}
	}
	denied, err := e.people.CheckAll(ctx, deeds)
	if err != nil {
		return nil, err
	}
	for i, d := range denied {
		if d != nil {
			revoked[running[i].Held] = &RevokedError{d.Reason}
		}
	}
	return revoked, nil
}

// PushProgress writes how far running tasks are, for people who look at them.
func (e *Engine) PushProgress(ctx context.Context, running map[Held]*Progress) error {
	var p db.PushProgressParams
	for h, g := range running {
		if g.Expected.Load()+g.Received.Load() == 0 && g.Delivered.Load() == 0 {
			continue // it has not read yet what earlier runs brought
		}
		p.Ids = append(p.Ids, h.TaskID)
		p.Tokens = append(p.Tokens, h.Token)
		p.Expected = append(p.Expected, g.Expected.Load())
		p.Received = append(p.Received, g.Received.Load())
		p.Delivered = append(p.Delivered, g.Delivered.Load())
		p.Bytes = append(p.Bytes, g.Bytes.Load())
	}
	if len(p.Ids) == 0 {
		return nil
	}
	return e.q.PushProgress(ctx, p)
}
