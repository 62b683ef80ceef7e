// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const aloneEnv = "ADIT_TEST_OWN_MOUNTS"

// alone runs the tests again in a mount namespace of their own, so that a file system mounted by a test that is killed
// goes with it. Users who are not root stay where they are.
func alone() {
	if os.Getenv(aloneEnv) != "" || os.Geteuid() != 0 {
		return
	}
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Args[0] = os.Args[0]
	cmd.Env = append(os.Environ(), aloneEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var failed *exec.ExitError
	switch {
	case err == nil:
		os.Exit(0)
	case errors.As(err, &failed):
		os.Exit(max(failed.ExitCode(), 1))
	}
	// Root without the right to make namespaces: the tests that need it say so.
}

// inMemory puts what tests write into memory, where that can't be seen from outside: a database that recovers makes all
// its files durable first, for which disks take long.
func inMemory(dir string) error {
	if os.Getenv(aloneEnv) == "" {
		return nil
	}
	return errors.Join(syscall.Mount("adit-test", dir, "tmpfs", 0, "mode=0755"), os.Setenv("TMPDIR", dir))
}

// disk is a file system of its own, in memory.
type disk struct {
	t    *testing.T
	path string
}

// newDisk mounts a file system of a size such as 2m. Only root may.
func newDisk(t *testing.T, size string) *disk {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("only root may mount a small file system; run the tests as root to see full disks")
	}
	d := &disk{t: t, path: filepath.Join(t.TempDir(), "disk")}
	require.NoError(t, os.Mkdir(d.path, 0o755))
	require.NoError(t, syscall.Mount("adit-test", d.path, "tmpfs", 0, "size="+size))
	t.Cleanup(func() { require.NoError(t, syscall.Unmount(d.path, syscall.MNT_DETACH)) })
	return d
}

// remount gives the file system another size, or makes it read-only.
func (d *disk) remount(size string, readOnly bool) {
	d.t.Helper()
	flags := uintptr(syscall.MS_REMOUNT)
	if readOnly {
		flags |= syscall.MS_RDONLY
	}
	require.NoError(d.t, syscall.Mount("adit-test", d.path, "tmpfs", flags, "size="+size))
}

// dieWithParent ends a child when the tests are killed.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
