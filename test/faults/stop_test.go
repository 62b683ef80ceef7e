// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"context"
	"log/slog"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/dicom/pacs"
)

// requireClean looks at what an ended server left behind: no association at either PACS, no slot, nobody who holds a
// task.
func (tr *transit) requireClean() {
	t := tr.t
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), deadline)
	defer cancel()
	require.NoError(t, tr.from.Recorder().WaitOpen(ctx, 0), "associations at the source")
	require.NoError(t, tr.to.Recorder().WaitOpen(ctx, 0), "associations at the destination")

	db, err := local.Start(ctx, tr.dir, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	defer func() { require.NoError(t, db.Stop(ctx)) }()
	conn, err := pgx.Connect(ctx, db.URL())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(ctx)) }()
	var slots, held, alive int
	var status string
	require.NoError(t, conn.QueryRow(ctx, `SELECT (SELECT count(*) FROM association_slots), (SELECT count(*) FROM tasks WHERE lease_member IS NOT NULL),
		(SELECT count(*) FROM members WHERE fenced_at IS NULL), (SELECT status FROM tasks)`).Scan(&slots, &held, &alive, &status))
	require.Zero(t, slots, "slots")
	require.Zero(t, held, "tasks that are held")
	require.Zero(t, alive, "members that have not signed off")
	require.Equal(t, "pending", status)
}

// SIGTERM while a series is on its way: it is finished, everything is given back, and the next start does the rest.
func TestStopBetweenSeries(t *testing.T) {
	tr := newTransit(t, newStudy(2, 3, 40), where{kind: pacs.AtStoreResponse, number: 50, perTask: 1})
	tr.signal(syscall.SIGTERM)
	await(t, "readyz 503", func() bool { return tr.status("/readyz") == 503 })
	tr.stop.Release()
	tr.awaitEnd()
	require.Zero(t, tr.cmd.ProcessState.ExitCode(), tr.said)
	require.Len(t, tr.to.Recorder().Log().Stores, 80, "two series are there, nothing of the third")
	tr.requireClean()
	for _, p := range []*pacs.PACS{tr.from, tr.to} {
		require.Zero(t, p.Recorder().Log().Lost, "all associations were released")
	}

	tr.restart()
	tr.requireComplete(0)
	for _, p := range []*pacs.PACS{tr.from, tr.to} {
		require.Zero(t, p.Recorder().Log().Lost)
	}
}

// SIGTERM while a PACS doesn't move: what can't be finished in time is cut off, in order all the same.
func TestStopCutsOff(t *testing.T) {
	for name, at := range map[string]where{
		"held by the source":      {atSource: true, kind: pacs.AtSubOperation, number: 300},
		"held by the destination": {kind: pacs.AtStoreResponse, number: 300},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTransit(t, newStudy(3, 1, 600), at, "--shutdown-timeout", "1s")
			tr.signal(syscall.SIGTERM)
			tr.awaitEnd()
			require.Zero(t, tr.cmd.ProcessState.ExitCode(), tr.said)
			tr.stop.Release()
			tr.requireClean()
			tr.restart()
			// Everything that was acknowledged is in the ledger. Each store association may have had one object under
			// way.
			tr.requireComplete(4)
		})
	}
}

// The second SIGTERM ends all at once; the next start does the rest.
func TestStopTwice(t *testing.T) {
	tr := newTransit(t, newStudy(4, 2, 60), where{kind: pacs.AtStoreResponse, number: 50}, "--shutdown-timeout", "10m")
	tr.signal(syscall.SIGTERM)
	await(t, "readyz 503", func() bool { return tr.status("/readyz") == 503 })
	tr.signal(syscall.SIGTERM)
	tr.awaitEnd()
	require.NotZero(t, tr.cmd.ProcessState.ExitCode())
	tr.stop.Release()
	tr.restart()
	tr.requireComplete(unwritten)
}
