// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/ul"
)

func TestGetLevels(t *testing.T) {
	studies := phantom.DemoStudies()
	st := studies[4] // MR and RLE screen shots
	all := uids(st)
	p := start(t, pacs.Config{Studies: studies})
	a := dial(t, p)
	for _, test := range []struct {
		name string
		keys []string
		want []string
	}{
		{"study", []string{"STUDY", "StudyInstanceUID", st.StudyInstanceUID}, all},
		{"series", []string{"SERIES", "StudyInstanceUID", st.StudyInstanceUID, "SeriesInstanceUID", st.Series[1].SeriesInstanceUID}, all[20:]},
		{"image", []string{
			"IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SeriesInstanceUID", st.Series[0].SeriesInstanceUID,
			"SOPInstanceUID", all[7],
		}, all[7:8]},
		{"list of images", []string{"IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SOPInstanceUID", all[3] + `\` + all[21]}, []string{all[3], all[21]}},
		{"nothing", []string{"STUDY", "StudyInstanceUID", "1.2.3"}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, got, err := get(t, a, keys(test.keys[0], test.keys[1:]...))
			require.NoError(t, err)
			require.Equal(t, dimse.Success, r.Status)
			require.Equal(t, dimse.Counted(len(test.want)), r.Completed)
			require.Equal(t, dimse.Counted(0), r.Failed)
			require.False(t, r.Remaining.Present)
			require.Equal(t, test.want, uidsOf(got))
		})
	}
	// What arrived is what was generated, and what the recorder says was sent.
	_, got, err := get(t, a, keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
	require.NoError(t, err)
	log := p.Recorder().Log()
	sent := log.Sent[len(log.Sent)-len(got):]
	for i, in := range st.Instances() {
		require.Equal(t, arrival{in.SOPInstanceUID, in.TransferSyntaxUID, hexOf(in)}, got[i])
		require.Equal(t, got[i].sha256, sent[i].SHA256)
		require.Equal(t, in.Size(), sent[i].Bytes)
	}
	require.Equal(t, "IMAGE", log.Gets[3].Level)
	require.Equal(t, []string{all[3], all[21]}, log.Gets[3].SOPInstanceUIDs)
}

func TestGetFaults(t *testing.T) {
	const n = 40
	st := ctStudy(1, n)
	all := uids(st)
	three := []string{all[4], all[20], all[39]}
	without := slices.DeleteFunc(slices.Clone(all), func(u string) bool { return slices.Contains(three, u) })
	reversed := slices.Clone(all)
	slices.Reverse(reversed)
	type counts struct{ completed, failed dimse.Count }
	counted := func(completed, failed int) counts { return counts{dimse.Counted(completed), dimse.Counted(failed)} }
	for _, test := range []struct {
		name   string
		faults pacs.GetFaults
		status dimse.Status
		got    []string
		counts counts
		failed []string
	}{
		{"none", pacs.GetFaults{}, 0, all, counted(n, 0), nil},
		{"success after 37", pacs.GetFaults{SuccessAfter: 37}, 0, all[:37], counted(37, 0), nil},
		{"success, 0 of 0", pacs.GetFaults{Empty: true}, 0, nil, counted(0, 0), nil},
		{"one instance twice", pacs.GetFaults{SendTwice: 3}, 0, slices.Insert(slices.Clone(all), 3, all[2]), counted(n+1, 0), nil},
		{"out of order", pacs.GetFaults{OutOfOrder: true}, 0, reversed, counted(n, 0), nil},
		{"refuses three", pacs.GetFaults{Refuse: three}, dimse.SubOperationsIncomplete, without, counted(n-3, 3), three},
		{"refuses three with A702", pacs.GetFaults{Refuse: three, RefusedStatus: dimse.OutOfResourcesSubOps}, dimse.OutOfResourcesSubOps, without, counted(n-3, 3), three},
		{"refuses three with C000", pacs.GetFaults{Refuse: three, RefusedStatus: dimse.CannotUnderstand}, dimse.CannotUnderstand, without, counted(n-3, 3), three},
		{"refuses three, without a list", pacs.GetFaults{Refuse: three, NoFailedList: true}, dimse.SubOperationsIncomplete, without, counted(n-3, 3), nil},
		{"refuses three, calls it success", pacs.GetFaults{Refuse: three, FinalStatus: new(dimse.Success)}, 0, without, counted(n-3, 3), nil},
		{"refuses three, without counts", pacs.GetFaults{Refuse: three, NoCounts: true, NoFailedList: true}, dimse.SubOperationsIncomplete, without, counts{}, nil},
		{"refuses all", pacs.GetFaults{Refuse: all}, dimse.OutOfResourcesSubOps, nil, counted(0, n), all},
		{"without counts", pacs.GetFaults{NoCounts: true}, 0, all, counts{}, nil},
		{"without pending responses", pacs.GetFaults{NoPending: true}, 0, all, counted(n, 0), nil},
		{"busy", pacs.GetFaults{Status: 0xA701}, 0xA701, nil, counts{}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Get: test.faults}})
			a := dial(t, p)
			r, arrived, err := get(t, a, keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
			require.NoError(t, err)
			require.Equal(t, test.status, r.Status)
			require.Equal(t, test.got, uidsOf(arrived))
			got := counts{r.Completed, r.Failed}
			require.Equal(t, test.counts, got)
			require.Equal(t, test.failed, r.FailedSOPInstanceUIDs)
			require.NoError(t, a.Release(limit(t)))
		})
	}
}

// One that is refused is refused at each level, for good; the others come.
func TestGetRefusedAtEachLevel(t *testing.T) {
	st := ctStudy(1, 3)
	all := uids(st)
	p := start(t, pacs.Config{
		Studies: []*phantom.Study{st}, Misbehave: pacs.Misbehave{Get: pacs.GetFaults{Refuse: all[1:2]}},
	})
	a := dial(t, p)
	for _, test := range []struct {
		level  string
		uids   []string
		status dimse.Status
		got    []string
	}{
		{"SERIES", nil, dimse.SubOperationsIncomplete, []string{all[0], all[2]}},
		{"IMAGE", all[1:2], dimse.OutOfResourcesSubOps, nil},
		{"IMAGE", all[1:], dimse.SubOperationsIncomplete, all[2:]},
		{"IMAGE", all[2:], dimse.Success, all[2:]},
	} {
		id := keys(
			test.level, "StudyInstanceUID", st.StudyInstanceUID, "SeriesInstanceUID", st.Series[0].SeriesInstanceUID,
		)
		if test.uids != nil {
			id.Set(dict.SOPInstanceUID, test.uids...)
		}
		r, got, err := get(t, a, id)
		require.NoError(t, err)
		require.Equal(t, test.status, r.Status)
		require.Equal(t, test.got, uidsOf(got))
	}
}

func TestGetDrops(t *testing.T) {
	// 512 KiB each
	st := phantom.New(5, phantom.StudySpec{Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 5}}})
	for _, test := range []struct {
		name  string
		bytes int64
	}{{"before an instance", 0}, {"inside an instance", 300_000}} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{
				Studies:   []*phantom.Study{st},
				Misbehave: pacs.Misbehave{Get: pacs.GetFaults{First: 1, DropAtObject: 3, DropAfterBytes: test.bytes}},
			})
			id := keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID)
			_, got, err := get(t, dial(t, p), id)
			require.Error(t, err)
			require.Equal(t, uids(st)[:2], uidsOf(got))
			require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))
			require.Equal(t, 1, p.Recorder().Log().Lost)

			_, got, err = get(t, dial(t, p), id) // the second C-GET is served
			require.NoError(t, err)
			require.Len(t, got, 5)
		})
	}
}

// The PACS is held at the fifth instance until C-CANCEL has come: four come, or all if it ignores that.
func TestGetCancelAtGate(t *testing.T) {
	st := ctStudy(1, 10)
	for ignored, want := range map[bool]int{false: 4, true: 10} {
		held := make(chan struct{})
		p := start(t, pacs.Config{
			Studies:   []*phantom.Study{st},
			Misbehave: pacs.Misbehave{Get: pacs.GetFaults{IgnoreCancel: ignored}},
			Gate: func(ctx context.Context, e pacs.Event) {
				if e.Kind == pacs.AtSubOperation && e.Number == 5 {
					close(held)
					select {
					case <-e.Canceled:
					case <-ctx.Done():
					}
				}
			},
		})
		count := 0
		r, err := dial(t, p).Get(limit(t), dimse.GetRequest{
			SOPClassUID: getClass, Identifier: keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID), Stop: held,
		}, func(context.Context, *dimse.Incoming) dimse.Status {
			count++
			return dimse.Success
		})
		require.NoError(t, err)
		require.Equal(t, want, count)
		require.Equal(t, dimse.Counted(want), r.Completed)
		if !ignored {
			require.Equal(t, dimse.Canceled, r.Status)
			require.Equal(t, dimse.Counted(6), r.Remaining)
		}
	}
}

func TestGetCancelAborts(t *testing.T) {
	st, held := ctStudy(1, 5), make(chan struct{})
	p := start(t, pacs.Config{
		Studies:   []*phantom.Study{st},
		Misbehave: pacs.Misbehave{Get: pacs.GetFaults{AbortOnCancel: true}},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtSubOperation && e.Number == 3 {
				close(held)
				select {
				case <-e.Canceled:
				case <-ctx.Done():
				}
			}
		},
	})
	count := 0
	_, err := dial(t, p).Get(limit(t), dimse.GetRequest{
		SOPClassUID: getClass, Identifier: keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID), Stop: held,
	}, func(context.Context, *dimse.Incoming) dimse.Status {
		count++
		return dimse.Success
	})
	require.ErrorAs(t, err, new(*ul.AbortedError))
	require.Equal(t, 2, count)
}

// A data set that was cut on the PACS's disk is sent as if it were whole.
func TestGetTruncates(t *testing.T) {
	st := ctStudy(1, 3)
	in := st.Instances()[1]
	p := start(t, pacs.Config{
		Studies:   []*phantom.Study{st},
		Misbehave: pacs.Misbehave{Get: pacs.GetFaults{Truncate: map[string]int64{in.SOPInstanceUID: in.Size() - 100}}},
	})
	r, got, err := get(t, dial(t, p), keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
	require.NoError(t, err)
	require.Equal(t, dimse.Success, r.Status)
	require.Equal(t, uids(st), uidsOf(got))
	require.Equal(t, in.Size()-100, p.Recorder().Log().Sent[1].Bytes)
	require.Equal(t, p.Recorder().Log().Sent[1].SHA256, got[1].sha256)
}

// A source that stalls inside an instance is left by an abort.
func TestGetStalls(t *testing.T) {
	st := phantom.New(5, phantom.StudySpec{Series: []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 3}}})
	p := start(t, pacs.Config{
		Studies:   []*phantom.Study{st},
		Misbehave: pacs.Misbehave{Get: pacs.GetFaults{StallAtObject: 2, StallAfterBytes: 300_000}},
	})
	ctx, cancel := context.WithCancel(limit(t))
	go func() {
		_ = p.Recorder().WaitSent(ctx, 1)
		cancel()
	}()
	whole := 0
	_, err := dial(t, p).Get(ctx, dimse.GetRequest{
		SOPClassUID: getClass, Identifier: keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID),
	}, func(_ context.Context, in *dimse.Incoming) dimse.Status {
		if _, err := io.Copy(io.Discard, in.Data); err == nil {
			whole++
		}
		return dimse.Success
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, 1, whole)
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))
}

// An instance in a transfer syntax that the peer doesn't take fails alone.
func TestGetWithoutContext(t *testing.T) {
	st := phantom.DemoStudies()[4]
	p := start(t, pacs.Config{Studies: []*phantom.Study{st}})
	cfg := config(p)
	cfg.Contexts = slices.DeleteFunc(
		cfg.Contexts, func(c dimse.Context) bool { return slices.Contains(c.TransferSyntaxes, dict.RLELossless) },
	)
	a, err := dimse.Dial(limit(t), cfg)
	require.NoError(t, err)
	t.Cleanup(a.Abort)
	r, got, err := get(t, a, keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
	require.NoError(t, err)
	require.Equal(t, dimse.SubOperationsIncomplete, r.Status)
	require.Equal(t, uids(st)[:20], uidsOf(got))
	require.Equal(t, strings.Join(uids(st)[20:], " "), strings.Join(r.FailedSOPInstanceUIDs, " "))
}
