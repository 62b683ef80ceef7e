// SPDX-License-Identifier: AGPL-3.0-or-later

package local

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
)

func TestReasonIn(t *testing.T) {
	for said, want := range map[string]string{
		`PANIC:  could not write to file "pg_wal/xlogtemp.77": No space left on device`:                      noRoom,
		`FATAL:  could not write lock file "postmaster.pid": No space left on device`:                        noRoom,
		`initdb: error: could not write file "/proc/self/fd/3/PG_VERSION": No space left on device`:          noRoom,
		`FATAL:  could not extend file "base/5/1259": No space left on device`:                               noRoom,
		`ERROR:  could not resize shared memory segment "/PostgreSQL.1" to 8 bytes: No space left on device`: "shared memory (/dev/shm)",
		`FATAL:  could not create semaphores: No space left on device`:                                       "semaphores",
		`FATAL:  could not open file "base/1": Disk quota exceeded`:                                          "quota",
		`FATAL:  could not open file "global/pg_filenode.map": Permission denied`:                            noRight,
		`FATAL:  data directory "/proc/self/fd/3" has invalid permissions`:                                   noRight,
		`FATAL:  could not create lock file "postmaster.pid": Read-only file system`:                         noWriting,
		`FATAL:  could not map anonymous shared memory: Cannot allocate memory`:                              noMemory,
		`FATAL:  could not create lock file "/proc/self/fd/4/.s.PGSQL.5432.lock": Address already in use`:    "socket",
		`PANIC:  could not locate a valid checkpoint record`:                                                 wasDamaged,
		`FATAL:  incorrect checksum in control file`:                                                         wasDamaged,
		`FATAL:  configuration file "/x/adit-local.conf" contains errors`:                                    "adit-local.conf",
		`FATAL:  could not access file "pg_wal": Input/output error`:                                         "is faulty",
		`FATAL:  database files are incompatible with server`:                                                "another version",
		`LOG:  database system was shut down at 2026-11-29 12:00:00 UTC`:                                     "",
	} {
		got, _ := reasonIn("LOG:  starting PostgreSQL", said, "LOG:  database system is shut down")
		if want == "" {
			require.Empty(t, got, said)
			continue
		}
		require.Contains(t, got, want, said)
	}
}

func TestReason(t *testing.T) {
	for want, err := range map[string]error{
		noRoom:    fmt.Errorf("x: %w", &os.PathError{Op: "write", Path: "/secret", Err: syscall.ENOSPC}),
		noWriting: &os.PathError{Op: "write", Path: "/secret", Err: syscall.EROFS},
		noRight:   &os.PathError{Op: "write", Path: "/secret", Err: syscall.EACCES},
		"another": fmt.Errorf("%w: x", ErrInUse),
		"version": fmt.Errorf("%w: x", ErrMajor),
	} {
		require.Contains(t, Reason(err), want)
		require.NotContains(t, Reason(err), "secret")
	}
	require.Empty(t, Reason(&EndedError{Said: "/secret"}), "what it said is no reason, and may name anything")
	require.Contains(t, Reason(&EndedError{Reason: "it said goodbye; start it again"}), "start it again")
}

func TestEndedSays(t *testing.T) {
	for want, e := range map[string]*EndedError{
		"ended unexpectedly: it said nothing (exit status 1)":                  {},
		"ended unexpectedly: it said: no such role (exit status 1)":            {Said: "no such role"},
		"ended unexpectedly: too cold (exit status 1)":                         {Reason: "too cold"},
		"ended unexpectedly: a setting (exit status 1; it said: port = seven)": {Reason: "a setting", Said: "port = seven"},
	} {
		e.When, e.State = "unexpectedly", "exit status 1"
		require.Equal(t, "the embedded PostgreSQL "+want, e.Error())
	}
}

// TestNoRoomToInitialize: without room no database is made; the sentence says so, nothing half-made stays, and with
// room it goes on.
func TestNoRoomToInitialize(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=12m,mode=0700"); err != nil {
		t.Skip("only root mounts a disk of its own: ", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, syscall.MNT_DETACH) })
	_, err := Start(deadline(t), dir, testpeer.Log(t), Volatile())
	require.Error(t, err)
	require.True(t, NoRoom(err), err)
	require.True(
		t, strings.HasPrefix(err.Error(), "the embedded PostgreSQL ended before its files were created: "+noRoom), err,
	)
	require.Less(t, len(err.Error()), 250)
	require.NoError(t, syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT, "size=512m,mode=0700"))
	stop(t, start(t, dir, Volatile()))
}
