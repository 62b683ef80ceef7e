// SPDX-License-Identifier: AGPL-3.0-or-later

package jobs

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJobMessage(t *testing.T) {
	for _, tt := range []struct {
		success, warning, failure, canceled int32
		status, want                        string
	}{
		{2, 0, 0, 0, Success, "All tasks succeeded."},
		{1, 0, 0, 1, Success, "Some tasks were canceled."},
		{1, 1, 0, 0, Warning, "Some tasks have warnings."},
		{0, 1, 0, 0, Warning, "All tasks have warnings."},
		{1, 0, 1, 0, Failure, "Some tasks failed."},
		{0, 0, 1, 0, Failure, "All tasks failed."},
		{1, 0, 0, 1, Canceled, "Some tasks were canceled."},
		{0, 0, 0, 1, Canceled, "All tasks were canceled."},
		{0, 0, 0, 0, Pending, ""},
	} {
		j := Job{}
		j.Status, j.NSuccess, j.NWarning, j.NFailure, j.NCanceled = tt.status, tt.success, tt.warning, tt.failure,
			tt.canceled
		require.Equal(t, tt.want, j.Message(), "%+v", tt)
	}
}
