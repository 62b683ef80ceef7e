// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/door"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// simulated is a member whose clock is simulated: the pauses are those of production.
var simulated = harness.Config{Idle: true, Silent: true, Engine: base.Config{
	ProbePause:  90 * time.Second,
	WaitPauses:  []time.Duration{5 * time.Second, 10 * time.Second, 20 * time.Second, 40 * time.Second, time.Minute},
	RetryPauses: []time.Duration{2 * time.Minute, 4 * time.Minute},
}}

// sick is a way in which a server refuses everything.
type sick struct {
	name   string
	faults pacs.Misbehave
	silent bool // it accepts associations and answers no C-FIND
	slow   bool // each try takes until the idle timeout
	wide   bool // its studies have several series, which are retrieved side by side
	absent bool // nothing listens
	sink   bool // it is the destination
	why    string
}

var sicknesses = []sick{
	{name: "C-FIND A700", faults: pacs.Misbehave{Find: pacs.FindFaults{Status: dimse.OutOfResources}}, why: "status A700H"},
	{name: "C-GET A701", faults: pacs.Misbehave{Get: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}}, why: "status A701H"},
	{name: "C-STORE A700", faults: pacs.Misbehave{Store: pacs.StoreFaults{Status: dimse.OutOfResources}}, sink: true, why: "status A700H"},
	{name: "rejects, transient", faults: rejects(pacs.RejectTransient), why: "rejected the association"},
	{name: "rejects, local limit", faults: rejects(pacs.RejectLimit), why: "local limit exceeded"},
	{name: "rejects, permanent", faults: rejects(pacs.RejectCallingAE), why: "ask the administrator of that server to add this AE title"},
	{name: "rejects at the destination, permanent", faults: rejects(pacs.RejectCalledAE), sink: true, why: "ask the administrator of that server for its AE title"},
	{name: "silent in C-FIND", silent: true, why: "the peer did nothing for 1s"},
	{name: "refuses to connect", absent: true, why: "nothing listens there"},
	{name: "C-GET A701 that counts them all as failed", faults: pacs.Misbehave{Get: pacs.GetFaults{
		Empty: true, FinalStatus: new(dimse.OutOfResourcesMatches), Counts: &dimse.Counts{Failed: dimse.Counted(3)},
	}}, why: "status A701H"},
	{name: "aborts every C-GET", faults: pacs.Misbehave{Get: pacs.GetFaults{AbortAtObject: 1}}, why: "aborted the association"},
	{name: "drops every C-GET", faults: pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: 1}}, why: "the retrieve from source failed"},
	{name: "drops every C-GET in its first instance", faults: pacs.Misbehave{Get: pacs.GetFaults{DropAtObject: 1, DropAfterBytes: 500}}, why: "the retrieve from source failed"},
	{name: "aborts every C-GET of several series", faults: pacs.Misbehave{Get: pacs.GetFaults{AbortAtObject: 1}}, wide: true, why: "aborted the association"},
	{name: "silent in C-GET", faults: pacs.Misbehave{Get: pacs.GetFaults{StallAtObject: 1}}, slow: true, why: "the peer did nothing for 1s"},
	{name: "aborts at the first C-STORE", faults: pacs.Misbehave{Store: pacs.StoreFaults{AbortAll: true}}, sink: true, why: "aborted the association"},
}

func rejects(how string) pacs.Misbehave {
	return pacs.Misbehave{Association: pacs.AssociationFaults{Reject: how}}
}

// TestRefusesAll: however many tasks wait, a server that refuses everything sees at most twenty associations in ten
// minutes. No task fails. When it is well again its whole cap is in use within two minutes.
func TestRefusesAll(t *testing.T) {
	for i, kind := range sicknesses {
		if (kind.silent || kind.slow) && !long {
			continue
		}
		// Both caps and both latencies are seen by some; TestFaultRefusesAll runs them all.
		limit, latency := []int{8, 4}[i%2], []time.Duration{0, 50 * time.Millisecond}[i/2%2]
		t.Run(fmt.Sprintf("%s, cap %d, %s", kind.name, limit, latency), func(t *testing.T) {
			t.Parallel()
			refusesAll(t, kind, limit, latency)
		})
	}
}

func refusesAll(t *testing.T, kind sick, limit int, latency time.Duration) {
	t.Helper()
	if kind.absent {
		latency = 0 // else it is who passes on that answers
	}
	study, lanes := ct(701, 3), 1
	if kind.wide {
		study, lanes = phantom.New(702, phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
			Series: slices.Repeat(
				[]phantom.SeriesSpec{{Kind: phantom.CT, Instances: 8, Rows: 8, Columns: 8}}, 4),
		}), 4
	}
	ill := atomic.Bool{}
	ill.Store(true)
	together := make(chan struct{}) // closed when as many retrieve at once as the cap allows
	all := sync.OnceFunc(func() { close(together) })
	var retrieving atomic.Int32
	var s *simulation
	gate := func(ctx context.Context, e pacs.Event) {
		switch {
		case e.Kind == pacs.AtFind && kind.silent && ill.Load():
			<-ctx.Done()
		case e.Kind == pacs.AtSubOperation && e.Number == 2 && !ill.Load():
			if retrieving.Add(1) == int32(limit) {
				all()
			}
			if !isClosed(together) {
				s.sleep(ctx, 10*time.Second)
			}
			retrieving.Add(-1)
		}
	}
	cfg := pacs.Config{Studies: []*phantom.Study{study}, Gate: gate}
	if kind.absent {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		cfg.Listen = l.Addr().String()
		require.NoError(t, l.Close())
	}
	var src *pacs.PACS
	address := cfg.Listen
	if !kind.absent {
		src = startPACS(t, cfg)
		address = src.Addr()
	}
	dst := startPACS(t, pacs.Config{})
	patient := src
	if kind.sink {
		patient = dst
	}
	if !kind.absent {
		patient.SetMisbehave(kind.faults)
	}
	n := harness.New(t, simulated)
	settings := func(s *nodes.NewServer) {
		s.BatchCap, s.AssociationsPerTask = &limit, lanes
		if kind.silent || kind.slow {
			s.IdleTimeout = time.Second
		}
	}
	source := n.AddServer("source", "SRC", distant(t, address, latency), settings)
	destination := n.AddServer("destination", "DST", distant(t, dst.Addr(), latency), settings)
	job := manyTasks(t, n, n.Admin.ID, source, destination, 500, study.StudyInstanceUID)
	s = simulate(t, n, 20)
	seen := func() int {
		if kind.absent {
			return int(s.tries.Load())
		}
		return associations(patient)
	}
	s.play(10*time.Minute, func() bool { return seen() > 60 })
	t.Logf("%d associations, %d tries in ten minutes", seen(), s.tries.Load())
	most := 20
	// nobody waits for the first one until that says so: each that has begun may have a second association open
	if kind.slow {
		most += limit
	}
	require.LessOrEqual(t, seen(), most)
	require.LessOrEqual(t, int(s.tries.Load()), 20)
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job, jobs.TaskFilter{Limit: 500})
	require.NoError(t, err)
	for _, task := range tasks {
		require.Equal(t, jobs.Pending, task.Status, task.Message)
		require.Zero(t, task.Failures, task.WaitingReason)
	}
	require.Contains(t, tasks[0].WhyWaiting, kind.why)

	ill.Store(false)
	if kind.absent {
		startPACS(t, cfg)
	} else {
		patient.SetMisbehave(pacs.Misbehave{})
	}
	begin := s.now()
	// where a second of silence is too much, the gate can't hold them all until the last one has come
	inUse := func() bool {
		return isClosed(together) || (kind.silent || kind.slow) && s.inFlight == limit
	}
	require.True(t, s.play(2*time.Minute, inUse), "its whole cap is in use")
	t.Logf("its cap is in use after %s", s.now().Sub(begin).Round(time.Second))
	require.Zero(t, s.job(job).NFailure)
}

// pressed is a source and a destination of which the source takes so long, by the simulated clock, for each C-GET.
type pressed struct {
	*simulation
	src, dst            *pacs.PACS
	source, destination nodes.DICOMNode
}

func pressure(
	t *testing.T, limit int, takes time.Duration, studies []*phantom.Study, gate func(context.Context, pacs.Event),
) *pressed {
	t.Helper()
	p := &pressed{}
	p.src = startPACS(t, pacs.Config{Studies: studies, Gate: func(ctx context.Context, e pacs.Event) {
		if e.Kind == pacs.AtGetEnd {
			p.sleep(ctx, takes)
		} else if gate != nil {
			gate(ctx, e)
		}
	}})
	p.dst = startPACS(t, pacs.Config{})
	n := harness.New(t, simulated)
	settings := func(s *nodes.NewServer) {
		s.BatchCap, s.AssociationsPerTask, s.IdleTimeout = &limit, 1, time.Second
	}
	p.source = n.AddServer("source", "SRC", p.src.Addr(), settings)
	p.destination = n.AddServer("destination", "DST", p.dst.Addr(), settings)
	p.simulation = simulate(t, n, 20)
	return p
}

// good has a job of so many studies run that nothing is wrong with, and returns how long that takes.
func (p *pressed) good(tasks int, study *phantom.Study) time.Duration {
	p.t.Helper()
	job := manyTasks(p.t, p.n, p.n.Admin.ID, p.source, p.destination, tasks, study.StudyInstanceUID)
	begin := p.now()
	require.True(p.t, p.play(time.Hour, func() bool { return p.job(job).Done() }))
	require.EqualValues(p.t, tasks, p.job(job).NSuccess)
	return p.now().Sub(begin)
}

// TestPoisonousStudies: studies that are always refused, or met with silence, cost the good ones of the same server
// next to nothing.
func TestPoisonousStudies(t *testing.T) {
	refused := pacs.Misbehave{Find: pacs.FindFaults{Status: dimse.OutOfResources}}
	notSent := pacs.Misbehave{Get: pacs.GetFaults{Status: dimse.OutOfResourcesMatches}}
	for _, tt := range []struct {
		name   string
		limit  int
		faults []pacs.Misbehave // of each bad study
		silent bool
	}{
		{"one, cap 1, A700", 1, []pacs.Misbehave{refused}, false},
		{"one, cap 1, silent", 1, []pacs.Misbehave{{}}, true},
		{"two, cap 1, A700 and A701", 1, []pacs.Misbehave{refused, notSent}, false},
		{"one, cap 2, A701", 2, []pacs.Misbehave{notSent}, false},
		{"two, cap 4, A701", 4, []pacs.Misbehave{notSent, notSent}, false},
	} {
		if !long && (tt.silent || tt.limit == 4) {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fine := ct(720, 1)
			studies, bad := []*phantom.Study{fine}, map[string]bool{}
			for i := range tt.faults {
				st := ct(uint64(721+i), 1)
				studies, bad[st.StudyInstanceUID] = append(studies, st), true
			}
			p := pressure(t, tt.limit, 4*time.Second, studies, func(ctx context.Context, e pacs.Event) {
				if e.Kind == pacs.AtFind && tt.silent && bad[e.StudyInstanceUID] {
					<-ctx.Done()
				}
			})
			for i, m := range tt.faults {
				p.src.MisbehaveFor(studies[1+i], m)
			}
			tasks := 15 * tt.limit
			without := p.good(tasks, fine)
			other := secondUser(t, p.n) // whose jobs come first as often as the others'
			job := manyTasks(
				t, p.n, other.ID, p.source, p.destination, len(tt.faults), slices.Collect(maps.Keys(bad))...,
			)
			with := p.good(tasks, fine)
			t.Logf(
				"%s without, %s with: %.2f", without.Round(time.Second),
				with.Round(time.Second), with.Seconds()/without.Seconds(),
			)
			require.LessOrEqual(t, with.Seconds(), 1.2*leeway*without.Seconds())
			list, err := p.n.Engine.Jobs.Tasks(t.Context(), other, job, jobs.TaskFilter{Limit: 5})
			require.NoError(t, err)
			for _, task := range list {
				require.Equal(t, jobs.Pending, task.Status)
				require.Zero(t, task.Failures)
			}
		})
	}
}

// TestPoisonousRetrieves: a study whose every retrieve is broken off costs the good ones of its server next to nothing,
// and fails by itself in the end: beside them, and where nobody else is there to compare it with.
func TestPoisonousRetrieves(t *testing.T) {
	for name, faults := range map[string]pacs.Misbehave{
		"aborts":                          {Get: pacs.GetFaults{AbortAtObject: 1}},
		"drops":                           {Get: pacs.GetFaults{DropAtObject: 1, DropAfterBytes: 300}},
		"aborts after the first instance": {Get: pacs.GetFaults{AbortAtObject: 2}, Find: pacs.FindFaults{ImageLevelRefused: true}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			fine, bad := ct(725, 1), ct(726, 4)
			p := pressure(t, 2, 20*time.Second, []*phantom.Study{fine, bad}, nil)
			p.src.MisbehaveFor(bad, faults)
			const tasks = 16
			without := p.good(tasks, fine)
			other := secondUser(t, p.n)
			failed := func(job int64, d time.Duration) {
				t.Helper()
				require.True(t, p.play(d, func() bool { return p.job(job).Done() }))
				list, err := p.n.Engine.Jobs.Tasks(t.Context(), other, job, jobs.TaskFilter{Limit: 5})
				require.NoError(t, err)
				require.Equal(t, jobs.Failure, list[0].Status)
				require.EqualValues(t, 3, list[0].Failures)
				require.Contains(t, list[0].Message, "retrieve from source failed")
			}
			before := associations(p.src)
			job := manyTasks(t, p.n, other.ID, p.source, p.destination, 1, bad.StudyInstanceUID)
			failed(job, time.Hour)
			require.LessOrEqual(t, associations(p.src)-before, 2*9+2)

			job = manyTasks(t, p.n, other.ID, p.source, p.destination, 1, bad.StudyInstanceUID)
			with := p.good(tasks, fine)
			t.Logf(
				"%s without, %s with: %.2f", without.Round(time.Second),
				with.Round(time.Second), with.Seconds()/without.Seconds(),
			)
			require.LessOrEqual(t, with.Seconds(), 1.2*leeway*without.Seconds())
			for range 12 { // work goes on beside it
				if p.job(job).Done() {
					break
				}
				p.good(tasks, fine)
			}
			failed(job, time.Second)
		})
	}
}

// TestServerTakesThree: of a cap of eight a server takes three. ADIT finds that out, and when it takes more; a restart,
// and another member, know it.
func TestServerTakesThree(t *testing.T) {
	study := ct(730, 1)
	p := pressure(t, 8, 20*time.Second, []*phantom.Study{study}, nil)
	limit := func(n int) {
		p.src.SetMisbehave(pacs.Misbehave{Association: pacs.AssociationFaults{Limit: n}})
	}
	limit(3)
	job := manyTasks(t, p.n, p.n.Admin.ID, p.source, p.destination, 500, study.StudyInstanceUID)
	never := func() bool { return false }
	p.play(2*time.Minute, never)
	settled := func(what string, minutes int) {
		t.Helper()
		before, done := p.src.Recorder().Log(), p.job(job).NSuccess
		p.play(time.Duration(minutes)*time.Minute, never)
		rejected := p.src.Recorder().Log().Rejected - before.Rejected
		did := p.job(job).NSuccess - done
		t.Logf("%s: %d refusals and %d studies in %d minutes", what, rejected, did, minutes)
		require.LessOrEqual(t, rejected, leeway*(minutes+2), what)
		require.GreaterOrEqual(
			t, leeway*int(did), minutes*3*3*8/10, "three at once, of twenty seconds each, most of the time",
		)
	}
	settled("it has settled", 2*3/(1+leeway))
	s, err := p.n.Engine.Nodes.Schedule(t.Context(), "source")
	require.NoError(t, err)
	require.NotNil(t, s.Now.Takes)
	require.Contains(t, []int{2, 3}, *s.Now.Takes)
	require.Empty(t, s.Now.Down)

	p.finish()
	engines := make([]*engine.Engine, 2)
	for i := range engines {
		engines[i] = engine.New(
			p.n.Pool, p.n.People, door.NewDoor(p.n.Pool), slog.New(slog.DiscardHandler), simulated.Engine,
		)
	}
	ahead := p.ahead
	p.simulation = simulate(t, p.n, 20, engines...)
	p.ahead = ahead
	settled("two other members", 2)

	limit(0)
	begin := p.now()
	require.True(t, p.play(2*time.Minute, func() bool { return p.src.Recorder().Log().Open == 8 }))
	t.Logf("all eight after %s", p.now().Sub(begin).Round(time.Second))
	require.LessOrEqual(t, p.src.Recorder().Log().Peak, 8)
	require.Zero(t, p.job(job).NFailure)
}

// TestHealthyAgain: what a person does after having seen to it that a server is well has it used at once as the
// schedule allows.
func TestHealthyAgain(t *testing.T) {
	n := harness.New(t, simulated)
	there := startPACS(t, pacs.Config{Studies: []*phantom.Study{ct(740, 1)}})
	n.AddServer("source", "SRC", there.Addr(), nil)
	for name, act := range map[string]func(){
		"a check": func() {
			report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "source")
			require.NoError(t, err)
			for _, c := range report.Checks {
				require.True(t, c.OK, "%+v", c)
			}
		},
		"a pause": func() {
			require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", true))
			require.NoError(t, n.Engine.Nodes.PauseServer(t.Context(), n.Admin, "source", false))
		},
		"another AE title": func() {
			_, err := n.Engine.Nodes.UpdateServer(t.Context(), n.Admin, "source", func(s *nodes.NewServer) error {
				s.AETitle = "OTHER"
				return nil
			})
			require.NoError(t, err)
		},
	} {
		_, err := n.Pool.Exec(t.Context(), `UPDATE server_state SET breaker = 'open', breaker_reason = 'x', allowance = 0, tries = 5, refused_task = 1,
			probe_at = schedule_now() + interval '1 minute'`)
		require.NoError(t, err)
		s, err := n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		require.Equal(t, 0, *s.Now.Takes)
		act()
		s, err = n.Engine.Nodes.Schedule(t.Context(), "source")
		require.NoError(t, err)
		require.Empty(t, s.Now.Down, name)
		require.Nil(t, s.Now.Takes, name)
	}
}

func (s *simulation) job(id int64) jobs.Job {
	j, err := s.n.Engine.Jobs.Get(s.t.Context(), s.n.Admin, id)
	require.NoError(s.t, err)
	return j
}

// TestEverySecondRejected: a server that rejects every second association, however few are open, is no fuller for it:
// work goes on, if only one by one, and ADIT is refused no more often than it gets through. So it is where a task
// begins with two associations, of which the second one is always rejected.
func TestEverySecondRejected(t *testing.T) {
	for _, limit := range []int{1, 4} {
		t.Run(fmt.Sprintf("cap %d", limit), func(t *testing.T) {
			t.Parallel()
			study := ct(750, 1)
			const takes, tasks = 4 * time.Second, 20
			p := pressure(t, limit, takes, []*phantom.Study{study}, nil)
			p.src.SetMisbehave(pacs.Misbehave{Association: pacs.AssociationFaults{Every: 2, Reject: pacs.RejectLimit}})
			took := p.good(tasks, study)
			log := p.src.Recorder().Log()
			t.Logf("%s; %d got through, %d rejected", took.Round(time.Second), log.Total, log.Rejected)
			require.LessOrEqual(t, log.Rejected, log.Total+1)
			require.LessOrEqual(t, took, leeway*3*tasks*takes)
		})
	}
}
