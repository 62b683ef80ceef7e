// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/test/process"
)

// TestReceiverCallers: who is turned away is listed with the command that allows it, which works as it is.
func TestReceiverCallers(t *testing.T) {
	s := process.ServePhantoms(t, t.TempDir())
	port := process.DICOMLine.FindStringSubmatch(s.Banner)[1]
	out, code := s.Adit(
		"node", "add", "server", "PACS A's", "--ae-title", "PACSA",
		"--host", "10.9.9.9", "--port", "104", "--supports", "find,move",
	)
	require.Zero(t, code, out)
	out, code = s.Adit("receiver", "callers")
	require.Zero(t, code, out)
	require.Contains(t, out, "The receiver has refused no caller.")
	call := func() (string, int) { return s.Adit("echo", "127.0.0.1", port, "--aet", "PACSA", "--aec", "ADIT") }
	out, code = call()
	require.NotZero(t, code, out)
	out, code = s.Adit("receiver", "callers")
	require.Zero(t, code, out)
	const command = `adit node set 'PACS A'\''s' --add-address 127.0.0.1`
	require.Contains(
		t, out, "DICOM Server PACS A's called from 127.0.0.1, which is not among its addresses; "+command+" allows it",
	)
	out, code = s.Adit(append([]string{"node", "set", "PACS A's"}, strings.Fields("--add-address 127.0.0.1")...)...)
	require.Zero(t, code, out)
	out, code = call()
	require.Zero(t, code, out)
	out, code = s.Adit("receiver", "callers")
	require.Zero(t, code, out)
	require.Contains(t, out, "The receiver has refused no caller.")
}
