// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/people"
)

const someMounts = `22 27 0:21 / /proc rw,relatime - proc none rw
27 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 27 8:2 / /srv rw - ext4 /dev/sdb rw
31 27 8:1 /data /bound rw - ext4 /dev/sda1 rw
32 27 8:1 /data/postgres /a\040blank rw - ext4 /dev/sda1 rw
33 27 8:1 /data/folders/x /shared rw - ext4 /dev/sda1 rw
34 27 8:1 / /disk/all rw - ext4 /dev/sda1 rw
35 27 8:3 / /data/quarantine rw - ext4 /dev/sdc rw
36 27 8:3 /deep /mnt/q rw - ext4 /dev/sdc rw
37 27 8:4 /vol /data/folders/vol rw - ext4 /dev/sdd rw
38 27 8:4 / /mnt/vol rw - ext4 /dev/sdd rw
39 27 8:1 /database /disk/like rw - ext4 /dev/sda1 rw
`

// Whatever is mounted where, ADIT's own data is its own.
func TestOursByMounts(t *testing.T) {
	mounts := parseMounts(someMounts)
	c := base.Config{DataDir: "/data"}
	for path, want := range map[string]struct{ in, around bool }{
		"/data": {true, true}, "/data/postgres/base": {true, false},
		"/data/folders": {false, false}, "/data/folders/x": {false, false},
		"/bound": {true, true}, "/bound/postgres": {true, false},
		"/bound/folders/x": {false, false}, "/bound/none": {true, false},
		"/a blank": {true, false}, "/a blank/base": {true, false}, "/shared": {false, false},
		"/disk": {false, true}, "/disk/all": {false, true},
		"/disk/all/data/postgres": {true, false}, "/disk/all/srv": {false, false},
		"/data/quarantine": {true, false}, "/mnt/q": {true, false}, "/mnt": {false, true},
		"/mnt/vol": {false, false}, "/mnt/vol/vol/a": {false, false},
		"/data/folders/vol/a": {false, false}, "/srv": {false, false},
		"/srv/data": {false, false}, "/disk/like": {false, false}, "/": {false, true},
	} {
		require.Equal(t, want.in, inOurs(c, mounts, path), "in: %s", path)
		require.Equal(t, want.around, aroundOurs(c, mounts, path), "around: %s", path)
	}
	require.True(t, inOurs(c, nil, "/data/x"), "without a table of mounts")
	require.False(t, inOurs(c, nil, "/data2"))
	require.True(t, aroundOurs(c, nil, "/"))
	require.False(t, inOurs(base.Config{}, mounts, "/"))

	for _, two := range [][2]string{
		{"/srv", "/srv"},
		{"/srv", "/srv/a"},
		{"/mnt", "/mnt/vol/x"},
		{"/shared/a", "/data/folders/x/a"},
		{"/shared/a/b", "/data/folders/x/a"},
		{"/mnt/vol/vol", "/data/folders/vol/a"},
		{"/disk", "/bound/folders/x"},
	} {
		require.True(t, overlap(mounts, two[0], two[1]), two)
		require.True(t, overlap(mounts, two[1], two[0]), two)
	}
	for _, two := range [][2]string{
		{"/srv/a", "/srv/b"}, {"/srv/a", "/srv/ab"}, {"/srv/a", "/shared/a"}, {"/mnt/vol/other", "/data/folders/vol"},
	} {
		require.False(t, overlap(mounts, two[0], two[1]), two)
		require.False(t, overlap(mounts, two[1], two[0]), two)
	}
}

// A real mount of ADIT's own data is found at making and at each run.
func TestBoundPlaces(t *testing.T) {
	at := resolved(t.TempDir())
	for _, dir := range []string{
		"data/postgres/base", "data/folders/a", "disk/bound", "disk/around/pg", "disk/good", "disk/alias",
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(at, dir), 0o700))
	}
	bind := func(from, to string) {
		t.Helper()
		to = filepath.Join(at, to)
		if err := syscall.Mount(filepath.Join(at, from), to, "", syscall.MS_BIND, ""); err != nil {
			t.Skipf("mounts take root: %v", err)
		}
		t.Cleanup(func() { require.NoError(t, syscall.Unmount(to, 0)) })
	}
	bind("data/postgres", "disk/bound")
	bind("data/postgres/base", "disk/around/pg")
	bind("data/folders", "disk/good")
	e := &Service{Base: &base.Base{
		Config: base.Config{DataDir: filepath.Join(at, "data"), FolderRoots: []string{filepath.Join(at, "disk")}},
	}}
	for path, ours := range map[string]bool{
		"disk/bound": true, "disk/bound/base": true, "disk/around": true,
		"disk/good/a": false, "disk/alias": false, "disk/bound/none": true,
	} {
		path = filepath.Join(at, path)
		require.Equal(t, ours, e.checkPlace(people.User{IsSuperuser: true}, path) != nil, path)
		require.Equal(t, ours, e.checkStill("F", path, resolved(path), path) != nil, path)
	}
}

// What was opened is what was judged.
func TestOpenPath(t *testing.T) {
	dir := t.TempDir()
	root, at, err := openPath(dir)
	require.NoError(t, err)
	require.Equal(t, resolved(dir), at)
	require.NoError(t, root.Close())
	_, _, err = openPath(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}
