// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
)

// freeze stops every process of the embedded PostgreSQL where it is. The function returned lets them go on.
func (s *server) freeze() (thaw func()) {
	s.t.Helper()
	root := s.postmaster()
	require.NoError(s.t, syscall.Kill(root, syscall.SIGSTOP)) // it makes no further children
	all := append(children(s.t, root), root)
	for _, pid := range all {
		_ = syscall.Kill(pid, syscall.SIGSTOP) // one may have ended
	}
	thawed := false
	thaw = func() {
		if thawed {
			return
		}
		thawed = true
		for _, pid := range all {
			_ = syscall.Kill(pid, syscall.SIGCONT)
		}
	}
	s.t.Cleanup(thaw)
	return thaw
}

// children lists the processes whose parent is pid.
func children(t *testing.T, pid int) []int {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	require.NoError(t, err)
	var list []int
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		fields := strings.Fields(rest)
		if len(fields) > 1 && fields[1] == strconv.Itoa(pid) {
			child, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			require.NoError(t, err)
			list = append(list, child)
		}
	}
	return list
}

// A database that stands still for less than a lease: the API says so in a sentence, and the transfer doesn't notice.
func TestDatabaseFrozen(t *testing.T) {
	tr := newTransit(t, newStudy(5, 2, 100), where{kind: pacs.AtStoreResponse, number: 50}, "--lease", "60s")
	thaw := tr.freeze()
	tr.stop.Release() // instances go on, up to what the ledger may owe
	_, err := tr.Jobs.Get(t.Context(), tr.job.ID)
	requireAway(t, err)
	thaw()
	tr.requireComplete(0)
	require.Zero(t, tr.to.Recorder().Log().Lost, "no association was lost")
	require.Equal(t, 200, tr.status("/readyz"))
}

// One that stands still for longer than a lease: the server stops all by itself before anybody else might start, and
// goes on later.
func TestDatabaseFrozenForLong(t *testing.T) {
	tr := newTransit(t, newStudy(6, 2, 100), where{kind: pacs.AtStoreResponse, number: 50}, "--lease", "2s")
	thaw := tr.freeze()
	await(t, "the server's own stop", func() bool {
		return strings.Contains(tr.said.String(), "has recorded no beat of this member for a whole lease")
	})
	ctx := t.Context()
	require.NoError(t, tr.from.Recorder().WaitOpen(ctx, 0), "every socket is closed")
	thaw()
	tr.stop.Release()
	tr.requireComplete(unwritten)
}

func requireAway(t *testing.T, err error) {
	t.Helper()
	var problem *client.Problem
	require.ErrorAs(t, err, &problem)
	require.Equal(t, 503, problem.Status, fmt.Sprint(problem))
	require.Equal(t,
		"ADIT's database doesn't answer. Nothing is lost; try again in a moment, and tell your administrator if it lasts.",
		problem.Detail,
	)
}
