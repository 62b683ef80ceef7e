// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/testpeer"
)

// newCA makes a CA.
func newCA(t *testing.T) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "ca")
	require.NoError(t, InitCA(dir))
	return dir
}

// newMember issues a certificate.
func newMember(t *testing.T, caDir, name string) (dir string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), name)
	require.NoError(t, Issue(caDir, name, dir, 0))
	return dir
}

func in(dir string) (caFile, certFile, keyFile string) {
	return filepath.Join(dir, CAFile), filepath.Join(dir, CertFile), filepath.Join(dir, KeyFile)
}

// open opens what is in a directory, and looks for changes at each handshake.
func open(t *testing.T, dir string) *Certificates {
	t.Helper()
	c, err := OpenCertificates(in(dir))
	require.NoError(t, err)
	c.every = 0
	return c
}

// listen takes calls until the test ends, and answers each with what it got.
func listen(t *testing.T, cfg *tls.Config) string {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
	require.NoError(t, err)
	ended := make(chan struct{})
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		<-ended
	})
	go func() {
		defer close(ended)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				io.Copy(conn, conn)
			}()
		}
	}()
	return l.Addr().String()
}

// call sends a few bytes and returns the certificate of who sent them back.
func call(addr string, cfg *tls.Config) (*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", addr, cfg)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("hello")); err != nil {
		return nil, err
	}
	if _, err := io.ReadFull(conn, make([]byte, 5)); err != nil { // a client learns only now that it was refused
		return nil, err
	}
	s := conn.ConnectionState()
	if s.DidResume || s.Version != tls.VersionTLS13 {
		return nil, fmt.Errorf("resumed: %t, version %x", s.DidResume, s.Version)
	}
	return s.PeerCertificates[0], nil
}

func TestMembersKnowEachOther(t *testing.T) {
	ca := newCA(t)
	a, b := open(t, newMember(t, ca, "one")), open(t, newMember(t, ca, "two"))
	addr := listen(t, a.ServerTLS("x", "y"))
	shown, err := call(addr, b.ClientTLS("y"))
	require.NoError(t, err)
	require.Equal(t, []string{ServerName, "one"}, shown.DNSNames)
	require.Equal(t, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}, shown.ExtKeyUsage)
	require.WithinDuration(t, time.Now().Add(DefaultValid), a.Ends(), time.Hour)

	for _, file := range []string{filepath.Join(ca, CAKeyFile), b.keyFile} {
		info, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), file)
	}
}

// TestStrangersAreRefused: on both sides, whoever is no member.
func TestStrangersAreRefused(t *testing.T) {
	ca := newCA(t)
	member, foreign := open(t, newMember(t, ca, "one")), open(t, newMember(t, newCA(t), "one"))
	addr := listen(t, member.ServerTLS())
	foreignAddr := listen(t, foreign.ServerTLS())

	_, err := call(addr, foreign.ClientTLS())
	require.ErrorContains(t, err, "not of this cluster", "the foreign one refuses the member")
	open := foreign.ClientTLS()
	open.VerifyConnection = nil
	_, err = call(addr, open)
	require.ErrorContains(t, err, "remote error: tls")
	_, err = call(foreignAddr, member.ClientTLS())
	require.ErrorContains(t, err, "not of this cluster")

	none := member.ClientTLS()
	none.GetClientCertificate = nil
	_, err = call(addr, none)
	require.ErrorContains(t, err, "certificate required")

	old := member.ClientTLS()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	_, err = call(addr, old)
	require.ErrorContains(t, err, "protocol version")

	conn, err := net.Dial("tcp", addr) // plain
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"))
	require.NoError(t, err)
	got, err := io.ReadAll(conn)
	require.NotContains(t, string(got), "PRI")
	require.Less(t, len(got), 16, "an alert at most: %q %v", got, err)
}

// TestNameIsChecked: a certificate of the cluster's CA that is for something else opens nothing, either way.
func TestNameIsChecked(t *testing.T) {
	authority := testpeer.NewAuthority(t)
	dir := func(name string) string {
		i := authority.Issue(t, name)
		dir := t.TempDir()
		for file, text := range map[string][]byte{CAFile: authority.PEM, CertFile: i.Certificate, KeyFile: i.Key} {
			require.NoError(t, os.WriteFile(filepath.Join(dir, file), text, 0o600))
		}
		return dir
	}
	_, err := OpenCertificates(in(dir("localhost")))
	require.ErrorContains(t, err, "lacks the name adit-cluster")

	member := open(t, dir(ServerName))
	_, certFile, keyFile := in(dir("localhost"))
	other, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)

	client := member.ClientTLS()
	client.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &other, nil }
	_, err = call(listen(t, member.ServerTLS()), client)
	require.ErrorContains(t, err, "remote error: tls")
	server := member.ServerTLS()
	server.GetCertificate = func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return &other, nil }
	_, err = call(listen(t, server), member.ClientTLS())
	require.ErrorContains(t, err, "not of this cluster")
}

// TestOpenRefuses: what can't be used is said before the first call, with what to do.
func TestOpenRefuses(t *testing.T) {
	ca := newCA(t)
	for name, test := range map[string]struct {
		spoil func(t *testing.T, caFile, certFile, keyFile string)
		says  []string
	}{
		"no CA": {
			func(t *testing.T, caFile, _, _ string) { require.NoError(t, os.Remove(caFile)) },
			[]string{"ca.pem", "adit cluster init-ca", "adit cluster cert"},
		},
		"no certificate": {
			func(t *testing.T, _, certFile, _ string) { require.NoError(t, os.Remove(certFile)) },
			[]string{"member.pem", "adit cluster cert"},
		},
		"no key": {
			func(t *testing.T, _, _, keyFile string) { require.NoError(t, os.Remove(keyFile)) },
			[]string{"member.key", "adit cluster cert"},
		},
		"everybody's key": {
			func(t *testing.T, _, _, keyFile string) { require.NoError(t, os.Chmod(keyFile, 0o644)) },
			[]string{"member.key holds a secret", "0644", "chmod"},
		},
		"foreign CA": {
			func(t *testing.T, caFile, _, _ string) { copyFile(t, filepath.Join(newCA(t), CAFile), caFile) },
			[]string{"not signed by a CA in", "ca.pem"},
		},
		"another's key": {func(t *testing.T, _, _, keyFile string) {
			copyFile(t, filepath.Join(newMember(t, ca, "two"), KeyFile), keyFile)
		}, []string{"no certificate with its key", "adit cluster cert"}},
		"no PEM":    {func(t *testing.T, caFile, _, _ string) { require.NoError(t, os.WriteFile(caFile, nil, 0o600)) }, []string{"holds no certificate"}},
		"half PEM":  {func(t *testing.T, caFile, _, _ string) { halve(t, caFile) }, []string{"ca.pem"}},
		"key alone": {func(t *testing.T, _, certFile, keyFile string) { copyFile(t, keyFile, certFile) }, []string{"member.pem holds no certificate"}},
		"a CA is no member": {func(t *testing.T, _, certFile, keyFile string) {
			copyFile(t, filepath.Join(ca, CAFile), certFile)
			copyFile(t, filepath.Join(ca, CAKeyFile), keyFile)
		}, []string{"lacks the name"}},
	} {
		t.Run(name, func(t *testing.T) {
			caFile, certFile, keyFile := in(newMember(t, ca, "one"))
			test.spoil(t, caFile, certFile, keyFile)
			_, err := OpenCertificates(caFile, certFile, keyFile)
			for _, part := range test.says {
				require.ErrorContains(t, err, part)
			}
		})
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(to, text, 0o600))
}

func halve(t *testing.T, file string) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text[:len(text)/2], 0o600))
}

// TestExpired: it is refused at the start; one that ends while it is in use is refused by the others.
func TestExpired(t *testing.T) {
	authority := testpeer.NewAuthority(t)
	dir := t.TempDir()
	caFile, certFile, keyFile := in(dir)
	put := func(end time.Time) {
		i := authority.IssueUntil(t, ServerName, end)
		for file, text := range map[string][]byte{caFile: authority.PEM, certFile: i.Certificate, keyFile: i.Key} {
			require.NoError(t, os.WriteFile(file, text, 0o600))
		}
	}
	put(time.Now().Add(-time.Minute))
	_, err := OpenCertificates(caFile, certFile, keyFile)
	require.ErrorContains(t, err, "ended on")
	require.ErrorContains(t, err, "adit cluster cert")
	expired, err := tls.LoadX509KeyPair(certFile, keyFile)
	require.NoError(t, err)

	put(time.Now().Add(time.Hour))
	c := open(t, dir)
	cfg := c.ClientTLS()
	cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &expired, nil }
	_, err = call(listen(t, c.ServerTLS()), cfg)
	require.ErrorContains(t, err, "remote error: tls")

	var log testpeer.Buffer
	c.Tell(slog.New(slog.NewTextHandler(&log, nil)))
	require.Contains(t, log.String(), "ends soon")
	put(time.Now().Add(47 * time.Hour)) // the authority ends before
	require.NoError(t, c.Reload())
	require.WithinDuration(t, time.Now().Add(24*time.Hour), c.Ends(), time.Hour)
	c.Tell(slog.New(slog.NewTextHandler(&log, nil)))
	require.Equal(t, 2, strings.Count(log.String(), "ends soon"))
	c.warn() // a day later
	require.Equal(t, 3, strings.Count(log.String(), "ends soon"))
}

// TestRenewal: a listener and a caller go on, and use what was replaced; what can't be used changes nothing.
func TestRenewal(t *testing.T) {
	ca := newCA(t)
	oneDir, twoDir := newMember(t, ca, "one"), newMember(t, ca, "two")
	one, two := open(t, oneDir), open(t, twoDir)
	var log testpeer.Buffer
	one.Tell(slog.New(slog.NewTextHandler(&log, nil)))
	server, client := one.ServerTLS(), two.ClientTLS()
	addr := listen(t, server)
	first, err := call(addr, client)
	require.NoError(t, err)

	long, err := tls.Dial("tcp", addr, client)
	require.NoError(t, err)
	defer long.Close()

	require.NoError(t, Issue(ca, "one", oneDir, 90*24*time.Hour))
	second, err := call(addr, client)
	require.NoError(t, err)
	require.NotEqual(t, first.SerialNumber, second.SerialNumber)
	require.WithinDuration(t, time.Now().Add(90*24*time.Hour), one.Ends(), time.Hour)

	halve(t, one.certFile)
	for range 3 {
		third, err := call(addr, client)
		require.NoError(t, err)
		require.Equal(t, second.SerialNumber, third.SerialNumber)
	}
	require.Equal(t, 1, strings.Count(log.String(), "can't be used"), log.String())
	require.Error(t, one.Reload())
	require.NoError(t, Issue(ca, "one", oneDir, 0))
	_, err = call(addr, client)
	require.NoError(t, err)

	_, err = long.Write([]byte("hello")) // what is open stays open
	require.NoError(t, err)
	_, err = io.ReadFull(long, make([]byte, 5))
	require.NoError(t, err)
}

// TestChangeOfCA: with both CAs in each ca.pem, members go over one by one; the old one counts no longer at once.
func TestChangeOfCA(t *testing.T) {
	oldCA, nextCA := newCA(t), newCA(t)
	oneDir, twoDir := newMember(t, oldCA, "one"), newMember(t, oldCA, "two")
	one, two := open(t, oneDir), open(t, twoDir)
	addr, client := listen(t, one.ServerTLS()), two.ClientTLS()
	require.ErrorContains(t, Issue(nextCA, "one", oneDir, 0), "must hold both")

	for _, dir := range []string{oneDir, twoDir} {
		var both []byte
		for _, ca := range []string{oldCA, nextCA} {
			text, err := os.ReadFile(filepath.Join(ca, CAFile))
			require.NoError(t, err)
			both = append(both, text...)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, CAFile), both, 0o600))
		_, err := call(addr, client)
		require.NoError(t, err)
	}
	old, err := tls.LoadX509KeyPair(two.certFile, two.keyFile)
	require.NoError(t, err)
	for _, dir := range []string{oneDir, twoDir} {
		require.NoError(t, Issue(nextCA, filepath.Base(dir), dir, 0))
		_, err := call(addr, client)
		require.NoError(t, err)
	}
	held := two.ClientTLS()
	held.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &old, nil }
	held.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	_, err = call(addr, held)
	require.NoError(t, err)
	for _, dir := range []string{oneDir, twoDir} {
		copyFile(t, filepath.Join(nextCA, CAFile), filepath.Join(dir, CAFile))
	}
	_, err = call(addr, client)
	require.NoError(t, err)
	_, err = call(addr, held)
	require.ErrorContains(t, err, "remote error: tls")
}

func TestCAIsNeverReplaced(t *testing.T) {
	ca := newCA(t)
	before, err := os.ReadFile(filepath.Join(ca, CAKeyFile))
	require.NoError(t, err)
	require.ErrorContains(t, InitCA(ca), "exists")
	require.NoError(t, os.Remove(filepath.Join(ca, CAKeyFile)))
	require.ErrorContains(t, InitCA(ca), "exists", "a certificate without its key, which may be elsewhere")
	require.NoError(t, os.WriteFile(filepath.Join(ca, CAKeyFile), before, 0o644))
	require.ErrorContains(t, Issue(ca, "one", t.TempDir(), 0), "other users")
}

func TestIssueRefuses(t *testing.T) {
	ca := newCA(t)
	for _, name := range []string{"", "a b", "-a", "a/b", "ä", "a:1", strings.Repeat("a", 254)} {
		require.ErrorContains(t, Issue(ca, name, t.TempDir(), 0), "can't be the name of a member", name)
	}
	require.ErrorContains(t, Issue(t.TempDir(), "one", t.TempDir(), 0), "adit cluster init-ca")
	copyFile(t, filepath.Join(newCA(t), CAKeyFile), filepath.Join(ca, CAKeyFile))
	require.ErrorContains(t, Issue(ca, "one", t.TempDir(), 0), "not the key")

	long := newCA(t)
	dir := t.TempDir()
	require.NoError(t, Issue(long, ServerName, dir, 50*365*24*time.Hour))
	c := open(t, dir)
	require.WithinDuration(t, time.Now().AddDate(caYears, 0, 0), c.Ends(), time.Hour, "no longer than its CA")
	require.Equal(t, []string{ServerName}, c.now().pair.Leaf.DNSNames)
}
