// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/dict"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/testpeer"
	"github.com/adit-go/adit/test/harness"
)

// orthancTo starts an Orthanc that holds a corpus, under an AE title, and that moves to a port under two AE titles.
func orthancTo(
	t *testing.T, c *corpus, aeTitle string, settings map[string]any, port int, titles ...string,
) *testpeer.OrthancServer {
	t.Helper()
	modalities := map[string]any{}
	for i, title := range titles {
		modalities[fmt.Sprintf("receiver%d", i)] = []any{title, "127.0.0.1", port}
	}
	all := map[string]any{"DicomAet": aeTitle, "DicomModalities": modalities, "DicomThreadsCount": 32}
	maps.Copy(all, settings)
	o := testpeer.Orthanc(t, noDelay, all)
	for _, file := range c.files {
		o.Upload(t, file)
	}
	return o
}

func portOf(t *testing.T, addr string) int {
	t.Helper()
	_, port, err := net.SplitHostPort(addr)
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return n
}

const (
	atOnce = 20
	calm   = 30 * time.Second // a lease that twenty tasks on a busy machine don't cost
)

// wide lets twenty tasks at once to a server, by C-MOVE as well, which takes two associations of a source.
func wide(s *nodes.NewServer) {
	n := 2 * atOnce
	s.BatchCap = &n
}

// gate lets nobody into a listener until it is opened.
type gate struct {
	net.Listener
	opened, closed chan struct{}
	once           sync.Once
}

func newGate() *gate { return &gate{opened: make(chan struct{}), closed: make(chan struct{})} }

func (g *gate) wrap(l net.Listener) net.Listener {
	g.Listener = l
	return g
}

func (g *gate) Accept() (net.Conn, error) {
	select {
	case <-g.opened:
		return g.Listener.Accept()
	case <-g.closed:
		return nil, net.ErrClosed
	}
}

func (g *gate) Close() error {
	g.once.Do(func() { close(g.closed) })
	return g.Listener.Close()
}

// transferAtOnce starts a transfer of all studies of a corpus, and lets nothing into the receiver before twenty C-MOVEs
// are under way.
func transferAtOnce(t *testing.T, n *harness.Member, c *corpus, g *gate) jobs.Job {
	t.Helper()
	require.GreaterOrEqual(t, len(c.studies), atOnce)
	job := n.Transfer("source", "destination", c.studies...)
	n.WaitFor(job.ID, func(jobs.Job) bool {
		var moves int
		require.NoError(t, n.Pool.QueryRow(
			t.Context(), "SELECT count(*) FROM expectations WHERE ended_at IS NULL",
		).Scan(&moves))
		return moves == atOnce
	})
	close(g.opened)
	return job
}

// TestMoveFromOrthanc: an Orthanc that may only C-MOVE, asked by twenty tasks at once. Every object reaches its own
// task, and arrives as it is, byte for byte. The AE titles have blanks and underscores.
func TestMoveFromOrthanc(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.RLELossless)
	c.addPydicom(t, nil, slices.Concat(plainFiles, rleFiles, jpegFiles, jpeg2000Files, lossyFiles)...)
	require.Greater(t, len(c.studies), atOnce)
	g := newGate()
	n := harness.New(t, harness.Config{
		Workers: atOnce, Lease: calm,
		Engine: base.Config{AETitle: "ADIT NODE_1", PlainAETitle: "ADIT NODE_1 LE"}, Wrap: g.wrap,
	})
	before := newTap(t, n.ReceiverAddr)
	o := orthancTo(
		t, c, "ORTHANC PACS_1", map[string]any{"DicomScuTimeout": 60},
		portOf(t, before.addr), "ADIT NODE_1", "ADIT NODE_1 LE",
	)
	dir := t.TempDir()
	after := newTap(t, storeSCP(t, noDelay, dir).Addr)
	n.AddServer("source", "ORTHANC PACS_1", o.Addr, func(s *nodes.NewServer) {
		byMove(s)
		wide(s)
	})
	n.AddServer("destination", "STORESCP", after.addr, func(s *nodes.NewServer) {
		wide(s)
		s.AssociationsPerTask = 1
	})

	job, tasks := finish(t, n, transferAtOnce(t, n, c, g))
	instances := 0
	for study, task := range tasks {
		require.Equal(t, jobs.Success, task.Status, "study %s: %s", study, task.Message)
		require.Equal(t, task.Expected, task.Delivered)
		instances += int(task.Delivered)
	}
	require.Equal(t, jobs.Success, job.Status)
	require.Len(t, c.files, instances)
	sent := requireUntouched(t, c, before, after)
	requireAsStored(t, c, sent)
	require.Len(t, storedBy(t, dir), len(c.files))
	requireOutcomes(t, n, "source", map[string]int{"taken": len(c.files)})
}

// TestMoveUncompressed: a destination that takes nothing compressed is served by the AE title that takes nothing
// compressed.
func TestMoveUncompressed(t *testing.T) {
	c := newCorpus(t)
	c.addPydicom(t, nil, slices.Concat(rleFiles, jpegFiles, plainFiles[:4])...)
	n := harness.New(t, harness.Config{})
	o := orthancTo(t, c, "ORTHANC", nil, n.ReceiverPort(), "ADIT", "ADIT_LE")
	dir := t.TempDir()
	after := newTap(t, plainStoreSCP(t, dir).Addr)
	n.AddServer("source", "ORTHANC", o.Addr, byMove)
	n.AddServer("destination", "STORESCP", after.addr, nil)
	succeed(t, n, c)
	for uid, object := range after.sent(t) {
		require.False(t, dict.TransferSyntaxOf(object.TransferSyntaxUID).Encapsulated, uid)
	}
	require.Len(t, storedBy(t, dir), len(c.files))
}

// TestMoveFromDcmQRSCP: the same by DCMTK's PACS, which proposes one compressed transfer syntax, and fails with what it
// holds in another than the one that was chosen: that comes by the AE title that takes nothing compressed.
func TestMoveFromDcmQRSCP(t *testing.T) {
	c := newCorpus(t)
	c.addPhantoms(t, dict.RLELossless)
	c.addPydicom(t, nil, slices.Concat(plainFiles[:10], rleFiles)...)
	for i := range atOnce {
		c.addPhantom(t, ct(uint64(700+i), 3))
	}
	for name, env := range map[string][]string{"Nagle on": nil, "Nagle off": noDelay} {
		t.Run(name, func(t *testing.T) {
			n := harness.New(t, harness.Config{
				Workers: atOnce, Lease: calm,
				Engine: base.Config{AETitle: "ADIT_NODE_1", PlainAETitle: "ADIT_NODE_1_LE"},
			})
			index := t.TempDir()
			output, exit := testpeer.Run(
				t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
			)
			require.Zero(t, exit, output)
			before := newTap(t, n.ReceiverAddr)
			port := portOf(t, before.addr)
			qr := testpeer.DcmQRSCPTo(t, env, index, map[string]int{"ADIT_NODE_1": port, "ADIT_NODE_1_LE": port}, "-xr")
			dir := t.TempDir()
			after := newTap(t, storeSCP(t, env, dir).Addr)
			n.AddServer("source", "QRSCP", qr.Addr, func(s *nodes.NewServer) {
				byMove(s)
				wide(s)
			})
			n.AddServer("destination", "STORESCP", after.addr, func(s *nodes.NewServer) {
				wide(s)
				s.AssociationsPerTask = 1
			})
			require.Greater(t, len(c.studies), atOnce)
			succeed(t, n, c)
			sent := after.sent(t) // nothing twice
			require.ElementsMatch(t, slices.Collect(maps.Keys(c.files)), slices.Collect(maps.Keys(sent)))
			for uid, held := range c.syntax { // what is not compressed it converts to the one that was chosen
				if dict.TransferSyntaxOf(held).Encapsulated {
					require.Equal(t, held, sent[uid].TransferSyntaxUID)
				} else {
					require.False(t, dict.TransferSyntaxOf(sent[uid].TransferSyntaxUID).Encapsulated, uid)
				}
			}
			before.mu.Lock()
			defer before.mu.Unlock()
			require.Empty(t, before.problems)
			received := map[string][]string{}
			for _, o := range before.objects {
				received[o.SOPInstanceUID] = append(received[o.SOPInstanceUID], o.print())
			}
			for uid, o := range sent {
				require.Contains(t, received[uid], o.print(), "not one byte changes")
			}
		})
	}
}

// TestTwoSeriesFromPeers: two tasks move a series each of one study, to two destinations, out of PACS that exist:
// nothing is mixed.
func TestTwoSeriesFromPeers(t *testing.T) {
	study := phantom.New(43, phantom.StudySpec{
		Patient: phantom.Patient{ID: "PHANTOM-001", Name: "Phantom^Alpha"},
		Series:  []phantom.SeriesSpec{{Kind: phantom.CT, Instances: 30, Rows: 64, Columns: 64}, {Kind: phantom.CT, Instances: 30, Rows: 64, Columns: 64}},
	})
	c := newCorpus(t)
	c.addPhantom(t, study)
	for name, start := range map[string]func(t *testing.T, port int) string{
		"Orthanc": func(t *testing.T, port int) string {
			return orthancTo(t, c, "SOURCE", nil, port, "ADIT", "ADIT_LE").Addr
		},
		"dcmqrscp": func(t *testing.T, port int) string {
			index := t.TempDir()
			output, exit := testpeer.Run(
				t, nil, "dcmqridx", append([]string{index}, slices.Sorted(maps.Values(c.files))...)...,
			)
			require.Zero(t, exit, output)
			return testpeer.DcmQRSCPTo(t, noDelay, index, map[string]int{"ADIT": port, "ADIT_LE": port}).Addr
		},
	} {
		for _, knows := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s originator %t", name, knows), func(t *testing.T) {
				n := harness.New(t, harness.Config{})
				title := map[string]string{"Orthanc": "SOURCE", "dcmqrscp": "QRSCP"}[name]
				n.AddServer("source", title, start(t, n.ReceiverPort()), func(s *nodes.NewServer) {
					byMove(s)
					s.Retrieve.MoveOriginator = knows
				})
				var list []jobs.Job
				var destinations []*pacs.PACS
				for i := range 2 {
					dst := startPACS(t, pacs.Config{})
					destinations = append(destinations, dst)
					to := fmt.Sprintf("DST%d", i)
					n.AddServer(to, to, dst.Addr(), nil)
					list = append(list,
						n.Create(jobs.Transfer{Source: "source", Destination: to, Studies: []jobs.Study{{
							StudyInstanceUID:   study.StudyInstanceUID,
							SeriesInstanceUIDs: []string{study.Series[i].SeriesInstanceUID},
						}}}),
					)
				}
				for i := range 2 {
					job := n.Wait(list[i].ID)
					require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
					var want []string
					for _, in := range study.Series[i].Instances {
						want = append(want, in.SOPInstanceUID)
					}
					require.ElementsMatch(t, want, pacs.UIDs(destinations[i].Recorder().Log().Stores))
				}
			})
		}
	}
}

// TestMoveThatIsOnlyQueued: an Orthanc that answers C-MOVE at once, and sends afterwards.
func TestMoveThatIsOnlyQueued(t *testing.T) {
	c := newCorpus(t)
	c.addPhantom(t, ct(41, 60))
	n := harness.New(t, harness.Config{})
	o := orthancTo(t, c, "ORTHANC", map[string]any{"SynchronousCMove": false}, n.ReceiverPort(), "ADIT", "ADIT_LE")
	dst := startPACS(t, pacs.Config{})
	n.AddServer("source", "ORTHANC", o.Addr, byMove)
	n.AddServer("destination", "DST", dst.Addr(), nil)
	succeed(t, n, c)
	require.Len(t, dst.Recorder().Log().Stores, 60)
	requireOutcomes(t, n, "source", map[string]int{"taken": 60})
	drainedOrthanc(t, o)
}

// drainedOrthanc waits until Orthanc has no job left to do, and asserts that none failed.
func drainedOrthanc(t *testing.T, o *testpeer.OrthancServer) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), harness.Deadline)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		rq, err := http.NewRequestWithContext(ctx, http.MethodGet, o.URL+"/jobs?expand", nil)
		require.NoError(t, err)
		rsp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(rq)
		require.NoError(t, err)
		b, err := io.ReadAll(rsp.Body)
		require.NoError(t, err)
		require.NoError(t, rsp.Body.Close())
		var jobs []struct {
			State string `json:"State"`
		}
		require.NoError(t, json.Unmarshal(b, &jobs), "%s", b)
		require.NotEmpty(t, jobs)
		open := 0
		for _, j := range jobs {
			require.NotEqual(t, "Failure", j.State, "%s", b)
			if j.State != "Success" {
				open++
			}
		}
		if open == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("Orthanc still works: %s", b)
		}
	}
}

// TestOrthancDrains: after a canceled move Orthanc gets rid of what it still has to send, and the task goes on later.
func TestOrthancDrains(t *testing.T) {
	study := ct(42, 300)
	c := newCorpus(t)
	c.addPhantom(t, study)
	n := harness.New(t, harness.Config{})
	o := orthancTo(t, c, "ORTHANC", map[string]any{"SynchronousCMove": false}, n.ReceiverPort(), "ADIT", "ADIT_LE")
	hold := pacs.StopAt(pacs.AtStore, 20)
	dst := startPACS(t, pacs.Config{Gate: hold.Gate})
	n.AddServer("source", "ORTHANC", o.Addr, byMove)
	n.AddServer("destination", "DST", dst.Addr(), func(s *nodes.NewServer) { s.AssociationsPerTask = 1 })
	job := n.Transfer("source", "destination", study.StudyInstanceUID)
	<-hold.Reached()
	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.CancelJob))
	require.Equal(t, jobs.Canceled, n.Wait(job.ID).Status)
	hold.Release()
	drainedOrthanc(t, o)

	require.NoError(t, n.Engine.Jobs.Act(t.Context(), n.Admin, job.ID, jobs.ResumeJob))
	require.Equal(t, jobs.Success, n.Wait(job.ID).Status, n.Task(job.ID).Message)
	stored := map[string]bool{}
	for _, s := range dst.Recorder().Log().Stores {
		stored[s.SOPInstanceUID] = true
	}
	require.Len(t, stored, 300)
}

// TestStoreSCUIntoReceiver: somebody who stores without having been asked is refused for good; who isn't known gets no
// association.
func TestStoreSCUIntoReceiver(t *testing.T) {
	n := harness.New(t, harness.Config{})
	n.AddServer("known", "KNOWN_SCU 1", "127.0.0.1:104", nil)
	n.AddServer(
		"elsewhere", "ELSEWHERE", "192.0.2.7:104",
		func(s *nodes.NewServer) { s.Retrieve.AddressRanges = []string{"192.0.2.0/24"} },
	)
	file := t.TempDir() + "/image.dcm"
	require.NoError(t, phantom.DemoStudies()[0].Instances()[0].WriteFile(file))
	store := func(aeTitle string) string {
		output, _ := testpeer.Run(
			t, noDelay, "storescu", "-v", "-aet", aeTitle, "-aec",
			"ADIT", "127.0.0.1", strconv.Itoa(n.ReceiverPort()), file,
		)
		return output
	}
	require.Contains(t, store("KNOWN_SCU 1"), "Unknown Status: 0x124")
	require.Contains(t, store("STRANGER"), "Calling AE Title Not Recognized")
	require.Contains(t, store("ELSEWHERE"), "Calling AE Title Not Recognized", "it may call from other addresses only")
	output, exit := testpeer.Run(
		t, noDelay, "echoscu", "-aet", "KNOWN_SCU 1", "-aec", "ADIT_LE", "127.0.0.1", strconv.Itoa(n.ReceiverPort()),
	)
	require.Zero(t, exit, output)
	requireOutcomes(t, n, "known", map[string]int{"unsolicited": 1})
}

// TestOrthancWithoutGet: an Orthanc that answers each C-GET by an abort is moved from.
func TestOrthancWithoutGet(t *testing.T) {
	n := harness.New(t, harness.Config{})
	study := ct(170, 12)
	o := testpeer.Orthanc(t, noDelay, map[string]any{
		"DicomAlwaysAllowGet": false, "DicomModalities": map[string]any{"adit": map[string]any{
			"AET": "ADIT", "Host": "127.0.0.1", "Port": n.ReceiverPort(),
			"AllowGet": false, "AllowFind": true, "AllowMove": true,
		}},
	})
	paths, err := study.WriteFiles(t.TempDir())
	require.NoError(t, err)
	for _, path := range paths {
		o.Upload(t, path)
	}
	dst := startPACS(t, pacs.Config{AETitle: "DST"})
	n.AddServer("orthanc", "ORTHANC", o.Addr, func(s *nodes.NewServer) { s.Supports.StudyRootMove = true })
	n.AddServer("destination", "DST", dst.Addr(), nil)
	job := n.Wait(n.Transfer("orthanc", "destination", study.StudyInstanceUID).ID)
	require.Equal(t, jobs.Success, job.Status, n.Task(job.ID).Message)
	require.Len(t, dst.Recorder().Log().Stores, 12)
}
