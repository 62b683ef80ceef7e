// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"

	"github.com/adit-go/adit/db"
)

// Sender is a server as the receiver sees it: who may call, and under which names.
type Sender struct {
	ID       int64
	Name     string
	AETitles []string       // under which it calls
	OurAE    string         // under which we call it: the Move Originator's
	Ranges   []netip.Prefix // from which it calls; empty: from anywhere
	// Destination and PlainDestination are the names under which it knows the receiver, if not by the receiver's own.
	Destination, PlainDestination string
}

// From tells whether the server may call from an address.
func (s *Sender) From(addr netip.Addr) bool {
	addr = addr.Unmap()
	return len(s.Ranges) == 0 || slices.ContainsFunc(s.Ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Senders lists the servers that may call the receiver: all that there are.
func (e *Engine) Senders(ctx context.Context) ([]*Sender, error) {
	rows, err := e.q.ListStoringServers(ctx)
	if err != nil {
		return nil, err
	}
	senders := make([]*Sender, 0, len(rows))
	for _, row := range rows {
		s := &Sender{
			ID: row.ID, Name: row.Name, AETitles: append([]string{row.AeTitle}, row.OtherAeTitles...),
			OurAE: cmp.Or(row.CallingAeTitle, e.cfg.AETitle), Destination: row.MoveDestination, PlainDestination: row.MoveDestinationPlain,
		}
		for _, text := range row.AddressRanges {
			p, err := addressRange(text)
			if err != nil {
				return nil, fmt.Errorf("the address ranges of DICOM Server %s are damaged: %w", row.Name, err)
			}
			s.Ranges = append(s.Ranges, p)
		}
		senders = append(senders, s)
	}
	return senders, nil
}

// KnowsMove tells whether one of the servers was told within the last hour to send something under a message ID (0: none), which has
// ended, or of a study ("": none).
func (e *Engine) KnowsMove(ctx context.Context, servers []int64, messageID uint16, study string) (bool, error) {
	return e.q.KnowsMove(ctx, db.KnowsMoveParams{Sources: servers, MessageID: int32(messageID), StudyUid: study})
}

// AETitles gives the receiver's AE titles: for objects as they are stored, and for uncompressed ones.
func (e *Engine) AETitles() (asStored, plain string) { return e.cfg.AETitle, e.cfg.PlainAETitle }
