// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

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

	"github.com/adit-go/adit/dicom/stream"
)

// Quarantine keeps objects that nobody asked for, as DICOM files (PS3.10) that only the user who runs ADIT can read, until they expire.
// Their senders were told that they were refused. It is safe for concurrent use.
type Quarantine struct {
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

// errFull ends the writing of an object for which there is no room.
var errFull = errors.New("the quarantine is full")

// OpenQuarantine uses a folder, which it makes. Objects are kept for some time, up to so many bytes in all.
func OpenQuarantine(dir string, keep time.Duration, maxBytes int64) (*Quarantine, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("the quarantine can't be made: %w", err)
	}
	q := &Quarantine{dir: dir, keep: keep, max: maxBytes}
	return q, q.Expire(time.Now())
}

// Expire removes what is old, what was left unfinished by a crash included, and counts what stays.
func (q *Quarantine) Expire(now time.Time) error {
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
		if now.Sub(info.ModTime()) < q.keep {
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

// Keep writes an object down. kept is false if there is no room, or its header can't be read.
func (q *Quarantine) Keep(a *Arrival) (kept bool, err error) {
	obj, err := a.open()
	if err != nil {
		return false, nil //nolint:nilerr // it isn't DICOM enough for a file
	}
	name := filepath.Join(q.dir, uuid.NewString())
	f, err := os.OpenFile(name+unfinished, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return false, fmt.Errorf("the quarantine can't be used: %w", err)
	}
	w := &rationed{q: q, w: f}
	meta := stream.FileMeta{MediaStorageSOPClassUID: a.SOPClassUID, MediaStorageSOPInstanceUID: a.SOPInstanceUID, TransferSyntaxUID: a.TransferSyntaxUID}
	_, err = w.Write(meta.AppendTo(nil))
	if err == nil {
		_, err = io.Copy(w, obj)
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(name+unfinished, name+quarantined)
	}
	if err == nil {
		return true, nil
	}
	q.give(w.n)
	err = errors.Join(err, os.Remove(name+unfinished))
	if errors.Is(err, errFull) {
		return false, nil
	}
	return false, err
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
