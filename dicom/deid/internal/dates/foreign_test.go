// SPDX-License-Identifier: AGPL-3.0-or-later

package dates

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/dates/datestest"
)

// otherWays are days written in the months' other names, and by other eras.
var otherWays = map[string]int{
	"3 février 2020": Days(2020, 2, 3), "1er août 2018": Days(2018, 8, 1), "5 déc. 2020": Days(2020, 12, 5),
	"14 juil. 19": Days(2019, 7, 14), "1 de enero de 1953": Days(1953, 1, 1), "30 set 1999": Days(1999, 9, 30),
	"2 gennaio 2001": Days(2001, 1, 2), "9 lug 2011": Days(2011, 7, 9), "5 mei 2016": Days(2016, 5, 5),
	"1º de maio de 2017": Days(2017, 5, 1), "昭和28年8月17日": Days(1953, 8, 17), "S28.8.17": Days(1953, 8, 17),
	"令和元年5月1日": Days(2019, 5, 1), "R1.5.1": Days(2019, 5, 1),
	"大正15年1月2日": Days(1926, 1, 2), "民國108年3月27日": Days(2019, 3, 27),
}

// noDays look like days of these and are none.
var noDays = []string{
	"27 mars", "H31", "H31.13.27", "R1.5.1.2", "XH1.5.9", "R5.1", "T1.5 mm 3",
	"27 slices 19", "3 Tesla 20190", "S64", "H2.1", "27 2019", "年月日",
}

func TestForeignDates(t *testing.T) {
	for _, text := range datestest.Ways27March {
		require.Contains(t, Written([]byte("vu "+text+" x")), Days(2019, 3, 27), text)
	}
	for text, day := range otherWays {
		require.Contains(t, Written([]byte(text)), day, text)
	}
	for _, text := range []string{"27 f\xe9vrier 2020", "27 f\xe9v. 20"} { // Latin-1
		require.Contains(t, Written([]byte(text)), Days(2020, 2, 27), text)
	}
	for _, text := range noDays {
		require.Empty(t, Written([]byte(text)), text)
	}
}
