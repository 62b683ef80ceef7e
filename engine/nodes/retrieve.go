// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"net/netip"
	"slices"

	"github.com/adit-go/adit/db"
)

// The retrieve methods.
const (
	MethodGet  = "C-GET"
	MethodMove = "C-MOVE"
)

// retrieve reports whether a server can be read from.
func (s Supports) retrieve() bool {
	return s.StudyRootGet || s.PatientRootGet || s.StudyRootMove || s.PatientRootMove
}

// AddAddresses lets the server call from further addresses or ranges.
func (r *Retrieve) AddAddresses(list ...string) {
	for _, text := range list {
		if !slices.Contains(r.AddressRanges, text) {
			r.AddressRanges = append(slices.Clone(r.AddressRanges), text)
		}
	}
}

// addressRange reads an address, or a range of addresses. One of IPv4 that is written as of IPv6 is one of IPv4.
func addressRange(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(text); err == nil {
		return onlyAddress(addr), nil
	}
	p, err := netip.ParsePrefix(text)
	if addr := p.Addr(); err == nil && addr.Is4In6() && p.Bits() >= 96 {
		p = netip.PrefixFrom(addr.Unmap(), p.Bits()-96)
	}
	return p, err
}

// onlyAddress is the range of one address.
func onlyAddress(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	return netip.PrefixFrom(addr, addr.BitLen())
}

// MethodsOf returns the retrieve methods of a server, in the order in which they are tried.
func MethodsOf(s *db.Server) []string {
	order := s.RetrieveMethods
	if len(order) == 0 {
		order = []string{MethodGet, MethodMove}
	}
	var methods []string
	for _, m := range order {
		supported := s.StudyRootGet || s.PatientRootGet
		if m == MethodMove {
			supported = s.StudyRootMove || s.PatientRootMove
		}
		if supported && !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	return methods
}
