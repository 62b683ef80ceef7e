// SPDX-License-Identifier: AGPL-3.0-or-later

// Package ul is the DICOM Upper Layer (PS3.8): the codec of the protocol data units, the association state machine
// as the standard's own table, and associations over TCP and TLS. It moves messages; what they mean is dicom/dimse.
package ul

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// PDUType is the first byte of each PDU (PS3.8 9.3.1).
type PDUType byte

// The seven PDU types (PS3.8 9.3.2 to 9.3.8).
const (
	TypeAssociateRQ PDUType = 0x01
	TypeAssociateAC PDUType = 0x02
	TypeAssociateRJ PDUType = 0x03
	TypePDataTF     PDUType = 0x04
	TypeReleaseRQ   PDUType = 0x05
	TypeReleaseRP   PDUType = 0x06
	TypeAbort       PDUType = 0x07
)

// ApplicationContext is the DICOM Application Context Name (PS3.7 A.2.1).
const ApplicationContext = "1.2.840.10008.3.1.1.1"

const (
	pduHeaderLen = 6 // type, reserved, length (4)
	pdvHeaderLen = 6 // length (4), presentation context ID, message control header

	protocolVersion1 = 1

	// maxAssociatePDU bounds an A-ASSOCIATE-RQ or -AC. 128 contexts with 20 transfer syntaxes each and their role
	// selections take 80 KB.
	maxAssociatePDU = 96 << 10
	// maxItems bounds the items of one A-ASSOCIATE PDU, whose decoded form is larger than its bytes.
	maxItems = 4096
	// maxContexts is given by the IDs: odd, one byte (PS3.8 9.3.2.2).
	maxContexts = 128
)

// A PDU is one of the seven protocol data units of PS3.8 9.3.
type PDU interface {
	Type() PDUType
	appendBody(b []byte) ([]byte, error)
}

// AssociateRQ asks for an association (PS3.8 9.3.2). AE titles are trimmed of their padding.
type AssociateRQ struct {
	CalledAE, CallingAE string
	ApplicationContext  string // ApplicationContext when empty
	Contexts            []ContextRQ
	User                UserInfo
}

// ContextRQ is a presentation context as proposed (PS3.8 9.3.2.2). IDs are odd.
type ContextRQ struct {
	ID               byte
	AbstractSyntax   string
	TransferSyntaxes []string
}

// AssociateAC accepts an association (PS3.8 9.3.3). The AE titles repeat the request's and are not tested.
type AssociateAC struct {
	CalledAE, CallingAE string
	ApplicationContext  string
	Contexts            []ContextAC
	User                UserInfo
}

// ContextResult answers a proposed presentation context (PS3.8 table 9-18).
type ContextResult byte

// The results of PS3.8 table 9-18.
const (
	ContextAccepted                 ContextResult = 0
	ContextUserRejection            ContextResult = 1
	ContextNoReason                 ContextResult = 2
	ContextAbstractSyntaxRefused    ContextResult = 3
	ContextTransferSyntaxesRefused  ContextResult = 4
	contextResultTransferSyntaxless               = "1.2.840.10008.1.2"
)

func (r ContextResult) String() string {
	switch r {
	case ContextAccepted:
		return "accepted"
	case ContextUserRejection:
		return "rejected by the user"
	case ContextNoReason:
		return "rejected without a reason"
	case ContextAbstractSyntaxRefused:
		return "abstract syntax not supported"
	case ContextTransferSyntaxesRefused:
		return "transfer syntaxes not supported"
	}
	return fmt.Sprintf("rejected with unknown result %d", byte(r))
}

// ContextAC is the answer to a proposed presentation context (PS3.8 9.3.3.2). TransferSyntax has a meaning only
// when Result is ContextAccepted.
type ContextAC struct {
	ID             byte
	Result         ContextResult
	TransferSyntax string
}

// AssociateRJ rejects an association (PS3.8 9.3.4, table 9-21).
type AssociateRJ struct {
	Result RejectResult
	Source RejectSource
	Reason byte
}

// PDataTF carries presentation data values (PS3.8 9.3.5). The socket side never builds one: it streams.
type PDataTF struct {
	Values []PDV
}

// PDV is a presentation data value: a fragment of a command or of a data set (PS3.8 9.3.5.1, Annex E.2).
type PDV struct {
	ContextID byte
	Command   bool // a fragment of a command set, else of a data set
	Last      bool
	Data      []byte
}

// ReleaseRQ asks for the end of the association (PS3.8 9.3.6).
type ReleaseRQ struct{}

// ReleaseRP confirms it (PS3.8 9.3.7).
type ReleaseRP struct{}

// Abort ends the association at once (PS3.8 9.3.8, table 9-26).
type Abort struct {
	Source AbortSource
	Reason AbortReason
}

// Type returns TypeAssociateRQ.
func (*AssociateRQ) Type() PDUType { return TypeAssociateRQ }

// Type returns TypeAssociateAC.
func (*AssociateAC) Type() PDUType { return TypeAssociateAC }

// Type returns TypeAssociateRJ.
func (*AssociateRJ) Type() PDUType { return TypeAssociateRJ }

// Type returns TypePDataTF.
func (*PDataTF) Type() PDUType { return TypePDataTF }

// Type returns TypeReleaseRQ.
func (*ReleaseRQ) Type() PDUType { return TypeReleaseRQ }

// Type returns TypeReleaseRP.
func (*ReleaseRP) Type() PDUType { return TypeReleaseRP }

// Type returns TypeAbort.
func (*Abort) Type() PDUType { return TypeAbort }

// AppendPDU appends the encoded PDU, header included. It fails when a value does not fit its field.
func AppendPDU(b []byte, p PDU) ([]byte, error) {
	start := len(b)
	b = append(b, byte(p.Type()), 0, 0, 0, 0, 0)
	b, err := p.appendBody(b)
	if err != nil {
		return nil, err
	}
	binary.BigEndian.PutUint32(b[start+2:], uint32(len(b)-start-pduHeaderLen))
	return b, nil
}

// DecodePDU decodes the body of a PDU, i.e. what follows the six bytes of its header. Values of a P-DATA-TF alias
// body. The error is always a *ProtocolError.
func DecodePDU(t PDUType, body []byte) (PDU, error) {
	switch t {
	case TypeAssociateRQ:
		return decodeAssociateRQ(body)
	case TypeAssociateAC:
		return decodeAssociateAC(body)
	case TypePDataTF:
		return decodePDataTF(body)
	case TypeAssociateRJ, TypeReleaseRQ, TypeReleaseRP, TypeAbort:
		if len(body) != 4 {
			return nil, protocolErrorf(AbortInvalidParameter, "%s has %d bytes instead of 4", t, len(body))
		}
		switch t {
		case TypeAssociateRJ:
			return &AssociateRJ{RejectResult(body[1]), RejectSource(body[2]), body[3]}, nil
		case TypeReleaseRQ:
			return &ReleaseRQ{}, nil
		case TypeReleaseRP:
			return &ReleaseRP{}, nil
		default:
			return &Abort{AbortSource(body[2]), AbortReason(body[3])}, nil
		}
	}
	return nil, protocolErrorf(AbortUnrecognizedPDU, "unknown PDU type 0x%02X", byte(t))
}

func (t PDUType) String() string {
	switch t {
	case TypeAssociateRQ:
		return "A-ASSOCIATE-RQ"
	case TypeAssociateAC:
		return "A-ASSOCIATE-AC"
	case TypeAssociateRJ:
		return "A-ASSOCIATE-RJ"
	case TypePDataTF:
		return "P-DATA-TF"
	case TypeReleaseRQ:
		return "A-RELEASE-RQ"
	case TypeReleaseRP:
		return "A-RELEASE-RP"
	case TypeAbort:
		return "A-ABORT"
	}
	return fmt.Sprintf("PDU 0x%02X", byte(t))
}

func (p *AssociateRJ) appendBody(b []byte) ([]byte, error) {
	return append(b, 0, byte(p.Result), byte(p.Source), p.Reason), nil
}

func (p *Abort) appendBody(b []byte) ([]byte, error) {
	return append(b, 0, 0, byte(p.Source), byte(p.Reason)), nil
}

func (*ReleaseRQ) appendBody(b []byte) ([]byte, error) { return append(b, 0, 0, 0, 0), nil }
func (*ReleaseRP) appendBody(b []byte) ([]byte, error) { return append(b, 0, 0, 0, 0), nil }

func (p *PDataTF) appendBody(b []byte) ([]byte, error) {
	for _, v := range p.Values {
		b = appendPDVHeader(b, v.ContextID, v.Command, v.Last, len(v.Data))
		b = append(b, v.Data...)
	}
	return b, nil
}

func appendPDVHeader(b []byte, id byte, command, last bool, n int) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(n+2))
	return append(b, id, controlHeader(command, last))
}

// controlHeader is the message control header (PS3.8 E.2).
func controlHeader(command, last bool) byte {
	var c byte
	if command {
		c |= 1
	}
	if last {
		c |= 2
	}
	return c
}

func decodePDataTF(b []byte) (*PDataTF, error) {
	p := &PDataTF{}
	for len(b) > 0 {
		if len(b) < pdvHeaderLen {
			return nil, protocolErrorf(AbortInvalidParameter, "P-DATA-TF ends inside the header of a value")
		}
		n := int64(binary.BigEndian.Uint32(b))
		if n < 2 || n > int64(len(b)-4) {
			return nil, protocolErrorf(
				AbortInvalidParameter, "P-DATA-TF holds a value of %d bytes where %d are left", n, len(b)-4,
			)
		}
		p.Values = append(p.Values, PDV{ContextID: b[4], Command: b[5]&1 != 0, Last: b[5]&2 != 0, Data: b[6 : 4+n]})
		b = b[4+n:]
	}
	return p, nil
}

// The item types of A-ASSOCIATE PDUs (PS3.8 9.3.2, 9.3.3).
const (
	itemApplicationContext = 0x10
	itemContextRQ          = 0x20
	itemContextAC          = 0x21
	itemAbstractSyntax     = 0x30
	itemTransferSyntax     = 0x40
	itemUserInfo           = 0x50
)

func (p *AssociateRQ) appendBody(b []byte) ([]byte, error) {
	b, err := appendAssociateHead(b, p.CalledAE, p.CallingAE, p.ApplicationContext)
	if err != nil {
		return nil, err
	}
	for _, c := range p.Contexts {
		var at int
		b, at = beginItem(b, itemContextRQ)
		b = append(b, c.ID, 0, 0, 0)
		if b, err = appendText(b, itemAbstractSyntax, c.AbstractSyntax); err != nil {
			return nil, err
		}
		for _, ts := range c.TransferSyntaxes {
			if b, err = appendText(b, itemTransferSyntax, ts); err != nil {
				return nil, err
			}
		}
		if err = endItem(b, at); err != nil {
			return nil, err
		}
	}
	return p.User.append(b)
}

func (p *AssociateAC) appendBody(b []byte) ([]byte, error) {
	b, err := appendAssociateHead(b, p.CalledAE, p.CallingAE, p.ApplicationContext)
	if err != nil {
		return nil, err
	}
	for _, c := range p.Contexts {
		var at int
		b, at = beginItem(b, itemContextAC)
		b = append(b, c.ID, 0, byte(c.Result), 0)
		ts := c.TransferSyntax
		if ts == "" {
			ts = contextResultTransferSyntaxless // the item is mandatory, though not significant on a rejection
		}
		if b, err = appendText(b, itemTransferSyntax, ts); err != nil {
			return nil, err
		}
		if err = endItem(b, at); err != nil {
			return nil, err
		}
	}
	return p.User.append(b)
}

func appendAssociateHead(b []byte, called, calling, application string) ([]byte, error) {
	if len(called) > 16 || len(calling) > 16 {
		return nil, fmt.Errorf("an AE title has at most 16 characters: %q, %q", called, calling)
	}
	b = append(b, 0, protocolVersion1, 0, 0)
	for _, ae := range [...]string{called, calling} {
		b = append(b, ae...)
		for i := len(ae); i < 16; i++ {
			b = append(b, ' ')
		}
	}
	b = append(b, make([]byte, 32)...)
	if application == "" {
		application = ApplicationContext
	}
	return appendText(b, itemApplicationContext, application)
}

func beginItem(b []byte, t byte) ([]byte, int) {
	return append(b, t, 0, 0, 0), len(b)
}

func endItem(b []byte, at int) error {
	n := len(b) - at - 4
	if n > 0xFFFF {
		return fmt.Errorf(
			"an A-ASSOCIATE item of type 0x%02X would have %d bytes, more than its length field holds", b[at], n,
		)
	}
	binary.BigEndian.PutUint16(b[at+2:], uint16(n))
	return nil
}

func appendText(b []byte, t byte, s string) ([]byte, error) {
	b, at := beginItem(b, t)
	b = append(b, s...)
	return b, endItem(b, at)
}

// items walks the (type, length, value) items of an A-ASSOCIATE PDU and counts them.
type items struct {
	b    []byte
	left *int
	err  error
}

func (it *items) next() (t byte, value []byte, ok bool) {
	if it.err != nil || len(it.b) == 0 {
		return 0, nil, false
	}
	if *it.left--; *it.left < 0 {
		it.err = protocolErrorf(AbortInvalidParameter, "more than %d items in an A-ASSOCIATE PDU", maxItems)
		return 0, nil, false
	}
	if len(it.b) < 4 {
		it.err = protocolErrorf(AbortInvalidParameter, "an A-ASSOCIATE PDU ends inside the header of an item")
		return 0, nil, false
	}
	t = it.b[0]
	n := int(binary.BigEndian.Uint16(it.b[2:]))
	if n > len(it.b)-4 {
		it.err = protocolErrorf(AbortInvalidParameter, "item 0x%02X of %d bytes where %d are left", t, n, len(it.b)-4)
		return 0, nil, false
	}
	value, it.b = it.b[4:4+n], it.b[4+n:]
	return t, value, true
}

func (it *items) sub(b []byte) *items { return &items{b: b, left: it.left} }

func (it *items) fail(err error) {
	if it.err == nil {
		it.err = err
	}
}

func text(b []byte) string { return strings.Trim(string(b), " \x00") }

func decodeHead(b []byte) (called, calling string, it *items, err error) {
	if len(b) < 68 {
		return "", "", nil, protocolErrorf(
			AbortInvalidParameter, "an A-ASSOCIATE PDU of %d bytes is shorter than its fixed part of 68", len(b),
		)
	}
	if len(b) > maxAssociatePDU {
		return "", "", nil, protocolErrorf(
			AbortInvalidParameter, "an A-ASSOCIATE PDU of %d bytes is longer than the limit of %d",
			len(b), maxAssociatePDU,
		)
	}
	left := maxItems
	return text(b[4:20]), text(b[20:36]), &items{b: b[68:], left: &left}, nil
}

func decodeAssociateRQ(b []byte) (*AssociateRQ, error) {
	called, calling, it, err := decodeHead(b)
	if err != nil {
		return nil, err
	}
	if v := binary.BigEndian.Uint16(b); v&protocolVersion1 == 0 {
		return nil,
			protocolErrorf(AbortInvalidParameter, "protocol version 0x%04X of the A-ASSOCIATE-RQ lacks version 1", v)
	}
	p := &AssociateRQ{CalledAE: called, CallingAE: calling}
	for t, v, ok := it.next(); ok; t, v, ok = it.next() {
		switch t {
		case itemApplicationContext:
			p.ApplicationContext = text(v)
		case itemContextRQ:
			p.Contexts = append(p.Contexts, it.contextRQ(v))
			if len(p.Contexts) > maxContexts {
				it.fail(protocolErrorf(AbortInvalidParameter, "more than %d presentation contexts", maxContexts))
			}
		case itemUserInfo:
			it.userInfo(v, &p.User)
		}
	}
	if it.err != nil {
		return nil, it.err
	}
	return p, nil
}

func (it *items) contextRQ(v []byte) ContextRQ {
	if len(v) < 4 {
		it.fail(protocolErrorf(
			AbortInvalidParameter, "a presentation context of %d bytes is shorter than its fixed part of 4", len(v),
		))
		return ContextRQ{}
	}
	c := ContextRQ{ID: v[0]}
	if c.ID&1 == 0 {
		it.fail(protocolErrorf(AbortInvalidParameter, "presentation context ID %d is not odd", c.ID))
	}
	sub := it.sub(v[4:])
	for t, v, ok := sub.next(); ok; t, v, ok = sub.next() {
		switch t {
		case itemAbstractSyntax:
			c.AbstractSyntax = text(v)
		case itemTransferSyntax:
			c.TransferSyntaxes = append(c.TransferSyntaxes, text(v))
		}
	}
	if sub.err != nil {
		it.fail(sub.err)
	}
	return c
}

func decodeAssociateAC(b []byte) (*AssociateAC, error) {
	called, calling, it, err := decodeHead(b)
	if err != nil {
		return nil, err
	}
	p := &AssociateAC{CalledAE: called, CallingAE: calling}
	for t, v, ok := it.next(); ok; t, v, ok = it.next() {
		switch t {
		case itemApplicationContext:
			p.ApplicationContext = text(v)
		case itemContextAC:
			p.Contexts = append(p.Contexts, it.contextAC(v))
			if len(p.Contexts) > maxContexts {
				it.fail(protocolErrorf(AbortInvalidParameter, "more than %d presentation contexts", maxContexts))
			}
		case itemUserInfo:
			it.userInfo(v, &p.User)
		}
	}
	if it.err != nil {
		return nil, it.err
	}
	return p, nil
}

func (it *items) contextAC(v []byte) ContextAC {
	if len(v) < 4 {
		it.fail(protocolErrorf(
			AbortInvalidParameter, "a presentation context of %d bytes is shorter than its fixed part of 4", len(v),
		))
		return ContextAC{}
	}
	c := ContextAC{ID: v[0], Result: ContextResult(v[2])}
	sub := it.sub(v[4:])
	for t, v, ok := sub.next(); ok; t, v, ok = sub.next() {
		if t == itemTransferSyntax && c.Result == ContextAccepted {
			c.TransferSyntax = text(v)
		}
	}
	if sub.err != nil {
		it.fail(sub.err)
	}
	return c
}
