// SPDX-License-Identifier: AGPL-3.0-or-later

package db_test

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, dbtest.IgnoreServer()...) }

func TestOpenSetsTheSession(t *testing.T) {
	pool, err := db.Open(t.Context(), dbtest.URL(t)+"&lock_timeout=7s&pool_max_conns=3", db.Options{})
	require.NoError(t, err)
	defer pool.Close()
	require.EqualValues(t, 3, pool.Config().MaxConns)
	for setting, want := range map[string]string{
		"timezone":                            "UTC",
		"statement_timeout":                   "30s",
		"lock_timeout":                        "7s", // the URL's
		"idle_in_transaction_session_timeout": "5s",
		"application_name":                    "adit",
	} {
		var got string
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT current_setting($1)`, setting).Scan(&got))
		require.Equal(t, want, got, setting)
	}
}

func TestOpenRefuses(t *testing.T) {
	_, err := db.Open(t.Context(), "postgres://user:hush@[half/adit", db.Options{})
	require.ErrorContains(t, err, "looks like postgres://")
	require.NotContains(t, err.Error(), "hush")

	_, err = db.Open(t.Context(), "postgres://user@127.0.0.1:1/adit", db.Options{})
	require.ErrorContains(t, err, "connect to the database")
}

func TestMigrateTogether(t *testing.T) {
	url := dbtest.Empty(t)
	errs := make(chan error)
	const members = 4
	for range members {
		go func() { errs <- db.Migrate(t.Context(), url) }()
	}
	for range members {
		require.NoError(t, <-errs)
	}
	pool, err := db.Open(t.Context(), url, db.Options{})
	require.NoError(t, err)
	defer pool.Close()
	version, err := db.SchemaVersion(t.Context(), pool)
	require.NoError(t, err)
	require.Equal(t, db.SchemaMax(), version)
	require.NoError(t, db.CheckSchema(t.Context(), pool))
	require.LessOrEqual(t, db.SchemaMin, db.SchemaMax())
}

func TestSchemaOutsideOfWhatIsKnown(t *testing.T) {
	url := dbtest.URL(t)
	conn, err := db.Connect(t.Context(), url, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()

	_, err = conn.Exec(
		t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES ($1, true)`, db.SchemaMax()+1,
	)
	require.NoError(t, err)
	err = db.CheckSchema(t.Context(), conn)
	require.ErrorIs(t, err, db.ErrSchemaTooNew)
	require.ErrorContains(t, err, "upgrade this one too")
	require.ErrorIs(t, db.Migrate(t.Context(), url), db.ErrSchemaTooNew)

	_, err = conn.Exec(t.Context(), `DELETE FROM goose_db_version WHERE version_id >= $1`, db.SchemaMin)
	require.NoError(t, err)
	err = db.CheckSchema(t.Context(), conn)
	require.ErrorIs(t, err, db.ErrSchemaTooOld)
	require.ErrorContains(t, err, "`adit serve` of this version")

	empty, err := db.Connect(t.Context(), dbtest.Empty(t), "")
	require.NoError(t, err)
	defer func() { require.NoError(t, empty.Close(context.Background())) }()
	require.ErrorIs(t, db.CheckSchema(t.Context(), empty), db.ErrSchemaTooOld)
}

func TestInTx(t *testing.T) {
	pool := dbtest.New(t)
	_, err := pool.Exec(t.Context(), `CREATE TABLE n (id int PRIMARY KEY, v int); INSERT INTO n VALUES (1, 0), (2, 0)`)
	require.NoError(t, err)

	t.Run("rolls back", func(t *testing.T) {
		boom := errors.New("boom")
		err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE n SET v = 99`)
			require.NoError(t, err)
			return boom
		})
		require.ErrorIs(t, err, boom)
		var sum int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT sum(v) FROM n`).Scan(&sum))
		require.Zero(t, sum)
	})

	t.Run("runs again after a deadlock", func(t *testing.T) {
		// Each has locked its first row before it asks for the other's.
		var met, done sync.WaitGroup
		met.Add(2)
		runs := make(chan int, 2)
		for _, order := range [][2]int{{1, 2}, {2, 1}} {
			done.Go(func() {
				run := 0
				err := db.InTx(t.Context(), pool, func(tx pgx.Tx) error {
					run++
					if _, err := tx.Exec(t.Context(), `UPDATE n SET v = v + 1 WHERE id = $1`, order[0]); err != nil {
						return err
					}
					if run == 1 {
						met.Done()
						met.Wait()
					}
					_, err := tx.Exec(t.Context(), `UPDATE n SET v = v + 1 WHERE id = $1`, order[1])
					return err
				})
				if err != nil {
					t.Error(err)
				}
				runs <- run
			})
		}
		done.Wait()
		require.GreaterOrEqual(t, <-runs+<-runs, 3, "one of the two ran again")
		var sum int
		require.NoError(t, pool.QueryRow(t.Context(), `SELECT sum(v) FROM n`).Scan(&sum))
		require.Equal(t, 4, sum)
	})

	t.Run("gives up", func(t *testing.T) {
		run := 0
		err := db.InTx(t.Context(), pool, func(pgx.Tx) error {
			run++
			return &pgconn.PgError{Code: "40001"}
		})
		require.ErrorContains(t, err, "10 times in a row")
		require.Equal(t, 10, run)
	})

	t.Run("ends with its context", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		err := db.InTx(ctx, pool, func(pgx.Tx) error {
			cancel()
			return &pgconn.PgError{Code: "40P01"}
		})
		require.Error(t, err)
	})
}

// scripted is a server that answers what the real one here cannot be made to: an old version, or a pooler's refusal.
type scripted struct {
	refuse  string // message of a FATAL error at the start
	version string
}

func (s scripted) listen(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var sessions sync.WaitGroup
	t.Cleanup(func() {
		require.NoError(t, l.Close())
		sessions.Wait()
	})
	sessions.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			sessions.Go(func() {
				defer func() { _ = conn.Close() }()
				s.serve(conn)
			})
		}
	})
	return "postgres://adit@" + l.Addr().String() + "/adit?sslmode=disable"
}

func (s scripted) serve(conn net.Conn) {
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	b := pgproto3.NewBackend(conn, conn)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return
	}
	if s.refuse != "" {
		b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "08P01", Message: s.refuse})
		_ = b.Flush()
		return
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	for b.Flush() == nil {
		msg, err := b.Receive()
		if err != nil {
			return
		}
		q, ok := msg.(*pgproto3.Query)
		if !ok {
			return
		}
		s.answer(b, q.String)
	}
}

func (s scripted) answer(b *pgproto3.Backend, sql string) {
	columns, row := []string{"backend"}, []string{"4711"}
	if strings.Contains(sql, "server_version_num") {
		columns, row = []string{"num", "name"}, []string{s.version, s.version[:2] + ".1"}
	}
	var desc pgproto3.RowDescription
	var data pgproto3.DataRow
	for i := range columns {
		oid := uint32(23) // int4
		if i > 0 {
			oid = 25 // text
		}
		desc.Fields = append(desc.Fields,
			pgproto3.FieldDescription{Name: []byte(columns[i]), DataTypeOID: oid, DataTypeSize: -1, TypeModifier: -1},
		)
		data.Values = append(data.Values, []byte(row[i]))
	}
	b.Send(&desc)
	b.Send(&data)
	b.Send(&pgproto3.CommandComplete{CommandTag: []byte("SELECT 1")})
	b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
}

func TestServersThatAreRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		server scripted
		is     error
		says   string
	}{
		"old": {scripted{version: "140001"}, db.ErrServerTooOld, "the server at this URL is 14.1"},
		"pooler that knows no settings of a session": {
			scripted{refuse: "unsupported startup parameter: statement_timeout"},
			db.ErrPooler, "PostgreSQL server itself",
		},
		"pooler that lends one process to all": {scripted{version: "170001"}, db.ErrPooler, "PostgreSQL server itself"},
	} {
		t.Run(name, func(t *testing.T) {
			url := tt.server.listen(t)
			_, err := db.Open(t.Context(), url, db.Options{})
			require.ErrorIs(t, err, tt.is)
			require.ErrorContains(t, err, tt.says)
			require.ErrorIs(t, db.Migrate(t.Context(), url), tt.is)
		})
	}
}

// schemaOf lists everything of a schema that has a name: columns with types and defaults, constraints, indexes.
func schemaOf(t *testing.T, url string) []string {
	t.Helper()
	conn, err := db.Connect(t.Context(), url, "")
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close(context.Background())) }()
	rows, err := conn.Query(t.Context(), `
		SELECT table_name || '.' || column_name || ' ' || udt_name || ' ' || is_nullable || ' ' || coalesce(column_default, '')
		FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> 'goose_db_version'
		UNION ALL SELECT conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid)
		FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conrelid <> coalesce(to_regclass('goose_db_version'), 0)
		UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> 'goose_db_version'
		UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype = 'e'
		UNION ALL SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' AND sequencename <> 'goose_db_version_id_seq'
		UNION ALL SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
		ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// Each migration's way down leaves what was there before its way up.
func TestMigrationsUpDownUp(t *testing.T) {
	url := dbtest.Empty(t)
	var before [][]string
	for v := range db.SchemaMax() {
		if v > 0 {
			require.NoError(t, db.MigrateTo(t.Context(), url, v))
		}
		before = append(before, schemaOf(t, url))
	}
	require.NoError(t, db.MigrateTo(t.Context(), url, db.SchemaMax()))
	top := schemaOf(t, url)
	require.NotEmpty(t, top)
	for v := db.SchemaMax() - 1; v >= 0; v-- {
		require.NoError(t, db.MigrateTo(t.Context(), url, v))
		require.Equal(t, before[v], schemaOf(t, url), "after the way down to %d", v)
	}
	require.NoError(t, db.Migrate(t.Context(), url))
	require.Equal(t, top, schemaOf(t, url))
}
