// SPDX-License-Identifier: AGPL-3.0-or-later

package lease

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/db"
)

// Progress is how far a running task is. It is read while the task runs.
type Progress struct {
	Expected, Received, Delivered atomic.Int32 // instances
	Bytes                         atomic.Int64 // delivered
}

// sampleEvery is how often it is kept how far a running job is.
const sampleEvery = time.Minute

// PushProgress writes how far running tasks are, for people who look at them, and now and then how far their jobs are.
func (svc *Service) PushProgress(ctx context.Context, running map[Held]*Progress) error {
	var p db.PushProgressParams
	of := map[int64]bool{}
	for h, g := range running {
		of[h.JobID] = true
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
	var pushed error
	if len(p.Ids) > 0 {
		pushed = svc.Q.PushProgress(ctx, p)
	}
	if len(of) == 0 {
		return nil
	}
	return errors.Join(pushed, svc.Q.SampleJobs(ctx, db.SampleJobsParams{
		Ids: slices.Collect(maps.Keys(of)), Every: sampleEvery.Seconds(),
	}))
}
