// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/deid/internal/table"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// said returns what an instance says of itself: YES or NO, and the codes.
func said(d *stream.DataSet) string {
	words := []string{d.String(dict.PatientIdentityRemoved)}
	for _, item := range d.Items(dict.DeidentificationMethodCodeSequence) {
		words = append(words, strings.TrimPrefix(item.String(dict.CodeValue), "113"))
	}
	return strings.Join(words, " ")
}

// TestClaims: an instance says what the rules do, by whatever override they came about.
func TestClaims(t *testing.T) {
	for _, c := range []struct{ profile, want string }{
		{"options: []", "YES 100"},
		{"options: [clean-structured-content, clean-graphics, clean-descriptors]", "YES 100 103 104 105"},
		// Text that the table doesn't list.
		{"options: [clean-structured-content]\noverrides: [{keyword: TextValue, action: keep}]", "NO"},
		{"options: [clean-structured-content, clean-graphics]\noverrides: [{keyword: UnformattedTextValue, action: keep}]", "NO 104"},
		{"options: [clean-structured-content, clean-graphics]\noverrides: [{tag: \"(0040,A160)\", action: regex, pattern: Doe}]", "NO 103"},
		{"options: [clean-structured-content]\noverrides: [{vr: UT, action: keep}]", "NO"},
		{"options: [clean-structured-content]\noverrides: [{tag: \"(0040,A1xx)\", action: keep}]", "NO"},
		{"options: [clean-graphics]\noverrides: [{tag: \"(0070,00xx)\", vr: ST, action: hash}]", "NO"},
		// and others of VR UT
		{"options: [clean-structured-content]\noverrides: [{keyword: TextValue, action: remove}, {vr: UT, action: keep}]", "NO 104"},
		{"options: [clean-structured-content]\noverrides: [{keyword: PersonName, action: keep}]", "NO"},
		// What strengthens, or is what the option does.
		{"options: [clean-structured-content]\noverrides: [{keyword: TextValue, action: empty}]", "YES 100 104"},
		{"options: [clean-structured-content]\noverrides: [{keyword: ContentSequence, action: keep}]", "YES 100 104"},
		{"options: [clean-descriptors]\noverrides: [{keyword: StudyDescription, action: replace, with: CT}]", "YES 100 105"},
		{"options: [clean-descriptors]\noverrides: [{keyword: StudyDescription, action: clean}]", "YES 100 105"},
		{"options: [modified-dates]\noverrides: [{keyword: StudyDate, action: remove}]", "YES 100 107"},
		{"options: [full-dates]\noverrides: [{keyword: StudyDate, action: keep}]", "YES 100 106"},
		{"options: [retain-uids]\noverrides: [{keyword: SOPInstanceUID, action: uid}]", "YES 100 110"},
		{"overrides: [{keyword: ProtocolName, action: keep}, {keyword: AcquisitionProtocolDescription, action: remove}]", "NO"},
		{"overrides: [{keyword: Manufacturer, action: keep}]", "YES 100"},
		// Sequences, dates, names and UIDs.
		{"overrides: [{keyword: ContentSequence, action: keep}]", "NO"},
		{"overrides: [{keyword: RequestAttributesSequence, action: keep}]", "NO"},
		{"overrides: [{keyword: StudyDate, action: keep}]", "NO"},
		{"overrides: [{keyword: RouteSegmentStartTime, action: keep}]", "NO"},
		{"overrides: [{vr: DT, action: truncate}]", "NO"},
		{"overrides: [{keyword: PatientBirthDate, action: truncate}]", "NO"},
		{"overrides: [{keyword: SOPInstanceUID, action: keep}]", "NO"},
		{"overrides: [{vr: PN, action: hash}]", "NO"},
		{"options: [clean-descriptors]\noverrides: [{tag: \"(0018,1030)\", action: keep}]", "NO"},
		{"options: [clean-descriptors]\noverrides: [{keyword: StationName, action: keep}]", "NO 105"},
		{"options: [retain-device-identity]\noverrides: [{keyword: StationAETitle, action: keep}]", "NO"},
		// Overlays and curves.
		{"options: [clean-graphics]\noverrides: [{tag: \"(60xx,3000)\", action: keep}]", "NO"},
		{"options: [clean-graphics]\noverrides: [{tag: \"(6012,4000)\", action: keep}]", "NO"},
		{"options: [clean-graphics]\noverrides: [{tag: \"(6000,4000)\", action: remove}, {tag: \"(60xx,4000)\", action: keep}]", "NO"},
		{"options: [clean-graphics]\noverrides: [{tag: \"(5002,ABCD)\", vr: LO, action: keep}]", "NO"},
		{"options: [clean-graphics]\noverrides: [{tag: \"(60xx,xxxx)\", action: remove}]", "YES 100 103"},
		// Private attributes.
		{"options: [retain-safe-private]\noverrides: [{tag: \"(0019,xx10)\", creator: ACME, action: keep}]", "NO"},
		{"options: [retain-safe-private]\noverrides: [{tag: \"(0019,xxxx)\", action: keep}]", "NO"},
		{"options: [retain-safe-private]\noverrides: [{tag: \"(0019,xx0C)\", creator: SIEMENS MR HEADER, action: keep}]", "YES 100 111"},
		{"options: [retain-safe-private]\noverrides: [{tag: \"(0019,xx10)\", creator: ACME, action: empty}]", "YES 100 111"},
		{"overrides: [{tag: \"(0019,xx0C)\", creator: SIEMENS MR HEADER, action: keep}]", "NO"},
		{"overrides: [{tag: \"(0019,xx10)\", creator: ACME, action: hash}]", "NO"},
		{"options: [retain-safe-private]\noverrides: [{tag: \"(0019,xx0C)\", creator: SIEMENS MR HEADER, action: remove}]", "YES 100 111"},
		// Nothing is retained any more.
		{"options: [retain-uids]\noverrides: [{vr: UI, action: uid}]", "YES 100"},
		{"options: [retain-institution-identity, retain-device-identity]\noverrides: [{tag: \"(0008,xxxx)\", action: remove}, {tag: \"(0012,00xx)\", action: remove}, {tag: \"(0400,xxxx)\", action: remove}]", "YES 100 109"},
	} {
		s, err := profileOf(t, c.profile+"\n").Session(subject())
		require.NoError(t, err)
		d := sample()
		d.SetVR(0x00190010, dict.LO, "ACME")
		d.SetVR(0x00191010, dict.LO, "value")
		require.Equal(t, c.want, said(through(t, s, d)), c.profile)
	}
}

// TestIdentityOfWhatIsAllowed: Patient Identity Removed speaks of the pixels too (PS3.3 C.7.1.1). Who has instances
// sent that may show who it is doesn't say YES, although the attributes are clean.
func TestIdentityOfWhatIsAllowed(t *testing.T) {
	s, err := profileOf(t, "allow: [burned-in, encapsulated-document, unknown-sop-class]\n").Session(subject())
	require.NoError(t, err)
	for name, c := range map[string]struct {
		edit func(d *stream.DataSet)
		want string
	}{
		"CT":              {func(*stream.DataSet) {}, "YES 100"},
		"burned in":       {func(d *stream.DataSet) { d.Set(dict.BurnedInAnnotation, "YES") }, "NO 100"},
		"perhaps":         {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, dict.UltrasoundImageStorage) }, "NO 100"},
		"not burned in":   {func(d *stream.DataSet) { d.Set(dict.BurnedInAnnotation, "NO") }, "YES 100"},
		"a document":      {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, dict.EncapsulatedPDFStorage) }, "NO 100"},
		"a private class": {func(d *stream.DataSet) { d.Set(dict.SOPClassUID, "1.2.3.4.5") }, "NO 100"},
	} {
		d := sample()
		c.edit(d)
		require.Equal(t, c.want, said(through(t, s, d)), name)
	}
}

// TestBrokenRules breaks rules on purpose, in the table and in what is done: what isn't kept is not claimed.
func TestBrokenRules(t *testing.T) {
	const options = "options: [clean-descriptors, modified-dates, retain-safe-private]\n"
	const whole = "YES 100 105 107 111"
	object := func() *stream.DataSet {
		d := sample()
		d.SetVR(0x00190010, dict.LO, "SIEMENS MR HEADER")
		d.SetVR(0x0019100C, dict.IS, "1000")
		d.SetVR(0x00191008, dict.LO, "Doe")
		d.Set(dict.DeviceSerialNumber, "4711")
		return d
	}
	// In the table, before the profile is made of it.
	for _, c := range []struct {
		tag   dict.Tag
		spoil func(r *table.Row)
		want  string
	}{
		{dict.AccessionNumber, func(*table.Row) {}, whole},
		{dict.AccessionNumber, func(r *table.Row) { r.Keep = table.ModifiedDates }, "NO 105 107 111"},
		{dict.AccessionNumber, func(r *table.Row) { r.Clean = table.CleanDescriptors }, "NO 105 107 111"},
		{dict.AccessionNumber, func(r *table.Row) { r.Tag++ }, "NO 105 107 111"},     // the row is lost
		{dict.AccessionNumber, func(r *table.Row) { r.Basic = table.BasicX }, whole}, // more than is promised
		{dict.SOPInstanceUID, func(r *table.Row) { r.Keep = table.CleanDescriptors }, "NO 105 107 111"},
		{dict.StudyDescription, func(r *table.Row) { r.Keep = table.CleanDescriptors }, "NO 107 111"},
		{dict.DeviceSerialNumber, func(r *table.Row) { r.Basic = table.BasicU }, "NO 105 107 111"},
		{dict.TimezoneOffsetFromUTC, func(r *table.Row) { r.Keep, r.Clean = table.CleanDescriptors, 0 }, "NO 105 111"},
	} {
		i := 0
		for table.Rows[i].Tag != c.tag {
			i++
		}
		was := table.Rows[i]
		c.spoil(&table.Rows[i])
		p := profileOf(t, options)
		table.Rows[i] = was
		s, err := p.Session(subject())
		require.NoError(t, err)
		require.Equal(t, c.want, said(through(t, s, object())), "%s", c.tag)
	}
	// In what is done, behind the back of the profile.
	for name, c := range map[string]struct {
		spoil func(p *Profile, s *Session)
		want  string
	}{
		"nothing": {func(*Profile, *Session) {}, whole},
		"a row": {func(p *Profile, _ *Session) {
			p.rules.Rows[dict.AccessionNumber] = rules.Rule{VR: dict.SH, Action: Keep}
		}, "NO 105 107 111"},
		"a name": {func(p *Profile, _ *Session) {
			p.rules.Rows[dict.ReferringPhysicianName] = rules.Rule{VR: dict.PN, Action: Hash}
		}, "NO 105 107 111"},
		"a descriptor": {func(p *Profile, _ *Session) {
			p.rules.Rows[dict.StudyDescription] = rules.Rule{VR: dict.LO, Action: Keep}
		}, "NO 107 111"},
		"an item": {func(p *Profile, _ *Session) {
			p.rules.Rows[dict.OtherPatientIDsSequence] = rules.Rule{VR: dict.SQ, Action: Keep}
		}, "NO 105 107 111"},
		"an offset": {func(_ *Profile, s *Session) { s.offset = 0 }, "NO 105 111"},
		"the UIDs":  {func(_ *Profile, s *Session) { s.uids["1.2.3.3"] = mappedUID{"1.2.3.3", "1.2.3.3"} }, "NO 105 107 111"},
		"private": {func(_ *Profile, s *Session) {
			s.p.Overrides = append(s.p.Overrides, rules.OwnRule{
				Tag: 0x00190008, Mask: 0xFFFF00FF, Creator: "SIEMENS MR HEADER", Action: Keep,
			})
		}, "NO 105 107"},
	} {
		p := profileOf(t, options)
		s, err := p.Session(subject())
		require.NoError(t, err)
		c.spoil(p, s)
		d := object()
		var item stream.DataSet
		item.Set(dict.Modality, "CT")
		d.SetSequence(dict.OtherPatientIDsSequence, &item)
		in := encode(t, d, dict.ExplicitVRLittleEndian)
		out, report, err := deidentify(t, s, in, dict.ExplicitVRLittleEndian)
		require.NoError(t, err, name)
		got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err)
		require.Equal(t, c.want, said(got), name)
		require.Len(t, report.Codes, len(strings.Fields(c.want))-1, name)
	}
}

// TestTemporal: (0028,0303) says what became of an instance's dates.
func TestTemporal(t *testing.T) {
	date := func(tag dict.Tag, text string) func(d *stream.DataSet) {
		return func(d *stream.DataSet) { d.Set(tag, text) }
	}
	nested := func(d *stream.DataSet) {
		var item stream.DataSet
		item.Set(dict.StudyDate, "20240229")
		d.SetSequence(dict.SharedFunctionalGroupsSequence, &item)
	}
	for _, c := range []struct {
		profile string
		edit    func(d *stream.DataSet) // of an instance without dates
		want    string
	}{
		{"options: []", func(*stream.DataSet) {}, "REMOVED"},
		{"options: [full-dates]", func(*stream.DataSet) {}, "UNMODIFIED"},
		{"options: [modified-dates]", func(*stream.DataSet) {}, "MODIFIED"},
		{"options: []", date(dict.StudyDate, "20240229"), "REMOVED"},
		{"options: []", date(dict.ContextGroupVersion, "20240229"), "REMOVED"}, // a dummy says nothing
		{"options: [full-dates]", date(dict.StudyDate, "20240229"), "UNMODIFIED"},
		{"options: [full-dates]", date(dict.PatientBirthDate, "19560412"), "UNMODIFIED"}, // none of the option's
		{"options: [modified-dates]", date(dict.StudyDate, "20240229"), "MODIFIED"},
		{"options: [modified-dates]", date(dict.StudyTime, "101500"), "MODIFIED"},
		{"options: [modified-dates]", date(dict.StudyDate, "2024-Q"), "REMOVED"},
		{"options: [modified-dates]", nested, "MODIFIED"},
		{"options: [full-dates]", nested, "UNMODIFIED"},
		// The device's dates are not those that E.3.6 is about: no option of it, so REMOVED (E.2).
		{"options: [retain-device-identity]", date(dict.DateOfLastCalibration, "20240101"), "REMOVED"},
		{"options: [retain-device-identity]", func(d *stream.DataSet) {
			d.Set(dict.DateOfLastCalibration, "20240101")
			d.Set(dict.StudyDate, "20240229")
		}, "REMOVED"},
		{"options: [retain-device-identity, full-dates]", date(dict.DateOfLastCalibration, "20240101"), "UNMODIFIED"},
		// Mixtures.
		{"overrides: [{keyword: StudyDate, action: keep}]", date(dict.StudyDate, "20240229"), "UNMODIFIED"},
		{"overrides: [{keyword: StudyDate, action: keep}]", date(dict.SeriesDate, "20240229"), "REMOVED"},
		{"overrides: [{keyword: StudyDate, action: keep}]", func(d *stream.DataSet) {
			d.Set(dict.StudyDate, "20240229")
			d.Set(dict.ScheduledProcedureStepStartDate, "20240229") // behind (0028,0303)
		}, "MODIFIED"},
		{
			"options: [full-dates]\noverrides: [{keyword: ScheduledProcedureStepStartDate, action: remove}]",
			func(d *stream.DataSet) {
				d.Set(dict.StudyDate, "20240229")
				d.Set(dict.ScheduledProcedureStepStartDate, "20240229")
			}, "MODIFIED",
		},
		{"overrides: [{keyword: StudyDate, action: truncate}]", date(dict.StudyDate, "20240229"), "MODIFIED"},
		{"overrides: [{keyword: StudyDate, action: shift}]", date(dict.StudyDate, "20240229"), "MODIFIED"},
		{"overrides: [{keyword: StudyDate, action: replace, with: \"20000101\"}]", date(dict.StudyDate, "20240229"), "REMOVED"},
		{"overrides: [{keyword: StudyTime, action: keep}]", func(d *stream.DataSet) {
			d.Set(dict.StudyDate, "20240229")
			d.Set(dict.StudyTime, "101500")
		}, "MODIFIED"},
	} {
		s, err := profileOf(t, c.profile+"\n").Session(subject())
		require.NoError(t, err)
		for range 2 { // what one instance says is nothing to the next
			other := sample()
			other.Set(dict.ScheduledProcedureStepStartDate, "20240229")
			through(t, s, other)
			d := sample()
			for _, tag := range []dict.Tag{dict.StudyDate, dict.StudyTime, dict.PatientBirthDate} {
				d.Remove(tag)
			}
			d.SetInt(0x00280000, 0)
			c.edit(d)
			in := encode(t, d, dict.ExplicitVRLittleEndian)
			out, _, err := deidentify(t, s, in, dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
			require.NoError(t, err)
			require.Equal(t, c.want, got.String(dict.LongitudinalTemporalInformationModified), c.profile)
			grown, _ := got.Int(0x00280000)
			require.Equal(t, len(c.want)+len(c.want)%2+28, grown, "the group length counts what is written")
		}
	}
}
