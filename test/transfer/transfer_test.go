// SPDX-License-Identifier: AGPL-3.0-or-later

// Package transfer tests the main job from outside: studies that go from one server to another, complete or loud.
package transfer

import (
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

func startPACS(t *testing.T, cfg pacs.Config) *pacs.PACS {
	t.Helper()
	p, err := pacs.Start(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// ct is a small study of one series.
func ct(seed uint64, instances int) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: instances, Rows: 64, Columns: 64}},
	})
}

func TestServerToServer(t *testing.T) {
	study := ct(1, 40)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)

	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, "%+v", n.Task(job.ID))
	requireSame(t, src, dst, 40)

	n.Stop(harness.Deadline) // everything is counted
	registry := prometheus.NewRegistry()
	registry.MustRegister(n.Engine.Collectors()...)
	require.NoError(t, testutil.GatherAndCompare(registry, strings.NewReader(`
		# HELP adit_associations_open Associations, and connections for DICOMweb, that this process has open to a server.
		# TYPE adit_associations_open gauge
		adit_associations_open{server="destination"} 0
		adit_associations_open{server="source"} 0
		# HELP adit_instances_delivered_total Instances that a destination acknowledged.
		# TYPE adit_instances_delivered_total counter
		adit_instances_delivered_total{destination="destination",source="source"} 40
		# HELP adit_task_runs_total Runs of tasks by how they ended; pending: the task continues later.
		# TYPE adit_task_runs_total counter
		adit_task_runs_total{status="success"} 1
	`), "adit_associations_open", "adit_instances_delivered_total", "adit_task_runs_total"))
}

// requireSame asserts that every object went out of the source once and into the destination with the same bytes.
func requireSame(t *testing.T, src, dst *pacs.PACS, n int) {
	t.Helper()
	sent := map[string]string{}
	for _, s := range src.Recorder().Log().Sent {
		require.NotContains(t, sent, s.SOPInstanceUID, "sent twice")
		sent[s.SOPInstanceUID] = s.SHA256
	}
	stored := map[string]string{}
	for _, s := range dst.Recorder().Log().Stores {
		stored[s.SOPInstanceUID] = s.SHA256
	}
	require.Len(t, stored, n)
	require.Equal(t, sent, stored)
}

// TestAlreadyThereUnverified: a destination that says that it holds an instance already, and can't be asked, is
// believed with a warning.
func TestAlreadyThereUnverified(t *testing.T) {
	study := ct(12, 5)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dst := startPACS(t, pacs.Config{AETitle: "DST", Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{
		Statuses: map[string]dimse.Status{study.Instances()[2].SOPInstanceUID: dimse.DuplicateSOPInstance},
	}}})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) { s.Supports = nodes.Supports{Store: true} })

	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Warning, job.Status)
	task := n.Task(job.ID)
	require.Contains(t, task.Message, "Unverified: the destination says that it already holds 1 instance")
	require.EqualValues(t, 5, task.Delivered)
	require.Empty(t, dst.Recorder().Log().Finds)
}

// sourceOf is a PACS that holds a study.
func sourceOf(study *phantom.Study) pacs.Config { return pacs.Config{Studies: []*phantom.Study{study}} }
