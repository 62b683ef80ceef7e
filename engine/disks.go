// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

const (
	gigabyte    = 1e9
	roomChunk   = 64 << 20 // that a task sets aside of a folder's quota at once
	againBelow  = 0.95     // of a limit: below it a warning ends, so that it is not given again for each file
	countPause  = 5 * time.Minute
	jobFolders  = "adit_"
	halfWritten = ".dcm.part"
	warnTimeout = 10 * time.Second
)

// folderChore names the chore of counting a folder's files.
func folderChore(id int64) string { return fmt.Sprintf("folder-%d", id) }

// countFolders counts the files of the folders that this node sees, once a day each, and removes what nobody finished.
func (e *Engine) countFolders(ctx context.Context, _ Chores) error {
	folders, err := e.q.ListFolders(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if info, statErr := os.Stat(f.Path); statErr != nil || !info.IsDir() {
			continue
		}
		err = errors.Join(err, e.chore(ctx, folderChore(f.ID), true, func(ctx context.Context, run *choreRun) (any, error) {
			return e.countFolder(ctx, f.ID, f.Path, run)
		}))
	}
	return err
}

// watch tells staff when a folder has grown beyond its limit, and when little space is left where this node writes.
func (e *Engine) watch(ctx context.Context, c Chores) error {
	settings, err := e.people.Settings(ctx)
	if err != nil {
		return err
	}
	if err := e.q.ForgetGone(ctx); err != nil {
		return err
	}
	folders, err := e.q.ListFolders(ctx)
	if err != nil {
		return err
	}
	var seen []diskFigures
	watch := func(key, whose, folder, path string) {
		free, size, ok := diskRoom(path)
		if !ok {
			return // this node doesn't see it
		}
		seen = append(seen, diskFigures{folder, free, size})
		err = errors.Join(err, e.watchDisk(ctx, key, whose, free/gigabyte, settings.LowDiskGB))
	}
	for _, f := range folders {
		err = errors.Join(err, e.watchSize(ctx, f))
		watch(fmt.Sprintf("folder-%d-disk", f.ID), "of the folder "+f.Name, f.Name, f.Path)
	}
	if c.DataDir != "" {
		watch("disk-"+c.Node, "of ADIT's data directory on "+c.Node, "", c.DataDir)
	}
	e.metrics.disks.put(seen)
	return err
}

func (e *Engine) watchSize(ctx context.Context, f db.ListFoldersRow) error {
	limit := f.WarnGb * gigabyte
	return e.warn(ctx, fmt.Sprintf("folder-%d-size", f.ID), warning{
		on: limit > 0 && float64(f.Bytes) >= limit, off: float64(f.Bytes) < limit*againBelow || limit == 0,
		subject: fmt.Sprintf("ADIT: the folder %s is getting full", f.Name),
		text: fmt.Sprintf("The files in the folder %s take %.1f GB, and a warning was asked for at %g GB.%s Make room, or raise the limits of the folder.",
			f.Name, float64(f.Bytes)/gigabyte, f.WarnGb, quotaWords(f.QuotaGb)),
	})
}

func quotaWords(quota float64) string {
	if quota == 0 {
		return ""
	}
	return fmt.Sprintf(" When they take %g GB, its quota, transfers to it fail.", quota)
}

// counted is what was found in a folder.
type counted struct {
	Files   int64 `json:"files"`
	Bytes   int64 `json:"bytes"`
	Removed int64 `json:"removed"` // files that nobody had finished
}

// countFolder walks over a folder and writes down what its files take.
func (e *Engine) countFolder(ctx context.Context, id int64, path string, run *choreRun) (counted, error) {
	var out counted
	settings, err := e.people.Settings(ctx)
	if err != nil {
		return out, err
	}
	before, err := e.q.GetFolderUsage(ctx, id)
	if err != nil {
		return out, err
	}
	old := time.Time{}
	if settings.KeepPartFiles > 0 {
		old = time.Now().AddDate(0, 0, -settings.KeepPartFiles)
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return out, err
	}
	defer func() { _ = root.Close() }() // only a handle
	err = fs.WalkDir(root.FS(), ".", func(name string, d fs.DirEntry, err error) error {
		if kept := run.keep(ctx); kept != nil {
			return kept
		}
		if err != nil && name == "." {
			return err
		}
		if err != nil || !d.Type().IsRegular() {
			return nil //nolint:nilerr // what can't be read is not counted
		}
		info, err := d.Info()
		if err != nil {
			return nil //nolint:nilerr // removed meanwhile
		}
		if info.ModTime().Before(old) && strings.HasPrefix(name, jobFolders) && strings.HasSuffix(name, halfWritten) && root.Remove(name) == nil {
			out.Removed++
			return nil
		}
		if name == markerName {
			return nil
		}
		out.Files++
		out.Bytes += info.Size()
		return nil
	})
	if err != nil {
		return out, err
	}
	return out, e.q.PutUsage(ctx, db.PutUsageParams{FolderID: id, Counted: out.Bytes, Before: before.Bytes, MeasuredBefore: before.MeasuredAt})
}

// diskRoom gives how many bytes are free below a path, and how many there are.
func diskRoom(path string) (free, size float64, ok bool) {
	var disk syscall.Statfs_t
	if err := syscall.Statfs(path, &disk); err != nil {
		return 0, 0, false
	}
	return float64(disk.Bavail) * float64(disk.Bsize), float64(disk.Blocks) * float64(disk.Bsize), true
}

func (e *Engine) watchDisk(ctx context.Context, key, whose string, free, lowGB float64) error {
	return e.warn(ctx, key, warning{
		on: free < lowGB, off: free*againBelow >= lowGB,
		subject: "ADIT: little disk space " + whose,
		text: fmt.Sprintf("Only %.1f GB are free on the disk %s; a warning was asked for below %g GB. Transfers fail when the disk is full. Make room, or add a disk.",
			free, whose, lowGB),
	})
}

// warning is something that staff is told of once, until it is off.
type warning struct {
	on, off       bool
	subject, text string
}

func (e *Engine) warn(ctx context.Context, key string, w warning) error {
	if !w.on && !w.off {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, warnTimeout)
	defer cancel()
	if !w.on {
		_, err := e.q.EndWarning(ctx, key)
		return err
	}
	return e.inTx(ctx, func(q *db.Queries) error {
		n, err := q.RaiseWarning(ctx, db.RaiseWarningParams{Key: key, Message: w.text})
		if err != nil || n == 0 {
			return err
		}
		e.log.WarnContext(ctx, "staff is warned", "warning", key)
		return people.PostStaff(ctx, q, w.subject, w.text+"\n")
	})
}

// room is what a task has set aside of a folder's quota. nil: the folder has none.
type room struct {
	e      *Engine
	folder int64
	name   string

	mu   sync.Mutex
	left int64
}

// room gives the room of a task in a folder whose files are counted.
func (e *Engine) room(n DICOMNode) *room {
	if n.Folder.QuotaGb == 0 && n.Folder.WarnGb == 0 {
		return nil
	}
	return &room{e: e, folder: n.ID, name: n.Name}
}

// take uses n bytes up.
func (r *room) take(ctx context.Context, n int64) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if needed := n - r.left; needed > 0 {
		taken, err := r.e.q.TakeRoom(ctx, db.TakeRoomParams{FolderID: r.folder, Needed: needed, Wanted: max(needed, roomChunk)})
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
func (r *room) full(ctx context.Context) error {
	usage, err := r.e.q.GetFolderUsage(ctx, r.folder)
	if err != nil {
		return err
	}
	now, err := r.e.q.Now(ctx)
	if err != nil {
		return err
	}
	if usage.MeasuredAt != nil {
		if err := r.e.q.PlanChore(ctx, db.PlanChoreParams{Name: folderChore(r.folder), NextAt: later(now, usage.MeasuredAt.Add(countPause))}); err != nil {
			return err
		}
	}
	return permanent("the quota of the folder %s is used up. Make room or raise its quota; ADIT counts its files again within a few minutes. Then retry.", r.name)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// give gives bytes back that were taken and are not there, or any more.
func (r *room) give(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.left += n
}

// close gives back to the folder what is left.
func (r *room) close(ctx context.Context) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.left == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), warnTimeout)
	defer cancel()
	if err := r.e.q.GiveRoom(ctx, db.GiveRoomParams{FolderID: r.folder, Bytes: r.left}); err != nil {
		r.e.log.WarnContext(ctx, "a folder seems fuller than it is, until its files are counted again", "folder", r.name, "error", err)
	}
	r.left = 0
}

// noRoom is why a file may not be written, though its disk would take it.
type noRoom struct {
	error
}

// roomy is a writer within the room of a task.
type roomy struct {
	ctx  context.Context
	room *room
	w    io.Writer
	n    int64 // bytes written
}

func (r *roomy) Write(b []byte) (int, error) {
	if r.room != nil {
		if err := r.room.take(r.ctx, int64(len(b))); err != nil {
			return 0, &noRoom{err}
		}
	}
	r.n += int64(len(b))
	return r.w.Write(b)
}
