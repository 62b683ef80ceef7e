// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"syscall"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

const folderWorkers = 4

// folderSink writes Part 10 files into a folder, each under a temporary name first: a file that has its name is whole.
type folderSink struct {
	e          *Engine
	held       Held
	name       string // of the DICOM node
	folder     *db.Folder
	job        Job
	modalities []string // of the study
	room       *room    // of the folder's quota; nil: it has none

	root      *os.Root
	foldsCase bool // the file system takes names for the same that differ in case alone

	naming sync.Mutex
	paths  map[string]string // of the folders of series, by Series Instance UID as sent, as the database keeps them

	mu    sync.Mutex
	dirty map[string]bool // directories with names that are not durable yet
}

func (s *folderSink) prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	if s.root == nil {
		root, err := s.e.openFolder(ctx, s.name, s.folder)
		if err != nil {
			return nil, err
		}
		if err := checkFolder(s.folder.Path, s.name); err != nil {
			return nil, errors.Join(&fault{policy: policyPermanent, err: err}, root.Close())
		}
		_, err = root.Lstat(strings.ToUpper(markerName))
		s.root, s.foldsCase, s.dirty = root, err == nil, map[string]bool{}
	}
	return proposed, nil
}

func (s *folderSink) workers() int { return folderWorkers }

func (s *folderSink) enter(context.Context, int) error { return nil }

func (s *folderSink) leave(context.Context, int) error { return nil }

// refusal is why an object is not taken, though others may be.
type refusal struct {
	status dimse.Status
	reason string
}

func (e *refusal) Error() string { return e.reason }

func (s *folderSink) put(ctx context.Context, _ int, o *outgoing) (dimse.Status, error) {
	for _, u := range []struct{ of, uid string }{{"SOP Instance", o.uid}, {"Series Instance", o.names.series}, {"Study Instance", o.names.study}} {
		if !validUID(u.uid) {
			return 0, &refusal{dimse.DataSetMismatch, "its " + u.of + " UID is no UID (PS3.5 9.1)"}
		}
	}
	dir, err := s.pathOf(ctx, o.names)
	if err != nil {
		return 0, err
	}
	if err := s.root.MkdirAll(dir, 0o750); err != nil {
		return 0, s.failed("a folder can't be made", err)
	}
	name := path.Join(dir, o.uid+".dcm")
	part := path.Join(dir, fmt.Sprintf("%s.%d%s", o.uid, s.held.TaskID, halfWritten))
	size, err := s.write(ctx, part, o)
	if err != nil {
		_ = s.root.Remove(part) // the next attempt would do so anyway
		return 0, s.failed("a file can't be written", err)
	}
	replaced, err := s.place(part, name, o)
	if err != nil {
		_ = s.root.Remove(part)
		if s.room != nil {
			s.room.give(size)
		}
		return 0, err
	}
	if s.room != nil {
		s.room.give(replaced)
	}
	o.file, o.fileBytes = name, size
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := dir; d != "."; d = path.Dir(d) {
		s.dirty[d] = true
	}
	return dimse.Success, nil
}

// place gives a file that is whole its name, in the place of an earlier one of the same instance, and returns how long that was. An image of
// another instance stays where it is.
func (s *folderSink) place(part, name string, o *outgoing) (replaced int64, err error) {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, s.failed("a file can't be looked at", err)
	case !info.Mode().IsRegular() || s.another(name, o):
		return 0, &refusal{dimse.DuplicateSOPInstance, "the folder has another image under the same name, which ADIT doesn't overwrite; move that one away, then retry"}
	default:
		replaced = info.Size()
	}
	if err := s.root.Rename(part, name); err != nil {
		return 0, s.failed("a file can't be renamed", err)
	}
	return replaced, nil
}

// another reports whether a file holds an instance that is not the one to be written. What can't be read as DICOM holds none.
func (s *folderSink) another(name string, o *outgoing) bool {
	f, err := s.root.Open(name)
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }() // it was only read
	_, obj, err := stream.OpenFile(f, stream.Limits{})
	if err != nil {
		return false
	}
	defer func() { _ = obj.Close() }()
	h := obj.Header()
	return h.SOPInstanceUID() != o.uid || h.Text(dict.SeriesInstanceUID) != o.names.series || h.Text(dict.StudyInstanceUID) != o.names.study
}

// pathOf returns the folder of a series below the destination's. It is named when the first instance comes, once for all runs of the task,
// and the name is in the database before there is a file: what names are made of may change.
func (s *folderSink) pathOf(ctx context.Context, n objectNames) (string, error) {
	s.naming.Lock()
	defer s.naming.Unlock()
	if dir, ok := s.paths[n.series]; ok {
		return dir, nil
	}
	study := path.Join(s.job.FolderName, patientFolder(n.patientID, s.foldsCase), studyFolder(n, s.modalities))
	for _, dir := range s.paths {
		study = path.Dir(dir)
	}
	dir, err := s.nameSeries(ctx, n.series, path.Join(study, seriesFolder(n)))
	if err != nil {
		return "", err
	}
	s.paths[n.series] = dir
	return dir, nil
}

// nameSeries waits for a database that is away, as the ledger does.
func (s *folderSink) nameSeries(ctx context.Context, series, dir string) (string, error) {
	for {
		kept, err := s.e.q.NameSeriesFolder(ctx, db.NameSeriesFolderParams{ID: s.held.TaskID, Node: &s.held.Node, Token: &s.held.Token, SeriesUid: series, Path: dir})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return "", ErrFenced
		case err == nil || DatabaseTrouble(err) == nil:
			return kept, err
		}
		if err := pause(ctx, ledgerRetry); err != nil {
			return "", err
		}
	}
}

// open reads how the job's folder and those of the task's series are named.
func (s *folderSink) open(ctx context.Context) error {
	var err error
	if s.job.FolderName == "" {
		s.job.FolderName, err = s.e.q.NameJobFolder(ctx, db.NameJobFolderParams{ID: s.job.ID, FolderName: jobFolder(s.job)})
		if err != nil {
			return err
		}
	}
	rows, err := s.e.q.ListTaskFolders(ctx, s.held.TaskID)
	if err != nil {
		return err
	}
	s.paths = map[string]string{}
	for _, row := range rows {
		s.paths[row.SeriesUid] = row.Path
	}
	return nil
}

// gone returns those of the delivered instances whose files are not in the folder as they were written. It looks at what is at the folder's path
// now, which must be the folder that was set up.
func (s *folderSink) gone(ctx context.Context, delivered []db.DeliveredRow) (gone []string, err error) {
	root, err := s.e.openFolder(ctx, s.name, s.folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only a handle
	for _, d := range delivered {
		if stopped(ctx) != nil {
			return nil, stopped(ctx)
		}
		info, err := root.Lstat(d.File)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR), err == nil && (!info.Mode().IsRegular() || info.Size() != d.FileBytes):
			gone = append(gone, d.SourceSopUid)
		case err != nil:
			return nil, s.failed("a file can't be looked at", err)
		}
	}
	return gone, nil
}

// failed says what could not be done, and whether it is worth another try.
func (s *folderSink) failed(what string, err error) error {
	if own, ok := errors.AsType[*noRoom](err); ok {
		return own.error
	}
	if fileError(err) == nil { // of what was to be written, or of the task
		return err
	}
	return folderFault(s.name, what, err)
}

// writeBuffer is how many bytes of an object go to the disk at once.
const writeBuffer = 128 << 10

// write makes a file, and returns its length. What is left of an earlier attempt is removed and not written over: a process that has lost the
// task may still hold it.
func (s *folderSink) write(ctx context.Context, name string, o *outgoing) (size int64, err error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		if err = s.root.Remove(name); err == nil {
			f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		}
	}
	if err != nil {
		return 0, err
	}
	within := &roomy{ctx: ctx, room: s.room, w: f}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil && s.room != nil {
			s.room.give(within.n)
		}
	}()
	w := bufio.NewWriterSize(within, writeBuffer)
	meta := stream.FileMeta{MediaStorageSOPClassUID: o.class, MediaStorageSOPInstanceUID: o.uid, TransferSyntaxUID: o.syntax}
	if _, err := w.Write(meta.AppendTo(nil)); err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, o.open()); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return within.n, f.Sync()
}

// commit makes the names of the files written so far durable.
func (s *folderSink) commit() error {
	s.mu.Lock()
	dirs := s.dirty
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	for dir := range dirs {
		if err := syncDir(s.root, dir); err != nil {
			return s.failed("files can't be made durable", err)
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	if err := syncDir(s.root, "."); err != nil {
		return s.failed("files can't be made durable", err)
	}
	return nil
}

func syncDir(root *os.Root, dir string) error {
	f, err := root.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func (s *folderSink) close(ctx context.Context) {
	if s.room != nil {
		s.room.close(ctx)
	}
	if s.root != nil {
		_ = s.root.Close() // only a handle: the files are closed
	}
}
