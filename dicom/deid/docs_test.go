// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
)

// TestProfileInTheDocs: the profile that docs/deidentification.md shows loads.
func TestProfileInTheDocs(t *testing.T) {
	text, err := os.ReadFile("../../docs/deidentification.md")
	require.NoError(t, err)
	_, rest, ok := strings.Cut(string(text), "```yaml\n")
	require.True(t, ok, "the page shows a profile")
	profile, _, _ := strings.Cut(rest, "```\n")
	p, err := deid.LoadProfile([]byte(profile))
	require.NoError(t, err)
	require.Equal(t, "lung-study", p.Name())
}
