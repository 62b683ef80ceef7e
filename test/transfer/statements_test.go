// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/test/harness"
)

// statements counts what the database is asked, beginnings and ends of transactions included.
type statements struct {
	mu   sync.Mutex
	seen map[string]int
}

func (s *statements) TraceQueryStart(ctx context.Context, _ *pgx.Conn, q pgx.TraceQueryStartData) context.Context {
	s.count(q.SQL)
	return ctx
}

func (s *statements) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func (s *statements) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return ctx
}

func (s *statements) TraceBatchQuery(_ context.Context, _ *pgx.Conn, q pgx.TraceBatchQueryData) {
	s.count(q.SQL)
}

func (s *statements) TraceBatchEnd(context.Context, *pgx.Conn, pgx.TraceBatchEndData) {}

func (s *statements) count(sql string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, _, _ := strings.Cut(strings.TrimPrefix(sql, "-- name: "), "\n")
	s.seen[line[:min(len(line), 40)]]++
}

// reset begins to count anew, and returns what was counted.
func (s *statements) reset() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	seen := s.seen
	s.seen = map[string]int{}
	return seen
}

// TestStatements: what a task of one instance costs the database, from the claim to the end of its lease. What a member
// asks by itself, at each beat, is no task's.
func TestStatements(t *testing.T) {
	const tasks = 10
	for _, tt := range []struct {
		name   string
		most   float64 // statements per task
		source func(*nodes.NewServer)
		folder bool
		study  jobs.Study
	}{
		{name: "by C-GET", most: 15},
		{name: "by C-MOVE", most: 15, source: byMove},
		{name: "into a folder", most: 17, folder: true},
		{name: "under a pseudonym", most: 24, study: jobs.Study{Pseudonym: "P1"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			trace := &statements{seen: map[string]int{}}
			n := harness.New(t, harness.Config{Workers: 1, Lease: time.Hour, Trace: trace})
			all := make([]*phantom.Study, tasks+1)
			for i := range all {
				all[i] = dated(uint64(i+1), "20240102", "080000", 1, 1)
			}
			src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: all, MoveDestinations: movesTo(n)})
			n.AddServer("source", "SRC", src.Addr(), tt.source)
			if tt.folder {
				n.AddFolder("destination", t.TempDir())
			} else {
				n.AddServer("destination", "DST", startPACS(t, pacs.Config{AETitle: "DST"}).Addr(), nil)
			}
			transfer := jobs.Transfer{Source: "source", Destination: "destination"}
			for _, s := range all {
				study := tt.study
				study.StudyInstanceUID = s.StudyInstanceUID
				transfer.Studies = append(transfer.Studies, study)
			}
			first := transfer
			first.Studies, transfer.Studies = transfer.Studies[:1], transfer.Studies[1:]
			require.Equal(t, jobs.Success, n.Wait(n.Create(first).ID).Status)
			job := n.Create(transfer)
			trace.reset()
			require.NoError(t, src.Recorder().Wait(
				t.Context(), func(l *pacs.Log) bool { return len(l.Sent) == len(all) },
			))
			conn, err := pgx.Connect(t.Context(), n.URL)
			require.NoError(t, err)
			defer conn.Close(context.Background())
			for status := ""; status != jobs.Success; {
				require.NoError(t, conn.QueryRow(
					t.Context(), "SELECT status FROM jobs WHERE id = $1", job.ID,
				).Scan(&status))
			}
			seen, total := trace.reset(), 0
			for _, n := range seen {
				total += n
			}
			var lines []string
			for _, line := range slices.SortedFunc(
				maps.Keys(seen), func(a, b string) int { return seen[b] - seen[a] },
			) {
				lines = append(lines, fmt.Sprintf("%5.1f %s", float64(seen[line])/tasks, line))
			}
			t.Logf("%.1f statements per task\n%s", float64(total)/tasks, strings.Join(lines, "\n"))
			require.LessOrEqual(t, float64(total)/tasks, tt.most)
		})
	}
}

// TestListsAskOnce: a list asks the database as often for many rows as for one.
func TestListsAskOnce(t *testing.T) {
	t.Parallel()
	trace := &statements{seen: map[string]int{}}
	n := harness.New(t, harness.Config{Idle: true, Trace: trace})
	n.AddServer("source", "SRC", "127.0.0.1:104", nil)
	transfer := jobs.Transfer{Source: "source", Destination: "destination"}
	for i := range 20 {
		n.AddServer(fmt.Sprintf("other %d", i), fmt.Sprintf("OTHER%d", i), "127.0.0.1:104", nil)
		n.AddFolder(fmt.Sprintf("folder %d", i), t.TempDir())
		transfer.Studies = append(transfer.Studies, jobs.Study{StudyInstanceUID: fmt.Sprintf("2.25.%d", i)})
	}
	n.AddFolder("destination", t.TempDir())
	job := n.Create(transfer)
	for range 20 {
		n.Create(jobs.Transfer{Source: "source", Destination: "destination", Studies: transfer.Studies[:1]})
	}
	for name, list := range map[string]func(limit int) (int, error){
		"tasks": func(limit int) (int, error) {
			rows, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: limit})
			return len(rows), err
		},
		"jobs": func(limit int) (int, error) {
			rows, err := n.Engine.Jobs.List(t.Context(), n.Admin, jobs.JobFilter{Limit: limit})
			return len(rows), err
		},
		"nodes": func(limit int) (int, error) {
			rows, err := n.Engine.Nodes.List(t.Context(), n.Admin, nodes.Filter{Limit: limit})
			return len(rows), err
		},
	} {
		asked := func(limit int) (sum int) {
			trace.reset()
			rows, err := list(limit)
			require.NoError(t, err)
			require.Equal(t, limit, rows, name)
			for _, times := range trace.reset() {
				sum += times
			}
			return sum
		}
		few, many := asked(3), asked(20)
		require.Equal(t, few, many, "%s: statements for 3 rows and for 20", name)
	}
}
