// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"fmt"
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
