// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"sync/atomic"

	"github.com/adit-go/adit/db"
)

// Progress is how far a running task is. It is read while the task runs.
type Progress struct {
	Expected, Received, Delivered atomic.Int32 // instances
	Bytes                         atomic.Int64 // delivered
}

// PushProgress writes how far running tasks are, for people who look at them.
func (svc *Service) PushProgress(ctx context.Context, running map[Held]*Progress) error {
	var p db.PushProgressParams
	for h, g := range running {
		if g.Expected.Load()+g.Received.Load() == 0 && g.Delivered.Load() == 0 {
			continue // it has not read yet what earlier runs brought
		}
		p.Ids = append(p.Ids, h.TaskID)
		p.Tokens = append(p.Tokens, h.Token)
		p.Expected = append(p.Expected, g.Expected.Load())
		p.Received = append(p.Received, g.Received.Load())
		p.Delivered = append(p.Delivered, g.Delivered.Load())
		p.Bytes = append(p.Bytes, g.Bytes.Load())
	}
	if len(p.Ids) == 0 {
		return nil
	}
	return svc.Q.PushProgress(ctx, p)
}
