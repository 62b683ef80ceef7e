// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"cmp"
	"context"
	"crypto/x509"
	"net/netip"
	"slices"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/dict"
)

// Sender is a server as the receiver sees it: who may call, and under which names.
type Sender struct {
	ID       int64
	Name     string
	AETitles []string // under which it calls
	OurAE    string   // under which we call it: the Move Originator's
	// CertificateNames are the names of which one must be in the certificate that it shows; empty: any certificate of a
	// trusted authority.
	CertificateNames []string
	TLS              bool // it is called by TLS, and calls so
	// name of its host, from whose addresses it calls; empty where that is given by its address
	Host   string
	Ranges []netip.Prefix // from which it calls as well, its host's address among them
	// Destination and PlainDestination are the names under which it knows the receiver, if not by the receiver's own.
	Destination, PlainDestination string
}

// From reports whether an address is in the server's ranges.
func (s *Sender) From(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(s.Ranges, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// Loopbacks are the addresses under which this machine finds itself. What is at one of them may call from the other.
var Loopbacks = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}

// Shows reports whether a certificate is the server's.
func (s *Sender) Shows(cert *x509.Certificate) bool {
	return len(s.CertificateNames) == 0 || cert != nil &&
		slices.ContainsFunc(s.CertificateNames, func(name string) bool { return cert.VerifyHostname(name) == nil })
}

// Senders lists the servers that may call the receiver: all that there are, but those whose row is damaged.
func (svc *Service) Senders(ctx context.Context) ([]*Sender, error) {
	rows, err := svc.Q.ListStoringServers(ctx)
	if err != nil {
		return nil, err
	}
	senders := make([]*Sender, 0, len(rows))
	for _, row := range rows {
		s := &Sender{
			ID: row.ID, Name: row.Name, AETitles: append([]string{row.AeTitle}, row.OtherAeTitles...),
			OurAE:       cmp.Or(row.CallingAeTitle, svc.Config.AETitle),
			Destination: row.MoveDestination, PlainDestination: row.MoveDestinationPlain,
			TLS: row.Tls,
		}
		if row.TlsVerify == PeerName {
			s.CertificateNames = []string{cmp.Or(row.TlsServerName, row.Host)}
		}
		if s.Ranges, err = addressRanges(row.AddressRanges); err != nil {
			svc.Log.WarnContext(
				ctx, "the address ranges of a DICOM server are damaged: it may not call until they are set again",
				"server", row.Name, "err", err,
			)
			continue
		}
		s.callsFromHost(row.Host)
		senders = append(senders, s)
	}
	return senders, nil
}

// callsFromHost lets a server call from its host.
func (s *Sender) callsFromHost(host string) {
	addr, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		s.Host = host
	case addr.Unmap().IsLoopback():
		s.Ranges = append(s.Ranges, onlyAddress(addr), onlyAddress(Loopbacks[0]), onlyAddress(Loopbacks[1]))
	default:
		s.Ranges = append(s.Ranges, onlyAddress(addr))
	}
}

func addressRanges(list []string) ([]netip.Prefix, error) {
	var ranges []netip.Prefix
	for _, text := range list {
		p, err := addressRange(text)
		if err != nil {
			return nil, err
		}
		ranges = append(ranges, p)
	}
	return ranges, nil
}

// KnowsMove reports whether a C-MOVE has ended within the last hour that one of the servers was told under a message ID
// (0: none), or to send something of a study (what is no UID: none).
func (svc *Service) KnowsMove(ctx context.Context, servers []int64, messageID uint16, study string) (bool, error) {
	if !dict.ValidUID(study) {
		study = ""
	}
	return svc.Q.KnowsMove(ctx, db.KnowsMoveParams{Sources: servers, MessageID: int32(messageID), StudyUid: study})
}

// AETitles returns the receiver's AE titles: for instances as they are stored, and for uncompressed ones.
func (svc *Service) AETitles() (asStored, plain string) {
	return svc.Config.AETitle, svc.Config.PlainAETitle
}

// settleCallers takes from the list what a server's settings allow now.
func settleCallers(ctx context.Context, q *db.Queries, s NewServer) error {
	rows, err := q.RejectedOfServer(ctx, s.Name)
	if err != nil {
		return err
	}
	now := &Sender{}
	if now.Ranges, err = addressRanges(s.Retrieve.AddressRanges); err != nil {
		return err
	}
	ids := []int64{}
	for _, row := range rows {
		addr, err := netip.ParseAddr(row.Address)
		from := err == nil && now.From(addr)
		switch {
		case from && (row.Reason == CallAddress || row.Reason == CallHost),
			!s.TLS.Use && row.Reason == CallPlain,
			row.Reason == CallCalledTitle && row.CalledAe == s.Retrieve.MoveDestination,
			row.Reason == CallCallingTitle && slices.Contains(s.Retrieve.OtherAETitles, row.CallingAe):
			ids = append(ids, row.ID)
		}
	}
	return q.ForgetRejectedCallers(ctx, ids)
}

// Why the receiver turned a call away.
const (
	CallAddress      = "address"          // a server's AE title, from an address that is none of its own
	CallHost         = "host"             // as above, and nobody knows the addresses of the server's host
	CallPlain        = "without_tls"      // of a server that uses TLS
	CallCertificate  = "certificate"      // of another name than the server's
	CallHandshake    = "no_certificate"   // the TLS handshake failed: no certificate, or none that is trusted
	CallNotTLS       = "plain_to_tls"     // no TLS, at the listener for it
	CallTLS          = "tls_to_plain"     // TLS, at the listener without it
	CallCallingTitle = "calling_ae_title" // no server calls under it
	CallCalledTitle  = "called_ae_title"  // none of ours
)

// CallReasons returns why calls are turned away.
func CallReasons() []string {
	return []string{
		CallAddress, CallHost, CallPlain, CallCertificate, CallHandshake,
		CallNotTLS, CallTLS, CallCallingTitle, CallCalledTitle,
	}
}
