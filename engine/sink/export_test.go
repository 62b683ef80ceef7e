// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import "context"

// Abandon ends the sink of an archive as the end of its process does.
func Abandon(s Sink) {
	a := s.(*Archive)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.letGo()
}

// FinishNow is Finish of an archive whose job goes on.
func (s *Archive) FinishNow(ctx context.Context) error { return s.finish(ctx) }
