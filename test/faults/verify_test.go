// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/internal/testpeer"
)

// verifiedBy adds a destination that is asked for what it acknowledged.
func (s *server) verifiedBy(method, name, aeTitle string, port int) {
	s.t.Helper()
	_, err := s.Servers.Add(s.t.Context(), client.ServerSettings{
		Name: name, AETitle: aeTitle, Host: "127.0.0.1", Port: port,
		Supports: client.Supports{StudyRootFind: true, Store: true},
		Verify:   client.Verify{Method: method, Patience: 3600},
	})
	require.NoError(s.t, err)
}

// kill -9 while a destination is asked what it lists: the verification goes on at the next start, and nobody is asked
// for an instance again.
func TestKillWhileVerifying(t *testing.T) {
	study := newStudy(31, 2, 40)
	hold := pacs.StopAt(pacs.AtFind, 0)
	from, to := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}}), newPACS(t, pacs.Config{Gate: hold.Gate})
	t.Cleanup(hold.Release)
	s := serve(t, newDataDir(t))
	s.addServer("from", from.Addr(), 0)
	s.verifiedBy("presence", "to", "TO", to.Port())
	job := s.transfer("from", "to", study.StudyInstanceUID)
	receive(t, "the first question", hold.Reached())
	before := from.Recorder().Log()
	s.kill()
	hold.Release()
	s = serve(t, s.dir)
	requireVerified(t, s, job, 80, "Verified by presence.")
	requireUnasked(t, before, from)
	require.Len(t, to.Recorder().Log().Stores, 80, "nothing is sent again")
}

// kill -9 between a request for storage commitment and its report: the report comes to the next process, which knows
// what it is about.
func TestKillBeforeCommitment(t *testing.T) {
	study := newStudy(32, 2, 40)
	from := newPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
	port := testpeer.Port(t) // where the next process listens
	to := testpeer.Orthanc(t, []string{testpeer.NoDelay}, map[string]any{
		"DicomModalities": map[string]any{"adit": []any{"ADIT", "127.0.0.1", port}},
	})
	s := serve(t, newDataDir(t), "--dicom-listen", "127.0.0.1:0")
	s.addServer("from", from.Addr(), 0)
	s.verifiedBy("commitment", "to", "ORTHANC", to.Port)
	job := s.transfer("from", "to", study.StudyInstanceUID)
	await(t, "the request for commitment", func() bool {
		return strings.Contains(s.task(job.ID).WhyWaiting, "does not show 80 instances of 80 yet")
	})
	before := from.Recorder().Log()
	require.Len(t, before.Sent, 80)
	s.kill()
	s = serve(t, s.dir, "--dicom-listen", fmt.Sprintf("127.0.0.1:%d", port))
	require.Equal(t, 1, to.Again(t), "reports that did not reach anybody")
	requireVerified(t, s, job, 80, "Verified by commitment.")
	requireUnasked(t, before, from)
}

func requireVerified(t *testing.T, s *server, job client.Job, images int, message string) {
	t.Helper()
	job = s.awaitFinal(job.ID)
	task := s.task(job.ID)
	require.Equal(t, client.Success, job.Status, task.Message)
	require.Contains(t, task.Message, message)
	require.Equal(t, images, task.Verified)
	require.Zero(t, task.Failures)
}

// requireUnasked tells that a source was not asked for anything since.
func requireUnasked(t *testing.T, before pacs.Log, from *pacs.PACS) {
	t.Helper()
	after := from.Recorder().Log()
	require.Equal(t, []int{before.Total, len(before.Finds), len(before.Gets), len(before.Sent)},
		[]int{after.Total, len(after.Finds), len(after.Gets), len(after.Sent)})
}
