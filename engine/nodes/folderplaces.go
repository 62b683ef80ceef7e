// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// OwnFolders is the part of the data directory that folders of DICOM nodes may be in.
const OwnFolders = "folders"

// resolved returns where a path leads, and the path itself as far as nothing is there.
func resolved(path string) string {
	path = filepath.Clean(path)
	if end, err := filepath.EvalSymlinks(path); err == nil {
		return end
	}
	parent, name := filepath.Split(path)
	if name == "" || parent == path {
		return path
	}
	return filepath.Join(resolved(parent), name)
}

// within reports whether a path is a directory or in it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// isOurs reports whether a resolved path is ADIT's own, by whatever mounts: the data directory, what is in it besides
// OwnFolders, and what it is in.
func isOurs(c base.Config, path string) bool {
	mounts := readMounts()
	return inOurs(c, mounts, path) || aroundOurs(c, mounts, path)
}

// isRooted reports whether a resolved path is in one of the directories for folders.
func isRooted(c base.Config, path string) bool {
	return slices.ContainsFunc(c.FolderRoots, func(root string) bool { return within(path, resolved(root)) })
}

// checkPlace reports why a user may not have a folder at a path. The file system is asked for nothing but where the
// path leads, and who may not know learns nothing.
func (svc *Service) checkPlace(user people.User, path string) error {
	at := resolved(path)
	if !user.IsSuperuser && !isRooted(svc.Config, at) {
		roots := "no directory is reserved for folders"
		if len(svc.Config.FolderRoots) > 0 {
			roots = "folders must be in " + strings.Join(svc.Config.FolderRoots, " or ")
		}
		return &people.Denied{Reason: roots +
			"; give such a path, ask a superuser to add the folder, or start the server with --folder-root"}
	}
	if isOurs(svc.Config, at) {
		return &refusal.Invalid{Field: "path", Reason: "ADIT keeps its own data there; give another path"}
	}
	return nil
}

// checkAlone reports why a folder can't be added at a path: what one of two has written is counted, kept and cleaned up
// for the other as well. The places of folders must be locked.
func checkAlone(ctx context.Context, q *db.Queries, path string) error {
	rows, err := q.ListFolders(ctx)
	if err != nil {
		return err
	}
	mounts, at := readMounts(), resolved(path)
	for _, f := range rows {
		other := resolved(f.Path)
		switch {
		case placeOf(mounts, at) == placeOf(mounts, other):
			return &refusal.Conflict{Reason: fmt.Sprintf("the folder already belongs to another DICOM node: %s", f.Name)}
		case overlap(mounts, at, other):
			return &refusal.Conflict{Reason: fmt.Sprintf(
				"this path contains that of the folder %s, or is inside it, so each would count and clean up "+
					"the other's files; give another path",
				f.Name,
			)}
		}
	}
	return nil
}

// openPath opens what is at a path, and returns where that is.
func openPath(path string) (root *os.Root, at string, err error) {
	if root, err = os.OpenRoot(path); err != nil {
		return nil, "", err
	}
	at = resolved(path)
	opened, err := root.Stat(".")
	if err == nil {
		var there fs.FileInfo
		if there, err = os.Stat(at); err == nil && !os.SameFile(opened, there) {
			err = errMoved
		}
	}
	if err != nil {
		return nil, "", errors.Join(err, root.Close())
	}
	return root, at, nil
}

// errMoved says that a path led elsewhere from one moment to the next.
var errMoved = errors.New("another folder has taken its place meanwhile")

// checkStill reports why a folder that was set up at a path isn't used: the path, which leads to at, leads into ADIT's
// own data by now, or to another place, outside of the directories for folders.
func (svc *Service) checkStill(name, path, at, before string) error {
	switch {
	case isOurs(svc.Config, at):
		return &fault.Fault{Policy: fault.PolicyPermanent, Err: fmt.Errorf(
			"the path of the folder %s leads to where ADIT keeps its own data; add the folder again elsewhere", name,
		)}
	case before != "" && at != before && !isRooted(svc.Config, at):
		return fault.Wait("the path of the folder %s at %s leads elsewhere than when it was set up. Correct it, or "+
			"ask a superuser to run adit node adopt %q to use what is there now", name, path, name)
	}
	return nil
}

// TellPlaces writes to the log which folders are where staff could not add them: they were added before there was a
// rule, or by a superuser.
func (svc *Service) TellPlaces(ctx context.Context) error {
	rows, err := svc.Q.ListFolders(ctx)
	if err != nil {
		return err
	}
	for _, f := range rows {
		switch at := resolved(f.Path); {
		case isOurs(svc.Config, at):
			svc.Log.WarnContext(
				ctx, "a folder is inside ADIT's own data directory; transfers to it fail",
				"folder", f.Name, "path", f.Path,
			)
		case !isRooted(svc.Config, at):
			svc.Log.InfoContext(
				ctx, "a folder is outside the directories reserved for folders; ADIT still uses it",
				"folder", f.Name, "path", f.Path,
				"roots", strings.Join(svc.Config.FolderRoots, ","),
			)
		}
	}
	return nil
}

// CheckFolderRoots reports which of the directories for folders can't be one: in the data directory only OwnFolders
// can.
func CheckFolderRoots(roots []string, dataDir string) error {
	c := base.Config{DataDir: dataDir}
	mounts := readMounts()
	var failed error
	for _, root := range roots {
		if at := resolved(root); at != "/" && inOurs(c, mounts, at) {
			failed = errors.Join(failed, fmt.Errorf(
				"%s is where ADIT keeps its own data; in the data directory only %s can hold folders", root, OwnFolders,
			))
		}
	}
	return failed
}
