// SPDX-License-Identifier: AGPL-3.0-or-later

package pixels

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

// TestEveryClassIsJudged: whoever adds a storage SOP class to the dictionary decides whether its images show text.
func TestEveryClassIsJudged(t *testing.T) {
	var judged []string
	for _, j := range judgements {
		require.NotEmpty(t, j.why)
		for _, uid := range j.classes {
			require.True(t, dict.IsStorageClass(uid), "%s is no storage SOP class", uid)
			require.NotContains(t, judged, uid, "%s is judged twice", dict.UIDName(uid))
			judged = append(judged, uid)
		}
	}
	for _, uid := range dict.StorageClasses(false) {
		require.Contains(t, judged, uid, "decide in judgements whether text is likely in an %s", dict.UIDName(uid))
	}
}
