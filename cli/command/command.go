// SPDX-License-Identifier: AGPL-3.0-or-later

// Package command is what all commands of adit share: where they write, how they end, whose server they ask, and
// secrets that are read.
package command

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"

	"github.com/adit-go/adit/internal/text"
)

func (s *Status) Error() string {
	if s.Err == nil {
		return ""
	}
	return s.Err.Error()
}

func (s *Status) Unwrap() error { return s.Err }

// The exit codes, as the help documents them.
const (
	ExitSuccess  = 0
	ExitFailure  = 1
	ExitUsage    = 2
	ExitWarning  = 3
	ExitCanceled = 4
)

// Streams are where a command writes.
type Streams struct {
	Out, Err io.Writer
}

// Status is an error that decides the exit code.
type Status struct {
	Code int
	Err  error // nil: everything is said already
}

// Usage is an error of who typed the command.
func Usage(format string, args ...any) error {
	return &Status{ExitUsage, fmt.Errorf(format, args...)}
}

// Printable keeps what others wrote (names, descriptions, messages) from steering the terminal.
func Printable(value string) string { return text.Visible(value) }

// IsTerminal reports whether a person looks at what is written there.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// DefaultDataDir is where a server keeps its data unless it is told otherwise.
func DefaultDataDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/adit"
	}
	if dir := os.Getenv("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "adit")
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "adit-data"
	}
	return filepath.Join(home, ".local", "share", "adit")
}

// DemoDataDir is where a demo keeps its data unless it is told otherwise: not where the real server that comes after it
// does.
func DemoDataDir() string { return DefaultDataDir() + "-demo" }

// Plainly says what the system said of a file in a sentence with what to do; other errors speak for themselves.
func Plainly(err error) string {
	text := err.Error()
	e, ok := errors.AsType[*fs.PathError](err)
	if !ok {
		return text
	}
	path := Printable(e.Path)
	var said string
	switch {
	case errors.Is(e.Err, fs.ErrNotExist):
		said = fmt.Sprintf("there is no file or folder %s; see that the path is right", path)
	case errors.Is(e.Err, fs.ErrPermission):
		said = fmt.Sprintf(
			"this user may not use %s; change its permissions, or run the command as another user", path,
		)
	case errors.Is(e.Err, fs.ErrExist):
		said = fmt.Sprintf("%s exists already; name another", path)
	default:
		return text
	}
	return strings.Replace(text, e.Error(), said, 1)
}
