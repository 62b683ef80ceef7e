// SPDX-License-Identifier: AGPL-3.0-or-later

package server

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"
)

// Nothing is hidden in a log, be it in a text, in an error or in a group.
func TestLogInSight(t *testing.T) {
	var out bytes.Buffer
	log := newLogger(&out, false, slog.LevelInfo)
	log.Info("said", "name", "a\u202eb", "err", errors.New("c\u2066d\x1b[2J\nend"), slog.Group("g", "z", "e\u200bf"))
	for _, want := range []string{`a<U+202E>b`, `c<U+2066>d<U+001B>[2J\nend`, `e<U+200B>f`} {
		require.Contains(t, out.String(), want)
	}
}
