// SPDX-License-Identifier: AGPL-3.0-or-later

// Package projects manages projects: their profiles and keys, and the linkage tables.
package projects

import (
	"github.com/adit-go/adit/engine/base"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
}

// New returns the service of an engine.
func New(b *base.Base) *Service {
	return &Service{Base: b}
}
