// SPDX-License-Identifier: AGPL-3.0-or-later

package quarantine

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

// Quarantine is the folder of instances that nobody asked for: DICOM files (PS3.10) that only the user who runs ADIT
// can read, until they expire. Their senders were told that they were refused. It is safe for concurrent use.
type Quarantine struct {
	id   uuid.UUID
	dir  string
	keep time.Duration
	max  int64 // bytes of all files

	mu   sync.Mutex
	used int64
}

const (
	quarantined = ".dcm"
	unfinished  = ".part"
)

// errFull ends the writing of an instance for which there is no room.
var errFull = errors.New("the quarantine is full")

// OpenQuarantine uses a folder, which it makes. Instances are kept for some time, up to so many bytes in all.
func OpenQuarantine(dir string, keep time.Duration, maxBytes int64) (*Quarantine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the quarantine can't be created: %w", err)
	}
	id, err := folderID(filepath.Join(dir, "id"))
	if err != nil {
		return nil, fmt.Errorf("the quarantine can't be used: %w", err)
	}
	q := &Quarantine{id: id, dir: dir, keep: keep, max: maxBytes}
	return q, q.Expire(time.Now())
}

// folderID returns what the folder is known by in the database. It is made at the first use.
func folderID(path string) (uuid.UUID, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		id := uuid.New()
		return id, os.WriteFile(path, []byte(id.String()+"\n"), 0o600)
	}
	if err != nil {
		return uuid.Nil, err
	}
	return uuid.Parse(strings.TrimSpace(string(text)))
}

// Expire removes what is old, what was left unfinished by a crash included, and counts what stays.
func (q *Quarantine) Expire(now time.Time) error { return q.expire(now, q.keep) }

func (q *Quarantine) expire(now time.Time, keep time.Duration) error {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return fmt.Errorf("the quarantine can't be read: %w", err)
	}
	var used int64
	var failed error
	for _, e := range entries {
		info, err := e.Info()
		name := e.Name()
		mine := strings.HasSuffix(name, quarantined) || strings.HasSuffix(name, unfinished)
		if err != nil || !mine || !info.Mode().IsRegular() {
			continue // removed meanwhile, or not ours
		}
		if now.Sub(info.ModTime()) < keep {
			used += info.Size()
			continue
		}
		if err := os.Remove(filepath.Join(q.dir, name)); err != nil {
			failed = fmt.Errorf("the quarantine can't be tidied: %w", err)
		}
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used = used
	return failed
}

// Keep writes an instance down, and returns the name of its file and its bytes. kept is false if there is no room.
func (q *Quarantine) Keep(in *dimse.Incoming, obj *stream.Object) (file uuid.UUID, bytes int64, kept bool, err error) {
	file = uuid.New()
	name := filepath.Join(q.dir, file.String())
	f, err := os.OpenFile(name+unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return uuid.Nil, 0, false, fmt.Errorf("the quarantine can't be used: %w", err)
	}
	w := &rationed{q: q, w: f}
	meta := stream.FileMeta{
		MediaStorageSOPClassUID: in.SOPClassUID, MediaStorageSOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID,
	}
	_, err = w.Write(meta.AppendTo(nil))
	if err == nil {
		_, err = io.Copy(w, obj)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name+unfinished, name+quarantined)
	}
	if err == nil {
		return file, w.n, true, nil
	}
	q.give(w.n)
	err = errors.Join(err, os.Remove(name+unfinished))
	if errors.Is(err, errFull) {
		return uuid.Nil, 0, false, nil
	}
	return uuid.Nil, 0, false, err
}

// ID is what its folder is known by in the database, and to other members.
func (q *Quarantine) ID() uuid.UUID { return q.id }

// Open opens an instance's file; fs.ErrNotExist: there is none.
func (q *Quarantine) Open(name string) (io.ReadCloser, error) {
	file, err := uuid.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("file %q: %w", name, os.ErrNotExist)
	}
	return os.Open(q.path(file))
}

// Remove removes an instance's file. One that is gone already is no error.
func (q *Quarantine) Remove(name string) error {
	file, err := uuid.Parse(name)
	if err != nil {
		return nil //nolint:nilerr // there is no such file
	}
	return q.remove(file)
}

func (q *Quarantine) path(file uuid.UUID) string {
	return filepath.Join(q.dir, file.String()+quarantined)
}

// remove deletes a file. One that is gone already is no error.
func (q *Quarantine) remove(file uuid.UUID) error {
	info, err := os.Stat(q.path(file))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = os.Remove(q.path(file))
	}
	if err != nil {
		return fmt.Errorf("a file in the quarantine can't be removed: %w", err)
	}
	q.give(info.Size())
	return nil
}

// files returns those that are whole and older than an instant.
func (q *Quarantine) files(before time.Time) (list []uuid.UUID, err error) {
	entries, err := os.ReadDir(q.dir)
	if err != nil {
		return nil, fmt.Errorf("the quarantine can't be read: %w", err)
	}
	for _, e := range entries {
		name, ok := strings.CutSuffix(e.Name(), quarantined)
		file, err := uuid.Parse(name)
		info, gone := e.Info()
		if ok && err == nil && gone == nil && info.ModTime().Before(before) {
			list = append(list, file)
		}
	}
	return list, nil
}

func (q *Quarantine) take(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.used+n > q.max {
		return false
	}
	q.used += n
	return true
}

func (q *Quarantine) give(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used -= n
}

// rationed is a writer within the bytes of the quarantine.
type rationed struct {
	q *Quarantine
	w io.Writer
	n int64 // bytes taken
}

func (r *rationed) Write(b []byte) (int, error) {
	if !r.q.take(int64(len(b))) {
		return 0, errFull
	}
	r.n += int64(len(b))
	return r.w.Write(b)
}
