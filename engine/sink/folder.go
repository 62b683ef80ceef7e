// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

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
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/ledger"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/pause"
)

// Of folders.
const (
	folderWorkers = 4
	HalfWritten   = ".dcm.part" // ends the name of a file that is not whole
)

// Folder writes Part 10 files into a folder, each under a temporary name first: a file that has its name is whole.
type Folder struct {
	svc        *Service
	held       lease.Held
	name       string // of the DICOM node
	folder     *db.Folder
	job        jobs.Job
	modalities []string  // of the study
	days       jobs.Days // in which a mass transfer found the study
	room       *quota    // of the folder's quota; nil: it has none
	guard      func() error

	root      *os.Root
	foldsCase bool // the file system takes names for the same that differ in case alone

	naming sync.Mutex
	paths  map[string]string // of the folders of series, by Series Instance UID as sent, as the database keeps them

	mu    sync.Mutex
	dirty map[string]bool // directories with names that are not durable yet
}

// Expect implements Sink: the names of folders tell modalities.
func (s *Folder) Expect(modalities []string) { s.modalities = modalities }

// Slots implements Sink.
func (s *Folder) Slots() []*door.Slot { return nil }

// SetSlots implements Sink.
func (s *Folder) SetSlots([]*door.Slot) {}

// HangUp implements Sink: files are made durable by Commit.
func (s *Folder) HangUp(context.Context) {}

// Prepare implements Sink.
func (s *Folder) Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	if s.root == nil {
		root, err := s.svc.nodes.OpenFolder(ctx, s.name, s.folder)
		if err != nil {
			return nil, err
		}
		if err := nodes.CheckFolder(s.folder.Path, s.name); err != nil {
			return nil, errors.Join(&fault.Fault{Policy: fault.PolicyPermanent, Err: err}, root.Close())
		}
		_, err = root.Lstat(strings.ToUpper(nodes.MarkerName))
		s.root, s.foldsCase, s.dirty = root, err == nil, map[string]bool{}
	}
	return proposed, nil
}

// Workers implements Sink.
func (s *Folder) Workers() int { return folderWorkers }

// Enter implements Sink.
func (s *Folder) Enter(context.Context, int) error { return nil }

// Leave implements Sink.
func (s *Folder) Leave(context.Context, int) error { return nil }

// Refusal is why an instance is not taken, though others may be.
type Refusal struct {
	Status dimse.Status
	Reason string
}

func (e *Refusal) Error() string { return e.Reason }

// Put implements Sink.
func (s *Folder) Put(ctx context.Context, _ int, o *Outgoing) (dimse.Status, error) {
	if err := o.checkUIDs(); err != nil {
		return 0, err
	}
	dir, err := s.pathOf(ctx, o.Names)
	if err != nil {
		return 0, err
	}
	if err := s.root.MkdirAll(dir, 0o750); err != nil {
		return 0, s.failed("a folder can't be created", err)
	}
	name := path.Join(dir, o.UID+".dcm")
	part := path.Join(dir, fmt.Sprintf("%s.%d%s", o.UID, s.held.TaskID, HalfWritten))
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
	o.File, o.FileBytes = name, size
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := dir; d != "."; d = path.Dir(d) {
		s.dirty[d] = true
	}
	return dimse.Success, nil
}

// checkUIDs refuses an instance whose UIDs can't name files and folders.
func (o *Outgoing) checkUIDs() error {
	for _, u := range []struct{ of, uid string }{
		{"SOP Instance", o.UID}, {"Series Instance", o.Names.Series}, {"Study Instance", o.Names.Study},
	} {
		if !fault.ValidUID(u.uid) {
			return &Refusal{dimse.DataSetMismatch, "its " + u.of + " UID is not a valid UID (PS3.5 9.1)"}
		}
	}
	return nil
}

// fileMeta is what stands before the data set in a file.
func (o *Outgoing) fileMeta() []byte {
	return stream.FileMeta{
		MediaStorageSOPClassUID: o.Class, MediaStorageSOPInstanceUID: o.UID, TransferSyntaxUID: o.Syntax,
	}.AppendTo(nil)
}

// place returns a file that is whole its name, in the place of an earlier one of the same instance, and returns how
// long that was. An instance of another instance stays where it is.
func (s *Folder) place(part, name string, o *Outgoing) (replaced int64, err error) {
	info, err := s.root.Lstat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return 0, s.failed("a file can't be examined", err)
	case !info.Mode().IsRegular() || s.another(name, o):
		return 0, &Refusal{
			dimse.DuplicateSOPInstance,
			"the folder has another instance under the same name, which ADIT doesn't overwrite; move that one away, " +
				"then retry",
		}
	default:
		replaced = info.Size()
	}
	if err := s.guard(); err != nil { // another process may be writing the same file
		return 0, err
	}
	if err := s.root.Rename(part, name); err != nil {
		return 0, s.failed("a file can't be renamed", err)
	}
	return replaced, nil
}

// another reports whether a file holds an instance that is not the one to be written. What can't be read as DICOM holds
// none.
func (s *Folder) another(name string, o *Outgoing) bool {
	f, err := nodes.OpenRegular(s.root, name)
	if err != nil {
		return true
	}
	defer func() { _ = f.Close() }() // it was only read
	return isAnother(f, o)
}

// isAnother reports whether a file holds an instance that is not the one to be written.
func isAnother(r io.Reader, o *Outgoing) bool {
	_, obj, err := stream.OpenFile(r, stream.Limits{})
	if err != nil {
		return false
	}
	defer func() { _ = obj.Close() }()
	h := obj.Header()
	return h.SOPInstanceUID() != o.UID || h.Text(dict.SeriesInstanceUID) != o.Names.Series ||
		h.Text(dict.StudyInstanceUID) != o.Names.Study
}

// pathOf returns the folder of a series below the destination's. It is named when the first instance comes, once for
// all runs of the task, and the name is in the database before there is a file: what names are made of may change.
func (s *Folder) pathOf(ctx context.Context, n ObjectNames) (string, error) {
	s.naming.Lock()
	defer s.naming.Unlock()
	if dir, ok := s.paths[n.Series]; ok {
		return dir, nil
	}
	study, series := s.folders(n)
	for _, dir := range s.paths {
		study = path.Dir(dir)
	}
	dir, err := s.nameSeries(ctx, n.Series, path.Join(study, series))
	if err != nil {
		return "", err
	}
	s.paths[n.Series] = dir
	return dir, nil
}

// folders returns the path of a study's folder, and the name of a series' folder in it.
func (s *Folder) folders(n ObjectNames) (study, series string) {
	if s.job.Kind == jobs.MassTransfer {
		return path.Join(
			s.job.FolderName, partitionFolder(n, s.days, s.job.Pseudonymize), patientFolder(n.PatientID, s.foldsCase),
			massStudyFolder(n),
		), massSeriesFolder(n)
	}
	study, series = Folders(n, s.modalities, s.foldsCase)
	return path.Join(s.job.FolderName, study), series
}

// nameSeries waits for a database that is away, as the ledger does.
func (s *Folder) nameSeries(ctx context.Context, series, dir string) (string, error) {
	for {
		kept, err := s.svc.Q.NameSeriesFolder(ctx, db.NameSeriesFolderParams{
			ID: s.held.TaskID, Member: &s.held.Member, Token: &s.held.Token, SeriesUid: series, Path: dir,
		})
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return "", fault.ErrFenced
		case err == nil || fault.DatabaseTrouble(err) == nil:
			return kept, err
		}
		if err := pause.For(ctx, ledger.Retry); err != nil {
			return "", err
		}
	}
}

// Begin reads how the job's folder and those of the task's series are named.
func (s *Folder) Begin(ctx context.Context) error {
	var err error
	if s.job.FolderName == "" {
		s.job.FolderName, err = s.svc.Q.NameJobFolder(ctx, db.NameJobFolderParams{
			ID: s.job.ID, FolderName: jobFolder(s.job),
		})
		if err != nil {
			return err
		}
	}
	if s.job.Kind == jobs.MassTransfer {
		days, err := s.svc.Q.PartitionOf(ctx, &s.held.TaskID)
		if err != nil && !errors.Is(err, pgx.ErrNoRows) {
			return err
		}
		s.days = jobs.Days{First: days.FirstDay, Last: days.LastDay}
	}
	rows, err := s.svc.Q.ListTaskFolders(ctx, s.held.TaskID)
	if err != nil {
		return err
	}
	s.paths = map[string]string{}
	for _, row := range rows {
		s.paths[row.SeriesUid] = row.Path
	}
	return nil
}

// Gone returns those of the delivered instances whose files are not in the folder as they were written. It looks at
// what is at the folder's path now, which must be the folder that was set up.
func (s *Folder) Gone(ctx context.Context, delivered []db.DeliveredRow) (gone []string, err error) {
	root, err := s.svc.nodes.OpenFolder(ctx, s.name, s.folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only a handle
	for _, d := range delivered {
		if fault.Stopped(ctx) != nil {
			return nil, fault.Stopped(ctx)
		}
		info, err := root.Lstat(d.File)
		switch {
		case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR),
			err == nil && (!info.Mode().IsRegular() || info.Size() != d.FileBytes):
			gone = append(gone, d.SourceSopUid)
		case err != nil:
			return nil, s.failed("a file can't be examined", err)
		}
	}
	return gone, nil
}

// failed says what could not be done, and whether it is worth another try.
func (s *Folder) failed(what string, err error) error {
	if own, ok := errors.AsType[*fault.NoRoom](err); ok {
		return own.Err
	}
	if fault.FileError(err) == nil { // of what was to be written, or of the task
		return err
	}
	return nodes.FolderFault(s.name, what, err)
}

// writeBuffer is how many bytes of an instance go to the disk at once.
const writeBuffer = 128 << 10

// write makes a file, and returns its length. What is left of an earlier attempt is removed and not written over: a
// process that has lost the task may still hold it.
func (s *Folder) write(ctx context.Context, name string, o *Outgoing) (size int64, err error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if errors.Is(err, fs.ErrExist) {
		if err = s.root.Remove(name); err == nil {
			f, err = s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
		}
	}
	if err != nil {
		return 0, err
	}
	within := &quotaWriter{ctx: ctx, room: s.room, w: f}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil && s.room != nil {
			s.room.give(within.n)
		}
	}()
	w := bufio.NewWriterSize(within, writeBuffer)
	if _, err := w.Write(o.fileMeta()); err != nil {
		return 0, err
	}
	if _, err := io.Copy(w, o.Open()); err != nil {
		return 0, err
	}
	if err := w.Flush(); err != nil {
		return 0, err
	}
	return within.n, f.Sync()
}

// Commit makes the names of the files written so far durable.
func (s *Folder) Commit() error {
	s.mu.Lock()
	dirs := s.dirty
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	for dir := range dirs {
		if err := nodes.SyncDir(s.root, dir); err != nil {
			return s.failed("files can't be synced to disk", err)
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	return s.sync()
}

// sync makes durable which names the folder has.
func (s *Folder) sync() error {
	if err := nodes.SyncDir(s.root, "."); err != nil {
		return s.failed("files can't be synced to disk", err)
	}
	return nil
}

// Close implements Sink.
func (s *Folder) Close(ctx context.Context) {
	if s.room != nil {
		s.room.close(ctx)
	}
	if s.root != nil {
		_ = s.root.Close() // only a handle: the files are closed
	}
}
