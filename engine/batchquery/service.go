// SPDX-License-Identifier: AGPL-3.0-or-later

// Package batchquery runs the tasks of batch queries, each of which asks a server what one row of a file describes, and
// keeps what they found.
package batchquery

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/inquiry"
	"github.com/adit-go/adit/engine/jobs"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	jobs    *jobs.Service
	inquiry *inquiry.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofJobs *jobs.Service, ofInquiry *inquiry.Service) *Service {
	return &Service{Base: b, jobs: ofJobs, inquiry: ofInquiry}
}
