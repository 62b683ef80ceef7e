// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
)

// Nothing is hidden in what a terminal is shown.
func TestPrintable(t *testing.T) {
	require.Equal(t, "x<U+202E>y<U+000A>", command.Printable("x\u202ey\n"))
}
