// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/files"
	"github.com/adit-go/adit/internal/zipaes"
)

// How the files of an archive are named, behind the name of its job's folder.
const (
	archiveName  = ".zip"
	ArchivePart  = ".zip.part"       // while its job goes on
	ArchiveIndex = ".zip.part.index" // what that holds
)

// headerBytes are enough of a file to tell which instance it holds.
const headerBytes = 1 << 20

// Archive writes all that the tasks of a job bring into one encrypted archive in a folder. The claim lets one of them
// run at a time. Under a pseudonym each instance is an entry, named as its file in a folder would be; without one each
// task has an entry that is an archive itself, since names tell patients.
type Archive struct {
	folder *Folder // names, root and quota
	seq    int     // of the task in its job
	plain  bool    // patients keep their identity
	label  string

	mu    sync.Mutex // for all below
	known bool       // the ledger has something of the task
	fresh bool       // nothing of the task's former entries counts any more
	w     *zipaes.Writer
	part  *os.File
	index *os.File
}

// newArchive returns the sink of a task, or of nobody's task, for the archive of its job.
func newArchive(folder *Folder, seq int, plain bool) *Archive {
	j := folder.job
	return &Archive{
		folder: folder, seq: seq, plain: plain, label: fmt.Sprintf(
			"%s%s, %d", labelOf(j), j.CreatedAt.UTC().Format(time.RFC3339Nano), j.ArchiveBegun,
		),
	}
}

// labelOf begins the label of all archives of a job, whenever they were begun.
func labelOf(j jobs.Job) string { return fmt.Sprintf("ADIT job %d of ", j.ID) }

// Gone implements Sink. It looks at what is at the folder's path now.
func (s *Archive) Gone(ctx context.Context, delivered []db.DeliveredRow) (gone []string, err error) {
	if len(delivered) == 0 {
		return nil, nil
	}
	root, err := s.folder.svc.nodes.OpenFolder(ctx, s.folder.name, s.folder.folder)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // only a handle
	s.mu.Lock()
	defer s.mu.Unlock()
	s.known = true
	sizeOf, err := s.sizes(root)
	if err != nil {
		return nil, err
	}
	for _, d := range delivered {
		if size, there := sizeOf(d.File); !there || size != d.FileBytes && size >= 0 {
			gone = append(gone, d.SourceSopUid)
		}
	}
	return gone, nil
}

// sizes returns what tells how long the content of a ledger's file is; negative: it is within an archive that is over,
// and was whole when that was ended.
func (s *Archive) sizes(root *os.Root) (func(file string) (int64, bool), error) {
	var size func(in, name string) (int64, bool)
	base := s.folder.job.FolderName
	info, err := root.Lstat(base + ArchivePart)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, s.folder.failed("the archive can't be examined", err)
	}
	there := err == nil
	if there && s.w != nil {
		own, err := s.part.Stat()
		if err != nil {
			return nil, s.folder.failed("the archive can't be examined", err)
		}
		if os.SameFile(own, info) && info.Size() >= s.w.End() {
			size = func(in, name string) (int64, bool) {
				e, there := s.w.Find(in, name)
				return e.Size, there
			}
		}
	} else {
		list, err := s.list(root, there, info)
		if err != nil {
			return nil, err
		}
		if list != nil {
			size = list.Size
		}
	}
	return func(file string) (int64, bool) {
		name, ours := strings.CutPrefix(file, base+archiveName+"/")
		if size == nil || !ours {
			return 0, false
		}
		if !s.plain {
			return size("", name)
		}
		in, name, _ := strings.Cut(name, "/")
		if n, there := size(in, name); there {
			return n, true
		}
		_, there := size("", in)
		return -1, there
	}, nil
}

// list reads what the archive holds that is in the folder; nil: there is none of this run.
func (s *Archive) list(root *os.Root, isPart bool, part fs.FileInfo) (*zipaes.List, error) {
	base := s.folder.job.FolderName
	if isPart {
		password, err := s.password()
		if err != nil {
			return nil, err
		}
		index, err := nodes.OpenToWrite(root, base+ArchiveIndex)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil //nolint:nilnil // there is none
		}
		if err != nil {
			return nil, s.folder.failed("the index of the archive can't be read", err)
		}
		defer func() { _ = index.Close() }() // it is only read
		list, err := zipaes.ReadList(index, password)
		if errors.Is(err, zipaes.ErrOther) || err == nil && (list.Label != s.label || part.Size() < list.End) {
			return nil, nil //nolint:nilnil // there is none
		}
		if err != nil {
			return nil, s.folder.failed("the index of the archive can't be read", err)
		}
		return list, nil
	}
	f, err := nodes.OpenToWrite(root, base+archiveName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil //nolint:nilnil // there is none
	}
	if err != nil {
		return nil, s.folder.failed("the archive can't be read", err)
	}
	defer func() { _ = f.Close() }() // it is only read
	list, err := finished(f)
	if err != nil {
		return nil, s.folder.failed("the archive can't be read", err)
	}
	if list == nil || list.Label != s.label {
		return nil, nil //nolint:nilnil // there is none
	}
	return list, nil
}

// finished reads what a finished archive lists; nil: it is none of ADIT's.
func finished(f *os.File) (*zipaes.List, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	list, err := zipaes.ReadFinished(f, info.Size())
	if errors.Is(err, zipaes.ErrOther) {
		return nil, nil //nolint:nilnil // there is none
	}
	return list, err
}

func (s *Archive) password() ([]byte, error) {
	return s.folder.svc.People.Open(jobs.ArchivePurpose(s.folder.job.ID), s.folder.job.ArchivePassword)
}

// Begin implements Sink.
func (s *Archive) Begin(ctx context.Context) error { return s.folder.Begin(ctx) }

// Expect implements Sink.
func (s *Archive) Expect(modalities []string) { s.folder.Expect(modalities) }

// Slots implements Sink.
func (s *Archive) Slots() []*door.Slot { return nil }

// SetSlots implements Sink.
func (s *Archive) SetSlots([]*door.Slot) {}

// Prepare implements Sink. The archive is opened when the first instance comes.
func (s *Archive) Prepare(ctx context.Context, proposed map[string][]string) (map[string][]string, error) {
	return s.folder.Prepare(ctx, proposed)
}

// Workers implements Sink.
func (s *Archive) Workers() int { return folderWorkers }

// Enter implements Sink.
func (s *Archive) Enter(context.Context, int) error { return nil }

// Leave implements Sink.
func (s *Archive) Leave(context.Context, int) error { return nil }

// Put implements Sink.
func (s *Archive) Put(ctx context.Context, _ int, o *Outgoing) (dimse.Status, error) {
	if err := o.checkUIDs(); err != nil {
		return 0, err
	}
	dir, err := s.folder.pathOf(ctx, o.Names)
	if err != nil {
		return 0, err
	}
	w, in, err := s.writer(ctx)
	if err != nil {
		return 0, err
	}
	base := s.folder.job.FolderName
	name := path.Join(strings.TrimPrefix(dir, base+"/"), o.UID+".dcm")
	if err := s.another(w, in, name, o); err != nil {
		return 0, err
	}
	r, at := io.MultiReader(bytes.NewReader(o.fileMeta()), o.Open()), s.now()
	var e zipaes.Entry
	if s.plain {
		e, err = w.PutWithin(ctx, in, name, at, r)
	} else {
		e, err = w.Put(ctx, name, at, r)
	}
	if err != nil {
		return 0, s.folder.failed("the archive can't be written", err)
	}
	o.File, o.FileBytes = path.Join(base+archiveName, in, name), e.Size
	return dimse.Success, nil
}

// now is the time that entries have, which zip has no zone for.
func (s *Archive) now() time.Time { return time.Now().In(s.folder.svc.Config.Zone) }

// another refuses an instance if another one has its name. What can't be read as DICOM is none.
func (s *Archive) another(w *zipaes.Writer, in, name string, o *Outgoing) error {
	if _, there := w.Find(in, name); !there {
		return nil
	}
	b, err := w.Content(in, name, headerBytes)
	if err != nil {
		return s.folder.failed("the archive can't be read", err)
	}
	if isAnother(bytes.NewReader(b), o) {
		return &Refusal{
			dimse.DuplicateSOPInstance,
			"the archive has another instance under the same name, which ADIT doesn't replace; look at the two studies at " +
				"their source, which share SOP Instance UIDs",
		}
	}
	return nil
}

// writer returns what writes the archive, which it opens if need be, and the archive within it for what names tell.
func (s *Archive) writer(ctx context.Context) (w *zipaes.Writer, in string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		held := s.folder.held
		others, err := s.folder.svc.Q.OpenArchive(ctx, db.OpenArchiveParams{
			ID: held.TaskID, Member: &held.Member, Token: &held.Token,
		})
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, "", fault.ErrFenced
		}
		if err != nil {
			return nil, "", err
		}
		if err := s.open(ctx, others == 0); err != nil {
			return nil, "", err
		}
		if s.w == nil {
			return nil, "", fault.Permanent(
				"the archive %s is not in the folder %s any more, or was changed, and other tasks of the job have sent "+
					"instances into it. Put it back and retry, or have staff restart the job, which sends everything again.",
				s.folder.job.FolderName+archiveName, s.folder.name,
			)
		}
		if err := s.forget(ctx); err != nil {
			return nil, "", err
		}
	}
	if !s.plain {
		return s.w, "", nil
	}
	return s.w, s.within(), nil
}

// within names the archive within for what comes: the one that is being written, or the next one of the task.
func (s *Archive) within() string {
	for n := 1; ; n++ {
		name := withinName(s.seq, n)
		if _, over := s.w.Find("", name); !over {
			return name
		}
	}
}

// withinName names the nth archive within of a task.
func withinName(seq, n int) string {
	if n == 1 {
		return fmt.Sprintf("%04d.zip", seq)
	}
	return fmt.Sprintf("%04d-%d.zip", seq, n)
}

// forget drops, once, what the task has in archives within if its ledger knows nothing of that: it sends all again.
func (s *Archive) forget(ctx context.Context) error {
	if s.known || s.fresh || !s.plain {
		return nil
	}
	s.fresh = true
	for n := 1; ; n++ {
		name := withinName(s.seq, n)
		_, over := s.w.Find("", name)
		if !over && s.w.Writing() != name {
			return nil
		}
		if err := s.w.Drop(ctx, name); err != nil {
			return s.folder.failed("the archive can't be written", err)
		}
	}
}

// open opens the archive as it was left: unfinished, or finished by an earlier end of the job. If there is none, it
// begins one, or opens nothing. The folder must be open.
func (s *Archive) open(ctx context.Context, begins bool) error {
	root, base := s.folder.root, s.folder.job.FolderName
	password, err := s.password()
	if err != nil {
		return err
	}
	if err := s.folder.guard(); err != nil {
		return err
	}
	if err := s.checkName(root); err != nil {
		return err
	}
	failed := func(err error) error {
		s.letGo()
		return s.folder.failed("the archive can't be opened", err)
	}
	reopens, err := s.find(root, begins)
	if err != nil {
		return failed(err)
	}
	if s.part == nil {
		return nil
	}
	if taken, err := files.Lock(s.part); taken {
		s.letGo()
		return fault.Wait("another process of ADIT still has the archive in the folder %s open", s.folder.name)
	} else if err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return failed(err)
	}
	if s.index, err = root.OpenFile(base+ArchiveIndex, os.O_RDWR|os.O_CREATE, 0o640); err != nil {
		return failed(err)
	}
	part, err := s.guarded(ctx, s.part)
	if err != nil {
		return failed(err)
	}
	index, err := s.guarded(ctx, s.index)
	if err != nil {
		return failed(err)
	}
	if reopens {
		if err := s.reopen(root, index, password); err != nil {
			return failed(err)
		}
	}
	about := s.about()
	s.w, err = zipaes.Continue(part, index, password, about)
	if errors.Is(err, zipaes.ErrOther) {
		if !begins {
			s.letGo()
			return nil
		}
		s.w, err = zipaes.Create(ctx, part, index, password, about)
	}
	if err == nil {
		err = s.folder.sync()
	}
	if err != nil {
		s.w = nil
		return failed(err)
	}
	return nil
}

// find opens what there is of the archive, or an empty file if it is to be begun. reopens: it is finished.
func (s *Archive) find(root *os.Root, begins bool) (reopens bool, err error) {
	base := s.folder.job.FolderName
	if s.part, err = nodes.OpenToWrite(root, base+ArchivePart); !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if s.part, err = nodes.OpenToWrite(root, base+archiveName); err == nil {
		list, err := finished(s.part)
		if err != nil || list != nil && list.Label == s.label {
			return true, err
		}
		s.letGo()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !begins {
		return false, nil
	}
	s.part, err = root.OpenFile(base+ArchivePart, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	return false, err
}

// checkName refuses to write where somebody else's file has the name of the archive.
func (s *Archive) checkName(root *os.Root) error {
	f, err := nodes.OpenToWrite(root, s.folder.job.FolderName+archiveName)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var list *zipaes.List
	if err == nil {
		defer func() { _ = f.Close() }() // it was only read
		list, err = finished(f)
	}
	if err != nil && !errors.Is(err, nodes.ErrNotRegular) {
		return s.folder.failed("the archive can't be read", err)
	}
	if list == nil || !strings.HasPrefix(list.Label, labelOf(s.folder.job)) {
		return fault.Permanent(
			"the folder %s has a file %s that is not the archive of this job, or was changed; move it away, then retry.",
			s.folder.name, s.folder.job.FolderName+archiveName,
		)
	}
	return nil
}

// reopen takes up a finished archive: its index is made, durably, before the archive loses its name.
func (s *Archive) reopen(root *os.Root, index zipaes.File, password []byte) error {
	info, err := s.part.Stat()
	if err != nil {
		return err
	}
	base := s.folder.job.FolderName
	if err := zipaes.Reopen(s.part, info.Size(), index, password, s.label); err != nil {
		return err
	}
	return root.Rename(base+archiveName, base+ArchivePart)
}

// about says what the archive is. Nothing of it tells a patient.
func (s *Archive) about() zipaes.About {
	j := s.folder.job
	return zipaes.About{
		Label: s.label, At: s.now(), Note: fmt.Sprintf(
			"Archive of ADIT\r\nJob: %d\r\nKind: %s\r\nOwner: %s\r\nMade: %s\r\n",
			j.ID, j.Kind, j.Owner, j.CreatedAt.In(s.folder.svc.Config.Zone).Format(time.RFC3339),
		),
	}
}

// HangUp implements Sink: an archive within is ended, so that a next task finds it whole.
func (s *Archive) HangUp(ctx context.Context) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.w == nil {
		return
	}
	if err := errors.Join(s.w.CloseWithin(context.WithoutCancel(ctx)), s.w.Commit()); err != nil { // the next task does it
		s.folder.svc.Log.WarnContext(
			ctx, "an archive is left to the next task", "folder", s.folder.name, "task", s.folder.held.TaskID,
			"error", s.folder.failed("it can't be written", err),
		)
	}
}

// Commit implements Sink.
func (s *Archive) Commit() error {
	s.mu.Lock()
	w := s.w
	s.mu.Unlock()
	if w == nil {
		return nil
	}
	if err := w.Commit(); err != nil {
		return s.folder.failed("the archive can't be synced to disk", err)
	}
	return nil
}

// Close implements Sink.
func (s *Archive) Close(ctx context.Context) {
	s.mu.Lock()
	s.letGo()
	s.mu.Unlock()
	s.folder.Close(ctx)
	s.folder.root = nil
}

// letGo closes the files. What was committed is durable.
func (s *Archive) letGo() {
	for _, f := range []*os.File{s.part, s.index} {
		if f != nil {
			_ = f.Close() // it was synced
		}
	}
	s.w, s.part, s.index = nil, nil, nil
}

// Finish gives the archive its name if the running task is the last one of its job.
func (s *Archive) Finish(ctx context.Context) error {
	job := s.folder.job.ID
	if ends, err := s.folder.svc.Q.EndsArchive(ctx, job); err != nil || !ends {
		return err
	}
	if err := s.finish(ctx); err != nil {
		return err
	}
	return s.folder.svc.Q.CloseArchive(ctx, job)
}

// finish gives the archive its name, whole. Without anything in it there is none. What was written before the job was
// begun anew goes.
func (s *Archive) finish(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.folder.Prepare(ctx, nil); err != nil {
		return err
	}
	if s.w == nil {
		if err := s.open(ctx, false); err != nil {
			return err
		}
	}
	root, base := s.folder.root, s.folder.job.FolderName
	remove := []string{ArchiveIndex, ArchivePart}
	if s.w != nil && len(s.w.Entries()) > 1 { // beside the note
		if err := s.w.Finish(ctx); err != nil {
			return s.folder.failed("the archive can't be finished", err)
		}
		if err := s.folder.guard(); err != nil {
			return err
		}
		before := s.size(archiveName)
		if err := root.Rename(base+ArchivePart, base+archiveName); err != nil {
			return s.folder.failed("the archive can't be given its name", err)
		}
		s.gave(before)
		if err := s.folder.sync(); err != nil {
			return err
		}
		remove = remove[:1]
	}
	s.letGo()
	for _, name := range remove {
		size := s.size(name)
		if err := root.Remove(base + name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return s.folder.failed("what is left of an archive can't be removed", err)
		}
		s.gave(size)
	}
	return s.folder.sync()
}

// size is how long the file of the job with this ending is; 0: there is none.
func (s *Archive) size(name string) int64 {
	info, err := s.folder.root.Lstat(s.folder.job.FolderName + name)
	if err != nil {
		return 0
	}
	return info.Size()
}

// gave gives bytes back to the folder's quota that are not there any more.
func (s *Archive) gave(n int64) {
	if s.folder.room != nil {
		s.folder.room.give(n)
	}
}

// guardedFile is a file that only a process whose lease lasts writes to, within the quota of the folder.
type guardedFile struct {
	*os.File
	ctx    context.Context
	folder *Folder

	mu    sync.Mutex
	reach int64 // how long it is
}

func (s *Archive) guarded(ctx context.Context, f *os.File) (*guardedFile, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &guardedFile{File: f, ctx: context.WithoutCancel(ctx), folder: s.folder, reach: info.Size()}, nil
}

// WriteAt implements io.WriterAt.
func (f *guardedFile) WriteAt(b []byte, at int64) (int, error) {
	if err := f.folder.guard(); err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if more := at + int64(len(b)) - f.reach; more > 0 {
		if room := f.folder.room; room != nil {
			if err := room.take(f.ctx, more); err != nil {
				return 0, &fault.NoRoom{Err: err}
			}
		}
		f.reach += more
	}
	return f.File.WriteAt(b, at)
}

// Truncate makes the file shorter or longer.
func (f *guardedFile) Truncate(size int64) error {
	if err := f.folder.guard(); err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.File.Truncate(size); err != nil {
		return err
	}
	if room := f.folder.room; room != nil {
		room.give(f.reach - size)
	}
	f.reach = size
	return nil
}

// FinishArchives gives the archives of jobs that have ended their names, where a task could not: it failed, was
// canceled, or its process died. Those of folders that this member doesn't see are left to others. told is told how
// each ended.
func (svc *Service) FinishArchives(ctx context.Context, told func(job int64, err error) error) error {
	ended, err := svc.Q.ArchivesToFinish(ctx)
	if err != nil {
		return err
	}
	for _, row := range ended {
		n, nodeErr := svc.nodes.ByID(ctx, row.FolderID)
		if nodeErr != nil || n.Folder == nil || !svc.nodes.Sees(n.Name, *n.Folder) {
			err = errors.Join(err, nodeErr)
			continue
		}
		failed := svc.finishArchive(ctx, row.ID, func(j jobs.Job) *Folder { return svc.folderOf(n, j) })
		if ctx.Err() != nil {
			return ctx.Err()
		}
		err = errors.Join(err, told(row.ID, failed))
	}
	return err
}

func (svc *Service) finishArchive(ctx context.Context, job int64, folderOf func(jobs.Job) *Folder) (err error) {
	member := svc.Door.Member()
	_, err = svc.Q.TakeArchive(ctx, db.TakeArchiveParams{Member: member, ID: job})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	whole := false
	defer func() {
		err = errors.Join(err, svc.Q.LeaveArchive(context.WithoutCancel(ctx), db.LeaveArchiveParams{
			ID: job, Member: member, IsFinished: whole,
		}))
		svc.Signals.Wake() // tasks may have waited for it
	}()
	row, err := svc.Q.GetJob(ctx, job)
	if err != nil {
		return err
	}
	s := newArchive(folderOf(jobs.JobOf(row)), 0, false)
	defer s.Close(ctx)
	s.folder.guard = svc.Door.Guard(member)
	err = s.finish(ctx)
	whole = err == nil
	return err
}
