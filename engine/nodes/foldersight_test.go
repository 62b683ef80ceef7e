// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/engine/base"
)

// TestSight: a folder is seen if it is there and has the marker of the one that was set up; a look at one that hangs is
// not repeated before it has ended, and holds nobody up.
func TestSight(t *testing.T) {
	pool := dbtest.New(t)
	dir := t.TempDir()
	svc := New(base.New(pool, nil, nil, slog.New(slog.DiscardHandler), base.Config{FolderRoots: []string{dir}}))
	add := func(name string, marker *uuid.UUID) (id int64) {
		path := filepath.Join(dir, name)
		err := pool.QueryRow(t.Context(), `WITH n AS (INSERT INTO dicom_nodes (name, kind) VALUES ($1, 'folder') RETURNING id)
			INSERT INTO folders (id, path, marker, resolved) SELECT id, $2, $3, $2 FROM n RETURNING id`, name, path, marker).Scan(&id)
		require.NoError(t, err)
		return id
	}
	here := func(name, marker string) {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(path, 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(path, MarkerName), []byte(markerWords+marker+"\n"), 0o600))
	}
	right, other := uuid.New(), uuid.New()
	good := add("good", &right)
	here("good", right.String())
	add("another disk", &other)
	here("another disk", uuid.NewString())
	third := uuid.New()
	add("nothing mounted", &third)
	fourth := uuid.New()
	add("no marker", &fourth)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "no marker"), 0o700))
	old := add("not used since there are markers", nil)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "not used since there are markers"), 0o700))

	sight := svc.NewSight()
	seen, err := sight.Look(t.Context())
	require.NoError(t, err)
	require.Equal(t, []int64{good, old}, seen)

	var asked atomic.Int64
	hang := make(chan struct{})
	sight.see = func(name string, f db.Folder) bool {
		if f.ID == good {
			asked.Add(1)
			<-hang
		}
		return svc.Sees(name, f)
	}
	for range 2 {
		seen, err = sight.Look(t.Context())
		require.NoError(t, err)
		require.Equal(t, []int64{old}, seen)
	}
	require.EqualValues(t, 1, asked.Load(), "the first look has not ended yet")
	close(hang)
	for len(seen) < 2 {
		seen, err = sight.Look(t.Context())
		require.NoError(t, err)
	}
	require.Equal(t, []int64{good, old}, seen)
}
