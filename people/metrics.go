// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/db"
)

var (
	auditUnsealed  = prometheus.NewDesc("adit_audit_unsealed_rows", "Rows of the audit log that wait to be sealed, up to 10000.", nil, nil)
	auditAge       = prometheus.NewDesc("adit_audit_unsealed_age_seconds", "How long the oldest row of the audit log waits to be sealed; a running ADIT seals rows within a second.", nil, nil)
	auditUnsent    = prometheus.NewDesc("adit_audit_unsent_rows", "Rows that the receiver of the audit messages has not got yet, of the one that is furthest behind.", nil, nil)
	auditUnsentAge = prometheus.NewDesc("adit_audit_unsent_age_seconds", "How old the oldest row is that the receiver of the audit messages has not got yet.", nil, nil)
	mailsWaiting   = prometheus.NewDesc("adit_mails_waiting", "Mails that wait to be sent, up to 10000.", nil, nil)
	mailAge        = prometheus.NewDesc("adit_mail_age_seconds", "How long the oldest mail waits to be sent.", nil, nil)
)

// Collectors gives the metrics of the audit log and of the mails, to be registered once.
func (s *Service) Collectors() []prometheus.Collector {
	return []prometheus.Collector{db.NewSnapshot(
		[]*prometheus.Desc{auditUnsealed, auditAge, auditUnsent, auditUnsentAge, mailsWaiting, mailAge},
		func(ctx context.Context) ([]prometheus.Metric, error) {
			audit, err := s.q.AuditBacklog(ctx)
			if err != nil {
				return nil, err
			}
			mails, err := s.q.MailBacklog(ctx)
			if err != nil {
				return nil, err
			}
			gauge := func(d *prometheus.Desc, value float64) prometheus.Metric {
				return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, max(value, 0)) // a clock may be put back
			}
			return []prometheus.Metric{
				gauge(auditUnsealed, float64(audit.Unsealed)), gauge(auditAge, audit.Age), gauge(auditUnsent, float64(audit.Unsent)), gauge(auditUnsentAge, audit.UnsentAge),
				gauge(mailsWaiting, float64(mails.Mails)), gauge(mailAge, mails.Age),
			}, nil
		})}
}
