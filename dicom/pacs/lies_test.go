// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"io"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
)

// twoSeries is a study of two series of three CT images.
func twoSeries(seed uint64) *phantom.Study {
	ct := phantom.SeriesSpec{Kind: phantom.CT, Instances: 3, Rows: 16, Columns: 16}
	return phantom.New(seed, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-100", Name: "Phantom^Test"}, Series: []phantom.SeriesSpec{ct, ct},
	})
}

func TestListFaults(t *testing.T) {
	st, other := twoSeries(1), twoSeries(2)
	all, foreign, one, two := uids(st), uids(other), st.Series[0].SeriesInstanceUID, st.Series[1].SeriesInstanceUID
	counts := func(n ...string) map[dict.Tag][]string {
		return map[dict.Tag][]string{dict.NumberOfSeriesRelatedInstances: n}
	}
	series := keys("SERIES", "StudyInstanceUID", st.StudyInstanceUID, "NumberOfSeriesRelatedInstances", "")
	images := keys("IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SeriesInstanceUID", one)
	for _, test := range []struct {
		name   string
		faults pacs.FindFaults
		asked  *stream.DataSet
		tag    dict.Tag
		want   [][]string // of one C-FIND after the other
	}{
		{
			"counts by series",
			pacs.FindFaults{Series: pacs.ListFaults{Answers: map[string]map[dict.Tag][]string{one: counts("0"), two: counts()}}},
			series,
			dict.NumberOfSeriesRelatedInstances,
			[][]string{{"0", ""}},
		},
		{"a hidden series", pacs.FindFaults{Series: pacs.ListFaults{Hidden: []string{one}}}, series, dict.SeriesInstanceUID, [][]string{{two}}},
		{"twice", pacs.FindFaults{Series: pacs.ListFaults{Twice: true}}, series, dict.SeriesInstanceUID, [][]string{{one, one, two, two}}},
		{"without UIDs", pacs.FindFaults{Series: pacs.ListFaults{OmitKeys: []dict.Tag{dict.SeriesInstanceUID}}}, series, dict.SeriesInstanceUID, [][]string{{"", ""}}},
		{"an unknown one", pacs.FindFaults{Series: pacs.ListFaults{Unknown: []string{"1.2.3"}}}, series, dict.SeriesInstanceUID, [][]string{{one, two, "1.2.3"}}},
		{"of another level", pacs.FindFaults{Image: pacs.ListFaults{Empty: true}}, series, dict.SeriesInstanceUID, [][]string{{one, two}}},
		{"it grows", pacs.FindFaults{Image: pacs.ListFaults{First: 1, Cap: 2}}, images, dict.SOPInstanceUID, [][]string{all[:2], all[:3]}},
		{"it shrinks", pacs.FindFaults{Image: pacs.ListFaults{After: 1, Cap: 2}}, images, dict.SOPInstanceUID, [][]string{all[:3], all[:2], all[:2]}},
		{"of all series", pacs.FindFaults{Image: pacs.ListFaults{IgnoreKeys: []dict.Tag{dict.SeriesInstanceUID}}}, images, dict.SOPInstanceUID, [][]string{all}},
		{
			"of all studies",
			pacs.FindFaults{Image: pacs.ListFaults{IgnoreKeys: []dict.Tag{dict.SeriesInstanceUID, dict.StudyInstanceUID}}},
			images,
			dict.SOPInstanceUID,
			[][]string{append(append([]string{}, all...), foreign...)},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{Studies: []*phantom.Study{st, other}})
			p.MisbehaveFor(st, pacs.Misbehave{Find: test.faults})
			a := dial(t, p)
			for _, want := range test.want {
				require.Equal(t, want, values(find(t, a, findClass, test.asked), test.tag))
			}
			id := keys("IMAGE", "StudyInstanceUID", other.StudyInstanceUID)
			require.Equal(
				t, foreign, values(find(t, a, findClass, id), dict.SOPInstanceUID), "the other study is not lied about",
			)
		})
	}
}

func TestGetLies(t *testing.T) {
	st, other := twoSeries(1), twoSeries(2)
	all, foreign := uids(st), uids(other)
	number := dimse.Counted(7)
	for _, test := range []struct {
		name      string
		faults    pacs.GetFaults
		got       []string
		completed dimse.Count
		again     []string // by the second C-GET
	}{
		{"the whole study", pacs.GetFaults{First: 1, Wide: true}, all, dimse.Counted(6), all[:3]},
		{
			"others besides",
			pacs.GetFaults{Besides: []string{all[4], foreign[0]}},
			[]string{all[0], all[1], all[2], all[4], foreign[0]},
			dimse.Counted(5),
			[]string{all[0], all[1], all[2], all[4], foreign[0]},
		},
		{"others instead, once", pacs.GetFaults{First: 1, Besides: all[4:5], Instead: true}, all[4:5], dimse.Counted(1), all[:3]},
		{
			"every instance twice",
			pacs.GetFaults{TwiceAll: true},
			[]string{all[0], all[0], all[1], all[1], all[2], all[2]},
			dimse.Counted(6),
			[]string{all[0], all[0], all[1], all[1], all[2], all[2]},
		},
		{"refused once", pacs.GetFaults{Refuse: all[1:2], RefuseFirst: 1}, []string{all[0], all[2]}, dimse.Counted(2), all[:3]},
		{"counts that lie", pacs.GetFaults{Counts: &dimse.Counts{Completed: number}}, all[:3], number, all[:3]},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{Studies: []*phantom.Study{st, other}})
			p.MisbehaveFor(st, pacs.Misbehave{Get: test.faults})
			a := dial(t, p)
			id := keys(
				"SERIES", "StudyInstanceUID", st.StudyInstanceUID, "SeriesInstanceUID", st.Series[0].SeriesInstanceUID,
			)
			r, got, err := get(t, a, id)
			require.NoError(t, err)
			require.Equal(t, test.got, uidsOf(got))
			require.Equal(t, test.completed, r.Completed)
			_, got, err = get(t, a, id)
			require.NoError(t, err)
			require.Equal(t, test.again, uidsOf(got))
		})
	}
}

func TestGetAbortsAtObject(t *testing.T) {
	st := twoSeries(1)
	p := start(t, pacs.Config{
		Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Get: pacs.GetFaults{First: 1, AbortAtObject: 3}},
	})
	_, got, err := get(t, dial(t, p), keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
	require.ErrorAs(t, err, new(*ul.AbortedError))
	require.Equal(t, uids(st)[:2], uidsOf(got))
}

// What is inside of an instance is other than what was announced: other values, damage, a byte too many.
func TestGetLiesInside(t *testing.T) {
	st := twoSeries(1)
	all := st.Instances()
	p := start(t, pacs.Config{Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Get: pacs.GetFaults{
		Inside: map[string]map[dict.Tag]string{all[0].SOPInstanceUID: {dict.PatientID: "SOMEBODY", dict.SOPInstanceUID: "1.2.3"}},
		Damage: []string{all[1].SOPInstanceUID}, Odd: []string{all[2].SOPInstanceUID},
	}}})
	// one UID twice in a series: the second one stays
	p.AddInstance(all[3], map[dict.Tag]string{dict.SOPInstanceUID: all[4].SOPInstanceUID})
	a := dial(t, p)
	type inside struct {
		patient, uid    string
		longer, damaged bool
	}
	got := map[string]inside{}
	_, err := a.Get(limit(t),
		dimse.GetRequest{SOPClassUID: getClass, Identifier: keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID)},
		func(_ context.Context, in *dimse.Incoming) dimse.Status {
			o, err := stream.Open(in.Data, in.TransferSyntaxUID, stream.Limits{})
			if err != nil {
				got[in.SOPInstanceUID] = inside{damaged: true}
				return dimse.CannotUnderstand
			}
			found := inside{patient: o.Header().Text(dict.PatientID), uid: o.Header().SOPInstanceUID()}
			n, err := io.Copy(io.Discard, o)
			require.NoError(t, err)
			require.NoError(t, o.Close())
			found.longer = n > all[3].Size()
			got[in.SOPInstanceUID] = found
			return dimse.Success
		},
	)
	require.NoError(t, err)
	want := map[string]inside{
		all[0].SOPInstanceUID: {patient: "SOMEBODY", uid: "1.2.3"}, all[1].SOPInstanceUID: {damaged: true},
		all[2].SOPInstanceUID: {patient: "PHANTOM-100", uid: all[2].SOPInstanceUID, longer: true},
	}
	for _, in := range all[3:] {
		want[in.SOPInstanceUID] = inside{patient: "PHANTOM-100", uid: in.SOPInstanceUID}
	}
	require.Equal(t, want, got)
}

func TestStoreLies(t *testing.T) {
	st := twoSeries(1)
	all := st.Instances()
	p := start(t, pacs.Config{})
	p.MisbehaveFor(st, pacs.Misbehave{Store: pacs.StoreFaults{
		Statuses: map[string]dimse.Status{all[0].SOPInstanceUID: dimse.OutOfResources}, StatusesFirst: 1,
		Misname: []string{all[1].SOPInstanceUID}, AbortAtObject: 4,
	}})
	a := dial(t, p)
	for i, want := range []struct {
		in     *phantom.Instance
		status dimse.Status
		uid    string
	}{
		{all[0], dimse.OutOfResources, all[0].SOPInstanceUID},
		{all[0], dimse.Success, all[0].SOPInstanceUID},
		{all[1], dimse.Success, all[1].SOPInstanceUID + ".1"},
	} {
		rsp, err := a.Store(limit(t), dimse.StoreRequest{
			SOPClassUID: want.in.SOPClassUID, SOPInstanceUID: want.in.SOPInstanceUID,
			TransferSyntaxUID: want.in.TransferSyntaxUID,
		}, want.in.Open())
		require.NoError(t, err)
		require.Equal(t, want.status, rsp.Status, i)
		require.Equal(t, want.uid, rsp.SOPInstanceUID, i)
	}
	_, err := send(t, a, all[2])
	require.ErrorAs(t, err, new(*ul.AbortedError))
	id := keys("IMAGE", "StudyInstanceUID", st.StudyInstanceUID)
	require.Equal(
		t, []string{all[0].SOPInstanceUID},
		values(find(t, dial(t, p), findClass, id), dict.SOPInstanceUID), "nothing else is kept",
	)
	p.RemoveStudy(st)
	require.Empty(t, find(t, dial(t, p), findClass, id))
}

func TestCommitment(t *testing.T) {
	st := twoSeries(1)
	all := st.Instances()
	p := start(t, pacs.Config{Studies: []*phantom.Study{st}, Commitment: true})
	p.MisbehaveFor(st, pacs.Misbehave{Commitment: pacs.CommitmentFaults{
		Both: []string{all[1].SOPInstanceUID}, Refuse: []string{all[2].SOPInstanceUID},
	}})
	cfg := config(p)
	cfg.Contexts = append(cfg.Contexts,
		dimse.Context{AbstractSyntax: dict.StorageCommitmentPushModel, TransferSyntaxes: []string{explicit}},
	)
	a, err := dimse.Dial(limit(t), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	rq := dimse.CommitmentRequest{TransactionUID: "1.2.99"}
	for _, uid := range []string{all[0].SOPInstanceUID, all[1].SOPInstanceUID, all[2].SOPInstanceUID, "1.2.3"} {
		rq.Instances = append(rq.Instances, dimse.SOPReference{SOPClassUID: dict.CTImageStorage, SOPInstanceUID: uid})
	}
	var report *dimse.CommitmentReport
	require.NoError(t,
		a.RequestCommitment(limit(t), rq, func(_ context.Context, r *dimse.CommitmentReport) dimse.Status {
			report = r
			return dimse.Success
		}),
	)
	require.NoError(t, a.Release(limit(t)))
	require.Equal(t, "1.2.99", report.TransactionUID)
	require.Equal(t, rq.Instances[:2], report.Committed)
	var failed []dimse.SOPReference
	for _, f := range report.Failed {
		require.Equal(t, dimse.NoSuchSOPInstance, f.Reason)
		failed = append(failed, f.SOPReference)
	}
	require.Equal(t, rq.Instances[1:], failed)
}
