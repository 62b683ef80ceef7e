// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/db/local"
	"github.com/adit-go/adit/internal/testpeer"
)

// database is the one of a cluster.
type database struct {
	t   *testing.T
	dir string // of a PostgreSQL of the test's own

	mu     sync.Mutex
	server *local.Server
	at     *pgx.ConnConfig
}

// newDatabase makes a database, in a PostgreSQL of its own if that is to be restarted.
func newDatabase(t *testing.T, own bool) *database {
	t.Helper()
	d := &database{t: t}
	if !own {
		d.use(dbtest.URL(t))
		return d
	}
	d.dir = t.TempDir()
	d.start()
	t.Cleanup(func() { d.stop() })
	require.NoError(t, db.Migrate(t.Context(), d.server.URL()))
	return d
}

func (d *database) use(url string) {
	at, err := pgx.ParseConfig(url)
	require.NoError(d.t, err)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = at
}

func (d *database) start() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	var err error
	d.server, err = local.Start(ctx, d.dir, slog.New(slog.DiscardHandler), local.Volatile())
	require.NoError(d.t, err)
	d.use(d.server.URL())
}

// stop ends PostgreSQL as an administrator does: it rolls back what is open.
func (d *database) stop() {
	d.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), deadline)
	defer cancel()
	require.NoError(d.t, d.server.Stop(ctx))
}

// restart takes PostgreSQL away for so long.
func (d *database) restart(away time.Duration) {
	d.t.Helper()
	d.stop()
	<-time.After(away)
	d.start()
}

// link returns a link to the database, and the URL for those who come by it.
func (d *database) link() (*testpeer.Link, string) {
	d.t.Helper()
	l, err := testpeer.NewLink(func(net.Conn) (net.Conn, error) {
		d.mu.Lock()
		defer d.mu.Unlock()
		return net.Dial("unix", filepath.Join(d.at.Host, ".s.PGSQL."+strconv.Itoa(int(d.at.Port))))
	})
	require.NoError(d.t, err)
	d.t.Cleanup(func() { require.NoError(d.t, l.Close()) })
	return l, fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", d.at.User, l.Addr, d.at.Database)
}
