// SPDX-License-Identifier: AGPL-3.0-or-later

// Package door is the only way to a configured server: it opens associations there, and connections for requests of
// DICOMweb, and only while it holds a slot. One slot is one of either. Slots are rows in the database, counted against
// the caps of the server over the whole cluster.
package door

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
)

const (
	interactiveWait = 10 * time.Second // how long a person waits for a slot
	handshakeWait   = 10 * time.Second
	recheckSlots    = time.Second // slots that other processes give back are noticed this late
)

// Busy is returned when no interactive slot came free in time.
type Busy struct {
	Server string
}

func (e *Busy) Error() string {
	return fmt.Sprintf("DICOM Server %s has no connection free for interactive use; try again in a moment", e.Server)
}

// Closed is returned when a server's interactive cap is zero.
type Closed struct {
	Server string
}

func (e *Closed) Error() string {
	return fmt.Sprintf("DICOM Server %s is closed for interactive use now", e.Server)
}

// Narrow is returned when a server's interactive cap is too low for a C-MOVE.
type Narrow struct {
	Server string
}

func (e *Narrow) Error() string {
	return fmt.Sprintf("a C-MOVE takes two connections, and DICOM Server %s allows only one for searches, checks and "+
		"reading now; have an administrator raise its interactive cap", e.Server)
}

// NoAssociation is returned when a server could not be connected to, or did not accept the association.
type NoAssociation struct {
	Err error
}

func (e *NoAssociation) Error() string { return e.Err.Error() }
func (e *NoAssociation) Unwrap() error { return e.Err }

// Peer says how a server is reached.
type Peer struct {
	ServerID            int64
	Name                string
	Addr                string // host:port; empty: it is reached by DICOMweb alone
	CalledAE, CallingAE string
	MaxPDU              uint32 // bytes announced, without the PDU header
	IdleTimeout         time.Duration
	TLS                 func() (*tls.Config, error) // nil: none
	Web                 func() (web.Config, error)  // by DICOMweb; nil: not at all
}

// Door gives slots, and associations to those who hold one. It is safe for concurrent use.
type Door struct {
	pool *pgxpool.Pool
	q    *db.Queries
	open *prometheus.GaugeVec

	refresh func(context.Context) error // works out the caps of this hour

	mu     sync.Mutex
	member uuid.UUID
	terms  map[uuid.UUID]*term // of the incarnations of this process
	freed  chan struct{}       // closed and made anew whenever a slot of this process is given back
	owed   []int64             // slots that could not be given back while the database was away
}

// NewDoor returns a door on a migrated database.
func NewDoor(pool *pgxpool.Pool) *Door {
	return &Door{
		pool: pool, q: db.New(pool), freed: make(chan struct{}), terms: map[uuid.UUID]*term{},
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "adit_associations_open",
			Help: "Associations, and connections for DICOMweb, that this process has open to a server.",
		}, []string{"server"}),
	}
}

// Collectors returns the metrics of the door, to be registered once.
func (d *Door) Collectors() []prometheus.Collector { return []prometheus.Collector{d.open} }

// SetMember names the incarnation in whose name slots are taken from now on.
func (d *Door) SetMember(member uuid.UUID) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.member = member
	d.terms[member] = &term{}
}

// Member returns it.
func (d *Door) Member() uuid.UUID {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.member
}

// SetRefresh names what works out the caps of an hour that has begun. It is called once, before the first slot is asked
// for.
func (d *Door) SetRefresh(refresh func(context.Context) error) { d.refresh = refresh }

// Slot returns a slot that was taken in the database for this process.
func (d *Door) Slot(id, serverID int64) *Slot {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &Slot{ServerID: serverID, door: d, id: id, term: d.terms[d.member]}
}

// Slot is the right to hold one association open, or one connection for requests. It is used by one goroutine at a
// time.
type Slot struct {
	ServerID int64

	door *Door
	id   int64
	term *term // of the incarnation for which it was taken
	open interface{ Abort() }
}

// ID is the slot's in the database.
func (s *Slot) ID() int64 { return s.id }

// take does what counts and takes slots, behind their lock. It does not end with the caller's context: a commit that is
// broken off may have happened all the same, and nobody would give that slot back. The caller gets it, and gives it
// back. insert may run again.
func (d *Door) take(ctx context.Context, insert func(ctx context.Context, q *db.Queries) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), interactiveWait)
	defer cancel()
	return db.InTx(ctx, d.pool, func(tx pgx.Tx) error {
		q := d.q.WithTx(tx)
		if err := q.LockSlots(ctx); err != nil {
			return err
		}
		return insert(ctx, q)
	})
}

// MoreTaskSlots gives a running task up to the wanted number of further slots for a server: as many as its batch cap
// has room for, none while another task that is due waits for that server.
func (d *Door) MoreTaskSlots(ctx context.Context, task db.Claimed, serverID int64, wanted int) ([]*Slot, error) {
	if wanted <= 0 {
		return nil, nil
	}
	var slots []*Slot
	err := d.take(ctx, func(ctx context.Context, q *db.Queries) error {
		slots = nil
		ids, err := q.InsertMoreTaskSlots(ctx, db.InsertMoreTaskSlotsParams{
			TaskID: task.TaskID, Token: task.Token, ServerID: serverID, Wanted: int32(wanted),
		})
		for _, id := range ids {
			slots = append(slots, d.Slot(id, serverID))
		}
		return err
	})
	return slots, err
}

// MoveSlot gives a running task a further slot of a server whose C-MOVE opens an association of its own. It gives nil
// where the batch cap has no room; then how many the cap allows, and whether the task holds its slots there longer than
// any other.
func (d *Door) MoveSlot(ctx context.Context, task db.Claimed, serverID int64) (
	slot *Slot, room db.MoveRoomRow, err error,
) {
	err = d.take(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		slot = nil
		room, err = q.MoveRoom(ctx, db.MoveRoomParams{TaskID: task.TaskID, Token: task.Token, ServerID: serverID})
		if err != nil || room.Cap < 2 {
			return err
		}
		slot, err = d.insertSlot(ctx, q, task, serverID)
		return err
	})
	if err != nil {
		return nil, room, err
	}
	return slot, room, nil
}

// insertSlot returns nil where there is no room.
func (d *Door) insertSlot(ctx context.Context, q *db.Queries, task db.Claimed, serverID int64) (*Slot, error) {
	id, err := q.InsertTaskSlot(ctx, db.InsertTaskSlotParams{
		TaskID: task.TaskID, Token: task.Token, ServerID: serverID,
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // no room is no error
	case err != nil:
		return nil, err
	}
	return d.Slot(id, serverID), nil
}

// SlotAgain gives a running task another slot in place of one that it gave back; nil where there is no room.
func (d *Door) SlotAgain(ctx context.Context, task db.Claimed, serverID int64) (slot *Slot, err error) {
	err = d.take(ctx, func(ctx context.Context, q *db.Queries) (err error) {
		slot, err = d.insertSlot(ctx, q, task, serverID)
		return err
	})
	if err != nil {
		return nil, err
	}
	return slot, nil
}

// ProbeSlot gives a member a slot of a server whose probe is due, for the whole cluster; nil if none is. The next probe
// follows after the pause.
func (d *Door) ProbeSlot(ctx context.Context, member uuid.UUID, pause time.Duration) (slot *Slot, err error) {
	err = d.take(ctx, func(ctx context.Context, q *db.Queries) error {
		slot = nil
		probe, err := q.TakeProbe(ctx, db.TakeProbeParams{Member: member, PauseSeconds: pause.Seconds()})
		if err == nil {
			slot = d.Slot(probe.ID, probe.ServerID)
		}
		return err
	})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // none is due, which is no error
	case err != nil:
		return nil, err
	}
	return slot, nil
}

// Interactive gives a slot to somebody who waits for the answer. It waits up to ten seconds for one to come free, then
// returns *Busy; *Closed comes at once.
func (d *Door) Interactive(ctx context.Context, peer Peer) (*Slot, error) {
	slots, err := d.interactive(ctx, peer, wanted{slots: 1})
	if err != nil {
		return nil, err
	}
	return slots[0], nil
}

// InteractiveButOne gives n slots, 1 or 2, at once: two who had one each of those that a C-MOVE takes would wait for
// each other. It leaves one for others, where the server's cap has more than n. *Narrow, too, comes at once.
func (d *Door) InteractiveButOne(ctx context.Context, peer Peer, n int) ([]*Slot, error) {
	return d.interactive(ctx, peer, wanted{slots: int32(n), leaves: 1})
}

// wanted is what somebody wants of a server's interactive slots.
type wanted struct {
	slots  int32
	leaves int32 // to others, where the cap has as many
}

func (d *Door) interactive(ctx context.Context, peer Peer, w wanted) ([]*Slot, error) {
	if err := d.pay(ctx); err != nil {
		return nil, err
	}
	deadline := time.NewTimer(interactiveWait)
	defer deadline.Stop()
	for {
		d.mu.Lock()
		freed, member := d.freed, d.member
		d.mu.Unlock()

		slots, err := d.takeInteractive(ctx, peer, member, w)
		if errors.Is(err, errStale) {
			if err = d.refresh(ctx); err == nil {
				slots, err = d.takeInteractive(ctx, peer, member, w)
			}
		}
		if slots != nil || err != nil {
			return slots, err
		}
		recheck := time.NewTimer(recheckSlots)
		select {
		case <-freed:
		case <-recheck.C:
		case <-deadline.C:
			recheck.Stop()
			return nil, &Busy{Server: peer.Name}
		case <-ctx.Done():
			recheck.Stop()
			return nil, ctx.Err()
		}
		recheck.Stop()
	}
}

// ErrTrial says that the slot for servers that are not saved is taken already.
var ErrTrial = errors.New("a check of another server that isn't saved is under way")

// Trial gives a slot of a server that is not saved, whose number is that of who tries it, below zero; ErrTrial while it
// is taken.
func (d *Door) Trial(ctx context.Context, peer Peer) (*Slot, error) {
	if err := d.pay(ctx); err != nil {
		return nil, err
	}
	if peer.ServerID >= 0 {
		panic("pacs: a saved server was tried like one that isn't") // would break the PACS's cap
	}
	d.mu.Lock()
	member := d.member
	d.mu.Unlock()
	var slot *Slot
	err := d.take(ctx, func(ctx context.Context, q *db.Queries) error {
		slot = nil
		id, err := q.InsertTrialSlot(ctx, db.InsertTrialSlotParams{ServerID: peer.ServerID, MemberID: member})
		if err == nil {
			slot = d.Slot(id, peer.ServerID)
		}
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		err = ErrTrial
	}
	return slot, err
}

// errStale says that nobody has worked out the caps of this hour yet.
var errStale = errors.New("the caps for this hour are not known yet; try again in a moment")

// takeInteractive returns nil without an error while there is no room.
func (d *Door) takeInteractive(ctx context.Context, peer Peer, member uuid.UUID, w wanted) ([]*Slot, error) {
	var slots []*Slot
	err := d.take(ctx, func(ctx context.Context, q *db.Queries) error {
		slots = nil
		room, err := q.InteractiveRoom(ctx, peer.ServerID)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return fmt.Errorf("DICOM Server %s no longer exists", peer.Name)
		case err != nil:
			return err
		case room.Stale:
			return errStale
		case room.Cap == 0:
			return &Closed{Server: peer.Name}
		case room.Cap < w.slots:
			return &Narrow{Server: peer.Name}
		case room.Free < w.slots+min(w.leaves, room.Cap-w.slots):
			return nil
		}
		for range w.slots {
			id, err := q.InsertInteractiveSlot(ctx, db.InsertInteractiveSlotParams{
				ServerID: peer.ServerID, MemberID: member,
			})
			if err != nil {
				return err
			}
			slots = append(slots, d.Slot(id, peer.ServerID))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return slots, nil
}

// Open opens an association to the server that the slot is for. There is at most one at a time.
func (s *Slot) Open(ctx context.Context, peer Peer, contexts []dimse.Context) (*Association, error) {
	if peer.ServerID != s.ServerID || s.open != nil {
		panic("pacs: an association was opened without a slot of its own") // would break the PACS's cap
	}
	if peer.Addr == "" {
		return nil, fmt.Errorf(
			"%s is reached by DICOMweb alone: without a host and a port no association to it can be opened", peer.Name,
		)
	}
	cfg := dimse.Config{
		Addr: peer.Addr, CallingAE: peer.CallingAE, CalledAE: peer.CalledAE, Contexts: contexts, MaxPDU: peer.MaxPDU,
		IdleTimeout: peer.IdleTimeout, Guard: s.term.check,
	}
	if err := s.term.check(); err != nil {
		return nil, err
	}
	if peer.TLS != nil {
		var err error
		if cfg.TLS, err = peer.TLS(); err != nil {
			return nil, err
		}
	}
	a, err := dimse.Dial(ctx, cfg)
	if errors.Is(err, ErrFenced) {
		return nil, ErrFenced // and not the server's fault
	}
	if err = peer.named(err); err != nil {
		if _, answered := errors.AsType[*dimse.NoContextsError](err); answered || ctx.Err() != nil {
			return nil, err
		}
		return nil, &NoAssociation{err}
	}
	opened := &Association{Association: a, slot: s, gauge: s.gauge(peer)}
	s.open = opened
	opened.gauge.Inc()
	return opened, nil
}

// gauge counts what is open to a server.
func (s *Slot) gauge(peer Peer) prometheus.Gauge {
	label := peer.Name
	if s.ServerID < 0 {
		label = "" // any name that somebody tries would be a series of its own
	}
	return s.door.open.WithLabelValues(label)
}

// named has an error name the server, and not where it is nor its AE title: people without staff rights read it.
func (p Peer) named(err error) error {
	if e, ok := errors.AsType[*ul.ConnectError](err); ok {
		e.Addr = p.Name
		if _, ok := errors.AsType[x509.HostnameError](e.Err); ok {
			e.What = "the TLS handshake failed: its certificate does not name its host; check the " +
				"host, or set the expected server name"
		}
	}
	if e, ok := errors.AsType[*ul.RejectedError](err); ok {
		e.Addr, e.CalledAE = p.Name, ""
	}
	if e, ok := errors.AsType[*ul.NotDICOMError](err); ok {
		e.Addr = p.Name
	}
	if e, ok := errors.AsType[*dimse.NoContextsError](err); ok {
		e.Addr = p.Name
	}
	return err
}

// Handshake connects to the server, sees what it says of itself in TLS, and closes the connection. It takes the place
// of an association.
func (s *Slot) Handshake(ctx context.Context, peer Peer, cfg *tls.Config) (tls.ConnectionState, error) {
	if peer.ServerID != s.ServerID || s.open != nil {
		panic("pacs: a connection was opened without a slot of its own") // as above
	}
	if err := s.term.check(); err != nil {
		return tls.ConnectionState{}, err
	}
	return ul.Handshake(ctx, peer.Addr, cfg, handshakeWait)
}

// Close ends the association, if one is still open, and gives the slot back. It works with a context that has ended.
func (s *Slot) Close(ctx context.Context) error {
	if s.open != nil {
		s.open.Abort()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), interactiveWait)
	defer cancel()
	err := s.door.q.DeleteSlot(ctx, s.id)
	if err != nil {
		s.door.mu.Lock()
		s.door.owed = append(s.door.owed, s.id)
		s.door.mu.Unlock()
	}
	s.door.Freed()
	return err
}

// End ends the association, if one is still open. The slot is left to the end of the lease that it belongs to, and then
// to Freed.
func (s *Slot) End() {
	if s.open != nil {
		s.open.Abort()
	}
}

// Freed tells callers that wait for a slot that some were given back. Nobody needs to call it after Close.
func (d *Door) Freed() {
	d.mu.Lock()
	defer d.mu.Unlock()
	close(d.freed)
	d.freed = make(chan struct{})
}

// pay gives back the slots that could not be given back before.
func (d *Door) pay(ctx context.Context) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for len(d.owed) > 0 {
		if err := d.q.DeleteSlot(ctx, d.owed[0]); err != nil {
			return err
		}
		d.owed = d.owed[1:]
	}
	return nil
}

// Association is an association that holds its slot until it ends.
type Association struct {
	*dimse.Association
	slot  *Slot
	gauge prometheus.Gauge
}

// Release ends the association politely and leaves the slot to the next one.
func (a *Association) Release(ctx context.Context) error {
	if a.slot.open != a {
		return nil
	}
	a.slot.open = nil
	defer a.gauge.Dec()
	return a.Association.Release(ctx)
}

// Abort ends the association at once and leaves the slot to the next one.
func (a *Association) Abort() {
	if a.slot.open != a {
		return
	}
	a.slot.open = nil
	defer a.gauge.Dec()
	a.Association.Abort()
}
