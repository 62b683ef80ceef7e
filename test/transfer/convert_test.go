// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// held is an object that a PACS is given, and holds as it is.
type held struct {
	study, class, uid, syntax string
	data                      []byte
}

// heldFile reads a DICOM file, and converts it if it is to be held in another transfer syntax.
func heldFile(t *testing.T, path, syntax string) held {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	meta, obj, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	defer obj.Close()
	h := held{
		study: obj.Header().Text(dict.StudyInstanceUID),
		class: meta.MediaStorageSOPClassUID, uid: meta.MediaStorageSOPInstanceUID,
		syntax: meta.TransferSyntaxUID,
	}
	if syntax != "" {
		require.NoError(t, obj.ConvertTo(syntax))
		h.syntax = syntax
	}
	h.data, err = io.ReadAll(obj)
	require.NoError(t, err)
	return h
}

func sha(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// give stores objects in a PACS.
func give(t *testing.T, p *pacs.PACS, objects ...held) {
	t.Helper()
	var contexts []dimse.Context
	for _, o := range objects {
		contexts = append(contexts, dimse.Context{AbstractSyntax: o.class, TransferSyntaxes: []string{o.syntax}})
	}
	a, err := dimse.Dial(
		t.Context(), dimse.Config{Addr: p.Addr(), CallingAE: "TEST", CalledAE: "SRC", Contexts: contexts},
	)
	require.NoError(t, err)
	defer a.Abort()
	for _, o := range objects {
		rsp, err := a.Store(
			t.Context(), dimse.StoreRequest{SOPClassUID: o.class, SOPInstanceUID: o.uid, TransferSyntaxUID: o.syntax},
			bytes.NewReader(o.data),
		)
		require.NoError(t, err)
		require.Equal(t, dimse.Success, rsp.Status)
	}
	require.NoError(t, a.Release(t.Context()))
}

// TestConverted: a source that holds its instances in one transfer syntax, and sends nothing else, has them converted
// on the way for a destination that takes another: by the source's own word, or as a last resort where it says nothing
// of it. What need not be converted arrives byte for byte.
func TestConverted(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	silent := pacs.Misbehave{Find: pacs.FindFaults{OmitKeys: []dict.Tag{dict.AvailableTransferSyntaxUID}}}
	for _, tt := range []struct {
		name, file, syntax string
		takes              []string
		arrives            string
	}{
		{"big endian to implicit", "MR_small_bigendian.dcm", "", []string{dict.ImplicitVRLittleEndian}, dict.ImplicitVRLittleEndian},
		{"big endian to explicit", "MR_small_bigendian.dcm", "", plain, dict.ExplicitVRLittleEndian},
		{"big endian as it is", "MR_small_bigendian.dcm", "", []string{dict.ImplicitVRLittleEndian, dict.ExplicitVRBigEndian}, dict.ExplicitVRBigEndian},
		{"deflated to implicit", "MR_small.dcm", dict.DeflatedExplicitVRLittleEndian, []string{dict.ImplicitVRLittleEndian}, dict.ImplicitVRLittleEndian},
		{"deflated as it is", "MR_small.dcm", dict.DeflatedExplicitVRLittleEndian, append([]string{dict.DeflatedExplicitVRLittleEndian}, plain...), dict.DeflatedExplicitVRLittleEndian},
		{"explicit to implicit", "MR_small.dcm", "", []string{dict.ImplicitVRLittleEndian}, dict.ImplicitVRLittleEndian},
		{"implicit to explicit", "MR_small.dcm", dict.ImplicitVRLittleEndian, []string{dict.ExplicitVRLittleEndian}, dict.ExplicitVRLittleEndian},
		{"implicit as it is", "MR_small.dcm", dict.ImplicitVRLittleEndian, plain, dict.ImplicitVRLittleEndian},
	} {
		for how, faults := range map[string]pacs.Misbehave{"": {}, ", silent source": silent} {
			t.Run(tt.name+how, func(t *testing.T) {
				t.Parallel()
				object := heldFile(t, testpeer.Pydicom(t, "test_files/"+tt.file), tt.syntax)
				src := startPACS(t, pacs.Config{Memory: 16 << 20, Misbehave: faults})
				give(t, src, object)
				dst := startPACS(t, pacs.Config{StorageSyntaxes: tt.takes, Memory: 16 << 20})
				source, destination := addPair(n, src, dst, nil)
				job := n.Wait(n.Transfer(source, destination, object.study).ID)
				require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
				stores := dst.Recorder().Log().Stores
				require.Len(t, stores, 1)
				require.Equal(t, tt.arrives, stores[0].TransferSyntaxUID)
				if tt.arrives == object.syntax {
					require.Equal(t, sha(object.data), stores[0].SHA256, "not one byte changes")
					return
				}
				require.Equal(t, sha(converted(t, object, tt.arrives)), stores[0].SHA256)
			})
		}
	}
}

// converted returns the data set that an object becomes.
func converted(t *testing.T, o held, to string) []byte {
	t.Helper()
	obj, err := stream.Open(bytes.NewReader(o.data), o.syntax, stream.Limits{})
	require.NoError(t, err)
	defer obj.Close()
	require.NoError(t, obj.ConvertTo(to))
	b, err := io.ReadAll(obj)
	require.NoError(t, err)
	return b
}

// TestNotConverted: what is compressed is never decoded: it fails with words that name the reason.
func TestNotConverted(t *testing.T) {
	object := heldFile(t, testpeer.Pydicom(t, "test_files/MR_small_RLE.dcm"), "")
	require.True(t, dict.TransferSyntaxOf(object.syntax).Encapsulated)
	src := startPACS(t, pacs.Config{Memory: 16 << 20})
	give(t, src, object)
	dst := startPACS(t, pacs.Config{StorageSyntaxes: plain})
	n := harness.New(t, harness.Config{})
	source, destination := addPair(n, src, dst, nil)
	job := n.Wait(n.Transfer(source, destination, object.study).ID)
	require.Equal(t, jobs.Failure, job.Status)
	require.Contains(t, n.Task(job.ID).Message, "in a transfer syntax that the destination takes")
	require.Empty(t, dst.Recorder().Log().Stores)
}

// TestFolderTakesAsHeld: a folder takes every transfer syntax, and each file names the one that its data set has.
func TestFolderTakesAsHeld(t *testing.T) {
	big, deflated := heldFile(t, testpeer.Pydicom(t, "test_files/MR_small_bigendian.dcm"), ""),
		heldFile(t, testpeer.Pydicom(t, "test_files/CT_small.dcm"), dict.DeflatedExplicitVRLittleEndian)
	src := startPACS(t, pacs.Config{Memory: 16 << 20})
	give(t, src, big, deflated)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	dir := t.TempDir()
	n.AddFolder("folder", dir)
	job := n.Wait(n.Transfer("source", "folder", big.study, deflated.study).ID)
	require.Equal(t, jobs.Success, job.Status)
	for _, want := range []held{big, deflated} {
		var files []string
		require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Name() == want.uid+".dcm" {
				files = append(files, path)
			}
			return err
		}))
		require.Len(t, files, 1)
		got := heldFile(t, files[0], "")
		require.Equal(t, want.syntax, got.syntax)
		require.True(t, slices.Equal(want.data, got.data))
	}
}

// TestUnusualButWhole: data sets of odd length, and with delimiters that end nothing, are delivered as they are, by
// each way in and to each kind of destination. The NULL byte that makes one even is part of what is received.
func TestUnusualButWhole(t *testing.T) {
	n := harness.New(t, harness.Config{Workers: 4})
	whole := heldFile(t, testpeer.Pydicom(t, "test_files/MR_small.dcm"), "")
	odd := append(bytes.Clone(whole.data), "\xFC\xFF\xFC\xFFOB\x00\x00\x03\x00\x00\x00odd"...)
	stray := append(bytes.Clone(whole.data), "\xFE\xFF\x0D\xE0\x00\x00\x00\x00"...)
	deflated := heldFile(t, testpeer.Pydicom(t, "test_files/image_dfl.dcm"), "")
	require.NotZero(t, len(deflated.data)%2)
	for name, object := range map[string]held{
		"odd":      {whole.study, whole.class, whole.uid, whole.syntax, odd},
		"stray":    {whole.study, whole.class, whole.uid, whole.syntax, stray},
		"deflated": deflated,
	} {
		want := append(bytes.Clone(object.data), make([]byte, len(object.data)%2)...)
		for way, change := range map[string]func(*nodes.NewServer){"C-GET": nil, "C-MOVE": byMove} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				src, dst := startPACS(t, pacs.Config{Memory: 16 << 20, MoveDestinations: movesTo(n)}),
					startPACS(t, pacs.Config{})
				give(t, src, object)
				source, destination := addPair(n, src, dst, change)
				job := n.Wait(n.Transfer(source, destination, object.study).ID)
				require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
				require.Equal(t, sha(want), dst.Recorder().Log().Stores[0].SHA256)

				dir := t.TempDir()
				n.AddFolder(source+" disk", dir)
				job = n.Wait(n.Transfer(source, source+" disk", object.study).ID)
				require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
				files, err := filepath.Glob(filepath.Join(dir, "*/*/*/*/*.dcm"))
				require.NoError(t, err)
				require.Len(t, files, 1)
				content, err := os.ReadFile(files[0])
				require.NoError(t, err)
				require.Equal(t, sha(want), sha(dataSetOf(t, content)))
			})
		}
	}
}
