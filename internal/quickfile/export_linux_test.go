// SPDX-License-Identifier: AGPL-3.0-or-later

package quickfile

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// CreateNamed is what CreateUnnamed does where the file system knows no files without a name.
var CreateNamed = createNamed

// NextNamed is the name that CreateNamed tries next.
func NextNamed(dir string) string {
	return filepath.Join(dir, fmt.Sprintf(".adit-%d-%d.part", os.Getpid(), temps.Load()+1))
}

// OpenAppending opens a file that the kernel writes to, but does not splice to.
func OpenAppending(path string) (*File, error) {
	return open(path, syscall.O_WRONLY|syscall.O_APPEND, 0)
}
