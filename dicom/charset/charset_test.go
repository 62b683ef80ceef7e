// SPDX-License-Identifier: AGPL-3.0-or-later

package charset

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
)

func set(t testing.TB, terms string) *Set {
	t.Helper()
	s, err := New(strings.Split(terms, `\`))
	require.NoError(t, err)
	return s
}

// TestExamples has the examples of PS3.5 annexes H to K, and one text for every other defined term. Each is read,
// strictly too, and written back to the same bytes.
func TestExamples(t *testing.T) {
	for _, c := range []struct {
		terms string
		vr    dict.VR
		bytes string
		text  string
	}{
		{"", dict.LO, "Plain", "Plain"},
		{"ISO_IR 6", dict.LO, "Plain", "Plain"},
		{"ISO_IR 100", dict.PN, "Buc^J\xe9r\xf4me", "Buc^Jérôme"},
		{"ISO_IR 101", dict.LO, "\xa3\xf3d\xbc", "Łódź"},
		{"ISO_IR 109", dict.LO, "\xc6ust", "Ĉust"},
		{"ISO_IR 110", dict.LO, "\xafem\xbeug", "¯emžug"},
		{"ISO_IR 126", dict.PN, "\xc4\xe9\xef\xed\xf5\xf3\xe9\xef\xf2", "Διονυσιος"},
		{"ISO_IR 127", dict.PN, "\xe2\xc8\xc7\xe6\xea^\xe4\xe6\xd2\xc7\xd1", "قباني^لنزار"},
		{"ISO_IR 138", dict.PN, "\xf9\xf8\xe5\xef^\xe3\xe1\xe5\xf8\xe4", "שרון^דבורה"},
		{"ISO_IR 144", dict.PN, "\xbb\xee\xdace\xdc\xd1yp\xd3", "Люкceмбypг"},
		{"ISO_IR 148", dict.LO, "\xddstanbul \xfe", "İstanbul ş"},
		{"ISO_IR 166", dict.LO, "\xa1\xd2\xc3", "การ"},
		{"ISO_IR 203", dict.LO, "5 \xa4 \xbd", "5 € œ"},
		{"ISO_IR 13", dict.PN, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3", "ﾔﾏﾀﾞ^ﾀﾛｳ"},
		{"ISO_IR 13", dict.ST, `5\ ~`, "5¥ ‾"},
		{"ISO_IR 13", dict.LO, "\xb1\\\xb2", `ｱ\ｲ`},
		{"ISO_IR 192", dict.PN, "Wang^XiaoDong=王^小東", "Wang^XiaoDong=王^小東"},
		{"GB18030", dict.PN, "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
		{"GB18030", dict.LO, "\x810\x810", "\u0080"},
		{"GBK", dict.LO, "\x96\x5c\\A", `朶\A`}, // a backslash as second byte is none
		{`\ISO 2022 IR 87`, dict.PN, "Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B=\x1b$B$d$^$@\x1b(B^\x1b$B$?$m$&\x1b(B", "Yamada^Tarou=山田^太郎=やまだ^たろう"},
		{`ISO 2022 IR 13\ISO 2022 IR 87`, dict.PN, "\xd4\xcf\xc0\xde^\xc0\xdb\xb3=\x1b$B;3ED\x1b(J^\x1b$BB@O:\x1b(J=\x1b$B$d$^$@\x1b(J^\x1b$B$?$m$&\x1b(J", "ﾔﾏﾀﾞ^ﾀﾛｳ=山田^太郎=やまだ^たろう"},
		{`\ISO 2022 IR 87\ISO 2022 IR 159`, dict.LO, "\x1b$(D\x30\x21\x1b(B A", "丂 A"},
		{`\ISO 2022 IR 149`, dict.PN, "Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7=\x1b$)C\xc8\xab^\x1b$)C\xb1\xe6\xb5\xbf", "Hong^Gildong=洪^吉洞=홍^길동"},
		{`\ISO 2022 IR 149`, dict.UT, "\x1b$)C\xb1\xe6\r\n\x1b$)C\xb5\xbf", "길\r\n동"},
		{`\ISO 2022 IR 58`, dict.PN, "Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=", "Zhang^XiaoDong=张^小东="},
		{`ISO 2022 IR 100\ISO 2022 IR 144`, dict.LO, "\xe9\x1b-L\xbb", "éЛ"},
		{`ISO 2022 IR 6\ISO 2022 IR 100\ISO 2022 IR 126`, dict.LO, "\x1b-A\xfc\\\x1b-F\xe1", `ü\α`},
	} {
		t.Run(c.terms+" "+c.text, func(t *testing.T) {
			s := set(t, c.terms)
			require.Equal(t, c.text, s.Decode([]byte(c.bytes), c.vr))
			strict, err := s.DecodeStrict([]byte(c.bytes), c.vr)
			require.NoError(t, err)
			require.Equal(t, c.text, strict)
			b, err := s.Encode(c.text, c.vr)
			require.NoError(t, err)
			require.Equal(t, c.bytes, string(b))
		})
	}
}

func TestLenient(t *testing.T) {
	for _, c := range []struct{ name, terms, bytes, want string }{
		{"UTF-8 undeclared", "", "M\xc3\xbcller", "Müller"},
		{"Latin-1 undeclared", "", "M\xfcller", "Müller"},
		{"Latin-1 declared UTF-8", "ISO_IR 192", "M\xfcller", "M\uFFFDller"},
		{"escape of an undeclared set", "ISO_IR 100", "\x1b$B;3ED\x1b(B \xfc", "山田 ü"},
		{"unknown escape", `\ISO 2022 IR 87`, "\x1b%Gx", "\uFFFD%Gx"},
		{"half a character", `\ISO 2022 IR 149`, "\x1b$)C\xb1", "\uFFFD"},
		{"the set of 1978", `\ISO 2022 IR 87`, "\x1b$@;3ED\x1b(B", "山田"},
		{"no way back before the end", `\ISO 2022 IR 87`, "\x1b$B;3ED", "山田"},
		{"not a code of GB18030", "GB18030", "\xff", "\uFFFD"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := set(t, c.terms)
			require.Equal(t, c.want, s.Decode([]byte(c.bytes), dict.LO))
			if c.name == "no way back before the end" {
				return
			}
			_, err := s.DecodeStrict([]byte(c.bytes), dict.LO)
			require.ErrorIs(t, err, ErrUndecodable)
		})
	}
}

func TestSpecificCharacterSetDoesNotApply(t *testing.T) {
	s := set(t, "ISO_IR 144")
	_, err := s.DecodeStrict([]byte("\xbb"), dict.CS)
	require.ErrorIs(t, err, ErrUndecodable)
	_, err = s.Encode("Л", dict.AE)
	require.ErrorIs(t, err, ErrNotRepresentable)
}

func TestEncodeRefuses(t *testing.T) {
	for terms, text := range map[string]string{
		"": "ü", "ISO_IR 100": "Ł", "ISO_IR 13": "ü", "GBK": "𠀀", `\ISO 2022 IR 87`: "홍", "ISO_IR 192": "\xff",
	} {
		_, err := set(t, terms).Encode(text, dict.LO)
		require.ErrorIs(t, err, ErrNotRepresentable, terms)
	}
}

func TestTerms(t *testing.T) {
	for _, c := range []struct{ values, want string }{
		{"", ""},
		{"ISO-IR 100", "ISO_IR 100"},
		{"ISO IR100", "ISO_IR 100"},
		{"iso_ir 192", "ISO_IR 192"},
		{`\ISO 2022 IR 87`, `ISO 2022 IR 6\ISO 2022 IR 87`},
		{`ISO_IR 100\ISO_IR 144`, `ISO 2022 IR 100\ISO 2022 IR 144`},
		{`ISO_IR 192\ISO 2022 IR 87`, ""},
		{`GB18030\GBK`, ""},
	} {
		s, err := New(strings.Split(c.values, `\`))
		if c.want == "" && c.values != "" {
			require.Error(t, err, c.values)
			continue
		}
		require.NoError(t, err, c.values)
		require.Equal(t, c.want, strings.Join(s.Terms(), `\`))
		again, err := New(s.Terms())
		require.NoError(t, err)
		require.Equal(t, s.Terms(), again.Terms())
	}
	_, err := New([]string{"ISO_IR 999"})
	require.ErrorContains(t, err, "value 1")
	_, err = New([]string{"ISO 2022 IR 6", "ISO_IR 192"})
	require.Error(t, err)
}

// TestForReading: a set that can only stand alone is understood beside others, to which New says no. So
// de-identification refuses what showing and matching bear.
func TestForReading(t *testing.T) {
	for _, c := range []struct{ terms, in, want string }{
		{"ISO_IR 192\\ISO 2022 IR 87", "王^小東", "王^小東"},
		{"ISO_IR 192\\ISO_IR 100", "M\xfcller", "M\uFFFDller"},
		{"ISO_IR 192\\nonsense", "Müller", "Müller"},
		{"GB18030\\ISO 2022 IR 58", "Wang^XiaoDong=\xcd\xf5^\xd0\xa1\xb6\xab", "Wang^XiaoDong=王^小东"},
		{"ISO 2022 IR 6\\ISO_IR 192", "Müller", "Müller"},
		{"nonsense\\ISO_IR 192", "M\xfcller", "Müller"},
	} {
		terms := strings.Split(c.terms, "\\")
		require.Equal(t, c.want, ForReading(terms).Decode([]byte(c.in), dict.PN), c.terms)
		_, err := New(terms)
		require.Error(t, err, c.terms)
	}
	require.Equal(t, []string{"ISO_IR 100"}, ForReading([]string{"ISO_IR 100"}).Terms())
	require.Empty(t, ForReading(nil).Terms())
}

// FuzzDecode: decoding gives valid UTF-8 whatever comes; text that decodes cleanly survives encoding and decoding.
func FuzzDecode(f *testing.F) {
	all := []string{
		"", "ISO_IR 13", "ISO_IR 100", "ISO_IR 127", "ISO_IR 166",
		"ISO_IR 192", "GB18030", "GBK", `\ISO 2022 IR 87\ISO 2022 IR 159`,
		`ISO 2022 IR 13\ISO 2022 IR 87`, `\ISO 2022 IR 149`,
		`\ISO 2022 IR 58`, `ISO 2022 IR 100\ISO 2022 IR 144\ISO 2022 IR 126`,
	}
	for i := range all {
		f.Add([]byte("Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$)C\xfb\xf3\\\xe9\x1b-L\xbb"), uint8(i))
		f.Add([]byte("\xd4\xcf\xc0\xde^\x1b(J~\\\x1b$(D\x30\x21"), uint8(i))
	}
	f.Fuzz(func(t *testing.T, b []byte, which uint8) {
		s := set(t, all[int(which)%len(all)])
		for _, vr := range []dict.VR{dict.PN, dict.UT, dict.CS} {
			require.True(t, utf8.ValidString(s.Decode(b, vr)))
			text, err := s.DecodeStrict(b, vr)
			if err != nil {
				require.ErrorIs(t, err, ErrUndecodable)
				continue
			}
			again, err := s.Encode(text, vr)
			if err != nil {
				require.ErrorIs(t, err, ErrNotRepresentable)
				continue
			}
			back, err := s.DecodeStrict(again, vr)
			require.NoError(t, err)
			require.Equal(t, text, back)
		}
	})
}
