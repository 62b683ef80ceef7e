// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/adit-go/adit/internal/files"
)

// Certificates are what a member shows to the others, and by which it knows them. They follow their files: what was
// replaced counts from the next handshake on.
type Certificates struct {
	caFile, certFile, keyFile string
	every                     time.Duration // the files are looked at no more often

	current atomic.Pointer[credentials]
	log     atomic.Pointer[slog.Logger] // nil until Tell

	mu     sync.Mutex
	looked time.Time
	seen   [3]fs.FileInfo // the files as they were read last, whether they could be used or not
	remind *time.Timer    // of its end
}

// credentials are one state of the files.
type credentials struct {
	pair tls.Certificate
	cas  *x509.CertPool
	ends time.Time
}

const (
	lookEvery = time.Second
	// warnBefore is how long before its end somebody is told of it, every day.
	warnBefore = 30 * 24 * time.Hour
	aDay       = 24 * time.Hour
)

// OpenCertificates reads a member's certificate and key, and the CAs that it believes. What could not be used between
// two members is refused, with what to do.
func OpenCertificates(caFile, certFile, keyFile string) (*Certificates, error) {
	c := &Certificates{caFile: caFile, certFile: certFile, keyFile: keyFile, every: lookEvery}
	return c, c.Reload()
}

// ServerTLS is for a listener that other members call. TLS 1.3 alone, and only callers with a certificate of the
// cluster. Nothing is resumed: each connection is judged by the CAs of its time.
func (c *Certificates) ServerTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols, SessionTicketsDisabled: true,
		ClientAuth: tls.RequireAnyClientCert, // VerifyConnection judges it, by the CAs of now
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			return &c.now().pair, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error { return c.verify(s, x509.ExtKeyUsageClientAuth) },
	}
}

// ClientTLS is for calling other members.
func (c *Certificates) ClientTLS(protocols ...string) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: protocols, ServerName: ServerName,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection judges the certificate, by the CAs of now
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return &c.now().pair, nil
		},
		VerifyConnection: func(s tls.ConnectionState) error { return c.verify(s, x509.ExtKeyUsageServerAuth) },
	}
}

// verify judges the certificate of another member.
func (c *Certificates) verify(s tls.ConnectionState, usage x509.ExtKeyUsage) error {
	if len(s.PeerCertificates) == 0 {
		return errors.New("the other side shows no certificate, so it is no member of this cluster")
	}
	between := x509.NewCertPool()
	for _, cert := range s.PeerCertificates[1:] {
		between.AddCert(cert)
	}
	_, err := s.PeerCertificates[0].Verify(x509.VerifyOptions{
		Roots: c.now().cas, Intermediates: between, DNSName: ServerName, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	if err != nil {
		return fmt.Errorf("the other side's certificate is not of this cluster: %w", err)
	}
	return nil
}

// Ends is when others no longer accept this member.
func (c *Certificates) Ends() time.Time { return c.now().ends }

// Tell says which certificate is in use. From then on the log is told each day if it ends soon, and when a changed file
// is used or can't be.
func (c *Certificates) Tell(log *slog.Logger) {
	c.log.Store(log)
	if now := c.now(); time.Until(now.ends) >= warnBefore {
		log.Info("cluster certificate", "names", now.pair.Leaf.DNSNames, "ends", now.ends)
	}
	c.warn()
}

// warn says that the certificate ends soon, if it does, and comes again a day later.
func (c *Certificates) warn() {
	now, log := c.now(), c.log.Load()
	names := now.pair.Leaf.DNSNames
	switch left := time.Until(now.ends); {
	case left <= 0:
		log.Warn(
			"this member's cluster certificate has expired, and other members refuse it; "+
				"make a new one with \"adit cluster cert\", it is used without a restart",
			"names", names, "ends", now.ends, "file", c.certFile,
		)
	case left < warnBefore:
		log.Warn(
			"this member's cluster certificate ends soon; make a new one with \"adit cluster cert\", "+
				"it is used without a restart",
			"names", names, "ends", now.ends, "file", c.certFile,
		)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.remind != nil {
		c.remind.Stop()
	}
	c.remind = time.AfterFunc(aDay, c.warn)
}

// now returns what the files hold, if it can be used, else what they held before.
func (c *Certificates) now() *credentials {
	c.mu.Lock()
	changed := time.Since(c.looked) >= c.every
	if changed {
		c.looked = time.Now()
		changed = !slices.EqualFunc(c.seen[:], c.look(), sameFile)
	}
	c.mu.Unlock()
	if changed {
		err := c.Reload()
		if log := c.log.Load(); log != nil && err != nil {
			log.Warn("the changed cluster certificate can't be used; the previous one stays in use",
				"err", err, "ends", c.current.Load().ends)
		} else if log != nil {
			c.Tell(log)
		}
	}
	return c.current.Load()
}

// Reload reads the files anew, and leaves everything as it is if they can't be used.
func (c *Certificates) Reload() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.looked = time.Now()
	copy(c.seen[:], c.look()) // before they are read: what changes meanwhile is seen as a change
	next, err := c.read()
	if err != nil {
		return err
	}
	c.current.Store(next)
	return nil
}

// look returns what the directory says of the files, nil of those that are not there.
func (c *Certificates) look() []fs.FileInfo {
	out := make([]fs.FileInfo, 0, len(c.seen))
	for _, file := range []string{c.caFile, c.certFile, c.keyFile} {
		info, err := os.Stat(file)
		if err != nil {
			info = nil
		}
		out = append(out, info)
	}
	return out
}

func sameFile(a, b fs.FileInfo) bool {
	if a == nil || b == nil {
		return a == b
	}
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func (c *Certificates) read() (*credentials, error) {
	cas, err := readCertificates(c.caFile)
	if err != nil {
		return nil, howToMake(c.caFile, err)
	}
	if err := files.CheckSecretFile(c.keyFile); err != nil {
		return nil, howToMake(c.keyFile, err)
	}
	if _, err := readCertificates(c.certFile); err != nil {
		return nil, howToMake(c.certFile, err)
	}
	out := &credentials{cas: x509.NewCertPool()}
	if out.pair, err = tls.LoadX509KeyPair(c.certFile, c.keyFile); err != nil {
		return nil, fmt.Errorf("%s and %s are no certificate with its key (%w); make both anew with \"adit cluster cert\"",
			c.certFile, c.keyFile, err)
	}
	for _, ca := range cas {
		out.cas.AddCert(ca)
	}
	out.ends, err = c.judge(out, time.Now())
	return out, err
}

// judge returns when the member's own certificate ends, or why others would refuse it.
func (c *Certificates) judge(own *credentials, now time.Time) (time.Time, error) {
	leaf, again := own.pair.Leaf, "; make a new one with \"adit cluster cert\""
	switch {
	case now.After(leaf.NotAfter):
		return time.Time{}, fmt.Errorf("%s: the certificate ended on %s%s", c.certFile, day(leaf.NotAfter), again)
	case now.Before(leaf.NotBefore):
		return time.Time{}, fmt.Errorf(
			"%s: the certificate begins on %s; is this machine's clock right?", c.certFile, day(leaf.NotBefore),
		)
	case leaf.VerifyHostname(ServerName) != nil:
		return time.Time{}, fmt.Errorf("%s: the certificate lacks the name %s, by which members know each other%s",
			c.certFile, ServerName, again)
	}
	between := x509.NewCertPool()
	for _, der := range own.pair.Certificate[1:] {
		if cert, err := x509.ParseCertificate(der); err == nil {
			between.AddCert(cert)
		}
	}
	ends := time.Time{}
	for _, usage := range []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth} {
		chains, err := leaf.Verify(x509.VerifyOptions{
			Roots: own.cas, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{usage},
		})
		if _, foreign := errors.AsType[x509.UnknownAuthorityError](err); foreign {
			return ends, fmt.Errorf("%s is not signed by a CA in %s; make a new one with that CA by \"adit cluster cert\", "+
				"or bring the ca.pem that belongs to it", c.certFile, c.caFile)
		}
		if err != nil {
			return ends, fmt.Errorf("%s: other members would refuse the certificate: %w%s", c.certFile, err, again)
		}
		ends = lastOf(chains)
	}
	return ends, nil
}

// lastOf returns when the last chain breaks.
func lastOf(chains [][]*x509.Certificate) time.Time {
	var last time.Time
	for _, chain := range chains {
		end := chain[0].NotAfter
		for _, cert := range chain {
			if cert.NotAfter.Before(end) {
				end = cert.NotAfter
			}
		}
		if end.After(last) {
			last = end
		}
	}
	return last
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// howToMake says where a file that is missing comes from.
func howToMake(file string, err error) error {
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return fmt.Errorf("%w: a member of a cluster needs a certificate; make the cluster's CA once with \"adit cluster "+
		"init-ca\", this member's certificate with \"adit cluster cert NAME\", and put the three files where %s is missing",
		err, file)
}

// readCertificates reads the certificates of a PEM file; there is at least one.
func readCertificates(file string) ([]*x509.Certificate, error) {
	rest, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var out []*x509.Certificate
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != certBlock {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("%s: a certificate can't be read: %w", file, err)
		}
		out = append(out, cert)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s holds no certificate; it must be a PEM file, as \"adit cluster cert\" writes it", file)
	}
	return out, nil
}
