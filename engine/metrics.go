// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"errors"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/people"
)

// metrics count what this process moved since it started. Labels are names of DICOM nodes and words of ours, nothing of patients.
type metrics struct {
	instances, bytes, runs, faults *prometheus.CounterVec
	received, receivedBytes        *prometheus.CounterVec
	disks                          *diskGauges
}

// Why a run of a task did not come to a good end.
const (
	faultDatabase    = "database"          // it didn't answer
	faultDown        = "server_down"       // a server couldn't be reached
	faultFull        = "server_full"       // a server was out of resources, or took no further association
	faultRefused     = "server_refused"    // a server doesn't do what was asked
	faultBroken      = "server_broke_off"  // an association broke, or what came over it can't be read
	faultBarred      = "receiver_barred"   // the receiver turned the source away
	faultUnavailable = "study_offline"     // the study has to be brought back
	faultDisk        = "disk"              // a file couldn't be written
	faultQuota       = "quota"             // the folder may not grow any more
	faultDenied      = "denied"            // a right is missing
	faultMissing     = "instances_missing" // nothing failed, and instances are missing at the destination
	faultOther       = "other"
)

var faultKinds = []string{
	faultDatabase, faultDown, faultFull, faultRefused, faultBroken, faultBarred, faultUnavailable, faultDisk, faultQuota, faultDenied, faultMissing, faultOther,
}

// faultKind tells of what kind an error is that ended a run.
func faultKind(err error) string {
	own, _ := errors.AsType[*fault](err)
	var denied *people.Denied
	var quota *noRoom
	switch {
	case own != nil && own.unavailable:
		return faultUnavailable
	case own != nil && own.barred:
		return faultBarred
	case DatabaseTrouble(err) != nil:
		return faultDatabase
	case own != nil && own.full:
		return faultFull
	case Unreachable(err):
		if _, answered := errors.AsType[*dimse.StatusError](err); answered {
			return faultFull
		}
		return faultDown
	case errors.As(err, &quota):
		return faultQuota
	case errors.As(err, &denied):
		return faultDenied
	case diskFault(err):
		return faultDisk
	case PeerFailed(err):
		return faultBroken
	case PeerRefused(err):
		return faultRefused
	}
	return faultOther
}

func newMetrics() *metrics {
	m := &metrics{
		instances: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_instances_delivered_total", Help: "Instances that a destination acknowledged.",
		}, []string{"source", "destination"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_bytes_delivered_total", Help: "Bytes of the data sets that a destination acknowledged.",
		}, []string{"source", "destination"}),
		received: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_instances_received_total", Help: "Instances that came from a source, whatever became of them.",
		}, []string{"source"}),
		receivedBytes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_bytes_received_total", Help: "Bytes of the data sets from a source that were handed to a destination, whatever it answered.",
		}, []string{"source"}),
		runs: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_task_runs_total", Help: "Runs of tasks by how they ended; pending: it goes on later.",
		}, []string{"status"}),
		faults: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "adit_task_faults_total", Help: "Runs of tasks that something kept from a good end, by what it was; they may be tried again.",
		}, []string{"kind"}),
		disks: newDiskGauges(),
	}
	for _, kind := range faultKinds {
		m.faults.WithLabelValues(kind)
	}
	return m
}

// Collectors gives the metrics of transfers, of the site and of associations, to be registered once.
func (e *Engine) Collectors() []prometheus.Collector {
	m := e.metrics
	return append([]prometheus.Collector{m.instances, m.bytes, m.received, m.receivedBytes, m.runs, m.faults, m.disks, e.siteMetrics()}, e.door.Collectors()...)
}

// diskGauges tell of the disks that this process sees, as the last round of the house-keeping found them.
type diskGauges struct {
	free, size, seen *prometheus.Desc

	mu    sync.Mutex
	disks []diskFigures
	at    time.Time // of the last round that came to its end
}

type diskFigures struct {
	folder     string // name of the DICOM node; empty: the data directory
	free, size float64
}

func newDiskGauges() *diskGauges {
	return &diskGauges{
		free: prometheus.NewDesc("adit_disk_free_bytes", "Bytes free where ADIT writes: below a folder, or its data directory (folder is empty).", []string{"folder"}, nil),
		size: prometheus.NewDesc("adit_disk_size_bytes", "Bytes that there are in all where ADIT writes.", []string{"folder"}, nil),
		seen: prometheus.NewDesc("adit_disks_checked_timestamp_seconds", "When all disks had last answered; each minute, unless one of them hangs.", nil, nil),
	}
}

func (g *diskGauges) put(disks []diskFigures) {
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
		ch <- prometheus.MustNewConstMetric(g.free, prometheus.GaugeValue, d.free, d.folder)
		ch <- prometheus.MustNewConstMetric(g.size, prometheus.GaugeValue, d.size, d.folder)
	}
	ch <- prometheus.MustNewConstMetric(g.seen, prometheus.GaugeValue, float64(g.at.UnixMilli())/1e3)
}
