// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
)

const breakerOpen = "open"

// firstProbe is how soon after a server was found to be down it is asked again for the first time.
const firstProbe = 5 * time.Second

// down says that a server can't be had.
type down struct {
	server DICOMNode
	reason string
	full   bool // it answers, but has no room
}

// downOf finds out of an error of a run whether a server can't be had, and which.
func (r *run) downOf(err error) *down {
	d := &down{server: r.src, reason: strings.TrimSuffix(err.Error(), ".")}
	if _, ok := errors.AsType[*atDestination](err); ok {
		d.server = r.dst
	}
	if d.server.Server == nil {
		return nil
	}
	if own, ok := errors.AsType[*fault](err); ok && own.full {
		d.full = true
		return d
	}
	if !Unreachable(err) {
		return nil
	}
	_, unconnected := errors.AsType[*ul.ConnectError](err)
	d.full = !unconnected
	return d
}

// trip writes down that a server can't be had, and tells whether its tasks wait for that now.
func (e *Engine) trip(ctx context.Context, q *db.Queries, d *down, task int64) (bool, error) {
	n, err := q.TripBreaker(ctx, db.TripBreakerParams{
		ServerID: d.server.ID, Reason: d.reason, FullOnly: d.full, TaskID: task, PauseSeconds: min(firstProbe, e.cfg.ProbePause).Seconds(),
	})
	if err != nil || n > 0 {
		if n > 0 {
			e.log.WarnContext(ctx, "a server can't be had; its tasks wait", "server", d.server.Name, "reason", d.reason)
		}
		return n > 0, err
	}
	st, err := q.GetServerState(ctx, d.server.ID)
	return st.Breaker == breakerOpen, err
}

// Probe asks one server by C-ECHO whether it can be had again, if it is this node's turn to do so. It tells whether there was one. A probe
// is one association, and counts as such.
func (e *Engine) Probe(ctx context.Context, node uuid.UUID) (bool, error) {
	var probe db.TakeProbeRow
	err := e.inTx(ctx, func(q *db.Queries) error {
		if err := q.LockSlots(ctx); err != nil {
			return err
		}
		var err error
		probe, err = q.TakeProbe(ctx, db.TakeProbeParams{Node: node, PauseSeconds: e.cfg.ProbePause.Seconds()})
		return err
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	slot := e.door.Slot(probe.ID, probe.ServerID)
	defer func() {
		if err := slot.Close(ctx); err != nil {
			e.log.WarnContext(ctx, "the slot of a probe could not be given back now", "server", probe.ServerID, "err", err)
		}
	}()
	n, err := e.dicomNode(ctx, probe.ServerID)
	if err != nil {
		return true, err
	}
	peer := e.peer(n)
	a, err := slot.Open(ctx, peer, []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: plainSyntaxes}})
	if err == nil {
		if err = a.Echo(ctx); err != nil {
			a.Abort()
		} else {
			_ = a.Release(ctx) // it ends in any case
		}
	}
	if err != nil && (Unreachable(err) || PeerFailed(err)) {
		return true, e.q.BreakerReason(ctx, db.BreakerReasonParams{ServerID: n.ID, BreakerReason: fmt.Sprintf("DICOM Server %s can't be had: %s", n.Name, strings.TrimSuffix(err.Error(), "."))})
	}
	// It answers; whether it does what tasks need of it, they find out themselves.
	if _, err := e.q.CloseBreaker(ctx, n.ID); err != nil {
		return true, err
	}
	e.log.InfoContext(ctx, "a server can be had again", "server", n.Name)
	e.signals.Wake()
	return true, nil
}
