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
	"syscall"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/people"
)

// markerName is the file in a folder that says which folder it is: a mount point whose disk is away, or an empty folder in its place, has the
// same path.
const markerName = ".adit-folder"

const (
	markerWords = "ADIT folder "
	maxMarker   = 256 // bytes that are read
)

// errMarker says that the marker file of a folder is none.
var errMarker = errors.New("its marker file " + markerName + " is not as ADIT writes it")

// readMarker returns the id in the marker file of a folder; fs.ErrNotExist: there is none.
func readMarker(root *os.Root) (uuid.UUID, error) {
	info, err := root.Lstat(markerName)
	if err != nil {
		return uuid.Nil, err
	}
	if !info.Mode().IsRegular() {
		return uuid.Nil, errMarker
	}
	f, err := root.Open(markerName)
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

// mark returns the id in the marker file of a folder, and writes the file if there is none.
func mark(root *os.Root) (uuid.UUID, error) {
	id, err := readMarker(root)
	if !errors.Is(err, fs.ErrNotExist) {
		return id, err
	}
	id = uuid.New()
	part := markerName + "-" + id.String()
	if err := writeSynced(root, part, []byte(markerWords+id.String()+"\n")); err != nil {
		_ = root.Remove(part) // it is of no use
		return uuid.Nil, err
	}
	if err := root.Rename(part, markerName); err != nil {
		return uuid.Nil, err
	}
	if err := syncDir(root, "."); err != nil {
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

// setUp marks the folder at a path as the one of a row, which it locks: of two who do so at once the second finds the marker of the first.
// A row that knows its marker is left alone unless another one is to be adopted.
func setUp(ctx context.Context, q *db.Queries, id int64, root *os.Root, adopt bool) (*uuid.UUID, error) {
	f, err := q.LockFolder(ctx, id)
	if err != nil {
		return nil, notFound(err, "folder", id)
	}
	if f.Marker != nil && !adopt {
		return f.Marker, nil
	}
	marker, err := mark(root)
	if err != nil {
		return nil, err
	}
	if err := q.SetMarker(ctx, db.SetMarkerParams{ID: id, Marker: &marker}); violates(err, "folders_marker_key") {
		return nil, &Conflict{Reason: fmt.Sprintf("the folder is another DICOM node's already, as its marker file %s says; if it is a copy of that one, remove the file", markerName)}
	} else if err != nil {
		return nil, err
	}
	return &marker, nil
}

// setUpPath is setUp of the folder at a path, with sentences for people who set it up.
func setUpPath(ctx context.Context, q *db.Queries, id int64, path string, adopt bool) (*uuid.UUID, error) {
	root, err := os.OpenRoot(path)
	if err != nil {
		return nil, &Invalid{Field: "path", Reason: fmt.Sprintf("the folder %s can't be used: %s", path, bare(err))}
	}
	defer func() { _ = root.Close() }() // only a handle
	marker, err := setUp(ctx, q, id, root, adopt)
	if err == nil {
		err = q.SetResolved(ctx, db.SetResolvedParams{ID: id, Resolved: resolved(path)})
	}
	var number syscall.Errno
	switch {
	case errors.Is(err, errMarker):
		err = &Invalid{Field: "path", Reason: fmt.Sprintf("the folder %s can't be used: %s; remove that file if the folder is the right one", path, err)}
	case errors.As(err, &number):
		err = &Invalid{Field: "path", Reason: fmt.Sprintf("the folder %s can't be marked as ADIT's: %s", path, number)}
	}
	return marker, err
}

func violates(err error, constraint string) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pg.Code == "23505" && pg.ConstraintName == constraint
}

// openFolder opens a folder, and makes sure that it is the one that was set up. A folder that was not used since there are marker files is
// marked now; f then knows its marker.
func (e *Engine) openFolder(ctx context.Context, name string, f *db.Folder) (*os.Root, error) {
	if err := e.checkStill(name, f.Path, f.Resolved); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(f.Path)
	if err != nil {
		return nil, folderFault(name, "nothing can be opened", err)
	}
	if err := e.checkMarker(ctx, root, name, f); err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}

func (e *Engine) checkMarker(ctx context.Context, root *os.Root, name string, f *db.Folder) error {
	if f.Marker == nil {
		var err error
		if txErr := e.inTx(ctx, func(q *db.Queries) error {
			f.Marker, err = setUp(ctx, q, f.ID, root, false)
			return err
		}); err == nil {
			err = txErr
		}
		if _, file := errors.AsType[syscall.Errno](err); file {
			return folderFault(name, "ADIT's marker file can't be written", err)
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
		return folderFault(name, "ADIT's marker file can't be read", err)
	}
	return wait("the folder %s is not the one that was set up: its marker file %s is missing, or names another folder. "+
		"Mount the right disk there, or have staff run adit node adopt %q to go on with what is there now", name, markerName, name)
}

// checkFolderNode tries whether a folder is there, the one that was set up, and writable.
func (e *Engine) checkFolderNode(ctx context.Context, n DICOMNode) error {
	root, err := e.openFolder(ctx, n.Name, n.Folder)
	if err != nil {
		return err
	}
	return errors.Join(checkFolder(n.Folder.Path, n.Name), root.Close())
}

// AdoptFolder takes what is at a folder's path now for the folder: a new disk, or one that was restored. What unfinished tasks have written to
// the one before is sent again. It is for staff.
func (e *Engine) AdoptFolder(ctx context.Context, user people.User, name string) (DICOMNode, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return DICOMNode{}, err
	}
	n, err := e.DICOMNodeByName(ctx, name)
	if err != nil {
		return DICOMNode{}, err
	}
	if n.Folder == nil {
		return DICOMNode{}, fmt.Errorf("folder %q: %w", name, ErrNotFound)
	}
	if resolved(n.Folder.Path) != n.Folder.Resolved { // else it was decided when it was added
		if err := e.checkPlace(user, n.Folder.Path); err != nil {
			return DICOMNode{}, err
		}
	}
	if err := checkFolder(n.Folder.Path, n.Name); err != nil {
		return DICOMNode{}, &Conflict{Reason: err.Error()}
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		marker, err := setUpPath(ctx, q, n.ID, n.Folder.Path, true)
		if err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{Action: "folder.adopt", Object: "folder " + n.Name, Detail: map[string]any{"path": n.Folder.Path, "marker": marker.String()}})
	})
	if err != nil {
		return DICOMNode{}, err
	}
	e.signals.Wake()
	return e.dicomNode(ctx, n.ID)
}

// bare takes the path out of an error of the file system: below a folder it is made of the patient's values.
func bare(err error) error {
	if cause := fileError(err); cause != nil {
		return cause
	}
	return err
}

// folderFault says what could not be done in a folder, and whether it is worth another try.
func folderFault(folder, what string, err error) error {
	cause := bare(err)
	switch {
	case folderAway(cause):
		return wait("%s in the folder %s: %w. Put the folder back, or mount the disk that holds it; the task goes on by itself then", what, folder, cause)
	case diskFault(err):
		return permanent("%s in the folder %s: %w. Make room or correct the permissions, then retry.", what, folder, cause)
	}
	return again("%s in the folder %s: %w", what, folder, cause)
}

// folderAway reports whether an error means that a folder can't be had now, as a server that is down.
func folderAway(err error) bool {
	for _, number := range []syscall.Errno{syscall.ENOENT, syscall.ESTALE, syscall.ENOTCONN, syscall.ENODEV, syscall.ENXIO, syscall.EHOSTDOWN} {
		if errors.Is(err, number) {
			return true
		}
	}
	return false
}
