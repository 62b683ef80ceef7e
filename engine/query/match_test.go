// SPDX-License-Identifier: AGPL-3.0-or-later

package query

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestJudgeReadings: text is also compared as what it means in another character set than the server declares, and
// shown so; who the patient is isn't.
func TestJudgeReadings(t *testing.T) {
	const unicode, latin1, muller = "ISO_IR 192", "ISO_IR 100", "Müller^Anna"
	encoded := func(term, text string) []byte {
		set, err := charset.New([]string{term})
		require.NoError(t, err)
		b, err := set.Encode(text, dict.PN)
		require.NoError(t, err)
		return b
	}
	twice := []byte("MÃ¼ller^Anna") // UTF-8 that was taken for Latin-1
	for name, c := range map[string]struct {
		declared, wanted string
		raw              []byte
		shown            string // empty: hidden
	}{
		"declared rightly":                {latin1, "Müller*", encoded(latin1, muller), muller},
		"UTF-8 declared Latin-1":          {latin1, "Müller*", []byte(muller), muller},
		"Latin-1 declared UTF-8":          {unicode, "Müller*", encoded(latin1, muller), muller},
		"UTF-8 declared nothing":          {"", "Müller*", []byte(muller), muller},
		"UTF-8 declared Cyrillic":         {"ISO_IR 144", "müller^a*", []byte(muller), muller},
		"Latin-1 declared what isn't one": {"KLINGON", "MÜLLER", encoded(latin1, muller), muller},
		"Latin-2 declared Latin-1":        {latin1, "Čapek", encoded("ISO_IR 101", "Čapek^Karel"), "Čapek^Karel"},
		"Cyrillic declared UTF-8":         {unicode, "Иван*", encoded("ISO_IR 144", "Иванов^Иван"), "Иванов^Иван"},
		"Shift JIS declared UTF-8":        {unicode, "山田*", []byte("Yamada^Tarou=\x8eR\x93c^\x91\xbe\x98Y"), "Yamada^Tarou=山田^太郎"},
		"GB18030 declared Latin-1":        {latin1, "王*", encoded("GB18030", "Wang^XiaoDong=王^小东"), "Wang^XiaoDong=王^小东"},
		"UTF-8 encoded twice":             {unicode, "Müller*", twice, muller},
		"lost by the server":              {unicode, "Müller*", []byte("M\uFFFDller^Anna"), "M\uFFFDller^Anna"},
		"written as a question mark":      {latin1, "Müller*", []byte("M?ller^Anna"), "M?ller^Anna"},
		"another name":                    {unicode, "Müller*", encoded(latin1, "Möller^Anna"), ""},
		"another name in ASCII":           {unicode, "Müller*", []byte("Meier^Anna"), ""},
		"another name beyond ASCII":       {latin1, "Müller*", []byte("Größler^Anna"), ""},
		"a name in ASCII":                 {unicode, "Miller*", encoded(latin1, muller), ""},
	} {
		ds := &stream.DataSet{}
		ds.Set(dict.StudyInstanceUID, "1.2")
		ds.Set(dict.PatientID, "P")
		ds.SetBytes(dict.PatientName, dict.PN, c.raw)
		b, err := ds.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		if c.declared != "" {
			declaration := &stream.DataSet{}
			declaration.SetBytes(dict.SpecificCharacterSet, dict.CS, []byte(c.declared))
			head, err := declaration.Encode(dict.ExplicitVRLittleEndian)
			require.NoError(t, err)
			b = append(head, b...)
		}
		answer, err := stream.ParseDataSet(b, dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err)

		study, _, against := Search{PatientName: c.wanted}.judge(answer)
		require.Equal(t, c.shown != "", against == 0, name)
		if c.shown != "" {
			require.Equal(t, c.shown, study.PatientName, name)
		}
		_, _, against = Search{PatientName: c.wanted, PatientID: "Q"}.judge(answer)
		require.NotZero(t, against, "%s: of another patient", name)
	}
}

// fits judges an answer whose character set is beyond doubt.
func fits(s Search, f FoundStudy) bool {
	_, against := s.compare(f, f.PatientID)
	return against == 0
}

func TestSearchMatches(t *testing.T) {
	f := FoundStudy{
		StudyInstanceUID: "1.2", PatientID: "P", AccessionNumber: "A",
		ModalitiesInStudy: []string{"CT", "SR"}, StudyDate: "20240105",
	}
	for _, s := range []Search{
		{PatientID: "P"},
		{AccessionNumber: "A"},
		{Modality: "SR"},
		{StudyDateFrom: "20240105", StudyDateTo: "20240105"},
		{StudyDateTo: "20250101"},
	} {
		require.True(t, fits(s, f), "%+v", s)
	}
	for _, s := range []Search{
		{PatientID: "Q"},
		{AccessionNumber: "B"},
		{Modality: "MR"},
		{StudyDateFrom: "20240106"},
		{StudyDateTo: "20240104"},
	} {
		require.False(t, fits(s, f), "%+v", s)
	}
	require.False(t, fits(Search{}, FoundStudy{}), "without a UID it is nothing")
	long := "ACC-0123456789-0123"
	for _, tt := range []struct {
		s    Search
		f    FoundStudy
		want bool
	}{
		{Search{Modality: "ct"}, FoundStudy{ModalitiesInStudy: []string{"CT"}}, true},
		{Search{Modality: "CT"}, FoundStudy{}, true}, // not said
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long}, true},
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long[:16]}, true}, // cut by the server
		{Search{AccessionNumber: long}, FoundStudy{AccessionNumber: long[:15]}, false},
		{Search{AccessionNumber: long[:16]}, FoundStudy{AccessionNumber: long}, false}, // another's
		{Search{AccessionNumber: "A"}, FoundStudy{}, false},
		{Search{AccessionNumber: "acc-1"}, FoundStudy{AccessionNumber: "ACC-1"}, true},
		{Search{Modality: "MR"}, FoundStudy{ModalitiesInStudy: []string{"CT/MR"}}, true},
		{Search{Modality: "R"}, FoundStudy{ModalitiesInStudy: []string{"CT/MR"}}, false},
		{Search{StudyDateFrom: "20240105"}, FoundStudy{StudyDate: "unknown"}, true}, // can't be compared
		{Search{StudyDateFrom: "20240105"}, FoundStudy{StudyDate: "2024"}, true},
		{Search{StudyDateTo: "20240105"}, FoundStudy{StudyDate: "2024-01-06"}, false},
		{Search{AccessionNumber: "A", PatientID: "P"}, FoundStudy{PatientID: "P"}, true},
		{Search{StudyDateFrom: "20240105", StudyDateTo: "20240105"}, FoundStudy{StudyDate: "2024.01.05"}, true},
		{Search{StudyDateFrom: "20240106"}, FoundStudy{StudyDate: "2024.01.05"}, false},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{PatientName: "DOE^JANE^M"}, true},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{PatientName: "DOE^JOHN"}, false},
		{Search{PatientName: "Doe, Jane"}, FoundStudy{}, false}, // nobody knows whose
		{Search{PatientName: "Doe, Jane", PatientID: "P"}, FoundStudy{PatientID: "P"}, true},
		{Search{PatientName: "Doe, Jane", PatientID: "P"}, FoundStudy{PatientID: "Q"}, false},
	} {
		tt.f.StudyInstanceUID = "1.2"
		require.Equal(t, tt.want, fits(tt.s, tt.f), "%+v", tt)
	}
	born := FoundStudy{PatientBirthDate: "19700131", StudyTime: "083059.5", StudyDescription: "CT  Schädel-Basis"}
	for _, tt := range []struct {
		s    Search
		f    FoundStudy
		want bool
	}{
		{Search{PatientBirthDateFrom: "19700131", PatientBirthDateTo: "19700131"}, born, true},
		{Search{PatientBirthDateFrom: "19700201"}, born, false},
		{Search{PatientBirthDateTo: "19700130"}, born, false},
		{Search{PatientBirthDateTo: "19700130"}, FoundStudy{}, true}, // not said
		{Search{PatientBirthDateTo: "19700201"}, FoundStudy{PatientBirthDate: "1970.01.31"}, true},
		{Search{StudyTimeFrom: "083059", StudyTimeTo: "083059"}, born, true},
		{Search{StudyTimeFrom: "083100"}, born, false},
		{Search{StudyTimeTo: "083058"}, born, false},
		{Search{StudyTimeTo: "083058"}, FoundStudy{StudyTime: "08:30"}, true},
		{Search{StudyTimeTo: "083058"}, FoundStudy{StudyTime: "09"}, false},
		{Search{StudyTimeTo: "083058"}, FoundStudy{StudyTime: "soon"}, true}, // can't be compared
		{Search{StudyDescription: "ct schadel*"}, born, true},
		{Search{StudyDescription: "*BASIS"}, born, true},
		{Search{StudyDescription: "CT"}, born, false},
		{Search{StudyDescription: "MR*"}, FoundStudy{}, true}, // not said
		{Search{StudyDescription: "Sch?del"}, FoundStudy{StudyDescription: "Sch\uFFFDdel"}, true},
		{Search{StudyInstanceUID: "1.2"}, born, true},
		{Search{StudyInstanceUID: "1.3"}, born, false},
	} {
		tt.f.StudyInstanceUID = "1.2"
		require.Equal(t, tt.want, fits(tt.s, tt.f), "%+v", tt)
	}
	require.Equal(t, "Doe^Jane*", dicomName("Doe, Jane"))
	require.Equal(t, "Doe^J*", dicomName("Doe^J*"))
	require.Equal(t, "Doe^Jane, B.Sc.", dicomName("Doe^Jane, B.Sc."))
	require.Equal(t, "*^Jane*", dicomName(", Jane"))
}

func TestMatchesName(t *testing.T) {
	for _, tt := range []struct {
		wanted, value string
		want          bool
	}{
		{"Doe^Jane", "DOE^JANE", true},
		{"Doe^Jane", "Doe^Jane^^^", true},
		{"doe", "Doe^Jane", true},
		{"doe", "Doering^Max", false},
		{"doe*", "Doering^Max", true},
		{"D?e^J*", "Doe^Jane", true},
		{"D?e^J*", "Doe^Max", false},
		{"*^Jane", "Doe^Jane", true},
		{"*Jane", "Doe^Max", false},
		{"Müller^J*", "MULLER^JÜRGEN", true},
		{"Muller", "Müller^Anna", true},
		{"Möller", "Müller^Anna", false},
		{"Doe ^ Jane", "Doe^Jane", true},
		{"Doe^Jane", "Doe^Jan", false},
		{"Doe^Jan", "Doe^Jane", false},
		{"Doe^Jane^M", "Doe^Jane", false},
		{"山田^*", "Yamada^Tarou=山田^太郎=やまだ^たろう", true},
		{"Yamada", "Yamada^Tarou=山田^太郎=やまだ^たろう", true},
		{"Yamada=山田", "Yamada^Tarou=山田^太郎", true},
		{"Yamada=田中", "Yamada^Tarou=山田^太郎", false},
		{"=山田^太郎", "Yamada^Tarou=山田^太郎", true},
		{"Yamada=山田", "Yamada^Tarou", true}, // a group that isn't there can't be compared
		{"Yamada=山田", "Yamada^Tarou==やまだ^たろう", true},
		{"Yamada=山田", "山田^太郎", false},
		{"Yamada=山田", "", false},
		{"=山田", "Yamada^Tarou", false}, // nothing of it is there
		{"Strauß*", "STRAUSS^JOHANN", true},
		{"ΠΑΠΑΣ", "Παπάς^Άννα", true},
		{"IŞIK*", "ışık^ayşe", true},
		{"Doe^Jane Mary", "DOE^JANE  MARY", true},
		{"Müller*", "M?ller^Anna", true}, // what the server could not write
		{"Müller*", "M\uFFFD\uFFFDller^Anna", true},
		{"Müller*", "M?ier^Anna", false},
		{"Müller^A*", "M?^Berta", false},
		{"金^*", "Hong^Gildong=洪^吉洞=홍^길동", false},
		{"*", "Doe^Jane", true},
		{"Doe", "", false},
		{"a*a*a*a*a*a*a*b", strings.Repeat("a", 320), false},
	} {
		require.Equal(t, tt.want, matchesName(tt.wanted, tt.value), "%q %q", tt.wanted, tt.value)
	}
}
