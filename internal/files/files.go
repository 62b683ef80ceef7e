// SPDX-License-Identifier: AGPL-3.0-or-later

// Package files provides what the standard library lacks for ADIT's own files: locks, and private files that are either
// complete or absent.
package files

import (
	"errors"
	"os"
	"path/filepath"
)

// WritePrivate writes a file that only this user may read. It is whole or not there, whatever happens meanwhile.
func WritePrivate(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return nil
}
