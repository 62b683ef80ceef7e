// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"log/slog"
)

// quiet has the library's own records be one level less important than it says: it takes each connection that is made
// or lost for worth telling, and each that can't be made for an error.
type quiet struct{ slog.Handler }

func less(l slog.Level) slog.Level { return l - (slog.LevelInfo - slog.LevelDebug) }

// Enabled implements slog.Handler.
func (q quiet) Enabled(ctx context.Context, l slog.Level) bool {
	return q.Handler.Enabled(ctx, less(l))
}

// Handle implements slog.Handler.
func (q quiet) Handle(ctx context.Context, r slog.Record) error {
	r.Level = less(r.Level)
	return q.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (q quiet) WithAttrs(attrs []slog.Attr) slog.Handler { return quiet{q.Handler.WithAttrs(attrs)} }

// WithGroup implements slog.Handler.
func (q quiet) WithGroup(name string) slog.Handler { return quiet{q.Handler.WithGroup(name)} }
