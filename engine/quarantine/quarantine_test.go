// SPDX-License-Identifier: AGPL-3.0-or-later

package quarantine

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/receive"
)

func arrivalOf(t *testing.T, in *phantom.Instance, cutAt int64) (*receive.Arrival, []byte) {
	t.Helper()
	r := in.Open()
	defer func() { require.NoError(t, r.Close()) }()
	b, err := io.ReadAll(r)
	require.NoError(t, err)
	if cutAt > 0 {
		b = b[:cutAt]
	}
	return receive.NewArrival(&dimse.Incoming{
		SOPClassUID: in.SOPClassUID, SOPInstanceUID: in.SOPInstanceUID,
		TransferSyntaxUID: in.TransferSyntaxUID, Data: bytes.NewReader(b),
	}, func() {}), b
}

// TestQuarantine: an instance is kept whole under a name that says nothing, for the owner alone, within the room there
// is, until it expires.
func TestQuarantine(t *testing.T) {
	in := phantom.New(9, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Rows: 32, Columns: 32}},
	}).Instances()[0]
	dir := filepath.Join(t.TempDir(), "quarantine")
	q, err := OpenQuarantine(dir, time.Hour, in.Size()+1000)
	require.NoError(t, err)
	files := func() []string {
		t.Helper()
		list, err := filepath.Glob(filepath.Join(dir, "*-*"))
		require.NoError(t, err)
		return list
	}

	keep := func(a *receive.Arrival) (kept bool, err error) {
		obj, err := a.Open()
		require.NoError(t, err)
		_, _, kept, err = q.Keep(a.Incoming, obj)
		return kept, err
	}
	damaged, _ := arrivalOf(t, in, in.Size()-100)
	kept, err := keep(damaged)
	require.Error(t, err)
	require.False(t, kept)
	require.Empty(t, files(), "nothing is left of what did not come whole")

	a, data := arrivalOf(t, in, 0)
	_, _, ok := a.UIDs()
	require.True(t, ok, "its header was read before")
	kept, err = keep(a)
	a.Close()
	require.NoError(t, err)
	require.True(t, kept)
	require.Len(t, files(), 1)
	require.NotContains(t, files()[0], in.SOPInstanceUID)
	info, err := os.Stat(files()[0])
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	f, err := os.Open(files()[0])
	require.NoError(t, err)
	meta, obj, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	require.Equal(t, in.SOPInstanceUID, meta.MediaStorageSOPInstanceUID)
	got, err := io.ReadAll(obj)
	require.NoError(t, errors.Join(err, obj.Close(), f.Close()))
	require.True(t, bytes.Equal(data, got))

	second, _ := arrivalOf(t, in, 0)
	kept, err = keep(second)
	require.NoError(t, err)
	require.False(t, kept, "it is full")
	require.Len(t, files(), 1)

	require.NoError(t, q.Expire(time.Now().Add(59*time.Minute)))
	require.Len(t, files(), 1)
	require.NoError(t, q.Expire(time.Now().Add(61*time.Minute)))
	require.Empty(t, files())
	third, _ := arrivalOf(t, in, 0)
	kept, err = keep(third)
	require.NoError(t, err)
	require.True(t, kept, "there is room again")
	third.Close()
	require.NoError(t, q.expire(time.Now().Add(31*time.Minute), 30*time.Minute))
	require.Empty(t, files(), "the site keeps them for less")
}
