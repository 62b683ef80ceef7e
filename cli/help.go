// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"fmt"
	stdio "io"
	"strconv"
	"strings"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/cli/completion"
)

// versionFlag is adit --version.
type versionFlag bool

// BeforeReset implements kong.BeforeReset: it answers before anything else of the command line is looked at.
func (versionFlag) BeforeReset(io command.Streams) error {
	if err := new(versionCmd).Run(io); err != nil {
		return err
	}
	return errHelped
}

type helpCmd struct {
	Command []string `arg:"" optional:"" help:"The command, such as: node add server."`
}

// Run shows the help of a command.
func (c *helpCmd) Run(ctx context.Context, io command.Streams) error {
	parser, err := newParser(io, new(root))
	if err != nil {
		return err
	}
	at := parser.Model.Node
	for _, name := range c.Command {
		if at = command.Child(at, name); at == nil {
			return command.Usage("there is no command %q; adit --help lists the commands", strings.Join(c.Command, " "))
		}
	}
	return exitCode(run(ctx, append(append([]string{"adit"}, c.Command...), "--help"), io))
}

// exitCode is the error for the exit code of a command that said all.
func exitCode(code int) error {
	if code == command.ExitSuccess {
		return nil
	}
	return &command.Status{Code: code}
}

// complete writes what a command line may go on with, a candidate per line.
func complete(ctx context.Context, out stdio.Writer, line, point string) int {
	if n, err := strconv.Atoi(point); err == nil && n >= 0 && n < len(line) {
		line = line[:n]
	}
	parser, err := newParser(command.Streams{Out: stdio.Discard, Err: stdio.Discard}, new(root))
	if err != nil {
		return command.ExitFailure
	}
	for _, candidate := range completion.Candidates(ctx, parser.Model.Node, line) {
		fmt.Fprintln(out, candidate)
	}
	return command.ExitSuccess
}
