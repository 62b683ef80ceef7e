// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set when ADIT is built (Makefile).
var version = "dev"

type versionCmd struct {
	Source bool `help:"Say where the source of this version is (AGPL section 13)."`
}

// Run shows the version.
func (c *versionCmd) Run(io streams) error {
	fmt.Fprintf(io.out, "adit %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if !c.Source {
		return nil
	}
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				commit += ", with changes that are not committed"
			}
		}
	}
	fmt.Fprintf(io.out, "commit: %s\nsource: https://github.com/adit-go/adit\nlicence: GNU Affero General Public License, version 3 or later\n", commit)
	return nil
}
