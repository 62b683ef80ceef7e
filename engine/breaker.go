// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
)

const breakerOpen = "open"

// Probe asks one server by C-ECHO whether it can be had again, if it is this node's turn to do so. It tells whether there was one. A probe
// is one association, and counts as such.
func (e *Engine) Probe(ctx context.Context, node uuid.UUID) (bool, error) {
	slot, err := e.door.ProbeSlot(ctx, node, e.cfg.ProbePause)
	if slot == nil {
		return false, err
	}
	defer func() {
		if err := slot.Close(ctx); err != nil {
			e.log.WarnContext(ctx, "the slot of a probe could not be given back now", "server", slot.ServerID, "err", err)
		}
	}()
	n, err := e.dicomNode(ctx, slot.ServerID)
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
	if cause := stopped(ctx); cause != nil {
		return true, cause
	}
	return true, e.bookEcho(ctx, n, err)
}

// bookEcho takes down how a C-ECHO fared: whether the server answered it, or refused.
func (e *Engine) bookEcho(ctx context.Context, n DICOMNode, echo error) error {
	failed := echo != nil && (Unreachable(echo) || PeerFailed(echo) || PeerRefused(echo))
	if _, refused := errors.AsType[*dimse.NoContextsError](echo); refused {
		failed = false // it opens associations, and offers no C-ECHO
	}
	err := e.inTx(ctx, func(q *db.Queries) error {
		st, err := e.lockPressure(ctx, q, n.ID)
		if err != nil || !st.open() {
			return err
		}
		if failed {
			st.BreakerReason = fmt.Sprintf("DICOM Server %s can't be had: %s", n.Name, strings.TrimSuffix(echo.Error(), "."))
			st.later()
		} else {
			st.answered()
		}
		return st.put(ctx, q)
	})
	if err == nil && !failed {
		e.log.InfoContext(ctx, "a server can be had again", "server", n.Name)
		e.signals.Wake()
	}
	return err
}
