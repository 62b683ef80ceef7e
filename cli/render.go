// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"os"

	"github.com/adit-go/adit/engine/pictures"
)

// renderCmd is what the workers of engine/pictures run. It isn't for people.
type renderCmd struct {
	Program []string `arg:"" optional:"" passthrough:"" help:"A program to become, within limits."`
}

// Run makes pictures until the standard input ends.
func (c *renderCmd) Run() error {
	os.Exit(pictures.Child(c.Program))
	return nil
}
