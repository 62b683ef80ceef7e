// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"

	"github.com/adit-go/adit/db"
)

// heedClock puts right what was written down while the database's clock ran ahead, once that was put back. What waits
// doesn't wait for this: see boundWaits.
func (svc *Service) heedClock(ctx context.Context, _ Chores) error {
	back, err := svc.Q.ClockPutBack(ctx)
	if err != nil || !back {
		return err
	}
	n, err := db.PutBack(ctx, svc.Pool)
	if err != nil {
		return err
	}
	svc.Log.WarnContext(
		ctx, "the database's clock was set back; times recorded while it ran ahead count from now", "rows", n,
	)
	return nil
}
