// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// clean passes a Series Description through Clean Descriptors; "" if it is gone.
func clean(t testing.TB, text string) string {
	var ds stream.DataSet
	require.NoError(t, ds.SetCharset("ISO_IR 192"))
	ds.Set(dict.SOPClassUID, dict.CTImageStorage)
	ds.Set(dict.SOPInstanceUID, "1.2.3")
	ds.Set(dict.PatientID, "PID-1")
	ds.Set(dict.SeriesDescription, text)
	b, _, err := rewrite(
		sessionFor(t, loadProfile(t, "clean-descriptors"), proofKey(1), &ds),
		encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
	)
	require.NoError(t, err)
	return parse(t, b, dict.ExplicitVRLittleEndian).String(dict.SeriesDescription)
}

// words returns the words of a text without regard to case and what stands between them.
func words(text string) []string {
	return strings.FieldsFunc(
		strings.ToLower(text), func(r rune) bool { return strings.ContainsRune(" _-/+,;:()*&=", r) },
	)
}

// TestCleanDescriptors cleans descriptions as departments write them, with and without people in them.
func TestCleanDescriptors(t *testing.T) {
	for in, want := range map[string]string{
		"Thorax nativ":                     "Thorax nativ",
		"CT THORAX/ABDOMEN MIT KM":         "CT THORAX/ABDOMEN MIT KM",
		"t2_tse_tra_5mm":                   "t2_tse_tra_5mm",
		"t1_mprage_sag_p2_iso":             "t1_mprage_sag_p2_iso",
		"Schädel nativ":                    "Schädel nativ",
		"HWS a.p. + seitlich":              "HWS + seitlich",
		"ep2d_diff_b0_b1000_ADC":           "ep2d_diff_b0_b1000_ADC",
		"Röntgen Thorax p.a.":              "Röntgen Thorax",
		"Lunge 1.0 Br59 3 axial":           "Lunge Br59 axial",
		"Abdomen portalvenös 3.0 B30f":     "Abdomen portalvenös B30f",
		"FDG PET/CT whole body":            "FDG PET/CT whole body",
		"Kniegelenk rechts, Müller":        "Kniegelenk rechts",
		"MÜLLER, HANS CT Kopf":             "CT Kopf",
		"Kontrolle nach OP am 12.05.1960":  "Kontrolle nach",
		"Brain MRI Ms. Smith 2023-11-14":   "Brain MRI",
		"Pat. 4711 Thorax":                 "Thorax",
		"Hüfte li. geb. 03.04.58":          "Hüfte",
		"Thorax Tel. 06221/561234":         "Thorax",
		"Dixon Willis Iris Stein Li Ko Ai": "",
		"Jan Mai August":                   "",
		"080-1234 DE":                      "",
		"Hand Kopf Herz":                   "Hand Kopf Herz",
		"120kV 5mm 3D 0.6mm":               "120kV 5mm 3D 0.6mm",
		"12345mm 20231114mm":               "",
		"CT Chest Gross Wade":              "CT Chest",
		"MR Long Head":                     "MR",
		"Brain Stein":                      "",
		"Head, John CT Abdomen":            "CT Abdomen",
		"CT HEAD":                          "CT HEAD",
		"Young Black":                      "",
		"CT ABDOMEN YOUNG BLACK":           "CT ABDOMEN",
		"Thorax Dr. J. Bone":               "Thorax",
		"Herr von Hand Thorax":             "Thorax",
		"Colon Maria MRT Abdomen":          "MRT Abdomen",
		"Hand li. ap":                      "Hand ap",
		"MR Hand re.":                      "MR Hand",
		"Kopf-Schmitz MRT Abdomen":         "MRT Abdomen",
		"CT 1949-08-23T":                   "CT",
		"CT 1949-08-23T10:11":              "CT",
		"CT 1949-08-23T10:11:12s":          "CT",
		"CT 23.08.49":                      "CT",
		"CT 23.08.49s":                     "CT",
		"CT 23/8/1949":                     "CT",
		"CT 23/8/1949mm":                   "CT",
		"CT 23/8/49T":                      "CT",
		"CT 23 8 49s":                      "CT",
		"CT 19490823":                      "CT",
		"CT 1949_08_23x":                   "CT",
		"CT Aug 23 1949":                   "CT",
		"CT Aug 23s":                       "CT",
		"CT Oct 23 1949":                   "CT",
		"CT Oct 23d 1949":                  "CT",
		"CT 23-AUG-49":                     "CT",
		"CT 23-OCT-49T":                    "CT",
		"CT 23.Dez.49t":                    "CT",
		"CT 10:11:12":                      "CT",
		"CT 10:11:12s":                     "CT",
		"CT Tel. +49 6221 56 12s":          "CT",
		"CT 06221-56-12mm":                 "CT",
		"CT 1949T":                         "CT",
		"CT 49T 1949s 2001mm":              "CT",
		"MR 3T 1.5T 0.6mm 120kV":           "MR 3T 1.5T 0.6mm 120kV",
		"t2_tse_cor_3mm":                   "t2_tse_cor_3mm",
		"Chest PA Meierschmidt lateral":    "Chest PA lateral",
		"OCT Auge rechts":                  "OCT Auge rechts",
	} {
		t.Run(in, func(t *testing.T) {
			require.Equal(t, words(want), words(clean(t, in)))
		})
	}
}

// TestVocabularyList: the list is sorted, in lower case, free of what could be somebody or some day, and its words get
// through.
func TestVocabularyList(t *testing.T) {
	b, err := os.ReadFile("internal/words/vocabulary.txt")
	require.NoError(t, err)
	var list []string
	for line := range strings.Lines(string(b)) {
		if line = strings.TrimSuffix(line, "\n"); !strings.HasPrefix(line, "#") {
			list = append(list, line)
		}
	}
	require.Greater(t, len(list), 2000)
	require.True(t, slices.IsSorted(list))
	require.Len(t, slices.Compact(slices.Clone(list)), len(list))
	for _, w := range list {
		require.Equal(t, strings.ToLower(w), w)
		require.NotEmpty(t, strings.Trim(w, "0123456789"), "a number alone")
		require.False(t, strings.ContainsAny(w, ` _-/+.,;:()*&=\^`), w)
	}
	// What lists of names have is gone, or stays for a reason (internal/gen/names found them).
	read := func(path string) (words []string) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		for line := range strings.Lines(string(b)) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, "=") {
				words = append(words, strings.Fields(line)...)
			}
		}
		return words
	}
	removed, kept := read("testdata/names_removed.txt"), read("internal/words/names.txt")
	require.Greater(t, len(removed), 100)
	require.Less(t, len(kept), 160, "keep this list short")
	for _, w := range removed {
		require.NotContains(t, list, w, "it is somebody's name")
	}
	for _, w := range kept {
		require.Contains(t, list, strings.TrimSuffix(w, "*"), "names.txt keeps a word that the vocabulary doesn't have")
	}
	// Frequent German and English first and last names that are words too, and the months.
	for name := range strings.FieldsSeq(`alexander andrea anna art august ben braun brown carl dick dixon early elle
		ernst fast frank fuchs gray grace green hall hart haupt hill hope iris jan jung kaiser kern king klein ko koch
		könig krause kurz lang lange law lee li lilly long luft ma mark max may meyer min müller myers norm palm park pat
		peter ray richter ring rob rose ross roth rot ruth sawyer schmidt schneider schulz schwarz sharp short stamm stark
		stein stern stone swan victor vogel wagner weber weiß weiss white will willis winter wolf wood wright wu young
		januar februar märz april mai juni juli september oktober november dezember january february march june july
		october december montag dienstag mittwoch donnerstag freitag samstag sonntag monday tuesday wednesday thursday
		friday saturday sunday`) {
		require.NotContains(t, list, name)
	}
	for _, w := range list[len(list)/2 : len(list)/2+50] {
		require.Equal(t, w, clean(t, w))
	}
}

// TestCleanCharacterSets cleans descriptors in the character sets that instances come in, and writes the words back in
// them.
func TestCleanCharacterSets(t *testing.T) {
	p := loadProfile(t, "clean-descriptors")
	for _, c := range []struct {
		terms    []string
		in, want string
	}{
		{[]string{"ISO_IR 100"}, "Schädel Müllerschön nativ", "Schädel nativ"},
		{[]string{"ISO_IR 101"}, "Schädel Żółkiewska nativ", "Schädel nativ"},
		{[]string{"ISO_IR 144"}, "CT Иванов Thorax", "CT Thorax"},
		{[]string{"ISO_IR 126"}, "CT Παπαδόπουλος Thorax", "CT Thorax"},
		{[]string{"ISO_IR 166"}, "CT สมชาย Thorax", "CT Thorax"},
		{[]string{"ISO_IR 13"}, "CT ﾔﾏﾀﾞ Thorax", "CT Thorax"},
		{[]string{"", "ISO 2022 IR 87"}, "CT 山田太郎 Thorax", "CT Thorax"},
		{[]string{"", "ISO 2022 IR 149"}, "CT 김희중 Thorax", "CT Thorax"},
		{[]string{"", "ISO 2022 IR 58"}, "CT 王小东 Thorax", "CT Thorax"},
		{[]string{"GB18030"}, "CT 王小东 Thorax", "CT Thorax"},
		{[]string{"ISO_IR 192"}, "CT 山田太郎 Thorax Müllerschön", "CT Thorax"},
	} {
		for _, syntax := range []string{dict.ExplicitVRLittleEndian, dict.ImplicitVRLittleEndian} {
			t.Run(strings.Join(c.terms, " ")+syntax, func(t *testing.T) {
				var ds, item stream.DataSet
				ds.Set(dict.SOPClassUID, dict.CTImageStorage)
				ds.Set(dict.SOPInstanceUID, "1.2.3")
				ds.Set(dict.PatientID, "PID-1")
				item.Set(dict.ScheduledProcedureStepDescription, c.in)
				ds.SetSequence(dict.RequestAttributesSequence, &item)
				ds.Set(dict.SeriesDescription, c.in)
				require.NoError(t, ds.SetCharset(c.terms...))
				require.Equal(t, c.in, ds.String(dict.SeriesDescription))
				b, report, err := rewrite(sessionFor(t, p, proofKey(1), &ds), encode(t, &ds, syntax), syntax)
				require.NoError(t, err)
				require.False(t, report.ToUTF8)
				out := parse(t, b, syntax)
				require.Equal(t, ds.Strings(dict.SpecificCharacterSet), out.Strings(dict.SpecificCharacterSet))
				require.Equal(t, words(c.want), words(out.String(dict.SeriesDescription)))
				require.Equal(t, words(c.want), words(
					out.Items(dict.RequestAttributesSequence)[0].String(dict.ScheduledProcedureStepDescription),
				))
			})
		}
	}
}

// TestNotCovered names what a profile of the standard lets through, so that docs/deidentification.md stays true: text
// in attributes that Table E.1-1 doesn't list, and words of the vocabulary that are somebody's name.
func TestNotCovered(t *testing.T) {
	const name = "Meierschmidt"
	var ds, meaning stream.DataSet
	ds.Set(dict.SOPClassUID, dict.CTImageStorage)
	ds.Set(dict.SOPInstanceUID, "1.2.3")
	ds.Set(dict.PatientID, "PID-1")
	ds.Set(dict.SequenceName, name)
	ds.Set(dict.ManufacturerModelName, name)
	meaning.Set(dict.CodeMeaning, name)
	ds.SetSequence(dict.AnatomicRegionSequence, &meaning)
	ds.Set(dict.SeriesDescription, "Hand Kopf")
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	b, _, err := rewrite(
		sessionFor(t, p, proofKey(1), &ds), encode(t, &ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian,
	)
	require.NoError(t, err)
	out := parse(t, b, dict.ExplicitVRLittleEndian)
	require.Equal(t, name, out.String(dict.SequenceName))
	require.Equal(t, name, out.String(dict.ManufacturerModelName))
	require.Equal(t, name, out.Items(dict.AnatomicRegionSequence)[0].String(dict.CodeMeaning))
	require.Equal(t, "Hand Kopf", out.String(dict.SeriesDescription))
}

// TestCleanedTwice: what a session remembers of a text doesn't depend on where it met it first: a backslash parts
// values in some VRs alone.
func TestCleanedTwice(t *testing.T) {
	object := func(tags ...dict.Tag) *stream.DataSet {
		var ds stream.DataSet
		ds.Set(dict.SOPClassUID, dict.CTImageStorage)
		ds.Set(dict.SOPInstanceUID, "1.2.3")
		ds.Set(dict.PatientID, "PID-1")
		for _, tag := range tags {
			ds.Put(stream.Element{Tag: tag, VR: dict.VROf(tag), Value: []byte(`CT Meier\Young Black\MR.`)})
		}
		return &ds
	}
	p := loadProfile(t, "clean-descriptors")
	several, one := dict.AdmittingDiagnosesDescription, dict.ImageComments // LO, and LT
	want := map[dict.Tag]string{}
	for _, tag := range []dict.Tag{several, one} {
		ds := object(tag)
		b, _, err := rewrite(sessionFor(t, p, proofKey(1), ds), encode(t, ds, dict.ExplicitVRLittleEndian),
			dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		e, _ := parse(t, b, dict.ExplicitVRLittleEndian).Get(tag)
		want[tag] = string(e.Value)
	}
	require.NotEqual(t, want[several], want[one])
	s := sessionFor(t, p, proofKey(1), object())
	for _, tags := range [][]dict.Tag{{one}, {several}, {several, one}} {
		b, _, err := rewrite(s, encode(t, object(tags...), dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		for _, tag := range tags {
			e, _ := parse(t, b, dict.ExplicitVRLittleEndian).Get(tag)
			require.Equal(t, want[tag], string(e.Value), tag.Keyword())
		}
	}
}
