// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package faults

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
)

// The process is killed again and again soon after a task has started, before one instance has come. Three times are
// nobody's fault; the fourth time nothing else ran.
func TestCrashesSoonAfterTheStart(t *testing.T) {
	for name, tt := range map[string]struct {
		kills  int
		status string
		says   string
	}{
		"three times":                {3, client.Success, "12 "},
		"three times and then alone": {4, client.Failure, "4 times while it ran this task, the last time while nothing else ran beside it"},
	} {
		t.Run(name, func(t *testing.T) {
			asked, going := make(chan struct{}), make(chan struct{})
			study := newStudy(9, 2, 6)
			tr := &transit{study: study, to: newPACS(t, pacs.Config{})}
			tr.from = newPACS(t,
				pacs.Config{Studies: []*phantom.Study{study}, Gate: func(ctx context.Context, e pacs.Event) {
					if e.Kind != pacs.AtFind {
						return
					}
					select {
					case asked <- struct{}{}:
					case <-going:
					case <-ctx.Done():
					}
					select {
					case <-going:
					case <-ctx.Done():
					}
				}},
			)
			tr.server = serve(t, newDataDir(t))
			tr.addServer("from", tr.from.Addr(), 0)
			tr.addServer("to", tr.to.Addr(), 0)
			tr.job = tr.transfer("from", "to", study.StudyInstanceUID)
			for range tt.kills {
				receive(t, "the start of the task", asked)
				tr.kill()
				tr.restart()
			}
			close(going)
			job := tr.awaitFinal(tr.job.ID)
			task := tr.task(job.ID)
			require.Equal(t, tt.status, job.Status, task.Message)
			require.Contains(t, task.Message, tt.says)
			require.Zero(t, task.Failures)
			if tt.status == client.Failure {
				_, err := tr.Jobs.Act(t.Context(), job.ID, client.RetryJob)
				require.NoError(t, err)
			}
			tr.requireComplete(0)
		})
	}
}
