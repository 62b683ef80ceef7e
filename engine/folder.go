// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
)

const folderWorkers = 4

// folderSink writes Part 10 files into a folder, each under a temporary name first: a file that has its name is whole.
type folderSink struct {
	path       string
	job        string   // the job's folder
	modalities []string // of the study
	room       *room    // of the folder's quota; nil: it has none

	root *os.Root

	mu    sync.Mutex
	dirty map[string]bool // directories with names that are not durable yet
}

func (s *folderSink) prepare(_ context.Context, proposed map[string][]string) (map[string][]string, error) {
	if s.root == nil {
		if err := checkFolder(s.path); err != nil {
			return nil, &fault{policy: policyPermanent, err: err}
		}
		root, err := os.OpenRoot(s.path)
		if err != nil {
			return nil, s.failed("the folder can't be opened", err)
		}
		s.root, s.dirty = root, map[string]bool{}
	}
	return proposed, nil
}

func (s *folderSink) workers() int { return folderWorkers }

func (s *folderSink) enter(context.Context, int) error { return nil }

func (s *folderSink) leave(context.Context, int) error { return nil }

func (s *folderSink) put(ctx context.Context, _ int, o *outgoing) (dimse.Status, error) {
	dir := path.Join(s.job, safeName(o.names.patientID), s.studyFolder(o.names), seriesFolder(o.names))
	if err := s.root.MkdirAll(dir, 0o750); err != nil {
		return 0, s.failed("a folder can't be made", err)
	}
	name := path.Join(dir, o.uid+".dcm")
	if err := s.write(ctx, name+".part", o); err != nil {
		_ = s.root.Remove(name + ".part") // it would be overwritten by the next attempt anyway
		return 0, s.failed("a file can't be written", err)
	}
	var replaced int64
	if s.room != nil {
		replaced = fileSize(s.root, name)
	}
	if err := s.root.Rename(name+".part", name); err != nil {
		return 0, s.failed("a file can't be renamed", err)
	}
	if s.room != nil {
		s.room.give(replaced)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for d := dir; d != "."; d = path.Dir(d) {
		s.dirty[d] = true
	}
	return dimse.Success, nil
}

// failed says what could not be done, and whether it is worth another try. The path that the system names stays out of it:
// below the folder it is made of the patient's values.
func (s *folderSink) failed(what string, err error) error {
	if own, ok := errors.AsType[*noRoom](err); ok {
		return own.error
	}
	cause := fileError(err)
	switch {
	case cause == nil: // of what was to be written, or of the task
		return err
	case errors.Is(cause, fs.ErrNotExist):
		return permanent("%s in %s: %w. Put the folder back, or mount the disk that holds it, then retry.", what, s.path, cause)
	case diskFault(err):
		return permanent("%s in %s: %w. Make room or correct the permissions, then retry.", what, s.path, cause)
	}
	return again("%s in %s: %w", what, s.path, cause)
}

// writeBuffer is how many bytes of an object go to the disk at once.
const writeBuffer = 128 << 10

func (s *folderSink) write(ctx context.Context, name string, o *outgoing) (err error) {
	f, err := s.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
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
		return err
	}
	if _, err := io.Copy(w, o.open()); err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	return f.Sync()
}

// commit makes the names of the files written so far durable.
func (s *folderSink) commit() error {
	s.mu.Lock()
	dirs := s.dirty
	s.dirty = map[string]bool{}
	s.mu.Unlock()
	for dir := range dirs {
		if err := s.syncDir(dir); err != nil {
			return s.failed("files can't be made durable", err)
		}
	}
	if len(dirs) == 0 {
		return nil
	}
	if err := s.syncDir("."); err != nil {
		return s.failed("files can't be made durable", err)
	}
	return nil
}

func (s *folderSink) syncDir(dir string) error {
	f, err := s.root.Open(dir)
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

// jobFolder names a job's folder: adit_<kind>_<job id>_<created YYYYMMDD>_<username>.
func jobFolder(j Job) string {
	return safeName(fmt.Sprintf("adit_%s_%d_%s_%s", j.Kind, j.ID, j.CreatedAt.Format("20060102"), j.Owner))
}

// studyFolder names a study's folder: <StudyDate>-<StudyTime>-<modalities>.
func (s *folderSink) studyFolder(n objectNames) string {
	modalities := slices.Sorted(slices.Values(s.modalities))
	clock, _, _ := strings.Cut(n.studyTime, ".")
	return safeName(fmt.Sprintf("%s-%s-%s", n.studyDate, clock, strings.Join(slices.Compact(modalities), ",")))
}

// seriesFolder names a series' folder: <SeriesNumber>-<SeriesDescription>, or the Series Instance UID without a number.
func seriesFolder(n objectNames) string {
	if n.seriesNumber == "" {
		return safeName(n.series)
	}
	description := n.seriesDescription
	if description == "" {
		description = "Undefined"
	}
	return safeName(n.seriesNumber + "-" + description)
}

const maxName = 120 // bytes; file systems allow 255, others less

// safeName makes a value fit to be one name in any file system: no separators, nothing that climbs, nothing reserved.
func safeName(value string) string {
	value = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r == utf8.RuneError || strings.ContainsRune(`<>:"/\|?*`, r) {
			return '_'
		}
		return r
	}, value)
	if len(value) > maxName {
		hash := fnv.New32a()
		_, _ = hash.Write([]byte(value)) // never fails
		cut := maxName - 9
		for !utf8.RuneStart(value[cut]) {
			cut--
		}
		value = fmt.Sprintf("%s~%08x", value[:cut], hash.Sum32())
	}
	value = strings.TrimRight(strings.TrimSpace(value), ".")
	value = strings.TrimSpace(value)
	if value == "" {
		return "Undefined"
	}
	if stem, _, _ := strings.Cut(value, "."); slices.Contains(reservedNames, strings.ToUpper(stem)) {
		return "_" + value
	}
	return value
}

// reservedNames can't be file names on Windows, from where such folders are read.
var reservedNames = []string{
	"CON", "PRN", "AUX", "NUL", "COM1", "COM2", "COM3", "COM4", "COM5", "COM6", "COM7", "COM8", "COM9",
	"LPT1", "LPT2", "LPT3", "LPT4", "LPT5", "LPT6", "LPT7", "LPT8", "LPT9",
}
