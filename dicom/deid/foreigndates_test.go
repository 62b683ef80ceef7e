// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid/internal/dates"
	"github.com/adit-go/adit/dicom/deid/internal/dates/datestest"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestForeignDatesBesideShifted: where dates are shifted, no text that stays names a day in any of these ways, whatever
// the character set.
func TestForeignDatesBesideShifted(t *testing.T) {
	s, err := profileOf(t,
		"options: [modified-dates]\n"+
			`overrides: [{tag: "(0019,xx10)", creator: ACME, vr: LO, action: keep}, {keyword: StudyDescription, action: keep}]`+
			"\n",
	).Session(subject())
	require.NoError(t, err)
	for _, text := range append(slices.Clone(datestest.Ways27March), "3 février 2020", "昭和28年8月17日") {
		for _, terms := range [][]string{
			{"ISO_IR 192"},
			{"ISO_IR 100"},
			{"", "ISO 2022 IR 87"},
			{"", "ISO 2022 IR 149"},
			{"GB18030"},
			{"ISO_IR 144"},
		} {
			set, err := charset.New(terms)
			require.NoError(t, err)
			b, err := set.Encode("vu "+text, dict.LO)
			if err != nil {
				continue
			}
			d := sample()
			d.Set(dict.InstitutionName, "Klinikum") // in ASCII, as all else
			if d.SetCharset(terms...) != nil {
				continue
			}
			d.SetVR(0x00190010, dict.LO, "ACME")
			d.Put(stream.Element{Tag: 0x00191010, VR: dict.LO, Value: b})
			d.Put(stream.Element{Tag: dict.StudyDescription, VR: dict.LO, Value: b})
			got := through(t, s, d)
			require.Empty(t, got.String(0x00191010), "%s in %v", text, terms)
			require.NotContains(t, got.String(dict.StudyDescription), "vu", "%s in %v", text, terms)
		}
	}
}

// TestForeignDatesAreTelling: a pseudonym that is a patient's birth date is seen, in whatever language.
func TestForeignDatesAreTelling(t *testing.T) {
	ids := Identifiers{days: []tellingDay{{dates.Days(2019, 3, 27), dict.PatientBirthDate}}}
	for _, text := range datestest.Ways27March {
		_, tells := ids.In(text, false)
		require.True(t, tells, text)
	}
}
