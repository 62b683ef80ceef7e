// SPDX-License-Identifier: AGPL-3.0-or-later

package pacs_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/internal/testpeer"
)

// dcmtk runs one of DCMTK's tools against a PACS.
func dcmtk(t *testing.T, p *pacs.PACS, tool string, args ...string) (output string, exit int) {
	t.Helper()
	args = append([]string{"-v", "-aet", "DCMTK", "-aec", "PACS"}, args...)
	at := len(args)
	for i, a := range args { // options, host, port, files
		if a == "--" {
			at = i
			args = append(args[:i:i], args[i+1:]...)
			break
		}
	}
	args = append(args[:at:at], append([]string{"127.0.0.1", strconv.Itoa(p.Port())}, args[at:]...)...)
	return testpeer.Run(t, []string{testpeer.NoDelay}, tool, args...)
}

func TestEchoSCU(t *testing.T) {
	p := start(t, pacs.Config{AETitle: "PACS"})
	out, exit := dcmtk(t, p, "echoscu")
	require.Zero(t, exit, out)
	require.Contains(t, out, "Success")

	p = start(t, pacs.Config{AETitle: "OTHER"})
	out, exit = dcmtk(t, p, "echoscu")
	require.NotZero(t, exit)
	require.Contains(t, out, "Called AE Title Not Recognized")
}

func TestFindSCU(t *testing.T) {
	studies := phantom.DemoStudies()
	p := start(t, pacs.Config{AETitle: "PACS", Studies: studies})
	dir := t.TempDir()
	out, exit := dcmtk(
		t, p, "findscu", "-S", "-X", "-od", dir, "-k", "QueryRetrieveLevel=STUDY", "-k", "PatientID=PHANTOM-003",
		"-k", "PatientName", "-k", "StudyInstanceUID", "-k", "ModalitiesInStudy", "-k", "NumberOfStudyRelatedInstances",
	)
	require.Zero(t, exit, out)
	files, err := filepath.Glob(filepath.Join(dir, "*.dcm"))
	require.NoError(t, err)
	require.Len(t, files, 2)
	f, err := os.Open(files[0])
	require.NoError(t, err)
	defer f.Close()
	_, o, err := stream.OpenFile(f, stream.Limits{})
	require.NoError(t, err)
	defer o.Close()
	require.Equal(t, studies[4].Spec.Patient.Name, o.Header().Text(dict.PatientName))
	require.Equal(t, studies[4].StudyInstanceUID, o.Header().Text(dict.StudyInstanceUID))
	require.Equal(t, "22", o.Header().Text(dict.NumberOfStudyRelatedInstances))

	out, exit = dcmtk(t, p, "findscu", "-P", "-k", "QueryRetrieveLevel=IMAGE", "-k", "PatientID=PHANTOM-003",
		"-k", "StudyInstanceUID="+studies[5].StudyInstanceUID, "-k", "SOPInstanceUID")
	require.Zero(t, exit, out)
	require.Contains(t, out, uids(studies[5])[15])

	p.SetMisbehave(pacs.Misbehave{Find: pacs.FindFaults{ImageLevelRefused: true}})
	out, _ = dcmtk(t, p, "findscu", "-S", "-k", "QueryRetrieveLevel=IMAGE", "-k", "SOPInstanceUID")
	require.Contains(t, out, "DataSetDoesNotMatchSOPClass")
}

// getscu writes with +B what it received bit by bit: the same bytes as generated.
func TestGetSCU(t *testing.T) {
	st := phantom.DemoStudies()[0] // CT, and a report
	p := start(t, pacs.Config{AETitle: "PACS", Studies: []*phantom.Study{st}})
	dir := t.TempDir()
	out, exit := dcmtk(
		t, p, "getscu", "-S", "+B", "-od", dir, "-k", "QueryRetrieveLevel=STUDY",
		"-k", "StudyInstanceUID="+st.StudyInstanceUID,
	)
	require.Zero(t, exit, out)
	got := dataSets(t, dir)
	require.Len(t, got, 41)
	for _, in := range st.Instances() {
		require.Contains(t, got, in.SOPInstanceUID)
		require.Equal(t, hexOf(in), got[in.SOPInstanceUID])
	}
	require.NoError(t, p.Recorder().WaitOpen(limit(t), 0))

	// One image alone; and one that is refused, by its status.
	one := st.Instances()[3]
	image := []string{
		"-S", "+B", "-od", t.TempDir(), "-k", "QueryRetrieveLevel=IMAGE",
		"-k", "StudyInstanceUID=" + st.StudyInstanceUID,
		"-k", "SeriesInstanceUID=" + one.Series().SeriesInstanceUID, "-k", "SOPInstanceUID=" + one.SOPInstanceUID,
	}
	out, exit = dcmtk(t, p, "getscu", image...)
	require.Zero(t, exit, out)
	require.Len(t, dataSets(t, image[3]), 1)
	p.SetMisbehave(pacs.Misbehave{Get: pacs.GetFaults{Refuse: []string{one.SOPInstanceUID}}})
	out, _ = dcmtk(t, p, "getscu", image...)
	require.Contains(t, out, "OutOfResourcesSubOperations")
	require.Contains(t, out, "Number of Failed Suboperations")
}

// dataSets returns the digests of the data sets of a folder of DICOM files, by SOP Instance UID.
func dataSets(t *testing.T, dir string) map[string]string {
	t.Helper()
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	sums := map[string]string{}
	for _, e := range files {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		_, o, err := stream.OpenFile(f, stream.Limits{})
		require.NoError(t, err)
		h := sha256.New()
		_, err = io.Copy(h, o)
		require.NoError(t, err)
		sums[o.Header().SOPInstanceUID()] = hex.EncodeToString(h.Sum(nil))
		require.NoError(t, o.Close())
		require.NoError(t, f.Close())
	}
	return sums
}

func TestStoreSCU(t *testing.T) {
	st := phantom.DemoStudies()[4] // MR, and RLE screen shots
	dir := t.TempDir()
	paths, err := st.WriteFiles(dir)
	require.NoError(t, err)
	p := start(t, pacs.Config{AETitle: "PACS", Memory: 100 << 20})
	// -xr proposes RLE before the uncompressed ones, which the PACS then prefers for it.
	out, exit := dcmtk(t, p, "storescu", append([]string{"-xr", "--"}, paths[20:]...)...)
	require.Zero(t, exit, out)
	out, exit = dcmtk(t, p, "storescu", append([]string{"-xe", "--"}, paths[:20]...)...)
	require.Zero(t, exit, out)
	log := p.Recorder().Log()
	require.Equal(t, append(uids(st)[20:], uids(st)[:20]...), pacs.UIDs(log.Stores))
	require.Equal(t, dict.RLELossless, log.Stores[0].TransferSyntaxUID)
	require.Equal(t, explicit, log.Stores[2].TransferSyntaxUID)
	require.Equal(t, 2, log.Total)
	require.Zero(t, log.Lost)

	a := dial(t, p)
	require.Len(
		t, find(t, a, findClass, keys("IMAGE", "StudyInstanceUID", st.StudyInstanceUID, "SOPInstanceUID", "")), 22,
	)
	require.Equal(t, []string{st.Spec.Patient.Name}, values(
		find(t, a, findClass, keys("STUDY", "PatientName", "幻影^三")), dict.PatientName,
	))

	p.SetMisbehave(pacs.Misbehave{Store: pacs.StoreFaults{Status: 0xA700}})
	out, exit = dcmtk(t, p, "storescu", "--", paths[0])
	require.NotZero(t, exit)
	require.Contains(t, out, "OutOfResources")
}
