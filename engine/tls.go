// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/ul"
)

// TLS says how associations with a server are secured (PS3.15 annex B). Certificates and keys are in PEM.
type TLS struct {
	Use         bool
	Profile     string // ProfileBCP195RFC9325 when empty
	Verify      string // VerifyName when empty
	Authorities string // who signs the server's certificate; empty: those that the system trusts
	Certificate string // ours there, with intermediate ones behind; empty: none
	Key         string // its private key. It goes in only: it is kept sealed and never given out; empty keeps the one that is there
	ServerName  string // that the server's certificate names, if not its host
}

// The profiles of TLS.Profile (PS3.15 B.12 and, for older devices, B.9), and the values of TLS.Verify: VerifyName wants the server's name
// in its certificate, VerifyAuthority is content with who signed it.
const (
	ProfileBCP195RFC9325 = "bcp195-rfc9325"
	ProfileBCP195        = "bcp195"
	VerifyName           = "name"
	VerifyAuthority      = "authority"
)

const maxPEM = 32 << 10 // bytes of each of the settings in PEM

func (t *TLS) validate() error {
	t.Profile, t.Verify = orDefault(t.Profile, ProfileBCP195RFC9325), orDefault(t.Verify, VerifyName)
	checks := []struct {
		ok            bool
		field, reason string
	}{
		{t.Profile == ProfileBCP195RFC9325 || t.Profile == ProfileBCP195, "tls.profile", "must be bcp195-rfc9325 or bcp195"},
		{t.Verify == VerifyName || t.Verify == VerifyAuthority, "tls.verify", "must be name or authority"},
		{t.ServerName == "" || validHost(t.ServerName), "tls.server_name", "give a host name or an IP address"},
		{len(t.Authorities) <= maxPEM, "tls.authorities", "too long; give only the certificates that sign this server's"},
		{len(t.Certificate) <= maxPEM, "tls.certificate", "too long; give one certificate and its intermediate ones"},
		{len(t.Key) <= maxPEM, "tls.key", "too long; give one private key"},
		{t.Authorities == "" || onlyCertificates(t.Authorities), "tls.authorities", "no certificates in PEM; a file begins with -----BEGIN CERTIFICATE-----"},
		{t.Certificate == "" || onlyCertificates(t.Certificate), "tls.certificate", "no certificate in PEM; a file begins with -----BEGIN CERTIFICATE-----"},
		{t.Key == "" || t.Certificate != "", "tls.certificate", "a private key needs its certificate"},
	}
	for _, c := range checks {
		if !c.ok {
			return &Invalid{Field: c.field, Reason: c.reason}
		}
	}
	return nil
}

// onlyCertificates tells whether a text holds certificates in PEM and nothing else: a private key among them would be shown.
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

// putTLS writes the settings. An empty key keeps the one that is sealed for the certificate.
func (e *Engine) putTLS(ctx context.Context, q *db.Queries, server int64, t TLS, sealed []byte) error {
	switch {
	case t.Certificate == "":
		sealed = nil
	case t.Key != "":
		sealed = e.people.Seal(keyPurpose(server), []byte(t.Key))
	case sealed == nil:
		return &Invalid{Field: "tls.key", Reason: "the certificate needs its private key"}
	}
	row := db.Server{
		ID: server, TlsProfile: t.Profile, TlsVerify: t.Verify, TlsAuthorities: t.Authorities, TlsCertificate: t.Certificate, TlsSealedKey: sealed,
		TlsServerName: t.ServerName,
	}
	if _, err := e.clientTLS(row); err != nil {
		return &Invalid{Field: "tls", Reason: err.Error()}
	}
	return q.UpdateServerTLS(ctx, db.UpdateServerTLSParams{
		ID: server, Tls: t.Use, TlsProfile: t.Profile, TlsVerify: t.Verify, TlsAuthorities: t.Authorities, TlsCertificate: t.Certificate,
		TlsSealedKey: sealed, TlsServerName: t.ServerName,
	})
}

// clientTLS gives what the door dials a server with.
func (e *Engine) clientTLS(s db.Server) (*tls.Config, error) {
	o := ul.TLSOptions{Authorities: []byte(s.TlsAuthorities), Certificate: []byte(s.TlsCertificate), ServerName: s.TlsServerName}
	if s.TlsProfile == ProfileBCP195 {
		o.Profile = ul.ProfileBCP195
	}
	if s.TlsVerify == VerifyAuthority {
		o.Verification = ul.VerifyAuthority
	}
	if s.TlsSealedKey != nil {
		var err error
		if o.Key, err = e.people.Open(keyPurpose(s.ID), s.TlsSealedKey); err != nil {
			return nil, err
		}
	}
	return ul.ClientTLS(o)
}
