// SPDX-License-Identifier: AGPL-3.0-or-later

package mail

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/db"
)

var (
	waiting = prometheus.NewDesc("adit_mails_waiting", "Mails that wait to be sent, up to 10000.", nil, nil)
	age     = prometheus.NewDesc("adit_mail_age_seconds", "How long the oldest mail has waited to be sent.", nil, nil)
)

// Collectors returns the metrics of the outbox, to be registered once.
func (s *Service) Collectors() []prometheus.Collector {
	return []prometheus.Collector{db.NewSnapshot(
		[]*prometheus.Desc{waiting, age},
		func(ctx context.Context) ([]prometheus.Metric, error) {
			b, err := s.q.MailBacklog(ctx)
			if err != nil {
				return nil, err
			}
			return []prometheus.Metric{db.Gauge(waiting, float64(b.Mails)), db.Gauge(age, b.Age)}, nil
		})}
}
