// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// quota is what a task has set aside of a folder's quota. nil: the folder has none.
type quota struct {
	svc    *Service
	folder int64
	name   string

	mu   sync.Mutex
	left int64
}

// quota returns the room of a task in a folder whose files are counted.
func (svc *Service) quota(n nodes.DICOMNode) *quota {
	if n.Folder.QuotaGb == 0 && n.Folder.WarnGb == 0 {
		return nil
	}
	return &quota{svc: svc, folder: n.ID, name: n.Name}
}

// take uses n bytes up.
func (r *quota) take(ctx context.Context, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if needed := n - r.left; needed > 0 {
		taken, err := r.svc.Q.TakeRoom(ctx, db.TakeRoomParams{
			FolderID: r.folder, Needed: needed, Wanted: max(needed, roomChunk),
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return r.full(ctx)
		}
		if err != nil {
			return err
		}
		r.left += taken
	}
	r.left -= n
	return nil
}

// full has the files counted anew soon: people who make room retry then.
func (r *quota) full(ctx context.Context) error {
	usage, err := r.svc.Q.GetFolderUsage(ctx, r.folder)
	if err != nil {
		return err
	}
	now, err := r.svc.Q.Now(ctx)
	if err != nil {
		return err
	}
	if usage.MeasuredAt != nil {
		if err := r.svc.Q.PlanChore(ctx, db.PlanChoreParams{
			Name: nodes.FolderChore(r.folder), NextAt: base.Later(now, usage.MeasuredAt.Add(countPause)),
		}); err != nil {
			return err
		}
	}
	return fault.Permanent(
		"the quota of the folder %s is used up. Make room or raise the quota; ADIT counts the files again within a "+
			"few minutes. Then retry.",
		r.name,
	)
}

// give gives bytes back that were taken and are not there, or any more.
func (r *quota) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

// close gives back to the folder what is left.
func (r *quota) close(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), roomTimeout)
	defer cancel()
	if err := r.svc.Q.GiveRoom(ctx, db.GiveRoomParams{FolderID: r.folder, Bytes: r.left}); err != nil {
		r.svc.Log.WarnContext(
			ctx, "a folder seems fuller than it is, until its files are counted again", "folder", r.name, "error", err,
		)
	}
	r.left = 0
}

// quotaWriter is a writer within the room of a task.
type quotaWriter struct {
	ctx  context.Context
	room *quota
	w    io.Writer
	n    int64 // bytes written
}

func (r *quotaWriter) Write(b []byte) (int, error) {
	if r.room != nil {
		if err := r.room.take(r.ctx, int64(len(b))); err != nil {
			return 0, &fault.NoRoom{Err: err}
		}
	}
	r.n += int64(len(b))
	return r.w.Write(b)
}

const (
	roomChunk   = 64 << 20 // that a task sets aside of a folder's quota at once
	countPause  = 5 * time.Minute
	roomTimeout = 10 * time.Second
)
