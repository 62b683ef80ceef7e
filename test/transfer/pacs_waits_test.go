// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// TestBusyServers: a server that has no room makes the task wait, with the reason shown and without an attempt counted.
// When it has room again, the transfer goes on, and nothing is stored twice.
func TestBusyServers(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 8})
	full := pacs.Misbehave{Association: pacs.AssociationFaults{Reject: pacs.RejectLimit}}
	for _, tt := range []struct {
		name     string
		src, dst pacs.Misbehave
		why      string
	}{
		{"source: local limit exceeded", full, pacs.Misbehave{}, "local limit exceeded"},
		{"destination: local limit exceeded", pacs.Misbehave{}, full, "local limit exceeded"},
		{"source: rejects, not now", rejects(pacs.RejectTransient), pacs.Misbehave{}, "rejected the association"},
		{"source: doesn't know the called AE title", rejects(pacs.RejectCalledAE), pacs.Misbehave{}, "ask the administrator of that server for its AE title"},
		{"source: doesn't know us", rejects(pacs.RejectCallingAE), pacs.Misbehave{}, `calling AE title "ADIT" not recognized`},
		{"destination: doesn't know the called AE title", pacs.Misbehave{}, rejects(pacs.RejectCalledAE), "ask the administrator of that server for its AE title"},
		{"source: out of resources for queries", pacs.Misbehave{Find: pacs.FindFaults{Status: dimse.OutOfResources}}, pacs.Misbehave{}, "status A700H"},
		{"source: can't count the matches", pacs.Misbehave{Get: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}}, pacs.Misbehave{}, "is out of resources (status A701H)"},
		{"source: can't send", pacs.Misbehave{Get: pacs.GetFaults{Status: dimse.OutOfResourcesSubOps}}, pacs.Misbehave{}, "is out of resources (status A702H)"},
		{"destination: out of resources", pacs.Misbehave{}, pacs.Misbehave{Store: pacs.StoreFaults{Status: dimse.OutOfResources}}, "is out of resources (status A700H)"},
		{"destination: another status of the same kind", pacs.Misbehave{}, pacs.Misbehave{Store: pacs.StoreFaults{Status: 0xA7F1}}, "is out of resources (status A7F1H)"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			src := startPACS(t, pacs.Config{Studies: []*phantom.Study{outcomeStudy()}, Misbehave: tt.src})
			dst := startPACS(t, pacs.Config{Misbehave: tt.dst})
			source, destination := addPair(n, src, dst, nil)
			job := n.Transfer(source, destination, outcomeStudy().StudyInstanceUID)
			var task jobs.Task
			least := int32(attempts)
			if tt.src.Association.Reject+tt.dst.Association.Reject != "" {
				least = 0 // the server is asked by C-ECHO, and no task is sent there
			}
			n.WaitFor(job.ID, func(j jobs.Job) bool {
				task = n.Task(j.ID)
				// not between two waits
				return task.Waits > least && task.Status == jobs.Pending && strings.Contains(task.WhyWaiting, tt.why)
			})
			require.Zero(t, task.Failures+task.Losses)

			src.SetMisbehave(pacs.Misbehave{})
			dst.SetMisbehave(pacs.Misbehave{})
			job = n.Wait(job.ID)
			task = n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.Zero(t, task.Failures+task.Losses)
			require.EqualValues(t, images, task.Delivered)
			requireStored(t, dst, images)
		})
	}
}

// TestDestinationIsFullOnce: one A700 makes the task wait once; what was stored before isn't sent again.
func TestDestinationIsFullOnce(t *testing.T) {
	t.Parallel()
	src := startPACS(t, pacs.Config{Studies: []*phantom.Study{outcomeStudy()}})
	dst := startPACS(t, pacs.Config{
		Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{First: 1, Status: dimse.OutOfResources}},
	})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Success, job.Status, task.Message)
	require.Zero(t, task.Failures)
	require.Len(t, dst.Recorder().Log().Stores, images+1, "one was refused, and all were stored once")
	requireStored(t, dst, images)
}

// drained waits until all associations of a PACS are gone: it has dropped them, since nothing happened.
//
// ctx ends with the one that waits
func drained(ctx context.Context, p *pacs.PACS) { _ = p.Recorder().WaitOpen(ctx, 0) }

const idle = 300 * time.Millisecond

// TestDestinationDropsIdle: the source holds between two objects until the destination has dropped its associations.
// They are opened anew; no attempt is counted.
func TestDestinationDropsIdle(t *testing.T) {
	t.Parallel()
	dst := startPACS(t, pacs.Config{Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{DropIdle: idle}}})
	src := startPACS(t,
		pacs.Config{Studies: []*phantom.Study{outcomeStudy()}, Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && (e.Number == 4 || e.Number == 8) {
				drained(ctx, dst)
			}
		}},
	)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", outcomeStudy().StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Success, job.Status, task.Message)
	require.Zero(t, task.Failures+task.Losses)
	require.Len(t, src.Recorder().Log().Gets, 1, "the retrieve goes on")
	require.Len(t, dst.Recorder().Log().Stores, images)
	require.GreaterOrEqual(t, dst.Recorder().Log().Lost, 2)
}

// TestSourceDropsIdle: the destination holds the last object of the first series until the source has dropped its
// association. It is opened anew for the second series; no attempt is counted.
func TestSourceDropsIdle(t *testing.T) {
	t.Parallel()
	study := phantom.New(23, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 4, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 4, Rows: 64, Columns: 64},
		},
	})
	src := startPACS(t, pacs.Config{
		Studies:   []*phantom.Study{study},
		Misbehave: pacs.Misbehave{Association: pacs.AssociationFaults{DropIdle: idle}},
	})
	dst := startPACS(t, pacs.Config{Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtStoreResponse && e.SOPInstanceUID == study.Instances()[3].SOPInstanceUID {
			drained(ctx, src)
		}
	}})
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
	task := n.Task(job.ID)
	require.Equal(t, jobs.Success, job.Status, task.Message)
	require.Zero(t, task.Failures+task.Losses)
	require.Len(t, src.Recorder().Log().Gets, 2)
	requireSame(t, src, dst, 8)
}

// TestIdleAssociationsAreStale: servers drop associations that have been idle for a while. The destination holds the
// last object of the first series, and of the study, until the source has dropped its association: the next query or
// retrieve finds it gone, and opens another; no attempt is counted. So it is the other way round, where the source
// holds between two objects.
func TestIdleAssociationsAreStale(t *testing.T) {
	// beyond the second after which an association is looked at before it is used again
	const idle = 1200 * time.Millisecond
	drops := pacs.Misbehave{Association: pacs.AssociationFaults{DropIdle: idle}}
	study := phantom.New(24, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 4, Rows: 64, Columns: 64},
			{Kind: phantom.CT, Instances: 4, Rows: 64, Columns: 64},
		},
	})
	t.Run("source", func(t *testing.T) {
		t.Parallel()
		src := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}, Misbehave: drops})
		last := []string{study.Instances()[3].SOPInstanceUID, study.Instances()[7].SOPInstanceUID}
		dst := startPACS(t, pacs.Config{Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtStoreResponse && slices.Contains(last, e.SOPInstanceUID) {
				drained(ctx, src)
			}
		}})
		n := harness.New(t, harness.Config{})
		n.AddServer("source", "SRC", src.Addr(), nil)
		n.AddServer("destination", "DST", dst.Addr(), nil)
		job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
		task := n.Task(job.ID)
		require.Equal(t, jobs.Success, job.Status, task.Message)
		require.Zero(t, task.Failures+task.Losses+task.Waits)
		require.Len(t, src.Recorder().Log().Gets, 2, "none was sent in vain")
		require.Equal(t, 2, src.Recorder().Log().Lost)
		requireSame(t, src, dst, 8)
	})
	t.Run("destination", func(t *testing.T) {
		t.Parallel()
		dst := startPACS(t, pacs.Config{Misbehave: drops})
		src := startPACS(t,
			pacs.Config{Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind == pacs.AtSubOperation && e.Number == 2 {
					drained(ctx, dst)
				}
			}},
		)
		n := harness.New(t, harness.Config{})
		n.AddServer("source", "SRC", src.Addr(), nil)
		n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) { s.AssociationsPerTask = 1 })
		job := n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID)
		task := n.Task(job.ID)
		require.Equal(t, jobs.Success, job.Status, task.Message)
		require.Zero(t, task.Failures+task.Losses+task.Waits)
		require.Len(t, dst.Recorder().Log().Stores, 8, "each was sent once")
		requireSame(t, src, dst, 8)
	})
}

// TestStalledDestination: a destination that takes nothing for half the source's idle timeout ends the retrieve
// politely, by C-CANCEL. Whatever the source makes of that, the rest comes later, and nothing twice.
func TestStalledDestination(t *testing.T) {
	n := harness.New(t, harness.Config{})
	for name, faults := range map[string]pacs.GetFaults{
		"C-CANCEL is heeded":               {},
		"C-CANCEL is ignored":              {IgnoreCancel: true},
		"C-CANCEL is answered by an abort": {AbortOnCancel: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			canceled := make(chan struct{})
			var watch sync.Once
			src := startPACS(t, pacs.Config{
				Studies: []*phantom.Study{outcomeStudy()}, Misbehave: pacs.Misbehave{Get: faults},
				Gate: func(ctx context.Context, e pacs.Event) {
					if e.Kind == pacs.AtGet {
						watch.Do(func() {
							go func() {
								select {
								case <-e.Canceled:
									close(canceled)
								case <-ctx.Done():
								}
							}()
						})
					}
				},
			})
			dst := startPACS(t, pacs.Config{Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind == pacs.AtStore {
					select {
					case <-canceled:
					case <-ctx.Done():
					}
				}
			}})
			source, destination := addPair(
				n, src, dst, func(s *nodes.NewServer) { s.IdleTimeout, s.AssociationsPerTask = 2*time.Second, 1 },
			)
			job := n.Wait(n.Transfer(source, destination, outcomeStudy().StudyInstanceUID).ID)
			task := n.Task(job.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			select {
			case <-canceled:
			default:
				t.Fatal("the source saw no C-CANCEL")
			}
			require.Zero(t, task.Failures+task.Losses)
			require.Len(t, dst.Recorder().Log().Stores, images, "none is sent twice")
			requireStored(t, dst, images)
			log := src.Recorder().Log()
			if faults.IgnoreCancel {
				require.Len(t, log.Gets, 1, "all came, and nothing was left to be fetched")
				return
			}
			require.Len(t, log.Gets, 2)
			require.Equal(t, "IMAGE", log.Gets[1].Level)
			require.Less(t, len(log.Gets[1].SOPInstanceUIDs), images, "only what was missing")
		})
	}
}
