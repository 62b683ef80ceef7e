// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

const (
	soakPause   = 100 * time.Millisecond // between two tasks
	soakBacklog = 100                    // tasks that wait; beyond it none is added: the machine is slower than that
	soakWarmUp  = 30                     // tasks before the first look
)

// TestSoak does for some seconds what TestFaultSoak does for long.
func TestSoak(t *testing.T) { soak(t, 3*time.Second) }

// used is what a server takes while nothing is to be done.
type used struct {
	goroutines, files, connections int
	memory, dead, live             int64 // bytes; rows of the database
}

func (u used) String() string {
	return fmt.Sprintf(
		"%d goroutines, %d files, %d connections, %.1f MB, %d dead rows of %d",
		u.goroutines, u.files, u.connections, float64(u.memory)/1e6, u.dead, u.dead+u.live,
	)
}

// soaked is a server under a soak.
type soaked struct {
	*server
	database *pgx.Conn
	admin    *http.Client
}

var (
	goroutinesLine = regexp.MustCompile(`(?m)^go_goroutines (\d+)$`)
	residentLine   = regexp.MustCompile(`VmRSS:\s+(\d+) kB`)
)

func (s *soaked) look() (u used) {
	s.t.Helper()
	rsp, err := s.admin.Get("http://localhost/metrics")
	require.NoError(s.t, err)
	text, err := io.ReadAll(rsp.Body)
	require.NoError(s.t, err)
	require.NoError(s.t, rsp.Body.Close())
	u.goroutines, err = strconv.Atoi(string(goroutinesLine.FindSubmatch(text)[1]))
	require.NoError(s.t, err)
	files, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	u.files = len(files)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.cmd.Process.Pid))
	require.NoError(s.t, err)
	kb, err := strconv.ParseInt(string(residentLine.FindSubmatch(status)[1]), 10, 64)
	require.NoError(s.t, err)
	u.memory = kb << 10
	require.NoError(s.t, s.database.QueryRow(s.t.Context(), `SELECT (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()),
		sum(n_dead_tup)::bigint, sum(n_live_tup)::bigint FROM pg_stat_user_tables`).Scan(&u.connections, &u.dead, &u.live))
	return u
}

// unfinished returns how many tasks wait or run.
func (s *soaked) unfinished() (n int) {
	s.t.Helper()
	require.NoError(s.t, s.database.QueryRow(
		s.t.Context(), "SELECT coalesce(sum(n_pending + n_running), 0) FROM jobs WHERE active",
	).Scan(&n))
	return n
}

// soak makes ten tasks a second for so long, and cancels every third: what the server takes afterwards does not grow
// with how many there were.
func soak(t *testing.T, long time.Duration) {
	t.Helper()
	studies := []*phantom.Study{newStudy(31, 1, 2), newStudy(32, 2, 3), newStudy(33, 1, 8)}
	from, to := newPACS(t, pacs.Config{Studies: studies}), newPACS(t, pacs.Config{})
	s := &soaked{server: serve(t, newDataDir(t), "--dicom-listen", "127.0.0.1:0")}
	s.addServer("from", from.Addr(), 0)
	s.addServer("to", to.Addr(), 0)
	_, err := s.Site.ChangeSettings(t.Context(), client.SettingsChange{MaxJobsPerHour: new(0)})
	require.NoError(t, err)
	url, err := local.URL(s.dir)
	require.NoError(t, err)
	s.database, err = db.Connect(t.Context(), url, "soak")
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.database.Close(context.Background()) })
	socket := filepath.Join(s.dir, "admin.sock")
	s.admin = &http.Client{Timeout: deadline, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		},
	}}

	made := 0
	task := func() {
		job := s.transfer("from", "to", studies[made%len(studies)].StudyInstanceUID)
		if made++; made%3 == 0 {
			_, _ = s.Jobs.Act(t.Context(), job.ID, "cancel") // it may have ended
		}
	}
	rest := func() { await(t, "the end of all tasks", func() bool { return s.unfinished() == 0 }) }
	for range soakWarmUp {
		task()
	}
	rest()
	before := s.look()
	tick := time.NewTicker(soakPause)
	defer tick.Stop()
	for end := time.Now().Add(long); time.Now().Before(end); {
		select {
		case <-tick.C:
		case <-t.Context().Done():
			t.Fatal("the test was ended")
		}
		if made%10 != 0 || s.unfinished() < soakBacklog {
			task()
		}
	}
	rest()

	var after used
	await(t, "the server to come to rest", func() bool {
		after = s.look()
		return after.goroutines <= before.goroutines+20 &&
			after.files <= before.files+20 && after.connections <= db.DefaultMaxConns+4
	})
	t.Logf("%d tasks; before: %s; after: %s", made, before, after)
	var sizes string // docs/admin.md tells what a study takes
	require.NoError(t, s.database.QueryRow(t.Context(), `SELECT string_agg(format('%s %s', part, bytes / $1::int), ', ' ORDER BY part) FROM (
		SELECT regexp_replace(relname, '^audit_.*', 'audit') AS part, sum(pg_total_relation_size(relid)) AS bytes FROM pg_stat_user_tables
		WHERE relname ~ '^(jobs|tasks|task_series|task_log|delivered|audit_2.*)$' GROUP BY 1) sizes`, made).Scan(&sizes))
	t.Logf("bytes per task: %s", sizes)
	require.Less(t, after.memory, int64(mostMemory))
	require.Less(t, after.memory, before.memory+40<<20)
	require.Less(t, after.dead, 10_000+after.live/5, "the database's own clean-up keeps up")
	var failed int
	require.NoError(t, s.database.QueryRow(
		t.Context(), "SELECT count(*) FROM tasks WHERE status NOT IN ('success', 'canceled')",
	).Scan(&failed))
	require.Zero(t, failed)
	await(t, "every slot given back", func() bool {
		var slots int
		require.NoError(t, s.database.QueryRow(t.Context(), "SELECT count(*) FROM association_slots").Scan(&slots))
		return slots == 0
	})
}
