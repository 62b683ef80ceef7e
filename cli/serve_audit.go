// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"os"
	"sync"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// startAudit writes to the audit log that this process has started, and has it seal the log if no other one does.
func (s *server) startAudit(ctx context.Context) error {
	if err := s.recordActivity(ctx, people.ActStart); err != nil {
		return err
	}
	audit := s.people.Audit()
	sealing, stop := context.WithCancel(context.WithoutCancel(ctx))
	var parts sync.WaitGroup
	parts.Go(func() { audit.Seal(sealing, s.log) })
	s.atEnd(func() { //nolint:contextcheck // the end has time of its own
		stop()
		parts.Wait()
		ctx, cancel := context.WithTimeout(context.Background(), endGrace)
		defer cancel()
		err := s.recordActivity(ctx, people.ActStop)
		if err == nil {
			_, err = audit.SealOnce(ctx)
		}
		if err != nil {
			s.log.Error("the end of this process is not in the audit log", "error", err)
		}
	})
	return nil
}

func (s *server) recordActivity(ctx context.Context, act string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return people.Record(ctx, db.New(s.pool), people.Entry{Action: act, Object: "node " + host, Detail: map[string]any{"version": version, "process": os.Getpid()}})
}
