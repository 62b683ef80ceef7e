// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

package audit

import (
	"errors"
	"syscall"
)

func unacknowledged(uintptr) (int, syscall.Errno, error) { return 0, 0, errors.ErrUnsupported }
