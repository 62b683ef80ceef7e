// SPDX-License-Identifier: AGPL-3.0-or-later

// Package receive decides about what arrives at the receiver and who calls it: what it takes, whom it turns away, and
// why.
package receive

import "github.com/adit-go/adit/engine/base"

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	callers *callers
}

// New returns the service of an engine.
func New(b *base.Base) *Service { return &Service{Base: b, callers: newCallers()} }
