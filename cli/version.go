// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/adit-go/adit/http"
	"github.com/adit-go/adit/internal/licenses"
)

// version and source are set when ADIT is built (Makefile). Whoever runs a changed ADIT for others owes them its source (AGPL section 13), and
// builds it with the address where that is.
var (
	version = "dev"
	source  = "https://github.com/adit-go/adit"
)

// about tells what this program is.
func about() http.About {
	a := http.About{
		Name: "ADIT", Version: version, Commit: "unknown", Source: source, License: "AGPL-3.0-or-later",
		Notice: "ADIT is free software: you may use, study, share and change it under the GNU Affero General Public License, version 3 or later. It comes without any warranty.",
	}
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			switch {
			case s.Key == "vcs.revision":
				a.Commit = s.Value
			case s.Key == "vcs.modified" && s.Value == "true":
				a.Commit += ", with changes that are not committed"
			}
		}
	}
	return a
}

type versionCmd struct {
	Source bool `help:"Say where the source of this version is (AGPL section 13)."`
}

// Run shows the version.
func (c *versionCmd) Run(io streams) error {
	fmt.Fprintf(io.out, "adit %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if c.Source {
		a := about()
		fmt.Fprintf(io.out, "commit: %s\nsource: %s\nlicence: %s\n%s\n", a.Commit, a.Source, a.License, a.Notice)
	}
	return nil
}

type licensesCmd struct{}

// Run shows the licences of what is linked.
func (*licensesCmd) Run(io streams) error { return licenses.Write(io.out) }
