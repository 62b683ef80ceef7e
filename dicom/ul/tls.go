// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// TLSProfile is a secure transport connection profile of PS3.15 annex B.
type TLSProfile int

const (
	// ProfileBCP195RFC9325 is that of PS3.15 B.12: TLS 1.3, or TLS 1.2 with authenticated encryption and forward secrecy.
	ProfileBCP195RFC9325 TLSProfile = iota
	// ProfileBCP195 is that of PS3.15 B.9, which is retired: for devices that have nothing better it goes down to TLS 1.0
	// with AES in CBC mode and RSA key exchange, as DCMTK does in its profile of this name. Suites with finite-field
	// Diffie-Hellman and triple DES are not offered.
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

// ClientTLS gives what Options.TLS takes for Dial.
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

// ServerTLS gives what Options.TLS takes for Accept. Unless Verification is VerifyNothing, peers must have a certificate
// from one of Authorities.
func ServerTLS(o TLSOptions) (*tls.Config, error) {
	if len(o.Certificate) == 0 {
		return nil, errors.New("a DICOM listener with TLS needs a certificate and its private key; configure both")
	}
	cfg, err := o.config()
	if err != nil || o.Verification == VerifyNothing {
		return cfg, err
	}
	if len(o.Authorities) == 0 {
		return nil, errors.New("a DICOM listener that verifies its peers needs the certificates of the authorities that sign theirs; configure these")
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
		return nil, fmt.Errorf("the TLS certificate or its private key cannot be used (%w); give both in PEM, the key without a password", err)
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
