// SPDX-License-Identifier: AGPL-3.0-or-later

// Package pause waits, for as long as anybody wants that.
package pause

import (
	"context"
	"time"
)

// For waits for a time. It returns the context's error if that ends before.
func For(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
