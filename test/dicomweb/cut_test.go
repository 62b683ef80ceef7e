// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomweb

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/web/media"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/process"
)

// client gives up what stands still, so that a test ends.
var client = &http.Client{Timeout: process.Deadline}

// cutter passes connections on, and cuts each after another number of bytes of the answer's body. Within the headers
// Python's clients take whatever came for all of them, and for an answer without a body, which nobody can change;
// headers go out in one piece.
func cutter(t *testing.T, to string, most int64) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	seed := rand.New(rand.NewPCG(4714, 1))
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			limit := seed.Int64N(most)
			all.Go(func() { passOn(c, to, limit) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

// passOn passes a connection on until so many bytes of a body have come back. It ends as a connection does whose other
// end was closed in order: what is reset is told by anybody.
func passOn(c net.Conn, to string, limit int64) {
	defer func() { _ = c.Close() }()
	peer, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = peer.Close() }()
	var there sync.WaitGroup
	there.Go(func() {
		_, _ = io.Copy(peer, c)
		_ = peer.(*net.TCPConn).CloseWrite()
	})
	back := bufio.NewReader(peer)
	for line := ""; line != "\r\n"; {
		if line, err = back.ReadString('\n'); err != nil {
			break
		}
		_, _ = io.WriteString(c, line)
	}
	_, _ = io.CopyN(c, back, limit)
	_ = c.(*net.TCPConn).CloseWrite()
	_ = peer.Close()
	_ = c.(*net.TCPConn).CloseRead()
	there.Wait()
}

// series is one that is retrieved again and again.
type series struct {
	path  string // below the address of ADIT
	count int    // of its instances
	size  int64  // bytes of the answer
	sum   string // of the answer, with "-" for its boundary
}

// oneSeries retrieves the series once.
func (w *world) oneSeries(t *testing.T) series {
	t.Helper()
	st := studies()[0]
	s := series{
		path:  "/dicom-web/" + dcmtk + "/studies/" + st.StudyInstanceUID + "/series/" + st.Series[0].SeriesInstanceUID,
		count: len(st.Series[0].Instances),
	}
	body, sum, err := w.fetch(t, w.URL+s.path)
	require.NoError(t, err)
	s.size, s.sum = body, sum
	return s
}

// fetch retrieves by Go's client.
func (w *world) fetch(t *testing.T, at string) (size int64, sum string, err error) {
	t.Helper()
	return w.fetchBy(t, client, at)
}

func (w *world) fetchBy(t *testing.T, client *http.Client, at string) (size int64, sum string, err error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at, http.NoBody)
	require.NoError(t, err)
	r.Header.Set("Authorization", "Token "+w.token)
	r.Close = true
	got, err := client.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = got.Body.Close() }()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return 0, "", err
	}
	if got.StatusCode != http.StatusOK {
		return 0, "", fmt.Errorf("%s: %s", got.Status, body)
	}
	kind, err := media.Parse(got.Header.Get("Content-Type"))
	require.NoError(t, err)
	same := sha256.Sum256(bytes.ReplaceAll(body, []byte(kind.Param("boundary")), []byte("-")))
	return int64(len(body)), hex.EncodeToString(same[:]), nil
}

// TestCutAnswers: no client takes a part of an answer for the whole, wherever the connection ends.
func TestCutAnswers(t *testing.T) {
	python, times := testpeer.Python(t, "dicomweb"), 200
	if testing.Short() {
		times = 20
	}
	w := newWorld(t, []string{dcmtk})
	want := w.oneSeries(t)
	at := "http://" + cutter(t, strings.TrimPrefix(w.URL, "http://"), want.size+2000) + want.path
	do := w.task(t, dcmtk)
	do.More = map[string]any{"at": at, "times": times, "want": want.sum, "count": want.count}
	t.Run("Python", func(t *testing.T) { run(t, do, python, "cut.py") })
	t.Run("fetch", func(t *testing.T) { run(t, do, "node", "node/cut.mjs") })
	t.Run("Go", func(t *testing.T) {
		whole := 0
		for range times {
			if _, sum, err := w.fetch(t, at); err == nil {
				require.Equal(t, want.sum, sum)
				whole++
			}
		}
		require.Less(t, whole, times)
	})
	t.Run("curl", func(t *testing.T) {
		for range times / 4 {
			size, code := w.curl(t, at)
			require.True(t, code != 0 || size == want.size, "%d of %d bytes were taken for all", size, want.size)
		}
	})
}

// curl retrieves by curl.
func (w *world) curl(t *testing.T, at string, args ...string) (size int64, code int) {
	t.Helper()
	to := filepath.Join(t.TempDir(), "answer")
	_, code = testpeer.Run(
		t, nil, "curl", append(args, "-sS", "-f", "-o", to, "-H", "Authorization: Token "+w.token, at)...,
	)
	if i, err := os.Stat(to); err == nil {
		size = i.Size()
	}
	return size, code
}

// breakingOff starts a PACS that closes the connection in the middle of a series, which ADIT knows as BREAKS.
func (w *world) breakingOff(t *testing.T) (path string) {
	t.Helper()
	spec := phantom.DemoStudies()[0].Spec
	spec.Series = []phantom.SeriesSpec{
		{Kind: phantom.CT, Instances: 2, Rows: 512, Columns: 512}, {Kind: phantom.MR, Instances: 2, Rows: 512, Columns: 512},
	}
	st := phantom.New(9300, spec)
	p, err := pacs.Start(pacs.Config{AETitle: "BREAKS", Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{
		Get: pacs.GetFaults{Refuse: []string{st.Series[1].Instances[1].SOPInstanceUID}},
	}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	w.addServer(t, "BREAKS", p.Port())
	return "/dicom-web/BREAKS/studies/" + st.StudyInstanceUID
}

// TestNginx: through nginx, with the settings that we ship, answers come whole, and one that breaks off is one that
// failed. By HTTP/1.0, at which nobody could tell, nothing is streamed.
func TestNginx(t *testing.T) {
	w := newWorld(t, []string{dcmtk}, "--trusted-proxies", "127.0.0.1")
	want, broken := w.oneSeries(t), w.breakingOff(t)
	shipped := nginx(t, w.URL, nil)
	_, sum, err := w.fetch(t, shipped+want.path)
	require.NoError(t, err)
	require.Equal(t, want.sum, sum)
	for range 5 {
		_, _, err = w.fetch(t, shipped+broken)
		require.Error(t, err)
		_, code := w.curl(t, shipped+broken)
		require.NotZero(t, code)
	}
	require.Equal(t, http.StatusSwitchingProtocols, w.live(t, client, shipped))
	old := nginx(t, w.URL, func(conf string) string {
		return strings.Replace(conf, "proxy_http_version 1.1;", "", 1)
	})
	_, _, err = w.fetch(t, old+want.path)
	require.ErrorContains(t, err, "505")
	require.ErrorContains(t, err, "proxy_http_version 1.1")
	size, code := w.curl(t, w.URL+want.path, "--http1.0")
	require.NotZero(t, code)
	require.Zero(t, size)
}

// live opens live events, and returns the status.
func (w *world) live(t *testing.T, client *http.Client, at string) int {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, at+"/api/v1/live", http.NoBody)
	require.NoError(t, err)
	for name, value := range map[string]string{
		"Authorization": "Token " + w.token, "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
		"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
	} {
		r.Header.Set(name, value)
	}
	got, err := client.Do(r)
	require.NoError(t, err)
	require.NoError(t, got.Body.Close())
	return got.StatusCode
}

// TestCaddy: so it is with Caddy, by HTTP/1.1 and HTTP/2.
func TestCaddy(t *testing.T) {
	w := newWorld(t, []string{dcmtk}, "--trusted-proxies", "127.0.0.1")
	want, broken := w.oneSeries(t), w.breakingOff(t)
	at, ca := caddy(t, w.URL)
	for name, http2 := range map[string]bool{"--http1.1": false, "--http2": true} {
		t.Run(name, func(t *testing.T) {
			client := trusting(t, ca, http2)
			_, sum, err := w.fetchBy(t, client, at+want.path)
			require.NoError(t, err)
			require.Equal(t, want.sum, sum)
			for range 5 {
				_, _, err = w.fetchBy(t, client, at+broken)
				require.Error(t, err)
				_, code := w.curl(t, at+broken, name, "--cacert", ca)
				require.NotZero(t, code)
			}
		})
	}
	require.Equal(t, http.StatusSwitchingProtocols, w.live(t, trusting(t, ca, false), at))
}

// trusting returns a client that trusts a CA, and speaks HTTP/1.1, or HTTP/2 as well.
func trusting(t *testing.T, ca string, http2 bool) *http.Client {
	t.Helper()
	text, err := os.ReadFile(ca)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	require.True(t, roots.AppendCertsFromPEM(text))
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: http2}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Timeout: process.Deadline, Transport: transport}
}

// caddy starts one before ADIT, with the settings that we ship. ca is the file of who signed its certificate.
func caddy(t *testing.T, adit string) (url, ca string) {
	t.Helper()
	program := testpeer.PythonProgram(t, "dicomweb", "caddy")
	text, err := os.ReadFile("../../deploy/proxies/Caddyfile")
	require.NoError(t, err)
	dir, port := t.TempDir(), testpeer.Port(t)
	authority := testpeer.NewAuthority(t)
	own := authority.Issue(t, "localhost")
	conf := string(text)
	for _, change := range [][2]string{
		{"\nadit.example.org {\n", fmt.Sprintf("\nhttps://localhost:%d {\n\tbind 127.0.0.1\n", port)},
		{
			"\t#tls /etc/ssl/adit.example.org.pem /etc/ssl/adit.example.org.key\n",
			"\ttls " + own.CertificateFile + " " + own.KeyFile + "\n",
		},
		{"reverse_proxy 127.0.0.1:8080 {", "reverse_proxy " + strings.TrimPrefix(adit, "http://") + " {"},
	} {
		require.Contains(t, conf, change[0])
		conf = strings.Replace(conf, change[0], change[1], 1)
	}
	conf = fmt.Sprintf("{\n\tadmin off\n\tauto_https disable_redirects\n\tstorage file_system %s\n}\n%s", dir, conf)
	file := filepath.Join(dir, "Caddyfile")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o600))
	testpeer.Start(t, []string{"HOME=" + dir}, port, program, "run", "--adapter", "caddyfile", "--config", file)
	return fmt.Sprintf("https://localhost:%d", port), authority.File
}

// What the shipped settings leave to the site.
var (
	ofSite   = regexp.MustCompile(`(?m)^    (listen|ssl_certificate|ssl_certificate_key|server_name) .*\n`)
	upstream = regexp.MustCompile(`server 127\.0\.0\.1:8080;`)
)

// nginx starts one before ADIT, with the settings that we ship, after change.
func nginx(t *testing.T, adit string, change func(string) string) (url string) {
	t.Helper()
	text, err := os.ReadFile("../../deploy/proxies/nginx.conf")
	require.NoError(t, err)
	dir, port := t.TempDir(), testpeer.Port(t)
	require.Regexp(t, upstream, string(text))
	conf := upstream.ReplaceAllString(string(text), "server "+strings.TrimPrefix(adit, "http://")+";")
	conf = ofSite.ReplaceAllString(conf, "")
	conf = strings.Replace(conf, "server {\n", fmt.Sprintf("server {\n    listen 127.0.0.1:%d;\n", port), 1)
	if change != nil {
		require.NotEqual(t, conf, change(conf))
		conf = change(conf)
	}
	conf = fmt.Sprintf(`daemon off; master_process off; error_log stderr; pid %[1]s/pid; events {}
http {
access_log off; client_body_temp_path %[1]s/1; proxy_temp_path %[1]s/2; fastcgi_temp_path %[1]s/3;
uwsgi_temp_path %[1]s/4; scgi_temp_path %[1]s/5;
%[2]s
}
`, dir, conf)
	file := filepath.Join(dir, "nginx.conf")
	require.NoError(t, os.WriteFile(file, []byte(conf), 0o600))
	testpeer.Start(t, nil, port, "nginx", "-p", dir, "-c", file)
	return fmt.Sprintf("http://127.0.0.1:%d", port)
}
