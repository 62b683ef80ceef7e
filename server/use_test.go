// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/test/process"
)

// TestUseIsWrittenAtTheEnd: what was asked of a process is counted, up to its end.
func TestUseIsWrittenAtTheEnd(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	s := process.Serve(t, dir)
	for range 3 {
		out, code := s.Adit("user", "list")
		require.Zero(t, code, out)
	}
	require.NoError(t, s.Cmd.Process.Signal(syscall.SIGTERM))
	s.AwaitEnd()
	s = process.Serve(t, dir)
	out, code := s.Adit("user", "use", "admin", "--operations")
	require.Zero(t, code, out)
	require.Regexp(t, `admin +1 made at the first start +list-users +3 +0 +0 `, out)
}
