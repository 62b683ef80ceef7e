// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build !linux

package pictures

import (
	"errors"
	"syscall"
)

const confinable = false

var errNoLimits = errors.New("only Linux has the limits of this process")

func tied() *syscall.SysProcAttr { return nil }

func confine() error { return errNoLimits }

func become([]string) error { return errNoLimits }
