// SPDX-License-Identifier: AGPL-3.0-or-later

package housekeeping

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/sink"
	"github.com/adit-go/adit/mail"
)

const (
	gigabyte   = 1e9
	againBelow = 0.95 // of a limit: below it a warning ends, so that it is not given again for each file
	jobFolders = "adit_"

	warnTimeout = 10 * time.Second
)

// countFolders counts the files of the folders that this member sees, once a day each, and removes what nobody
// finished.
func (svc *Service) countFolders(ctx context.Context, _ Chores) error {
	folders, err := svc.Q.FoldersToSee(ctx)
	if err != nil {
		return err
	}
	for _, f := range folders {
		if !svc.nodes.Sees(f.Name, f.Folder) { // an empty mount point would count as an empty folder
			continue
		}
		err = errors.Join(err,
			svc.chore(ctx, nodes.FolderChore(f.Folder.ID), true, func(ctx context.Context, run *choreRun) (any, error) {
				return svc.countFolder(ctx, f.Folder.ID, f.Folder.Path, run)
			}),
		)
	}
	return err
}

// watch tells staff when a folder has grown beyond its limit, and when little space is left where this member writes.
func (svc *Service) watch(ctx context.Context, c Chores) error {
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return err
	}
	if err := svc.Q.ForgetGone(ctx); err != nil {
		return err
	}
	folders, err := svc.Q.ListFolders(ctx)
	if err != nil {
		return err
	}
	places, err := svc.Q.FoldersToSee(ctx)
	if err != nil {
		return err
	}
	var seen []base.DiskFigures
	watch := func(key, whose, folder, path string) {
		free, size, ok := diskRoom(path)
		if !ok {
			return
		}
		seen = append(seen, base.DiskFigures{Folder: folder, Free: free, Size: size})
		err = errors.Join(err, svc.watchDisk(ctx, key, whose, free/gigabyte, settings.LowDiskGB))
	}
	for _, f := range folders {
		err = errors.Join(err, svc.watchSize(ctx, f))
	}
	for _, f := range places {
		if svc.nodes.Sees(f.Name, f.Folder) { // else the warning of another disk would end that of this one
			watch(fmt.Sprintf("folder-%d-disk", f.Folder.ID), "of the folder "+f.Name, f.Name, f.Folder.Path)
		}
	}
	if c.DataDir != "" {
		watch("disk-"+c.DirID.String(), "of ADIT's data directory on "+c.Member, "", c.DataDir)
	}
	svc.Metrics.Disks.Put(seen)
	return err
}

func (svc *Service) watchSize(ctx context.Context, f db.ListFoldersRow) error {
	limit := f.WarnGb * gigabyte
	return svc.warn(ctx, fmt.Sprintf("folder-%d-size", f.ID), warning{
		on: limit > 0 && float64(f.Bytes) >= limit, off: float64(f.Bytes) < limit*againBelow || limit == 0,
		subject: fmt.Sprintf("ADIT: the folder %s is getting full", f.Name),
		text: fmt.Sprintf(
			"The files in the folder %s take %.1f GB; its warning limit is %g GB.%s Make room, or raise "+
				"the limits of the folder.",
			f.Name, float64(f.Bytes)/gigabyte, f.WarnGb, quotaWords(f.QuotaGb),
		),
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
func (svc *Service) countFolder(ctx context.Context, id int64, path string, run *choreRun) (counted, error) {
	var out counted
	settings, err := svc.People.Settings(ctx)
	if err != nil {
		return out, err
	}
	before, err := svc.Q.GetFolderUsage(ctx, id)
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
		if info.ModTime().Before(old) && strings.HasPrefix(name, jobFolders) {
			left, err := svc.isLeft(ctx, id, name)
			if err != nil {
				return err
			}
			if left && root.Remove(name) == nil {
				out.Removed++
				return nil
			}
		}
		if name == nodes.MarkerName {
			return nil
		}
		out.Files++
		out.Bytes += info.Size()
		return nil
	})
	if err != nil {
		return out, err
	}
	return out, svc.Q.PutUsage(ctx,
		db.PutUsageParams{FolderID: id, Counted: out.Bytes, Before: before.Bytes, MeasuredBefore: before.MeasuredAt},
	)
}

// isLeft reports whether nobody will finish an old file of a folder: an instance's, or an archive's whose job is gone.
func (svc *Service) isLeft(ctx context.Context, folder int64, name string) (bool, error) {
	if strings.HasSuffix(name, sink.HalfWritten) {
		return true, nil
	}
	base, index := strings.CutSuffix(name, sink.ArchiveIndex)
	base, part := strings.CutSuffix(base, sink.ArchivePart)
	if !index && !part {
		return false, nil
	}
	has, err := svc.Q.HasJobFolder(ctx, db.HasJobFolderParams{FolderID: folder, Name: base})
	return !has, err
}

// finishArchives gives archives their names that a task could not finish, and tells staff of those that it can't
// finish either.
func (svc *Service) finishArchives(ctx context.Context, _ Chores) error {
	return svc.sinks.FinishArchives(ctx, func(job int64, err error) error {
		w := warning{on: err != nil, off: err == nil}
		if err != nil {
			w.subject = fmt.Sprintf("ADIT: the archive of job %d can't be finished", job)
			w.text = fmt.Sprintf(
				"The archive of job %d has not got its name yet: %s. ADIT tries again.", job, fault.ReasonOf(err),
			)
		}
		return svc.warn(ctx, fmt.Sprintf("archive-%d", job), w)
	})
}

func (svc *Service) watchDisk(ctx context.Context, key, whose string, free, lowGB float64) error {
	return svc.warn(ctx, key, warning{
		on: free < lowGB, off: free*againBelow >= lowGB,
		subject: "ADIT: little disk space " + whose,
		text: fmt.Sprintf("Only %.1f GB are free on the disk %s; the warning limit is %g GB. Transfers fail "+
			"when the disk is full. Make room, or add a disk.",
			free, whose, lowGB),
	})
}

// warning is something that staff is told of once, until it is off.
type warning struct {
	on, off       bool
	subject, text string
}

func (svc *Service) warn(ctx context.Context, key string, w warning) error {
	if !w.on && !w.off {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, warnTimeout)
	defer cancel()
	if !w.on {
		_, err := svc.Q.EndWarning(ctx, key)
		return err
	}
	return svc.InTx(ctx, func(q *db.Queries) error {
		n, err := q.RaiseWarning(ctx, db.RaiseWarningParams{Key: key, Message: w.text})
		if err != nil || n == 0 {
			return err
		}
		svc.Log.WarnContext(ctx, "staff were warned", "warning", key)
		return mail.PostStaff(ctx, q, w.subject, w.text+"\n")
	})
}
