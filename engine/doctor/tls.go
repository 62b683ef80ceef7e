// SPDX-License-Identifier: AGPL-3.0-or-later

package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"time"

	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/engine/nodes"
)

// soon is when a certificate that ends is worth a word.
const soon = 30 * 24 * time.Hour

// secured looks at what the server says of itself in TLS, whether it is trusted or not. False if there is no TLS to be
// had.
func (d *doctor) secured(ctx context.Context) bool {
	cfg, err := d.peer.TLS()
	if !d.tried("TLS", err) {
		return false
	}
	state, err := d.slot.Handshake(ctx, d.peer, lookingOnly(cfg))
	if err == nil {
		d.certificate("TLS", state, leafOf(cfg))
		return true
	}
	d.badf("TLS", "%s", fault.Sentence(err))
	if d.node.Server.TlsProfile == nodes.ProfileBCP195RFC9325 && ctx.Err() == nil {
		old, oldErr := ul.ClientTLS(ul.TLSOptions{Profile: ul.ProfileBCP195, Verification: ul.VerifyNothing})
		if oldErr == nil {
			old.Certificates = cfg.Certificates
			_, oldErr = d.slot.Handshake(ctx, d.peer, old)
		}
		if oldErr == nil {
			d.suggest(
				"tls.profile", nodes.ProfileBCP195RFC9325, nodes.ProfileBCP195,
				"the server has only what that older profile allows; ask its vendor for TLS 1.2 or 1.3",
			)
		}
	}
	return false
}

// lookingOnly is a configuration that takes any certificate: who is there is to be seen. Nothing but the handshake is
// done with it.
func lookingOnly(cfg *tls.Config) *tls.Config {
	cfg = cfg.Clone()
	cfg.InsecureSkipVerify, cfg.VerifyConnection = true, nil
	return cfg
}

// certificate says who the server is by its certificate, under the name of a check; own, if not nil, is what ADIT shows
// there.
func (d *doctor) certificate(name string, state tls.ConnectionState, own *x509.Certificate) {
	cert := state.PeerCertificates[0]
	until, left := cert.NotAfter.Format("2006-01-02"), time.Until(cert.NotAfter)
	const what = "%s, with a certificate of %q by %q, valid until %s"
	version := tls.VersionName(state.Version)
	subject, issuer := cert.Subject.String(), cert.Issuer.String()
	switch {
	case left < 0:
		d.badf(name, what+": it has expired; ask its administrator to renew it.", version, subject, issuer, until)
	case left < soon:
		d.badf(
			name, what+": it expires in %d days; ask its administrator to renew it.",
			version, subject, issuer, until, int(left.Hours()/24),
		)
	default:
		d.goodf(name, what+".", version, subject, issuer, until)
	}
	if own != nil && time.Until(own.NotAfter) < soon {
		d.badf("TLS (ours)",
			"The certificate that ADIT shows there is valid until %s; renew it, and set it with its key.",
			own.NotAfter.Format("2006-01-02"),
		)
	}
}

func leafOf(cfg *tls.Config) *x509.Certificate {
	if len(cfg.Certificates) == 0 {
		return nil
	}
	return cfg.Certificates[0].Leaf
}

// wantsTLS looks whether a server that took the connection and then spoke no DICOM speaks TLS.
func (d *doctor) wantsTLS(ctx context.Context, err error) {
	var notDICOM *ul.NotDICOMError
	var connect *ul.ConnectError
	if !errors.As(err, &notDICOM) && !fault.PeerFailed(err) && !(errors.As(err, &connect) && d.connects(connect)) {
		return
	}
	cfg, err := ul.ClientTLS(ul.TLSOptions{Profile: ul.ProfileBCP195, Verification: ul.VerifyNothing})
	if err != nil {
		return
	}
	state, err := d.slot.Handshake(ctx, d.peer, cfg)
	if err != nil {
		return
	}
	d.badf("TLS", "The server speaks TLS there (certificate of %q by %q), but its settings say that it doesn't; add the "+
		"authority's certificate (--tls-ca) and switch TLS on.",
		state.PeerCertificates[0].Subject.String(), state.PeerCertificates[0].Issuer.String())
	d.suggest("tls.use", false, true, "the server speaks TLS at this port")
}

// connects reports whether there was a connection at all.
func (d *doctor) connects(err *ul.ConnectError) bool {
	var timeout *ul.TimeoutError
	var lost *ul.LostError
	return errors.As(err.Err, &timeout) || errors.As(err.Err, &lost)
}
