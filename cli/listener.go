// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

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
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/adit-go/adit/actors"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/engine"
)

// receiverFlags say where and how the receiver takes the objects that servers send.
type receiverFlags struct {
	DICOMListen    string        `name:"dicom-listen" env:"ADIT_DICOM_LISTEN" default:":11112" placeholder:"ADDR" help:"Address where servers send to by C-MOVE (${default}; with --demo 127.0.0.1:11112); empty: none. Only servers that ADIT knows may call."`
	DICOMTLSListen string        `name:"dicom-tls-listen" env:"ADIT_DICOM_TLS_LISTEN" placeholder:"ADDR" help:"The same for DICOM TLS, as in :2762; needs the three that follow."`
	DICOMTLSCert   string        `name:"dicom-tls-cert" env:"ADIT_DICOM_TLS_CERT" type:"path" placeholder:"FILE" help:"PEM file with the receiver's certificate."`
	DICOMTLSKey    string        `name:"dicom-tls-key" env:"ADIT_DICOM_TLS_KEY" type:"path" placeholder:"FILE" help:"PEM file with its private key, without a password."`
	DICOMTLSCA     string        `name:"dicom-tls-ca" env:"ADIT_DICOM_TLS_CA" type:"path" placeholder:"FILE" help:"PEM file with the authorities that sign the certificates of the servers."`
	DICOMProxy     []string      `name:"dicom-proxy" env:"ADIT_DICOM_PROXY" placeholder:"ADDR,…" help:"Addresses or ranges of balancers before the receiver, which speak the PROXY protocol, version 2."`
	Quarantine     time.Duration `env:"ADIT_QUARANTINE" placeholder:"D" help:"Keep objects that servers send without having been asked in DIR/quarantine for so long, as in 168h; 10 GB at most. They are refused all the same. Off by default."`
	AETitle        string        `name:"ae-title" env:"ADIT_AE_TITLE" default:"ADIT" placeholder:"AET" help:"ADIT's own AE title (${default}), under which it calls and takes objects as they are stored."`
	PlainAETitle   string        `name:"plain-ae-title" env:"ADIT_PLAIN_AE_TITLE" default:"ADIT_LE" placeholder:"AET" help:"AE title under which it takes objects uncompressed only (${default})."`
}

// quarantineBytes bounds the quarantine.
const quarantineBytes = 10e9

const anyReceiver, demoReceiver = ":11112", "127.0.0.1:11112"

// listenDICOM opens the receiver's listeners; nil if there are none.
func (s *server) listenDICOM(ctx context.Context) (*actors.Receiver, error) {
	f := s.cmd.receiverFlags
	if f.AETitle == f.PlainAETitle {
		return nil, usage("--ae-title and --plain-ae-title must differ: by its title a server says whether it sends as stored or uncompressed")
	}
	r := &actors.Receiver{}
	if f.DICOMListen == anyReceiver && s.cmd.Demo {
		f.DICOMListen = demoReceiver
	}
	trusted, err := ranges("--dicom-proxy", f.DICOMProxy)
	if err != nil {
		return nil, err
	}
	if f.DICOMListen != "" {
		l, err := s.listen(ctx, "--dicom-listen", f.DICOMListen)
		if err != nil {
			return nil, err
		}
		s.dicomAddr = l.Addr().String()
		r.Listener = behindBalancers(l, trusted)
	}
	if f.DICOMTLSListen != "" {
		if r.TLS, err = f.tls(); err != nil {
			return nil, err
		}
		l, err := s.listen(ctx, "--dicom-tls-listen", f.DICOMTLSListen)
		if err != nil {
			return nil, err
		}
		if r.TLSListener = behindBalancers(l, trusted); s.dicomAddr == "" {
			s.dicomAddr = l.Addr().String()
		}
	}
	if r.Listener == nil && r.TLSListener == nil {
		return nil, nil //nolint:nilnil // no receiver is wanted
	}
	if f.Quarantine > 0 {
		if r.Quarantine, err = engine.OpenQuarantine(filepath.Join(s.cmd.DataDir, "quarantine"), f.Quarantine, quarantineBytes); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (f *receiverFlags) tls() (*tls.Config, error) {
	var o ul.TLSOptions
	for _, file := range []struct {
		flag, path string
		to         *[]byte
	}{{"--dicom-tls-cert", f.DICOMTLSCert, &o.Certificate}, {"--dicom-tls-key", f.DICOMTLSKey, &o.Key}, {"--dicom-tls-ca", f.DICOMTLSCA, &o.Authorities}} {
		if file.path == "" {
			return nil, usage("--dicom-tls-listen needs %s", file.flag)
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

// behindBalancers takes the address of a peer from the PROXY header (version 2) that balancers must send. Connections from elsewhere are
// taken as they are.
func behindBalancers(l net.Listener, balancers []netip.Prefix) net.Listener {
	if len(balancers) == 0 {
		return l
	}
	return &proxyproto.Listener{
		Listener: l,
		ConnPolicy: func(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			addr, err := netip.ParseAddrPort(o.Upstream.String())
			if err == nil && slices.ContainsFunc(balancers, func(p netip.Prefix) bool { return p.Contains(addr.Addr().Unmap()) }) {
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
