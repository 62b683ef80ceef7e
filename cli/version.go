// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"fmt"
	"runtime"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/internal/licenses"
)

type versionCmd struct {
	command.Output
	Source bool `help:"Show where to get the source of this version (AGPL section 13)."`
}

// Run shows the version.
func (c *versionCmd) Run(io command.Streams) error {
	if c.JSON {
		return command.PrintJSON(io.Out, command.About())
	}
	fmt.Fprintf(io.Out, "adit %s (%s, %s/%s)\n", command.Version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	if c.Source {
		a := command.About()
		fmt.Fprintf(io.Out, "commit: %s\nsource: %s\nlicence: %s\n%s\n", a.Commit, a.Source, a.License, a.Notice)
	}
	return nil
}

type licensesCmd struct{ command.Output }

// Run shows the licences of what is linked.
func (c *licensesCmd) Run(io command.Streams) error {
	all, err := licenses.All()
	if err != nil {
		return err
	}
	return c.Tell(io, all, licenses.Write)
}
