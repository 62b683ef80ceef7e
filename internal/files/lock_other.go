// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !unix

package files

import (
	"errors"
	"os"
)

// Lock locks nothing: Windows has no locks of folders.
func Lock(*os.File) (taken bool, err error) { return false, errors.ErrUnsupported }
