// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestContradictions: of two overrides one of which never applies both are named; those of which each has its use load.
func TestContradictions(t *testing.T) {
	load := func(options, overrides string) error {
		_, err := Load(
			[]byte("name: p\nversion: \"1\"\nbase: ps3.15-basic\n" + options + "overrides: [" + overrides + "]\n"),
		)
		return err
	}
	for _, overrides := range []string{
		`{keyword: StationName, action: keep}, {keyword: StationName, action: remove}`,
		`{keyword: StationName, action: remove}, {tag: "(0008,1010)", action: keep}`,
		`{keyword: StationName, action: remove}, {tag: "0008,1010", vr: SH, action: keep}`,
		`{keyword: StationName, action: replace, with: A}, {keyword: StationName, action: replace, with: B}`,
		`{keyword: StationName, action: regex, pattern: a, with: b}, {keyword: StationName, action: regex, pattern: c, with: b}`,
		`{tag: "(0008,10xx)", action: remove}, {keyword: StationName, action: keep}`,
		`{vr: SH, action: hash}, {keyword: StationName, action: keep}`,
		`{vr: SH, action: hash}, {tag: "(0008,xxxx)", vr: SH, action: keep}`,
		`{tag: "(0008,xxxx)", action: remove}, {tag: "(0008,10xx)", action: keep}`,
		`{tag: "(0019,xx10)", creator: ACME, action: keep}, {tag: "(0019,xx10)", creator: ACME, vr: LO, action: remove}`,
		`{tag: "(0019,1010)", creator: ACME, action: keep}, {tag: "(0019,xx10)", creator: ACME, action: remove}`,
		`{tag: "(0019,xxxx)", action: remove}, {tag: "(0019,xx10)", creator: ACME, action: keep}`,
		`{tag: "(0019,xxxx)", action: keep}, {tag: "(0019,1010)", action: remove}`,
		`{tag: "(xxxx,xxxx)", action: remove}, {tag: "(0019,xx10)", creator: ACME, action: keep}`,
	} {
		err := load("", overrides)
		require.ErrorContains(
			t, err, "override 2 of the profile can never apply, since override 1 of the profile", overrides,
		)
	}
	for _, overrides := range []string{
		`{keyword: StationName, action: keep}, {tag: "(0008,10xx)", action: remove}`,
		`{keyword: StationName, action: keep}, {keyword: StationName, action: keep}`,
		`{tag: "(0008,10xx)", action: hash}, {tag: "(0008,1xxx)", action: remove}`,
		`{tag: "(0008,xxxx)", action: hash}, {keyword: ReferencedStudySequence, action: remove}`,
		`{vr: SH, action: hash}, {vr: LO, action: keep}`,
		`{vr: UI, action: remove}, {keyword: SOPInstanceUID, action: uid}`,
		`{vr: LO, action: keep}, {tag: "(0019,xx10)", creator: ACME, action: keep, vr: LO}`,
		`{tag: "(0019,xx10)", creator: ACME, action: keep}, {tag: "(0019,xx10)", creator: OTHER, action: hash}`,
		`{tag: "(0019,xx10)", creator: ACME, action: keep}, {tag: "(0019,xxxx)", action: remove}`,
		`{tag: "(0008,xx10)", action: remove}, {tag: "(0008,10xx)", action: hash}`,
	} {
		require.NoError(t, load("", overrides), overrides)
	}
}
