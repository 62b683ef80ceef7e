// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/charset"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// TestJudgeReadings: text is also compared as what it means in another character set than the server declares, and shown so; who the
// patient is isn't.
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
