// SPDX-License-Identifier: AGPL-3.0-or-later

// Package version tells the versions of what people edit apart, so that nobody overwrites what somebody else has
// changed meanwhile. A version is the entity tag of HTTP (RFC 9110, 8.8.3). What a caller expects goes along in the
// context of a request; the transaction that locks the row compares it.
package version

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/adit-go/adit/internal/refusal"
)

// Of returns the version of something by what people may change about it: the same for the same values, whichever
// process answers.
func Of(editable ...any) string {
	text, err := json.Marshal(editable)
	if err != nil {
		panic(fmt.Sprintf("version: %v", err)) // of a type that has no JSON form
	}
	sum := sha256.Sum256(text)
	return `"` + base64.RawURLEncoding.EncodeToString(sum[:15]) + `"`
}

type expectedKey struct{}

// Expect returns the context of a request that is to be done only if what it changes has one of the versions of an
// If-Match header; empty: whatever its version is.
func Expect(ctx context.Context, ifMatch string) context.Context {
	if strings.TrimSpace(ifMatch) == "" {
		return ctx
	}
	return context.WithValue(ctx, expectedKey{}, ifMatch)
}

// Check refuses a change of what has another version than the caller expects. It belongs into the transaction of the
// change, after the lock: of two callers who expect the same version, one is refused.
func Check(ctx context.Context, now string) error {
	expected, ok := ctx.Value(expectedKey{}).(string)
	if !ok || among(expected, now) {
		return nil
	}
	return &refusal.Changed{}
}

// None refuses a change of what is not there, if the caller expects a version of it.
func None(ctx context.Context) error {
	if _, ok := ctx.Value(expectedKey{}).(string); ok {
		return &refusal.Changed{}
	}
	return nil
}

// Known reports whether a caller has a version already, by an If-None-Match header.
func Known(ifNoneMatch, now string) bool {
	return ifNoneMatch != "" && among(strings.ReplaceAll(ifNoneMatch, "W/", ""), now)
}

// among reports whether a version is in the list of a header. No tag of ours has a comma in it.
func among(header, tag string) bool {
	for one := range strings.SplitSeq(header, ",") {
		if one = strings.TrimSpace(one); one == tag || one == "*" {
			return true
		}
	}
	return false
}
