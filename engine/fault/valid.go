// SPDX-License-Identifier: AGPL-3.0-or-later

package fault

import (
	"net"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/internal/text"
)

// ValidUID is the one rule for UIDs, of requests and of instances.
func ValidUID(uid string) bool { return dict.ValidUID(uid) }

// BadInExactKey reports whether a character can't stand in a key that is matched exactly.
func BadInExactKey(r rune) bool { return r < ' ' || r == '*' || r == '?' || r == '\\' || r == 0x7f }

// ValidText reports whether a text fits an LO attribute (PS3.5 6.2); textReason says what is wrong otherwise.
func ValidText(s string) bool {
	return utf8.ValidString(s) && utf8.RuneCountInString(s) <= 64 &&
		!strings.ContainsFunc(s, func(r rune) bool { return unicode.IsControl(r) || r == '\\' })
}

// TextReason says what ValidText wants.
const TextReason = "at most 64 characters, without a backslash or control characters"

// ValidAE reports whether a text is an AE title (PS3.5 6.2).
func ValidAE(title string) bool {
	return title != "" && len(title) <= 16 &&
		!strings.ContainsFunc(title, func(r rune) bool { return r < ' ' || r > '~' || r == '\\' })
}

// ValidHost reports whether a text is the name or address of a host.
func ValidHost(host string) bool {
	return net.ParseIP(host) != nil || host != "" &&
		!strings.ContainsFunc(host, func(r rune) bool { return r == ' ' || r == '/' || r == ':' || text.Hidden(r) })
}
