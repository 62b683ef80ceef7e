// SPDX-License-Identifier: AGPL-3.0-or-later

// Package livetest runs hubs of live events for tests.
package livetest

import (
	"context"
	"sync"
	"testing"

	"github.com/adit-go/adit/http/live"
)

// Hub returns a hub that runs, and is told what changes in the database, until the test ends.
func Hub(t testing.TB, cfg live.Config) *live.Hub {
	t.Helper()
	hub := live.New(cfg)
	ctx, end := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		var parts sync.WaitGroup
		parts.Go(func() { hub.Run(ctx) })
		parts.Go(func() { cfg.Engine.Feed.Follow(ctx, hub.Tell) })
		parts.Wait()
	}()
	t.Cleanup(func() {
		end()
		<-done
	})
	return hub
}
