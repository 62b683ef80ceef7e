// SPDX-License-Identifier: AGPL-3.0-or-later

// Package ui holds the web pages of ADIT as `make ui` has built them; see DESIGN.md for their source beside it.
package ui

import (
	"embed"
	"io/fs"
)

// The folder always exists in the repository; what `make ui` writes into it is not committed.
//
//go:embed all:dist
var dist embed.FS

// Files are the built files, with index.html at the top if there are any.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name is valid
	}
	return files
}
