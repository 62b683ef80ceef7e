// SPDX-License-Identifier: AGPL-3.0-or-later

package manifest

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/adit-go/adit/dicom/deid"
)

// File is the manifest of a folder, being written.
type File struct {
	*Writer
	f *os.File
}

// Append begins a run in the manifest of a folder, behind the runs that are there. A manifest that was changed is left
// alone, and an error; one that ends within a line, as after a crash, loses that line.
func Append(dir string, r Run) (*File, error) {
	path := filepath.Join(dir, Name)
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640) //nolint:gosec // the group may read what tells of nobody
	if err != nil {
		return nil, err
	}
	end := int64(0)
	last, err := End(&counted{f, &end})
	if errors.Is(err, errTorn) {
		end, err = wholeLines(f)
		if err == nil {
			err = f.Truncate(end)
		}
	}
	if err == nil {
		_, err = f.Seek(end, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf(
			"%s no longer proves what is in the folder, so ADIT adds nothing to it: %w; use another folder",
			path, err,
		), f.Close())
	}
	w, err := NewWriter(f, last, r)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return &File{w, f}, nil
}

// counted counts what is read.
type counted struct {
	r io.Reader
	n *int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	*c.n += int64(n)
	return n, err
}

// wholeLines returns where the last whole line ends.
func wholeLines(f *os.File) (int64, error) {
	size, err := f.Seek(0, io.SeekEnd)
	b := make([]byte, 1)
	for ; err == nil && size > 0; size-- {
		if _, err = f.ReadAt(b, size-1); b[0] == '\n' {
			break
		}
	}
	return size, err
}

// End ends the run, makes it durable, and closes the file.
func (f *File) End(leftOut map[string]int, key deid.Key) (Chain, error) {
	chain, err := f.Writer.End(leftOut, key)
	return chain, errors.Join(err, f.f.Sync(), f.f.Close())
}

// Close gives up a run that can't be ended. What it has written stays.
func (f *File) Close() error { return errors.Join(f.w.Flush(), f.f.Close()) }
