// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
)

// TestScanReadsForeignDates: a date of the original is found as people of other languages write it.
func TestScanReadsForeignDates(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, text := range []string{
		"27 mars 2019", "27-mars-19", "27MARS2019", "27/mar/2019", "27 de marzo de 2019", "27 maart 2019",
		"27-mrt-2019", "27 março 2019", "27 marca 2019", "27 марта 2019", "27 Μαρτίου 2019", "27. března 2019",
		"2019年3月27日", "２０１９年３月２７日", "二〇一九年三月二十七日", "2019년 3월 27일", "H31.3.27", "h31-03-27", "H310327",
		"平成31年3月27日", "㍻31年3月27日", "平31.3.27", "S28.8.17", "昭和28年8月17日", "17 août 1953", "17 aug. 53",
	} {
		ds := aCT(t)
		require.NoError(t, ds.SetCharset("ISO_IR 192"))
		ds.Set(dict.StudyDate, "20190327")
		ds.Set(dict.SeriesDate, "20190327")
		ds.Set(keptText, "x "+text)
		require.ErrorContains(t, scanned(t, p, ds), keptText.String()+" still holds a date", text)
	}
	for _, text := range []string{
		"27 slices 2018", "26 mots 2019", "H31.3.26.1", "XH31.3.27",
		"S28.8", "27 Frames 20190", "27 Slices 19", "127 mots 2019",
	} {
		ds := aCT(t)
		ds.Set(dict.StudyDate, "20190327")
		ds.Set(dict.SeriesDate, "20190327")
		ds.Set(keptText, text)
		require.NoError(t, scanned(t, p, ds), text)
	}
}
