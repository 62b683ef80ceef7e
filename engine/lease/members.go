// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
)

// What a member may be for.
const (
	RoleWeb      = "web"      // serves people
	RoleWorker   = "worker"   // runs tasks
	RoleReceiver = "receiver" // takes what servers send
)

// Roles are all of them.
var Roles = []string{RoleWeb, RoleWorker, RoleReceiver}

// Registration is how a process introduces itself.
type Registration struct {
	DataDirID uuid.UUID // of the data directory that this process holds locked
	Previous  uuid.UUID // this process's own earlier incarnation, if it was fenced
	Name      string
	Roles     []string    // what it is for: RoleWeb, RoleWorker, RoleReceiver
	Workers   int         // tasks that it runs at once unless a schedule says otherwise
	ActorAddr string      // where other members reach its actors; empty: it is no member of a cluster
	DataAddr  string      // where they bring and fetch bytes
	Stores    []uuid.UUID // of files on its own disk
	Version   string
	SchemaMin int64
	SchemaMax int64
}

// Register makes this process a member under a new incarnation and gives back what its predecessor in the same data
// directory held: that process is dead, since the directory's lock is ours.
func (svc *Service) Register(ctx context.Context, r Registration) (uuid.UUID, error) {
	id := uuid.New()
	var predecessors []uuid.UUID
	var folders []int64 // it takes tasks of any
	if svc.Config.Cluster {
		folders = []int64{} // none before it has looked
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		err := q.RegisterMember(ctx, db.RegisterMemberParams{
			ID: id, DataDirID: r.DataDirID, Name: r.Name, Roles: append([]string{}, r.Roles...), ActorAddr: r.ActorAddr,
			DataAddr: r.DataAddr, Workers: int32(r.Workers), Stores: append([]uuid.UUID{}, r.Stores...),
			Version: r.Version, SchemaMin: r.SchemaMin, SchemaMax: r.SchemaMax, Folders: folders,
		})
		if err != nil {
			return err
		}
		predecessors, err = q.FencePredecessors(ctx, db.FencePredecessorsParams{DataDirID: r.DataDirID, Self: id})
		return err
	})
	if err != nil {
		return uuid.Nil, fmt.Errorf("this process can't be registered as a member: %w", err)
	}
	for _, p := range predecessors {
		how := lostWithProcess
		if p == r.Previous {
			how = lostLease
		}
		if err := svc.takeBack(ctx, p, how); err != nil {
			return uuid.Nil, err
		}
		if err := svc.Q.DeleteSlotsOfMember(ctx, p); err != nil {
			return uuid.Nil, err
		}
	}
	svc.Door.SetMember(id)
	return id, svc.Tidy(ctx)
}

// SetFolders says which folders a member of a cluster sees: it is given tasks of these alone.
func (svc *Service) SetFolders(ctx context.Context, member uuid.UUID, folders []int64) error {
	return svc.Q.SetFoldersOfMember(ctx, db.SetFoldersOfMemberParams{ID: member, Folders: folders})
}

// Deregister records that a member has ended in order and no longer holds anything.
func (svc *Service) Deregister(ctx context.Context, member uuid.UUID) error {
	return svc.InTx(ctx, func(q *db.Queries) error {
		return errors.Join(q.DeleteSlotsOfMember(ctx, member), q.RetireMember(ctx, member))
	})
}

// Heartbeat beats for a member over a connection outside the pool, so that a pool that is in use up to its last
// connection costs nobody the lease.
type Heartbeat struct {
	svc *Service
	url string

	mu     sync.Mutex // held for a whole beat: a member may stop in the middle of one
	conn   *pgx.Conn
	closed bool
}

// NewHeartbeat returns a heart that connects to the database when it first beats.
func (svc *Service) NewHeartbeat(databaseURL string) *Heartbeat {
	return &Heartbeat{svc: svc, url: databaseURL}
}

var errHeartClosed = errors.New("the member has stopped")

// Beat says that the member lives and gives the tasks that it holds. It connects anew if it has to. ErrFenced: the
// member holds nothing any more, and must close every socket before it does anything else.
func (h *Heartbeat) Beat(ctx context.Context, member uuid.UUID) ([]HeldTask, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	return h.svc.beat(ctx, h.conn, member)
}

// lookAround is a Watcher's look, over the same connection.
func (h *Heartbeat) lookAround(ctx context.Context) ([]db.LookAroundRow, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.connect(ctx); err != nil {
		return nil, err
	}
	return db.New(h.conn).LookAround(ctx)
}

func (h *Heartbeat) connect(ctx context.Context) error {
	if h.closed {
		return errHeartClosed
	}
	if h.conn != nil && !h.conn.IsClosed() {
		return nil
	}
	conn, err := db.Connect(ctx, h.url, "adit beat")
	if err == nil {
		h.conn = conn
	}
	return err
}

func (svc *Service) beat(ctx context.Context, conn *pgx.Conn, member uuid.UUID) ([]HeldTask, error) {
	q := db.New(conn)
	n, err := q.Beat(ctx, member)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, fault.ErrFenced
	}
	rows, err := q.TasksOfMember(ctx, &member)
	if err != nil {
		return nil, err
	}
	held := make([]HeldTask, len(rows))
	for i, row := range rows {
		held[i] = HeldTask{
			Held: Held{
				Claimed: db.Claimed{
					TaskID: row.ID, JobID: row.JobID, Token: *row.LeaseToken, Kind: row.Kind, Moves: row.Moves,
				}, Member: member,
			},
			CancelRequested: row.CancelRequested, Owner: row.OwnerID, Source: base.IDOf(row.SourceID),
			Destination: base.IDOf(row.DestinationID), Project: row.ProjectID,
			Pseudonymized: row.Pseudonymized,
		}
	}
	return held, nil
}

// Close ends the connection, after the beat that may be under way.
func (h *Heartbeat) Close() {
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

// Peer is another member that can be called.
type Peer struct{ db.ListPeersRow }

// Peers returns the other members of the cluster; own is the address of this one's actors.
func (svc *Service) Peers(ctx context.Context, own string) ([]Peer, error) {
	rows, err := svc.Q.ListPeers(ctx, own)
	list := make([]Peer, len(rows))
	for i, row := range rows {
		list[i] = Peer{row}
	}
	return list, err
}

// Tidy gives back what members left behind that were fenced before they could do so themselves.
func (svc *Service) Tidy(ctx context.Context) error {
	members, err := svc.Q.FencedMembersWithTasks(ctx)
	if err != nil {
		return err
	}
	for _, m := range members {
		if err := svc.takeBack(ctx, m, lostWithProcess); err != nil {
			return err
		}
	}
	if err := svc.Q.ExpireSlotsOfFencedMembers(ctx); err != nil {
		return err
	}
	if _, err := svc.Q.DeleteExpiredSlots(ctx); err != nil {
		return err
	}
	return errors.Join(
		svc.Q.DeleteOldMembers(ctx), svc.Q.EndLostMoves(ctx), svc.Q.DeleteOldMoves(ctx), svc.Q.DeleteSettledStores(ctx),
	)
}
