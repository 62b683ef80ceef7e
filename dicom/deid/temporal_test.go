// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestTemporalOfAll: (0028,0303) never says UNMODIFIED of an instance that has a date or time that isn't the true one,
// nor, where a base has no options of the standard's, of one that has lost any.
func TestTemporalOfAll(t *testing.T) {
	const adit, basic = "base: adit\n", "base: ps3.15-basic\n"
	type edit = func(d *stream.DataSet)
	set := func(tags ...any) edit {
		return func(d *stream.DataSet) {
			for i := 0; i < len(tags); i += 2 {
				d.Set(tags[i].(dict.Tag), tags[i+1].(string))
			}
		}
	}
	study := set(dict.StudyDate, "20240229", dict.StudyTime, "101500")
	within := func(outer, tag dict.Tag, text string) edit {
		return func(d *stream.DataSet) {
			var item stream.DataSet
			item.Set(tag, text)
			d.SetSequence(outer, &item)
		}
	}
	private := func(vr dict.VR, text string) edit {
		return func(d *stream.DataSet) {
			d.SetVR(0x00190010, dict.LO, "ACME")
			d.SetVR(0x00191010, vr, text)
		}
	}
	for name, c := range map[string]struct {
		profile string
		edits   []edit
		want    string
	}{
		"adit, nothing else":                {adit, []edit{study}, "UNMODIFIED"},
		"adit, no date at all":              {adit, nil, "UNMODIFIED"},
		"adit, birth date to its year":      {adit, []edit{study, set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"adit, birth date alone":            {adit, []edit{set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"adit, of the first of January":     {adit, []edit{study, set(dict.PatientBirthDate, "19560101")}, "UNMODIFIED"},
		"adit, of two values":               {adit, []edit{study, set(dict.PatientBirthDate, `19560101\19560412`)}, "MODIFIED"},
		"adit, birth time":                  {adit, []edit{study, set(dict.PatientBirthTime, "0815")}, "MODIFIED"},
		"adit, in another calendar":         {adit, []edit{study, set(dict.PatientBirthDateInAlternativeCalendar, "4 Nisan")}, "MODIFIED"},
		"adit, a device's date":             {adit, []edit{study, set(dict.DateOfLastCalibration, "20240101")}, "MODIFIED"},
		"adit, in a sequence":               {adit, []edit{study, within(dict.SharedFunctionalGroupsSequence, dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"adit, in a sequence that goes":     {adit, []edit{study, within(dict.OriginalAttributesSequence, dict.AttributeModificationDateTime, "20240301101500")}, "MODIFIED"},
		"adit, a private one that goes":     {adit, []edit{study, private(dict.DA, "20240229")}, "MODIFIED"},
		"adit, a private time that goes":    {adit, []edit{study, private(dict.DT, "20240229101500")}, "MODIFIED"},
		"adit, a private text that goes":    {adit, []edit{study, private(dict.LO, "large")}, "UNMODIFIED"},
		"adit, a name where a time belongs": {adit, []edit{study, set(dict.SeriesTime, "Meier")}, "MODIFIED"},
		// The options of the standard: what the basic profile takes away of the patient is no matter of theirs, a value
		// beside the truth is.
		"full, birth date emptied":          {basic + "options: [full-dates]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "UNMODIFIED"},
		"full, birth date to its year":      {basic + "options: [full-dates]\noverrides: [{keyword: PatientBirthDate, action: truncate}]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"full, birth date replaced":         {basic + "options: [full-dates]\noverrides: [{keyword: PatientBirthDate, action: replace, with: \"19000101\"}]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"full, one of two values":           {basic + "options: [full-dates]\n", []edit{set(dict.StudyDate, `20240229\Meier`)}, "MODIFIED"},
		"full, a sequence that goes":        {basic + "options: [full-dates]\n", []edit{study, within(dict.OriginalAttributesSequence, dict.StudyDate, "20240301")}, "MODIFIED"},
		"full, a time edited":               {basic + "options: [full-dates]\noverrides: [{keyword: StudyTime, action: regex, pattern: \"^..\", with: \"11\"}]\n", []edit{study}, "MODIFIED"},
		"basic, birth date to its year":     {basic + "overrides: [{keyword: PatientBirthDate, action: truncate}]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
		"basic, birth date alone, kept":     {basic + "overrides: [{keyword: PatientBirthDate, action: keep}]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "REMOVED"},
		"modified, all of them are shifted": {basic + "options: [modified-dates]\n", []edit{study, set(dict.PatientBirthDate, "19560412")}, "MODIFIED"},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := LoadProfile([]byte("name: test\nversion: \"1\"\n" + c.profile))
			require.NoError(t, err)
			s, err := p.Session(subject())
			require.NoError(t, err)
			d := sample()
			for _, tag := range []dict.Tag{dict.StudyDate, dict.StudyTime, dict.PatientBirthDate} {
				d.Remove(tag)
			}
			for _, e := range c.edits {
				e(d)
			}
			for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
				out, _, err := deidentify(t, s, encode(t, d, syntax), syntax)
				require.NoError(t, err)
				got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
				require.NoError(t, err)
				require.Equal(t, c.want, got.String(dict.LongitudinalTemporalInformationModified), syntax)
			}
		})
	}
}
