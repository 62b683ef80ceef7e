// SPDX-License-Identifier: AGPL-3.0-or-later

package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/engine/query"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

var noDelay = []string{testpeer.NoDelay}

// The files of python3-pydicom that are taken, by what is special about them.
var pydicomFiles = []string{
	"test_files/MR_small.dcm", "test_files/MR_small_implicit.dcm", "test_files/MR_small_bigendian.dcm",
	"test_files/image_dfl.dcm", // deflated
	"test_files/MR_small_RLE.dcm", "test_files/SC_rgb_rle_2frame.dcm",
	"test_files/SC_rgb_jpeg_gdcm.dcm",                                // JPEG without loss
	"test_files/SC_rgb_jpeg_dcmtk.dcm", "test_files/JPGExtended.dcm", // JPEG with loss
	"test_files/MR_small_jpeg_ls_lossless.dcm",
	"test_files/MR_small_jp2klossless.dcm", "test_files/JPEG2000.dcm", // the second with loss
	"test_files/test-SR.dcm", "test_files/rtplan.dcm", "test_files/waveform_ecg.dcm", "test_files/liver_1frame.dcm",
	"charset_files/chrH32.dcm", "charset_files/chrRuss.dcm",
}

// file is a DICOM file that an Orthanc holds.
type file struct{ path, study, syntax string }

// corpus makes files in many transfer syntaxes, by SOP Instance UID: those of pydicom, of which many share one, get one
// each.
func corpus(t *testing.T) map[string]file {
	t.Helper()
	dir, all := t.TempDir(), map[string]file{}
	for i, name := range pydicomFiles {
		uid := fmt.Sprintf("2.25.4712.%d", i+1)
		all[uid] = renamed(t, testpeer.Pydicom(t, name), filepath.Join(dir, uid+".dcm"), uid)
	}
	for i, demo := range phantom.DemoStudies() {
		spec := demo.Spec
		spec.Series = slices.Clone(spec.Series)
		for j := range spec.Series {
			s := &spec.Series[j]
			s.Instances, s.Rows, s.Columns, s.Frames = min(s.Instances, 3), 32, 32, min(s.Frames, 3)
		}
		study := phantom.New(uint64(7100+i), spec)
		_, err := study.WriteFiles(dir)
		require.NoError(t, err)
		for _, in := range study.Instances() {
			all[in.SOPInstanceUID] = file{
				filepath.Join(dir, in.SOPInstanceUID+".dcm"), study.StudyInstanceUID, in.TransferSyntaxUID,
			}
		}
	}
	return all
}

// renamed copies a DICOM file with another SOP Instance UID.
func renamed(t *testing.T, from, to, uid string) file {
	t.Helper()
	in, err := os.Open(from)
	require.NoError(t, err)
	defer in.Close()
	meta, object, err := stream.OpenFile(in, stream.Limits{})
	require.NoError(t, err, from)
	defer object.Close()
	h := object.Header()
	require.NoError(t, h.SetText(dict.SOPInstanceUID, uid))
	// else each task would end with a Warning
	if _, ok := object.Body(); !ok && strings.Contains(dict.UIDName(h.SOPClassUID()), "Image") {
		require.NoError(t, h.Set(dict.PixelData, dict.OW, []byte{0, 0}))
	}
	meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = h.SOPClassUID(), uid
	f := file{to, h.Text(dict.StudyInstanceUID), meta.TransferSyntaxUID}
	out, err := os.Create(to)
	require.NoError(t, err)
	defer out.Close()
	_, err = out.Write(meta.AppendTo(nil))
	require.NoError(t, err)
	_, err = io.Copy(out, object)
	require.NoError(t, err, from)
	return f
}

// studiesOf lists the studies of files.
func studiesOf(files map[string]file) []string {
	studies := map[string]bool{}
	for _, f := range files {
		studies[f.study] = true
	}
	return slices.Sorted(maps.Keys(studies))
}

// atOrthanc has a server be an Orthanc over HTTPS, and be spoken to by DICOMweb alone.
func atOrthanc(o *testpeer.OrthancServer, ca *testpeer.Authority) func(*nodes.NewServer) {
	return func(s *nodes.NewServer) {
		s.Host, s.Port = "", 0
		s.Supports = nodes.Supports{QIDO: true, WADO: true, STOW: true}
		s.TLS = nodes.TLS{Authorities: string(ca.PEM)}
		s.DICOMweb = nodes.DICOMweb{
			RootURL: o.WebURL, Auth: nodes.AuthBasic, User: testpeer.OrthancUser, Secret: testpeer.OrthancPassword,
		}
	}
}

// dataSets are the transfer syntaxes and hashes of the data sets of DICOM files, by SOP Instance UID.
func dataSets(t *testing.T, files map[string][]byte) map[string]string {
	t.Helper()
	all := map[string]string{}
	for uid, b := range files {
		meta, object, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
		require.NoError(t, err)
		require.NoError(t, object.Close())
		require.Equal(t, uid, meta.MediaStorageSOPInstanceUID)
		all[uid] = fmt.Sprintf("%s %x", meta.TransferSyntaxUID, sha256.Sum256(dataSetOf(t, b)))
	}
	return all
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

// succeed runs a transfer that must succeed, in one attempt for each study.
func succeed(t *testing.T, n *harness.Member, transfer jobs.Transfer) {
	t.Helper()
	job := n.Wait(n.Create(transfer).ID)
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 100})
	require.NoError(t, err)
	require.Len(t, tasks, len(transfer.Studies))
	for _, task := range tasks {
		require.Equal(t, jobs.Success, task.Status, "study %s: %s", task.StudyInstanceUid, task.Message)
		require.Zero(t, task.Failures)
	}
	require.Equal(t, jobs.Success, job.Status)
}

func studies(uids ...string) (list []jobs.Study) {
	for _, uid := range uids {
		list = append(list, jobs.Study{StudyInstanceUID: uid})
	}
	return list
}

// TestOrthanc takes studies in many transfer syntaxes from one Orthanc to another, which then has the same, byte for
// byte.
func TestOrthanc(t *testing.T) {
	ca, files := testpeer.NewAuthority(t), corpus(t)
	src, dst := testpeer.SecureOrthanc(t, noDelay, ca), testpeer.SecureOrthanc(t, noDelay, ca)
	fill(t, src, files)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr, atOrthanc(src, ca))
	n.AddServer("destination", "DST", dst.Addr, atOrthanc(dst, ca))
	takeAll(t, n, files)
	there := dataSets(t, dst.Files(t))
	require.Equal(t, dataSets(t, src.Files(t)), there)
	for uid, f := range files {
		require.True(t, strings.HasPrefix(there[uid], f.syntax+" "), "%s: %s", f.syntax, there[uid])
	}
}

// TestOrthancToDIMSE: what Orthanc has comes to a storescp, which writes down what it receives bit by bit.
func TestOrthancToDIMSE(t *testing.T) {
	ca, files, dir := testpeer.NewAuthority(t), corpus(t), t.TempDir()
	src := testpeer.SecureOrthanc(t, noDelay, ca)
	fill(t, src, files)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr, atOrthanc(src, ca))
	n.AddServer("destination", "STORESCP", testpeer.StoreSCP(t, noDelay, dir, "--fork").Addr, nil)
	takeAll(t, n, files)
	names, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	stored := map[string][]byte{}
	for _, name := range names {
		b, err := os.ReadFile(name)
		require.NoError(t, err)
		_, uid, _ := strings.Cut(filepath.Base(name), ".") // behind the modality
		stored[uid] = b
	}
	require.Equal(t, dataSets(t, src.Files(t)), dataSets(t, stored))
}

// TestOrthancFromDIMSE: by C-GET Orthanc sends objects that it encodes anew. Another one has then what it has from the
// first one without us.
func TestOrthancFromDIMSE(t *testing.T) {
	ca, files := testpeer.NewAuthority(t), corpus(t)
	maps.DeleteFunc(files, func(_ string, f file) bool { // deflating it twice gives other bytes
		return f.syntax == dict.DeflatedExplicitVRLittleEndian
	})
	src, control := testpeer.Orthanc(t, noDelay, nil), testpeer.Orthanc(t, noDelay, nil)
	dst := testpeer.SecureOrthanc(t, noDelay, ca)
	fill(t, src, files)
	src.CopyTo(t, control)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "ORTHANC", src.Addr, nil)
	n.AddServer("destination", "DST", dst.Addr, atOrthanc(dst, ca))
	takeAll(t, n, files)
	require.Equal(t, dataSets(t, control.Files(t)), dataSets(t, dst.Files(t)))
}

func fill(t *testing.T, o *testpeer.OrthancServer, files map[string]file) {
	t.Helper()
	for _, f := range files {
		o.Upload(t, f.path)
	}
}

// takeAll takes the studies of files from "source" to "destination".
func takeAll(t *testing.T, n *harness.Member, files map[string]file) {
	t.Helper()
	succeed(t, n, jobs.Transfer{
		Source: "source", Destination: "destination", Studies: studies(studiesOf(files)...),
	})
}

// pixelsOf returns the pixel data of a DICOM file from the tag of its element on, and some of its attributes.
func pixelsOf(t *testing.T, b []byte) (string, map[dict.Tag]string) {
	t.Helper()
	_, object, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
	require.NoError(t, err)
	defer object.Close()
	texts := map[dict.Tag]string{}
	for _, tag := range []dict.Tag{
		dict.PatientID, dict.PatientName, dict.StudyInstanceUID, dict.SeriesInstanceUID, dict.SOPInstanceUID, dict.Modality,
	} {
		texts[tag] = object.Header().Text(tag)
	}
	all, err := io.ReadAll(object)
	require.NoError(t, err)
	at := bytes.LastIndex(all, []byte{0xE0, 0x7F, 0x10, 0x00})
	require.Positive(t, at)
	return string(all[at:]), texts
}

// TestOrthancPseudonymized: under a pseudonym nothing of a patient comes to the other Orthanc, UIDs go on to tell what
// belongs together, and the pixels are as they were.
func TestOrthancPseudonymized(t *testing.T) {
	ca := testpeer.NewAuthority(t)
	src, dst := testpeer.SecureOrthanc(t, noDelay, ca), testpeer.SecureOrthanc(t, noDelay, ca)
	study := phantom.New(7200, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha", BirthDate: "19500101", Sex: "F"},
		Series: []phantom.SeriesSpec{
			{Kind: phantom.CT, Instances: 20, Rows: 64, Columns: 64},
			{Kind: phantom.MR, Instances: 5, Rows: 64, Columns: 64, TransferSyntaxUID: dict.ImplicitVRLittleEndian},
			{Kind: phantom.MultiFrame, Instances: 2, Rows: 64, Columns: 64, Frames: 3},
		},
	})
	dir := t.TempDir()
	_, err := study.WriteFiles(dir)
	require.NoError(t, err)
	for _, in := range study.Instances() {
		src.Upload(t, filepath.Join(dir, in.SOPInstanceUID+".dcm"))
	}
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", "127.0.0.1:0", atOrthanc(src, ca))
	n.AddServer("destination", "DST", "127.0.0.1:0", atOrthanc(dst, ca))
	transfer := jobs.Transfer{
		Source: "source", Destination: "destination", TrialProtocolID: "TRIAL-7", TrialProtocolName: "A trial",
		Studies: []jobs.Study{{StudyInstanceUID: study.StudyInstanceUID, Pseudonym: "P-0001"}},
	}
	succeed(t, n, transfer)

	// Series by series the same pixels; each series under one UID of its own.
	want, got := map[string][]string{}, map[string][]string{}
	seriesUIDs, studyUIDs := map[string]map[string]bool{}, map[string]bool{}
	for _, b := range src.Files(t) {
		pixels, texts := pixelsOf(t, b)
		want[texts[dict.Modality]] = append(want[texts[dict.Modality]], pixels)
	}
	files := dst.Files(t)
	for uid, b := range files {
		pixels, texts := pixelsOf(t, b)
		modality := texts[dict.Modality]
		got[modality] = append(got[modality], pixels)
		require.Equal(t, "P-0001", texts[dict.PatientID])
		require.Equal(t, "P-0001", texts[dict.PatientName])
		require.Equal(t, uid, texts[dict.SOPInstanceUID])
		studyUIDs[texts[dict.StudyInstanceUID]] = true
		if seriesUIDs[modality] == nil {
			seriesUIDs[modality] = map[string]bool{}
		}
		seriesUIDs[modality][texts[dict.SeriesInstanceUID]] = true
		requireNoTrace(t, study, b)
	}
	require.Len(t, files, len(study.Instances()))
	require.Len(t, studyUIDs, 1)
	require.Len(t, seriesUIDs, len(study.Series))
	for modality, uids := range seriesUIDs {
		require.Len(t, uids, 1, modality)
		require.ElementsMatch(t, want[modality], got[modality], modality)
	}

	// Once more: the same objects, which are found there.
	succeed(t, n, transfer)
	again := dst.Files(t)
	require.Equal(t, files, again)
}

// requireNoTrace asserts that neither the patient nor a UID of a study is among the bytes.
func requireNoTrace(t *testing.T, study *phantom.Study, content []byte) {
	t.Helper()
	traces := []string{study.StudyInstanceUID, study.Spec.Patient.ID, "Phantom^", study.Spec.Patient.BirthDate}
	for _, s := range study.Series {
		traces = append(traces, s.SeriesInstanceUID)
	}
	for _, in := range study.Instances() {
		traces = append(traces, in.SOPInstanceUID)
	}
	for _, trace := range traces {
		require.False(t, bytes.Contains(content, []byte(trace)), trace)
	}
}

// TestOrthancSearched: what people ask for is found at an Orthanc by QIDO-RS, and the doctor has nothing to say
// against it. With names beyond Latin-1, those of the fifth study and on, Orthanc's plug-in finds nobody.
func TestOrthancSearched(t *testing.T) {
	ca, demo := testpeer.NewAuthority(t), phantom.DemoStudies()
	o, dir := testpeer.SecureOrthanc(t, noDelay, ca), t.TempDir()
	for i, st := range demo {
		for j := range st.Spec.Series {
			s := &st.Spec.Series[j]
			s.Instances, s.Rows, s.Columns, s.Frames = 2, 32, 32, min(s.Frames, 2)
		}
		demo[i] = phantom.New(uint64(7300+i), st.Spec)
		_, err := demo[i].WriteFiles(dir)
		require.NoError(t, err)
		for _, in := range demo[i].Instances() {
			o.Upload(t, filepath.Join(dir, in.SOPInstanceUID+".dcm"))
		}
	}
	n := harness.New(t, harness.Config{Idle: true})
	n.AddServer("orthanc", "ORTHANC", "127.0.0.1:0", atOrthanc(o, ca))
	for name, c := range map[string]struct {
		search query.Search
		want   []int
	}{
		"by name":                   {query.Search{PatientName: "Phantom, Alpha"}, []int{0, 1}},
		"by name in another case":   {query.Search{PatientName: "phantom, al*"}, []int{0, 1}},
		"by name beyond ASCII":      {query.Search{PatientName: "Phäntom, B*"}, []int{2, 3}},
		"by patient ID":             {query.Search{PatientID: "PHANTOM-003"}, []int{4, 5}},
		"by a range of dates":       {query.Search{StudyDateFrom: "20240501", StudyDateTo: "20240506"}, []int{6, 7}},
		"by an open range of dates": {query.Search{StudyDateFrom: "20240604"}, []int{10, 11}},
		"by modalities":             {query.Search{Modality: "mr,us", StudyDateTo: "20240311"}, []int{2, 3, 4}},
		"by one modality":           {query.Search{Modality: "US"}, []int{3, 9}},
		"by UID":                    {query.Search{StudyInstanceUID: demo[8].StudyInstanceUID}, []int{8}},
		"by accession number":       {query.Search{AccessionNumber: "DEMO-0005"}, []int{4}},
		"by description":            {query.Search{StudyDescription: "ct *"}, []int{0, 1, 5}},
		"by what nothing is":        {query.Search{PatientName: "Nobody"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			var want, got []string
			for _, i := range c.want {
				want = append(want, demo[i].StudyInstanceUID)
			}
			for st, err := range n.Engine.Query.Studies(t.Context(), n.Admin, "orthanc", c.search) {
				require.NoError(t, err)
				got = append(got, st.StudyInstanceUID)
				i := slices.IndexFunc(demo, func(d *phantom.Study) bool { return d.StudyInstanceUID == st.StudyInstanceUID })
				require.Len(t, demo[i].Series, st.Series)
				require.Len(t, demo[i].Instances(), st.Instances)
				require.Equal(t, demo[i].Spec.Patient.ID, st.PatientID)
				if i < 4 {
					require.Equal(t, demo[i].Spec.Patient.Name, st.PatientName)
				}
			}
			require.ElementsMatch(t, want, got)
		})
	}

	report, err := n.Engine.Doctor.Check(t.Context(), n.Admin, "orthanc")
	require.NoError(t, err)
	require.NotEmpty(t, report.Checks)
	for _, c := range report.Checks {
		require.True(t, c.OK || strings.Contains(c.Detail, "expires in"), "%+v", c) // in a day, as all in these tests
	}
	require.Empty(t, report.Suggestions)
}
