// SPDX-License-Identifier: AGPL-3.0-or-later

package command

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestBarLine: the bar fits the terminal, however narrow, and a total of nothing is no division by it.
func TestBarLine(t *testing.T) {
	for _, test := range []struct {
		done, total, width int
		want               string
	}{
		{0, 0, 80, "[--------------------]   0%  waiting"},
		{5, 10, 80, "[##########----------]  50%  waiting"},
		{10, 10, 80, "[####################] 100%  waiting"},
		{5, 10, 33, "[##########----------]  50%  wai"},
		{5, 10, 1, ""},
		{5, 10, 0, ""},
	} {
		require.Equal(t, test.want, barLine(test.done, test.total, "waiting", test.width))
	}
}

// TestNoBar: what is no terminal gets no bar.
func TestNoBar(t *testing.T) {
	var out strings.Builder
	b := NewBar(&out)
	require.Nil(t, b)
	b.Show(1, 2, "text")
	b.Clear()
	require.Empty(t, out.String())
}
