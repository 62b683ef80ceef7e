// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"fmt"
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/jobs"
	"github.com/adit-go/adit/test/harness"
)

// TestSilenceHoldsNobodyElsesSlots: a source that accepts associations and says nothing keeps no place at a destination
// from others, not even the only one. When it answers, its task goes on in the same attempt, without waiting for
// anything but a place.
func TestSilenceHoldsNobodyElsesSlots(t *testing.T) {
	for name, silentAt := range map[string]pacs.EventKind{
		"before the first answer": pacs.AtFind, "before the first match": pacs.AtMatch,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			quiet, study := ct(760, 3), ct(761, 3)
			asked, speak := make(chan struct{}, 10), make(chan struct{})
			silent := startPACS(t,
				pacs.Config{Studies: []*phantom.Study{quiet}, Gate: func(ctx context.Context, e pacs.Event) {
					if e.Kind != silentAt {
						return
					}
					asked <- struct{}{}
					select {
					case <-speak:
					case <-ctx.Done():
					}
				}},
			)
			healthy := startPACS(t, pacs.Config{Studies: []*phantom.Study{study}})
			dst := startPACS(t, pacs.Config{})
			n := harness.New(t, harness.Config{})
			n.AddServer("silent", "SILENT", silent.Addr(), nil)
			n.AddServer("healthy", "HEALTHY", healthy.Addr(), nil)
			n.AddServer("destination", "DST", dst.Addr(), withCap(1))

			waits := n.Transfer("silent", "destination", quiet.StudyInstanceUID)
			<-asked
			job := n.Wait(n.Transfer("healthy", "destination", study.StudyInstanceUID).ID)
			require.Equal(t, jobs.Success, job.Status)
			require.Equal(t, jobs.InProgress, n.Task(waits.ID).Status, "it still waits for the source")
			close(speak)
			job = n.Wait(waits.ID)
			task := n.Task(waits.ID)
			require.Equal(t, jobs.Success, job.Status, task.Message)
			require.Zero(t, task.Failures+task.Waits+task.Losses)
			require.Equal(t, 1, dst.Recorder().Log().Peak)
		})
	}
}

// TestSilentServersDelayNoOthersProbe: servers that take connections and say nothing don't keep others that are well
// again from being asked.
func TestSilentServersDelayNoOthersProbe(t *testing.T) {
	t.Parallel()
	const silent = 3
	called, gaveUp := make(chan struct{}, silent), make(chan struct{}, silent)
	n := harness.New(t, harness.Config{Idle: true})
	for i := range silent {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			called <- struct{}{}
			_, _ = io.Copy(io.Discard, conn)
			_ = conn.Close()
			gaveUp <- struct{}{}
		}()
		n.AddServer(fmt.Sprintf("silent %d", i), fmt.Sprintf("SILENT%d", i), l.Addr().String(), nil)
	}
	well := startPACS(t, pacs.Config{})
	n.AddServer("well", "WELL", well.Addr(), nil)
	_, err := n.Pool.Exec(t.Context(), `UPDATE server_state SET breaker = 'open', breaker_reason = 'x', allowance = 0, echo = true,
		probe_at = schedule_now() - CASE WHEN server_id = (SELECT id FROM dicom_nodes WHERE name = 'well') THEN interval '0' ELSE interval '1 minute' END`)
	require.NoError(t, err)
	n.Start()
	for range silent {
		<-called
	}
	require.Eventually(t, func() bool {
		s, err := n.Engine.Nodes.Schedule(t.Context(), "well")
		require.NoError(t, err)
		return s.Now.Down == ""
	}, harness.Deadline, 10*time.Millisecond)
	require.Empty(t, gaveUp, "the silent ones are still waited for")
}
