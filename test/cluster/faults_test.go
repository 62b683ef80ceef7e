// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

const (
	faultyLease = 3 * time.Second
	faultyCap   = 16
	near        = 2 * time.Millisecond // between PACS and members, so that tasks take some time
)

// fault is what happens to a cluster while its tasks run. It has passed when the function returns.
type fault struct {
	name   string
	happen func(f *faulty)
}

var faults = []fault{
	{"kill and start again", func(f *faulty) {
		m := f.victim()
		m.kill()
		m.start()
	}},
	{"kill, and others take over", func(f *faulty) {
		m := f.victim()
		m.kill()
		f.awaitFenced(m)
		f.awaitProgress()
		m.start()
	}},
	{"freeze for longer than the lease", func(f *faulty) {
		m := f.victim()
		m.freeze()
		f.awaitFenced(m)
		f.awaitProgress()
		m.thaw()
	}},
	{"members cut from each other", func(f *faulty) {
		before := f.stranded()
		for _, m := range f.members {
			require.NoError(f.t, m.control.Silence())
			require.NoError(f.t, m.data.Silence())
		}
		f.awaitStranded(before)
		f.healAll()
	}},
	{"the channel to a member refused", func(f *faulty) {
		before := f.stranded()
		require.NoError(f.t, f.victim().data.Refuse())
		f.awaitStranded(before)
		f.healAll()
	}},
	{"messages to a member refused", func(f *faulty) {
		before := f.stranded()
		require.NoError(f.t, f.victim().control.Refuse())
		f.awaitStranded(before)
		f.healAll()
	}},
	{"a member cut from the database", func(f *faulty) {
		m := f.victim()
		require.NoError(f.t, m.database.Silence())
		f.awaitFenced(m)
		f.awaitProgress()
		require.NoError(f.t, m.database.Refuse()) // what it has sent meanwhile is lost
		f.healAll()
	}},
	{"the database restarted", func(f *faulty) { f.database.restart(faultyLease / 2) }},
	{"a receiver killed in the middle of an object", func(f *faulty) {
		m := f.inObject()
		m.kill()
		require.NoError(f.t, f.balancer.Heal())
		m.start()
	}},
	{"drained, and resumed", func(f *faulty) {
		m := f.victim()
		_, err := f.members[0].Cluster.Drain(f.t.Context(), m.name)
		require.NoError(f.t, err)
		await(f.t, "the end of what "+m.name+" runs", func() bool {
			return one[int](f.cluster, heldBy, m.name) == 0
		})
		f.awaitProgress()
		_, err = f.members[0].Cluster.Resume(f.t.Context(), m.name)
		require.NoError(f.t, err)
	}},
	{"left in order, and joined again", func(f *faulty) {
		m := f.victim()
		m.in.Store(false)
		m.signal(syscall.SIGTERM)
		m.AwaitEnd()
		require.Zero(f.t, m.Cmd.ProcessState.ExitCode())
		m.start()
	}},
}

// unfinished counts the tasks that something is left to be done of.
const unfinished = "SELECT count(*) FROM tasks WHERE status IN ('pending', 'in_progress')"

// heldBy counts the tasks that members of a name run.
const heldBy = "SELECT count(*) FROM tasks JOIN members ON lease_member = members.id WHERE members.name = $1"

// faulty is a cluster that something happens to.
type faulty struct {
	*cluster
	get, move, destination *pacs.PACS
	loads                  []load
	stored                 []*phantom.Study // all that the destination has got
}

// load is what runs while something happens.
type load struct {
	disk, server []*phantom.Study // by their destination
	folder       string           // the disk
	jobs         []client.Job
}

// seedOf is the seed of a run; ADIT_FAULT_SEED repeats one.
func seedOf(t *testing.T, seed uint64) uint64 {
	t.Helper()
	if text := os.Getenv("ADIT_FAULT_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	t.Logf("ADIT_FAULT_SEED=%d", seed)
	return seed
}

// newFaulty starts three members with sources and destinations of all kinds.
func newFaulty(t *testing.T, seed uint64, lease time.Duration) *faulty {
	t.Helper()
	f := &faulty{cluster: newCluster(t, 3, options{
		seed: seed, lease: lease, ownDatabase: true, args: []string{"--workers", "3"},
	})}
	f.balancer.Delay(near)
	// What a member that is frozen leaves open, a PACS closes before another member may take its place.
	const idle = 5 * time.Second
	f.get = f.newPACS(pacs.Config{AETitle: "GET", IdleTimeout: idle})
	f.move = f.newPACS(pacs.Config{AETitle: "MOVE", IdleTimeout: idle})
	f.destination = f.newPACS(pacs.Config{AETitle: "DST", IdleTimeout: idle})
	for _, s := range []struct {
		title    string
		at       *pacs.PACS
		supports client.Supports
	}{{"GET", f.get, byGet}, {"MOVE", f.move, byMove}, {"DST", f.destination, byGet}} {
		link := f.linkTo(s.at.Addr())
		link.Delay(near)
		f.addServer(s.title, link.Addr, s.supports, func(s *client.ServerSettings) {
			s.BatchCap, s.InteractiveCap, s.IdleTimeout = new(faultyCap), new(0), int(idle.Seconds())+1
			s.Retrieve.MovePatience = 2
		})
	}
	return f
}

// start makes jobs from all sources to all destinations, and waits until some of their instances are on their way.
func (f *faulty) start(first uint64) {
	t := f.t
	t.Helper()
	const each, images = 3, 20
	studies := newStudies(first, 4*each, 1, images)
	gotten, moved := studies[:2*each], studies[2*each:]
	f.get.AddStudies(gotten...)
	f.move.AddStudies(moved...)
	disk := "disk-" + strconv.FormatUint(first, 10)
	l := load{
		disk: concat(gotten[:each], moved[:each]), server: concat(gotten[each:], moved[each:]), folder: f.addFolder(disk),
	}
	before := f.sent()
	by := func() *member { return f.members[f.chance(len(f.members))] }
	l.jobs = []client.Job{
		f.transfer(by(), "get", disk, gotten[:each]), f.transfer(by(), "get", "dst", gotten[each:]),
		f.transfer(by(), "move", disk, moved[:each]), f.transfer(by(), "move", "dst", moved[each:]),
	}
	f.loads = append(f.loads, l)
	after := before + 20 + f.chance(2*each*images)
	await(t, "the transfer of some instances", func() bool { return f.sent() >= after })
}

// sent is how many instances the sources have sent.
func (f *faulty) sent() int {
	return len(f.get.Recorder().Log().Sent) + len(f.move.Recorder().Log().Sent)
}

// awaitProgress waits until some more instances are sent, or nothing is left to be sent.
func (f *faulty) awaitProgress() {
	f.t.Helper()
	after := f.sent() + 30
	await(f.t, "progress", func() bool {
		return f.sent() >= after || one[int](f.cluster, unfinished) == 0
	})
}

// stranded is how many C-MOVEs had instances that could not be brought to the member that waits for them.
func (f *faulty) stranded() int {
	return one[int](f.cluster, "SELECT count(*) FROM expectations WHERE stranded > 0")
}

// awaitStranded waits until there are more of them, or nothing is left to be done.
func (f *faulty) awaitStranded(before int) {
	f.t.Helper()
	await(f.t, "an instance that can't be brought to its member", func() bool {
		return f.stranded() > before || one[int](f.cluster, unfinished) == 0
	})
	f.t.Logf("%d C-MOVEs had instances that could not be brought to their members", f.stranded()-before)
}

// awaitFenced waits until others have taken a member's leases.
func (f *faulty) awaitFenced(m *member) {
	f.t.Helper()
	await(f.t, "the end of the leases of "+m.name, func() bool {
		return one[int](f.cluster, "SELECT count(*) FROM members WHERE name = $1 AND fenced_at IS NULL", m.name) == 0
	})
}

// victim is one of the members, by chance.
func (f *faulty) victim() *member {
	m := f.members[f.chance(len(f.members))]
	f.t.Logf("it happens to %s", m.name)
	return m
}

func (c *cluster) chance(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func (f *faulty) healAll() {
	f.t.Helper()
	for _, m := range f.members {
		m.heal()
	}
}

// inObject waits for what runs, starts the transfer of a large object, and returns the member in whose receiver half of
// it is.
func (f *faulty) inObject() *member {
	t := f.t
	t.Helper()
	f.requireComplete(0)
	st := phantom.New(uint64(f.chance(1<<30)), phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-1", Name: "Phantom^Large", Sex: "O"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.MultiFrame, Rows: 512, Columns: 512, Frames: 40}},
	})
	f.move.AddStudies(st)
	l := load{server: []*phantom.Study{st}}
	called := map[*member]int64{}
	for _, m := range f.members {
		called[m] = m.called.Load()
	}
	silenced := f.balancer.SilenceAfter(st.Instances()[0].Size() / 2)
	l.jobs = []client.Job{f.transfer(f.members[0], "move", "dst", l.server)}
	f.loads = append(f.loads, l)
	select {
	case <-silenced:
	case <-time.After(deadline):
		t.Fatal("the object did not come")
	}
	for _, m := range f.members {
		if m.called.Load() > called[m] {
			t.Logf("it happens to %s", m.name)
			return m
		}
	}
	t.Fatal("no member was called")
	return nil
}

// requireComplete waits until all but so many of the newest loads have ended, and checks that nothing was lost, failed,
// or was sent by two runs at once, and that no PACS saw more associations than it allows.
func (f *faulty) requireComplete(but int) {
	t := f.t
	t.Helper()
	for _, l := range f.loads[:len(f.loads)-but] {
		f.requireSuccess(l.jobs, concat(l.disk, l.server))
		if len(l.disk) > 0 {
			requireFiles(t, l.folder, l.disk)
		}
		f.stored = concat(f.stored, l.server)
	}
	f.loads = f.loads[len(f.loads)-but:]
	repeated := requireStored(t, f.destination, f.stored)
	for _, p := range []*pacs.PACS{f.get, f.move, f.destination} {
		require.LessOrEqual(t, p.Recorder().Log().Peak, faultyCap, "associations at once")
	}
	t.Logf("%d instances were sent to the server more than once so far", repeated)
}

// TestClusterFaults is the short form of TestFaultCluster: each fault once, in the order of a seed.
func TestClusterFaults(t *testing.T) {
	happens(t, newFaulty(t, seedOf(t, 1), faultyLease), len(faults))
}

// happens lets so many faults happen, one after the other; with ADIT_FAULT only those whose names contain that.
func happens(t *testing.T, f *faulty, times int) {
	t.Helper()
	var order []int
	for len(order) < times {
		f.mu.Lock()
		order = append(order, f.random.Perm(len(faults))...)
		f.mu.Unlock()
	}
	for i, which := range order[:times] {
		fault := faults[which]
		if only := os.Getenv("ADIT_FAULT"); only != "" && !strings.Contains(fault.name, only) {
			continue
		}
		began := time.Now()
		t.Logf("fault %d: %s", i+1, fault.name)
		f.start(uint64(10_000 + 100*i))
		fault.happen(f)
		t.Logf("it has passed after %.1f s", time.Since(began).Seconds())
		f.requireComplete(1) // the tasks that it has hit go on while the next one happens
		for _, m := range f.members {
			require.NotContains(t, m.Stderr.String(), "panic")
			require.NotContains(t, m.Stderr.String(), "DATA RACE")
		}
	}
	f.requireComplete(0)
	f.requireFree()
}

// TestClusterDatabaseAway: a database that is away for four seconds, as for a failover, hurts nobody.
func TestClusterDatabaseAway(t *testing.T) {
	f := newFaulty(t, 6, 15*time.Second)
	f.start(20_000)
	f.database.restart(4 * time.Second)
	f.requireComplete(0)
	f.requireFree()
	require.Zero(t, one[int](f.cluster, "SELECT sum(losses + waits) FROM tasks"), "no run was ended")
	require.Zero(t, one[int](f.cluster, "SELECT count(*) FROM members WHERE fenced_at IS NOT NULL"))
}

// TestClusterWithoutReceiver: while the only member with a receiver is away, what needs it waits.
func TestClusterWithoutReceiver(t *testing.T) {
	for name, end := range map[string]syscall.Signal{"left": syscall.SIGTERM, "killed": syscall.SIGKILL} {
		t.Run(name, func(t *testing.T) {
			c := newCluster(t, 3, options{
				seed: 7, lease: faultyLease, roles: []string{"web,worker", "receiver", "worker"},
			})
			web, receiver := c.members[0], c.members[1]
			studies := newStudies(6000, 6, 1, 5)
			c.addServer("MOVE", c.newPACS(pacs.Config{AETitle: "MOVE", Studies: studies}).Addr(), byMove, nil)
			destination := c.newPACS(pacs.Config{AETitle: "DST"})
			c.addServer("DST", destination.Addr(), byGet, nil)
			receiver.in.Store(false)
			receiver.signal(end)
			receiver.AwaitEnd()
			job := c.transfer(web, "move", "dst", studies)
			await(t, "the task's wait for a receiver", func() bool {
				for task, err := range web.Tasks.List(t.Context(), job.ID, client.TaskFilter{}) {
					require.NoError(t, err)
					require.NotEqual(t, client.Failure, task.Status, task.Message)
					if strings.Contains(task.WhyWaiting, "receiver") {
						return true
					}
				}
				return false
			})
			receiver.start()
			c.requireSuccess([]client.Job{job}, studies)
			require.Zero(t, requireStored(t, destination, studies))
		})
	}
}
