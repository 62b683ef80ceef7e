// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/server"
)

// TestDemoDataDir: a demo is never where the real server that comes after it is.
func TestDemoDataDir(t *testing.T) {
	require.NotEqual(t, command.DefaultDataDir(), command.DemoDataDir())
}

// TestTokenOfADemo: the commands find the token of a demo that was started alone, and never take it for that of a real
// server.
func TestTokenOfADemo(t *testing.T) {
	inUse, demo := t.TempDir(), t.TempDir()
	_, err := command.TokenIn(inUse, demo)
	require.ErrorIs(t, err, fs.ErrNotExist)
	for _, dir := range []string{demo, inUse} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, server.TokenFile), []byte("of "+dir+"\n"), 0o600))
		got, err := command.TokenIn(inUse, demo)
		require.NoError(t, err)
		require.Equal(t, "of "+dir, got)
	}
}
