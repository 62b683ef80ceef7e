// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"encoding/hex"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
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
	stop          *pacs.Stop
	job           client.Job
}

const teamLease = 4 * time.Second

// newTeam holds the transfer when the destination takes its tenth instance. change is for the settings of the source.
func newTeam(t *testing.T, change func(*client.ServerSettings)) *team {
	t.Helper()
	m := &team{t: t, url: dbtest.URL(t), study: newStudy(31, 1, 20), stop: pacs.StopAt(pacs.AtStoreResponse, 10)}
	m.from = newPACS(t, pacs.Config{Studies: []*phantom.Study{m.study}})
	m.to = newPACS(t, pacs.Config{Gate: m.stop.Gate})
	dir := t.TempDir()
	m.first = m.serve(filepath.Join(dir, "1"))
	t.Cleanup(m.stop.Release)
	for name, p := range map[string]*pacs.PACS{"from": m.from, "to": m.to} {
		host, port, err := net.SplitHostPort(p.Addr())
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
	receive(t, "the point in the transfer", m.stop.Reached())

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
			m := newTeam(t, test.change)
			m.first.signal(syscall.SIGKILL)
			m.first.awaitEnd()
			took := m.takenOver()
			t.Logf("taken over %s after the last beat, lease %s", took, teamLease)
			require.GreaterOrEqual(t, took, test.least)
			require.LessOrEqual(t, took, max(teamLease, test.least)+teamLease/4)
			m.stop.Release()
			m.requireComplete()
		})
	}
}
