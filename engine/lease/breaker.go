// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/web"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// Probe asks one server by C-ECHO whether it is available again, if it is this member's turn, or by QIDO-RS where it is
// reached by DICOMweb alone. It reports whether there was one. A probe is one association, and counts as such.
func (svc *Service) Probe(ctx context.Context, member uuid.UUID) (bool, error) {
	slot, err := svc.Door.ProbeSlot(ctx, member, svc.Config.ProbePause)
	if slot == nil {
		return false, err
	}
	defer func() {
		if err := slot.Close(ctx); err != nil {
			svc.Log.WarnContext(
				ctx, "the slot of a probe can't be given back now", "server", slot.ServerID, "err", err,
			)
		}
	}()
	n, err := svc.nodes.ByID(ctx, slot.ServerID)
	if err != nil {
		return true, err
	}
	peer := svc.nodes.Peer(n)
	if peer.Addr == "" {
		err = probeWeb(ctx, slot, peer, n.Server.QidoRs)
	} else {
		err = probe(ctx, slot, peer)
	}
	if cause := fault.Stopped(ctx); cause != nil {
		return true, cause
	}
	return true, svc.bookEcho(ctx, n, err)
}

func probe(ctx context.Context, slot *door.Slot, peer door.Peer) error {
	a, err := slot.Open(
		ctx, peer, []dimse.Context{{AbstractSyntax: dict.Verification, TransferSyntaxes: door.PlainSyntaxes}},
	)
	if err != nil {
		return err
	}
	if err = a.Echo(ctx); err != nil {
		a.Abort()
		return err
	}
	_ = a.Release(ctx) // it ends in any case
	return nil
}

// probeWeb asks for one study, or only connects to a server that can't be searched.
func probeWeb(ctx context.Context, slot *door.Slot, peer door.Peer, search bool) error {
	w, err := slot.OpenWeb(peer)
	if err != nil {
		return err
	}
	defer w.Abort()
	if !search {
		return w.Connect(ctx)
	}
	one := web.Search{Level: web.Study, Include: []dict.Tag{dict.StudyInstanceUID}, Limit: 1}
	for _, err := range w.Search(ctx, one) {
		return err
	}
	return nil
}

// bookEcho takes down how a C-ECHO fared: whether the server answered it, or refused.
func (svc *Service) bookEcho(ctx context.Context, n nodes.DICOMNode, echo error) error {
	failed := echo != nil && (fault.Unreachable(echo) || fault.PeerFailed(echo) || fault.PeerRefused(echo))
	if _, refused := errors.AsType[*dimse.NoContextsError](echo); refused {
		failed = false // it opens associations, and offers no C-ECHO
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
		st, err := svc.LockPressure(ctx, q, n.ID)
		if err != nil || !st.open() {
			return err
		}
		if failed {
			st.BreakerReason = fmt.Sprintf(
				"DICOM Server %s is not available: %s", n.Name, strings.TrimSuffix(echo.Error(), "."),
			)
			st.later(fault.AskedToWait(echo))
		} else {
			st.answered()
		}
		return st.Put(ctx, q)
	})
	if err == nil && !failed {
		svc.Log.InfoContext(ctx, "a server is available again", "server", n.Name)
		svc.Signals.Wake()
	}
	return err
}
