// SPDX-License-Identifier: AGPL-3.0-or-later

package testpeer

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Authority signs certificates for a test.
type Authority struct {
	PEM  []byte // its own certificate
	File string // with that

	key  *rsa.PrivateKey
	cert *x509.Certificate
}

// Identity is a certificate with its key, in PEM and as files.
type Identity struct {
	Certificate, Key         []byte
	CertificateFile, KeyFile string
}

// NewAuthority makes an authority. Keys are RSA: older TLS profiles know nothing else.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: "Test Authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign,
	}
	var der []byte
	der, a.key = sign(t, template, nil)
	var err error
	a.cert, err = x509.ParseCertificate(der)
	require.NoError(t, err)
	a.PEM = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	a.File = write(t, "authority.pem", a.PEM)
	return a
}

// Issue makes a certificate for localhost, or for another host.
func (a *Authority) Issue(t testing.TB, host string) *Identity {
	t.Helper()
	return a.IssueUntil(t, host, time.Now().Add(24*time.Hour))
}

// IssueUntil makes a certificate that ends at a time, which may have passed.
func (a *Authority) IssueUntil(t testing.TB, host string, end time.Time) *Identity {
	t.Helper()
	template := &x509.Certificate{
		NotAfter: end,
		Subject:  pkix.Name{CommonName: host}, DNSNames: []string{host},
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if host == "localhost" {
		template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	der, key := sign(t, template, a)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	i := &Identity{
		Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		Key:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}),
	}
	i.CertificateFile, i.KeyFile = write(t, "cert.pem", i.Certificate), write(t, "key.pem", i.Key)
	return i
}

// sign makes a key and signs its certificate, with the key itself if there is no authority.
func sign(t testing.TB, template *x509.Certificate, by *Authority) ([]byte, *rsa.PrivateKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	template.SerialNumber, err = rand.Int(rand.Reader, big.NewInt(1<<62))
	require.NoError(t, err)
	if template.NotAfter.IsZero() {
		template.NotAfter = time.Now().Add(24 * time.Hour)
	}
	template.NotBefore = template.NotAfter.Add(-48 * time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	require.NoError(t, err)
	return der, key
}

func write(t testing.TB, name string, b []byte) string {
	t.Helper()
	f := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(f, b, 0o600))
	return f
}

// DCMTK returns the options that make a tool of DCMTK use TLS, with an identity.
func (a *Authority) DCMTK(i *Identity, more ...string) []string {
	return append([]string{"+tls", i.KeyFile, i.CertificateFile, "+cf", a.File}, more...)
}
