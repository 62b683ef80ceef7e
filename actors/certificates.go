// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"crypto/tls"
	"crypto/x509"
	"sync"
	"time"
)

// certificates remembers, by address, which certificate a peer has shown, from its TLS handshake until its association
// is decided about.
type certificates struct {
	mu    sync.Mutex
	shown map[string]shown
}

type shown struct {
	cert *x509.Certificate
	at   time.Time
}

// shownFor is longer than a peer may take from its handshake to its A-ASSOCIATE-RQ.
const shownFor = time.Minute

// watch returns a configuration that does what base does, and takes down the certificates.
func (c *certificates) watch(base *tls.Config) *tls.Config {
	c.shown = map[string]shown{}
	watching := base.Clone()
	watching.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		addr, cfg := hello.Conn.RemoteAddr().String(), base.Clone()
		verify := cfg.VerifyConnection
		cfg.VerifyConnection = func(s tls.ConnectionState) error {
			if verify != nil {
				if err := verify(s); err != nil {
					return err
				}
			}
			if len(s.PeerCertificates) > 0 {
				c.put(addr, s.PeerCertificates[0])
			}
			return nil
		}
		return cfg, nil
	}
	return watching
}

func (c *certificates) put(addr string, cert *x509.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	for a, s := range c.shown {
		if now.Sub(s.at) > shownFor {
			delete(c.shown, a)
		}
	}
	c.shown[addr] = shown{cert, now}
}

// take returns the certificate that was shown from an address, nil if none was, and forgets it.
func (c *certificates) take(addr string) *x509.Certificate {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shown[addr]
	delete(c.shown, addr)
	return s.cert
}
