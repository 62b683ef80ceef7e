// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestReasonOf: sentences about tasks to which the same happened have one reason, others have others.
func TestReasonOf(t *testing.T) {
	for name, tt := range map[string]struct {
		same []string
		want string
	}{
		"numbers": {
			[]string{
				"1 instance is missing at the destination: PACS refused it (status A700H). A retry fetches only what is missing.",
				"1,204 instances are missing at the destination: PACS refused it (status A700H). A retry fetches only what is missing.",
			},
			"N instances are missing at the destination: PACS refused it (status A700H). A retry fetches only what is missing.",
		},
		"another status": {
			[]string{"2 instances are missing at the destination: PACS refused it (status 0122H)."},
			"N instances are missing at the destination: PACS refused it (status 0122H).",
		},
		"UIDs": {
			[]string{
				"3 instances with another Patient ID inside: 1.2.3.4, 1.2.3.5, 1.2.3.6.",
				"44 instances with another Patient ID inside: 2.25.4, 1.2.3.5, 1.2.3.6 and 41 more.",
				"1 instance with another Patient ID inside: 1.2.840.10008.1.",
			},
			"N instances with another Patient ID inside: UID.",
		},
		"an end of a success": {
			[]string{
				"Completeness not provable. 240 instances transferred, 125.8 MB.", "Completeness not provable. 1 instance transferred, 0.5 MB.",
			},
			"Completeness not provable. N instances transferred, N MB.",
		},
		"times": {
			[]string{"PACS-2 did not answer within 1m30s.", "PACS-2 did not answer within 15s."},
			"PACS-2 did not answer within N.",
		},
		"a name with a number": {[]string{"CT1 is away."}, "CT1 is away."},
		"nothing":              {[]string{""}, ""},
	} {
		for _, message := range tt.same {
			require.Equal(t, tt.want, ReasonOf(message), name)
		}
		require.Equal(t, tt.want, ReasonOf(tt.want), "%s: it is its own", name)
	}
}
