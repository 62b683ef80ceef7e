// SPDX-License-Identifier: AGPL-3.0-or-later

// Package verify checks after the delivery that the destination has what it acknowledged: by asking for it, or by
// storage commitment.
package verify

import "github.com/adit-go/adit/engine/base"

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	listens func() bool
	reports *reports
}

// New returns the service of an engine. listens reports whether this process has a receiver, to which destinations may
// report.
func New(b *base.Base, listens func() bool) *Service {
	return &Service{Base: b, listens: listens, reports: newReports()}
}
