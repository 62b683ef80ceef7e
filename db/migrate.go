// SPDX-License-Identifier: AGPL-3.0-or-later

package db

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

//go:embed migrations/*.sql
var migrations embed.FS

// SchemaMin is the oldest schema that this binary's queries work with. It is raised together with the first query
// that needs a newer migration.
const SchemaMin int64 = 38

var (
	// ErrSchemaTooOld says that migrations are to be applied before this binary can work.
	ErrSchemaTooOld = errors.New("the database's schema is too old for this adit")

	// ErrSchemaTooNew says that a newer ADIT has migrated the database.
	ErrSchemaTooNew = errors.New("the database's schema is too new for this adit")
)

const (
	// Members that start together wait for the one that migrates: 300 tries, a second apart.
	lockPeriodSeconds = 1
	lockTries         = 300
)

// Migrations are the SQL files that this binary carries, for who wants to read or to hash them.
func Migrations() fs.FS {
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// SchemaMax is the newest schema that this binary knows: its last migration.
func SchemaMax() int64 {
	var newest int64
	files, err := fs.Glob(Migrations(), "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	for _, file := range files {
		if v, err := goose.NumericComponent(file); err == nil && v > newest {
			newest = v
		}
	}
	return newest
}

// Migrate brings the database at url to SchemaMax. Members may call it at the same time: one of them migrates under a
// lock of its session, the others wait. A schema that is newer than this binary is left alone and is an error, as is
// a server that is too old or reached through a pooler.
func Migrate(ctx context.Context, url string) error {
	cfg, err := migrationConfig(url)
	if err != nil {
		return err
	}
	if err := checkServer(ctx, cfg); err != nil {
		return err
	}
	return withProvider(cfg, func(p *goose.Provider) error {
		version, err := p.GetDBVersion(ctx)
		if err != nil {
			return fmt.Errorf("read the version of the database's schema: %w", err)
		}
		if version > SchemaMax() {
			return tooNew(version)
		}
		if _, err := p.Up(ctx); err != nil {
			return fmt.Errorf("migrate the database from schema %d to %d: %w", version, SchemaMax(), err)
		}
		return nil
	})
}

// migrateTo goes up or down to one version. Only tests go down: a user's way back is a dump.
func migrateTo(ctx context.Context, url string, version int64) error {
	cfg, err := migrationConfig(url)
	if err != nil {
		return err
	}
	return withProvider(cfg, func(p *goose.Provider) error {
		current, err := p.GetDBVersion(ctx)
		if err != nil {
			return err
		}
		if version < current {
			_, err = p.DownTo(ctx, version)
		} else {
			_, err = p.UpTo(ctx, version)
		}
		return err
	})
}

func migrationConfig(url string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, badURL(err)
	}
	setSession(&cfg.Config, "adit migrate")
	// An index on a large table takes what it takes, and so does waiting for the member that builds it.
	cfg.RuntimeParams["statement_timeout"] = "0"
	cfg.RuntimeParams["lock_timeout"] = "0"
	cfg.RuntimeParams["idle_in_transaction_session_timeout"] = "0"
	return cfg, nil
}

func withProvider(cfg *pgx.ConnConfig, use func(*goose.Provider) error) (err error) {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(lockPeriodSeconds, lockTries))
	if err != nil {
		return err
	}
	// goose speaks database/sql; its one connection is closed with the provider.
	conn := stdlib.OpenDB(*cfg)
	p, err := goose.NewProvider(
		goose.DialectPostgres, conn, Migrations(),
		goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
	)
	if err != nil {
		return errors.Join(fmt.Errorf("read the migrations: %w", err), conn.Close())
	}
	defer func() { err = errors.Join(err, p.Close()) }()
	return use(p)
}

// Querier is what answers a query of one row: a pool, a connection or a transaction.
type Querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// SchemaVersion is the number of the last migration that was applied; 0 for a database without any.
func SchemaVersion(ctx context.Context, q Querier) (int64, error) {
	// goose keeps one row per applied migration, and deletes it on the way down.
	var version int64
	err := q.QueryRow(ctx, `SELECT coalesce(max(version_id), 0) FROM `+
		goose.DefaultTablename+` WHERE is_applied`).Scan(&version)
	if err != nil {
		var pg *pgconn.PgError
		if errors.As(err, &pg) && pg.Code == "42P01" { // undefined_table
			return 0, nil
		}
		return 0, fmt.Errorf("read the version of the database's schema: %w", err)
	}
	return version, nil
}

// CheckSchema refuses a schema outside SchemaMin and SchemaMax; the error says what to do.
func CheckSchema(ctx context.Context, q Querier) error {
	version, err := SchemaVersion(ctx, q)
	switch {
	case err != nil:
		return err
	case version < SchemaMin:
		return fmt.Errorf(
			"%w: it is %d instead of %d; `adit serve` of this version updates it when it starts",
			ErrSchemaTooOld, version, SchemaMin,
		)
	case version > SchemaMax():
		return tooNew(version)
	}
	return nil
}

func tooNew(version int64) error {
	return fmt.Errorf("%w: it is %d, but this adit knows only up to %d; another member of the cluster has been upgraded, "+
		"so upgrade this one too, or restore the dump made before",
		ErrSchemaTooNew, version, SchemaMax())
}
