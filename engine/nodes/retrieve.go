// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"net/netip"
	"slices"

	"github.com/adit-go/adit/db"
)

// The retrieve methods.
const (
	MethodWADO = "WADO-RS"
	MethodGet  = "C-GET"
	MethodMove = "C-MOVE"
)

// retrieve reports whether a server can be read from.
func (s Supports) retrieve() bool {
	return s.WADO || s.StudyRootGet || s.PatientRootGet || s.StudyRootMove || s.PatientRootMove
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

// Searchable reports whether a server can be searched, by C-FIND or QIDO-RS.
func Searchable(s *db.Server) bool { return settingsOf(s).Supports.find() }

// Stores reports whether a server takes instances, by C-STORE or STOW-RS.
func Stores(s *db.Server) bool { return settingsOf(s).Supports.destination() }

// MethodsOf returns the retrieve methods of a server, in the order in which they are tried.
func MethodsOf(s *db.Server) []string {
	order := s.RetrieveMethods
	if len(order) == 0 {
		order = []string{MethodWADO, MethodGet, MethodMove}
	}
	supports := map[string]bool{
		MethodWADO: s.WadoRs,
		MethodGet:  s.StudyRootGet || s.PatientRootGet,
		MethodMove: s.StudyRootMove || s.PatientRootMove,
	}
	var methods []string
	for _, m := range order {
		if supports[m] && !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	return methods
}
