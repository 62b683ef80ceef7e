// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"errors"
	"fmt"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/evidence"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/retrieve"
)

// TestLeaveOut: under a pseudonym an instance that came whole and can't be parsed is left out and named; one that was
// cut off may come whole another time.
func TestLeaveOut(t *testing.T) {
	cut := fmt.Errorf("cut: %w", errors.Join(stream.ErrMalformed, io.ErrUnexpectedEOF))
	for name, c := range map[string]struct {
		pseudonym string
		err       error
		want      bool
	}{
		"malformed":              {"P", fmt.Errorf("instance: %w", stream.ErrMalformed), true},
		"too large":              {"P", stream.ErrTooLarge, true},
		"cut off":                {"P", cut, false},
		"not pseudonymized":      {"", stream.ErrMalformed, false},
		"refused by the profile": {"P", &deid.RefusedError{Reason: deid.BurnedIn}, true},
		"unsafe":                 {"P", &deid.UnsafeError{Reason: deid.Undecodable}, true},
	} {
		of := &retrieve.Task{Instances: evidence.NewInstances("1.1", nil), Progress: &lease.Progress{}}
		r := &deidentification{Task: of, session: &deid.Session{}, pseudonym: c.pseudonym}
		require.Equal(t, c.want, r.leaveOut("1.2", "1.3", c.err), name)
		require.Equal(t, c.want, len(r.Instances.Summary.LeftOuts()) == 1, name)
	}
}
