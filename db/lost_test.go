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
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

func TestLost(t *testing.T) {
	reset := &net.OpError{Op: "read", Net: "unix", Err: syscall.ECONNRESET}
	for name, c := range map[string]struct {
		err  error
		lost bool
	}{
		"not reached":                  {&pgconn.ConnectError{}, true},
		"reset":                        {fmt.Errorf("1 instance: %w", &db.LostError{Err: reset}), true},
		"shutting down":                {&pgconn.PgError{Code: "57P01"}, true},
		"unique violation":             {&pgconn.PgError{Code: "23505"}, false},
		"anybody's connection reset":   {reset, false},
		"anything cut off":             {fmt.Errorf("1 instance: %w", io.ErrUnexpectedEOF), false},
		"a full disk":                  {&fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}, false},
		"a number of the system":       {syscall.ENOENT, false},
		"something that took too long": {context.DeadlineExceeded, false},
		"anything":                     {errors.New("x"), false},
	} {
		require.Equal(t, c.lost, db.Lost(c.err), name)
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

	through := url.URL{Scheme: "postgres", Host: l.Addr().String(), Path: behind.Database, User: url.UserPassword(behind.User, behind.Password), RawQuery: "sslmode=disable"}
	conn, err := db.Connect(t.Context(), through.String(), "")
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }() // it is gone
	rows, err := conn.Query(t.Context(), `SELECT pg_backend_pid() FROM generate_series(1, 1000000)`)
	require.NoError(t, err)
	require.True(t, rows.Next())
	require.NoError(t, (<-cut)())
	for rows.Next() { // what had come already
	}
	require.True(t, db.Lost(rows.Err()), rows.Err())
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
	require.False(t, db.Lost(err), err)
}
