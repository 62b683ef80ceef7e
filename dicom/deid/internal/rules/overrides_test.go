// SPDX-License-Identifier: AGPL-3.0-or-later

package rules

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestUnfitOverrides: what can't be done to an attribute, or would make the instance invalid, is refused when the
// profile is loaded.
func TestUnfitOverrides(t *testing.T) {
	const gives, dates = "gives the shift away", "options: [modified-dates]\n"
	for _, c := range []struct{ options, override, want string }{
		{"", `keyword: StudyDate, action: hash`, "hash is for text"},
		{"", `keyword: StudyTime, action: hash`, "hash is for text"},
		{"", `keyword: PatientWeight, action: hash`, "hash is for text"},
		{"", `keyword: PatientAge, action: clean`, "clean is for text"},
		{"", `keyword: SOPInstanceUID, action: hash`, "tells instances apart"},
		{"", `keyword: FrameOfReferenceUID, action: hash`, "hash is for text"},
		{"", `vr: DA, action: hash`, "hash is for text"},
		{"", `vr: US, action: clean`, "clean is for text"},
		{"", `keyword: StudyDescription, action: shift`, "shift is for dates"},
		{"", `vr: LO, action: shift`, "shift is for dates"},
		{"", `keyword: StudyTime, action: truncate`, "truncate is for dates"},
		{"", `keyword: PatientID, action: truncate`, "becomes the pseudonym"},
		{"", `keyword: StudyID, action: truncate`, "truncate is for dates"},
		{"", `keyword: StudyID, action: uid`, "uid is for UIDs"},
		{"", `keyword: ReferencedStudySequence, action: uid`, "uid is for UIDs"},
		{"", `vr: CS, action: uid`, "uid is for UIDs"},
		{"", `keyword: ICCProfile, action: regex, pattern: a`, "regex is for text"},
		{"", `vr: FD, action: regex, pattern: a`, "regex is for text"},
		{"", `keyword: ICCProfile, action: replace, with: a`, "can't have this value"},
		{"", `keyword: ReferencedStudySequence, action: replace, with: a`, "can't have this value"},
		{"", `keyword: StudyDate, action: replace, with: abc`, "can't have this value"},
		{"", `keyword: StudyDate, action: replace, with: "20230230"`, "can't have this value"},
		{"", `keyword: AcquisitionDateTime, action: replace, with: "2023-02-01"`, "can't have this value"},
		{"", `keyword: StudyTime, action: replace, with: "10:15"`, "can't have this value"},
		{"", `keyword: BodyPartExamined, action: replace, with: Chest`, "can't have this value"},
		{"", `keyword: BodyPartExamined, action: replace, with: CHESTCHESTCHESTCH`, "can't have this value"},
		{"", `keyword: StationName, action: replace, with: a station of a long name`, "can't have this value"},
		{"", `keyword: PatientAge, action: replace, with: "42"`, "can't have this value"},
		{"", `keyword: PatientWeight, action: replace, with: heavy`, "can't have this value"},
		{"", `keyword: SeriesNumber, action: replace, with: "1.5"`, "can't have this value"},
		{"", `keyword: FrameOfReferenceUID, action: replace, with: none`, "can't have this value"},
		{"", `vr: DA, action: replace, with: none`, "can't have this value"},
		{"", `keyword: StudyDate, vr: LO, action: keep`, "is of VR DA, not LO"},
		{"", `keyword: SOPClassUID, action: remove`, "says what the instance is"},
		{"", `tag: "(0008,0016)", action: replace, with: "1.2"`, "says what the instance is"},
		{"", `keyword: SOPInstanceUID, action: remove`, "tells instances apart"},
		{"", `keyword: StudyInstanceUID, action: empty`, "tells instances apart"},
		{"", `keyword: SeriesInstanceUID, action: replace, with: "1.2"`, "tells instances apart"},
		{"", `keyword: SpecificCharacterSet, action: remove`, "text is to be read"},
		{"", `keyword: PatientName, action: remove`, "becomes the pseudonym"},
		{"", `keyword: PatientID, action: keep`, "becomes the pseudonym"},
		{"", `keyword: PatientIdentityRemoved, action: keep`, "always written"},
		{"", `keyword: DeidentificationMethod, action: replace, with: none`, "always written"},
		{"", `keyword: DeidentificationMethodCodeSequence, action: remove`, "always written"},
		{"", `keyword: LongitudinalTemporalInformationModified, action: keep`, "always written"},
		{"", `keyword: Rows, action: remove`, "pixel data"},
		{"", `keyword: BitsAllocated, action: empty`, "pixel data"},
		{"", `keyword: PhotometricInterpretation, action: replace, with: RGB`, "pixel data"},
		{"", `keyword: PixelData, action: remove`, "pixel data"},
		{"", `tag: "(0014,FF01)", action: keep`, "the dictionary doesn't know"},
		{"", `tag: "(0019,xx10)", creator: ACME, vr: DA, action: hash`, "hash is for text"},
		{"", `tag: "(0019,xx10)", creator: ACME, vr: OB, action: regex, pattern: a`, "regex is for text"},
		{"", `tag: "(0019,xx0C)", creator: SIEMENS MR HEADER, action: hash`, "hash is for text"}, // IS by the standard
		// One kept date beside shifted ones, by whatever override.
		{dates, `tag: "(0014,010x)", action: keep`, gives},
		{dates, `tag: "(0014,0102)", action: keep`, gives},
		{dates, `keyword: SecondaryReviewDate, action: keep`, gives},
		{dates, `vr: DA, action: keep`, gives},
		{dates, `tag: "(xxxx,xxxx)", vr: DT, action: keep`, gives},
		{dates, `tag: "(0008,002x)", vr: DA, action: truncate`, gives},
		{dates, `tag: "(0018,xxxx)", action: keep`, gives},
		{dates, `tag: "(4010,102x)", action: regex, pattern: a`, gives},
		{dates, `tag: "(0014,FF01)", vr: DA, action: keep`, gives},
		{dates, `tag: "(5000,ABCD)", vr: DT, action: keep`, gives},
	} {
		_, err := Load(
			[]byte("name: p\nversion: \"1\"\nbase: ps3.15-basic\n" + c.options + "overrides: [{" + c.override + "}]"),
		)
		require.ErrorContains(t, err, c.want, c.override)
	}
	for _, override := range []string{
		`keyword: StudyDate, action: replace, with: "20000101"`,
		`keyword: StudyDate, action: truncate`,
		`keyword: AcquisitionDateTime, action: replace, with: "2000"`,
		`keyword: StudyTime, action: replace, with: "1015"`,
		`keyword: BodyPartExamined, action: replace, with: CHEST`,
		`keyword: PatientWeight, action: replace, with: "7.5e1"`,
		`keyword: PatientAge, action: replace, with: 042Y`,
		`keyword: StudyID, action: replace, with: ""`,
		`keyword: FrameOfReferenceUID, action: replace, with: "1.2.3"`,
		`keyword: StudyInstanceUID, action: keep`,
		`keyword: SOPInstanceUID, action: uid`,
		`keyword: TimezoneOffsetFromUTC, action: shift`,
		`keyword: Rows, action: keep`,
		`tag: "(0014,FF01)", action: remove`,
		`tag: "(0014,FF01)", vr: LO, action: keep`,
		`tag: "(0019,xx10)", creator: ACME, action: keep`,
		`tag: "(0019,xx10)", creator: ACME, vr: LO, action: hash`,
	} {
		_, err := Load([]byte("name: p\nversion: \"1\"\nbase: ps3.15-basic\noverrides: [{" + override + "}]"))
		require.NoError(t, err, override)
	}
}
