// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
)

// fixed is a header that never changes.
type fixed struct{ name, value string }

// Basic are user and password (RFC 7617).
func Basic(user, password string) Credentials {
	return fixed{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))}
}

// FixedHeader is a header with a secret: Authorization with "Bearer …", or one of the server's own.
func FixedHeader(name, value string) Credentials {
	return fixed{strings.TrimSpace(name), strings.TrimSpace(value)}
}

// Header gives the header. Its error doesn't repeat the value.
func (f fixed) Header(context.Context) (name, value string, err error) {
	if !isHeaderName(f.name) {
		return "", "", errors.New("the credentials of the DICOMweb server have no valid header name; correct it")
	}
	if strings.ContainsFunc(f.value, isControl) {
		return "", "", errors.New("the credentials of the DICOMweb server have control characters; correct them")
	}
	return f.name, f.value, nil
}

// Rejected says that there is nothing else to try.
func (fixed) Rejected(string) bool { return false }

func isControl(c rune) bool { return c < ' ' || c == 0x7F }

func isHeaderName(s string) bool {
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'z' || c == '-' || c == '_') {
			return false
		}
	}
	return s != ""
}
