// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/schedule"
)

// TestHealthWalks has the health of both servers change at random for some hours. TestFaultHealthWalks is a week.
func TestHealthWalks(t *testing.T) { healthWalks(t, 1, 50, 4*time.Hour) }

// healthWalks runs tasks while servers get better and worse: every one succeeds, the cap holds at any time, and what a
// server sees of refusals is no more than its trials.
func healthWalks(t *testing.T, seed uint64, tasks int, span time.Duration) {
	t.Helper()
	const limit, rate = 4, 3
	r := rand.New(rand.NewPCG(seed, 2))
	study := ct(770, 1)
	var p *pressed
	var mu sync.Mutex
	var starts []time.Time                         // that the source saw, by the simulated clock
	takes := span * limit / time.Duration(2*tasks) // half of the time is enough
	p = pressure(t, limit, takes, []*phantom.Study{study}, func(_ context.Context, e pacs.Event) {
		if e.Kind == pacs.AtFind && e.Level == "STUDY" {
			mu.Lock()
			defer mu.Unlock()
			starts = append(starts, p.now())
		}
	})
	setSchedule(t, p.n, "source", schedule.Schedule{
		Default: schedule.Limits{Batch: limit, Interactive: 1, StudiesPerMinute: rate},
	})
	healths := []pacs.Misbehave{
		{},
		{},
		{Association: pacs.AssociationFaults{Limit: 1}},
		{Association: pacs.AssociationFaults{Limit: 3}},
		{Find: pacs.FindFaults{Status: dimse.OutOfResources}},
		{Get: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}},
		{Get: pacs.GetFaults{AbortAtObject: 1}},
		{Store: pacs.StoreFaults{Status: dimse.OutOfResources}},
		rejects(pacs.RejectLimit),
		rejects(pacs.RejectTransient),
		rejects(pacs.RejectCallingAE),
	}
	job := manyTasks(t, p.n, p.n.Admin.ID, p.source, p.destination, tasks, study.StudyInstanceUID)
	done := func() bool { return p.job(job).Done() }
	for begin := p.now(); !done() && p.now().Sub(begin) < span; {
		p.src.SetMisbehave(healths[r.IntN(len(healths))])
		p.dst.SetMisbehave(healths[r.IntN(len(healths))])
		p.play(time.Duration(r.Int64N(int64(span/8))), done)
	}
	p.src.SetMisbehave(pacs.Misbehave{})
	p.dst.SetMisbehave(pacs.Misbehave{})
	require.True(t, p.play(span, done), "all goes on by itself")
	for _, status := range []string{jobs.Failure, jobs.Warning} {
		bad, err := p.n.Engine.Jobs.Tasks(t.Context(), p.n.Admin, job, jobs.TaskFilter{Status: status, Limit: 3})
		require.NoError(t, err)
		for _, task := range bad {
			t.Logf(
				"task %d: %s (%d attempts failed, refused %d times)",
				task.ID, task.Message, task.Failures, task.Refused,
			)
		}
	}
	require.EqualValues(t, tasks, p.job(job).NSuccess)
	for i := range max(0, len(starts)-rate) {
		require.Greater(t, starts[i+rate].Sub(starts[i]), time.Minute, "%d starts from %s", rate+1, starts[i])
	}
	t.Logf("%d starts over %s", len(starts), starts[len(starts)-1].Sub(starts[0]).Round(time.Minute))
	for name, server := range map[string]*pacs.PACS{"source": p.src, "destination": p.dst} {
		log := server.Recorder().Log()
		t.Logf("%s: %d associations, %d rejected, at most %d at once", name, log.Total, log.Rejected, log.Peak)
		require.LessOrEqual(t, log.Peak, limit)
	}
}
