// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs/pacstest"
	"github.com/adit-go/adit/dicom/stream"
)

const (
	framesStudy = "1.2.826.0.1.3680043.2.1125.7"
	framesUID   = framesStudy + ".1.1"
	framesName  = "Framesmith"
)

// writeFrames writes an Enhanced MR whose functional groups of so many frames are far larger than a header may be.
func writeFrames(t *testing.T, path string, frames int) {
	t.Helper()
	d := &stream.DataSet{}
	d.Set(dict.ImageType, `ORIGINAL\PRIMARY\T1\NONE`)
	d.Set(dict.SOPClassUID, dict.EnhancedMRImageStorage)
	d.Set(dict.SOPInstanceUID, framesUID)
	d.Set(dict.StudyDate, "20240229")
	d.Set(dict.Modality, "MR")
	d.Set(dict.PatientName, framesName+"^Ada")
	d.Set(dict.PatientID, patientID)
	d.Set(dict.StudyInstanceUID, framesStudy)
	d.Set(dict.SeriesInstanceUID, framesStudy+".1")
	d.Set(dict.NumberOfFrames, fmt.Sprint(frames))
	d.SetInt(dict.Rows, 1)
	d.SetInt(dict.Columns, 1)
	d.SetInt(dict.BitsAllocated, 16)
	d.Set(dict.BurnedInAnnotation, "NO")
	head, err := d.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)

	const counter = "0000000"
	nested := func(texts map[dict.Tag]string) *stream.DataSet {
		n := &stream.DataSet{}
		for tag, text := range texts {
			n.Set(tag, text)
		}
		return n
	}
	item := &stream.DataSet{}
	item.SetVR(0x00190010, dict.LO, "SIEMENS MR HEADER")
	item.SetVR(0x00191008, dict.CS, framesName)
	item.SetBytes(0x00191011, dict.OB, make([]byte, 1600))
	item.SetSequence(dict.ReferencedImageSequence, nested(map[dict.Tag]string{
		dict.ReferencedSOPClassUID: dict.MRImageStorage, dict.ReferencedSOPInstanceUID: "1.2.3.1" + counter,
	}))
	item.SetSequence(dict.FrameContentSequence, nested(map[dict.Tag]string{
		dict.FrameAcquisitionDateTime: "20240229120000.5", dict.FrameComments: framesName, dict.StackID: "1",
	}))
	item.SetSequence(
		dict.PlanePositionSequence, nested(map[dict.Tag]string{dict.ImagePositionPatient: `1.5\2.5\` + counter}),
	)
	one, err := item.Encode(dict.ExplicitVRLittleEndian)
	require.NoError(t, err)

	f, err := os.Create(path)
	require.NoError(t, err)
	defer f.Close()
	w := bufio.NewWriterSize(f, 1<<20)
	meta := stream.FileMeta{
		MediaStorageSOPClassUID:    dict.EnhancedMRImageStorage,
		MediaStorageSOPInstanceUID: framesUID, TransferSyntaxUID: dict.ExplicitVRLittleEndian,
	}
	put := func(b []byte) { _, _ = w.Write(b) } // its error is Flush's
	put(meta.AppendTo(nil))
	put(head)
	enc := stream.EncodingOf(dict.TransferSyntaxOf(dict.ExplicitVRLittleEndian))
	put(enc.AppendHead(nil, dict.PerFrameFunctionalGroupsSequence, dict.SQ, stream.UndefinedLength))
	for i := range frames {
		put(binary.LittleEndian.AppendUint32([]byte{0xFE, 0xFF, 0x00, 0xE0}, uint32(len(one))))
		put(bytes.ReplaceAll(one, []byte(counter), fmt.Appendf(nil, "%07d", i)))
	}
	put(enc.AppendHead(nil, dict.SequenceDelimitationTag, 0, 0))
	put(enc.AppendHead(nil, dict.PixelData, dict.OW, uint32(2*frames)))
	put(make([]byte, 2*frames))
	require.NoError(t, w.Flush())
}

// requireFrames reads a file that was de-identified: it is whole, has every frame, and the name nowhere.
func requireFrames(t *testing.T, path string, frames int) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, o, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.NotEqual(t, framesUID, o.Header().SOPInstanceUID())
	found := &finder{}
	_, err = io.Copy(found, o)
	require.NoError(t, err)
	require.Equal(t, frames, found.frames)
	require.False(t, found.named)
}

// finder looks for frames, and for the name, in what is written to it.
type finder struct {
	tail   []byte
	frames int
	named  bool
}

func (f *finder) Write(p []byte) (int, error) {
	mark := []byte(`1.5\2.5\`)
	f.tail = append(f.tail, p...)
	f.frames += bytes.Count(f.tail, mark)
	f.named = f.named || bytes.Contains(f.tail, []byte(framesName))
	f.tail = append(f.tail[:0], f.tail[max(0, len(f.tail)-len(mark)+1):]...) // no mark goes over it twice
	return len(p), nil
}

// manyFrames has an object of so many frames de-identified by the command and on a transfer, and gives the most memory
// that each took.
func manyFrames(t *testing.T, frames int) (command, server int64) {
	t.Helper()
	dir := t.TempDir()
	in, out, key, kept := filepath.Join(dir, "in.dcm"), filepath.Join(dir, "out"), filepath.Join(dir, "key"),
		filepath.Join(dir, "kept")
	writeFrames(t, in, frames)
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("0f1e2d3c", 8)+"\n"), 0o600))
	cmd := exec.CommandContext(t.Context(), program, "deid", "--key-file", key, "--pseudonym", "P-1", in, out)
	cmd.SysProcAttr = dieWithParent()
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", said)
	command = maxRSS(cmd)
	files, err := filepath.Glob(filepath.Join(out, "*", "*", "*.dcm"))
	require.NoError(t, err)
	require.Len(t, files, 1)
	requireFrames(t, files[0], frames)
	require.NoError(t, os.RemoveAll(out))

	require.NoError(t, os.Mkdir(kept, 0o700))
	from, to := pacstest.Start(t, "-folder="+kept), pacstest.Start(t)
	s := serve(t, newDataDir(t))
	s.addServer("from", from.Addr, 0)
	s.addServer("to", to.Addr, 0)
	host, port, _ := strings.Cut(from.Addr, ":")
	said2, code := s.adit("store", host, port, in)
	require.Zero(t, code, said2)
	for _, study := range []client.NewStudy{
		{StudyInstanceUID: framesStudy}, {StudyInstanceUID: framesStudy, Pseudonym: "P-1"},
	} {
		job, err := s.Jobs.Create(t.Context(), client.NewJob{
			Kind: client.SelectiveTransfer, Source: "from", Destination: "to", Studies: []client.NewStudy{study},
		}, "")
		require.NoError(t, err)
		require.Equal(t, client.Success, s.awaitFinal(job.ID).Status, s.task(job.ID).Message)
	}
	stores := to.Log(t).Stores
	require.Len(t, stores, 2)
	require.Equal(t, framesUID, stores[0].SOPInstanceUID)
	require.NotEqual(t, framesUID, stores[1].SOPInstanceUID)
	return command, memory(t, s.cmd.Process.Pid)
}

// TestManyFrames: an object whose header passes the limit.
func TestManyFrames(t *testing.T) {
	command, server := manyFrames(t, 12_000)
	t.Logf("most memory: adit deid %.1f MB, adit serve %.1f MB", float64(command)/1e6, float64(server)/1e6)
}

// maxRSS is the most that a process which has ended had in memory.
func maxRSS(cmd *exec.Cmd) int64 { return cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss << 10 }
