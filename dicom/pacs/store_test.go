// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

func TestStoreRecordsAndKeeps(t *testing.T) {
	st := ctStudy(3, 4)
	for _, test := range []struct {
		name  string
		cfg   pacs.Config
		again bool // C-GET gives the bytes back
	}{
		{"discarded", pacs.Config{}, false},
		{"in a folder", pacs.Config{Folder: filepath.Join(t.TempDir(), "in")}, true},
		{"in memory", pacs.Config{Memory: 1 << 20}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.cfg)
			a := dial(t, p)
			for _, in := range st.Instances() {
				status, err := send(t, a, in)
				require.NoError(t, err)
				require.Equal(t, dimse.Success, status)
			}
			require.NoError(t, p.Recorder().WaitStores(limit(t), 4))
			log := p.Recorder().Log()
			var bytes int64
			for i, in := range st.Instances() {
				s := log.Stores[i]
				require.Equal(t, in.SOPInstanceUID, s.SOPInstanceUID)
				require.Equal(t, hexOf(in), s.SHA256)
				require.Equal(t, in.Size(), s.Bytes)
				require.Equal(t, explicit, s.TransferSyntaxUID)
				bytes += s.Bytes
			}
			require.Equal(t, bytes, log.BytesReceived)

			images := find(t, a, findClass, keys(
				"IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SOPInstanceUID", "", "PatientName", "",
			))
			require.Equal(t, uids(st), values(images, dict.SOPInstanceUID))
			require.Equal(t, "Phantom^Test", images[0].String(dict.PatientName))
			r, got, err := get(t, a, keys("STUDY", "StudyInstanceUID", st.StudyInstanceUID))
			require.NoError(t, err)
			if !test.again {
				require.Equal(t, uids(st), r.FailedSOPInstanceUIDs)
				return
			}
			require.Len(t, got, 4)
			for i, in := range st.Instances() {
				require.Equal(t, hexOf(in), got[i].sha256)
			}
		})
	}
}

func TestStoreWritesFiles(t *testing.T) {
	dir := t.TempDir()
	in := ctStudy(3, 1).Instances()[0]
	_, err := send(t, dial(t, start(t, pacs.Config{Folder: dir})), in)
	require.NoError(t, err)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Equal(t, []string{filepath.Join(dir, in.SOPInstanceUID+".dcm")}, names)
	f, err := os.Open(names[0])
	require.NoError(t, err)
	defer f.Close()
	meta, o, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, in.FileMeta(), meta)
	h := sha256.New()
	_, err = io.Copy(h, o)
	require.NoError(t, err)
	require.Equal(t, hexOf(in), hex.EncodeToString(h.Sum(nil)))
}

func TestStoreMemoryIsBounded(t *testing.T) {
	st := ctStudy(3, 3)
	size := st.Instances()[0].Size()
	a := dial(t, start(t, pacs.Config{Memory: 2*size + size/2}))
	for _, step := range []struct {
		object int
		want   dimse.Status
	}{
		{0, dimse.Success},
		{1, dimse.Success},
		{2, dimse.OutOfResources},
		{2, dimse.OutOfResources},
		{1, dimse.OutOfResources},
	} {
		status, err := send(t, a, st.Instances()[step.object])
		require.NoError(t, err)
		require.Equal(t, step.want, status)
	}
	// The second copy of an instance gives back what the first took: here room for one is never missing.
	a = dial(t, start(t, pacs.Config{Memory: 2*size + size/2}))
	for range 5 {
		status, err := send(t, a, st.Instances()[0])
		require.NoError(t, err)
		require.Equal(t, dimse.Success, status)
	}
}

func TestStoreRefusesWhatIsNoObject(t *testing.T) {
	a := dial(t, start(t, pacs.Config{Folder: t.TempDir()}))
	in := ctStudy(3, 1).Instances()[0]
	whole, err := io.ReadAll(in.Open())
	require.NoError(t, err)
	for _, test := range []struct {
		name, uid, data string
		status          dimse.Status
	}{
		{"garbage", in.SOPInstanceUID, strings.Repeat("garbage!", 100), dimse.CannotUnderstand},
		{"cut off", in.SOPInstanceUID, string(whole[:len(whole)-100]), dimse.CannotUnderstand},
		{"another UID in the command", "1.2.3", string(whole), dimse.DataSetMismatch},
		{"a path for a UID", "../../etc/passwd", string(whole), dimse.InvalidSOPInstance},
		{"as it should be", in.SOPInstanceUID, string(whole), dimse.Success},
	} {
		t.Run(test.name, func(t *testing.T) {
			rsp, err := a.Store(limit(t), dimse.StoreRequest{
				SOPClassUID: in.SOPClassUID, SOPInstanceUID: test.uid, TransferSyntaxUID: explicit,
			}, strings.NewReader(test.data))
			require.NoError(t, err)
			require.Equal(t, test.status, rsp.Status)
		})
	}
}

func TestStoreFaults(t *testing.T) {
	st := ctStudy(3, 3)
	all := uids(st)
	for _, test := range []struct {
		name   string
		faults pacs.StoreFaults
		want   []dimse.Status
		kept   []string
	}{
		{"warning", pacs.StoreFaults{Status: dimse.CoercionOfDataElements}, []dimse.Status{0xB000, 0xB000, 0xB000}, all},
		{"out of resources, once", pacs.StoreFaults{First: 1, Status: dimse.OutOfResources}, []dimse.Status{0xA700, 0, 0}, all[1:]},
		{"by instance", pacs.StoreFaults{Statuses: map[string]dimse.Status{all[0]: 0x0122, all[1]: 0xC000}}, []dimse.Status{0x0122, 0xC000, 0}, all[2:]},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, pacs.Config{Misbehave: pacs.Misbehave{Store: test.faults}})
			a := dial(t, p)
			for i, in := range st.Instances() {
				status, err := send(t, a, in)
				require.NoError(t, err)
				require.Equal(t, test.want[i], status)
				require.Equal(t, uint16(status), p.Recorder().Log().Stores[i].Status)
				require.Equal(t, hexOf(in), p.Recorder().Log().Stores[i].SHA256)
			}
			images := find(
				t, a, findClass, keys("IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SOPInstanceUID", ""),
			)
			require.Equal(t, test.kept, values(images, dict.SOPInstanceUID))
		})
	}
}

func TestStoreDrops(t *testing.T) {
	in := phantom.New(5, phantom.StudySpec{
		Series: []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 1024, Columns: 1024}},
	}).Instances()[0]
	p := start(t, pacs.Config{
		Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{DropAtObject: 1, DropAfterBytes: 100_000}},
	})
	_, err := send(t, dial(t, p), in)
	require.Error(t, err)
	require.NoError(t, p.Recorder().Wait(limit(t), func(l *pacs.Log) bool { return l.Open == 0 && len(l.Broken) == 1 }))
	log := p.Recorder().Log()
	require.Empty(t, log.Stores)
	require.EqualValues(t, 100_000, log.Broken[0].Bytes)
}

// A destination that stalls reads not one byte more, until it is stopped.
func TestStoreStalls(t *testing.T) {
	in := phantom.New(5, phantom.StudySpec{
		Series: []phantom.SeriesSpec{{Kind: phantom.MultiFrame, Rows: 1024, Columns: 1024, Frames: 32}},
	}).Instances()[0]
	p := start(t, pacs.Config{
		Misbehave: pacs.Misbehave{Store: pacs.StoreFaults{StallAtObject: 1, StallAfterBytes: 200_000}},
	})
	a := dial(t, p)
	stalled := func(l *pacs.Log) bool { return l.BytesReceived >= 200_000 }
	ctx, cancel := context.WithCancel(limit(t))
	done := make(chan error, 1)
	go func() {
		_, err := a.Store(ctx, dimse.StoreRequest{
			SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID, TransferSyntaxUID: in.TransferSyntaxUID,
		}, in.Open())
		done <- err
	}()
	require.NoError(t, p.Recorder().Wait(limit(t), stalled))
	select {
	case <-done:
		require.Fail(t, "64 MiB went into a PACS that does not read")
	default:
	}
	cancel()
	require.ErrorIs(t, <-done, context.Canceled)
	require.EqualValues(t, 200_000, p.Recorder().Log().BytesReceived)
}

// The answer to a C-STORE is held at a gate: the instance is recorded, the peer waits.
func TestStoreGate(t *testing.T) {
	stop := pacs.StopAt(pacs.AtStoreResponse, 1)
	p := start(t, pacs.Config{Gate: stop.Gate})
	in := ctStudy(3, 1).Instances()[0]
	a := dial(t, p)
	done := make(chan dimse.Status, 1)
	go func() {
		status, _ := send(t, a, in)
		done <- status
	}()
	e := <-stop.Reached()
	require.Equal(t, in.SOPInstanceUID, e.SOPInstanceUID)
	require.Equal(t, "TEST", e.CallingAE)
	require.Len(t, p.Recorder().Log().Stores, 1)
	require.Empty(t, done)
	stop.Release()
	require.Equal(t, dimse.Success, <-done)
}
