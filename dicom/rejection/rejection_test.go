// SPDX-License-Identifier: AGPL-3.0-or-later

package rejection_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/rejection"
	"github.com/adit-go/adit/dicom/stream"
)

func study(seed uint64) *phantom.Study {
	return phantom.New(seed, phantom.StudySpec{Series: []phantom.SeriesSpec{
		{Kind: phantom.CT, Instances: 3, Rows: 4, Columns: 4},
		{Kind: phantom.Report, Instances: 2},
		{Kind: phantom.MR, Rows: 4, Columns: 4},
	}})
}

func uids(instances ...*phantom.Instance) []string {
	var out []string
	for _, in := range instances {
		out = append(out, in.SOPInstanceUID)
	}
	slices.Sort(out)
	return out
}

var titles = []struct {
	title   phantom.Title
	rejects bool
}{
	{phantom.Title{Code: "113001", Meaning: "Rejected for Quality Reasons"}, true},
	{phantom.Title{Code: "113037", Meaning: "Rejected for Patient Safety Reasons"}, true},
	{phantom.Title{Code: "113038", Meaning: "Incorrect Modality Worklist Entry"}, true},
	{phantom.Title{Code: "113039", Meaning: "Data Retention Policy Expired"}, true},
	{phantom.Title{Code: "113000", Meaning: "Of Interest"}, false},
	{phantom.Title{Code: "113002", Meaning: "For Referring Provider"}, false},
	{phantom.Title{Code: "113010", Meaning: "Quality Issue"}, false},
	{phantom.Title{Code: "113030", Meaning: "Manifest"}, false},
	{phantom.Title{Code: "", Meaning: "Rejected for Quality Reasons"}, false},
}

func TestTitles(t *testing.T) {
	for _, tt := range titles {
		for _, syntax := range []string{
			dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
			dict.DeflatedExplicitVRLittleEndian, dict.ExplicitVRBigEndian,
		} {
			t.Run(tt.title.Code+" "+dict.UIDName(syntax), func(t *testing.T) {
				st := study(1)
				rejected := []*phantom.Instance{st.Series[0].Instances[2], st.Series[1].Instances[0]}
				note := st.Select(tt.title, rejected...)
				b, err := note.Attributes().Encode(dict.ExplicitVRLittleEndian)
				require.NoError(t, err)
				n, ok, err := rejection.Read(bytes.NewReader(convert(t, b, syntax)), syntax)
				require.NoError(t, err)
				require.Equal(t, tt.rejects, ok)
				want := rejection.Note{}
				if ok {
					want = rejection.Note{
						SOPInstanceUID: note.SOPInstanceUID, StudyInstanceUID: st.StudyInstanceUID,
						Code: tt.title.Code, Meaning: tt.title.Meaning, Instances: uids(rejected...),
					}
				}
				require.Equal(t, want, n)
			})
		}
	}
}

// convert takes a data set from explicit VR little endian into another transfer syntax; big endian, which nothing of
// ours writes, by DCMTK.
func convert(t *testing.T, b []byte, syntax string) []byte {
	t.Helper()
	if syntax == dict.ExplicitVRBigEndian {
		return byDCMTK(t, b, "+tb")
	}
	o, err := stream.Open(bytes.NewReader(b), dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	require.NoError(t, o.ConvertTo(syntax))
	out, err := io.ReadAll(o)
	require.NoError(t, err)
	require.NoError(t, o.Close())
	return out
}

// byDCMTK has dcmconv write a data set with some options.
func byDCMTK(t *testing.T, b []byte, options ...string) []byte {
	t.Helper()
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	require.NoError(t, os.WriteFile(in, b, 0o600))
	said, err := exec.Command(
		"dcmconv", append(append([]string{"-f", "-t=", "-F"}, options...), in, out)...,
	).CombinedOutput()
	require.NoError(t, err, "%s", said)
	written, err := os.ReadFile(out)
	require.NoError(t, err)
	return written
}

// TestLengths: sequences and items of undefined and of defined length are the same to us.
func TestLengths(t *testing.T) {
	st := study(1)
	note := st.Select(titles[0].title, st.Series[0].Instances...)
	b, err := note.Attributes().Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)
	for _, option := range []string{"-e", "+e"} {
		n, ok, err := rejection.Read(bytes.NewReader(byDCMTK(t, b, "+te", option)), dict.ExplicitVRLittleEndian)
		require.NoError(t, err, option)
		require.True(t, ok, option)
		require.Equal(t, uids(st.Series[0].Instances...), n.Instances, option)
	}
}

// TestWhatIsRejected: evidence and content each suffice, other studies don't count, and what a reference is shown with
// is not rejected.
func TestWhatIsRejected(t *testing.T) {
	st, other := study(1), study(2)
	a, b := st.Series[0].Instances[0], st.Series[0].Instances[1]
	foreign := other.Series[0].Instances[0]
	for name, tt := range map[string]struct {
		selected []*phantom.Instance
		change   func(ds *stream.DataSet)
		want     []*phantom.Instance
		err      error
	}{
		"both":              {selected: []*phantom.Instance{a, b}, want: []*phantom.Instance{a, b}},
		"evidence alone":    {selected: []*phantom.Instance{a, b}, change: func(ds *stream.DataSet) { ds.Remove(dict.ContentSequence) }, want: []*phantom.Instance{a, b}},
		"content alone":     {selected: []*phantom.Instance{a, b}, change: func(ds *stream.DataSet) { ds.Remove(dict.CurrentRequestedProcedureEvidenceSequence) }, want: []*phantom.Instance{a, b}},
		"twice":             {selected: []*phantom.Instance{a, a}, want: []*phantom.Instance{a}},
		"of another study":  {selected: []*phantom.Instance{a, foreign}, want: []*phantom.Instance{a}},
		"of no study of it": {selected: []*phantom.Instance{foreign}, err: rejection.ErrNothing},
		"nothing":           {err: rejection.ErrNothing},
		"a presentation state with a reference": {
			selected: []*phantom.Instance{a, b},
			change: func(ds *stream.DataSet) {
				items := ds.Items(dict.ContentSequence)
				items[0].Items(dict.ReferencedSOPSequence)[0].SetSequence(
					dict.ReferencedSOPSequence, items[1].Items(dict.ReferencedSOPSequence)...,
				)
				ds.SetSequence(dict.ContentSequence, items[0])
			}, want: []*phantom.Instance{a},
		},
		"deeper in the content": {selected: []*phantom.Instance{a, b}, change: func(ds *stream.DataSet) {
			container := &stream.DataSet{}
			container.SetSequence(dict.ContentSequence, ds.Items(dict.ContentSequence)...)
			ds.SetSequence(dict.ContentSequence, container)
			ds.Remove(dict.CurrentRequestedProcedureEvidenceSequence)
		}, want: []*phantom.Instance{a, b}},
		"another scheme": {selected: []*phantom.Instance{a}, change: func(ds *stream.DataSet) {
			ds.Items(dict.ConceptNameCodeSequence)[0].Set(dict.CodingSchemeDesignator, "99LOCAL")
		}},
		"another class": {selected: []*phantom.Instance{a}, change: func(ds *stream.DataSet) { ds.Set(dict.SOPClassUID, dict.BasicTextSRStorage) }},
		"a code in its content": {selected: []*phantom.Instance{a}, change: func(ds *stream.DataSet) {
			item := ds.Items(dict.ContentSequence)[0]
			item.SetSequence(dict.ConceptNameCodeSequence, ds.Items(dict.ConceptNameCodeSequence)...)
			ds.Remove(dict.ConceptNameCodeSequence)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ds := study(1).Select(titles[0].title, tt.selected...).Attributes()
			if tt.change != nil {
				tt.change(ds)
			}
			b, err := ds.Encode(dict.ImplicitVRLittleEndian)
			require.NoError(t, err)
			n, ok, err := rejection.Read(bytes.NewReader(b), dict.ImplicitVRLittleEndian)
			require.ErrorIs(t, err, tt.err)
			require.Equal(t, len(tt.want) > 0, ok)
			require.Equal(t, uids(tt.want...), n.Instances)
		})
	}
}

// TestBounds: neither many references nor a length that claims much can make a note take more than it may.
func TestBounds(t *testing.T) {
	ds := study(1).Select(titles[0].title).Attributes()
	items := make([]*stream.DataSet, rejection.MaxReferences+1)
	for i := range items {
		items[i] = &stream.DataSet{}
		items[i].Set(dict.ReferencedSOPInstanceUID, fmt.Sprintf("1.2.%d", i))
	}
	content := &stream.DataSet{}
	content.SetSequence(dict.ReferencedSOPSequence, items[1:]...)
	ds.SetSequence(dict.ContentSequence, content)
	b, err := ds.Encode(dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	n, ok, err := rejection.Read(bytes.NewReader(b), dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	require.True(t, ok)
	require.Len(t, n.Instances, rejection.MaxReferences)

	content.SetSequence(dict.ReferencedSOPSequence, items...)
	b, err = ds.Encode(dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	_, _, err = rejection.Read(bytes.NewReader(b), dict.ImplicitVRLittleEndian)
	require.ErrorIs(t, err, rejection.ErrTooMany)

	_, _, err = rejection.Read(bytes.NewReader(b[:len(b)-10]), dict.ImplicitVRLittleEndian)
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)

	ds.SetBytes(dict.SeriesDescription, dict.UN, make([]byte, 64<<20)) // what is behind it can't be read
	b, err = ds.Encode(dict.ImplicitVRLittleEndian)
	require.NoError(t, err)
	_, _, err = rejection.Read(bytes.NewReader(b), dict.ImplicitVRLittleEndian)
	require.ErrorIs(t, err, stream.ErrTooLarge)
}

func FuzzRead(f *testing.F) {
	st := study(1)
	ds := st.Select(titles[0].title, st.Series[0].Instances...).Attributes()
	for _, syntax := range []string{
		dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian, dict.DeflatedExplicitVRLittleEndian,
	} {
		b, err := ds.Encode(syntax)
		if err == nil {
			f.Add(b, syntax)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte, syntax string) {
		n, ok, err := rejection.Read(bytes.NewReader(b), syntax)
		if ok != (len(n.Instances) > 0) || ok && err != nil {
			t.Fatalf("%v %v %v", n, ok, err)
		}
		if !slices.IsSorted(n.Instances) {
			t.Fatal("not sorted")
		}
	})
}
