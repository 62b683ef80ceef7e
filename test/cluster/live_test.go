// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package cluster

import (
	"context"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/internal/testpeer"
)

// TestClusterLive: m1 serves people, m2 runs tasks, m3 receives. People at m1 are told of what happens at m2 while it
// happens, and stop it from there.
func TestClusterLive(t *testing.T) {
	c := newCluster(t, 3, options{seed: 4, roles: []string{"web", "worker", "receiver"}})
	web := c.members[0]
	const images = 60
	studies := newStudies(4000, 2, 1, images)
	hold := pacs.StopAt(pacs.AtSubOperation, images/2)
	source := c.newPACS(pacs.Config{AETitle: "SRC", Studies: studies, Gate: hold.Gate})
	destination := c.newPACS(pacs.Config{AETitle: "DST"})
	c.addServer("SRC", source.Addr(), byMove, nil)
	c.addServer("DST", destination.Addr(), byGet, nil)

	job := c.transfer(web, "src", "dst", studies[:1])
	told := follow(t, web, client.TopicOfJob(job.ID))
	told.await("its task running, half of it received", func(e client.LiveEvent) bool {
		for _, task := range e.Tasks {
			if task.Status == "in_progress" && task.Received >= images/2-1 {
				return true
			}
		}
		return false
	})
	require.Equal(t, 1, one[int](c, heldBy, "m2"))
	hold.Release()
	told.await("its success", func(e client.LiveEvent) bool { return e.Job != nil && e.Job.Status == client.Success })
	require.Equal(t, images, int(c.members[2].metric(crossed, `direction="sent"`, `outcome="taken"`)))

	stopped := pacs.StopAt(pacs.AtStore, images/2)
	other := c.newPACS(pacs.Config{AETitle: "OTHER", Gate: stopped.Gate})
	c.addServer("OTHER", other.Addr(), byGet, nil)
	job = c.transfer(web, "src", "other", studies[1:])
	told = follow(t, web, client.TopicOfJob(job.ID))
	<-stopped.Reached()
	_, err := web.Jobs.Act(t.Context(), job.ID, client.CancelJob)
	require.NoError(t, err)
	told.await("its cancellation", func(e client.LiveEvent) bool {
		return e.Job != nil && e.Job.Status == client.Canceled
	})
	stopped.Release()
	c.requireFree()
}

// followed is what somebody is told.
type followed struct {
	t      *testing.T
	events chan client.LiveEvent
}

// follow follows a topic at a member until the test ends.
func follow(t *testing.T, m *member, topic string) *followed {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	f := &followed{t, make(chan client.LiveEvent, 1000)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for e, err := range m.Live.Follow(ctx, topic) {
			if err != nil {
				return
			}
			select {
			case f.events <- e:
			case <-ctx.Done():
			}
		}
	}()
	t.Cleanup(func() {
		stop()
		<-done
	})
	return f
}

func (f *followed) await(what string, ok func(client.LiveEvent) bool) {
	f.t.Helper()
	end := time.After(deadline)
	for {
		select {
		case e := <-f.events:
			if ok(e) {
				return
			}
		case <-end:
			f.t.Fatalf("nobody was told of %s", what)
		}
	}
}

// TestClusterQuarantine: an instance that nobody asked for lies at the member that it came to, and is looked at,
// released and deleted through another one.
func TestClusterQuarantine(t *testing.T) {
	c := newCluster(t, 2, options{seed: 5, args: []string{"--quarantine", "24h"}})
	near, far := c.members[0], c.members[1]
	studies := newStudies(5000, 1, 1, 2)
	destination := c.newPACS(pacs.Config{AETitle: "DST"})
	c.addServer("DST", destination.Addr(), byGet, nil)
	c.addServer("SENDER", c.newPACS(pacs.Config{AETitle: "SENDER"}).Addr(), byGet, nil)
	dir := t.TempDir()
	paths, err := studies[0].WriteFiles(dir)
	require.NoError(t, err)
	_, port, _ := strings.Cut(far.receiver, ":")
	await(t, "the quarantine of what nobody asked for", func() bool { // the server was added at another member
		output, _ := testpeer.Run(t, noDelay, "storescu", append([]string{
			"-v", "-nh", "-aet", "SENDER", "-aec", "ADIT", "127.0.0.1", port,
		}, paths...)...)
		return strings.Contains(output, "0x124")
	})
	require.NotEmpty(t, filesBelow(t, filepath.Join(far.dir, "quarantine")))

	var list []client.QuarantinedObject
	for o, err := range near.Quarantine.List(t.Context()) {
		require.NoError(t, err)
		list = append(list, o)
	}
	require.Len(t, list, 2)
	o, err := near.Quarantine.Get(t.Context(), list[0].ID)
	require.NoError(t, err)
	require.Equal(t, list[0].SOPInstanceUID, o.SOPInstanceUID)
	require.NoError(t, near.Quarantine.Release(t.Context(), list[0].ID, "dst"))
	stores := destination.Recorder().Log().Stores
	require.Len(t, stores, 1)
	require.Equal(t, sums(studies)[o.SOPInstanceUID], stores[0].SHA256)
	require.NoError(t, near.Quarantine.Delete(t.Context(), list[1].ID))
	require.Empty(t, filesBelow(t, filepath.Join(far.dir, "quarantine")), "what was released or deleted is gone")
}

func filesBelow(t *testing.T, dir string) (files []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() && e.Name() != "id" { // of the folder itself
			files = append(files, path)
		}
		return err
	}))
	return files
}

// TestClusterStatus: staff is told which member can't be reached, by messages or for bytes.
func TestClusterStatus(t *testing.T) {
	c := newCluster(t, 2, options{seed: 6})
	other := c.members[1]
	unreached := func() string {
		list, err := c.members[0].Cluster.Members(t.Context())
		require.NoError(t, err)
		require.Len(t, list, 2)
		why := ""
		for _, m := range list {
			if m.Name == other.name {
				why = m.Unreached
			} else {
				require.Empty(t, m.Unreached)
			}
		}
		return why
	}
	await(t, "the way to the other member", func() bool { return unreached() == "" })
	for name, link := range map[string]*testpeer.Link{"messages": other.control, "bytes": other.data} {
		require.NoError(t, link.Refuse())
		await(t, "the loss of its way for "+name, func() bool { return unreached() != "" })
		require.NoError(t, link.Heal())
		await(t, "its way for "+name, func() bool { return unreached() == "" })
	}
}
