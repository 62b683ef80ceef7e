// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/adit-go/adit/internal/testpeer"
)

// program is bin/adit as users have it: without the race detector, so that its memory is what it is in production.
var program string

func TestMain(m *testing.M) {
	alone()
	testpeer.Isolate()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "adit-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH) // if it was mounted
		_ = os.RemoveAll(dir)                        // a left-over is no reason to fail
	}()
	if err := inMemory(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	program = filepath.Join(dir, "adit")
	build := exec.Command("go", "build", "-trimpath", "-o", program, "github.com/adit-go/adit/cmd/adit")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building adit: %s\n%s", err, out)
		return 1
	}
	return m.Run()
}
