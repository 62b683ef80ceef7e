// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

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
	"github.com/adit-go/adit/people"
)

// TestWhereErrorsComeFrom: the same error of the io package or of the system means something else in the database's
// connection, in a server's association and in a file, and nothing by itself.
func TestWhereErrorsComeFrom(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	// a packet filter's answer
	forbidden := &net.OpError{Op: "write", Net: "tcp", Err: os.NewSyscallError("write", syscall.EPERM)}
	const database, peer, away, disk = "the database is lost", "the peer failed", "the server is not available",
		"the disk's fault"
	for name, c := range map[string]struct {
		err    error
		origin string
		policy Policy
	}{
		"the database reset":               {&db.LostError{Err: reset}, database, PolicyWait},
		"the database's disk full":         {fmt.Errorf("1 instance: %w", &pgconn.PgError{Code: "53100"}), database, PolicyWait},
		"a lock in the database":           {Permanent("it can't be kept: %w", &pgconn.PgError{Code: "55P03"}), database, PolicyWait},
		"a slow database":                  {Again("it can't be kept: %w", &pgconn.PgError{Code: "57014"}), database, PolicyWait},
		"a read-only database":             {&pgconn.PgError{Code: "25006"}, database, PolicyWait},
		"the database cut off":             {fmt.Errorf("1 instance: %w", &db.LostError{Err: io.ErrUnexpectedEOF}), database, PolicyWait},
		"the database shutting down":       {&pgconn.PgError{Code: "57P01"}, database, PolicyWait},
		"a fault of ours in the database":  {&pgconn.PgError{Code: "23505"}, "", PolicyAgain},
		"an association reset":             {&ul.LostError{Err: reset}, peer, PolicyAgain},
		"an association cut off":           {&ul.LostError{Err: io.EOF}, peer, PolicyAgain},
		"an association forbidden":         {&ul.LostError{Err: forbidden}, peer, PolicyAgain},
		"an association released":          {fmt.Errorf("x: %w", dimse.ErrReleased), peer, PolicyAgain},
		"an association gone stale":        {&dimse.StaleError{Err: dimse.ErrReleased}, peer, PolicyAgain},
		"an answer cut off":                {&dimse.UnreadableError{Err: io.ErrUnexpectedEOF}, peer, PolicyAgain},
		"an answer malformed":              {fmt.Errorf("x: %w", &dimse.UnreadableError{Err: stream.ErrMalformed}), peer, PolicyAgain},
		"a server that nothing reaches":    {&ul.ConnectError{Err: reset}, away, PolicyWait},
		"a server that a filter forbids":   {&ul.ConnectError{Err: forbidden}, away, PolicyWait},
		"a source cut off while it's read": {&ul.SourceError{Err: io.ErrUnexpectedEOF}, "", PolicyAgain},
		"a full disk":                      {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, disk, PolicyPermanent},
		"a forbidden link":                 {fmt.Errorf("x: %w", &os.LinkError{Op: "rename", Err: syscall.EACCES}), disk, PolicyPermanent},
		"a file cut off":                   {&fs.PathError{Op: "read", Path: "x", Err: io.ErrUnexpectedEOF}, "", PolicyAgain},
		"plainly reset":                    {reset, "", PolicyAgain},
		"plainly forbidden":                {forbidden, "", PolicyAgain},
		"plainly cut off":                  {io.ErrUnexpectedEOF, "", PolicyAgain},
		"plainly too late":                 {context.DeadlineExceeded, "", PolicyAgain},
		"plainly a number":                 {syscall.ENOSPC, "", PolicyAgain},
	} {
		origin := ""
		for found, is := range map[string]bool{
			database: DatabaseTrouble(c.err) != nil, peer: PeerFailed(c.err),
			away: Unreachable(c.err), disk: DiskFault(c.err),
		} {
			if is {
				require.Empty(t, origin, "%s: also %s", name, found)
				origin = found
			}
		}
		require.Equal(t, c.origin, origin, name)
		require.Equal(t, c.policy, PolicyOf(c.err), name)
	}
}

// TestPolicies: what follows from an error.
func TestPolicies(t *testing.T) {
	transient := &ul.RejectedError{AssociateRJ: ul.AssociateRJ{
		Result: ul.RejectedTransient, Source: ul.RejectedByPresentation, Reason: ul.ReasonLocalLimit,
	}}
	unknown := &ul.RejectedError{
		AssociateRJ: ul.AssociateRJ{Result: ul.RejectedPermanent, Source: ul.RejectedByUser, Reason: ul.ReasonCalledAE},
	}
	tests := []struct {
		name string
		err  error
		want Policy
	}{
		{"nothing listens", &ul.ConnectError{}, PolicyWait},
		{"local limit exceeded", transient, PolicyWait},
		{"out of resources", &dimse.StatusError{Status: dimse.OutOfResources}, PolicyWait},
		{"database away", &pgconn.ConnectError{}, PolicyWait},
		{"unknown AE title", unknown, PolicyPermanent},
		{"speaks HTTP", &ul.NotDICOMError{Got: "HTTP"}, PolicyPermanent},
		{"no contexts", &dimse.NoContextsError{}, PolicyPermanent},
		{"query refused", &dimse.StatusError{Service: dimse.CFind, Status: dimse.DataSetMismatch}, PolicyPermanent},
		{"query failed", &dimse.StatusError{Service: dimse.CFind, Status: dimse.CannotUnderstand}, PolicyAgain},
		{"right lost", &people.Denied{}, PolicyPermanent},
		{"disk full", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, PolicyPermanent},
		{"association aborted", &ul.AbortedError{}, PolicyAgain},
		{"connection lost", &ul.LostError{Err: io.EOF}, PolicyAgain},
		{"timeout", &ul.TimeoutError{}, PolicyAgain},
		{"anything else", errors.New("?"), PolicyAgain},
		{"its own policy", Permanent("%w", &ul.ConnectError{}), PolicyPermanent},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			require.Equal(t, tt.want, PolicyOf(tt.err))
			require.Equal(t, tt.want, PolicyOf(fmt.Errorf("while trying: %w", tt.err)))
		})
	}
}
