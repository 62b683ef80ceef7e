// SPDX-License-Identifier: AGPL-3.0-or-later

package server_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/db/dbtest"
	"github.com/adit-go/adit/test/process"
)

// TestLiveOfOtherMembers: what is done through one member is told by another one; one that is killed and started again
// is connected to again, and tells what was done meanwhile; one that is told to end says so.
func TestLiveOfOtherMembers(t *testing.T) {
	dir := t.TempDir()
	key, url := filepath.Join(dir, "key"), dbtest.URL(t)
	require.NoError(t, os.WriteFile(key, []byte(strings.Repeat("5a", 32)), 0o600))
	serve := func(name string, args ...string) *process.Server {
		return process.Serve(
			t, filepath.Join(dir, name), append([]string{"--database-url", url, "--secret-key-file", key}, args...)...,
		)
	}
	one := serve("one")
	token, err := os.ReadFile(filepath.Join(dir, "one", "admin.token"))
	require.NoError(t, err)
	two := serve("two")
	of := func(s *process.Server) *client.Client {
		c, err := client.New(s.URL, client.WithToken(strings.TrimSpace(string(token))))
		require.NoError(t, err)
		return c
	}
	here := of(one)
	ctx, cancel := context.WithTimeout(t.Context(), process.Deadline)
	defer cancel()
	for name, port := range map[string]int{"source": 1, "destination": 2} {
		_, err := here.Servers.Add(ctx, client.ServerSettings{
			Name: name, AETitle: strings.ToUpper(name), Host: "127.0.0.1", Port: port,
			Supports: client.Supports{StudyRootFind: true, StudyRootGet: true, Store: true},
		})
		require.NoError(t, err)
	}
	job, err := here.Jobs.Create(ctx, client.NewJob{
		Kind: client.SelectiveTransfer, Source: "source", Destination: "destination",
		Studies: []client.NewStudy{{StudyInstanceUID: "1.2.3"}},
	}, "")
	require.NoError(t, err)
	there := of(two)
	step := "connected"
	for e, err := range there.Live.Follow(ctx, client.TopicOfJob(job.ID), client.TopicJobs) {
		require.NoError(t, err, step)
		if e.Job == nil {
			continue
		}
		switch {
		case step == "connected":
			require.True(t, e.First)
			_, err := here.Jobs.Act(ctx, job.ID, client.PauseJob)
			require.NoError(t, err)
			step = "paused elsewhere"
		case step == "paused elsewhere" && e.Job.Paused:
			require.False(t, e.First)
			require.NoError(t, two.Cmd.Process.Kill())
			two.AwaitEnd()
			_, err := here.Jobs.Act(ctx, job.ID, client.CancelJob)
			require.NoError(t, err)
			two = serve("two", "--listen", strings.TrimPrefix(two.URL, "http://"))
			step = "started again"
		case step == "started again" && e.Job.Status == client.Canceled:
			require.True(t, e.First)
			step = "over"
		}
		if step == "over" {
			break
		}
	}
	require.Equal(t, "over", step)
	require.NoError(t, ctx.Err())
}
