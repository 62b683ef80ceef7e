// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"net"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/test/process"
)

// TestTransferFromWebServer: what was added as a PACS is a web server, which answers what it doesn't understand as such
// servers do. The job fails at once and says so, and the server lives on.
func TestTransferFromWebServer(t *testing.T) {
	web, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer web.Close()
	go func() {
		for {
			c, err := web.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1))
			_, _ = c.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
			_ = c.Close()
		}
	}()
	s := process.Serve(t, filepath.Join(t.TempDir(), "data"))
	port := strconv.Itoa(web.Addr().(*net.TCPAddr).Port)
	out, code := s.Adit(
		"node", "add", "server", "web", "--ae-title", "WEB", "--host",
		"127.0.0.1", "--port", port, "--supports", "find,get,store",
	)
	require.Zero(t, code, out)
	folder := t.TempDir()
	out, code = s.Adit("node", "add", "folder", "disk", "--path", folder)
	require.Zero(t, code, out)

	for _, c := range []struct {
		args []string
		code int
	}{
		{[]string{"transfer", "--source", "web", "--destination", "disk", "--study", "1.2.3", "--wait", "--give-up-after", "1s"}, 4},
		{[]string{"node", "check", "web"}, 1},
		{[]string{"search", "--source", "web", "--patient-id", "X"}, 1},
	} {
		out, code = s.Adit(c.args...)
		require.Contains(t, out, "does not speak DICOM (it sent HTTP); check host and port", c.args)
		require.Equal(t, c.code, code, c.args)
	}
	out, code = s.Adit("job", "list")
	require.Zero(t, code, out)
	require.Contains(t, out, "canceled")
}
