// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
)

// TestHelp: --help of the whole and of each command is answered, whatever else the command lacks, and nothing is run or
// said after it.
func TestHelp(t *testing.T) {
	words := [][]string{nil}
	for row := range reflect.TypeFor[commands]().Fields() {
		words = append(words, []string{strings.ToLower(row.Name)})
	}
	words = append(
		words, []string{"node", "add", "server"}, []string{"store", "--help"},
		[]string{"transfer", "--study", "no UID"},
	)
	for _, w := range words {
		t.Run(strings.Join(w, " "), func(t *testing.T) {
			var out, err bytes.Buffer
			require.Equal(t, command.ExitSuccess, run(
				t.Context(), append(append([]string{"adit"}, w...), "--help"), command.Streams{Out: &out, Err: &err},
			))
			command, _, _ := strings.Cut(strings.Join(append([]string{"Usage: adit"}, w...), " "), " --")
			require.Contains(t, out.String(), command)
			require.Equal(t, 1, strings.Count(out.String(), "Usage: "))
			require.Empty(t, err.String())
		})
	}
}
