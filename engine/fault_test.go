// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// TestWhereErrorsComeFrom: the same error of the io package or of the system means something else in the database's connection, in a
// server's association and in a file, and nothing by itself.
func TestWhereErrorsComeFrom(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	forbidden := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPERM)} // a packet filter's answer
	const database, peer, away, disk = "the database is lost", "the peer failed", "the server can't be had", "the disk's fault"
	for name, c := range map[string]struct {
		err    error
		origin string
		policy policy
	}{
		"the database reset":               {&db.LostError{Err: reset}, database, policyWait},
		"the database's disk full":         {fmt.Errorf("1 instance: %w", &pgconn.PgError{Code: "53100"}), database, policyWait},
		"a lock in the database":           {permanent("it can't be kept: %w", &pgconn.PgError{Code: "55P03"}), database, policyWait},
		"a slow database":                  {again("it can't be kept: %w", &pgconn.PgError{Code: "57014"}), database, policyWait},
		"a read-only database":             {&pgconn.PgError{Code: "25006"}, database, policyWait},
		"the database cut off":             {fmt.Errorf("1 instance: %w", &db.LostError{Err: io.ErrUnexpectedEOF}), database, policyWait},
		"the database shutting down":       {&pgconn.PgError{Code: "57P01"}, database, policyWait},
		"a fault of ours in the database":  {&pgconn.PgError{Code: "23505"}, "", policyAgain},
		"an association reset":             {&ul.LostError{Err: reset}, peer, policyAgain},
		"an association cut off":           {&ul.LostError{Err: io.EOF}, peer, policyAgain},
		"an association forbidden":         {&ul.LostError{Err: forbidden}, peer, policyAgain},
		"an association released":          {fmt.Errorf("x: %w", dimse.ErrReleased), peer, policyAgain},
		"an association gone stale":        {&dimse.StaleError{Err: dimse.ErrReleased}, peer, policyAgain},
		"an answer cut off":                {&dimse.UnreadableError{Err: io.ErrUnexpectedEOF}, peer, policyAgain},
		"an answer malformed":              {fmt.Errorf("x: %w", &dimse.UnreadableError{Err: stream.ErrMalformed}), peer, policyAgain},
		"a server that nothing reaches":    {&ul.ConnectError{Err: reset}, away, policyWait},
		"a server that a filter forbids":   {&ul.ConnectError{Err: forbidden}, away, policyWait},
		"a source cut off while it's read": {&ul.SourceError{Err: io.ErrUnexpectedEOF}, "", policyAgain},
		"a full disk":                      {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, disk, policyPermanent},
		"a forbidden link":                 {fmt.Errorf("x: %w", &os.LinkError{Op: "rename", Err: syscall.EACCES}), disk, policyPermanent},
		"a file cut off":                   {&fs.PathError{Op: "read", Path: "x", Err: io.ErrUnexpectedEOF}, "", policyAgain},
		"plainly reset":                    {reset, "", policyAgain},
		"plainly forbidden":                {forbidden, "", policyAgain},
		"plainly cut off":                  {io.ErrUnexpectedEOF, "", policyAgain},
		"plainly too late":                 {context.DeadlineExceeded, "", policyAgain},
		"plainly a number":                 {syscall.ENOSPC, "", policyAgain},
	} {
		origin := ""
		for found, is := range map[string]bool{
			database: DatabaseTrouble(c.err) != nil, peer: PeerFailed(c.err), away: Unreachable(c.err), disk: diskFault(c.err),
		} {
			if is {
				require.Empty(t, origin, "%s: also %s", name, found)
				origin = found
			}
		}
		require.Equal(t, c.origin, origin, name)
		require.Equal(t, c.policy, policyOf(c.err), name)
	}
}

func TestFolderFaults(t *testing.T) {
	s := &folderSink{name: "research", folder: &db.Folder{Path: "/mnt/studies"}}
	for number, want := range map[syscall.Errno]policy{
		syscall.ENOSPC: policyPermanent, syscall.EROFS: policyPermanent, syscall.EACCES: policyPermanent, syscall.ENOENT: policyWait, syscall.ESTALE: policyWait,
		syscall.EIO: policyAgain,
	} {
		err := s.failed("a file can't be written", errors.Join(&fs.PathError{Op: "openat", Path: "adit_1/PATIENT/x.dcm.part", Err: number}, nil))
		require.Equal(t, want, policyOf(err), number)
		require.Contains(t, err.Error(), "a file can't be written in the folder research: "+number.Error())
		require.NotContains(t, err.Error(), "PATIENT")
	}
	lost := s.failed("a file can't be written", &ul.LostError{Err: syscall.EPERM})
	require.Equal(t, policyAgain, policyOf(lost), "the source's fault, not the folder's")
	require.NotContains(t, lost.Error(), s.folder.Path)
	away := s.failed("a file can't be written", &db.LostError{Err: io.ErrUnexpectedEOF})
	require.Equal(t, policyWait, policyOf(away), "the database's fault, not the folder's")
}
