// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/dicom/web"
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
		"busy":                {&web.StatusError{Code: 503}, faultFull},
		"wrong password":      {&web.StatusError{Code: 401}, faultRefused},
		"not offered":         {&web.StatusError{Code: 404}, faultRefused},
		"sent elsewhere":      {&web.RedirectError{To: "https://other"}, faultRefused},
		"no token now":        {&web.TokenError{Transient: true}, faultDown},
		"a login page":        {&web.AnswerError{What: "it is a web page"}, faultBroken},
		"no whole answer":     {&web.BrokenError{Err: io.ErrUnexpectedEOF}, faultBroken},
		"anything":            {errors.New("anything"), faultOther},
	} {
		require.Equal(t, tt.want, Kind(tt.err), name)
		require.Equal(t, tt.want, Kind(fmt.Errorf("while trying: %w", tt.err)), name)
		require.Equal(t, tt.want, Kind(&AtDestination{tt.err}), name)
		require.True(t, slices.Contains(Kinds, tt.want))
	}
}

// TestAskedToWait: a time that a server names counts where it has too much to do or has failed, and up to an hour.
func TestAskedToWait(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want time.Duration
	}{
		"busy":          {&web.StatusError{Code: 503, RetryAfter: time.Minute}, time.Minute},
		"too many":      {&web.StatusError{Code: 429, RetryAfter: time.Second}, time.Second},
		"a proxy":       {&web.StatusError{Code: 502, RetryAfter: time.Minute}, time.Minute},
		"tomorrow":      {&web.StatusError{Code: 503, RetryAfter: 24 * time.Hour}, time.Hour},
		"no time":       {&web.StatusError{Code: 503}, 0},
		"never":         {&web.StatusError{Code: 404, RetryAfter: time.Minute}, 0},
		"another error": {&dimse.StatusError{Status: 0xA700}, 0},
		"none":          {nil, 0},
	} {
		require.Equal(t, tt.want, AskedToWait(tt.err), name)
		if tt.err != nil {
			require.Equal(t, tt.want, AskedToWait(&AtDestination{fmt.Errorf("while trying: %w", tt.err)}), name)
		}
	}
}
