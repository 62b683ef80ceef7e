// SPDX-License-Identifier: AGPL-3.0-or-later

package dicomjson_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/web/dicomjson"
)

func write(t testing.TB, ds *stream.DataSet, o dicomjson.Options) string {
	t.Helper()
	b, err := dicomjson.Append(nil, ds, o)
	require.NoError(t, err)
	require.True(t, json.Valid(b), "%s", b)
	return string(b)
}

// read returns all data sets and the error behind them.
func read(text string, lim dicomjson.Limits) (list []*stream.DataSet, err error) {
	for ds, err := range dicomjson.NewDecoder(strings.NewReader(text), lim).All() {
		if err != nil {
			return list, err
		}
		list = append(list, ds)
	}
	return list, nil
}

func readOne(t testing.TB, text string) *stream.DataSet {
	t.Helper()
	list, err := read(text, dicomjson.Limits{})
	require.NoError(t, err, text)
	require.Len(t, list, 1)
	return list[0]
}

func dataSet(f func(ds *stream.DataSet)) *stream.DataSet {
	ds := &stream.DataSet{}
	f(ds)
	return ds
}

func TestAppend(t *testing.T) {
	uri := dicomjson.Options{BulkData: func(p dicomjson.Path) string { return "bulk/" + p.String() }}
	long := bytes.Repeat([]byte{1, 2}, 600)
	for name, c := range map[string]struct {
		set  func(ds *stream.DataSet)
		o    dicomjson.Options
		want string
	}{
		"nothing": {func(*stream.DataSet) {}, uri, `{}`},
		"empty": {
			func(ds *stream.DataSet) { ds.Set(dict.PatientID); ds.SetSequence(dict.ReferencedStudySequence) }, uri,
			`{"00081110":{"vr":"SQ"},"00100020":{"vr":"LO"}}`,
		},
		"numbers as text": {
			func(ds *stream.DataSet) {
				ds.Set(dict.InstanceNumber, "+007")
				ds.Set(dict.PixelSpacing, "0.50", "-.5")
				ds.Set(dict.ImagePositionPatient, "-0012.", "", "1e-3")
			},
			uri,
			`{"00200013":{"vr":"IS","Value":[7]},"00200032":{"vr":"DS","Value":[-12,null,1e-3]},` +
				`"00280030":{"vr":"DS","Value":[0.50,-0.5]}}`,
		},
		"no numbers": {
			func(ds *stream.DataSet) {
				ds.Set(dict.InstanceNumber, "1.5")
				ds.Set(dict.SliceThickness, "NaN")
				ds.Set(dict.PixelSpacing, "1e999", "0x1p-2")
			},
			uri,
			`{"00180050":{"vr":"DS","Value":["NaN"]},"00200013":{"vr":"IS","Value":["1.5"]},` +
				`"00280030":{"vr":"DS","Value":["1e999","0x1p-2"]}}`,
		},
		"no numbers, left out": {
			func(ds *stream.DataSet) {
				ds.Set(dict.InstanceNumber, "1.5")
				ds.Set(dict.PixelSpacing, "mm", "1")
			},
			dicomjson.Options{OmitUnparsable: true},
			`{"00200013":{"vr":"IS"},"00280030":{"vr":"DS","Value":[null,1]}}`,
		},
		"binary numbers": {
			func(ds *stream.DataSet) {
				ds.Set(dict.Rows, "512")
				ds.SetVR(0x00091001, dict.SV, "-9007199254740992", "-9007199254740993")
				ds.SetVR(0x00091002, dict.UV, "18446744073709551615", "7")
				ds.SetVR(0x00091003, dict.FD, "NaN", "Inf", "-Inf", "0.1", "1e300")
				ds.SetVR(0x00091004, dict.FL, "0.1")
				ds.SetVR(0x00091005, dict.AT, "PatientID", "(7FE0,0010)")
				ds.SetVR(0x00091006, dict.SS, "-1")
			},
			uri,
			`{"00091001":{"vr":"SV","Value":[-9007199254740992,"-9007199254740993"]},` +
				`"00091002":{"vr":"UV","Value":["18446744073709551615",7]},` +
				`"00091003":{"vr":"FD","Value":["NaN","Infinity","-Infinity",0.1,1e+300]},` +
				`"00091004":{"vr":"FL","Value":[0.1]},"00091005":{"vr":"AT","Value":["00100020","7FE00010"]},` +
				`"00091006":{"vr":"SS","Value":[-1]},"00280010":{"vr":"US","Value":[512]}}`,
		},
		"names": {
			func(ds *stream.DataSet) {
				ds.Set(dict.PatientName, "Yamada^Tarou=山田^太郎=やまだ^たろう")
				ds.Set(dict.PerformingPhysicianName, "A^B", "", "=C")
			},
			uri,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},` +
				`"00081050":{"vr":"PN","Value":[{"Alphabetic":"A^B"},null,{"Ideographic":"C"}]},` +
				`"00100010":{"vr":"PN","Value":[{"Alphabetic":"Yamada^Tarou","Ideographic":"山田^太郎","Phonetic":"やまだ^たろう"}]}}`,
		},
		"another character set": {
			func(ds *stream.DataSet) {
				_ = ds.SetCharset("ISO_IR 100")
				ds.Set(dict.PatientID, "Ä\"\\\t")
				ds.SetSequence(dict.ReferencedStudySequence, dataSet(func(ds *stream.DataSet) {
					_ = ds.SetCharset("ISO_IR 144")
					ds.Set(dict.StudyDescription, "Ж")
				}))
			},
			uri,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00081110":{"vr":"SQ","Value":[` +
				`{"00081030":{"vr":"LO","Value":["Ж"]}}]},` +
				`"00100020":{"vr":"LO","Value":["Ä\"","\u0009"]}}`,
		},
		"undeclared": {
			func(ds *stream.DataSet) {
				ds.SetBytes(0x00000002, dict.UI, []byte("1.2"))
				ds.SetBytes(dict.PatientID, dict.LO, []byte{0xC4})
			},
			uri,
			`{"00000002":{"vr":"UI","Value":["1.2"]},"00080005":{"vr":"CS","Value":["ISO_IR 192"]},` +
				`"00100020":{"vr":"LO","Value":["Ä"]}}`,
		},
		"left out": {
			func(ds *stream.DataSet) {
				ds.SetBytes(0x00020010, dict.UI, []byte("1.2.840"))
				ds.SetBytes(0x00080000, dict.UL, []byte{1, 0, 0, 0})
				ds.Set(dict.AvailableTransferSyntaxUID, "1.2.840.10008.1.2")
			},
			uri, `{"00083002":{"vr":"UI","Value":["1.2.840.10008.1.2"]}}`,
		},
		"bytes": {
			func(ds *stream.DataSet) {
				ds.SetBytes(0x00091001, dict.UN, []byte{1, 2, 3, 4})
				ds.SetBytes(dict.Rows, dict.UN, []byte{1, 2})
				ds.SetBytes(dict.StudyID, dict.UN, []byte("7"))
				ds.SetBytes(dict.ContentSequence, dict.UN, []byte{1, 2})
				ds.SetBytes(0x00091002, 0x5A5A, []byte{1, 2})
				ds.SetBytes(0x00091003, dict.OB, long)
				ds.SetBytes(dict.PixelData, dict.OW, nil)
				ds.SetSequence(dict.IconImageSequence, &stream.DataSet{}, dataSet(func(ds *stream.DataSet) {
					ds.SetBytes(dict.PixelData, dict.OB, []byte{1, 2})
				}))
			},
			uri,
			`{"00091001":{"vr":"UN","InlineBinary":"AQIDBA=="},"00091002":{"vr":"UN","InlineBinary":"AQI="},` +
				`"00091003":{"vr":"OB","BulkDataURI":"bulk/00091003"},"00200010":{"vr":"SH","Value":["7"]},` +
				`"00280010":{"vr":"US","Value":[513]},"0040A730":{"vr":"UN","InlineBinary":"AQI="},"00880200":{"vr":"SQ","Value":[{},` +
				`{"7FE00010":{"vr":"OB","BulkDataURI":"bulk/00880200/1/7FE00010"}}]},` +
				`"7FE00010":{"vr":"OW","BulkDataURI":"bulk/7FE00010"}}`,
		},
		"bytes that are nowhere": {
			func(ds *stream.DataSet) {
				ds.SetBytes(0x00091003, dict.OB, long)
				ds.SetBytes(dict.PixelData, dict.OB, []byte{0xFE, 0xFF, 0, 0xE0, 0, 0, 0, 0})
			},
			dicomjson.Options{},
			`{"00091003":{"vr":"OB"},"7FE00010":{"vr":"OB"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, write(t, dataSet(c.set), c.o)) })
	}
}

func TestAppendKeepsPalettesInline(t *testing.T) {
	ds := dataSet(func(ds *stream.DataSet) {
		ds.SetBytes(dict.RedPaletteColorLookupTableData, dict.OW, make([]byte, 4096))
	})
	o := dicomjson.Options{BulkData: func(dicomjson.Path) string { return "x" }}
	require.Contains(t, write(t, ds, o), "InlineBinary")
}

func TestAppendRefusesDepth(t *testing.T) {
	ds := &stream.DataSet{}
	for range 40 {
		ds = dataSet(func(outer *stream.DataSet) { outer.SetSequence(dict.ContentSequence, ds) })
	}
	b, err := dicomjson.Append([]byte("x"), ds, dicomjson.Options{})
	require.ErrorIs(t, err, dicomjson.ErrTooLarge)
	require.Equal(t, "x", string(b))
}

// TestDecoder reads what servers send, and tells what was understood in our own form.
func TestDecoder(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"tags in lower case": {`{"0020000d":{"vr":"UI","Value":["1.2"]}}`, `{"0020000D":{"vr":"UI","Value":["1.2"]}}`},
		"keywords":           {`{"PatientID":{"vr":"LO","Value":["X"]}}`, `{"00100020":{"vr":"LO","Value":["X"]}}`},
		"a number as text":   {`{"00201208":{"vr":"IS","Value":["12"]}}`, `{"00201208":{"vr":"IS","Value":[12]}}`},
		"text as a number":   {`{"00100020":{"vr":"LO","Value":[12]}}`, `{"00100020":{"vr":"LO","Value":["12"]}}`},
		"binary as text": {
			`{"00280010":{"vr":"US","Value":["512"]},"00091001":{"vr":"SV","Value":["-9007199254740993"]}}`,
			`{"00091001":{"vr":"SV","Value":["-9007199254740993"]},"00280010":{"vr":"US","Value":[512]}}`,
		},
		"beyond the VR": {`{"00280010":{"vr":"US","Value":[70000]}}`, `{"00280010":{"vr":"US"}}`},
		"hexadecimal": {
			`{"00081197":{"vr":"US","Value":["0110","A700","c122","1e00","9999"]}}`,
			`{"00081197":{"vr":"US","Value":[272,42752,49442,7680,9999]}}`,
		},
		"with a point": {`{"00280010":{"vr":"US","Value":[512.0]}}`, `{"00280010":{"vr":"US","Value":[512]}}`},
		"no number":    {`{"00280010":{"vr":"US","Value":["x"]}}`, `{"00280010":{"vr":"US"}}`},
		"not finite":   {`{"00091001":{"vr":"FD","Value":["NaN","-inf"]}}`, `{"00091001":{"vr":"FD","Value":["NaN","-Infinity"]}}`},
		"null":         {`{"00100020":{"vr":"LO","Value":null},"00100030":null}`, `{"00100020":{"vr":"LO"},"00100030":{"vr":"DA"}}`},
		"null values":  {`{"00080060":{"vr":"CS","Value":["A",null,"B"]}}`, `{"00080060":{"vr":"CS","Value":["A",null,"B"]}}`},
		"one null":     {`{"00080060":{"vr":"CS","Value":[null]}}`, `{"00080060":{"vr":"CS"}}`},
		"no list":      {`{"00080060":{"vr":"CS","Value":"CT"}}`, `{"00080060":{"vr":"CS","Value":["CT"]}}`},
		"no vr":        {`{"00280010":{"Value":[3]},"00081110":{}}`, `{"00081110":{"vr":"SQ"},"00280010":{"vr":"US","Value":[3]}}`},
		"no vr and unknown": {
			`{"00091001":{"Value":[{"00100020":{"Value":["X"]}}]},"00091002":{"Value":[{"Alphabetic":"A"}]}}`,
			`{"00091001":{"vr":"SQ","Value":[{"00100020":{"vr":"LO","Value":["X"]}}]},` +
				`"00091002":{"vr":"PN","Value":[{"Alphabetic":"A"}]}}`,
		},
		"the vr behind": {`{"00091001":{"Value":[3],"vr":"US"}}`, `{"00091001":{"vr":"US","Value":[3]}}`},
		"a vr of the dictionary's": {
			`{"00280106":{"vr":"US or SS","Value":[3]}}`, `{"00280106":{"vr":"US","Value":[3]}}`,
		},
		"unknown members": {
			`{"x":[{"y":[1,{"z":null}]}],"00100020":{"vr":"LO","w":{"a":[true,false]},"Value":["X"]}}`,
			`{"00100020":{"vr":"LO","Value":["X"]}}`,
		},
		"left out": {`{"00020010":{"vr":"UI","Value":["1"]},"00080000":{"vr":"UL","Value":[1]},"FFFEE000":{}}`, `{}`},
		"empty sequences": {
			`{"00081110":{"vr":"SQ"},"00081115":{"vr":"SQ","Value":[]},"00081140":{"vr":"SQ","Value":[{}]}}`,
			`{"00081110":{"vr":"SQ"},"00081115":{"vr":"SQ"},"00081140":{"vr":"SQ","Value":[{}]}}`,
		},
		"names": {
			`{"00100010":{"vr":"PN","Value":["A^B",{"ideographic":"山"},null,{}]}}`,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},` +
				`"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B"},{"Ideographic":"山"},null,null]}}`,
		},
		"another character set named": {
			`{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00081110":{"vr":"SQ","Value":[{"00081030":{"vr":"LO","Value":["Ä"]}}]}}`,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00081110":{"vr":"SQ","Value":[{"00081030":{"vr":"LO","Value":["Ä"]}}]}}`,
		},
		"escapes": {
			`{"00100020":{"vr":"LO","Value":["\u00c4\ud83d\ude00\/\"\ud83d\ud83dx\ud83d\n"]}}`,
			`{"00080005":{"vr":"CS","Value":["ISO_IR 192"]},"00100020":{"vr":"LO","Value":["Ä😀/\"\ufffd\ufffdx\ufffd\u000A"]}}`,
		},
		"bytes": {
			`{"00091001":{"vr":"OB","InlineBinary":"AQID\nBA"},"00091002":{"vr":"UN","InlineBinary":["AQI="]},"7FE00010":{"vr":"OW","BulkDataURI":"x"}}`,
			`{"00091001":{"vr":"OB","InlineBinary":"AQIDBA=="},"00091002":{"vr":"UN","InlineBinary":"AQI="},"7FE00010":{"vr":"OW"}}`,
		},
		"tags":            {`{"00091001":{"vr":"AT","Value":["0010,0020","PatientName"]}}`, `{"00091001":{"vr":"AT","Value":["00100020","00100010"]}}`},
		"blanks, a mark":  {"\xEF\xBB\xBF \r\n\t{ \"00100020\" : { \"vr\" : \"LO\" } }\n", `{"00100020":{"vr":"LO"}}`},
		"in a list":       {`[{"00100020":{"vr":"LO"}},null]`, `{"00100020":{"vr":"LO"}}`},
		"twice":           {`{"00100020":{"vr":"LO","Value":["A"]},"PatientID":{"vr":"LO","Value":["B"]}}`, `{"00100020":{"vr":"LO","Value":["B"]}}`},
		"parentheses":     {`{"(0010,0020)":{"vr":"LO"}}`, `{"00100020":{"vr":"LO"}}`},
		"text without vr": {`{"00091001":{"Value":["AB"]}}`, `{"00091001":{"vr":"UN","InlineBinary":"QUI="}}`},
	} {
		t.Run(name, func(t *testing.T) {
			ds := readOne(t, c.text)
			got := write(t, ds, dicomjson.Options{})
			require.JSONEq(t, c.want, got)
			require.Equal(t, got, write(t, readOne(t, got), dicomjson.Options{}), "it doesn't come back as it was")
		})
	}
}

func TestDecoderReadsSeveral(t *testing.T) {
	const one = `{"00100020":{"vr":"LO"}}`
	for text, n := range map[string]int{
		"": 0, "[]": 0, "[" + one + "]": 1, one: 1, one + "\n" + one: 2, "[" + one + "," + one + "]\n": 2, "[][" + one + "]": 1,
	} {
		list, err := read(text, dicomjson.Limits{})
		require.NoError(t, err, text)
		require.Len(t, list, n, text)
	}
}

func TestDecoderRefuses(t *testing.T) {
	deep := strings.Repeat(`{"0040A730":{"vr":"SQ","Value":[`, 40) + strings.Repeat(`]}}`, 40)
	for name, c := range map[string]struct {
		text string
		lim  dicomjson.Limits
		err  error
	}{
		"text":                 {`hello`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"HTML":                 {`<html>`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"a number":             {`[1]`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"an element's text":    {`{"00100020":"X"}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"no comma":             {`{"00100020":{} "00100030":{}}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"no colon":             {`{"00100020" {}}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"a comma too many":     {`[{},]`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"an escape":            {`{"\x":1}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"another escape":       {`{"\u00g0":1}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"no UTF-8":             {"{\"00100020\":{\"vr\":\"LO\",\"Value\":[\"\xC4\"]}}", dicomjson.Limits{}, dicomjson.ErrMalformed},
		"no Base64":            {`{"00091001":{"vr":"OB","InlineBinary":"*"}}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"a number that's none": {`{"00200013":{"vr":"IS","Value":[1-2]}}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"a word":               {`{"00200013":{"vr":"IS","Value":[nil ]}}`, dicomjson.Limits{}, dicomjson.ErrMalformed},
		"depth":                {deep, dicomjson.Limits{}, dicomjson.ErrTooLarge},
		"less depth":           {`{"0040A730":{"Value":[{"0040A730":{"Value":[{}]}}]}}`, dicomjson.Limits{Depth: 1}, dicomjson.ErrTooLarge},
		"depth of the unknown": {`{"x":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, dicomjson.Limits{}, dicomjson.ErrTooLarge},
		"elements":             {`{"00100020":{},"00100030":{},"00100040":{}}`, dicomjson.Limits{Elements: 2}, dicomjson.ErrTooLarge},
		"items":                {`{"0040A730":{"vr":"SQ","Value":[{},{},{}]}}`, dicomjson.Limits{Elements: 3}, dicomjson.ErrTooLarge},
		"bytes":                {`[{},{},{},{}]`, dicomjson.Limits{Bytes: 10}, dicomjson.ErrTooLarge},
		"bytes of a data set":  {`[{},{"00100020":{"vr":"LO"}}]`, dicomjson.Limits{DataSet: 20}, dicomjson.ErrTooLarge},
		"a long data set":      {`{"x":"` + strings.Repeat("a", 100_000) + `"}`, dicomjson.Limits{DataSet: 1000}, dicomjson.ErrTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := read(c.text, c.lim)
			require.ErrorIs(t, err, c.err)
		})
	}
}

// TestDecoderNoticesTheEnd cuts an answer at every byte.
func TestDecoderNoticesTheEnd(t *testing.T) {
	const text = `[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"\u00c4\ud83d\ude00"},null]}},{"x":[true,-1.5e3],"00091001":{"InlineBinary":"AQI="}}]`
	for n := 1; n < len(text); n++ {
		list, err := read(text[:n], dicomjson.Limits{})
		require.ErrorIs(t, err, io.ErrUnexpectedEOF, text[:n])
		require.LessOrEqual(t, len(list), 2)
	}
	list, err := read(text, dicomjson.Limits{})
	require.NoError(t, err)
	require.Len(t, list, 2)
}

func TestDecoderHandsUpErrors(t *testing.T) {
	broken := errors.New("the line is down")
	r := io.MultiReader(strings.NewReader(`[{},`), failing{broken})
	n := 0
	for ds, err := range dicomjson.NewDecoder(r, dicomjson.Limits{}).All() {
		if n++; n == 1 {
			require.NoError(t, err)
			require.NotNil(t, ds)
		} else {
			require.ErrorIs(t, err, broken)
		}
	}
	require.Equal(t, 2, n)
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestDecoderTellsBulkData(t *testing.T) {
	d := dicomjson.NewDecoder(strings.NewReader(
		`[{"00880200":{"vr":"SQ","Value":[null,{"7FE00010":{"vr":"OW","BulkDataURI":"a"}}]},"7FE00010":{"BulkDataURI":"../b"}}]`,
	), dicomjson.Limits{})
	got := map[string]string{}
	d.BulkData = func(path dicomjson.Path, uri string) { got[path.String()] = uri }
	for _, err := range d.All() {
		require.NoError(t, err)
	}
	require.Equal(t, map[string]string{"00880200/1/7FE00010": "a", "7FE00010": "../b"}, got)
}

// endless repeats an answer's elements n times, without having them.
type endless struct {
	n    int
	rest string
}

func (e *endless) Read(b []byte) (int, error) {
	if e.rest == "" {
		if e.n--; e.n < 0 {
			return 0, io.EOF
		}
		e.rest = `{"0020000D":{"vr":"UI","Value":["1.2.3"]},"00100010":{"vr":"PN","Value":[{"Alphabetic":"Phantom^Ä"}]}}` + "\n"
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestDecoderStreams reads 100,000 data sets: what is allocated for each is what it holds.
func TestDecoderStreams(t *testing.T) {
	n := 0
	for ds, err := range dicomjson.NewDecoder(&endless{n: 100_000}, dicomjson.Limits{}).All() {
		require.NoError(t, err)
		if n++; n%10_000 == 0 {
			require.Equal(t, "Phantom^Ä", ds.String(dict.PatientName))
		}
	}
	require.Equal(t, 100_000, n)
	allocs := testing.AllocsPerRun(10, func() {
		for range dicomjson.NewDecoder(&endless{n: 100}, dicomjson.Limits{}).All() {
		}
	})
	require.Less(t, allocs/100, 60.0)
}

// TestDecoderTakesAnyOrder: as many elements as may be, from the last to the first.
func TestDecoderTakesAnyOrder(t *testing.T) {
	const n = 1 << 18
	var b strings.Builder
	b.WriteByte('{')
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `"%08X":{}`, 0x10090000+2*n-i)
	}
	b.WriteByte('}')
	ds := readOne(t, b.String())
	require.Greater(t, ds.Len(), n-32) // group lengths are left out
	last := dict.Tag(0)
	for e := range ds.All() {
		require.Less(t, last, e.Tag)
		last = e.Tag
	}
}

func FuzzDecoder(f *testing.F) {
	for _, s := range []string{
		``, `[]`, `{}`, `[{"00100010":{"vr":"PN","Value":[{"Alphabetic":"A^B","Ideographic":"山"},null]}}]`,
		`{"00081110":{"vr":"SQ","Value":[{"00081150":{"vr":"UI","Value":["1.2"]}},{},null]},"0020000d":{"Value":["1"]}}`,
		`{"00280010":{"vr":"US","Value":[1,"2",3.0,1e2]},"00091001":{"vr":"OB","InlineBinary":"AQ=="}}`,
		`{"PatientID":{"vr":"LO","Value":["\ud83d\ude00\ud83d\\","\u001b$B"]},"x":[1,{"y":null}]}{}`,
		`{"00091001":{"vr":"AT","Value":["00100020"]},"00091002":{"vr":"FD","Value":["NaN",1e999]}}`,
		`{"7FE00010":{"vr":"OW","BulkDataURI":"x"},"00200013":{"vr":"IS","Value":[1e3,"+01",""]}}`,
		`{"00080005":{"vr":"CS","Value":["ISO_IR 100"]},"00091001":{"vr":"UN","Value":["x"]}}`,
	} {
		f.Add([]byte(s))
	}
	lim := dicomjson.Limits{Bytes: 1 << 16, DataSet: 1 << 14, Elements: 500, Depth: 8}
	f.Fuzz(func(t *testing.T, b []byte) {
		d := dicomjson.NewDecoder(bytes.NewReader(b), lim)
		d.BulkData = func(path dicomjson.Path, _ string) {
			if len(path) == 0 || len(path) > 9 {
				t.Fatal(path)
			}
		}
		for ds, err := range d.All() {
			if err != nil {
				return
			}
			// what was understood can be written, and is understood again
			once, err := dicomjson.Append(nil, ds, dicomjson.Options{})
			if err != nil || !json.Valid(once) {
				t.Fatalf("%v: %q", err, once)
			}
			again, err := read(string(once), dicomjson.Limits{})
			if err != nil || len(again) != 1 {
				t.Fatalf("%v: %q", err, once)
			}
			twice, err := dicomjson.Append(nil, again[0], dicomjson.Options{})
			if err != nil || !bytes.Equal(once, twice) {
				t.Fatalf("%v:\n%q\n%q", err, once, twice)
			}
		}
	})
}
