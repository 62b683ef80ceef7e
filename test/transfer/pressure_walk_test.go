// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// TestHealthWalks has the health of both servers change at random for some hours. TestFaultHealthWalks is a week.
func TestHealthWalks(t *testing.T) { healthWalks(t, 1, 50, 4*time.Hour) }

// healthWalks runs tasks while servers get better and worse: every one succeeds, the cap holds at any time, and what a server sees of refusals is
// no more than its trials.
func healthWalks(t *testing.T, seed uint64, tasks int, span time.Duration) {
	t.Helper()
	const limit = 4
	r := rand.New(rand.NewPCG(seed, 2))
	study := ct(770, 1)
	p := pressure(t, limit, span*limit/time.Duration(2*tasks), []*phantom.Study{study}, nil) // half of the time is enough
	healths := []pacs.Misbehave{
		{},
		{},
		{Association: pacs.AssociationFaults{Limit: 1}},
		{Association: pacs.AssociationFaults{Limit: 3}},
		{Find: pacs.FindFaults{Status: dimse.OutOfResources}},
		{Get: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}},
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
	require.EqualValues(t, tasks, p.job(job).NSuccess)
	for name, server := range map[string]*pacs.PACS{"source": p.src, "destination": p.dst} {
		log := server.Recorder().Log()
		t.Logf("%s: %d associations, %d rejected, at most %d at once", name, log.Total, log.Rejected, log.Peak)
		require.LessOrEqual(t, log.Peak, limit)
	}
}
