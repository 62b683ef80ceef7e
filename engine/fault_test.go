// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
)

func TestDatabaseLost(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "unix", Err: syscall.ECONNRESET}
	for name, c := range map[string]struct {
		err  error
		lost bool
	}{
		"not reached":                     {&pgconn.ConnectError{}, true},
		"connection reset":                {reset, true},
		"killed in the middle":            {fmt.Errorf("1 instance: %w", io.ErrUnexpectedEOF), true},
		"shutting down":                   {&pgconn.PgError{Code: "57P01"}, true},
		"unique violation":                {&pgconn.PgError{Code: "23505"}, false},
		"full disk":                       {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, false},
		"no such folder":                  {syscall.ENOENT, false},
		"association lost":                {&ul.LostError{Err: reset}, false},
		"source cut off while it is read": {&ul.SourceError{Err: io.ErrUnexpectedEOF}, false},
		"something took too long":         {context.DeadlineExceeded, false},
		"anything":                        {errors.New("x"), false},
	} {
		require.Equal(t, c.lost, DatabaseLost(c.err), name)
	}
}

func TestFolderFaults(t *testing.T) {
	s := &folderSink{folder: &db.Folder{Path: "/mnt/studies"}}
	for number, want := range map[syscall.Errno]policy{
		syscall.ENOSPC: policyPermanent, syscall.EROFS: policyPermanent, syscall.EACCES: policyPermanent, syscall.ENOENT: policyWait, syscall.ESTALE: policyWait,
		syscall.EIO: policyAgain,
	} {
		err := s.failed("a file can't be written", errors.Join(&fs.PathError{Op: "openat", Path: "adit_1/PATIENT/x.dcm.part", Err: number}, nil))
		require.Equal(t, want, policyOf(err), number)
		require.Contains(t, err.Error(), "a file can't be written in /mnt/studies: "+number.Error())
		require.NotContains(t, err.Error(), "PATIENT")
	}
	lost := s.failed("a file can't be written", &ul.LostError{Err: io.EOF})
	require.Equal(t, policyAgain, policyOf(lost), "the source's fault, not the folder's")
}
