// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// A date that somebody can guess must say the same of every patient. So these tests de-identify instances that differ
// by the patient alone, and compare what comes out.

// guessable are dates that stand for "unknown" or "never", or in which a clock begins.
var guessable = []string{
	"00010101", "10000101", "11111111", "12121212", "15821015", "16010101", "17530101",
	"18000101", "18401231", "18581117", "18991230", "18991231", "19000101",
	"19000102", "19010101", "19011213", "19040101", "19111111", "19121212", "19300101",
	"19500101", "19600101", "19691231", "19700101", "19700102", "19700114",
	"19750101", "19791231", "19800101", "19800104", "19800106", "19900101", "19950101",
	"19990101", "19990909", "19991231", "20000101", "20001231", "20010101",
	"20020202", "20100101", "20111111", "20121212", "20200101", "20300101", "20301231",
	"20360207", "20380119", "20400101", "20491231", "20500101", "20790606",
	"20991231", "21060207", "22221111", "22620411", "29991231",
	"30000101", "45000101", "99981231", "99990101", "99991231",
}

// meant are dates on which somebody may have been examined.
var meant = []string{
	"19710412", "19720229", "19851108", "19910102", "20000102", "20010911",
	"20020101", "20110101", "20121211", "20240229", "20261231", "20391230",
}

// placesOfDates are attributes whose dates are shifted.
var placesOfDates = []struct {
	name string
	tag  dict.Tag
	vr   dict.VR
}{
	{"type 2", dict.StudyDate, dict.DA},
	{"decided by type", dict.SeriesDate, dict.DA},
	{"decided by type", dict.AcquisitionDateTime, dict.DT},
	{"removed", dict.LastMenstrualDate, dict.DA},
	{"a dummy", dict.FrameAcquisitionDateTime, dict.DT},
	{"retired", dict.StudyVerifiedDate, dict.DA},
	{"in reports", dict.Date, dict.DA},
	{"in reports", dict.DateTime, dict.DT},
	{"private, kept by a rule", 0x00091001, dict.DA},
	{"private, kept by a rule", 0x00091002, dict.DT},
}

// shiftsDates has the private dates that a rule keeps.
func shiftsDates(t testing.TB, more string) *deid.Profile {
	t.Helper()
	p, err := deid.LoadProfile(
		[]byte(`{name: dates, version: "1", base: ps3.15-basic, options: [modified-dates, retain-device-identity], overrides: [` +
			more +
			`{tag: "(0009,xx01)", creator: ACME 1.0, action: keep}, {tag: "(0009,xx02)", creator: ACME 1.0, action: keep}]}`),
	)
	require.NoError(t, err)
	return p
}

// ofTwoPatients returns what becomes of an attribute in the instances of two patients; nested tells that it stands in
// an item.
func ofTwoPatients(
	t testing.TB, p *deid.Profile, tag dict.Tag, vr dict.VR, value, syntax string, nested bool,
) (out [2]string) {
	t.Helper()
	for i := range out {
		ds := &stream.DataSet{}
		if tag.IsPrivate() {
			ds.SetVR(0x00090010, dict.LO, "ACME 1.0")
		}
		ds.SetVR(tag, vr, value)
		if nested {
			outer := &stream.DataSet{}
			outer.SetSequence(dict.SharedFunctionalGroupsSequence, ds)
			ds = outer
		}
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2.3")
		if tag != dict.PatientID {
			ds.Set(dict.PatientID, fmt.Sprint("PATIENT-", i))
		}
		b, _, err := rewrite(sessionFor(t, p, proofKey(3), ds), encode(t, ds, syntax), syntax)
		require.NoError(t, err)
		now := parse(t, b, syntax)
		if nested {
			now = now.Items(dict.SharedFunctionalGroupsSequence)[0]
		}
		out[i] = "gone"
		if e, ok := now.Get(tag); ok {
			out[i] = strings.TrimRight(string(e.Value), " \x00")
		}
	}
	return out
}

// TestGuessableDates: what stands for an unknown date is never shifted, wherever it stands.
func TestGuessableDates(t *testing.T) {
	p := shiftsDates(t, "")
	check := func(tag dict.Tag, vr dict.VR, value, syntax string, nested bool) {
		got := ofTwoPatients(t, p, tag, vr, value, syntax, nested)
		if got[0] != got[1] {
			t.Errorf(
				"%s of %q, nested %v, in %s: %q and %q of two patients",
				tag, value, nested, dict.UIDName(syntax), got[0], got[1],
			)
		}
	}
	for _, at := range placesOfDates {
		for _, date := range guessable {
			check(at.tag, at.vr, date, dict.ExplicitVRLittleEndian, false)
		}
		for _, date := range []string{"19000101", "19700101", "99991231"} {
			acr := date[:4] + "." + date[4:6] + "." + date[6:]
			for _, value := range []string{
				date + `\20150612`, `20150612\` + date, `20150612\\` + date, date + " ", acr,
			} {
				check(at.tag, at.vr, value, dict.ExplicitVRLittleEndian, false)
			}
			if at.vr == dict.DT {
				for _, time := range []string{"000000", "10", "235959.999999", "000000+0100", "-0500"} {
					check(at.tag, at.vr, date+time, dict.ExplicitVRLittleEndian, false)
				}
			}
			check(at.tag, at.vr, date, dict.ExplicitVRBigEndian, true)
			if !at.tag.IsPrivate() {
				check(at.tag, at.vr, date, dict.ImplicitVRLittleEndian, true)
			}
		}
	}
}

// TestMeantDates: all other dates of a patient are moved by one number of days.
func TestMeantDates(t *testing.T) {
	p := shiftsDates(t, "")
	var shift [2]time.Duration
	for _, at := range placesOfDates {
		for _, date := range meant {
			for _, nested := range []bool{false, true} {
				for i, after := range ofTwoPatients(t, p, at.tag, at.vr, date, dict.ExplicitVRLittleEndian, nested) {
					require.True(
						t, shiftedBy(date, after, &shift[i]), "%s %s: %s became %s", at.name, at.tag, date, after,
					)
				}
			}
		}
	}
	require.NotEqual(t, shift[0], shift[1])
}

// TestDatesOfOthers: what is the same for all patients of a machine, lot or template is never shifted, whatever rule
// says so.
func TestDatesOfOthers(t *testing.T) {
	tags := append([]dict.Tag{
		// not in the table
		dict.DateOfGainCalibration, dict.ExpiryDate, dict.ProcedureCreationDate,
		dict.ProcedureExpirationDate, dict.ProcedureLastModifiedDate,
		dict.PatientBirthDate,
	}, public...)
	for name, p := range map[string]*deid.Profile{
		"option":       shiftsDates(t, ""),
		"rules by VR":  shiftsDates(t, "{vr: DA, action: shift}, {vr: DT, action: shift}, "),
		"rules by tag": shiftsDates(t, `{tag: "(0018,120x)", action: shift}, {tag: "(0014,xxxx)", action: shift}, {keyword: PatientBirthDate, action: shift}, `),
	} {
		for _, tag := range tags {
			vr := vrOf(t, tag)
			for _, nested := range []bool{false, true} {
				got := ofTwoPatients(t, p, tag, vr, "20150612", dict.ExplicitVRLittleEndian, nested)
				require.Equal(t, got[0], got[1], "%s: %s, nested %v", name, tag, nested)
				require.NotEqual(t, "20150612", got[0], "%s: %s, nested %v", name, tag, nested)
			}
		}
	}
}

// TestBirthDateElsewhere: a birth date that stands again where dates are shifted is treated like the birth date, in
// every form and at every depth.
func TestBirthDateElsewhere(t *testing.T) {
	const born = "19890611"
	p := shiftsDates(t, "")
	check := func(what, syntax string, tag dict.Tag, value string, prepare func(ds *stream.DataSet)) {
		t.Helper()
		var out [2]string
		for i := range out {
			ds := &stream.DataSet{}
			ds.Set(dict.SOPClassUID, dict.CTImageStorage)
			ds.Set(dict.SOPInstanceUID, "1.2.3")
			ds.Set(dict.StudyDate, "20190327")
			ds.Set(dict.PatientID, fmt.Sprint("PATIENT-", i))
			at := ds
			if tag.IsPrivate() {
				at.SetVR(0x00090010, dict.LO, "ACME 1.0")
				at.SetVR(tag, dict.DA, value)
			} else {
				at.Set(tag, value)
			}
			prepare(ds)
			b, _, err := rewrite(sessionFor(t, p, proofKey(3), ds), encode(t, ds, syntax), syntax)
			require.NoError(t, err)
			now := parse(t, b, syntax)
			require.NotEqual(t, "20190327", now.String(dict.StudyDate))
			require.NotEmpty(t, now.String(dict.StudyDate), what)
			if e, ok := now.Get(tag); ok {
				out[i] = string(e.Value)
			}
		}
		require.Equal(t, out[0], out[1], "%s: %s in %s", what, tag, dict.UIDName(syntax))
		require.NotContains(t, out[0], born, "%s: %s", what, tag)
	}
	birth := func(value string) func(ds *stream.DataSet) {
		return func(ds *stream.DataSet) {
			ds.Put(stream.Element{Tag: dict.PatientBirthDate, VR: dict.DA, Value: pad([]byte(value))})
		}
	}
	within := func(ds *stream.DataSet) {
		var item, inner stream.DataSet
		item.Set(dict.PatientBirthDate, born)
		inner.SetSequence(dict.ReferencedPatientSequence, &item)
		ds.SetSequence(dict.SharedFunctionalGroupsSequence, &inner)
		ds.Set(dict.PatientBirthDate, "")
	}
	for _, syntax := range []string{
		dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian,
	} {
		for _, tag := range []dict.Tag{
			dict.SeriesDate, dict.ContentDate, dict.LastMenstrualDate,
			dict.AcquisitionDateTime, dict.StudyVerifiedDate, 0x00091001,
		} {
			value := born
			if !tag.IsPrivate() && vrOf(t, tag) == dict.DT {
				value += "101112"
			}
			check("as it is", syntax, tag, value, birth(born))
			check("with dots", syntax, tag, value, birth("1989.06.11"))
			check("in an item", syntax, tag, value, within)
			check("one of several", syntax, tag, `20150612\`+value, birth(born))
		}
	}
}

// TestDatesOfConcepts: content items whose concept is a date that others know aren't shifted, and a birth date doesn't
// stay.
func TestDatesOfConcepts(t *testing.T) {
	standard, _ := deid.BuiltinProfile(deid.BuiltinProfiles()[0])
	for name, p := range map[string]*deid.Profile{
		"modified": loadProfile(t, "modified-dates", "clean-structured-content", "clean-descriptors"),
		"full":     loadProfile(t, "full-dates", "clean-structured-content", "clean-descriptors"),
		"default":  standard,
	} {
		for _, c := range []struct{ scheme, code, meaning string }{
			{"DCM", "121031", "Subject Birth Date"},
			{"SCT", "184099003", "Date of birth"},
			{"LN", "21112-8", "Birth date"},
			{"DCM", "122165", "DateTime of Death"},
			{"DCM", "113723", "Calibration DateTime"},
		} {
			for _, tag := range []dict.Tag{dict.Date, dict.DateTime} {
				for _, sequence := range []dict.Tag{dict.ContentSequence, dict.AcquisitionContextSequence} {
					if name == "full" && (c.code == "122165" || c.code == "113723") {
						continue // full dates stay
					}
					var out [2]string
					for i := range out {
						var ds, item, concept stream.DataSet
						concept.Set(dict.CodeValue, c.code)
						concept.Set(dict.CodingSchemeDesignator, c.scheme)
						concept.Set(dict.CodeMeaning, c.meaning)
						item.Set(dict.ValueType, "DATE")
						item.SetSequence(dict.ConceptNameCodeSequence, &concept)
						item.Set(tag, "20150612")
						ds.Set(dict.SOPClassUID, dict.CTImageStorage)
						ds.Set(dict.SOPInstanceUID, "1.2.3")
						ds.Set(dict.PatientID, fmt.Sprint("PATIENT-", i))
						ds.SetSequence(sequence, &item)
						syntax := []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian}[i]
						b, _, err := rewrite(sessionFor(t, p, proofKey(3), &ds), encode(t, &ds, syntax), syntax)
						require.NoError(t, err)
						now := parse(t, b, syntax)
						if items := now.Items(sequence); len(items) > 0 {
							out[i] = items[0].String(tag)
						}
					}
					require.Equal(t, out[0], out[1], "%s, %s, %s in %s", name, c.meaning, tag, sequence)
					require.NotContains(t, out[0], "20150612", "%s, %s, %s in %s", name, c.meaning, tag, sequence)
				}
			}
		}
	}
}
