// SPDX-License-Identifier: AGPL-3.0-or-later

package cluster

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	own "github.com/adit-go/adit/actors/cluster"
	"github.com/adit-go/adit/client"
)

func member(name string, change func(m *client.ClusterMember)) client.ClusterMember {
	all := []string{client.RoleWeb, client.RoleWorker, client.RoleReceiver}
	m := client.ClusterMember{
		Name: name, StartedRoles: all, Roles: all, Version: "1.0", Address: name + ":7201", Beat: 1.2, Workers: 8,
		ConfiguredWorkers: 8, AnyFolder: true, StartedAt: time.Date(2026, 11, 1, 8, 0, 0, 0, time.Local),
	}
	if change != nil {
		change(&m)
	}
	return m
}

func TestStatus(t *testing.T) {
	ended := time.Date(2026, 11, 1, 9, 1, 2, 0, time.Local)
	var out bytes.Buffer
	require.NoError(t, printStatus(&out, status{Members: []client.ClusterMember{
		member("one", func(m *client.ClusterMember) { m.Tasks, m.Associations = 3, 6 }),
		member("two", func(m *client.ClusterMember) {
			m.Draining, m.Tasks, m.Workers, m.AnyFolder, m.Folders = true, 1, 0, false, []string{"a", "b"}
			m.Roles = []string{client.RoleWorker}
		}),
		member("three", func(m *client.ClusterMember) { m.Draining, m.Workers, m.Address = true, 0, "" }),
		member("four", func(m *client.ClusterMember) { m.Beat = 31 }),
		member("five", func(m *client.ClusterMember) { m.Ended, m.EndedAt = client.EndedSilent, &ended }),
		member("six", func(m *client.ClusterMember) { m.Ended, m.EndedAt = client.EndedLeft, &ended }),
	}, Warnings: []string{"Look at four."}}))
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"MEMBER STATE ROLES TASKS ASSOCIATIONS BEAT VERSION FOLDERS ADDRESS SINCE",
		"one runs web,worker,receiver 3 of 8 6 1 s ago 1.0 all one:7201 2026-11-01 08:00:00",
		"two draining worker (not web,receiver) 1 of 0 0 1 s ago 1.0 a,b two:7201",
		"three drained web,worker,receiver 0 of 0 0 1 s ago 1.0 all - ",
		"four silent web,worker,receiver 0 of 8 0 31 s ago",
		"five lost web,worker,receiver - 0 - 1.0 all five:7201 2026-11-01 09:01:02",
		"six ended web,worker,receiver - 0 -",
		"", "Look at four.",
	} {
		require.Contains(t, strings.Join(strings.Fields(lines[i]), " ")+" ", want)
	}
}

func TestWarnings(t *testing.T) {
	ended := time.Now()
	lost := func(m *client.ClusterMember) { m.Ended, m.EndedAt = client.EndedSilent, &ended }
	for name, test := range map[string]struct {
		members []client.ClusterMember
		says    []string
	}{
		"all is well": {[]client.ClusterMember{
			member("one", nil), member("two", nil),
			member("two", func(m *client.ClusterMember) { m.Ended, m.EndedAt = client.EndedReplaced, &ended }),
			member("three", func(m *client.ClusterMember) { m.Ended, m.EndedAt = client.EndedLeft, &ended }),
		}, nil},
		"one alone needs no cluster": {[]client.ClusterMember{
			member("one", func(m *client.ClusterMember) { m.Address = "" }),
		}, nil},
		"none":               {nil, []string{"No member runs."}},
		"lost":               {[]client.ClusterMember{member("one", nil), member("two", lost)}, []string{"two was lost"}},
		"lost and back":      {[]client.ClusterMember{member("one", nil), member("two", lost), member("two", nil)}, nil},
		"silent":             {[]client.ClusterMember{member("one", func(m *client.ClusterMember) { m.Beat = 16 })}, []string{"one last told the database 16 seconds ago"}},
		"nobody works":       {[]client.ClusterMember{member("one", func(m *client.ClusterMember) { m.Workers = 0 })}, []string{"No member runs tasks now"}},
		"nobody receives":    {[]client.ClusterMember{member("one", func(m *client.ClusterMember) { m.Roles = []string{client.RoleWeb} })}, []string{"No member has the role receiver"}},
		"different versions": {[]client.ClusterMember{member("one", nil), member("two", func(m *client.ClusterMember) { m.Version = "1.1" })}, []string{"different versions: 1.0, 1.1"}},
		"out of reach":       {[]client.ClusterMember{member("one", nil), member("two", func(m *client.ClusterMember) { m.Address = "" })}, []string{"Started without --cluster"}},
	} {
		t.Run(name, func(t *testing.T) {
			says := warningsOf(test.members)
			require.Len(t, says, len(test.says), "%q", says)
			for i, part := range test.says {
				require.Contains(t, says[i], part)
			}
		})
	}
}

func TestOwnCertificate(t *testing.T) {
	ca, dir := filepath.Join(t.TempDir(), "ca"), t.TempDir()
	require.Empty(t, ownCertificate(dir, time.Now()), "it is no member of a cluster")
	require.NoError(t, own.InitCA(ca))
	require.NoError(t, own.Issue(ca, "one", dir, 40*24*time.Hour))
	require.Empty(t, ownCertificate(dir, time.Now()))
	require.Contains(t, ownCertificate(dir, time.Now().AddDate(0, 0, 11)), "adit cluster cert")
	require.NoError(t, os.Remove(filepath.Join(dir, own.CAFile)))
	require.Contains(t, ownCertificate(dir, time.Now()), "can't be used")
}
