// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"time"
)

// TLSProfile is a secure transport connection profile of PS3.15 annex B.
type TLSProfile int

const (
	// ProfileBCP195RFC9325 is that of PS3.15 B.12: TLS 1.3, or TLS 1.2 with authenticated encryption and forward
	// secrecy.
	ProfileBCP195RFC9325 TLSProfile = iota
	// ProfileBCP195 is that of PS3.15 B.9, which is retired: for devices that have nothing better it goes down to TLS
	// 1.0 with AES in CBC mode and RSA key exchange, as DCMTK does in its profile of this name. Suites with
	// finite-field Diffie-Hellman and triple DES are not offered.
	ProfileBCP195
)

// PeerVerification says how far the certificate of the other side is looked at.
type PeerVerification int

const (
	// VerifyPeer wants a certificate from one of the authorities. A client also wants the server's name in it.
	VerifyPeer PeerVerification = iota
	// VerifyAuthority is VerifyPeer without the name: many devices have certificates that don't name their host.
	VerifyAuthority
	// VerifyNothing takes every server; a server asks for no certificate.
	VerifyNothing
)

// TLSOptions say how an association is secured. Certificates and keys are in PEM.
type TLSOptions struct {
	Profile      TLSProfile
	Verification PeerVerification
	Authorities  []byte // who signs the peers' certificates; empty: those that the system trusts (clients only)
	Certificate  []byte // own, with intermediate ones behind; a client may have none
	Key          []byte // its private key, not encrypted
	ServerName   string // for clients, where the certificate names another host than the address; else empty
}

// ClientTLS returns what Options.TLS takes for Dial.
func ClientTLS(o TLSOptions) (*tls.Config, error) {
	cfg, err := o.config()
	if err != nil {
		return nil, err
	}
	cfg.ServerName = o.ServerName
	if cfg.RootCAs, err = o.authorities(); err != nil {
		return nil, err
	}
	switch o.Verification {
	case VerifyAuthority:
		cfg.InsecureSkipVerify = true // replaced by:
		cfg.VerifyConnection = func(s tls.ConnectionState) error { return verifyChain(s, cfg.RootCAs) }
	case VerifyNothing:
		cfg.InsecureSkipVerify = true
	}
	return cfg, nil
}

// ServerTLS returns what Options.TLS takes for Accept. Unless Verification is VerifyNothing, peers must have a
// certificate from one of Authorities.
func ServerTLS(o TLSOptions) (*tls.Config, error) {
	if len(o.Certificate) == 0 {
		return nil, errors.New("a DICOM listener with TLS needs a certificate and its private key; configure both")
	}
	cfg, err := o.config()
	if err != nil || o.Verification == VerifyNothing {
		return cfg, err
	}
	if len(o.Authorities) == 0 {
		return nil, errors.New(
			"a DICOM listener that verifies its peers needs the certificates of the authorities that sign their certificates; " +
				"configure these",
		)
	}
	cfg.ClientAuth = tls.RequireAndVerifyClientCert
	cfg.ClientCAs, err = o.authorities()
	return cfg, err
}

func (o *TLSOptions) config() (*tls.Config, error) {
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, CipherSuites: suitesRFC9325}
	if o.Profile == ProfileBCP195 {
		cfg.MinVersion, cfg.CipherSuites = tls.VersionTLS10, suitesBCP195
	}
	if len(o.Certificate) == 0 && len(o.Key) == 0 {
		return cfg, nil
	}
	own, err := tls.X509KeyPair(o.Certificate, o.Key)
	if err != nil {
		return nil, fmt.Errorf(
			"the TLS certificate or its private key cannot be used (%w); give both in PEM, the key without a password",
			err,
		)
	}
	cfg.Certificates = []tls.Certificate{own}
	return cfg, nil
}

func (o *TLSOptions) authorities() (*x509.CertPool, error) {
	if len(o.Authorities) == 0 {
		return nil, nil //nolint:nilnil // the system's
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(o.Authorities) {
		return nil, errors.New("the certificates of the TLS authorities hold none that can be read; give them in PEM")
	}
	return pool, nil
}

func verifyChain(s tls.ConnectionState, roots *x509.CertPool) error {
	opt := x509.VerifyOptions{Roots: roots, Intermediates: x509.NewCertPool()}
	for _, c := range s.PeerCertificates[1:] {
		opt.Intermediates.AddCert(c)
	}
	_, err := s.PeerCertificates[0].Verify(opt)
	return err
}

// suitesRFC9325 are those of RFC 9325 4.2 and their like with ChaCha20. TLS 1.3 has its own.
var suitesRFC9325 = []uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, tls.TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
}

var suitesBCP195 = append([]uint16{
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA,
	tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, tls.TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA,
	tls.TLS_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_RSA_WITH_AES_256_GCM_SHA384,
	tls.TLS_RSA_WITH_AES_128_CBC_SHA, tls.TLS_RSA_WITH_AES_256_CBC_SHA,
}, suitesRFC9325...)

// Handshake connects, shakes hands, and closes again: what it gives tells who is there and whether it speaks TLS at
// all. timeout is for all of it. Errors: *ConnectError, the cause of ctx.
func Handshake(ctx context.Context, addr string, cfg *tls.Config, timeout time.Duration) (tls.ConnectionState, error) {
	limited, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	c, err := (&net.Dialer{}).DialContext(limited, "tcp", addr)
	if err != nil {
		return tls.ConnectionState{}, connectError(ctx, addr, timeout, err)
	}
	defer func() { _ = c.Close() }() // it has said all that was asked
	secured := tls.Client(c, clientTLS(cfg, addr))
	if err := secured.HandshakeContext(limited); err != nil {
		return tls.ConnectionState{}, tlsError(ctx, addr, err)
	}
	return secured.ConnectionState(), nil
}

// tlsError says why there is no TLS with the other side, and what to do.
func tlsError(ctx context.Context, addr string, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	e := &ConnectError{Addr: addr, Err: err}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		e.What, e.Settings = "it does not speak TLS; check the port, and whether it expects TLS", true
		return e
	}
	what := certificateProblem(err)
	if what == "" {
		what = alertProblem(err)
	}
	e.Settings = what != ""
	switch {
	case what != "":
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET),
		errors.Is(err, syscall.EPIPE):
		what = "it closed the connection; check whether it expects TLS, and the certificates of both sides"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded):
		what = "it did not answer in time; check the port, and whether it expects TLS"
	default:
		what = fmt.Sprintf("%v; check the certificates of both sides", err)
	}
	e.What = "the TLS handshake failed: " + what
	return e
}

// certificateProblem says what this side has against the other's certificate, nothing if that isn't it.
func certificateProblem(err error) string {
	const day = "2006-01-02"
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return fmt.Sprintf(
			"its certificate is for %s, not for %s; check the host, or set the expected server name",
			names(e.Certificate), e.Host,
		)
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		if e.Reason == x509.Expired {
			return fmt.Sprintf(
				"its certificate is valid from %s to %s; ask its administrator to renew it, and check the clock of "+
					"this machine",
				e.Cert.NotBefore.Format(day), e.Cert.NotAfter.Format(day),
			)
		}
		return fmt.Sprintf("its certificate is unusable (%v); ask its administrator to replace it", e)
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		who := "an authority"
		if e.Cert != nil {
			who = fmt.Sprintf("%q", e.Cert.Issuer.String())
		}
		return fmt.Sprintf("its certificate is signed by %s, which is not trusted here; get the authority's "+
			"certificate from its administrator and add it "+
			"to the trusted ones of this server", who)
	}
	return ""
}

// names returns whom a certificate is for.
func names(c *x509.Certificate) string {
	list := append([]string{}, c.DNSNames...)
	for _, ip := range c.IPAddresses {
		list = append(list, ip.String())
	}
	if len(list) == 0 {
		return fmt.Sprintf("%q, without a host name in it", c.Subject.String())
	}
	return strings.Join(list, ", ")
}

// alertProblem says why the other side, or the protocol, refused, nothing if that isn't it. crypto/tls has no types for
// alerts.
func alertProblem(err error) string {
	var alert string
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		alert = op.Err.Error()
	}
	switch {
	case strings.Contains(alert, "certificate required"):
		return "it requires a client certificate; set one with its key, signed by an authority " +
			"that it trusts"
	case strings.Contains(alert, "certificate"):
		return fmt.Sprintf(
			"it does not accept the client certificate (%s); check the certificates: the client certificate must be "+
				"valid, and signed by an "+
				"authority that it trusts", strings.TrimPrefix(alert, "tls: "),
		)
	case strings.Contains(err.Error(), "protocol version"), strings.Contains(err.Error(), "handshake failure"),
		strings.Contains(err.Error(), "insufficient security"), strings.Contains(err.Error(), "cipher suite"):
		return "both sides have no version or cipher suite in common; if it is an older device, use the profile " +
			"bcp195 there"
	}
	return ""
}
