// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
)

var noDelay = []string{testpeer.NoDelay}

// newStudies makes small studies, which differ by their seeds.
func newStudies(first uint64, n, series, images int) (studies []*phantom.Study) {
	for seed := first; seed < first+uint64(n); seed++ {
		spec := phantom.StudySpec{
			Patient: phantom.Patient{ID: "PHANTOM-" + strconv.FormatUint(seed, 10), Name: "Phantom^Cluster", Sex: "O"},
		}
		for range series {
			spec.Series = append(spec.Series, phantom.SeriesSpec{Kind: phantom.CT, Instances: images, Rows: 16, Columns: 16})
		}
		studies = append(studies, phantom.New(seed, spec))
	}
	return studies
}

// newPACS starts a PACS that moves to the cluster, under its AE title as its name.
func (c *cluster) newPACS(cfg pacs.Config) *pacs.PACS {
	c.t.Helper()
	cfg.MoveDestinations = map[string]string{"ADIT": c.balancer.Addr, "ADIT_LE": c.balancer.Addr}
	p, err := pacs.Start(cfg)
	require.NoError(c.t, err)
	c.t.Cleanup(func() { require.NoError(c.t, p.Close()) })
	return p
}

// newOrthanc starts an Orthanc that holds studies, and moves to the cluster.
func (c *cluster) newOrthanc(studies []*phantom.Study) *testpeer.OrthancServer {
	c.t.Helper()
	o := testpeer.Orthanc(c.t, noDelay, map[string]any{"DicomThreadsCount": 32, "DicomModalities": map[string]any{
		"adit": []any{"ADIT", "127.0.0.1", c.balancer.Port}, "plain": []any{"ADIT_LE", "127.0.0.1", c.balancer.Port},
	}})
	for _, path := range write(c.t, studies) {
		o.Upload(c.t, path)
	}
	return o
}

// newDcmQRSCP starts a dcmqrscp in the same way.
func (c *cluster) newDcmQRSCP(studies []*phantom.Study) *testpeer.Process {
	c.t.Helper()
	index := c.t.TempDir()
	output, exit := testpeer.Run(c.t, nil, "dcmqridx", append([]string{index}, write(c.t, studies)...)...)
	require.Zero(c.t, exit, output)
	return testpeer.DcmQRSCPTo(
		c.t, noDelay, index, map[string]int{"ADIT": c.balancer.Port, "ADIT_LE": c.balancer.Port},
	)
}

func write(t *testing.T, studies []*phantom.Study) (files []string) {
	t.Helper()
	dir := t.TempDir()
	for _, s := range studies {
		paths, err := s.WriteFiles(dir)
		require.NoError(t, err)
		files = append(files, paths...)
	}
	return files
}

// How a server is read.
var (
	byGet  = client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true}
	byMove = client.Supports{StudyRootFind: true, StudyRootMove: true, Store: true}
)

// addServer adds a server under its AE title in small letters, and lets change say what differs.
func (c *cluster) addServer(aeTitle, addr string, supports client.Supports, change func(*client.ServerSettings)) {
	c.t.Helper()
	host, port, err := net.SplitHostPort(addr)
	require.NoError(c.t, err)
	number, err := strconv.Atoi(port)
	require.NoError(c.t, err)
	s := client.ServerSettings{
		Name: strings.ToLower(aeTitle), AETitle: aeTitle, Host: host, Port: number, Supports: supports,
		AssociationsPerTask: 1, Retrieve: client.Retrieve{MoveOriginator: supports.StudyRootMove},
	}
	if change != nil {
		change(&s)
	}
	_, err = c.members[0].Servers.Add(c.t.Context(), s)
	require.NoError(c.t, err)
}

// addFolder adds a folder that all members see.
func (c *cluster) addFolder(name string) (path string) {
	c.t.Helper()
	path = filepath.Join(c.t.TempDir(), name)
	require.NoError(c.t, os.Mkdir(path, 0o755))
	_, err := c.members[0].Folders.Add(c.t.Context(), client.FolderSettings{Name: name, Path: path})
	require.NoError(c.t, err)
	return path
}

// transfer makes a job for studies.
func (c *cluster) transfer(by *member, source, destination string, studies []*phantom.Study) client.Job {
	c.t.Helper()
	job := client.NewJob{Kind: client.SelectiveTransfer, Source: source, Destination: destination}
	for _, s := range studies {
		job.Studies = append(job.Studies, client.NewStudy{StudyInstanceUID: s.StudyInstanceUID})
	}
	made, err := by.Jobs.Create(c.t.Context(), job, "")
	require.NoError(c.t, err)
	return made
}

// anyone returns a member that is alive and serves people.
func (c *cluster) anyone() *member {
	c.t.Helper()
	for _, m := range c.members {
		if m.in.Load() && m.Client != nil {
			return m
		}
	}
	c.t.Fatal("no member is alive")
	return nil
}

// requireSuccess waits until jobs have ended, and checks that each task ended well at its first attempt, with all
// instances of its study.
func (c *cluster) requireSuccess(jobs []client.Job, studies []*phantom.Study) {
	t := c.t
	t.Helper()
	instances := map[string]int{}
	for _, s := range studies {
		instances[s.StudyInstanceUID] = len(s.Instances())
	}
	for _, job := range jobs {
		c.awaitFinal(job.ID)
		for task, err := range c.anyone().Tasks.List(t.Context(), job.ID, client.TaskFilter{}) {
			require.NoError(t, err)
			require.Equal(t, client.Success, task.Status, "task %d: %s", task.ID, task.Message)
			require.Zero(t, task.Failures, "task %d: %s", task.ID, task.Message)
			require.Equal(t, instances[task.StudyInstanceUID], task.Delivered, "task %d: %s", task.ID, task.Message)
		}
	}
}

// awaitFinal waits until a job has ended; members may be away.
func (c *cluster) awaitFinal(job int64) {
	c.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(deadline); ; {
		if now, err := c.anyone().Jobs.Get(c.t.Context(), job); err == nil && client.Final(now.Status) {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			for task, err := range c.anyone().Tasks.List(c.t.Context(), job, client.TaskFilter{}) {
				require.NoError(c.t, err)
				if task.EndedAt == nil {
					c.t.Logf("task %d is %s: %q %q", task.ID, task.Status, task.WhyWaiting, task.Message)
				}
			}
			c.t.Fatalf("job %d did not end", job)
		}
	}
}

// requireFiles checks that a folder holds every instance of studies once, byte for byte, those of one study in one
// folder of their own.
func requireFiles(t *testing.T, dir string, studies []*phantom.Study) {
	t.Helper()
	got, folders := map[string]string{}, map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == ".adit-folder" {
			return err
		}
		require.True(t, strings.HasSuffix(path, ".dcm"), "%s is a whole instance", path)
		uid := strings.TrimSuffix(e.Name(), ".dcm")
		require.NotContains(t, got, uid, "%s is there twice", path)
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		got[uid], folders[uid] = sum(dataSet(t, b)), filepath.Dir(filepath.Dir(path))
		return nil
	}))
	require.Equal(t, sums(studies), got)
	of := map[string]string{} // the study of a folder
	for _, s := range studies {
		for _, in := range s.Instances() {
			dir := folders[in.SOPInstanceUID]
			require.Equal(t, folders[s.Instances()[0].SOPInstanceUID], dir, "instances of one study")
			if of[dir] == "" {
				of[dir] = s.StudyInstanceUID
			}
			require.Equal(t, s.StudyInstanceUID, of[dir], "the study of folder %s", dir)
		}
	}
}

// dataSet is a DICOM file without its preamble and file meta information.
func dataSet(t *testing.T, file []byte) []byte {
	t.Helper()
	require.Greater(t, len(file), 144)
	require.True(t, bytes.HasPrefix(file[128:], []byte("DICM\x02\x00\x00\x00UL\x04\x00")))
	return file[144+binary.LittleEndian.Uint32(file[140:]):]
}

func sum(b []byte) string {
	s := sha256.Sum256(b)
	return hex.EncodeToString(s[:])
}

// sums are those of all instances, by SOP Instance UID.
func sums(studies []*phantom.Study) map[string]string {
	all := map[string]string{}
	for _, s := range studies {
		for _, in := range s.Instances() {
			one := in.SHA256()
			all[in.SOPInstanceUID] = hex.EncodeToString(one[:])
		}
	}
	return all
}

// requireStored checks that a PACS has been sent every instance of studies, byte for byte each time that it came, and
// that no study came over an association after it had come over a later one: whoever lost a task sends nothing more. It
// returns how many came more than once.
func requireStored(t *testing.T, p *pacs.PACS, studies []*phantom.Study) (repeated int) {
	t.Helper()
	want, studyOf := sums(studies), map[string]string{}
	for _, s := range studies {
		for _, in := range s.Instances() {
			studyOf[in.SOPInstanceUID] = s.StudyInstanceUID
		}
	}
	got, newest := map[string]string{}, map[string]int{}
	for _, s := range p.Recorder().Log().Stores {
		study := studyOf[s.SOPInstanceUID]
		if study == "" {
			continue // of a task that still runs
		}
		require.Equal(t, want[s.SOPInstanceUID], s.SHA256, "%s came as it is", s.SOPInstanceUID)
		if got[s.SOPInstanceUID] != "" {
			repeated++
		}
		got[s.SOPInstanceUID] = s.SHA256
		require.GreaterOrEqual(t, s.Association, newest[study], "two runs of one task stored at once")
		newest[study] = s.Association
	}
	require.Equal(t, want, got)
	return repeated
}

// concat joins studies.
func concat(lists ...[]*phantom.Study) []*phantom.Study { return slices.Concat(lists...) }
