// SPDX-License-Identifier: AGPL-3.0-or-later

package version_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/version"
)

func TestVersions(t *testing.T) {
	one, other := version.Of("a", 1), version.Of("a", 2)
	require.Equal(t, `"`, one[:1])
	require.NotEqual(t, one, other)
	require.Equal(t, version.Of(map[string]int{"a": 1, "b": 2}), version.Of(map[string]int{"b": 2, "a": 1}))
	for name, c := range map[string]struct {
		header     string
		may, known bool
	}{
		"none":          {"", true, false},
		"the same":      {one, true, true},
		"another":       {other, false, false},
		"one of them":   {other + " , " + one, true, true},
		"any":           {"*", true, true},
		"a weak one":    {"W/" + one, false, true}, // a change takes a strong one (RFC 9110, 13.1.1)
		"without marks": {one[1 : len(one)-1], false, false},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := version.Expect(t.Context(), c.header)
			if c.may {
				require.NoError(t, version.Check(ctx, one))
			} else {
				var changed *refusal.Changed
				require.ErrorAs(t, version.Check(ctx, one), &changed)
			}
			require.Equal(t, c.header == "", version.None(ctx) == nil)
			require.Equal(t, c.known, version.Known(c.header, one))
		})
	}
}
