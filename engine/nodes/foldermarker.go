// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
	"github.com/adit-go/adit/people"
)

// MarkerName is the file in a folder that says which folder it is: a mount point whose disk is away, or an empty folder
// in its place, has the same path.
const MarkerName = ".adit-folder"

const (
	markerWords = "ADIT folder "
	maxMarker   = 256 // bytes that are read
)

// errMarker says that the marker file of a folder is none.
var errMarker = errors.New("its marker file " + MarkerName + " was not written by ADIT")

// readMarker returns the id in the marker file of a folder; fs.ErrNotExist: there is none.
func readMarker(root *os.Root) (uuid.UUID, error) {
	f, err := OpenRegular(root, MarkerName)
	if errors.Is(err, ErrNotRegular) {
		return uuid.Nil, errMarker
	}
	if err != nil {
		return uuid.Nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxMarker))
	if err != nil {
		return uuid.Nil, err
	}
	name, ok := strings.CutPrefix(strings.TrimSpace(string(text)), markerWords)
	id, err := uuid.Parse(name)
	if !ok || err != nil {
		return uuid.Nil, errMarker
	}
	return id, nil
}

// ErrNotRegular says that there is a link, a pipe or a device where a file belongs.
var ErrNotRegular = errors.New("it is not a regular file")

// OpenRegular opens a file for reading that must be one, whatever was put in its place a moment ago: a pipe would keep
// the one who opens it.
func OpenRegular(root *os.Root, name string) (*os.File, error) {
	return openRegular(root, name, os.O_RDONLY)
}

// OpenToWrite opens such a file for reading and writing.
func OpenToWrite(root *os.Root, name string) (*os.File, error) {
	return openRegular(root, name, os.O_RDWR)
}

func openRegular(root *os.Root, name string, how int) (*os.File, error) {
	info, err := root.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrNotRegular
	}
	f, err := root.OpenFile(name, how|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	if opened, err := f.Stat(); err != nil || !os.SameFile(info, opened) {
		return nil, errors.Join(ErrNotRegular, err, f.Close())
	}
	return f, nil
}

// mark returns the id in the marker file of a folder, and writes the file if there is none.
func mark(root *os.Root) (uuid.UUID, error) {
	id, err := readMarker(root)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = uuid.New()
	part := MarkerName + "-" + id.String()
	if err := writeSynced(root, part, []byte(markerWords+id.String()+"\n")); err != nil {
		_ = root.Remove(part) // it is of no use
		return uuid.Nil, err
	}
	if err := root.Rename(part, MarkerName); err != nil {
		return uuid.Nil, err
	}
	if err := SyncDir(root, "."); err != nil {
		return uuid.Nil, err
	}
	return id, nil
}

func writeSynced(root *os.Root, name string, text []byte) error {
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	return errors.Join(err, f.Sync(), f.Close())
}

// setUp marks the folder at a path as the one of a row, which it locks: of two who do so at once the second finds the
// marker of the first. A row that knows its marker is left alone unless another one is to be adopted.
func setUp(ctx context.Context, q *db.Queries, id int64, root *os.Root, adopt bool) (*uuid.UUID, error) {
	f, err := q.LockFolder(ctx, id)
	if err != nil {
		return nil, refusal.NotFound(err, "folder", id)
	}
	if f.Marker != nil && !adopt {
		return f.Marker, nil
	}
	marker, err := mark(root)
	if err != nil {
		return nil, err
	}
	if err := q.SetMarker(ctx, db.SetMarkerParams{ID: id, Marker: &marker}); violates(err, "folders_marker_key") {
		return nil, &refusal.Conflict{Reason: fmt.Sprintf(
			"the folder already belongs to another DICOM node, as its marker file %s says; if it is a copy of that one, "+
				"remove the file",
			MarkerName,
		)}
	} else if err != nil {
		return nil, err
	}
	return &marker, nil
}

// setUpPath is setUp of the folder at a path, with sentences for people who set it up.
func setUpPath(ctx context.Context, q *db.Queries, id int64, path string, adopt bool) error {
	root, at, err := openPath(path)
	if err != nil {
		return &refusal.Invalid{Field: "path", Reason: fmt.Sprintf("the folder %s can't be used: %s", path, bare(err))}
	}
	defer func() { _ = root.Close() }() // only a handle
	_, err = setUp(ctx, q, id, root, adopt)
	if err == nil {
		err = q.SetResolved(ctx, db.SetResolvedParams{ID: id, Resolved: at})
	}
	var number syscall.Errno
	switch {
	case errors.Is(err, errMarker):
		err = &refusal.Invalid{Field: "path", Reason: fmt.Sprintf(
			"the folder %s can't be used: %s; remove that file if the folder is the right one", path, err,
		)}
	case errors.As(err, &number):
		err = &refusal.Invalid{
			Field: "path", Reason: fmt.Sprintf("the folder %s can't be marked as ADIT's: %s", path, number),
		}
	}
	return err
}

func violates(err error, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == db.UniqueViolation && pg.ConstraintName == constraint
}

// OpenFolder opens a folder, and makes sure that it is the one that was set up. A folder that was not used since there
// are marker files is marked now; f then knows its marker.
func (svc *Service) OpenFolder(ctx context.Context, name string, f *db.Folder) (*os.Root, error) {
	if err := svc.checkStill(name, f.Path, resolved(f.Path), f.Resolved); err != nil {
		return nil, err // before what is there is opened
	}
	root, at, err := openPath(f.Path)
	if err != nil {
		return nil, FolderFault(name, "nothing can be opened", err)
	}
	if err := svc.checkStill(name, f.Path, at, f.Resolved); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	if err := svc.checkMarker(ctx, root, name, f); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

func (svc *Service) checkMarker(ctx context.Context, root *os.Root, name string, f *db.Folder) error {
	if f.Marker == nil {
		var err error
		if txErr := svc.InTx(ctx, func(q *db.Queries) error {
			f.Marker, err = setUp(ctx, q, f.ID, root, false)
			return err
		}); err == nil {
			err = txErr
		}
		if _, file := errors.AsType[syscall.Errno](err); file {
			return FolderFault(name, "ADIT's marker file can't be written", err)
		}
		if err != nil && !errors.Is(err, errMarker) {
			return err
		}
	}
	id, err := readMarker(root)
	switch {
	case err == nil && f.Marker != nil && id == *f.Marker:
		return nil
	case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, errMarker):
		return FolderFault(name, "ADIT's marker file can't be read", err)
	}
	return fault.Wait(
		"the folder %s is not the one that was set up: its marker file %s is missing or names another folder. "+
			"Mount the right disk there, or ask staff to run adit node adopt %q to use what is there now",
		name, MarkerName, name,
	)
}

// CheckFolderNode tries whether a folder is there, the one that was set up, and writable.
func (svc *Service) CheckFolderNode(ctx context.Context, n DICOMNode) error {
	root, err := svc.OpenFolder(ctx, n.Name, n.Folder)
	if err != nil && svc.Config.Cluster && fault.DatabaseTrouble(err) == nil {
		return svc.whoElseSees(ctx, n, err)
	}
	if err != nil {
		return err
	}
	return errors.Join(CheckFolder(n.Folder.Path, n.Name), root.Close())
}

// AdoptFolder takes what is at a folder's path now for the folder: a new disk, or one that was restored. What
// unfinished tasks have written to the one before is sent again. It is for staff.
func (svc *Service) AdoptFolder(ctx context.Context, user people.User, name string) (DICOMNode, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := svc.ByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Folder == nil {
		return DICOMNode{}, fmt.Errorf("folder %q: %w", name, refusal.ErrNotFound)
	}
	if resolved(n.Folder.Path) != n.Folder.Resolved { // else it was decided when it was added
		if err := svc.checkPlace(user, n.Folder.Path); err != nil {
			return DICOMNode{}, err
		}
	}
	if err := CheckFolder(n.Folder.Path, n.Name); err != nil {
		return DICOMNode{}, &refusal.Conflict{Reason: err.Error()}
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		f, err := q.LockFolder(ctx, n.ID)
		if err != nil {
			return refusal.NotFound(err, "folder", fmt.Sprintf("%q", name))
		}
		n.Folder = &f
		if err := version.Check(ctx, n.Version()); err != nil {
			return err
		}
		entry := audit.Entry{
			Action: "folder.adopt", Object: "folder " + n.Name, Detail: map[string]any{"path": n.Folder.Path},
		}
		if err := audit.Record(ctx, q, entry); err != nil { // before anything is written there
			return err
		}
		return setUpPath(ctx, q, n.ID, n.Folder.Path, true)
	})
	if err != nil {
		return DICOMNode{}, err
	}
	svc.Signals.Wake()
	return svc.ByID(ctx, n.ID)
}

// bare takes the path out of an error of the file system: below a folder it is made of the patient's values.
func bare(err error) error {
	if cause := fault.FileError(err); cause != nil {
		return cause
	}
	return err
}

// FolderFault says what could not be done in a folder, and whether it is worth another try.
func FolderFault(folder, what string, err error) error {
	cause := bare(err)
	switch {
	case folderAway(cause):
		return fault.Wait(
			"%s in the folder %s: %w. Put the folder back, or mount the disk that holds it; the task then continues "+
				"itself then",
			what, folder, cause,
		)
	case fault.DiskFault(err):
		return fault.Permanent(
			"%s in the folder %s: %w. Make room or correct the permissions, then retry.", what, folder, cause,
		)
	}
	return fault.Again("%s in the folder %s: %w", what, folder, cause)
}

// folderAway reports whether an error means that a folder is not available now, like a server that is down.
func folderAway(err error) bool {
	for _, number := range []syscall.Errno{
		syscall.ENOENT, syscall.ESTALE, syscall.ENOTCONN, syscall.ENODEV, syscall.ENXIO, syscall.EHOSTDOWN,
	} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}

// SyncDir makes durable which names a directory has.
func SyncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
