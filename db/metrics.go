// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	snapshotAge     = 5 * time.Second // that a snapshot may be old
	snapshotTimeout = 4 * time.Second // for reading one
)

// Snapshot is a collector of what is read from the database: at most once in some seconds, however often it is asked
// for. While the database doesn't answer it gives nothing, since nothing is known then.
type Snapshot struct {
	descs []*prometheus.Desc
	read  func(ctx context.Context) ([]prometheus.Metric, error)

	mu      sync.Mutex
	at      time.Time
	metrics []prometheus.Metric
}

// NewSnapshot returns a collector of the metrics that read returns, all of them of these descriptions.
func NewSnapshot(descs []*prometheus.Desc, read func(ctx context.Context) ([]prometheus.Metric, error)) *Snapshot {
	return &Snapshot{descs: descs, read: read}
}

// Describe implements prometheus.Collector.
func (s *Snapshot) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range s.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (s *Snapshot) Collect(ch chan<- prometheus.Metric) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at.IsZero() || time.Since(s.at) >= snapshotAge {
		ctx, cancel := context.WithTimeout(context.Background(), snapshotTimeout)
		defer cancel()
		metrics, err := s.read(ctx)
		switch {
		case err == nil:
		case TroubleOf(err) != nil, ctx.Err() != nil:
			metrics = nil
		default:
			metrics = []prometheus.Metric{prometheus.NewInvalidMetric(s.descs[0], err)}
		}
		s.at, s.metrics = time.Now(), metrics
	}
	for _, m := range s.metrics {
		ch <- m
	}
}

// Gauge returns a metric of a snapshot, never below 0: a clock may have been put back.
func Gauge(d *prometheus.Desc, value float64) prometheus.Metric {
	return prometheus.MustNewConstMetric(d, prometheus.GaugeValue, max(value, 0))
}

// PoolCollectors returns the metrics of a pool, to be registered once.
func PoolCollectors(pool *pgxpool.Pool) []prometheus.Collector {
	gauge := func(name, help string, value func(*pgxpool.Stat) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(pool.Stat()) },
		)
	}
	counter := func(name, help string, value func(*pgxpool.Stat) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(
			prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return value(pool.Stat()) },
		)
	}
	up := prometheus.NewDesc(
		"adit_database_up", "Whether the database answers this process within four seconds: 1 or 0.", nil, nil,
	)
	return []prometheus.Collector{
		NewSnapshot([]*prometheus.Desc{up}, func(ctx context.Context) ([]prometheus.Metric, error) {
			answers := 1.0
			if pool.Ping(ctx) != nil {
				answers = 0
			}
			return []prometheus.Metric{prometheus.MustNewConstMetric(up, prometheus.GaugeValue, answers)}, nil
		}),
		gauge(
			"adit_database_connections_acquired", "Connections of this process's pool that are in use.",
			func(s *pgxpool.Stat) float64 { return float64(s.AcquiredConns()) },
		),
		gauge(
			"adit_database_connections_idle", "Connections of this process's pool that are not in use.",
			func(s *pgxpool.Stat) float64 { return float64(s.IdleConns()) },
		),
		gauge(
			"adit_database_connections_limit", "Connections that this process's pool may have.",
			func(s *pgxpool.Stat) float64 { return float64(s.MaxConns()) },
		),
		counter(
			"adit_database_waits_total", "How often something waited for a connection because all were in use.",
			func(s *pgxpool.Stat) float64 { return float64(s.EmptyAcquireCount()) },
		),
		counter("adit_database_wait_seconds_total", "Total time spent waiting for a connection.",
			func(s *pgxpool.Stat) float64 { return s.EmptyAcquireWaitTime().Seconds() }),
	}
}
