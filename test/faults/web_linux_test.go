// SPDX-License-Identifier: AGPL-3.0-or-later

package faults

import (
	"bytes"
	"context"
	"encoding/hex"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/pacs/pacstest"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
)

// addWeb adds a server that is spoken to by DICOMweb alone.
func (s *server) addWeb(name, root string) {
	s.t.Helper()
	_, err := s.Servers.Add(s.t.Context(), client.ServerSettings{
		Name: name, AETitle: strings.ToUpper(name), DICOMweb: client.DICOMweb{RootURL: root},
		Supports: client.Supports{QIDO: true, WADO: true, STOW: true},
	})
	require.NoError(s.t, err)
}

// holdAtKept makes a gate that holds a server when it has kept so many objects by STOW-RS.
func holdAtKept(number int64) (gate func(context.Context, pacs.Event), reached <-chan struct{}, release func()) {
	var kept atomic.Int64
	there, going := make(chan struct{}), make(chan struct{})
	gate = func(_ context.Context, e pacs.Event) {
		if e.Kind != pacs.AtWebKept || kept.Add(1) != number {
			return
		}
		close(there)
		<-going
	}
	return gate, there, func() { close(going) }
}

// requireOnce asserts that each object of a study was stored as it is, and none of them twice.
func requireOnce(t *testing.T, study *phantom.Study, stores []pacs.Transfer) {
	t.Helper()
	at := map[string]string{}
	for _, s := range stores {
		require.NotContains(t, at, s.SOPInstanceUID, "stored twice")
		at[s.SOPInstanceUID] = s.SHA256
	}
	require.Len(t, at, len(study.Instances()))
	for _, in := range study.Instances() {
		sum := in.SHA256()
		require.Equal(t, hex.EncodeToString(sum[:]), at[in.SOPInstanceUID])
	}
}

// kill -9 in mid-request: what was answered is not sent again, and the server is asked for what was not before anything
// else is sent. Neither comes twice: it had kept all that it read.
func TestKillWhileStoringByWeb(t *testing.T) {
	study := newStudy(61, 1, 100)
	gate, reached, release := holdAtKept(40)
	from := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	to := newPACS(t, pacs.Config{Web: &pacs.WebConfig{}, Gate: gate})
	s := serve(t, newDataDir(t))
	s.addServer("from", from.Addr(), 0)
	s.addWeb("to", to.WebURL())
	job := s.transfer("from", "to", study.StudyInstanceUID)
	receive(t, "the fortieth object", reached)
	s.kill()
	release()
	await(t, "the end of what was sent", func() bool { return to.Recorder().Log().Web.Open == 0 })
	before := to.Recorder().Log()
	require.GreaterOrEqual(t, len(before.Stores), 40)
	require.Less(t, len(before.Stores), 100)

	s = serve(t, s.dir)
	job = s.awaitFinal(job.ID)
	task := s.task(job.ID)
	require.Equal(t, client.Success, job.Status, task.Message)
	require.Equal(t, 100, task.Delivered)
	requireOnce(t, study, to.Recorder().Log().Stores)

	asked := false
	for _, r := range to.Recorder().Log().Requests[len(before.Requests):] {
		if r.Service == "store" {
			require.True(t, asked, "objects are sent before the server is asked for those of the run before")
			break
		}
		asked = asked || r.Service == "search" && r.Level == "IMAGE"
	}
	require.True(t, asked)
}

// kill -9 of the destination in mid-request: nothing of it counts that it did not say, and the task goes on when the
// destination is back, which has kept what it had answered.
func TestDestinationKilledWhileStoringByWeb(t *testing.T) {
	study, folder := newStudy(62, 1, 100), t.TempDir()
	from := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	to := pacstest.Start(t, "-web", "-folder="+folder)
	var target atomic.Value
	host := func(p *pacstest.Process) string {
		addr, _, _ := strings.Cut(strings.TrimPrefix(p.WebURL, "http://"), "/")
		return addr
	}
	target.Store(host(to))
	link, err := testpeer.NewLink(func(net.Conn) (net.Conn, error) { return net.Dial("tcp", target.Load().(string)) })
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, link.Close()) })
	cut := link.SilenceAfter(60_000) // of about 200 kB
	s := serve(t, newDataDir(t))
	s.addServer("from", from.Addr(), 0)
	s.addWeb("to", strings.Replace(to.WebURL, host(to), link.Addr, 1))
	job := s.transfer("from", "to", study.StudyInstanceUID)
	receive(t, "the middle of the transfer", cut)
	to.Kill()
	require.NoError(t, link.Refuse())
	await(t, "a task that waits", func() bool { return s.task(job.ID).WhyWaiting != "" })
	require.Less(t, s.task(job.ID).Delivered, 100)

	to = pacstest.Start(t, "-web", "-folder="+folder)
	target.Store(host(to))
	require.NoError(t, link.Heal())
	job = s.awaitFinal(job.ID)
	require.Equal(t, client.Success, job.Status, s.task(job.ID).Message)
	stored := map[string]bool{}
	for _, o := range to.Log(t).Stores {
		require.False(t, stored[o.SOPInstanceUID], "stored twice")
		stored[o.SOPInstanceUID] = true
	}
	require.NotEmpty(t, stored)
	require.Less(t, len(stored), 100, "what was kept is not sent again")
	requireFiles(t, folder, study)
}

// requireFiles asserts that a server has each object of a study in its folder.
func requireFiles(t *testing.T, folder string, study *phantom.Study) {
	t.Helper()
	for _, in := range study.Instances() {
		b, err := os.ReadFile(filepath.Join(folder, in.SOPInstanceUID+".dcm"))
		require.NoError(t, err)
		data, err := io.ReadAll(in.Open())
		require.NoError(t, err)
		require.True(t, bytes.HasSuffix(b, data), in.SOPInstanceUID)
	}
}

// A network that is cut in mid-request, for good or for a while: nothing is lost, nothing counts that was not answered.
func TestNetworkCutWhileStoringByWeb(t *testing.T) {
	for name, cut := range map[string]func(*testpeer.Link) error{
		"silent": (*testpeer.Link).Silence, "reset": (*testpeer.Link).Refuse,
	} {
		t.Run(name, func(t *testing.T) {
			study := newStudy(63, 1, 100)
			gate, reached, release := holdAtKept(40)
			from := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
			to := newPACS(t, pacs.Config{Web: &pacs.WebConfig{}, Gate: gate})
			addr, _, _ := strings.Cut(strings.TrimPrefix(to.WebURL(), "http://"), "/")
			link, err := testpeer.LinkTo("tcp", addr)
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, link.Close()) })
			s := serve(t, newDataDir(t))
			s.addServer("from", from.Addr(), 0)
			s.addWeb("to", strings.Replace(to.WebURL(), addr, link.Addr, 1))
			job := s.transfer("from", "to", study.StudyInstanceUID)
			receive(t, "the fortieth object", reached)
			require.NoError(t, cut(link))
			release()
			now, err := s.Jobs.Get(t.Context(), job.ID)
			require.NoError(t, err)
			require.False(t, client.Final(now.Status))
			require.NoError(t, link.Heal())
			job = s.awaitFinal(job.ID)
			require.Equal(t, client.Success, job.Status, s.task(job.ID).Message)
			require.Equal(t, 100, s.task(job.ID).Delivered)
			requireOnce(t, study, to.Recorder().Log().Stores)
		})
	}
}
