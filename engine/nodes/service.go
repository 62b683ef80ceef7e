// SPDX-License-Identifier: AGPL-3.0-or-later

// Package nodes manages the DICOM nodes: servers and folders with all their settings, who may send from where, and the
// caps of a schedule.
package nodes

import (
	"github.com/adit-go/adit/engine/base"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	tokens tokens
}

// New returns the service of an engine.
func New(b *base.Base) *Service {
	return &Service{Base: b}
}
