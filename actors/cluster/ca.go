// SPDX-License-Identifier: AGPL-3.0-or-later

// Package cluster is what members of a cluster use to reach each other.
package cluster

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/adit-go/adit/internal/files"
)

// ServerName is in the certificate of every member: who calls one expects it, and so does who is called.
const ServerName = "adit-cluster"

// The files of a CA, and those of a member.
const (
	CAFile    = "ca.pem"
	CAKeyFile = "ca.key"
	CertFile  = "member.pem"
	KeyFile   = "member.key"
)

const (
	caYears = 10
	// DefaultValid is how long a member's certificate is valid unless somebody says otherwise.
	DefaultValid = 365 * 24 * time.Hour
	// early is how long before now a certificate begins: clocks of machines differ.
	early = time.Hour
)

// InitCA makes the cluster's own CA in a directory: its certificate and its key.
func InitCA(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	certFile, keyFile := filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile)
	for _, file := range []string{keyFile, certFile} {
		if _, err := os.Lstat(file); err == nil {
			return fmt.Errorf(
				"%s exists, and is left as it is: members with certificates of another CA could not talk to each other; "+
					"name an empty directory for a new one", file,
			)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "ADIT cluster CA, " + now.UTC().Format(time.DateOnly)},
		NotBefore: now.Add(-early), NotAfter: now.AddDate(caYears, 0, 0),
		IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	return writePair(certFile, keyFile, der, key)
}

// memberName is what a DNS name of a certificate may be, as far as host names go.
var memberName = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)

// Issue makes a member's certificate and key in a directory, signed by the CA of another one; those that are there are
// replaced. The CA's certificate is copied beside them. Valid: 0 is DefaultValid.
func Issue(caDir, name, outDir string, valid time.Duration) error {
	if !memberName.MatchString(name) {
		return fmt.Errorf(
			"%q can't be the name of a member: use its host name, or letters, digits, \".\", \"-\" and \"_\"", name,
		)
	}
	ca, err := openCA(caDir)
	if err != nil {
		return err
	}
	now := time.Now()
	if valid <= 0 {
		valid = DefaultValid
	}
	end := now.Add(valid)
	if end.After(ca.Leaf.NotAfter) {
		end = ca.Leaf.NotAfter // it would be worth nothing after that
	}
	if now.After(end) {
		return fmt.Errorf(
			"the CA in %s ended on %s; make a new one with \"adit cluster init-ca\" in another directory",
			caDir, end.Format(time.DateOnly),
		)
	}
	if err := os.MkdirAll(outDir, 0o700); err != nil {
		return err
	}
	if err := bringCA(ca.Leaf, caDir, outDir); err != nil {
		return err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: name},
		DNSNames:  slices.Compact([]string{ServerName, name}),
		NotBefore: now.Add(-early), NotAfter: end, BasicConstraintsValid: true,
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, ca.Leaf, &key.PublicKey, ca.PrivateKey)
	if err != nil {
		return err
	}
	return writePair(filepath.Join(outDir, CertFile), filepath.Join(outDir, KeyFile), der, key)
}

// openCA reads a CA. Its file of certificates may hold another one beside its own, while one CA follows another.
func openCA(dir string) (*tls.Certificate, error) {
	certFile, keyFile := filepath.Join(dir, CAFile), filepath.Join(dir, CAKeyFile)
	if err := files.CheckSecretFile(keyFile); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf(
			"there is no CA in %s (no file %s); make one with \"adit cluster init-ca\", or name its directory", dir, CAKeyFile,
		)
	} else if err != nil {
		return nil, err
	}
	keyPEM, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, err
	}
	all, err := readCertificates(certFile)
	if err != nil {
		return nil, err
	}
	for _, cert := range all {
		pair, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: cert.Raw}), keyPEM)
		if err == nil && cert.IsCA {
			return &pair, nil
		}
	}
	return nil, fmt.Errorf("%s is not the key of any CA in %s; both must be as \"adit cluster init-ca\" made them",
		keyFile, certFile)
}

// bringCA puts the CA's certificate beside those that it issues. What a member believes is never taken away from it:
// a file that names other CAs needs a person.
func bringCA(ca *x509.Certificate, caDir, outDir string) error {
	to := filepath.Join(outDir, CAFile)
	there, err := readCertificates(to)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		text, err := os.ReadFile(filepath.Join(caDir, CAFile))
		if err != nil {
			return err
		}
		return files.WritePrivate(to, string(text))
	case err != nil:
		return err
	case !slices.ContainsFunc(there, ca.Equal):
		return fmt.Errorf(
			"%s holds another CA; while members change from one CA to the other, this file must hold both, one after "+
				"the other, on each of them: add the content of %s to it first",
			to, filepath.Join(caDir, CAFile),
		)
	}
	return nil
}

// certBlock is the kind of a PEM block.
const certBlock = "CERTIFICATE"

// writePair writes a key before its certificate: who finds the certificate finds the key.
func writePair(certFile, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	b, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b})
	if err := files.WritePrivate(keyFile, string(text)); err != nil {
		return err
	}
	return files.WritePrivate(certFile, string(pem.EncodeToMemory(&pem.Block{Type: certBlock, Bytes: der})))
}

func serial() *big.Int {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	b[0] &= 0x7f        // it is positive
	return new(big.Int).SetBytes(b)
}
