// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// team is two servers with one database; the first one holds the only task when the second one starts.
type team struct {
	t             *testing.T
	url           string // of the database
	first, second *server
	study         *phantom.Study
	from, to      *pacs.PACS
	job           client.Job
}

const teamLease = 4 * time.Second

// newTeam starts the second server when point returns: the transfer to a PACS, which is reached at addr, is under way. change is
// for the settings of the servers.
func newTeam(
	t *testing.T, study *phantom.Study, to *pacs.PACS, addr string, point func(),
	change func(*client.ServerSettings),
) *team {
	t.Helper()
	m := &team{t: t, url: dbtest.URL(t), study: study, to: to}
	m.from = newPACS(t, pacs.Config{Studies: []*phantom.Study{m.study}})
	dir := t.TempDir()
	m.first = m.serve(filepath.Join(dir, "1"))
	for name, addr := range map[string]string{"from": m.from.Addr(), "to": addr} {
		host, port, err := net.SplitHostPort(addr)
		require.NoError(t, err)
		number, err := strconv.Atoi(port)
		require.NoError(t, err)
		s := client.ServerSettings{
			Name: name, AETitle: strings.ToUpper(name), Host: host, Port: number,
			Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
		}
		if change != nil {
			change(&s)
		}
		_, err = m.first.Servers.Add(t.Context(), s)
		require.NoError(t, err)
	}
	m.job = m.first.transfer("from", "to", m.study.StudyInstanceUID)
	point()

	second := filepath.Join(dir, "2")
	require.NoError(t, os.Mkdir(second, 0o700))
	for _, name := range []string{"secret.key", "admin.token"} {
		text, err := os.ReadFile(filepath.Join(dir, "1", name))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(second, name), text, 0o600))
	}
	m.second = m.serve(second)
	return m
}

func (m *team) serve(dir string) *server {
	return serve(m.t, dir, "--database-url", m.url, "--lease", teamLease.String())
}

// seconds asks the database.
func (m *team) seconds(sql string, args ...any) (n float64) {
	m.t.Helper()
	conn, err := pgx.Connect(m.t.Context(), m.url)
	require.NoError(m.t, err)
	defer conn.Close(m.t.Context())
	require.NoError(m.t, conn.QueryRow(m.t.Context(), sql, args...).Scan(&n))
	return n
}

// claimedAgain reports whether another member than the first one has claimed the task.
func (m *team) claimedAgain() bool {
	return m.seconds(`SELECT count(DISTINCT lease_member)::float8 FROM tasks t
		WHERE t.lease_member <> (SELECT id FROM members ORDER BY started_at LIMIT 1)`) > 0
}

// takenOver is how long after the last beat of the first member the second one has claimed its task, by the
// database's clock.
func (m *team) takenOver() time.Duration {
	m.t.Helper()
	await(m.t, "the take-over", m.claimedAgain)
	n := m.seconds(`SELECT extract(epoch FROM j.last_claim_at - m.beat_at)::float8
		FROM jobs j CROSS JOIN (SELECT beat_at FROM members ORDER BY started_at LIMIT 1) m`)
	return time.Duration(n * float64(time.Second))
}

// requireComplete waits for the end of the job and checks what is at the destination.
func (m *team) requireComplete() {
	m.t.Helper()
	job := m.second.awaitFinal(m.job.ID)
	task := m.second.task(job.ID)
	require.Equal(m.t, client.Success, job.Status, "%s %s", job.Message, task.Message)
	require.Zero(m.t, task.Failures, "no attempt failed by the task's own fault")
	at := map[string]string{}
	for _, s := range m.to.Recorder().Log().Stores {
		at[s.SOPInstanceUID] = s.SHA256
	}
	for _, in := range m.study.Instances() {
		sum := in.SHA256()
		require.Equal(m.t, hex.EncodeToString(sum[:]), at[in.SOPInstanceUID])
	}
}

// kill -9 of a member: another one has its task within the lease and a second if there is a free slot, else when the
// slot of the dead is not counted any more.
func TestTakeOver(t *testing.T) {
	const grace = 2 * time.Second
	for name, test := range map[string]struct {
		change func(*client.ServerSettings)
		least  time.Duration
	}{
		"a slot is free": {},
		"none is free": {change: func(s *client.ServerSettings) {
			s.BatchCap, s.IdleTimeout = new(1), int(grace.Seconds())
		}, least: teamLease + grace},
	} {
		t.Run(name, func(t *testing.T) {
			stop := pacs.StopAt(pacs.AtStoreResponse, 10)
			to := newPACS(t, pacs.Config{Gate: stop.Gate})
			t.Cleanup(stop.Release)
			m := newTeam(t, newStudy(31, 1, 20), to, to.Addr(), func() {
				receive(t, "the point in the transfer", stop.Reached())
			}, test.change)
			m.first.signal(syscall.SIGKILL)
			m.first.awaitEnd()
			took := m.takenOver()
			t.Logf("taken over %s after the last beat, lease %s", took, teamLease)
			require.GreaterOrEqual(t, took, test.least)
			require.LessOrEqual(t, took, max(teamLease, test.least)+teamLease/4)
			stop.Release()
			m.requireComplete()
		})
	}
}

// dam is the way to a PACS that stops reading from its first connection after so many bytes, and tells what comes then.
type dam struct {
	net.Listener
	full    chan struct{} // closed when it has stopped
	open    chan struct{} // to be closed
	sender  net.Addr      // of the first connection
	behind  atomic.Int64  // bytes that came when it was open
	emptied chan error    // the end of the first connection
}

func newDam(t *testing.T, addr string, after int64) *dam {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	d := &dam{Listener: l, full: make(chan struct{}), open: make(chan struct{}), emptied: make(chan error, 1)}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for first := true; ; first = false {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go d.relay(c, addr, first, after)
		}
	}()
	return d
}

func (d *dam) relay(c net.Conn, addr string, first bool, after int64) {
	defer c.Close()
	to, err := net.Dial("tcp", addr)
	if err != nil {
		return
	}
	defer to.Close()
	go func() {
		_, _ = io.Copy(c, to)
		_ = c.Close()
	}()
	if !first {
		_, _ = io.Copy(to, c)
		return
	}
	d.sender = c.RemoteAddr()
	_, _ = io.CopyN(to, c, after)
	close(d.full)
	<-d.open
	p := make([]byte, 64<<10)
	for {
		n, err := c.Read(p)
		d.behind.Add(int64(n))
		if err != nil {
			d.emptied <- err
			return
		}
	}
}

// unsent is how many bytes the kernel still holds that the sender has written.
func (d *dam) unsent(t *testing.T) (n int64) {
	t.Helper()
	table, err := os.ReadFile("/proc/net/tcp")
	require.NoError(t, err)
	local := fmt.Sprintf("0100007F:%04X", d.sender.(*net.TCPAddr).Port)
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) > 4 && f[1] == local {
			queue, _, _ := strings.Cut(f[4], ":")
			n, err = strconv.ParseInt(queue, 16, 64)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("the connection is not there any more")
	return 0
}

// A member that is frozen for longer than its lease, in the middle of an instance, sends nothing more when it wakes:
// another one has sent the study meanwhile. What the kernel had already is gone before.
func TestFrozenMember(t *testing.T) {
	const side = 4096 // one instance of 32 MiB: more than the kernel holds
	study := phantom.New(32, phantom.StudySpec{
		Patient: phantom.Patient{ID: "F32", Name: "Fault^Ada", Sex: "O"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 1, Rows: side, Columns: side}},
	})
	to := newPACS(t, pacs.Config{})
	way := newDam(t, to.Addr(), 1<<20)
	m := newTeam(t, study, to, way.Addr().String(), func() { receive(t, "the middle of the instance", way.full) }, nil)
	m.first.signal(syscall.SIGSTOP)
	defer m.first.signal(syscall.SIGCONT)
	m.takenOver()
	m.requireComplete()
	close(way.open)
	await(t, "what the kernel had", func() bool { return way.unsent(t) == 0 })
	before := way.behind.Load()
	require.Less(t, before, int64(side*side*2-1<<20), "the first member was in the middle of the instance")
	m.first.signal(syscall.SIGCONT)
	receive(t, "the end of the connection", way.emptied)
	require.Equal(t, before, way.behind.Load(), "bytes after the member woke")
	await(t, "its next incarnation", func() bool {
		return m.seconds("SELECT count(*)::float8 FROM members WHERE fenced_at IS NULL") == 2
	})
}
