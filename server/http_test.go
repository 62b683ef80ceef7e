// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// TestHTTPS: a certificate and the log level are read anew on SIGHUP while the server runs, and what can't be read
// changes nothing.
func TestHTTPS(t *testing.T) {
	authority := testpeer.NewAuthority(t)
	dir := t.TempDir()
	certFile, keyFile, levelFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem"),
		filepath.Join(dir, "level")
	install := func(cert, key []byte) {
		require.NoError(t, os.WriteFile(certFile, cert, 0o600))
		require.NoError(t, os.WriteFile(keyFile, key, 0o600))
	}
	first, second := authority.Issue(t, "localhost"), authority.Issue(t, "localhost")
	install(first.Certificate, first.Key)
	s := process.Serve(
		t, filepath.Join(dir, "data"), "--database-url", dbtest.URL(t),
		"--tls-cert", certFile, "--tls-key", keyFile, "--log-level-file", levelFile,
	)
	require.Contains(t, s.URL, "https://")
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(authority.PEM))
	get := func(path string) (*http.Response, error) {
		c := &http.Client{Transport: &http.Transport{
			DisableKeepAlives: true, ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: roots},
		}, Timeout: process.Deadline}
		resp, err := c.Get(s.URL + path)
		if err == nil {
			err = resp.Body.Close()
		}
		return resp, err
	}
	serial := func() string {
		resp, err := get("/healthz")
		require.NoError(t, err)
		return resp.TLS.PeerCertificates[0].SerialNumber.String()
	}
	resp, err := get("/readyz")
	require.NoError(t, err)
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "max-age=31536000", resp.Header.Get("Strict-Transport-Security"))
	require.Equal(t, uint16(tls.VersionTLS13), resp.TLS.Version)
	require.Equal(t, 2, resp.ProtoMajor)
	require.NotContains(t, s.Stderr.String(), "without TLS")

	// What is old or weak is refused.
	addr := strings.TrimPrefix(s.URL, "https://")
	for name, cfg := range map[string]*tls.Config{
		"TLS 1.1": {MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11},
		"CBC":     {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA}},
		"RSA":     {MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{tls.TLS_RSA_WITH_AES_128_GCM_SHA256}},
	} {
		cfg.RootCAs = roots
		_, err := tls.Dial("tcp", addr, cfg)
		require.Error(t, err, name)
	}
	conn, err := tls.Dial("tcp", addr, &tls.Config{RootCAs: roots, MaxVersion: tls.VersionTLS12})
	require.NoError(t, err)
	require.NoError(t, conn.Close())

	before := serial()
	reload := func(said string) {
		t.Helper()
		require.NoError(t, s.Cmd.Process.Signal(syscall.SIGHUP))
		process.Await(t, said, func() bool { return strings.Contains(s.Stderr.String(), said) })
	}
	install([]byte("no certificate"), first.Key)
	reload("the previous one stays in use")
	require.Equal(t, before, serial())
	install(second.Certificate, second.Key)
	require.NotContains(t, s.Stderr.String(), `"route":"/healthz"`)
	require.NoError(t, os.WriteFile(levelFile, []byte("debug\n"), 0o600))
	reload(`"log_level":"DEBUG"`)
	require.NotEqual(t, before, serial())
	process.Await(t, "debug logging", func() bool { return strings.Contains(s.Stderr.String(), `"route":"/healthz"`) })
	require.NoError(t, os.WriteFile(levelFile, []byte("loud\n"), 0o600))
	reload("the log level did not change")

	// The client finds the authority where Go programs look for it.
	path, err := exec.LookPath("adit")
	require.NoError(t, err)
	cmd := exec.Command(path, "job", "list")
	cmd.Env = append(os.Environ(), "ADIT_URL="+s.URL, "ADIT_DATA_DIR="+s.DataDir, "SSL_CERT_FILE="+authority.File)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
}

// metricsOfDocs returns the metrics in docs/metrics.md that have values before anything was done.
func metricsOfDocs(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("../docs/metrics.md")
	require.NoError(t, err)
	for _, row := range regexp.MustCompile(`(?m)^\| `+"`(adit_[a-z_]+)`"+
		` \| [a-z]+ \| ((reason|kind)?) \|`).FindAllStringSubmatch(string(text), -1) {
		// they come later
		if row[1] != "adit_clean_up_timestamp_seconds" && row[1] != "adit_disks_checked_timestamp_seconds" {
			names = append(names, row[1])
		}
	}
	require.Greater(t, len(names), 10)
	return names
}

// TestAdminListener: metrics and profiles are found in the data directory, and nowhere else.
func TestAdminListener(t *testing.T) {
	// A socket's path must be short, and t.TempDir's is not.
	dir, err := os.MkdirTemp("", "adit-") //nolint:usetesting // see above
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	dir = filepath.Join(dir, "data")
	url := dbtest.URL(t)
	for range 2 { // the second time, a socket is there that a killed server has left
		s := process.Serve(
			t, dir, "--database-url", url, "--public-url", "http://127.0.0.1/", "--trusted-proxies", "10.0.0.0/8",
		)
		socket := filepath.Join(dir, "admin.sock")
		info, err := os.Stat(socket)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		c := &http.Client{Timeout: process.Deadline, Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "unix", socket)
			},
		}}
		for path, want := range map[string]string{
			"/metrics": "adit_http_requests_running 0", "/debug/pprof/goroutine?debug=1": "goroutine profile",
		} {
			resp, err := c.Get("http://localhost" + path)
			require.NoError(t, err)
			text, err := io.ReadAll(resp.Body)
			require.NoError(t, err)
			require.NoError(t, resp.Body.Close())
			require.Contains(t, string(text), want)
			if path == "/metrics" {
				for _, name := range metricsOfDocs(t) {
					require.Contains(t, string(text), "\n"+name)
				}
			}
		}
		require.NoError(t, s.Cmd.Process.Kill())
		s.AwaitEnd()
	}
}
