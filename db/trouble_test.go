// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

func TestTroubleOf(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "unix", Err: syscall.ECONNRESET}
	pg := func(code string) error {
		return fmt.Errorf("1 instance: %w", &pgconn.PgError{Code: code, Message: "x"})
	}
	const silent = "the database doesn't answer"
	for name, c := range map[string]struct {
		err  error
		want string // begins so; empty: no trouble
		away bool
	}{
		"not reached":                  {&pgconn.ConnectError{}, silent, true},
		"reset":                        {fmt.Errorf("1 instance: %w", &db.LostError{Err: reset}), silent, true},
		"shutting down":                {pg("57P01"), silent, true},
		"killed":                       {pg("57P02"), silent, true},
		"starting":                     {pg("57P03"), "the database is starting", true},
		"a connection exception":       {pg("08006"), silent, true},
		"a full disk":                  {pg("53100"), "the database's disk is full", false},
		"no memory":                    {pg("53200"), "the database is out of memory", false},
		"no connections":               {pg("53300"), "the database takes no more connections", true},
		"no resources":                 {pg("53400"), "the database is out of resources", false},
		"a lock":                       {pg("55P03"), "something else holds", false},
		"a slow statement":             {pg("57014"), "the database took too long", false},
		"a standby":                    {pg("25006"), "the database is read-only", false},
		"a deadlock":                   {pg("40P01"), "others changed the same", false},
		"a serialization failure":      {pg("40001"), "others changed the same", false},
		"another password":             {pg("28P01"), "the database doesn't let ADIT in", true},
		"another name":                 {pg("3D000"), "the server has no such database", true},
		"a bad disk":                   {pg("58030"), "the database can't read or write its files", false},
		"a damaged page":               {pg("XX001"), "the database has damaged data", false},
		"a session that was ended":     {pg("25P03"), silent, true},
		"unique violation":             {pg("23505"), "", false},
		"a fault of ours":              {pg("42601"), "", false},
		"a fault of PostgreSQL's":      {pg("XX000"), "", false},
		"anybody's connection reset":   {reset, "", false},
		"anything cut off":             {fmt.Errorf("1 instance: %w", io.ErrUnexpectedEOF), "", false},
		"another full disk":            {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, "", false},
		"a number of the system":       {syscall.ENOENT, "", false},
		"something that took too long": {context.DeadlineExceeded, "", false},
		"anything":                     {errors.New("x"), "", false},
		"nothing":                      {nil, "", false},
	} {
		trouble := db.TroubleOf(c.err)
		if c.want == "" {
			require.Nil(t, trouble, name)
			continue
		}
		require.NotNil(t, trouble, name)
		require.True(t, strings.HasPrefix(trouble.Reason, c.want), "%s: %s", name, trouble.Reason)
		require.Equal(t, c.away, trouble.Away(), name)
		require.GreaterOrEqual(t, trouble.Retry.Seconds(), 1.0, name)
	}
}

// TestLostConnection: whatever ends a connection in the middle of an answer is the database's, and no io.EOF gets out.
func TestLostConnection(t *testing.T) {
	behind, err := pgconn.ParseConfig(dbtest.URL(t))
	require.NoError(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	network, address := pgconn.NetworkAddress(behind.Host, behind.Port)
	cut := make(chan func() error, 1)
	go func() { // what stands between
		in, err := l.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial(network, address)
		if err != nil {
			_ = in.Close()
			return
		}
		cut <- in.Close
		go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
		_, _ = io.Copy(in, out)
	}()

	through := url.URL{
		Scheme: "postgres", Host: l.Addr().String(), Path: behind.Database,
		User: url.UserPassword(behind.User, behind.Password), RawQuery: "sslmode=disable",
	}
	conn, err := db.Connect(t.Context(), through.String(), "")
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }() // it is gone
	rows, err := conn.Query(t.Context(), `SELECT pg_backend_pid() FROM generate_series(1, 1000000)`)
	require.NoError(t, err)
	require.True(t, rows.Next())
	require.NoError(t, (<-cut)())
	for rows.Next() { // what had come already
	}
	require.True(t, db.TroubleOf(rows.Err()).Away(), rows.Err())
	require.NotErrorIs(t, rows.Err(), io.EOF)
}

// TestTooLate: the database is not to blame for a time that was over before it was asked.
func TestTooLate(t *testing.T) {
	conn, err := db.Connect(t.Context(), dbtest.URL(t), "")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(t.Context())) }()
	late, cancel := context.WithTimeout(t.Context(), 0)
	defer cancel()
	_, err = conn.Exec(late, `SELECT 1`)
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Nil(t, db.TroubleOf(err), err)
}
