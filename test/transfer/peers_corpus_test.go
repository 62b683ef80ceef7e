// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"encoding/binary"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

// corpus is a folder of DICOM files for a real program to begin with.
type corpus struct {
	files    map[string]string // path by SOP Instance UID
	syntax   map[string]string // transfer syntax by SOP Instance UID
	studies  []string
	phantoms []*phantom.Study
	dir      string
}

func newCorpus(t *testing.T) *corpus {
	return &corpus{files: map[string]string{}, syntax: map[string]string{}, dir: t.TempDir()}
}

func (c *corpus) add(uid, syntax, study, path string) {
	c.files[uid], c.syntax[uid] = path, syntax
	if !slices.Contains(c.studies, study) {
		c.studies = append(c.studies, study)
	}
}

// The files of python3-pydicom that the tests take. Many of them are one instance in several transfer syntaxes.
var (
	plainFiles = []string{
		"test_files/MR_small.dcm", "test_files/MR_small_bigendian.dcm",
		"test_files/MR_small_implicit.dcm", "test_files/MR_small_padded.dcm",
		"test_files/SC_rgb_small_odd.dcm", "test_files/liver_1frame.dcm",
		"test_files/rtplan.dcm", "test_files/reportsi.dcm",
		"test_files/test-SR.dcm", "test_files/waveform_ecg.dcm", "test_files/image_dfl.dcm",
		"charset_files/chrArab.dcm", "charset_files/chrFrenMulti.dcm",
		"charset_files/chrGreek.dcm", "charset_files/chrH32.dcm",
		"charset_files/chrHbrw.dcm", "charset_files/chrI2.dcm",
		"charset_files/chrJapMulti.dcm", "charset_files/chrKoreanMulti.dcm",
		"charset_files/chrRuss.dcm", "charset_files/chrX1.dcm", "charset_files/chrX2.dcm",
	}
	rleFiles = []string{"test_files/MR_small_RLE.dcm", "test_files/SC_rgb_rle_2frame.dcm"}
	// without loss
	jpegFiles     = []string{"test_files/MR_small_jpeg_ls_lossless.dcm", "test_files/SC_rgb_jpeg_gdcm.dcm"}
	jpeg2000Files = []string{"test_files/MR_small_jp2klossless.dcm"}
	// lossyFiles say in their header that they were compressed with loss.
	lossyFiles = []string{
		"test_files/SC_rgb_jpeg_dcmtk.dcm", "test_files/SC_rgb_jpeg_lossy_gdcm.dcm",
		"test_files/SC_rgb_gdcm_KY.dcm", "test_files/JPGExtended.dcm",
		"test_files/JPEG2000.dcm", "test_files/693_J2KI.dcm", "test_files/SC_jpeg_no_color_transform.dcm",
	}
	// silentFiles are JPEG 2000 that may have lost something, and say nothing about it.
	silentFiles = []string{"test_files/J2K_pixelrep_mismatch.dcm", "test_files/GDCMJ2K_TextGBR.dcm"}
)

// addPydicom takes files of python3-pydicom, each under a SOP Instance UID of its own: many share one. Nothing else of
// them changes, unless change does.
func (c *corpus) addPydicom(t *testing.T, change func(*stream.Header) error, names ...string) {
	t.Helper()
	for _, name := range names {
		c.addFile(t, change, testpeer.Pydicom(t, name))
	}
}

// addDose takes an RT Dose that DCMTK compressed: its SOP class has pixel data without "Instance" in its name.
func (c *corpus) addDose(t *testing.T) {
	t.Helper()
	compressed := filepath.Join(t.TempDir(), "dose.dcm")
	output, exit := testpeer.Run(t, nil, "dcmcrle", testpeer.Pydicom(t, "test_files/rtdose.dcm"), compressed)
	require.Zero(t, exit, output)
	c.addFile(t, nil, compressed)
}

func (c *corpus) addFile(t *testing.T, change func(*stream.Header) error, name string) {
	t.Helper()
	uid := fmt.Sprintf("2.25.4711.%d", len(c.files)+1)
	path := filepath.Join(c.dir, uid+".dcm")
	in, err := os.Open(name)
	require.NoError(t, err)
	meta, object, err := stream.OpenFile(in, stream.Limits{})
	require.NoError(t, err, name)
	require.NoError(t, object.Header().SetText(dict.SOPInstanceUID, uid))
	if change != nil {
		require.NoError(t, change(object.Header()))
	}
	// else each task would end with a Warning
	if _, ok := object.Body(); !ok && strings.Contains(dict.UIDName(object.Header().SOPClassUID()), "Image") {
		require.NoError(t, object.Header().Set(dict.PixelData, dict.OW, []byte{0, 0}))
	}
	study := object.Header().Text(dict.StudyInstanceUID)
	meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = object.Header().SOPClassUID(), uid
	out, err := os.Create(path)
	require.NoError(t, err)
	_, err = out.Write(meta.AppendTo(nil))
	require.NoError(t, err)
	_, err = io.Copy(out, object)
	require.NoError(t, err, name)
	require.NoError(t, object.Close())
	require.NoError(t, out.Close())
	require.NoError(t, in.Close())
	c.add(uid, meta.TransferSyntaxUID, study, path)
}

// addPhantoms takes the studies of the demo, each with a few small instances per series: seven character sets, every
// kind of series. What the demo has in RLE comes in the transfer syntax rle.
func (c *corpus) addPhantoms(t *testing.T, rle string) {
	t.Helper()
	for i, demo := range phantom.DemoStudies() {
		spec := demo.Spec
		spec.Series = slices.Clone(spec.Series)
		for j := range spec.Series {
			s := &spec.Series[j]
			if s.TransferSyntaxUID == dict.RLELossless {
				s.TransferSyntaxUID = rle
			}
			s.Instances, s.Rows, s.Columns, s.Frames = min(s.Instances, 3), 32, 32, min(s.Frames, 3)
		}
		c.addPhantom(t, phantom.New(uint64(7000+i), spec))
	}
}

func (c *corpus) addPhantom(t *testing.T, study *phantom.Study) {
	t.Helper()
	_, err := study.WriteFiles(c.dir)
	require.NoError(t, err)
	for _, in := range study.Instances() {
		c.add(
			in.SOPInstanceUID, in.TransferSyntaxUID, study.StudyInstanceUID,
			filepath.Join(c.dir, in.SOPInstanceUID+".dcm"),
		)
	}
	c.phantoms = append(c.phantoms, study)
}

// dataSetOf cuts preamble and file meta information off a DICOM file.
func dataSetOf(t *testing.T, file []byte) []byte {
	t.Helper()
	require.Greater(t, len(file), 144)
	require.Equal(
		t, "DICM\x02\x00\x00\x00UL\x04\x00", string(file[128:140]),
		"a file begins with the group length of its file meta information",
	)
	at := 144 + int(binary.LittleEndian.Uint32(file[140:]))
	require.Less(t, at, len(file))
	return file[at:]
}
