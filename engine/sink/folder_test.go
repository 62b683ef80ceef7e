// SPDX-License-Identifier: AGPL-3.0-or-later

package sink

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/fault"
)

func TestFolderFaults(t *testing.T) {
	s := &Folder{name: "research", folder: &db.Folder{Path: "/mnt/studies"}}
	for number, want := range map[syscall.Errno]fault.Policy{
		syscall.ENOSPC: fault.PolicyPermanent, syscall.EROFS: fault.PolicyPermanent,
		syscall.EACCES: fault.PolicyPermanent, syscall.ENOENT: fault.PolicyWait, syscall.ESTALE: fault.PolicyWait,
		syscall.EIO: fault.PolicyAgain,
	} {
		err := s.failed("a file can't be written", errors.Join(
			&fs.PathError{Op: "openat", Path: "adit_1/PATIENT/x.dcm.part", Err: number}, nil,
		))
		require.Equal(t, want, fault.PolicyOf(err), number)
		require.Contains(t, err.Error(), "a file can't be written in the folder research: "+number.Error())
		require.NotContains(t, err.Error(), "PATIENT")
	}
	lost := s.failed("a file can't be written", &ul.LostError{Err: syscall.EPERM})
	require.Equal(t, fault.PolicyAgain, fault.PolicyOf(lost), "the source's fault, not the folder's")
	require.NotContains(t, lost.Error(), s.folder.Path)
	away := s.failed("a file can't be written", &db.LostError{Err: io.ErrUnexpectedEOF})
	require.Equal(t, fault.PolicyWait, fault.PolicyOf(away), "the database's fault, not the folder's")
}
