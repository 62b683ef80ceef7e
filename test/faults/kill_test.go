// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"encoding/hex"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// unwritten is how many acknowledged objects may not be in the ledger yet when a process is killed.
const unwritten = 256

// transit is a study on its way from one PACS to another, held at one point.
type transit struct {
	*server
	study    *phantom.Study
	from, to *pacs.PACS
	stop     *pacs.Stop
	job      client.Job
}

// where tells at which side and which event a transfer is held.
type where struct {
	atSource bool
	kind     pacs.EventKind
	number   int
	perTask  int // associations to the source; 0: as many as by default, one for each series
}

// newTransit starts a transfer and returns when it has come to the point. args are for adit serve.
func newTransit(t *testing.T, study *phantom.Study, at where, args ...string) *transit {
	t.Helper()
	tr := &transit{study: study, stop: pacs.StopAt(at.kind, at.number)}
	source, destination := pacs.Config{Studies: []*phantom.Study{study}}, pacs.Config{}
	if at.atSource {
		source.Gate = tr.stop.Gate
	} else {
		destination.Gate = tr.stop.Gate
	}
	tr.from, tr.to = newPACS(t, source), newPACS(t, destination)
	tr.server = serve(t, newDataDir(t), args...)
	t.Cleanup(tr.stop.Release)
	tr.addServer("from", tr.from.Addr(), at.perTask)
	tr.addServer("to", tr.to.Addr(), 0)
	tr.job = tr.transfer("from", "to", study.StudyInstanceUID)
	receive(t, "the point in the transfer", tr.stop.Reached())
	return tr
}

// requireComplete waits for the job's end and checks that each object is at the destination as it was sent, with at
// most so many repeated, and that no attempt was counted.
func (tr *transit) requireComplete(repeated int) {
	t := tr.t
	t.Helper()
	job := tr.awaitFinal(tr.job.ID)
	task := tr.task(job.ID)
	require.Equal(t, client.Success, job.Status, "%s %s", job.Message, task.Message)
	require.Zero(t, task.Failures, "no attempt failed by the task's own fault")
	require.Equal(t, len(tr.study.Instances()), task.Delivered)

	at := map[string]string{}
	stores := tr.to.Recorder().Log().Stores
	for _, s := range stores {
		if sum, again := at[s.SOPInstanceUID]; again {
			require.Equal(t, sum, s.SHA256, "an object that is sent twice is the same twice")
		}
		at[s.SOPInstanceUID] = s.SHA256
	}
	require.Len(t, at, len(tr.study.Instances()))
	for _, in := range tr.study.Instances() {
		sum := in.SHA256()
		require.Equal(t, hex.EncodeToString(sum[:]), at[in.SOPInstanceUID])
	}
	require.LessOrEqual(t, len(stores)-len(at), repeated, "objects sent twice")
	t.Logf(
		"%d objects, %d sent twice, %d losses of connection at the destination",
		len(at), len(stores)-len(at), tr.to.Recorder().Log().Lost,
	)
}

// restart starts the server again in the same data directory.
func (tr *transit) restart(args ...string) { tr.server = serve(tr.t, tr.dir, args...) }

// killDatabase kills the postmaster, so many times as soon as there is one, and waits until the server has one that
// answers.
func (tr *transit) killDatabase(times int) {
	tr.t.Helper()
	before := 0
	for range times {
		await(tr.t, "a postmaster to kill", func() bool { return tr.hasPostmasterAfter(before) })
		before = tr.postmaster()
		require.NoError(tr.t, syscall.Kill(before, syscall.SIGKILL))
	}
	await(
		tr.t, "a postmaster that answers",
		func() bool { return tr.hasPostmasterAfter(before) && tr.status("/readyz") == 200 },
	)
}

func (tr *transit) hasPostmasterAfter(before int) bool {
	now := tr.postmaster()
	return now != 0 && now != before
}

// A fault is what happens to a transfer that is held; it goes on when the fault returns.
var kills = map[string]struct {
	kill     func(tr *transit)
	repeated int
	args     []string
}{
	"server": {kill: func(tr *transit) {
		tr.kill()
		tr.stop.Release()
		tr.restart()
	}, repeated: unwritten},
	// An outage shorter than the lease hurts nobody.
	"database": {kill: func(tr *transit) {
		tr.killDatabase(1)
		tr.stop.Release()
	}},
	"database, again while it starts": {kill: func(tr *transit) {
		tr.killDatabase(2)
		tr.stop.Release()
	}},
	// One that may be longer makes the server stop all, and take it up again. TestDatabaseFrozenForLong is longer for
	// certain.
	"database, with a short lease": {kill: func(tr *transit) {
		tr.killDatabase(1)
		tr.stop.Release()
	}, repeated: unwritten, args: []string{"--lease", "1s"}},
	"both": {kill: func(tr *transit) {
		pid := tr.postmaster()
		tr.signal(syscall.SIGKILL)
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			require.ErrorIs(tr.t, err, syscall.ESRCH, "it may have gone with the server")
		}
		tr.awaitEnd()
		tr.stop.Release()
		tr.restart()
	}, repeated: unwritten},
}

// kill -9 in mid-transfer: the task goes on by itself, is complete, and repeats nothing that was written down.
func TestKill(t *testing.T) {
	for name, k := range kills {
		t.Run(name, func(t *testing.T) {
			tr := newTransit(t, newStudy(1, 2, 300), where{kind: pacs.AtStoreResponse, number: 350}, k.args...)
			k.kill(tr)
			tr.requireComplete(k.repeated)
		})
	}
}
