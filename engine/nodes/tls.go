// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// The profiles of TLS.Profile (PS3.15 B.12 and, for older devices, B.9), and the values of TLS.Verify: PeerName wants
// the server's name in its certificate, PeerAuthority is content with who signed it.
const (
	ProfileBCP195RFC9325 = "bcp195-rfc9325"
	ProfileBCP195        = "bcp195"
	PeerName             = "name"
	PeerAuthority        = "authority"
)

const maxPEM = 32 << 10 // bytes of each of the settings in PEM

// validate refuses certificates and keys that are none.
func (t *TLS) validate() error {
	for _, c := range []check{
		{len(t.Authorities) <= maxPEM, "tls.authorities", "too long; give only the certificates that sign this server's"},
		{len(t.Certificate) <= maxPEM, "tls.certificate", "too long; give one certificate and its intermediate ones"},
		{len(t.Key) <= maxPEM, "tls.key", "too long; give one private key"},
		{t.Authorities == "" || onlyCertificates(t.Authorities), "tls.authorities", "no certificates in PEM; a file begins with -----BEGIN CERTIFICATE-----"},
		{t.Certificate == "" || onlyCertificates(t.Certificate), "tls.certificate", "no certificate in PEM; a file begins with -----BEGIN CERTIFICATE-----"},
		{t.Key == "" || t.Certificate != "", "tls.certificate", "a private key needs its certificate"},
	} {
		if !c.ok {
			return &refusal.Invalid{Field: c.field, Reason: c.reason}
		}
	}
	return nil
}

// onlyCertificates reports whether a text holds certificates in PEM and nothing else: a private key among them would be
// shown.
func onlyCertificates(text string) bool {
	n := 0
	for rest := []byte(text); ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return n > 0 && strings.TrimSpace(string(rest)) == ""
		}
		if _, err := x509.ParseCertificate(block.Bytes); block.Type != "CERTIFICATE" || err != nil {
			return false
		}
	}
}

func keyPurpose(server int64) string { return fmt.Sprintf("tls key of server %d", server) }

// sealTLS returns the sealed key of the settings, which have to fit. An empty key keeps the one that is sealed for the
// certificate.
func sealTLS(keys *people.Service, server int64, t TLS, sealed []byte) ([]byte, error) {
	switch {
	case t.Certificate == "":
		sealed = nil
	case t.Key != "":
		sealed = keys.Seal(keyPurpose(server), []byte(t.Key))
	case sealed == nil:
		return nil, &refusal.Invalid{Field: "tls.key", Reason: "the certificate needs its private key"}
	}
	row := db.Server{
		ID: server, TlsProfile: t.Profile, TlsVerify: t.Verify,
		TlsAuthorities: t.Authorities, TlsCertificate: t.Certificate, TlsSealedKey: sealed,
		TlsServerName: t.ServerName,
	}
	if _, err := clientTLS(keys, row); err != nil {
		return nil, &refusal.Invalid{Field: "tls", Reason: err.Error()}
	}
	return sealed, nil
}

// clientTLS returns what the door dials a server with.
func clientTLS(keys *people.Service, s db.Server) (*tls.Config, error) {
	o := ul.TLSOptions{
		Authorities: []byte(s.TlsAuthorities), Certificate: []byte(s.TlsCertificate), ServerName: s.TlsServerName,
	}
	if s.TlsProfile == ProfileBCP195 {
		o.Profile = ul.ProfileBCP195
	}
	if s.TlsVerify == PeerAuthority {
		o.Verification = ul.VerifyAuthority
	}
	if s.TlsSealedKey != nil {
		var err error
		if o.Key, err = keys.Open(keyPurpose(s.ID), s.TlsSealedKey); err != nil {
			return nil, err
		}
	}
	return ul.ClientTLS(o)
}
