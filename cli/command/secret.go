// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"github.com/adit-go/adit/internal/files"
)

const maxSecret = 4 << 10

// ReadSecret reads a secret of one line: from a file if one is named, from the person at the terminal, who types it
// twice and doesn't see it, or from what is piped in.
func ReadSecret(out io.Writer, what, file string) (string, error) {
	if file != "" {
		if err := files.CheckSecretFile(file); err != nil {
			return "", err
		}
		f, err := os.Open(file)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }() // was only read
		return oneLine(f, what)
	}
	fd := int(os.Stdin.Fd())
	if !term.IsTerminal(fd) {
		return oneLine(os.Stdin, what)
	}
	var typed [2]string
	for i, prompt := range []string{what + ": ", "Once more: "} {
		fmt.Fprint(out, prompt)
		text, err := term.ReadPassword(fd)
		fmt.Fprintln(out)
		if err != nil {
			return "", err
		}
		typed[i] = string(text)
	}
	if typed[0] != typed[1] {
		return "", errors.New("the two entries differ; nothing was changed. Try again")
	}
	return typed[0], nil
}

// oneLine reads all, and takes off the end of the line.
func oneLine(r io.Reader, what string) (string, error) {
	text, err := io.ReadAll(io.LimitReader(r, maxSecret+1))
	if err != nil {
		return "", err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(string(text), "\n"), "\r")
	if line == "" || len(text) > maxSecret || strings.ContainsAny(line, "\r\n") {
		return "", Usage(
			"the %s must be one line of at most %d bytes, from the standard input or a file",
			strings.ToLower(what), maxSecret,
		)
	}
	return line, nil
}
