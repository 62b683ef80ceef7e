// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"

	"github.com/adit-go/adit/audit"
)

// Audit returns the audit log. It checks no rights.
func (s *Service) Audit() *audit.Service { return s.audit }

// ReadAudit lists rows of the audit log for staff. Reading the log leaves a row in it (PS3.15 A.5.3.2).
func (s *Service) ReadAudit(ctx context.Context, user User, f audit.Filter) ([]audit.Row, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.audit.List(ctx, f)
	if err != nil {
		return nil, err
	}
	return rows, audit.Record(ctx, s.q, audit.Entry{
		Action: "audit.read", Object: "audit log", PatientID: f.PatientID,
		StudyUID: f.StudyUID, Detail: map[string]any{"user": f.Username, "action": f.Action},
	})
}
