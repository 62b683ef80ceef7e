// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestSetupNamesTheGoThatIsMissing: a Go command that can't build ADIT is named with its version, instead of the
// compiler's words.
func TestSetupNamesTheGoThatIsMissing(t *testing.T) {
	for name, c := range map[string]struct {
		script string // the go command; empty: none
		says   string // empty: it will do
	}{
		"Debian 12's":         {`[ "$PWD" = / ] || { echo "go: errors parsing go.mod" >&2; exit 1; }; echo go1.19.8`, "is Go 1.19.8"},
		"one before":          {`echo go1.25.11`, "is Go 1.25.11"},
		"told not to switch":  {`[ "$PWD" = / ] || { echo "go: go.mod requires a later version" >&2; exit 1; }; echo go1.22.2`, "is Go 1.22.2"},
		"broken":              {`exit 1`, "of an unknown version"},
		"none":                {"", "no go command was found"},
		"a later one":         {`echo go1.30.1`, ""},
		"a release candidate": {`echo go1.30rc1`, ""},
		"of the source":       {`echo "devel go1.31-abc123 Mon"`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			command := filepath.Join(t.TempDir(), "go")
			if c.script != "" {
				require.NoError(t, os.WriteFile(command, []byte("#!/bin/sh\n"+c.script+"\n"), 0o700))
			}
			cmd := exec.Command("../scripts/setup", "toolchain")
			cmd.Env = append(os.Environ(), "GO="+command)
			out, err := cmd.CombinedOutput()
			if c.says == "" {
				require.NoError(t, err, string(out))
				return
			}
			require.Error(t, err)
			require.Contains(t, string(out), c.says)
			require.Contains(t, string(out), "https://go.dev/dl/")
		})
	}
}
