// SPDX-License-Identifier: AGPL-3.0-or-later

package actors

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/receive"
	"github.com/adit-go/adit/internal/pause"
)

// sharedBy bounds the servers that an unclear call from one address is put down to. An address that more of them have
// is a gateway's, and tells nothing.
const sharedBy = 4

// accept decides about an association: by the listener, the AE titles, the address and the certificate. Whom it takes
// the peer for stays with the association.
func (r *receiver) accept(
	ctx context.Context, rq *dimse.AssociationRequest, secured bool, cert *x509.Certificate,
) error {
	addr, ok := addressOf(rq.RemoteAddr)
	if !ok {
		r.rejected.WithLabelValues(nodes.CallAddress).Inc()
		return dimse.RejectCallingAE
	}
	known, named := r.knows(rq)
	if r.peers != nil && (!known || len(named) == 0) { // another member may just have added the server
		r.readSince(ctx, time.Now())
		known, named = r.knows(rq)
	}
	call := receive.RejectedCall{CallingAE: rq.CallingAE, CalledAE: rq.CalledAE, Address: addr.String()}
	var may []*nodes.Sender
	var barred []receive.RejectedCall
	for _, s := range named {
		if reason := r.bars(s, addr, secured, cert); reason != "" {
			call.Server, call.Reason = s.Name, reason
			barred = append(barred, call)
			continue
		}
		may = append(may, s)
	}
	if known && len(may) > 0 {
		rq.Caller, rq.Expected = ids(may), r.moving(may)
		return nil
	}
	reason := nodes.CallCalledTitle
	switch {
	case len(may) > 0:
		r.takeDown(call, reason, may)
	case len(named) == 0:
		reason = nodes.CallCallingTitle
		r.takeDown(call, reason, r.at(addr))
	default:
		reason = barred[0].Reason
	}
	r.rejected.WithLabelValues(reason).Inc()
	if len(may) == 0 {
		for _, c := range barred {
			r.engine.Receive.CountRejected(c)
		}
	}
	if !known {
		return dimse.RejectCalledAE
	}
	return dimse.RejectCallingAE
}

// bars returns why a server may not call so; empty if it may.
func (r *receiver) bars(s *nodes.Sender, addr netip.Addr, secured bool, cert *x509.Certificate) string {
	switch from, resolved := r.from(s, addr); {
	case !from && !resolved:
		return nodes.CallHost
	case !from:
		return nodes.CallAddress
	case s.TLS && !secured:
		return nodes.CallPlain
	case secured && !s.Shows(cert):
		return nodes.CallCertificate
	}
	return ""
}

// from reports whether an address is a server's, and whether it is known which are.
func (r *receiver) from(s *nodes.Sender, addr netip.Addr) (from, resolved bool) {
	if s.From(addr) {
		return true, true
	}
	if s.Host == "" {
		return false, true
	}
	return r.hosts.has(s.Host, addr)
}

// at returns the servers that have an address; none where many share it.
func (r *receiver) at(addr netip.Addr) (servers []*nodes.Sender) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, s := range r.servers {
		if from, _ := r.from(s, addr); from {
			servers = append(servers, s)
		}
	}
	if len(servers) > sharedBy {
		return nil
	}
	return servers
}

// takeDown counts a call for the servers that it may have been of; of nobody, if there are none.
func (r *receiver) takeDown(call receive.RejectedCall, reason string, servers []*nodes.Sender) {
	call.Server, call.Reason = "", reason
	if len(servers) == 0 {
		r.engine.Receive.CountRejected(call)
	}
	for _, s := range servers {
		call.Server = s.Name
		r.engine.Receive.CountRejected(call)
	}
}

// knows returns whether we are called so, and which servers call so.
func (r *receiver) knows(rq *dimse.AssociationRequest) (known bool, named []*nodes.Sender) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, known = r.called[rq.CalledAE]
	return known, r.callers[rq.CallingAE]
}

// readPace is how often the servers are read at most because somebody called who is not known.
const readPace = 500 * time.Millisecond

// readSince reads the servers, unless that was begun after an instant. Whoever calls under a strange name waits for it:
// the database is asked no more often for many of them than for one.
func (r *receiver) readSince(ctx context.Context, at time.Time) {
	r.again.Lock()
	defer r.again.Unlock()
	if r.began.After(at) {
		return
	}
	if pause.For(ctx, readPace-time.Since(r.began)) != nil {
		return
	}
	r.began = time.Now()
	r.serversChanged(ctx)
}

// crowded counts a call for which there was no place.
func (r *receiver) crowded(*dimse.AssociationRequest) { r.rejected.WithLabelValues(crowded).Inc() }

// unheard takes down a connection that did not come to its request, where it is seen what was wrong, and whose it may
// have been.
func (r *receiver) unheard(peer net.Addr, err error) {
	addr, ok := addressOf(peer)
	if !ok {
		return
	}
	if reason := receive.HandshakeFault(err); reason != "" {
		r.rejected.WithLabelValues(reason).Inc()
		if servers := r.at(addr); len(servers) > 0 {
			r.takeDown(receive.RejectedCall{Address: addr.String()}, reason, servers)
		}
	}
}

// admitted returns the servers that an association was accepted as, as far as they are still there: what they may is
// decided once, when they call.
func (r *receiver) admitted(a *dimse.ServerAssociation) []*nodes.Sender {
	accepted, _ := a.Caller.([]int64)
	senders := make([]*nodes.Sender, 0, len(accepted))
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, id := range accepted {
		if s := r.servers[id]; s != nil && slices.Contains(s.AETitles, a.CallingAE) {
			senders = append(senders, s)
		}
	}
	return senders
}

// addressOf returns a peer's address, as of IPv4 where it is one, and without a zone.
func addressOf(peer net.Addr) (netip.Addr, bool) {
	addr, err := netip.ParseAddrPort(peer.String())
	return addr.Addr().Unmap().WithZone(""), err == nil
}
