// SPDX-License-Identifier: AGPL-3.0-or-later

package sinktest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/adit-go/adit/dicom/stream"
)

// Files returns the instances in the Part 10 files below a directory, for Subject.Held. A file that is none is an
// error, but for those whose names are given: a marker, an index.
func Files(dir string, besides ...string) ([]Instance, error) {
	var held []Instance
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		for _, name := range besides {
			if d.Name() == name {
				return nil
			}
		}
		in, err := readFile(path)
		if err != nil {
			return fmt.Errorf("%s is no instance: %w", path, err)
		}
		held = append(held, in)
		return nil
	})
	return held, err
}

// readFile reads a Part 10 file.
func readFile(path string) (Instance, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return Instance{}, err
	}
	meta, err := stream.ReadFileMeta(bytes.NewReader(b))
	if err != nil {
		return Instance{}, err
	}
	if string(b[lengthAt-8:lengthAt]) != "\x02\x00\x00\x00UL\x04\x00" {
		return Instance{}, errors.New("it does not begin with the length of its file meta information")
	}
	begin := lengthAt + 4 + int(binary.LittleEndian.Uint32(b[lengthAt:]))
	if begin > len(b) {
		return Instance{}, errors.New("its file meta information says that it is longer than the file")
	}
	return Instance{UID: meta.MediaStorageSOPInstanceUID, Syntax: meta.TransferSyntaxUID, Data: b[begin:]}, nil
}

// lengthAt is where a Part 10 file has the length of its file meta information: behind the preamble, the prefix and 8
// bytes of the first element.
const lengthAt = 128 + 4 + 8
