// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/dates/datestest"
)

func TestWrittenDates(t *testing.T) {
	for _, text := range datestest.Ways27Nov {
		require.Contains(t, Written([]byte("seen "+text+" again")), Days(2019, 11, 27), text)
	}
	for text, day := range map[string]int{
		"17. März 1953": Days(1953, 3, 17), "17 Maerz 1953": Days(1953, 3, 17), "5 Dez 53": Days(1953, 12, 5),
		"1. Mai 2001": Days(2001, 5, 1), "Okt 3 1990": Days(1990, 10, 3), "M\xe4rz 1953": Days(1953, 3, 1),
		"Dez51953": Days(1953, 12, 5),
	} {
		require.Contains(t, Written([]byte(text)), day, text)
	}
	require.Contains(t, Written([]byte("in November 2019")), Days(2019, 11, 1))
	for _, text := range []string{
		"", "27", "Nov", "27 Nov", "10:15:00", "1.2.840.10008", "120 kV 5 mm", "0.5-1.5", "99.99.99",
		"32 Okt 19", "30 Feb 19", "T1 FLAIR 3D", "1 2 3", "version 5.1", "123456789", "2019",
	} {
		require.Empty(t, Written([]byte(text)), text)
	}
}
