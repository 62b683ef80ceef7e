// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// OrthancServer is a running Orthanc.
type OrthancServer struct {
	*Process
	URL string // of its REST interface, without a trailing slash
	Dir string // its storage
}

// Orthanc starts Orthanc with AE title ORTHANC, open to all callers, without plug-ins and compression. settings are
// put over these.
func Orthanc(t testing.TB, env []string, settings map[string]any) *OrthancServer {
	t.Helper()
	dir := t.TempDir()
	port, http := Port(t), Port(t)
	config := map[string]any{
		"Name": "ORTHANC", "DicomAet": "ORTHANC", "DicomPort": port, "HttpPort": http,
		"RemoteAccessAllowed": true, "AuthenticationEnabled": false,
		"StorageDirectory": filepath.Join(dir, "db"), "IndexDirectory": filepath.Join(dir, "db"),
		"StorageCompression": false, "Plugins": []string{}, "DicomCheckCalledAet": false,
		"DicomAlwaysAllowEcho": true, "DicomAlwaysAllowFind": true, "DicomAlwaysAllowGet": true,
		"DicomAlwaysAllowMove": true, "DicomAlwaysAllowStore": true, "UnknownSopClassAccepted": true,
		"DicomThreadsCount": 4,
	}
	maps.Copy(config, settings)
	b, err := json.Marshal(config)
	require.NoError(t, err)
	file := filepath.Join(dir, "orthanc.json")
	require.NoError(t, os.WriteFile(file, b, 0o600))
	// It opens the HTTP listener last.
	p := Start(t, env, http, "Orthanc", file)
	p.Port, p.Addr = port, net.JoinHostPort("127.0.0.1", fmt.Sprint(port))
	return &OrthancServer{Process: p, URL: fmt.Sprintf("http://127.0.0.1:%d", http), Dir: filepath.Join(dir, "db")}
}
