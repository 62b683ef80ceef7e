// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pause waits until the time is over or the context ends.
package pause

import (
	"context"
	"time"
)

// For waits for a time. It returns the cause of the context's end if that comes before.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
