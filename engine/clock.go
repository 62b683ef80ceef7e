// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"

	"github.com/adit-go/adit/db"
)

// boundWaits sees to it that nothing waits longer than it was meant to because the database's clock was put back. Instants are kept by that
// clock, since waits outlive processes; how long each was to be is kept beside it.
func (e *Engine) boundWaits(ctx context.Context) error {
	n, err := e.q.BoundWaits(ctx, e.cfg.ProbePause.Seconds())
	if err != nil {
		return fmt.Errorf("waits can't be compared with the database's clock: %w", err)
	}
	if n > 0 {
		e.log.WarnContext(ctx, "the database's clock was put back; what waits does so no longer than it was meant to", "waits", n)
		e.signals.Wake()
	}
	return nil
}

// heedClock puts right what was written down while the database's clock ran ahead, once that was put back. What waits
// doesn't wait for this: see boundWaits.
func (e *Engine) heedClock(ctx context.Context, _ Chores) error {
	back, err := e.q.ClockPutBack(ctx)
	if err != nil || !back {
		return err
	}
	n, err := db.PutBack(ctx, e.pool)
	if err != nil {
		return err
	}
	e.log.WarnContext(ctx, "the database's clock was put back; what was written down while it ran ahead counts from now", "rows", n)
	return nil
}
