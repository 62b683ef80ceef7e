// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom

import (
	"bufio"
	"io"
	"os"
	"path/filepath"
)

// WriteFiles writes all objects as DICOM files (PS3.10), named by their SOP Instance UID, into dir, which it makes if
// needed. It returns the paths, in the order of Instances.
func (st *Study) WriteFiles(dir string) ([]string, error) {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, err
	}
	var paths []string
	for _, in := range st.Instances() {
		path := filepath.Join(dir, in.SOPInstanceUID+".dcm")
		if err := in.WriteFile(path); err != nil {
			return paths, err
		}
		paths = append(paths, path)
	}
	return paths, nil
}

// WriteFile writes the object as a DICOM file (PS3.10).
func (in *Instance) WriteFile(path string) (err error) {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	defer func() {
		if cerr := f.Close(); err == nil {
			err = cerr
		}
	}()
	w := bufio.NewWriterSize(f, 1<<16)
	if _, err := w.Write(in.FileMeta().AppendTo(nil)); err != nil {
		return err
	}
	r := in.Open()
	defer func() { _ = r.Close() }()
	if _, err := io.Copy(w, r); err != nil {
		return err
	}
	return w.Flush()
}
