// SPDX-License-Identifier: AGPL-3.0-or-later

package base

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/engine/fault"
)

// Metrics count what this process moved since it started. Labels are names of DICOM nodes and words of ours, nothing of
// patients.
type Metrics struct {
	Instances, Bytes, Runs, Faults *prometheus.CounterVec
	Received, ReceivedBytes        *prometheus.CounterVec
	Disks                          *diskGauges
}

// NewMetrics returns metrics that have counted nothing.
func NewMetrics() *Metrics {
	m := &Metrics{
		Instances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_instances_delivered_total", Help: "Instances that a destination acknowledged.",
		}, []string{"source", "destination"}),
		Bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_bytes_delivered_total", Help: "Bytes of the data sets that a destination acknowledged.",
		}, []string{"source", "destination"}),
		Received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_instances_received_total", Help: "Instances that came from a source, whatever happened to them.",
		}, []string{"source"}),
		ReceivedBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_bytes_received_total",
			Help: "Bytes of the data sets from a source that ADIT sent to a destination, whatever it answered.",
		}, []string{"source"}),
		Runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_task_runs_total", Help: "Runs of tasks by how they ended; pending: the task continues later.",
		}, []string{"status"}),
		Faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_task_faults_total",
			Help: "Runs of tasks that ended by a fault, by its kind; they may be tried again.",
		}, []string{"kind"}),
		Disks: newDiskGauges(),
	}
	for _, kind := range fault.Kinds {
		m.Faults.WithLabelValues(kind)
	}
	return m
}

// diskGauges tell of the disks that this process sees, as the last round of the housekeeping found them.
type diskGauges struct {
	free, size, seen *prometheus.Desc

	mu    sync.Mutex
	disks []DiskFigures
	at    time.Time // of the last round that came to its end
}

// DiskFigures are the room on the disk of a folder, in bytes.
type DiskFigures struct {
	Folder     string // name of the DICOM node; empty: the data directory
	Free, Size float64
}

func newDiskGauges() *diskGauges {
	return &diskGauges{
		free: prometheus.NewDesc(
			"adit_disk_free_bytes",
			"Bytes free where ADIT writes: in a folder, or in its data directory (folder is empty).",
			[]string{"folder"}, nil,
		),
		size: prometheus.NewDesc(
			"adit_disk_size_bytes", "Size in bytes of the disks where ADIT writes.", []string{"folder"}, nil,
		),
		seen: prometheus.NewDesc(
			"adit_disks_checked_timestamp_seconds",
			"When all disks last answered; each minute, unless one of them hangs.", nil, nil,
		),
	}
}

func (g *diskGauges) Put(disks []DiskFigures) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.disks, g.at = disks, time.Now()
}

// Describe implements prometheus.Collector.
func (g *diskGauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.free
	ch <- g.size
	ch <- g.seen
}

// Collect implements prometheus.Collector.
func (g *diskGauges) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.at.IsZero() {
		return
	}
	for _, d := range g.disks {
		ch <- prometheus.MustNewConstMetric(g.free, prometheus.GaugeValue, d.Free, d.Folder)
		ch <- prometheus.MustNewConstMetric(g.size, prometheus.GaugeValue, d.Size, d.Folder)
	}
	ch <- prometheus.MustNewConstMetric(g.seen, prometheus.GaugeValue, float64(g.at.UnixMilli())/1e3)
}

// Collectors returns them, to be registered once.
func (m *Metrics) Collectors() []prometheus.Collector {
	return []prometheus.Collector{m.Instances, m.Bytes, m.Received, m.ReceivedBytes, m.Runs, m.Faults, m.Disks}
}
