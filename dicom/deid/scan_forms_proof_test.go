// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/unicode/norm"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// scanned de-identifies a data set for the patient that it names, and gives what the scan says of it.
func scanned(t testing.TB, p *deid.Profile, ds *stream.DataSet) error {
	t.Helper()
	_, _, err := rewrite(scanningFor(t, p, ds), encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
	if err != nil {
		require.True(t, heldBack(err), "%v", err)
	}
	return err
}

func scanningFor(t testing.TB, p *deid.Profile, ds *stream.DataSet) *deid.Session {
	t.Helper()
	id := deid.PatientIdentity(ds.String(dict.PatientID), "", ds.String(dict.StudyInstanceUID))
	s, err := p.Session(
		deid.Subject{Key: proofKey(3).OfPatient(id), Patient: id, Pseudonym: proofPseudonym, Scan: true},
	)
	require.NoError(t, err)
	return s
}

// knowing begins a session that knows what a data set, of the same patient, tells.
func knowing(t testing.TB, p *deid.Profile, ds *stream.DataSet) *deid.Session {
	t.Helper()
	reader, err := p.Reader("")
	require.NoError(t, err)
	known, err := reader.Answer(ds)
	require.NoError(t, err)
	id := deid.PatientIdentity(ds.String(dict.PatientID), "", ds.String(dict.StudyInstanceUID))
	s, err := p.Session(
		deid.Subject{Key: proofKey(3).OfPatient(id), Patient: id, Pseudonym: proofPseudonym, Scan: true, Known: known},
	)
	require.NoError(t, err)
	return s
}

// aCT is a CT with nothing of anybody in it but what a test puts in.
func aCT(t testing.TB) *stream.DataSet {
	t.Helper()
	var ds stream.DataSet
	for tag, text := range map[dict.Tag]string{
		dict.SOPClassUID: dict.CTImageStorage, dict.SOPInstanceUID: "1.2.276.0.7230010.9.1",
		dict.SeriesInstanceUID: "1.2.276.0.7230010.9.2",
		dict.StudyInstanceUID:  "1.2.276.0.7230010.9.3", dict.PatientID: "P-730551",
		dict.StudyDate: "20191127", dict.SeriesDate: "20191127",
		dict.PatientBirthDate: "19530817", dict.Modality: "CT", dict.PatientName: "Zubrowski^Jan",
	} {
		ds.Set(tag, text)
	}
	return &ds
}

// keptText is an attribute of text that the default profile lets stay as it is.
const keptText = dict.PulseSequenceName

// TestScanReadsCharacterSets: a name is found in the character set that the instance declares and in any other, in each
// of its component groups.
func TestScanReadsCharacterSets(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, c := range []struct {
		terms string
		name  string
		alone bool // an instance of another set can't hold its bytes
	}{
		{`ISO_IR 100`, "Müllerschön^Jürgen", false},
		{`ISO_IR 101`, "Żółkiewska^Łucja", false},
		{`ISO_IR 109`, "Ĉapelĝo^Ŝtefano", false},
		{`ISO_IR 110`, "Bērziņš^Jānis", false},
		{`ISO_IR 126`, "Διονυσίου^Νικόλαος", false},
		{`ISO_IR 127`, "قباني^لنزار", false},
		{`ISO_IR 138`, "שרוןמאיר^דבורה", false},
		{`ISO_IR 144`, "Ковалевский^Степан", false},
		{`ISO_IR 148`, "Çavuşoğlu^İsmail", false},
		{`ISO_IR 166`, "นามสกุล^ชื่อจริง", false},
		{`ISO_IR 203`, "Œhlenschläger^Žanine", false},
		{`ISO_IR 13`, "ﾔﾏﾀﾞｻﾞｷ^ﾀﾛｳ", false},
		{`\ISO 2022 IR 87`, "Yamadazaki^Tarou=山田^太郎=やまだ^たろう", true},
		{`ISO 2022 IR 6\ISO 2022 IR 159`, "Kanji^Hojo=丂丄丅^丌丒", true},
		{`\ISO 2022 IR 149`, "Hong^Gildong=洪^吉洞=홍^길동", false},
		{`\ISO 2022 IR 58`, "Zhang^XiaoDong=张^小东", false},
		{`GB18030`, "Wang^XiaoDong=王^小东", false},
		{`GBK`, "Wang^XiaoDong=王^小东", false},
		{`ISO_IR 192`, "Wang^XiaoDong=王^小东=", false},
	} {
		terms := strings.Split(c.terms, `\`)
		set, err := charset.New(terms)
		require.NoError(t, err)
		before := aCT(t)
		require.NoError(t, before.SetCharset(terms...))
		before.Set(dict.PatientName, c.name)
		for i, group := range strings.Split(strings.TrimRight(c.name, "="), "=") {
			family, given, _ := strings.Cut(group, "^")
			for _, text := range []string{
				family + given, given + " " + family, group,
				"x: " + family + " " + given + ".", strings.ToUpper(family + " " + given),
			} {
				if i == 0 && len(family)+len(given) < 9 {
					continue
				}
				ds := parse(t, encode(t, before, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
				if b, err := set.Encode(text, dict.LO); err == nil {
					ds.Put(stream.Element{Tag: keptText, VR: dict.LO, Value: pad(b)})
					require.ErrorContains(
						t, scanned(t, p, ds), "(0018,9005) still holds a name", "%s: %s", c.terms, text,
					)
				}
			}
			// Another instance of the patient is in another set, and has the bytes all the same.
			text := family + given
			b, err := set.Encode(text, dict.LO)
			if err != nil || c.alone || i == 0 && len(family) < 5 || len(b) < 6 {
				continue
			}
			s := knowing(t, p, before)
			ds := aCT(t)
			require.NoError(t, ds.SetCharset("ISO_IR 100"))
			ds.Put(stream.Element{Tag: keptText, VR: dict.LO, Value: pad(append([]byte("x "), b...))})
			_, _, err = rewrite(s, encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
			require.Error(t, err, "%s: %s in Latin-1", c.terms, text) // or its escape sequences are none of Latin-1's
		}
	}
}

// TestScanFoldsText: width, accents, ways of spelling umlauts, kana, and what can't be seen don't hide a name.
func TestScanFoldsText(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for name, texts := range map[string][]string{
		"Müllerschön^Jürgen": {
			"Mullerschon", "Muellerschoen", "MUELLERSCHOEN, J", norm.NFD.String("Müllerschön"),
			"Ｍüｌｌｅｒｓｃｈöｎ", "ｍｕｌｌｅｒｓｃｈｏｎ", "Mül\u00ADlerschön", "Müller\u200Bschön", "mÜLLERSCHÖN",
		},
		"Muellerschoen^Juergen": {"Müllerschön", "MÜLLERSCHÖN"},
		"Ковалевский^Степан":    {"КОВАЛЕВСКИЙ", "кОвалевский", norm.NFD.String("Ковалевский")},
		"Sørensdatter^Åse":      {"Sorensdatter", "Soerensdatter", "SØRENSDATTER"},
		"Großkopfmann^Ines":     {"Grosskopfmann", "GROSSKOPFMANN"},
		"Çavuşoğlu^Işıl":        {"Cavusoglu", "CAVUSOGLU", "çavuşoğlu"},
		"ヤマダ^タロウ":               {"ﾔﾏﾀﾞ", "やまだ", "たろう"},
		"山田^太郎":                 {"山田　太郎", "山田太郎", "太郎"},
		"Zubrowski^Jan":         {"Ｚｕｂｒｏｗｓｋｉ", "Zubrówski"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			require.NoError(t, ds.SetCharset("ISO_IR 192"))
			ds.Set(dict.PatientName, name)
			ds.Set(keptText, "x: "+text)
			require.ErrorContains(t, scanned(t, p, ds), "(0018,9005) still holds a name", "%s: %q", name, text)
		}
	}
	for name, text := range map[string]string{
		"Ива^Ли":     "Иванов нативный",
		"Müller^Ö":   "Mull",
		"山^田":        "大山脈",
		"Kopf^Hände": "Kopf",
	} {
		ds := aCT(t)
		require.NoError(t, ds.SetCharset("ISO_IR 192"))
		ds.Set(dict.PatientName, name)
		ds.Set(keptText, text)
		require.NoError(t, scanned(t, p, ds), name)
	}
}

// TestScanReadsDates: a date of the original is found as people write it, whatever attribute of the original gave it.
func TestScanReadsDates(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, text := range []string{
		"27 Nov 2019", "27.11.19", "27/11/2019", "11/27/2019", "27NOV2019", "Nov 27th 2019", "Nov272019",
		"NOV2719", "19Nov27", "2019-11-27", "2019/11/27", "20191127", "27. November 2019", "27.11.2019",
		"November 27, 2019", "27-Nov-19", "27 nov. '19", "2019 Nov 27", "2019.11.27", "27_11_2019",
		"27112019", "11272019", "191127", "271119", "27. 11. 2019", "27th of November 2019",
		"CT27Nov2019x", "scan20191127T1011", "201911271011", "20191127101112",
		"27 NOVEMBER 2019", "27-11-19", "11/27/19", "19/11/27",
		"17. August 1953", "17 Aug 53", "17.08.1953", "17.8.53", "1953-8-17", "8/17/1953", "geb. 17.8.1953",
		"3. März 2020", "3. Maerz 2020", "3 Mrz 2020", "March 3rd, 2020", "03MAR20", "3.3.2020",
		"2. Mai 2021", "2 May 2021", "1. Dez. 2020", "Dec 1, 2020", "1 Okt 2020", "Oct. 1 2020",
		"2019年11月27日", "２０１９年１１月２７日", "27／11／2019",
	} {
		for _, at := range []string{"", "x "} {
			ds := aCT(t)
			require.NoError(t, ds.SetCharset("ISO_IR 192"))
			ds.Set(dict.AcquisitionDateTime, "20200303101112")
			ds.Set(dict.ContentDate, "20210502")
			ds.Set(dict.AcquisitionDate, "20201201")
			ds.Set(dict.InstanceCreationDate, "20201001")
			ds.Set(keptText, at+text)
			require.ErrorContains(t, scanned(t, p, ds), keptText.String()+" still holds a date", text)
		}
	}
	for _, text := range []string{
		"28 Nov 2018", "27.11.18", "1.2.19.11.27.5", "1.27.11.19.4", "V19.11.27.3", "Nov 2017", "27 2019",
		"127112019", "2019112", "12019112709", "2019-1127", "27:11:19", "Novx 27 2017", "26. Okt 2017", "27 of 2019",
	} {
		ds := aCT(t)
		ds.Set(keptText, text)
		require.NoError(t, scanned(t, p, ds), text)
	}
}

// TestScanFindsDatesBeside: a true date beside shifted ones gives the shift away, so one that stands near those of the
// original is found too.
func TestScanFindsDatesBeside(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, text := range []string{"prior 25.11.2019", "2019-12-03", "Kontrolle 3. Dezember 2019", "20191126"} {
		ds := aCT(t)
		ds.Set(keptText, text)
		require.ErrorContains(t, scanned(t, p, ds), "(0018,9005) still holds a date", text)
	}
	for _, text := range []string{"rev 2017-03-01", "2021-01-01"} {
		ds := aCT(t)
		ds.Set(keptText, text)
		require.NoError(t, scanned(t, p, ds), text)
	}
	ds := aCT(t)
	ds.Set(dict.SoftwareVersions, "VX 2019-11-20")
	require.NoError(t, scanned(t, p, ds), "a version near the day")
	full := loadProfile(t, "full-dates")
	ds.Set(keptText, "prior 25.11.2019, 27.11.2019")
	require.NoError(t, scanned(t, full, ds), "dates may stay")
	for _, tag := range []dict.Tag{dict.SeriesNumber, dict.ReferencePixelX0} {
		ds := aCT(t)
		ds.SetVR(tag, dict.VROf(tag), "20191127")
		if dict.VROf(tag) == dict.IS {
			require.ErrorContains(t, scanned(t, p, ds), "still holds a date", "a date as a number")
		}
	}
}

// TestScanFindsWholeNames: a whole name is found whatever its words, in any order, and a name of five letters or more
// within a word.
func TestScanFindsWholeNames(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for name, texts := range map[string][]string{
		"Long^White":         {"White Long", "LONG WHITE", "long_white", "Long, White", "Long^White", "x long-white y", "WhiteLong", "longwhite", "Long. White"},
		"Long^White^Marie":   {"White Marie Long", "White M. Long", "White M Long", "Long White"},
		"Head^Young^^Dr":     {"Young Head", "HEAD YOUNG"},
		"BLACK FIELD":        {"Black Field", "FIELD_BLACK", "field black"},
		"King-Cross^May":     {"May King-Cross", "King-Cross, May"},
		"Zubrowski^Jan":      {"CTZubrowski", "ZubrowskiCT", "zubrowski_jan", "JanZubrowski", "zubrowskis", "xzubrowskiy", "CT_ZUBROWSKI_1", "Zubrowski2"},
		"Moser^Eva":          {"MoserEva", "CTMoser", "moserct"},
		"Li^Wei":             {"Li Wei", "LiWei", "Wei, Li", "li_wei", "WEILI"},
		"O'Sullivan^Siobhan": {"OSullivan", "O Sullivan", "sullivan"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			ds.Set(dict.PatientName, name)
			ds.Set(keptText, text)
			require.ErrorContains(t, scanned(t, p, ds), "(0018,9005) still holds a name", "%s: %s", name, text)
		}
	}
	for name, texts := range map[string][]string{
		"Long^White":    {"White matter, long axis", "Whitelongitudinal", "along white"},
		"Phantom^Water": {"Water Phantom"},
		"Anonymous":     {"Anonymous"},
		"Patient^Test":  {"Test Patient"},
		"Ender^Ral":     {"RENDERING", "Standard", "general"},
		"Siement^Tra":   {"TRAVERSE"},
		"Axia^L":        {"AXIAL"},
	} {
		for _, text := range texts {
			ds := aCT(t)
			ds.Set(dict.PatientName, name)
			ds.Set(keptText, text)
			require.NoError(t, scanned(t, p, ds), "%s: %s", name, text)
		}
	}
	for where, set := range map[string]func(ds *stream.DataSet){
		"a physician called so": func(ds *stream.DataSet) {
			ds.Set(dict.ReferringPhysicianName, "White^Long")
			ds.Set(keptText, "White Long")
		},
	} {
		ds := aCT(t)
		set(ds)
		require.NoError(t, scanned(t, p, ds), where)
	}
}

// TestScanKnowsMachines: a number of a machine that is also its version or model tells of nobody; one that is only its
// own does.
func TestScanKnowsMachines(t *testing.T) {
	p, _ := deid.BuiltinProfile(deid.DefaultProfile)
	for _, c := range []struct {
		serial, version, model, text string
		found                        bool
	}{
		{"450123", "450123", "", "450123", false},
		{"4501234", "syngo 4501234", "", "", false},
		{"VE11C", "syngo MR VE11C", "", "VE11C", false},
		{"DISCOVERY750", "", "Discovery 750", "DISCOVERY750", false},
		{"MR450", "", "MR450", "", false},
		{"00450", "450", "", "450", false},
		{"SN99331472", "VX1", "Model 5", "SN99331472", true},
		{"4501234", "VX1", "Model 5", "4501234", true},
		{"9933147255", "9933147255", "", "", true},
		{"AXM-2291-77", "VX1", "AXM", "unit AXM-2291-77", true},
	} {
		ds := aCT(t)
		ds.Set(dict.DeviceSerialNumber, c.serial)
		ds.Set(dict.SoftwareVersions, c.version)
		ds.Set(dict.ManufacturerModelName, c.model)
		ds.Set(keptText, c.text)
		err := scanned(t, loadProfile(t), ds)
		if strings.Contains(c.version+c.model, c.serial) || !c.found {
			err = scanned(t, p, ds)
		}
		require.Equal(t, c.found, err != nil, "%+v: %v", c, err)
	}
}

// TestScanKnowsWhatAdditionsRemove: what the rows beside the table remove, and the rules of a profile, is looked for as
// what the table removes.
func TestScanKnowsWhatAdditionsRemove(t *testing.T) {
	basic := loadProfile(t)
	for tag, c := range map[dict.Tag]struct {
		value string
		text  string
	}{
		dict.RetrieveURL:                           {"https://pacs.example.org/wado?x=QX-7781345", "QX-7781345"},
		dict.PlacerOrderNumberProcedure:            {"ORD7781345", "ord7781345"},
		dict.LocalNamespaceEntityID:                {"NS-7781345", "x NS-7781345"},
		dict.OtherStudyNumbers:                     {"", ""},
		dict.HL7InstanceIdentifier:                 {"2.25^DOC7781345", "DOC7781345"},
		dict.PatientBirthDateInAlternativeCalendar: {"1971-08-19", "19.08.1971"},
		dict.EvaluatorName:                         {"", ""},
		dict.ContactDisplayName:                    {"Brzezinska Olga", "Brzezinska"},
		dict.StrainStockNumber:                     {"STK7781345", "STK7781345"},
		dict.PatientComments:                       {"MRN 7781345, siehe brzezinska@example.org", "7781345"},
		dict.AdditionalPatientHistory:              {"siehe olga.brz@example.org", "olga.brz@example.org"},
	} {
		if c.value == "" {
			continue
		}
		ds := aCT(t)
		ds.Set(tag, c.value)
		ds.Set(keptText, c.text)
		require.ErrorContains(t, scanned(t, basic, ds), "(0018,9005) still holds", tag)
		if tag != dict.PatientComments {
			ds.Set(keptText, "SE")
			require.ErrorContains(t, scanned(t, basic.Broken(tag), ds), tag.String()+" still holds", tag)
		}
	}
	ruled, err := deid.LoadProfile([]byte("name: test\nversion: \"1\"\nbase: ps3.15-basic\noverrides: [{keyword: FilterMaterial, action: remove}, {keyword: ConvolutionKernel, action: keep}, {keyword: GantryID, action: hash}]"))
	require.NoError(t, err)
	ds := aCT(t)
	ds.Set(dict.GantryID, "GNT7781345")
	ds.Set(keptText, "GNT7781345")
	require.Error(t, scanned(t, ruled, ds))
}
