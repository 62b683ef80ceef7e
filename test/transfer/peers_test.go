// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/dicom/stream"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// Its tests wait most of the time, for peers, pauses and windows: more of them run at once than there are cores.
func TestMain(m *testing.M) {
	testpeer.Isolate()
	flag.Parse()
	if n := flag.Lookup("test.parallel"); n.Value.String() == n.DefValue {
		_ = flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	os.Exit(m.Run())
}

var noDelay = []string{testpeer.NoDelay}

// orthancWith starts an Orthanc that holds a corpus.
func orthancWith(t *testing.T, c *corpus) *testpeer.OrthancServer {
	t.Helper()
	o := testpeer.Orthanc(t, noDelay, nil)
	for _, file := range c.files {
		o.Upload(t, file)
	}
	return o
}

// dcmqrscpWith starts a dcmqrscp that holds a corpus.
func dcmqrscpWith(t *testing.T, env []string, c *corpus) *testpeer.Process {
	t.Helper()
	index := t.TempDir()
	output, exit := testpeer.Run(
		t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
	)
	require.Zero(t, exit, output)
	return testpeer.DcmQRSCP(t, env, index)
}

// storeSCP starts a storescp that takes every transfer syntax, and several associations at once.
func storeSCP(t *testing.T, env []string, dir string) *testpeer.Process {
	t.Helper()
	return testpeer.StoreSCP(t, env, dir, "--fork")
}

// plainStoreSCP starts a storescp that takes uncompressed transfer syntaxes only.
func plainStoreSCP(t *testing.T, dir string) *testpeer.Process {
	t.Helper()
	port := testpeer.Port(t)
	return testpeer.Start(
		t, noDelay, port, "storescp", "--fork", "+B", "-od", dir, "-aet", "STORESCP", strconv.Itoa(port),
	)
}

// through adds source and destination with a tap before each.
func through(t *testing.T, n *harness.Member, sourceAE, source, destination string) (before, after *tap) {
	t.Helper()
	before, after = newTap(t, source), newTap(t, destination)
	n.AddServer("source", sourceAE, before.addr, nil)
	n.AddServer("destination", "STORESCP", after.addr, nil)
	return before, after
}

// finish waits for a job and gives its tasks by study.
func finish(t *testing.T, n *harness.Member, job jobs.Job) (jobs.Job, map[string]jobs.Task) {
	t.Helper()
	job = n.Wait(job.ID)
	tasks, err := n.Engine.Jobs.Tasks(t.Context(), n.Admin, job.ID, jobs.TaskFilter{Limit: 100})
	require.NoError(t, err)
	all := map[string]jobs.Task{}
	for _, task := range tasks {
		all[task.StudyInstanceUid] = task
	}
	return job, all
}

// succeed runs a transfer of all studies of a corpus that must succeed.
func succeed(t *testing.T, n *harness.Member, c *corpus) {
	t.Helper()
	job, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
	for study, task := range tasks {
		require.Equal(t, jobs.Success, task.Status, "study %s: %s", study, task.Message)
	}
	require.Equal(t, jobs.Success, job.Status)
}

// requireUntouched asserts that every object of a corpus passed once, with the same SHA-256 before and after ADIT.
func requireUntouched(t *testing.T, c *corpus, before, after *tap) (sent map[string]tapped) {
	t.Helper()
	received, sent := before.sent(t), after.sent(t)
	require.ElementsMatch(t, slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(received)))
	require.Equal(t, prints(received), prints(sent))
	return sent
}

func prints(all map[string]tapped) map[string]string {
	out := map[string]string{}
	for uid, o := range all {
		out[uid] = o.print()
	}
	return out
}

// requireAsStored asserts that every object was sent in the transfer syntax that its file has.
func requireAsStored(t *testing.T, c *corpus, sent map[string]tapped) {
	t.Helper()
	syntaxes := map[string]string{}
	for uid, o := range sent {
		syntaxes[uid] = o.TransferSyntaxUID
	}
	require.Equal(t, c.syntax, syntaxes)
}

// storedBy reads the data sets that storescp wrote.
func storedBy(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	all := map[string][]byte{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		require.NoError(t, err)
		meta, object, err := stream.OpenFile(bytes.NewReader(b), stream.Limits{})
		require.NoError(t, err, file)
		require.NoError(t, object.Close())
		all[meta.MediaStorageSOPInstanceUID] = dataSetOf(t, b)
	}
	return all
}

func requireSameBytes(t *testing.T, want, got map[string][]byte) {
	t.Helper()
	require.ElementsMatch(t, slices.Collect(maps.Keys(want)), slices.Collect(maps.Keys(got)))
	for uid, b := range want {
		require.True(t, bytes.Equal(b, got[uid]), "%s: %d bytes and %d bytes that differ", uid, len(b), len(got[uid]))
	}
}

// TestOrthancToOrthanc moves all studies of one Orthanc to another. What the second then holds equals, byte for byte,
// what a third one holds that the first one fed by itself.
func TestOrthancToOrthanc(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.RLELossless)
	c.addPydicom(t, nil, slices.Concat(plainFiles, rleFiles, jpegFiles, jpeg2000Files, lossyFiles, silentFiles)...)
	c.addDose(t)
	a, b, control := orthancWith(t, c), testpeer.Orthanc(t, noDelay, nil), testpeer.Orthanc(t, noDelay, nil)
	n := harness.New(t, harness.Config{})
	before, after := through(t, n, "ORTHANC", a.Addr, b.Addr)

	succeed(t, n, c)
	requireAsStored(t, c, requireUntouched(t, c, before, after))
	a.CopyTo(t, control)
	requireSameBytes(t, control.Files(t), b.Files(t))
}

// TestDcmQRSCPToStoreSCP compares the files that storescp +B wrote with what left the socket of dcmqrscp.
func TestDcmQRSCPToStoreSCP(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.ExplicitVRLittleEndian)
	c.addPydicom(t, nil, plainFiles...)
	for name, env := range map[string][]string{"Nagle on": nil, "Nagle off": noDelay} {
		t.Run(name, func(t *testing.T) {
			qr, dir := dcmqrscpWith(t, env, c), t.TempDir()
			n := harness.New(t, harness.Config{})
			before, after := through(t, n, "QRSCP", qr.Addr, storeSCP(t, env, dir).Addr)
			succeed(t, n, c)
			sent := map[string][]byte{}
			for uid, o := range requireUntouched(t, c, before, after) {
				sent[uid] = o.DataSet
			}
			requireSameBytes(t, sent, storedBy(t, dir))

			// The same socket to socket, without a tap that gathers what Nagle's algorithm scatters.
			direct := t.TempDir()
			n = harness.New(t, harness.Config{})
			n.AddServer("source", "QRSCP", qr.Addr, nil)
			n.AddServer("destination", "STORESCP", storeSCP(t, env, direct).Addr, nil)
			succeed(t, n, c)
			requireSameBytes(t, sent, storedBy(t, direct))
		})
	}
}

// pixels returns the compressed frames of a DICOM file: what follows the basic offset table, which may come or go.
func pixels(t *testing.T, file string) []byte {
	t.Helper()
	b, err := os.ReadFile(file)
	require.NoError(t, err)
	begin := bytes.LastIndex(b, []byte("\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0"))
	if begin < 0 {
		begin = bytes.LastIndex(b, []byte("\xE0\x7F\x10\x00OW\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0"))
	}
	require.Positive(t, begin, file)
	begin += 20 + int(binary.LittleEndian.Uint32(b[begin+16:]))
	end := bytes.LastIndex(b, []byte("\xFE\xFF\xDD\xE0"))
	require.Greater(t, end, begin, file)
	return b[begin:end]
}

// TestLossy: what was compressed with loss arrives as it was, to the last bit of its pixel data. Lossy transfer
// syntaxes are proposed where the source says that its instances have lost something, else in a second round for what
// it didn't send.
func TestLossy(t *testing.T) {
	t.Run("Orthanc", func(t *testing.T) {
		c := newCorpus(t)
		c.addPydicom(t, nil, slices.Concat(lossyFiles, silentFiles)...)
		n := harness.New(t, harness.Config{})
		before, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
		succeed(t, n, c)
		sent := requireUntouched(t, c, before, after)
		requireAsStored(t, c, sent)
		for uid, file := range c.files {
			require.True(t, bytes.Contains(sent[uid].DataSet, pixels(t, file)), file)
		}
	})
	t.Run("a source that doesn't say so", func(t *testing.T) {
		c := newCorpus(t)
		silent := func(h *stream.Header) error { return h.Remove(dict.LossyImageCompression) }
		for range 70 { // more than are asked for at once
			c.addPydicom(t, silent, "test_files/JPEG2000.dcm")
		}
		n := harness.New(t, harness.Config{})
		before, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
		job, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
		require.Equal(t, jobs.Success, job.Status, tasks[c.studies[0]].Message)
		require.Zero(t, tasks[c.studies[0]].Failures, "in one attempt")
		requireAsStored(t, c, requireUntouched(t, c, before, after))
	})
	t.Run("nothing lossy is proposed to a source that holds nothing lossy", func(t *testing.T) {
		c := newCorpus(t)
		c.addPydicom(t, nil, slices.Concat(rleFiles, jpegFiles)...)
		n := harness.New(t, harness.Config{})
		before, _ := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
		succeed(t, n, c)
		require.True(t, before.offered(dict.MRImageStorage, dict.JPEG2000Lossless))
		for _, class := range []string{dict.MRImageStorage, dict.SecondaryCaptureImageStorage} {
			for _, syntax := range before.proposed[class] {
				require.False(t, dict.TransferSyntaxOf(syntax).Lossy, syntax)
			}
		}
	})
}

// missing names the instances that a task is short of, with the reasons.
func missing(t *testing.T, n *harness.Member, task jobs.Task) map[string]string {
	t.Helper()
	series, err := n.Engine.Jobs.TaskSeries(t.Context(), n.Admin, task.ID)
	require.NoError(t, err)
	out := map[string]string{}
	for _, s := range series {
		for _, m := range s.Missing {
			out[m.SOPInstanceUID] = m.Reason
		}
	}
	return out
}

const notInTheirs = "the source doesn't send this instance in a transfer syntax that the destination takes"

// TestUncompressedOnly: the destination takes nothing compressed. Either the source decompresses, or each instance that
// it can't decompress is named, and the task is a failure.
func TestUncompressedOnly(t *testing.T) {
	t.Run("a source that decompresses", func(t *testing.T) {
		c := newCorpus(t)
		c.addPydicom(t, nil, slices.Concat(rleFiles, jpegFiles)...)
		dir := t.TempDir()
		n := harness.New(t, harness.Config{})
		before, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, plainStoreSCP(t, dir).Addr)
		succeed(t, n, c)
		sent := requireUntouched(t, c, before, after)
		for uid, o := range sent {
			require.False(t, dict.TransferSyntaxOf(o.TransferSyntaxUID).Encapsulated, uid)
		}
		require.Len(t, storedBy(t, dir), len(c.files))
	})
	t.Run("a source that decompresses, but not JPEG 2000", func(t *testing.T) {
		c := newCorpus(t)
		c.addPydicom(t, nil, jpeg2000Files...)
		missed := slices.Collect(maps.Keys(c.files))[0]
		c.addPydicom(t, nil, "test_files/MR_small_RLE.dcm") // of the same series
		require.Len(t, c.studies, 1)
		n := harness.New(t, harness.Config{})
		_, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, plainStoreSCP(t, t.TempDir()).Addr)
		job, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
		require.Equal(t, jobs.Failure, job.Status)
		task := tasks[c.studies[0]]
		require.Contains(t, task.Message, notInTheirs)
		require.Equal(t, map[string]string{missed: notInTheirs}, missing(t, n, task))
		require.Len(t, after.sent(t), 1)
	})
	t.Run("a source that can't decompress", func(t *testing.T) {
		c := newCorpus(t)
		c.addPydicom(t, nil, slices.Concat(rleFiles, jpegFiles)...)
		dir := t.TempDir()
		n := harness.New(t, harness.Config{})
		_, after := through(t, n, "QRSCP", dcmqrscpWith(t, noDelay, c).Addr, plainStoreSCP(t, dir).Addr)
		job, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
		require.Equal(t, jobs.Failure, job.Status)
		named := map[string]string{}
		for _, task := range tasks {
			require.Equal(t, jobs.Failure, task.Status)
			require.Contains(t, task.Message, notInTheirs)
			maps.Copy(named, missing(t, n, task))
		}
		for uid := range c.files {
			require.Equal(t, notInTheirs, named[uid])
		}
		require.Len(t, named, len(c.files))
		require.Empty(t, after.sent(t))
	})
}

// TestRefusedByOrthanc: an instance that Orthanc itself can't send (its DCMTK can't write it) is named as
// undeliverable.
func TestRefusedByOrthanc(t *testing.T) {
	c := newCorpus(t)
	c.addPydicom(t, nil, "test_files/rtdose_rle.dcm", "test_files/rtdose_rle.dcm")
	require.Len(t, c.studies, 1)
	n := harness.New(t, harness.Config{})
	_, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
	job, tasks := finish(t, n, n.Transfer("source", "destination", c.studies...))
	task := tasks[c.studies[0]]
	require.Equal(t, jobs.Warning, job.Status, task.Message)
	require.Contains(t, task.Message, "2 instances are undeliverable")
	require.ElementsMatch(t, slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(missing(t, n, task))))
	require.Empty(t, after.sent(t))
}

// TestToFolder: what the source sent is in files of the names that people expect, whole, and accepted by DCMTK.
func TestToFolder(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.RLELossless)
	c.addPydicom(t, nil, slices.Concat(plainFiles, rleFiles, jpegFiles, jpeg2000Files, lossyFiles)...)
	awkward := phantom.New(7777, phantom.StudySpec{
		Patient: phantom.Patient{ID: "../up"}, Date: "20240102", Time: "080000.5",
		Series: []phantom.SeriesSpec{{Kind: phantom.Report}, {Kind: phantom.CT, Rows: 32, Columns: 32, Description: `T1/T2 "<*>"`}},
	})
	c.addPhantom(t, awkward)
	n := harness.New(t, harness.Config{})
	before, dir := newTap(t, orthancWith(t, c).Addr), t.TempDir()
	n.AddServer("source", "ORTHANC", before.addr, nil)
	n.AddFolder("folder", dir)
	job, tasks := finish(t, n, n.Transfer("source", "folder", c.studies...))
	for study, task := range tasks {
		require.Equal(t, jobs.Success, task.Status, "study %s: %s", study, task.Message)
	}

	written := map[string]string{} // path below the job's folder by SOP Instance UID
	top := fmt.Sprintf("adit_selective_transfer_%d_%s_%s", job.ID, job.CreatedAt.Format("20060102"), n.Admin.Username)
	received := before.sent(t)
	require.NoError(t, filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == marker {
			return err
		}
		below, err := filepath.Rel(filepath.Join(dir, top), path)
		require.NoError(t, err)
		require.Len(t, strings.Split(below, "/"), 4, path)
		uid, isFile := strings.CutSuffix(filepath.Base(path), ".dcm")
		require.True(t, isFile, path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.True(t, bytes.Equal(received[uid].DataSet, dataSetOf(t, b)), path)
		written[uid] = below
		return nil
	}))
	require.ElementsMatch(t, slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(written)))

	series := awkward.Series
	require.Equal(
		t, ".._up~8c722b8a/20240102-080000-CT,SR/1-Undefined/"+series[0].Instances[0].SOPInstanceUID+".dcm",
		written[series[0].Instances[0].SOPInstanceUID],
	)
	require.Equal(
		t, ".._up~8c722b8a/20240102-080000-CT,SR/2-T1_T2 _____~2329325c/"+series[1].Instances[0].SOPInstanceUID+".dcm",
		written[series[1].Instances[0].SOPInstanceUID],
	)
	demo := c.phantoms[0]
	require.Equal(
		t, "PHANTOM-001/20240108-081500-CT,SR/1-Axial 2 mm/"+demo.Series[0].Instances[0].SOPInstanceUID+".dcm",
		written[demo.Series[0].Instances[0].SOPInstanceUID],
	)

	var paths []string
	for _, below := range written {
		paths = append(paths, filepath.Join(dir, top, below))
	}
	output, exit := testpeer.Run(t, nil, "dcmftest", paths...)
	require.Zero(t, exit, output)
	require.Equal(t, len(paths), strings.Count(output, "yes: "))
	output, exit = testpeer.Run(t, nil, "dcmdump", append([]string{"-q", "+P", "0002,0012"}, paths...)...)
	require.Zero(t, exit, output)
	require.Equal(t, len(paths), strings.Count(output, stream.ImplementationClassUID))
}

// trialElements encodes Clinical Trial Protocol ID and Name by hand, as they stand in a data set of this transfer
// syntax.
func trialElements(syntax, id, name string) []byte {
	var order binary.AppendByteOrder = binary.LittleEndian
	if syntax == dict.ExplicitVRBigEndian {
		order = binary.BigEndian
	}
	var b []byte
	for i, value := range []string{id, name} {
		if len(value)%2 == 1 {
			value += " "
		}
		b = order.AppendUint16(order.AppendUint16(b, 0x0012), uint16(0x0020+i))
		if syntax == dict.ImplicitVRLittleEndian {
			b = order.AppendUint32(b, uint32(len(value)))
		} else {
			b = order.AppendUint16(append(b, "LO"...), uint16(len(value)))
		}
		b = append(b, value...)
	}
	return b
}

// without cuts elements out that must be there once.
func without(t *testing.T, o tapped, elements []byte) []byte {
	t.Helper()
	b := o.DataSet
	if o.TransferSyntaxUID == dict.DeflatedExplicitVRLittleEndian {
		var err error
		b, err = io.ReadAll(flate.NewReader(bytes.NewReader(b)))
		require.NoError(t, err)
	}
	if elements == nil {
		return b
	}
	require.Equal(t, 1, bytes.Count(b, elements), "%s in %s", o.SOPInstanceUID, o.TransferSyntaxUID)
	return bytes.Replace(b, elements, nil, 1)
}

// TestTrialAttributes: they are set, or replaced where the object has others, and not one other byte changes.
func TestTrialAttributes(t *testing.T) {
	const id, name, oldID, oldName = "TRIAL-1", "A trial of transfers", "OLD", "Older trial"
	c := newCorpus(t)
	c.addPydicom(t, nil, slices.Concat(plainFiles, rleFiles, jpegFiles, jpeg2000Files, lossyFiles)...)
	c.addPydicom(t, func(h *stream.Header) error {
		if err := h.SetText(dict.ClinicalTrialProtocolID, oldID); err != nil {
			return err
		}
		return h.SetText(dict.ClinicalTrialProtocolName, oldName)
	}, "test_files/MR_small.dcm", "test_files/MR_small_implicit.dcm",
		"test_files/MR_small_bigendian.dcm", "test_files/JPEG2000.dcm")
	n := harness.New(t, harness.Config{})
	before, after := through(t, n, "ORTHANC", orthancWith(t, c).Addr, storeSCP(t, noDelay, t.TempDir()).Addr)
	tr := jobs.Transfer{Source: "source", Destination: "destination", TrialProtocolID: id, TrialProtocolName: name}
	for _, study := range c.studies {
		tr.Studies = append(tr.Studies, jobs.Study{StudyInstanceUID: study})
	}
	job, tasks := finish(t, n, n.Create(tr))
	require.Equal(t, jobs.Success, job.Status, "%+v", tasks)

	received, sent := before.sent(t), after.sent(t)
	require.Len(t, sent, len(c.files))
	replaced := 0
	for uid, o := range received {
		var old []byte
		if bytes.Contains(o.DataSet, []byte(oldName)) {
			old = trialElements(o.TransferSyntaxUID, oldID, oldName)
			replaced++
		}
		require.Equal(t, c.syntax[uid], sent[uid].TransferSyntaxUID)
		want, got := without(t, o, old), without(t, sent[uid], trialElements(o.TransferSyntaxUID, id, name))
		require.True(t, bytes.Equal(want, got), "%s in %s", uid, o.TransferSyntaxUID)
		requireInOrder(t, sent[uid])
	}
	require.Equal(t, 4, replaced)
}

// requireInOrder asserts that the elements ahead of the pixel data stand in ascending order.
func requireInOrder(t *testing.T, o tapped) {
	t.Helper()
	object, err := stream.Open(bytes.NewReader(o.DataSet), o.TransferSyntaxUID, stream.Limits{})
	require.NoError(t, err)
	var last dict.Tag
	for e := range object.Header().All {
		require.Less(t, last, e.Tag)
		last = e.Tag
	}
	require.NoError(t, object.Close())
}

// TestOneAssociationAtATime: a destination that leaves every further association unanswered, for as long as the test
// goes, gets the study over the one that it answered.
func TestOneAssociationAtATime(t *testing.T) {
	study := ct(8, 40)
	src := startPACS(t, pacs.Config{AETitle: "SRC", Studies: []*phantom.Study{study}})
	dir := t.TempDir()
	dst, givenUp := firstOnly(t, testpeer.StoreSCP(t, noDelay, dir).Addr)
	n := harness.New(t, harness.Config{})
	n.AddServer("source", "SRC", src.Addr(), nil)
	n.AddServer("destination", "STORESCP", dst, nil)
	require.Equal(t, jobs.Success, n.Wait(n.Transfer("source", "destination", study.StudyInstanceUID).ID).Status)
	require.Len(t, storedBy(t, dir), 40)
	select {
	case <-givenUp:
	case <-time.After(harness.Deadline):
		require.Fail(t, "no further association was asked for, or one is still waited for")
	}
}

// firstOnly passes the first connection on to target. The others are never answered: givenUp is closed when the caller
// has closed one of them.
func firstOnly(t *testing.T, target string) (addr string, givenUp <-chan struct{}) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	gone, once := make(chan struct{}), sync.Once{}
	open.Go(func() {
		for first := true; ; first = false {
			near, err := l.Accept()
			if err != nil {
				return
			}
			open.Go(func() {
				defer near.Close()
				if !first {
					_, _ = io.Copy(io.Discard, near)
					once.Do(func() { close(gone) })
					return
				}
				far, err := net.Dial("tcp", target)
				if err != nil {
					return
				}
				defer far.Close()
				open.Go(func() {
					defer near.Close()
					_, _ = io.Copy(near, far)
				})
				_, _ = io.Copy(far, near)
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		open.Wait()
	})
	return l.Addr().String(), gone
}
