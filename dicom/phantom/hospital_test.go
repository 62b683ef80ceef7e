// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom_test

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/phantom"
)

// TestHospital: the studies are of the year before a day, with everything odd once, and small; only dates depend on
// the day.
func TestHospital(t *testing.T) {
	today := time.Date(2026, 11, 30, 0, 0, 0, 0, time.UTC)
	studies, later := phantom.Hospital(today), phantom.Hospital(today.AddDate(0, 0, 9))
	require.Len(t, studies, 60)
	patients, modalities := map[string]bool{}, map[string]bool{}
	undated, undescribed, unborn, most, size := 0, 0, 0, 0, int64(0)
	for i, st := range studies {
		require.Equal(t, st.StudyInstanceUID, later[i].StudyInstanceUID)
		spec := st.Spec
		patients[spec.Patient.ID] = true
		if spec.Undated {
			undated++
		} else {
			require.LessOrEqual(t, spec.Date, "20261130")
			require.Greater(t, spec.Date, "20251130")
		}
		if spec.Description == "" {
			undescribed++
		}
		if spec.Patient.BirthDate == "" {
			unborn++
		}
		most = max(most, len(st.Series))
		for _, se := range st.Series {
			modalities[se.Modality] = true
			_, err := io.Copy(io.Discard, se.Instances[0].Open())
			require.NoError(t, err)
		}
		for _, in := range st.Instances() {
			size += in.Size()
		}
	}
	require.Len(t, patients, 25)
	require.Equal(t, map[string]bool{"CT": true, "MR": true, "CR": true, "US": true, "SR": true}, modalities)
	require.Equal(t, []int{1, 1, 60}, []int{undated, undescribed, most})
	require.Positive(t, unborn)
	require.Less(t, size, int64(100<<20))
}
