// SPDX-License-Identifier: AGPL-3.0-or-later

package dict

import (
	"cmp"
	"slices"
	"strings"
)

// UIDKind says what a registered UID stands for.
type UIDKind uint8

// What UIDs of the registry stand for (PS3.6 annex A).
const (
	KindSOPClass UIDKind = iota + 1
	KindMetaSOPClass
	KindServiceClass
	KindTransferSyntax
	KindApplicationContext
	KindWellKnownInstance
	KindWellKnownFrameOfReference
	KindCodingScheme
	KindMappingResource
	KindApplicationHostingModel
)

// UIDEntry is a row of the registry of unique identifiers.
type UIDEntry struct {
	UID     string
	Name    string
	Keyword string
	Kind    UIDKind
	Retired bool
}

// ValidUID reports whether a UID is one of PS3.5 9.1: numbers with dots between them, at most 64 characters. Numbers
// with leading zeros, which some devices write, pass.
func ValidUID(uid string) bool {
	if uid == "" || len(uid) > 64 {
		return false
	}
	for part := range strings.SplitSeq(uid, ".") {
		if part == "" || strings.Trim(part, "0123456789") != "" {
			return false
		}
	}
	return true
}

// LookupUID finds a UID of the standard.
func LookupUID(uid string) (UIDEntry, bool) {
	i, ok := slices.BinarySearchFunc(uids[:], uid, func(u UIDEntry, s string) int { return cmp.Compare(u.UID, s) })
	if !ok {
		return UIDEntry{}, false
	}
	return uids[i], true
}

// UIDName returns the name of a registered UID, and the UID itself for others.
func UIDName(uid string) string {
	if u, ok := LookupUID(uid); ok {
		return u.Name
	}
	return uid
}

// IsStorageClass reports whether objects of the SOP class are stored with C-STORE. Private classes are not known to it.
func IsStorageClass(uid string) bool {
	u, ok := LookupUID(uid)
	return ok && u.isStorage()
}

// StorageClasses lists the storage SOP classes, without the retired ones if current is set.
func StorageClasses(current bool) []string {
	var list []string
	for i := range uids {
		if u := &uids[i]; u.isStorage() && !(current && u.Retired) {
			list = append(list, u.UID)
		}
	}
	return list
}

// TransferSyntaxes lists the registered transfer syntaxes, retired ones included.
func TransferSyntaxes() []string {
	var list []string
	for i := range uids {
		if u := &uids[i]; u.Kind == KindTransferSyntax {
			list = append(list, u.UID)
		}
	}
	return list
}

func (u *UIDEntry) isStorage() bool {
	if u.Kind != KindSOPClass || u.UID == MediaStorageDirectoryStorage || u.UID == StoredPrintStorage {
		return false
	}
	// Information models, queries and the like never end so.
	return strings.HasSuffix(u.Keyword, "Storage") || strings.HasSuffix(u.Keyword, "StorageTrial") ||
		strings.HasSuffix(u.Keyword, "StorageRetired") || strings.Contains(u.Keyword, "StorageFor")
}
