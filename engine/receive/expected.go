// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"

	"github.com/adit-go/adit/db"
)

// Move is a C-MOVE of another member.
type Move db.ListExpectedRow

// Expected returns all C-MOVEs of other members that are under way; own is the address of this one.
func (svc *Service) Expected(ctx context.Context, own string) ([]Move, error) {
	rows, err := svc.Q.ListExpected(ctx, own)
	moves := make([]Move, len(rows))
	for i, row := range rows {
		moves[i] = Move(row)
	}
	return moves, err
}

// Expecting returns the C-MOVEs of runs of other members that may want an instance which came from one of some servers:
// of the message ID that it names, or of its study. Of runs that go on, those that have ended count, too.
func (svc *Service) Expecting(ctx context.Context, own string, servers []int64, messageID uint16, study string) (
	[]Move, error,
) {
	if messageID == 0 && study == "" {
		return nil, nil
	}
	rows, err := svc.Q.ListExpecting(ctx, db.ListExpectingParams{
		Own: own, Sources: servers, MessageID: int32(messageID), StudyUid: study,
	})
	moves := make([]Move, len(rows))
	for i, row := range rows {
		moves[i] = Move(row)
	}
	return moves, err
}

// Strand takes down that an instance of a C-MOVE can't be brought to the member whose run waits for it.
func (svc *Service) Strand(ctx context.Context, messageID uint16) error {
	return svc.Q.Strand(ctx, int32(messageID))
}
