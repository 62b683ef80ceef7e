// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/people"
)

// TestFaultKind: each error that ends a run is of one kind, and the same numbers of the system are not taken for each
// other's.
func TestFaultKind(t *testing.T) {
	refusedConnection := &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}
	for name, tt := range map[string]struct {
		err  error
		want string
	}{
		"nobody listens":      {&ul.ConnectError{Err: refusedConnection}, faultDown},
		"TLS":                 {&ul.ConnectError{Err: errors.New("bad certificate"), Settings: true}, faultRefused},
		"A700":                {&dimse.StatusError{Status: 0xA700}, faultFull},
		"says that it's full": {Full("no room"), faultFull},
		"another status":      {&dimse.StatusError{Status: 0x0122}, faultRefused},
		"broke off":           {&ul.LostError{}, faultBroken},
		"no answer":           {&ul.TimeoutError{}, faultBroken},
		"no room on a disk":   {&fs.PathError{Err: syscall.ENOSPC}, faultDisk},
		"no room, not a file": {fmt.Errorf("socket: %w", syscall.ENOSPC), faultOther},
		"a quota":             {&NoRoom{errors.New("used up")}, faultQuota},
		"a right":             {&people.Denied{Reason: "no"}, faultDenied},
		"turned away":         {&Fault{Policy: PolicyAgain, Err: errors.New("called"), Barred: true}, faultBarred},
		"offline":             {&Fault{Policy: PolicyWait, Err: errors.New("offline"), Unavailable: true}, faultUnavailable},
		"anything":            {errors.New("anything"), faultOther},
	} {
		require.Equal(t, tt.want, Kind(tt.err), name)
		require.Equal(t, tt.want, Kind(fmt.Errorf("while trying: %w", tt.err)), name)
		require.Equal(t, tt.want, Kind(&AtDestination{tt.err}), name)
		require.True(t, slices.Contains(Kinds, tt.want))
	}
}
