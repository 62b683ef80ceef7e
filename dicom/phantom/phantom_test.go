// SPDX-License-Identifier: AGPL-3.0-or-later

package phantom_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	suyashkumar "github.com/suyashkumar/dicom"
	"github.com/suyashkumar/dicom/pkg/tag"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
)

// specOfAll has a series of each kind and transfer syntax.
func specOfAll() phantom.StudySpec {
	return phantom.StudySpec{
		Patient:         phantom.Patient{ID: "PHANTOM-900", Name: "Phantom^Omega", BirthDate: "19700101", Sex: "O"},
		AccessionNumber: "A-1",
		Description:     "Everything",
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 3, Rows: 128, Columns: 96, Description: "CT"},
			{Kind: phantom.MR, Rows: 64, Columns: 64},
			{Kind: phantom.Ultrasound, Rows: 63, Columns: 61, Frames: 3},
			{Kind: phantom.MultiFrame, Rows: 64, Columns: 64, Frames: 4},
			{Kind: phantom.SecondaryCapture, Rows: 64, Columns: 64},
			{Kind: phantom.Report},
			{Kind: phantom.CT, Rows: 32, Columns: 32, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
			{Kind: phantom.Ultrasound, Rows: 33, Columns: 31, Frames: 2, TransferSyntaxUID: dict.RLELossless},
		},
	}
}

func TestSameSeedSameBytes(t *testing.T) {
	one, two, other := phantom.New(7, specOfAll()), phantom.New(7, specOfAll()), phantom.New(8, specOfAll())
	require.NotEqual(t, one.StudyInstanceUID, other.StudyInstanceUID)
	h := sha256.New()
	seen := map[string]bool{one.StudyInstanceUID: true}
	for i, in := range one.Instances() {
		sum := in.SHA256()
		require.Equal(t, sum, two.Instances()[i].SHA256())
		require.NotEqual(t, sum, other.Instances()[i].SHA256())
		h.Write(sum[:])
		require.False(t, seen[in.SOPInstanceUID], "UIDs are unique")
		seen[in.SOPInstanceUID] = true
		require.True(t, strings.HasPrefix(in.SOPInstanceUID, "2.25."))
		require.LessOrEqual(t, len(in.SOPInstanceUID), 64)
	}
	// The same on every machine and in every version: who changes what a phantom looks like changes this digest too.
	require.Equal(t, "493b340cb774793fd8269115f8048737df74b11953c7570cc13bacc0a88e3158", hex.EncodeToString(h.Sum(nil)))
}

func TestSizeIsWhatOpenGives(t *testing.T) {
	for _, in := range phantom.New(7, specOfAll()).Instances() {
		n, err := io.Copy(io.Discard, in.Open())
		require.NoError(t, err)
		require.Equal(t, in.Size(), n, dict.UIDName(in.SOPClassUID))
		require.Zero(t, n%2)
	}
}

// One gigabyte is generated in constant memory.
func TestLargeObjectIsNotHeld(t *testing.T) {
	spec := phantom.StudySpec{
		Series: []phantom.SeriesSpec{{Kind: phantom.MultiFrame, Rows: 1024, Columns: 1024, Frames: 512}},
	}
	in := phantom.New(1, spec).Instances()[0]
	require.Greater(t, in.Size(), int64(1<<30))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := io.CopyN(io.Discard, in.Open(), 128<<20) // the rest is the same, and slow with -race
	runtime.ReadMemStats(&after)
	require.NoError(t, err)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
}

func TestOurParserReadsIt(t *testing.T) {
	for _, in := range phantom.New(7, specOfAll()).Instances() {
		r := in.Open()
		o, err := stream.Open(r, in.TransferSyntaxUID, stream.Limits{})
		require.NoError(t, err)
		require.Equal(t, in.SOPInstanceUID, o.Header().SOPInstanceUID())
		h := sha256.New()
		_, err = io.Copy(h, o)
		require.NoError(t, err)
		require.NoError(t, o.Close())
		require.Equal(t, in.SHA256(), [32]byte(h.Sum(nil)))
	}
}

// A second opinion: the library of suyashkumar parses what we wrote, pixel data included.
func TestSecondOpinion(t *testing.T) {
	for _, in := range phantom.New(7, specOfAll()).Instances() {
		var file bytes.Buffer
		file.Write(in.FileMeta().AppendTo(nil))
		_, err := io.Copy(&file, in.Open())
		require.NoError(t, err)
		ds, err := suyashkumar.Parse(&file, int64(file.Len()), nil)
		require.NoError(t, err, dict.UIDName(in.SOPClassUID))
		e, err := ds.FindElementByTag(tag.SOPInstanceUID)
		require.NoError(t, err)
		require.Equal(t, []string{in.SOPInstanceUID}, e.Value.GetValue())
		_, err = ds.FindElementByTag(tag.PixelData)
		require.Equal(t, in.Series().Spec.Kind == phantom.Report, err != nil)
	}
}

// dciodvfy of dicom3tools finds no error, and DCMTK decodes the run lengths.
func TestValidator(t *testing.T) {
	dir := t.TempDir()
	paths, err := phantom.New(7, specOfAll()).WriteFiles(dir)
	require.NoError(t, err)
	for _, st := range phantom.DemoStudies() {
		more, err := st.WriteFiles(filepath.Join(dir, st.StudyInstanceUID))
		require.NoError(t, err)
		for i, in := range st.Instances() {
			if in.Number == 1 {
				paths = append(paths, more[i])
			}
		}
	}
	for _, path := range paths {
		out, err := exec.Command("dciodvfy", path).CombinedOutput()
		require.NotErrorIs(t, err, exec.ErrNotFound, "install dicom3tools: %v", err) // its exit code says nothing
		require.NotEmpty(t, out)
		for line := range strings.Lines(string(out)) {
			require.False(t, strings.HasPrefix(line, "Error"), "%s: %s", path, out)
		}
	}
}

func TestRunLengthsDecode(t *testing.T) {
	spec := specOfAll()
	dir := t.TempDir()
	paths, err := phantom.New(7, spec).WriteFiles(dir)
	require.NoError(t, err)
	rle := len(spec.Series) - 1
	plain := filepath.Join(dir, "plain.dcm")
	out, err := exec.Command("dcmdrle", paths[len(paths)-1], plain).CombinedOutput()
	require.NoError(t, err, "%s", out)

	spec.Series[rle].TransferSyntaxUID = ""
	want, got := pixelData(t, phantom.New(7, spec).Series[rle].Instances[0].Open()), pixelDataOfFile(t, plain)
	require.Equal(t, want, got)
}

func pixelDataOfFile(t *testing.T, path string) []byte {
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	_, o, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	return tail(t, o)
}

func pixelData(t *testing.T, r io.Reader) []byte {
	o, err := stream.Open(r, dict.ExplicitVRLittleEndian, stream.Limits{})
	require.NoError(t, err)
	return tail(t, o)
}

// tail returns the value of Pixel Data, which comes last.
func tail(t *testing.T, o *stream.Object) []byte {
	b, err := io.ReadAll(o)
	require.NoError(t, err)
	at := bytes.LastIndex(b, []byte{0xE0, 0x7F, 0x10, 0x00, 'O'})
	require.Positive(t, at)
	return b[at+12:]
}

func TestNamesKeepTheirCharacters(t *testing.T) {
	sets := map[string]bool{}
	for _, st := range phantom.DemoStudies() {
		p := st.Spec.Patient
		sets[strings.Join(p.CharacterSet, `\`)] = true
		ds := st.Instances()[0].Attributes()
		require.Equal(t, p.Name, ds.String(dict.PatientName))
		if len(p.CharacterSet) > 0 {
			require.Equal(
				t, strings.Join(p.CharacterSet, `\`), strings.Join(ds.Strings(dict.SpecificCharacterSet), `\`),
			)
		}
	}
	require.Len(t, sets, 7)
}
