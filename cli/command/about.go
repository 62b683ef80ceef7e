// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"runtime/debug"

	"github.com/adit-go/adit/http"
)

// version and source are set when ADIT is built (Makefile). Whoever runs a changed ADIT for others owes them its source
// (AGPL section 13), and builds it with the address where that is.
var (
	Version = "dev"
	Source  = "https://github.com/adit-go/adit"
)

// About tells what this program is.
func About() http.About {
	a := http.About{
		Name: "ADIT", Version: Version, Commit: "unknown", Source: Source, License: "AGPL-3.0-or-later",
		Notice: "ADIT is free software: you may use, study, share and change it under the GNU Affero General Public " +
			"License, version 3 or later. It comes without any warranty.",
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
