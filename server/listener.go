// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"

	"github.com/pires/go-proxyproto"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine/lease"
	"github.com/adit-go/adit/engine/quarantine"
	"github.com/adit-go/adit/internal/files"
)

// quarantineBytes bounds the quarantine.
const quarantineBytes = 10e9

// listenDICOM opens the receiver's listeners; nil if there are none.
func (s *server) listenDICOM(ctx context.Context) (*actors.Receiver, error) {
	c := s.cfg.Receiver
	if c.AETitle == c.PlainAETitle {
		return nil, usage(
			"--ae-title and --plain-ae-title must differ: by its title a server says whether it sends as stored or " +
				"uncompressed",
		)
	}
	if !s.has(lease.RoleReceiver) {
		return nil, nil //nolint:nilnil // no receiver is wanted
	}
	r := &actors.Receiver{}
	var gates []*gate
	gated := func(l net.Listener) net.Listener { // in a cluster it rests while the role receiver is taken away
		if s.cluster == nil {
			return l
		}
		gates = append(gates, newGate(l, s.log))
		return gates[len(gates)-1]
	}
	trusted, err := ranges("--dicom-proxy", c.DICOMProxy)
	if err != nil {
		return nil, err
	}
	if c.DICOMListen != "" {
		l, err := s.listen(ctx, "--dicom-listen", c.DICOMListen)
		if err != nil {
			return nil, err
		}
		s.dicomAddr = l.Addr().String()
		r.Listener = behindBalancers(gated(l), trusted)
	}
	if c.DICOMTLSListen != "" {
		if r.TLS, err = c.tls(); err != nil {
			return nil, err
		}
		l, err := s.listen(ctx, "--dicom-tls-listen", c.DICOMTLSListen)
		if err != nil {
			return nil, err
		}
		if r.TLSListener = behindBalancers(gated(l), trusted); s.dicomAddr == "" {
			s.dicomAddr = l.Addr().String()
		}
	}
	if r.Listener == nil && r.TLSListener == nil {
		return nil, nil //nolint:nilnil // no receiver is wanted
	}
	r.Rest = func(resting bool) { //nolint:contextcheck // it is nobody's request
		for _, g := range gates {
			g.rest(resting)
		}
	}
	if c.Quarantine > 0 {
		if r.Quarantine, err = quarantine.OpenQuarantine(
			filepath.Join(s.cfg.DataDir, "quarantine"), c.Quarantine, quarantineBytes,
		); err != nil {
			return nil, err
		}
		if s.cluster != nil {
			s.cluster.Stores[r.Quarantine.ID()] = r.Quarantine
		}
	}
	return r, nil
}

// receiverPorts returns where a receiver listens, and where with TLS; 0: nowhere.
func receiverPorts(r *actors.Receiver) (port, tlsPort int) {
	of := func(l net.Listener) int {
		if l == nil {
			return 0
		}
		at, ok := l.Addr().(*net.TCPAddr)
		if !ok {
			return 0
		}
		return at.Port
	}
	if r == nil {
		return 0, 0
	}
	return of(r.Listener), of(r.TLSListener)
}

func (c *ReceiverConfig) tls() (*tls.Config, error) {
	var o ul.TLSOptions
	for _, file := range []struct {
		flag, path string
		to         *[]byte
	}{
		{"--dicom-tls-cert", c.DICOMTLSCert, &o.Certificate},
		{"--dicom-tls-key", c.DICOMTLSKey, &o.Key},
		{"--dicom-tls-ca", c.DICOMTLSCA, &o.Authorities},
	} {
		if file.path == "" {
			return nil, usage("--dicom-tls-listen needs %s", file.flag)
		}
		if file.to == &o.Key {
			if err := files.CheckSecretFile(file.path); err != nil {
				return nil, fmt.Errorf("%s: %w", file.flag, err)
			}
		}
		b, err := os.ReadFile(file.path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.flag, err)
		}
		*file.to = b
	}
	return ul.ServerTLS(o)
}

// ranges reads addresses and ranges of addresses.
func ranges(flag string, list []string) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, text := range list {
		if addr, err := netip.ParseAddr(text); err == nil {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, usage("%s: %q is neither an address nor a range such as 10.0.0.0/24", flag, text)
		}
		out = append(out, p)
	}
	return out, nil
}

// behindBalancers takes the address of a peer from the PROXY header (version 2) that balancers must send. Connections
// from elsewhere are taken as they are.
func behindBalancers(l net.Listener, balancers []netip.Prefix) net.Listener {
	if len(balancers) == 0 {
		return l
	}
	return &proxyproto.Listener{
		Listener: l,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			addr, err := netip.ParseAddrPort(o.Upstream.String())
			if err == nil &&
				slices.ContainsFunc(balancers, func(p netip.Prefix) bool { return p.Contains(addr.Addr().Unmap()) }) {
				return proxyproto.REQUIRE, nil
			}
			return proxyproto.SKIP, nil
		},
		ValidateHeader: func(h *proxyproto.Header) error {
			if h.Version != 2 {
				return errors.New("the PROXY header is not of version 2")
			}
			return nil
		},
	}
}
