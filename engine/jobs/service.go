// SPDX-License-Identifier: AGPL-3.0-or-later

// Package jobs is jobs and tasks as people see them: how they are made, what can be done to them, why they wait, and
// their reports.
package jobs

import (
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/projects"
)

// Service of one engine. It is safe for concurrent use.
type Service struct {
	*base.Base
	nodes    *nodes.Service
	projects *projects.Service
}

// New returns the service of an engine.
func New(b *base.Base, ofNodes *nodes.Service, ofProjects *projects.Service) *Service {
	return &Service{Base: b, nodes: ofNodes, projects: ofProjects}
}
