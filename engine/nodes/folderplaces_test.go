// SPDX-License-Identifier: AGPL-3.0-or-later

package nodes

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/people"
)

func TestPlaces(t *testing.T) {
	at := resolved(t.TempDir())
	dir := func(names ...string) string {
		path := filepath.Join(append([]string{at}, names...)...)
		require.NoError(t, os.MkdirAll(path, 0o700))
		return path
	}
	link := func(to, name string) string {
		path := filepath.Join(at, name)
		require.NoError(t, os.Symlink(to, path))
		return path
	}
	data := dir("data")
	own := dir("data", OwnFolders)
	disk := dir("disk")
	e := &Service{
		Base: &base.Base{Config: base.Config{DataDir: data, FolderRoots: []string{own, link(disk, "linked")}}},
	}
	for name, tt := range map[string]struct {
		path             string
		staff, superuser bool
	}{
		"in the data directory":       {dir("data", OwnFolders, "a"), true, true},
		"a root":                      {disk, true, true},
		"in a root":                   {dir("disk", "a"), true, true},
		"a root by its link":          {filepath.Join(at, "linked", "a"), true, true},
		"not there yet":               {filepath.Join(disk, "none", "b"), true, true},
		"elsewhere":                   {dir("other"), false, true},
		"with a root's name before":   {dir("disk2"), false, true},
		"climbs":                      {disk + "/../other", false, true},
		"climbs back":                 {disk + "/../disk/a", true, true},
		"a link out of a root":        {link(dir("other"), "disk/out"), false, true},
		"a link into a root":          {link(dir("disk", "a"), "in"), true, true},
		"below a link out of a root":  {filepath.Join(disk, "out", "none"), false, true},
		"our own":                     {data, false, false},
		"in our own":                  {dir("data", "pg"), false, false},
		"our own by climbing":         {own + "/../pg", false, false},
		"our own by a link in a root": {link(dir("data", "pg"), "disk/pg"), false, false},
		"around our own":              {at, false, false},
		"all":                         {"/", false, false},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tt.staff, e.checkPlace(people.User{IsStaff: true}, tt.path) == nil)
			require.Equal(t, tt.superuser, e.checkPlace(people.User{IsStaff: true, IsSuperuser: true}, tt.path) == nil)
		})
	}
	none := &Service{Base: &base.Base{Config: base.Config{DataDir: data}}}
	require.ErrorContains(t, none.checkPlace(people.User{IsStaff: true}, disk), "--folder-root")
	require.NoError(t, none.checkPlace(people.User{IsSuperuser: true}, disk))

	require.NoError(t, e.checkStill("F", disk, resolved(disk), ""))
	require.NoError(t, e.checkStill("F", dir("other"), resolved(dir("other")), dir("other")), "what is outside goes on")
	turned := link(dir("other2"), "turned")
	require.ErrorContains(t, e.checkStill("F", turned, resolved(turned), dir("other")), "leads elsewhere")
	require.NoError(t, os.Remove(turned))
	require.NoError(t, os.Symlink(dir("data", "pg"), turned))
	require.ErrorContains(t, e.checkStill("F", turned, resolved(turned), ""), "own data")
	require.NoError(t, os.Remove(turned))
	require.NoError(t, os.Symlink(dir("disk", "a"), turned))
	require.NoError(
		t, e.checkStill("F", turned, resolved(turned), dir("other")), "into a root is where anybody could add it",
	)

	require.NoError(t, CheckFolderRoots([]string{own, disk, "/", at}, data))
	require.Error(t, CheckFolderRoots([]string{data}, data))
	require.Error(t, CheckFolderRoots([]string{disk, dir("data", "pg")}, data))
}
