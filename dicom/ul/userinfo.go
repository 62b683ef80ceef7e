// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"encoding/binary"
	"fmt"
)

// UserInfo is the user information item of A-ASSOCIATE-RQ and -AC (PS3.8 D.1, PS3.7 D.3.3).
type UserInfo struct {
	// bytes that the sender of this item takes per P-DATA-TF, header excluded; 0 is no limit
	MaxPDU                uint32
	ImplementationUID     string
	ImplementationVersion string
	AsyncOperations       *AsyncOperations
	Roles                 []RoleSelection
	Extended              []ExtendedNegotiation
	UserIdentityRQ        *UserIdentityRQ
	UserIdentityAC        *UserIdentityAC
	Unknown               []Item // items of other types, kept as they came
}

// AsyncOperations is the asynchronous operations window (PS3.7 D.3.3.3); 0 is unlimited.
type AsyncOperations struct {
	Invoked, Performed uint16
}

// RoleSelection is the SCP/SCU role selection of one SOP class (PS3.7 D.3.3.4).
type RoleSelection struct {
	SOPClassUID string
	SCU, SCP    bool
}

// ExtendedNegotiation is the SOP class extended negotiation (PS3.7 D.3.3.5); Info is the service's own.
type ExtendedNegotiation struct {
	SOPClassUID string
	Info        []byte
}

// The types of user identity (PS3.7 D.3.3.7.1).
const (
	IdentityUsername byte = 1
	IdentityPasscode byte = 2 // user name and passcode
	IdentityKerberos byte = 3 // service ticket
	IdentitySAML     byte = 4 // assertion
	IdentityJWT      byte = 5 // JSON Web Token
)

// UserIdentityRQ names the user of the requestor (PS3.7 D.3.3.7.1). It travels in the clear unless TLS is used.
type UserIdentityRQ struct {
	Type             byte
	PositiveResponse bool   // the peer is to answer with a UserIdentityAC if it accepts
	Primary          []byte // user name, ticket, assertion or token
	Secondary        []byte // the passcode
}

// String names the type only: the rest is secret.
func (q UserIdentityRQ) String() string { return fmt.Sprintf("user identity of type %d", q.Type) }

// UserIdentityAC answers it (PS3.7 D.3.3.7.2).
type UserIdentityAC struct {
	Response []byte
}

// Item is a user information sub-item of a type that this package does not know.
type Item struct {
	Type  byte
	Value []byte
}

// The user information sub-items (PS3.7 D.3.3).
const (
	itemMaxLength             = 0x51
	itemImplementationUID     = 0x52
	itemAsyncOperations       = 0x53
	itemRoleSelection         = 0x54
	itemImplementationVersion = 0x55
	itemExtendedNegotiation   = 0x56
	itemUserIdentityRQ        = 0x58
	itemUserIdentityAC        = 0x59
)

func (u *UserInfo) append(b []byte) ([]byte, error) {
	b, at := beginItem(b, itemUserInfo)
	b = append(b, itemMaxLength, 0, 0, 4)
	b = binary.BigEndian.AppendUint32(b, u.MaxPDU)
	var err error
	if u.ImplementationUID != "" {
		if b, err = appendText(b, itemImplementationUID, u.ImplementationUID); err != nil {
			return nil, err
		}
	}
	if w := u.AsyncOperations; w != nil {
		b = append(b, itemAsyncOperations, 0, 0, 4)
		b = binary.BigEndian.AppendUint16(b, w.Invoked)
		b = binary.BigEndian.AppendUint16(b, w.Performed)
	}
	for _, r := range u.Roles {
		if b, err = r.append(b); err != nil {
			return nil, err
		}
	}
	if u.ImplementationVersion != "" {
		if b, err = appendText(b, itemImplementationVersion, u.ImplementationVersion); err != nil {
			return nil, err
		}
	}
	for _, x := range u.Extended {
		if b, err = x.append(b); err != nil {
			return nil, err
		}
	}
	if b, err = u.appendIdentity(b); err != nil {
		return nil, err
	}
	for _, x := range u.Unknown {
		var at int
		b, at = beginItem(b, x.Type)
		b = append(b, x.Value...)
		if err = endItem(b, at); err != nil {
			return nil, err
		}
	}
	return b, endItem(b, at)
}

func (r RoleSelection) append(b []byte) ([]byte, error) {
	b, at := beginItem(b, itemRoleSelection)
	b, err := appendCounted(b, []byte(r.SOPClassUID))
	if err != nil {
		return nil, err
	}
	b = append(b, bit(r.SCU), bit(r.SCP))
	return b, endItem(b, at)
}

func (x ExtendedNegotiation) append(b []byte) ([]byte, error) {
	b, at := beginItem(b, itemExtendedNegotiation)
	b, err := appendCounted(b, []byte(x.SOPClassUID))
	if err != nil {
		return nil, err
	}
	b = append(b, x.Info...)
	return b, endItem(b, at)
}

func (u *UserInfo) appendIdentity(b []byte) ([]byte, error) {
	var at int
	var err error
	if q := u.UserIdentityRQ; q != nil {
		b, at = beginItem(b, itemUserIdentityRQ)
		b = append(b, q.Type, bit(q.PositiveResponse))
		if b, err = appendCounted(b, q.Primary); err != nil {
			return nil, err
		}
		if b, err = appendCounted(b, q.Secondary); err != nil {
			return nil, err
		}
		if err = endItem(b, at); err != nil {
			return nil, err
		}
	}
	if a := u.UserIdentityAC; a != nil {
		b, at = beginItem(b, itemUserIdentityAC)
		if b, err = appendCounted(b, a.Response); err != nil {
			return nil, err
		}
		if err = endItem(b, at); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendCounted(b, v []byte) ([]byte, error) {
	if len(v) > 0xFFFF {
		return nil, fmt.Errorf("a value of %d bytes does not fit into the user information of an association", len(v))
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(v)))
	return append(b, v...), nil
}

func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// userInfo decodes the sub-items. Sub-items that are too short for their fixed fields are errors; bytes after them
// are ignored, as later editions may add some.
func (it *items) userInfo(b []byte, u *UserInfo) {
	sub := it.sub(b)
	for t, v, ok := sub.next(); ok; t, v, ok = sub.next() {
		if !u.decodeItem(t, v) {
			sub.fail(protocolErrorf(
				AbortInvalidParameter, "user information item 0x%02X of %d bytes is truncated", t, len(v),
			))
		}
	}
	if sub.err != nil {
		it.fail(sub.err)
	}
}

func (u *UserInfo) decodeItem(t byte, v []byte) bool {
	switch t {
	case itemMaxLength:
		if len(v) < 4 {
			return false
		}
		u.MaxPDU = binary.BigEndian.Uint32(v)
	case itemImplementationUID:
		u.ImplementationUID = text(v)
	case itemImplementationVersion:
		u.ImplementationVersion = text(v)
	case itemAsyncOperations:
		if len(v) < 4 {
			return false
		}
		u.AsyncOperations = &AsyncOperations{binary.BigEndian.Uint16(v), binary.BigEndian.Uint16(v[2:])}
	case itemRoleSelection:
		uid, rest, ok := counted(v)
		if !ok || len(rest) < 2 {
			return false
		}
		u.Roles = append(u.Roles, RoleSelection{text(uid), rest[0] != 0, rest[1] != 0})
	case itemExtendedNegotiation:
		uid, rest, ok := counted(v)
		if !ok {
			return false
		}
		u.Extended = append(u.Extended, ExtendedNegotiation{text(uid), clone(rest)})
	case itemUserIdentityRQ:
		return u.decodeIdentityRQ(v)
	case itemUserIdentityAC:
		r, _, ok := counted(v)
		u.UserIdentityAC = &UserIdentityAC{clone(r)}
		return ok
	default:
		u.Unknown = append(u.Unknown, Item{t, clone(v)})
	}
	return true
}

func (u *UserInfo) decodeIdentityRQ(v []byte) bool {
	if len(v) < 2 {
		return false
	}
	primary, rest, ok := counted(v[2:])
	if !ok {
		return false
	}
	secondary, _, ok := counted(rest)
	u.UserIdentityRQ = &UserIdentityRQ{v[0], v[1] != 0, clone(primary), clone(secondary)}
	return ok
}

// counted splits a value with a two-byte length from what follows.
func counted(b []byte) (value, rest []byte, ok bool) {
	if len(b) < 2 {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(b))
	if n > len(b)-2 {
		return nil, nil, false
	}
	return b[2 : 2+n], b[2+n:], true
}

// clone copies, so that a decoded item does not keep the whole PDU alive. Empty values become nil.
func clone(b []byte) []byte { return append([]byte(nil), b...) }
