// SPDX-License-Identifier: AGPL-3.0-or-later

package deid

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid/internal/rules"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

func codeItem(code, scheme, meaning string) *stream.DataSet {
	item := &stream.DataSet{}
	for _, v := range []struct {
		tag  dict.Tag
		text string
	}{{dict.CodeValue, code}, {dict.CodingSchemeDesignator, scheme}, {dict.CodeMeaning, meaning}} {
		if v.text != "" {
			item.Set(v.tag, v.text)
		}
	}
	return item
}

func methodCodesIn(d *stream.DataSet) (codes []string) {
	for _, item := range d.Items(dict.DeidentificationMethodCodeSequence) {
		codes = append(codes, item.String(dict.CodeValue))
	}
	return codes
}

// TestMethodCodes: items that are there stay unless what they say isn't true any more, and ours are always there.
func TestMethodCodes(t *testing.T) {
	ours := []string{"113100", "113105", "113107", "113108", "113111"}
	dcm := func(codes ...string) (items []*stream.DataSet) {
		for _, c := range codes {
			items = append(items, codeItem(c, "DCM", "a meaning"))
		}
		return items
	}
	fullDates := profileOf(t, "options: [full-dates]\n")
	basic, _ := BuiltinProfile(rules.BasicBase)
	byDefault, _ := BuiltinProfile(DefaultProfile)
	adit, _ := BuiltinProfile(rules.AditBase)
	own := codeItem("OWN", "99SITE", "our way")
	for name, c := range map[string]struct {
		p     *Profile
		items []*stream.DataSet
		want  []string
	}{
		"none":                     {byDefault, nil, ours},
		"ours and others":          {byDefault, append(dcm("113105"), own), []string{"113105", "OWN", "113100", "113107", "113108", "113111"}},
		"all of ours":              {byDefault, dcm(ours...), ours},
		"full dates, now modified": {byDefault, dcm("113100", "113106"), []string{"113100", "113105", "113107", "113108", "113111"}},
		"modified dates, now none": {basic, dcm("113107", "113100"), []string{"113100"}},
		"a device that goes":       {byDefault, dcm("113109", "113101"), append([]string{"113101"}, ours...)},
		"UIDs, institution":        {basic, dcm("113110", "113112", "113111", "113108", "113103"), []string{"113103", "113100"}},
		"modified dates, kept":     {fullDates, dcm("113107"), []string{"113107", "113100"}},
		"full dates, kept":         {fullDates, dcm("113106"), []string{"113106", "113100"}},
		"base adit":                {adit, dcm("113100", "113106", "113110", "113112"), []string{"113100", "113106"}},
		"another scheme":           {byDefault, []*stream.DataSet{codeItem("113106", "99SITE", "x"), codeItem("113100", "", "x")}, append([]string{"113106", "113100"}, ours...)},
		"our code as a meaning":    {byDefault, []*stream.DataSet{codeItem("OWN", "99SITE", "113100 113105 113107")}, append([]string{"OWN"}, ours...)},
		"our code within a code":   {byDefault, dcm("1131001"), append([]string{"1131001"}, ours...)},
		"no code":                  {byDefault, []*stream.DataSet{codeItem("", "DCM", "113100"), {}}, ours},
		"no code, and one":         {byDefault, []*stream.DataSet{{}, own}, append([]string{"OWN"}, ours...)},
	} {
		s, err := c.p.Session(subject())
		require.NoError(t, err)
		d := sample()
		d.SetSequence(dict.DeidentificationMethodCodeSequence, c.items...)
		for _, syntax := range fuzzSyntaxes {
			out, _, err := deidentify(t, s, encode(t, d, syntax), syntax)
			require.NoError(t, err)
			got, err := stream.ParseDataSet(out, syntax, stream.Limits{})
			require.NoError(t, err)
			require.Equal(t, c.want, methodCodesIn(got), "%s, %s", name, syntax)
			if c.p.rules.Claims&rules.BasicProfile != 0 {
				require.Equal(t, "YES", got.String(dict.PatientIdentityRemoved))
			}
		}
	}
	s := session(t, DefaultProfile)
	item := "\xfe\xff\x00\xe0\x10\x00\x00\x00\x08\x00\x00\x01SH\x06\x00113106"
	const tag = "\x12\x00\x64\x00"
	implicit := "\xfe\xff\x00\xe0\x0e\x00\x00\x00\x08\x00\x00\x01\x06\x00\x00\x00113101"
	for name, c := range map[string]struct {
		in   string
		want []string
	}{
		"text":                    {tag + "LO\x06\x00113100", ours},
		"text as UN":              {tag + "UN\x00\x00\x06\x00\x00\x00113100", ours},
		"empty":                   {tag + "SQ\x00\x00\x00\x00\x00\x00", ours},
		"bytes":                   {tag + "OB\x00\x00\x06\x00\x00\x00113100", ours},
		"UN of items":             {tag + "UN\x00\x00\x16\x00\x00\x00" + implicit, append([]string{"113101"}, ours...)},
		"UN of undefined length":  {tag + "UN\x00\x00\xff\xff\xff\xff" + implicit + "\xfe\xff\xdd\xe0\x00\x00\x00\x00", append([]string{"113101"}, ours...)},
		"undefined length":        {tag + "SQ\x00\x00\xff\xff\xff\xff" + item[:8-4] + "\xff\xff\xff\xff" + item[8:] + "\xfe\xff\x0d\xe0\x00\x00\x00\x00\xfe\xff\xdd\xe0\x00\x00\x00\x00", append([]string{"113106"}, ours...)},
		"twice, and both garbage": {tag + "LO\x04\x00Meie" + tag + "LO\x04\x00Jane", ours},
	} {
		in := string(encode(t, sample(), dict.ExplicitVRLittleEndian)) + c.in
		out, _, err := deidentify(t, s, []byte(in), dict.ExplicitVRLittleEndian)
		require.NoError(t, err, name)
		got, err := stream.ParseDataSet(out, dict.ExplicitVRLittleEndian, stream.Limits{})
		require.NoError(t, err, name)
		var codes []string
		e, _ := got.Get(dict.DeidentificationMethodCodeSequence)
		for _, i := range itemsFromUN(t, e) {
			codes = append(codes, i.String(dict.CodeValue))
		}
		require.Equal(t, c.want, codes, name)
		require.Equal(t, "YES", got.String(dict.PatientIdentityRemoved), name)
		for _, gone := range []string{"Meie", "Jane"} {
			require.NotContains(t, string(out), gone)
		}
	}
}

// itemsFromUN returns the items of a sequence, also of one as UN.
func itemsFromUN(t *testing.T, e stream.Element) []*stream.DataSet {
	if e.VR != dict.UN || len(e.Items) > 0 {
		return e.Items
	}
	n := len(e.Value)
	b := append([]byte{0x12, 0, 0x64, 0, byte(n), byte(n >> 8), 0, 0}, e.Value...)
	d, err := stream.ParseDataSet(b, dict.ImplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	return d.Items(e.Tag)
}

// TestMethodCodesWithoutPseudonym: what isn't de-identified says nothing of it, also if its text moves to UTF-8.
func TestMethodCodesWithoutPseudonym(t *testing.T) {
	p, _ := BuiltinProfile(DefaultProfile)
	s, err := p.Session(Subject{TrialName: "Łódź"})
	require.NoError(t, err)
	d := sample()
	d.SetSequence(dict.DeidentificationMethodCodeSequence, codeItem("OWN", "99SITE", "our way"))
	require.Equal(t, []string{"OWN"}, methodCodesIn(through(t, s, d)))
}

// TestMethodTexts: earlier values of De-identification Method stay as far as they tell of methods.
func TestMethodTexts(t *testing.T) {
	p, _ := BuiltinProfile(DefaultProfile)
	ours := []string{p.Hash(), "adit-default 1"}
	hash := strings.Repeat("0123456789abcdef", 4)
	for _, c := range []struct {
		value string
		want  []string
	}{
		{"", nil},
		{"by hand", []string{"by hand"}},
		{"DICOM PS3.15 Annex E, Basic Profile", []string{"DICOM PS3.15 Annex Basic Profile"}},
		{`RSNA CTP\Basic Application Level Confidentiality Profile`, []string{"RSNA CTP", "Basic Application Level Confidentiality Profile"}},
		{"DCM:113100/113105/113107", []string{"DCM:113100/113105/113107"}},
		{"anonymized by Hannelore Meierschmidt", []string{"anonymized by"}},
		{"Meierschmidt^Hannelore", nil},
		{"19560412 P-4711", nil},
		{`adit 1\` + hash, []string{"adit 1", hash}},
		{`meierschmidt 1\` + hash, []string{hash}},
		{`adit-default 1\` + p.Hash(), nil}, // as it was written once
		{p.Hash() + `\adit-default 1`, nil},
		{strings.Repeat("removed attributes ", 8), []string{"removed attributes removed attributes removed attributes removed"}},
		{strings.ToUpper(hash), nil},
	} {
		d := sample()
		d.Set(dict.DeidentificationMethod, strings.Split(c.value, `\`)...)
		got := through(t, session(t, DefaultProfile), d)
		require.Equal(t, append(c.want, ours...), got.Strings(dict.DeidentificationMethod), c.value)
		written, _ := got.Get(dict.DeidentificationMethod)
		for value := range bytes.SplitSeq(written.Value, []byte(`\`)) {
			require.LessOrEqual(t, len(value), 64, "with its padding")
		}
		again := through(t, sessionOf(t, got), got)
		require.Equal(t, append(c.want, ours...), again.Strings(dict.DeidentificationMethod), "a second time: "+c.value)
	}
	d := sample()
	d.SetSequence(dict.DeidentificationMethod, codeItem("OWN", "99SITE", "our way"))
	require.Equal(t, ours, through(t, session(t, DefaultProfile), d).Strings(dict.DeidentificationMethod))
	d.SetBytes(dict.DeidentificationMethod, dict.UN, []byte(`by hand\Meierschmidt`))
	require.Equal(
		t, append([]string{"by hand"}, ours...),
		through(t, session(t, DefaultProfile), d).Strings(dict.DeidentificationMethod),
	)
}

// sessionOf begins a session of the default profile for the patient of a data set.
func sessionOf(t *testing.T, d *stream.DataSet) *Session {
	p, _ := BuiltinProfile(DefaultProfile)
	sub := subject()
	sub.Pseudonym = "AGAIN-1"
	sub.Patient = PatientIdentity(d.String(dict.PatientID), sub.Issuer, d.String(dict.StudyInstanceUID))
	s, err := p.Session(sub)
	require.NoError(t, err)
	return s
}
