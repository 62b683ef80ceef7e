// SPDX-License-Identifier: AGPL-3.0-or-later

package deid_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/stream"
)

// looks returns what a data set holds that looks like somebody's.
func looks(t testing.TB, b []byte, syntax string) []string {
	t.Helper()
	o, err := stream.Open(bytes.NewReader(b), syntax, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	return deid.LooksLike(o.Header())
}

// TestLooksLikeFinds: text that looks like somebody's is seen in every attribute of text, nested and private ones too,
// in whatever character set.
func TestLooksLikeFinds(t *testing.T) {
	for what, texts := range map[string][]string{
		"a date": {
			"27 Nov 2019", "27.11.19", "27/11/2019", "11/27/2019", "27NOV2019", "Nov 27th 2019", "2019/11/27",
			"17. August 1953", "3. März 2020", "27-Nov-19", "20191127", "geb. 1953", "2019年11月27日",
		},
		"a name":               {"Zubrowski^Jan", "Dr. Zubrowski", "Frau Zubrowska", "王^小东", "Zubrowski, Jan", "Pat. Zubrowski", "Patient: Zubrowski"},
		"an e-mail address":    {"olga.brz@example.org", "OLGA@EXAMPLE.ORG"},
		"a telephone number":   {"+49 6221 5539187", "06221/5539187", "(028) 90417733", "Tel 12345", "0622-1553918", "Phone: 12 34"},
		"a number of a person": {"8842177", "PAT-884217", "ACC77190234", "MRN 12345", "Pat.-Nr. 12345"},
	} {
		for _, text := range texts {
			for where, put := range map[string]func(ds *stream.DataSet){
				"LO":      func(ds *stream.DataSet) { ds.Set(keptText, text) },
				"UC":      func(ds *stream.DataSet) { ds.SetVR(dict.LongCodeValue, dict.UC, "x; "+text) },
				"private": func(ds *stream.DataSet) { ds.SetVR(0x00191010, dict.LO, text) },
				"unknown": func(ds *stream.DataSet) {
					ds.Put(stream.Element{Tag: 0x00191011, VR: dict.UN, Value: pad([]byte(text))})
				},
				"nested": func(ds *stream.DataSet) {
					ds.SetSequence(dict.AnatomicRegionSequence, code("1", "DCM", text))
				},
			} {
				ds := aCT(t)
				require.NoError(t, ds.SetCharset("ISO_IR 192"))
				put(ds)
				found := looks(t, encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
				require.NotEmpty(t, found, "%s: %q", where, text)
				require.Contains(t, found[0], "has text that looks like "+what, "%s: %q", where, text)
			}
		}
	}
	for tag, text := range map[dict.Tag]string{
		dict.ScanOptions: "27NOV2019", dict.StationAETitle: "ZUB19531127",
		dict.ReferringPhysicianName: "Zubrowski^Jan", dict.RetrieveURL: "https://x.example/?MRN=8842177",
	} {
		ds := aCT(t)
		ds.Set(tag, text)
		found := looks(t, encode(t, ds, dict.ExplicitVRLittleEndian), dict.ExplicitVRLittleEndian)
		require.NotEmpty(t, found, tag)
		require.Contains(t, found[0], tag.String())
	}
}

// TestLooksLikeIsSilent: nothing in what the profiles give of foreign files looks like somebody's.
func TestLooksLikeIsSilent(t *testing.T) {
	for _, name := range []string{deid.DefaultProfile, "ps3.15-basic"} {
		p, _ := deid.BuiltinProfile(name)
		looked := 0
		for _, f := range append(phantomFiles(t), pydicomFiles(t)...) {
			o, err := stream.Open(bytes.NewReader(f.data), f.syntax, stream.Limits{})
			require.NoError(t, err)
			id := deid.PatientIdentity(o.Header().Text(dict.PatientID), "", o.Header().Text(dict.StudyInstanceUID))
			s, err := p.Session(deid.Subject{Key: proofKey(3).OfPatient(id), Patient: id, Pseudonym: proofPseudonym})
			require.NoError(t, err)
			if _, err := s.Rewrite(o); err != nil {
				continue
			}
			b, err := io.ReadAll(o)
			require.NoError(t, err)
			for _, doubt := range looks(t, b, f.syntax) {
				t.Errorf("%s under %s: %s", f.name, name, doubt)
			}
			looked++
		}
		require.Greater(t, looked, 50)
	}
}
