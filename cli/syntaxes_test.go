// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/dimse"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/dicom/ul"
	"github.com/adit-go/adit/internal/testpeer"
)

// transferSyntaxes are one of each way in which a data set can be encoded, and more.
var transferSyntaxes = []string{
	dict.ImplicitVRLittleEndian, dict.ExplicitVRLittleEndian,
	dict.ExplicitVRBigEndian, dict.DeflatedExplicitVRLittleEndian,
	dict.EncapsulatedUncompressedExplicitVRLittleEndian, dict.RLELossless,
	dict.JPEGBaseline8Bit, dict.JPEGExtended12Bit, dict.JPEGLosslessSV1,
	dict.JPEGLSLossless, dict.JPEGLSNearLossless, dict.JPEG2000Lossless,
	dict.JPEG2000, dict.HTJ2KLossless, dict.MPEG2MPML,
	dict.MPEG4HP41, dict.DeflatedImageFrameCompression, dict.JPIPReferenced,
	dict.JPIPReferencedDeflate, "1.2.840.113619.5.2", "2.25.47110815",
}

// dataSetIn makes a data set of a transfer syntax, with an end of odd length or without.
func dataSetIn(t *testing.T, class, uid, syntax string, odd bool) []byte {
	t.Helper()
	ts := dict.TransferSyntaxOf(syntax)
	d := &stream.DataSet{}
	d.Set(dict.SOPClassUID, class)
	d.Set(dict.SOPInstanceUID, uid)
	d.Set(dict.Modality, "CT")
	d.Set(dict.PatientID, "HOSPITAL-47")
	d.Set(dict.StudyInstanceUID, "2.25.1")
	d.Set(dict.SeriesInstanceUID, "2.25.2")
	if ts.Deflated {
		for n := 0; ; n++ { // until it ends as it should; the file has no NULL byte behind it
			d.Set(dict.InstanceNumber, strconv.Itoa(n))
			b, err := d.Encode(syntax)
			require.NoError(t, err)
			if _, padded := bytes.CutSuffix(b, []byte{0}); padded == odd {
				return bytes.TrimSuffix(b, []byte{0})
			}
		}
	}
	pixels := bytes.Repeat([]byte{7}, 4000)
	if ts.Encapsulated || !ts.Known {
		item := []byte{0xFE, 0xFF, 0x00, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0x00, 0xE0, 0xA0, 0x0F, 0, 0}
		pixels = append(append(item, pixels...), 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0)
	}
	d.SetBytes(dict.PixelData, dict.OB, pixels)
	b, err := d.Encode(syntax)
	require.NoError(t, err)
	if odd {
		b = stream.EncodingOf(ts).AppendHead(b, dict.DataSetTrailingPadding, dict.OB, 3)
		b = append(b, 0, 0, 0)
	}
	return b
}

// TestToolsKeepDataSets: what store sends and get writes are the data sets as they are, in every transfer syntax, but
// for the NULL byte that makes an odd one even. What deid writes has the same content.
func TestToolsKeepDataSets(t *testing.T) {
	files, received, got, clean := t.TempDir(), t.TempDir(), t.TempDir(), t.TempDir()
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Folder: received})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	port := strconv.Itoa(p.Port())
	want := map[string][]byte{}
	for i, syntax := range transferSyntaxes {
		for j, odd := range []bool{false, true} {
			uid := fmt.Sprintf("2.25.3.%d", 2*i+j)
			b := dataSetIn(t, dict.CTImageStorage, uid, syntax, odd)
			require.Equal(t, odd, len(b)%2 == 1, syntax)
			meta := stream.FileMeta{
				MediaStorageSOPClassUID:    dict.CTImageStorage,
				MediaStorageSOPInstanceUID: uid, TransferSyntaxUID: syntax,
			}
			file := meta.AppendTo(nil)
			want[uid+".dcm"] = append(bytes.Clone(file), append(b, make([]byte, len(b)%2)...)...)
			require.NoError(t, os.WriteFile(
				filepath.Join(files, uid+".dcm"), want[uid+".dcm"][:len(file)+len(b)], 0o600,
			))
		}
	}
	out, errs, code := runAdit(t, "store", "127.0.0.1", port, "-aec", "PACS", files)
	require.Zero(t, code, out+errs)
	for name, b := range want {
		require.Equal(t, string(b), tree(t, received)[name], name)
	}

	out, errs, code = runAdit(
		t, "get", "127.0.0.1", port, "-aec", "PACS", "-k",
		"StudyInstanceUID=2.25.1", "--sop-class", dict.CTImageStorage, "-od", got,
	)
	require.Equal(t, command.ExitFailure, code, "private transfer syntaxes are not proposed: "+out+errs)
	arrived := tree(t, got)
	require.Len(t, arrived, 2*(len(transferSyntaxes)-2))
	for name, b := range arrived {
		require.Equal(t, string(want[name]), b, name)
	}

	out, errs, code = runAdit(t, "deid", "--key-file", keyFile(t), "--pseudonym", "P-1", files, clean)
	require.Zero(t, code, out+errs)
	require.Contains(t, out, "4 instances are left out, as the profile says: pixel data lies elsewhere (JPIP)")
	written := tree(t, clean)
	require.Len(t, written, len(want)-4)
	for _, b := range written {
		_, o, err := stream.OpenFile(strings.NewReader(b), stream.Limits{})
		require.NoError(t, err)
		require.Equal(t, "P-1", o.Header().Text(dict.PatientID))
		_, err = io.Copy(io.Discard, o)
		require.NoError(t, err)
		require.NoError(t, o.Close())
	}
}

// TestStoreGoesOn: a file at which the server aborts, and one that is damaged where part of it has been sent, are
// named; the rest goes on.
func TestStoreGoesOn(t *testing.T) {
	dir := t.TempDir()
	write := func(uid string, pixels, cut int) string {
		d := &stream.DataSet{}
		d.Set(dict.SOPClassUID, dict.CTImageStorage)
		d.Set(dict.SOPInstanceUID, uid)
		d.SetBytes(dict.PixelData, dict.OW, make([]byte, pixels))
		b, err := d.Encode(dict.ExplicitVRLittleEndian)
		require.NoError(t, err)
		meta := stream.FileMeta{
			MediaStorageSOPClassUID: dict.CTImageStorage, MediaStorageSOPInstanceUID: uid,
			TransferSyntaxUID: dict.ExplicitVRLittleEndian,
		}
		path := filepath.Join(dir, uid+".dcm")
		require.NoError(t, os.WriteFile(path, append(meta.AppendTo(nil), b[:len(b)-cut]...), 0o600))
		return path
	}
	// an abort may be overtaken by the end of its connection
	const aborted = "(the peer aborted the association|the connection was lost)"
	bad := map[string]string{
		write("1.2", 100, 0):     aborted,
		write("1.3", 4<<20, 10):  "the file can't be read to its end",
		write("1.4", 100, 10):    "the file can't be read to its end",
		write("1.6", 4<<20, 100): "the file can't be read to its end",
		write("1.7", 100, 0):     aborted,
		write("1.9", 4<<20, 0):   aborted,
	}
	for _, uid := range []string{"1.1", "1.5", "1.8"} {
		write(uid, 100, 0)
	}
	var stored []string
	var mu sync.Mutex
	server := &dimse.Server{
		Choose: func(_ *dimse.AssociationRequest, c ul.ContextRQ) (string, ul.ContextResult) {
			return c.TransferSyntaxes[0], ul.ContextAccepted
		},
		Store: func(_ context.Context, a *dimse.ServerAssociation, in *dimse.Incoming) dimse.StoreResponse {
			if bad[filepath.Join(dir, in.SOPInstanceUID+".dcm")] == aborted {
				a.Abort()
				return dimse.StoreResponse{}
			}
			if _, err := io.Copy(io.Discard, in.Data); err == nil {
				mu.Lock()
				defer mu.Unlock()
				stored = append(stored, in.SOPInstanceUID)
			}
			return dimse.StoreResponse{}
		},
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- server.Serve(ctx, l) }()
	t.Cleanup(func() { cancel(); require.NoError(t, <-served) })
	port := strconv.Itoa(l.Addr().(*net.TCPAddr).Port)

	out, errs, code := runAdit(t, "store", "127.0.0.1", port, dir)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(t, out, "3 instances were stored, 6 failed, 0 files are not DICOM")
	for path, why := range bad {
		require.Regexp(t, regexp.QuoteMeta(path)+": "+why, errs)
	}
	mu.Lock()
	defer mu.Unlock()
	require.Equal(t, []string{"1.1", "1.5", "1.8"}, stored)
}

// TestStoreSaysWhatIsLeft: where the server is gone, what was not sent is counted.
func TestStoreSaysWhatIsLeft(t *testing.T) {
	paths, err := phantom.DemoStudies()[11].WriteFiles(t.TempDir())
	require.NoError(t, err)
	_, errs, code := runAdit(t, append([]string{"store", "127.0.0.1", strconv.Itoa(testpeer.Port(t))}, paths...)...)
	require.Equal(t, command.ExitFailure, code)
	require.Contains(
		t, errs, fmt.Sprintf("0 instances were stored, 0 failed, %d files were not sent: cannot connect", len(paths)),
	)
}

// storedAt starts a server that holds an object of each SOP class and transfer syntax, and gives the files.
func storedAt(t *testing.T, m pacs.Misbehave, objects ...[2]string) (port string, files map[string]string) {
	t.Helper()
	sent := t.TempDir()
	p, err := pacs.Start(pacs.Config{AETitle: "PACS", Memory: 1 << 20})
	require.NoError(t, err)
	p.SetMisbehave(m)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	port = strconv.Itoa(p.Port())
	for i, o := range objects {
		uid := fmt.Sprintf("2.25.3.%d", i)
		meta := stream.FileMeta{MediaStorageSOPClassUID: o[0], MediaStorageSOPInstanceUID: uid, TransferSyntaxUID: o[1]}
		require.NoError(t, os.WriteFile(
			filepath.Join(sent, uid+".dcm"), append(meta.AppendTo(nil), dataSetIn(t, o[0], uid, o[1], false)...), 0o600,
		))
	}
	out, errs, code := runAdit(t, "store", "127.0.0.1", port, "-aec", "PACS", sent)
	require.Zero(t, code, out+errs)
	return port, tree(t, sent)
}

// TestGetOfSeveralSyntaxes: objects of one study come as they are stored, whatever their SOP classes and transfer
// syntaxes.
func TestGetOfSeveralSyntaxes(t *testing.T) {
	port, files := storedAt(
		t, pacs.Misbehave{},
		[2]string{dict.CTImageStorage, dict.ExplicitVRLittleEndian}, [2]string{dict.CTImageStorage, dict.RLELossless},
		[2]string{dict.CTImageStorage, dict.HTJ2KLossless}, [2]string{dict.CTImageStorage, dict.JPEGXL},
		[2]string{dict.VideoEndoscopicImageStorage, dict.MPEG4HP41}, [2]string{"2.25.4711", dict.JPEG2000},
		[2]string{dict.BasicTextSRStorage, dict.ImplicitVRLittleEndian},
		[2]string{dict.UltrasoundImageStorageRetired, dict.JPEGBaseline8Bit},
		[2]string{dict.ImplantTemplateGroupStorage, dict.DeflatedExplicitVRLittleEndian},
	)
	got := t.TempDir()
	_, errs, code := runAdit(t, "get", "127.0.0.1", port, "-aec", "PACS", "-k", "StudyInstanceUID=2.25.1", "-od", got)
	require.Zero(t, code, errs)
	require.Equal(t, files, tree(t, got))
}

// TestGetSaysWhatIsMissing: what isn't proposed can't be sent, and the error says what to do.
func TestGetSaysWhatIsMissing(t *testing.T) {
	plain, rare := [2]string{dict.CTImageStorage, dict.ExplicitVRLittleEndian},
		[2]string{"2.25.4711", dict.JPIPReferenced}
	port, files := storedAt(t, pacs.Misbehave{}, plain, rare)
	got := t.TempDir()
	get := []string{"get", "127.0.0.1", port, "-aec", "PACS", "-k", "StudyInstanceUID=2.25.1", "-od", got}
	_, errs, code := runAdit(t, get...)
	require.Equal(t, command.ExitFailure, code, errs)
	require.Contains(t, errs, "not sent: 2.25.3.1\n1 instance received\n", "named once")
	require.Contains(t, errs, "1 of 2 instances arrived")
	require.Contains(t, errs, "missing instances by --sop-class UID; adit find -k QueryRetrieveLevel=IMAGE")
	_, errs, code = runAdit(t, append(get, "--sop-class", dict.MRImageStorage)...)
	require.Equal(t, command.ExitFailure, code, errs)
	require.Contains(t, errs, "They may be of other SOP classes than those named by --sop-class")
	_, errs, code = runAdit(t, append(get, "--sop-class", rare[0])...)
	require.Equal(t, command.ExitFailure, code, errs)
	require.Equal(t, files, tree(t, got))
	_, errs, code = runAdit(t, append(get, "--sop-class", rare[0], "--sop-class", plain[0])...)
	require.Zero(t, code, errs)
}

// TestGetOverSeveralAssociations: what came over all of them is held against what the server says over each.
func TestGetOverSeveralAssociations(t *testing.T) {
	success := dimse.Success
	first, later := [2]string{dict.CTImageStorage, dict.HTJ2KLossless},
		[2]string{dict.UltrasoundImageStorageRetired, dict.RLELossless}
	for name, c := range map[string]struct {
		faults  pacs.GetFaults
		missing string // "": all is known to have arrived
	}{
		"honest":                  {},
		"no counts":               {faults: pacs.GetFaults{NoCounts: true}},
		"no list":                 {faults: pacs.GetFaults{NoFailedList: true}},
		"neither counts nor list": {faults: pacs.GetFaults{NoCounts: true, NoFailedList: true}, missing: "2 instances arrived"},
		"success in any case":     {faults: pacs.GetFaults{FinalStatus: &success}},
		"more counted than sent":  {faults: pacs.GetFaults{Counts: &dimse.Counts{Completed: dimse.Counted(3)}}, missing: "2 of 3 instances arrived"},
		"each sent twice":         {faults: pacs.GetFaults{TwiceAll: true}},
	} {
		t.Run(name, func(t *testing.T) {
			port, files := storedAt(
				t, pacs.Misbehave{Get: c.faults, Find: pacs.FindFaults{Status: dimse.ProcessingFailure}}, first, later,
			)
			got := t.TempDir()
			_, errs, code := runAdit(
				t, "get", "127.0.0.1", port, "-aec", "PACS", "-k", "StudyInstanceUID=2.25.1", "-od", got,
			)
			require.Equal(t, c.missing != "", code == command.ExitFailure, errs)
			require.Contains(t, errs, c.missing)
			require.Equal(t, files, tree(t, got))
		})
	}
}

// TestGetFromOrthanc: it sends nothing at all over an association over which it can't send all.
func TestGetFromOrthanc(t *testing.T) {
	o := testpeer.Orthanc(t, []string{testpeer.NoDelay}, nil)
	_, files := storedAt(
		t, pacs.Misbehave{},
		[2]string{dict.UltrasoundImageStorageRetired, dict.RLELossless},
		[2]string{dict.CTImageStorage, dict.ExplicitVRLittleEndian},
		[2]string{dict.VideoEndoscopicImageStorage, dict.MPEG4HP41},
		[2]string{dict.DigitalXRayImageStorageForPresentation, dict.JPEG2000},
		[2]string{dict.MRImageStorage, dict.JPEGLosslessSV1},
		[2]string{dict.BasicTextSRStorage, dict.ImplicitVRLittleEndian},
	)
	for name, file := range files {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(file), 0o600))
		o.Upload(t, path)
	}
	got := t.TempDir()
	_, errs, code := runAdit(t, "get", "127.0.0.1", strconv.Itoa(o.Port), "-k", "StudyInstanceUID=2.25.1", "-od", got)
	require.Zero(t, code, errs)
	require.Len(t, tree(t, got), len(files))
}
