// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// MinServerVersion is the oldest PostgreSQL that ADIT runs on, in the form of server_version_num.
	MinServerVersion = 150000

	// DefaultMaxConns is the size of a pool whose URL and options name none.
	DefaultMaxConns = 16

	statementTimeout = 30 * time.Second
	lockTimeout      = 5 * time.Second
	idleInTxTimeout  = 5 * time.Second
	connectTimeout   = 10 * time.Second
)

var (
	// ErrServerTooOld says that the server is older than MinServerVersion.
	ErrServerTooOld = errors.New("ADIT needs PostgreSQL 15 or later")

	// ErrPooler says that a connection pooler stands between ADIT and PostgreSQL.
	ErrPooler = errors.New(
		"the database URL points to a connection pooler such as PgBouncer, which breaks the session locks, " +
			"timeouts and notifications that ADIT relies on; give the address of the PostgreSQL server itself",
	)
)

// Options of a pool. The zero value is fit for use.
type Options struct {
	MaxConns        int32  // size of the pool; 0 takes the URL's pool_max_conns, else DefaultMaxConns
	ApplicationName string // what pg_stat_activity shows; "adit" by default
}

// Open opens a pool of connections and checks that a PostgreSQL that ADIT can work with answers: one that is new
// enough and is spoken to directly. Each session runs in UTC; a statement ends after 30 s, a wait for a lock and an
// idle transaction after 5 s. A setting that the URL names itself is kept.
//
// The caller closes the pool. Work that must go on while the pool is exhausted (beat, LISTEN) uses Connect.
func Open(ctx context.Context, url string, opts Options) (*pgxpool.Pool, error) {
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	switch {
	case opts.MaxConns > 0:
		cfg.MaxConns = opts.MaxConns
	case !strings.Contains(url, "pool_max_conns"):
		cfg.MaxConns = DefaultMaxConns
	}
	setSession(&cfg.ConnConfig.Config, opts.ApplicationName)
	cfg.ConnConfig.Tracer = storable{}

	if err := checkServer(ctx, cfg.ConnConfig); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("open the database's connection pool: %w", err)
	}
	return pool, nil
}

// Connect opens one connection outside any pool, with the same settings as Open's. The caller closes it.
func Connect(ctx context.Context, url, applicationName string) (*pgx.Conn, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	setSession(&cfg.Config, applicationName)
	cfg.Tracer = storable{}
	return connect(ctx, cfg)
}

func setSession(cfg *pgconn.Config, applicationName string) {
	if applicationName == "" {
		applicationName = "adit"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	markErrors(cfg)
	for name, value := range map[string]string{
		"application_name":                    applicationName,
		"timezone":                            "UTC",
		"statement_timeout":                   milliseconds(statementTimeout),
		"lock_timeout":                        milliseconds(lockTimeout),
		"idle_in_transaction_session_timeout": milliseconds(idleInTxTimeout),
	} {
		if _, named := cfg.RuntimeParams[name]; !named {
			cfg.RuntimeParams[name] = value
		}
	}
}

func milliseconds(d time.Duration) string { return fmt.Sprint(d.Milliseconds()) }

// badURL leaves out what pgx quotes: the URL may hold a password.
func badURL(err error) error {
	if parse, ok := errors.AsType[*pgconn.ParseConfigError](err); ok {
		if cause := parse.Unwrap(); cause != nil {
			return fmt.Errorf(
				"the database URL cannot be read (%w); it looks like postgres://user@host:5432/adit", cause,
			)
		}
	}
	return errors.New("the database URL cannot be read; it looks like postgres://user@host:5432/adit")
}

func connect(ctx context.Context, cfg *pgx.ConnConfig) (*pgx.Conn, error) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err == nil {
		return conn, nil
	}
	// PgBouncer refuses the settings of a session that it does not know how to keep.
	var pg *pgconn.PgError
	if errors.As(err, &pg) && strings.Contains(pg.Message, "unsupported startup parameter") {
		return nil, ErrPooler
	}
	return nil, fmt.Errorf("connect to the database: %w", err)
}

// checkServer opens two connections, asks for the version, and sees whether the two share one server process.
func checkServer(ctx context.Context, cfg *pgx.ConnConfig) error {
	cfg = cfg.Copy()
	cfg.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol // a pooler may know another client's prepared statements
	first, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeConn(ctx, first)

	var version int
	var name string
	err = first.QueryRow(
		ctx, `SELECT current_setting('server_version_num')::int, current_setting('server_version')`,
	).Scan(&version, &name)
	if err != nil {
		return fmt.Errorf("ask the database for its version: %w", err)
	}
	if version < MinServerVersion {
		return fmt.Errorf("%w; the server at this URL is %s: upgrade it, or give another one", ErrServerTooOld, name)
	}

	second, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer closeConn(ctx, second)
	return checkDirect(ctx, first, second)
}

// checkDirect finds transaction poolers: an idle client's server process is lent to the next one that asks. A client
// that speaks to PostgreSQL itself has its process for itself.
func checkDirect(ctx context.Context, first, second *pgx.Conn) error {
	const backend = `SELECT pg_backend_pid()`
	var a, b int
	if err := first.QueryRow(ctx, backend).Scan(&a); err != nil {
		return fmt.Errorf("ask the database for its process: %w", err)
	}
	if err := second.QueryRow(ctx, backend).Scan(&b); err != nil {
		return fmt.Errorf("ask the database for its process: %w", err)
	}
	if a == b {
		return ErrPooler
	}
	return nil
}

func closeConn(ctx context.Context, conn *pgx.Conn) {
	// A close that fails leaves nothing behind that could be tidied up here.
	_ = conn.Close(context.WithoutCancel(ctx))
}
