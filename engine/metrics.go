// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import "github.com/prometheus/client_golang/prometheus"

// metrics count what this process moved since it started. Labels are names of DICOM nodes and statuses, nothing of patients.
type metrics struct {
	instances, bytes, runs *prometheus.CounterVec
}

func newMetrics() *metrics {
	return &metrics{
		instances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_instances_delivered_total", Help: "Instances that a destination acknowledged.",
		}, []string{"source", "destination"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_bytes_delivered_total", Help: "Bytes of the data sets that a destination acknowledged.",
		}, []string{"source", "destination"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_task_runs_total", Help: "Runs of tasks by how they ended; pending: it goes on later.",
		}, []string{"status"}),
	}
}

// Collectors gives the metrics of transfers and of associations, to be registered once.
func (e *Engine) Collectors() []prometheus.Collector {
	return append([]prometheus.Collector{e.metrics.instances, e.metrics.bytes, e.metrics.runs}, e.door.Collectors()...)
}
