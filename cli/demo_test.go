// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDemoHasADataDirOfItsOwn: a demo and a real server never share one, whichever was there first.
func TestDemoHasADataDirOfItsOwn(t *testing.T) {
	require.NotEqual(t, defaultDataDir(), demoDataDir())
	for name, starts := range map[string][]struct {
		demo    bool
		refused string
	}{
		"a demo, again":             {{demo: true}, {demo: true}},
		"a real server, again":      {{demo: false}, {demo: false}},
		"a real server in a demo's": {{demo: true}, {demo: false, refused: "holds a demo"}, {demo: true}},
		"a demo in a real server's": {{demo: false}, {demo: true, refused: "no demo"}, {demo: false}},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, s := range starts {
				err := checkDemoDir(dir, s.demo)
				if s.refused != "" {
					require.ErrorContains(t, err, s.refused)
					require.ErrorContains(t, err, "--data-dir")
					continue
				}
				require.NoError(t, err)
				_, err = dataDirID(dir)
				require.NoError(t, err)
			}
		})
	}
}

// TestTokenOfADemo: the commands find the token of a demo that was started alone, and never take it for that of a real server.
func TestTokenOfADemo(t *testing.T) {
	server, demo := t.TempDir(), t.TempDir()
	_, err := tokenIn(server, demo)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, dir := range []string{demo, server} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, tokenFile), []byte("of "+dir+"\n"), 0o600))
		got, err := tokenIn(server, demo)
		require.NoError(t, err)
		require.Equal(t, "of "+dir, got)
	}
}
