// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/db"
)

var (
	unsealedRows = prometheus.NewDesc(
		"adit_audit_unsealed_rows", "Rows of the audit log that wait to be sealed, up to 10000.", nil, nil,
	)
	unsealedAge = prometheus.NewDesc(
		"adit_audit_unsealed_age_seconds",
		"How long the oldest row of the audit log has waited to be sealed; a running ADIT seals rows within a second.",
		nil, nil,
	)
	unsentRows = prometheus.NewDesc(
		"adit_audit_unsent_rows",
		"Rows that the receiver of the audit messages that is furthest behind has not received yet.", nil, nil,
	)
	unsentAge = prometheus.NewDesc(
		"adit_audit_unsent_age_seconds",
		"Age of the oldest row that the receiver of the audit messages has not received yet.", nil, nil,
	)
)

// Collectors returns the metrics of the audit log, to be registered once.
func (s *Service) Collectors() []prometheus.Collector {
	return []prometheus.Collector{db.NewSnapshot(
		[]*prometheus.Desc{unsealedRows, unsealedAge, unsentRows, unsentAge},
		func(ctx context.Context) ([]prometheus.Metric, error) {
			b, err := s.q.AuditBacklog(ctx)
			if err != nil {
				return nil, err
			}
			return []prometheus.Metric{
				db.Gauge(unsealedRows, float64(b.Unsealed)), db.Gauge(unsealedAge, b.Age),
				db.Gauge(unsentRows, float64(b.Unsent)), db.Gauge(unsentAge, b.UnsentAge),
			}, nil
		})}
}
