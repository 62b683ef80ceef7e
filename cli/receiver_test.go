// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReceiverCallers: who is turned away is listed with the command that allows it, which works as it is.
func TestReceiverCallers(t *testing.T) {
	s := serve(t, t.TempDir(), "--demo")
	port := dicomLine.FindStringSubmatch(s.banner)[1]
	out, code := s.adit("node", "add", "server", "PACS A's", "--ae-title", "PACSA", "--host", "10.9.9.9", "--port", "104", "--supports", "find,move")
	require.Zero(t, code, out)
	out, code = s.adit("receiver", "callers")
	require.Zero(t, code, out)
	require.Contains(t, out, "Nobody was turned away.")
	call := func() (string, int) { return s.adit("echo", "127.0.0.1", port, "--aet", "PACSA", "--aec", "ADIT") }
	out, code = call()
	require.NotZero(t, code, out)
	out, code = s.adit("receiver", "callers")
	require.Zero(t, code, out)
	const command = `adit node set 'PACS A'\''s' --add-address 127.0.0.1`
	require.Contains(t, out, "DICOM Server PACS A's called from 127.0.0.1, which is not among its addresses; "+command+" allows it")
	out, code = s.adit(append([]string{"node", "set", "PACS A's"}, strings.Fields("--add-address 127.0.0.1")...)...)
	require.Zero(t, code, out)
	out, code = call()
	require.Zero(t, code, out)
	out, code = s.adit("receiver", "callers")
	require.Zero(t, code, out)
	require.Contains(t, out, "Nobody was turned away.")
}
