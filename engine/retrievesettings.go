// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/adit-go/adit/db"
)

// Retrieve is how a server is read from, and under which names and from where it stores to this node's receiver. The zero value is fit
// for most.
type Retrieve struct {
	Methods              []string      // in order of preference, of those that the server supports; empty: C-GET, then C-MOVE
	MoveDestination      string        // the name under which the server knows our receiver; empty: the receiver's own AE title
	MoveDestinationPlain string        // the same for objects that it has to decompress
	MoveOriginator       bool          // its C-STOREs are known to carry the Move Originator fields
	MovePatience         time.Duration // for objects that come later than the final response of a C-MOVE; 10 s when 0
	OtherAETitles        []string      // under which it stores to us, besides its own
	AddressRanges        []string      // from which it may call besides its host's addresses, as in 10.0.0.0/8
	// Direct are the AE titles under which it knows destinations, by their names in ADIT: to those it sends by C-MOVE itself what nothing is
	// to be changed of.
	Direct map[string]string
}

// The retrieve methods.
const (
	MethodGet  = "C-GET"
	MethodMove = "C-MOVE"
)

// DefaultMovePatience is the patience with late objects of a server that names no other.
const DefaultMovePatience = 10 * time.Second

const (
	maxOtherAETitles = 16
	maxAddressRanges = 64
)

// retrieve tells whether a server can be read from.
func (s Supports) retrieve() bool {
	return s.StudyRootGet || s.PatientRootGet || s.StudyRootMove || s.PatientRootMove
}

const reasonAE = "an AE title has 1 to 16 ASCII characters, none of them a backslash"

func (r *Retrieve) checks() []check {
	r.MoveDestination, r.MoveDestinationPlain = strings.Trim(r.MoveDestination, " "), strings.Trim(r.MoveDestinationPlain, " ")
	badAE := func(title string) bool { return !validAE(strings.Trim(title, " ")) }
	badMethod := func(m string) bool { return m != MethodGet && m != MethodMove }
	badRange := func(text string) bool { _, err := addressRange(text); return err != nil }
	return []check{
		{!slices.ContainsFunc(r.Methods, badMethod) && len(r.Methods) <= 2, "retrieve.methods", "the methods are C-GET and C-MOVE, each at most once"},
		{r.MoveDestination == "" || validAE(r.MoveDestination), "retrieve.move_destination", reasonAE},
		{r.MoveDestinationPlain == "" || validAE(r.MoveDestinationPlain), "retrieve.move_destination_plain", reasonAE},
		{
			r.MoveDestination == "" || r.MoveDestination != r.MoveDestinationPlain, "retrieve.move_destination_plain",
			"must be another AE title than move_destination: by its title a server says whether it sends as stored or uncompressed",
		},
		{!slices.ContainsFunc(r.OtherAETitles, badAE) && len(r.OtherAETitles) <= maxOtherAETitles, "retrieve.other_ae_titles", reasonAE + "; at most 16 of them"},
		{
			!slices.ContainsFunc(r.AddressRanges, badRange) && len(r.AddressRanges) <= maxAddressRanges, "retrieve.address_ranges",
			"give IP addresses or ranges such as 10.1.0.0/16, at most 64",
		},
		checkDirect(r.Direct),
		{r.MovePatience >= 0 && r.MovePatience <= time.Hour, "retrieve.move_patience", "must be between one second and one hour"},
	}
}

// fill sets the columns that a server's row has for these settings.
func (r *Retrieve) fill(p *db.InsertServerParams) {
	p.RetrieveMethods = append([]string{}, r.Methods...) // a list without entries is not NULL
	p.MoveDestination, p.MoveDestinationPlain, p.MoveOriginator = r.MoveDestination, r.MoveDestinationPlain, r.MoveOriginator
	p.MovePatienceS = int32(max(1, orDefault(r.MovePatience, DefaultMovePatience)/time.Second))
	p.OtherAeTitles, p.AddressRanges = []string{}, append([]string{}, r.AddressRanges...)
	for _, title := range r.OtherAETitles {
		p.OtherAeTitles = append(p.OtherAeTitles, strings.Trim(title, " "))
	}
}

// RetrieveOf gives these settings of a server that is there.
func RetrieveOf(s *db.Server) Retrieve {
	return Retrieve{
		Methods: s.RetrieveMethods, MoveDestination: s.MoveDestination, MoveDestinationPlain: s.MoveDestinationPlain, MoveOriginator: s.MoveOriginator,
		MovePatience: time.Duration(s.MovePatienceS) * time.Second, OtherAETitles: s.OtherAeTitles, AddressRanges: s.AddressRanges,
	}
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

// methodsOf gives the retrieve methods of a server, in the order in which they are tried.
func methodsOf(s *db.Server) []string {
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
