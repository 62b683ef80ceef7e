// SPDX-License-Identifier: AGPL-3.0-or-later

package licenses_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/licenses"
)

// TestLicenses: each module that is linked has its licence here, in the version that is linked.
func TestLicenses(t *testing.T) {
	out, err := exec.CommandContext(
		t.Context(), "go", "list", "-deps", "-f",
		`{{with .Module}}{{.Path}}{{if not .Main}} {{.Version}}{{end}}{{end}}`, "github.com/adit-go/adit/cmd/adit",
	).Output()
	require.NoError(t, err)
	linked := strings.Split(strings.TrimSpace(string(out)), "\n")
	linked = append(slices.DeleteFunc(linked, func(m string) bool { return m == "" }), "Go standard library")
	slices.Sort(linked)
	linked = slices.Compact(linked)

	all, err := licenses.All()
	require.NoError(t, err)
	var here []string
	for _, l := range all {
		require.Greater(t, len(l.Text), 500, "%v", l.Modules)
		for _, m := range l.Modules {
			here = append(here, m.String())
		}
	}
	slices.Sort(here)
	require.Equal(t, linked, here, "run `make generate`")
	require.Equal(t, "github.com/adit-go/adit", all[0].Modules[0].Path)
	require.Contains(t, all[0].Text, "GNU AFFERO GENERAL PUBLIC LICENSE")

	var text strings.Builder
	require.NoError(t, licenses.Write(&text))
	for _, m := range linked {
		require.Contains(t, "\n"+text.String(), "\n"+m+"\n", m)
	}
}
