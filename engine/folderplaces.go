// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

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

// isOurs reports whether a resolved path is ADIT's own: the data directory, what is in it besides OwnFolders, and what it is in.
func (c Config) isOurs(path string) bool {
	if c.DataDir == "" {
		return false
	}
	own := resolved(c.DataDir)
	return within(own, path) || within(path, own) && !within(path, filepath.Join(own, OwnFolders))
}

// isRooted reports whether a resolved path is in one of the directories for folders.
func (c Config) isRooted(path string) bool {
	return slices.ContainsFunc(c.FolderRoots, func(root string) bool { return within(path, resolved(root)) })
}

// checkPlace reports why a user may not have a folder at a path. The file system is asked for nothing but where the path leads, and who may not
// know learns nothing.
func (e *Engine) checkPlace(user people.User, path string) error {
	at := resolved(path)
	if !user.IsSuperuser && !e.cfg.isRooted(at) {
		roots := "no directory is set aside for folders"
		if len(e.cfg.FolderRoots) > 0 {
			roots = "folders belong into " + strings.Join(e.cfg.FolderRoots, " or ")
		}
		return &people.Denied{Reason: roots + "; give such a path, or have a superuser add the folder, or the server started with --folder-root"}
	}
	if e.cfg.isOurs(at) {
		return &Invalid{Field: "path", Reason: "this is where ADIT keeps its own data; give another path"}
	}
	return nil
}

// checkStill reports why a folder that was set up at a path isn't used: the path leads into ADIT's own data by now, or to another place,
// outside of the directories for folders.
func (e *Engine) checkStill(name, path, before string) error {
	at := resolved(path)
	switch {
	case e.cfg.isOurs(at):
		return &fault{policy: policyPermanent, err: fmt.Errorf("the path of the folder %s leads to where ADIT keeps its own data; add it anew elsewhere", name)}
	case before != "" && at != before && !e.cfg.isRooted(at):
		return wait("the path of the folder %s at %s leads elsewhere than when it was set up. Put it right, or have a superuser run adit node adopt %q to go on with what is there now", name, path, name)
	}
	return nil
}

// TellPlaces writes to the log which folders are where staff could not add them: they were added before there was a rule, or by a superuser.
func (e *Engine) TellPlaces(ctx context.Context) error {
	rows, err := e.q.ListFolders(ctx)
	if err != nil {
		return err
	}
	for _, f := range rows {
		switch at := resolved(f.Path); {
		case e.cfg.isOurs(at):
			e.log.WarnContext(ctx, "a folder is where ADIT keeps its own data; transfers to it fail", "folder", f.Name, "path", f.Path)
		case !e.cfg.isRooted(at):
			e.log.InfoContext(ctx, "a folder is outside of the directories for folders; it goes on to be used", "folder", f.Name, "path", f.Path,
				"roots", strings.Join(e.cfg.FolderRoots, ","))
		}
	}
	return nil
}

// CheckFolderRoots reports which of the directories for folders can't be one: in the data directory only OwnFolders can.
func CheckFolderRoots(roots []string, dataDir string) error {
	c := Config{DataDir: dataDir}
	var failed error
	for _, root := range roots {
		if at := resolved(root); at != "/" && within(at, resolved(dataDir)) && c.isOurs(at) {
			failed = errors.Join(failed, fmt.Errorf("%s is where ADIT keeps its own data; in the data directory only %s can hold folders", root, OwnFolders))
		}
	}
	return failed
}
