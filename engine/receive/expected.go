// SPDX-License-Identifier: AGPL-3.0-or-later

package receive

import (
	"context"

	"github.com/adit-go/adit/db"
)

// Expected returns all C-MOVEs of other members that are under way; own is the address of this one.
func (svc *Service) Expected(ctx context.Context, own string) ([]db.ListExpectedRow, error) {
	return svc.Q.ListExpected(ctx, own)
}

// Expecting returns the C-MOVEs of runs of other members that may want an instance which came from one of some servers:
// of the message ID that it names, or of its study. Of runs that go on, those that have ended count, too.
func (svc *Service) Expecting(ctx context.Context, own string, servers []int64, messageID uint16, study string) (
	[]db.ListExpectingRow, error,
) {
	if messageID == 0 && study == "" {
		return nil, nil
	}
	return svc.Q.ListExpecting(ctx, db.ListExpectingParams{
		Own: own, Sources: servers, MessageID: int32(messageID), StudyUid: study,
	})
}

// Strand takes down that an instance of a C-MOVE can't be brought to the member whose run waits for it.
func (svc *Service) Strand(ctx context.Context, messageID uint16) error {
	return svc.Q.Strand(ctx, int32(messageID))
}
