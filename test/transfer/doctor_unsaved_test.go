// SPDX-License-Identifier: AGPL-3.0-or-later

package transfer

import (
	"context"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/dicom/pacs"
	"github.com/adit-go/adit/dicom/phantom"
	"github.com/adit-go/adit/engine/doctor"
	"github.com/adit-go/adit/engine/nodes"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
	"github.com/adit-go/adit/test/harness"
)

// unsaved are the settings of a server that nobody has said more of than where it is.
func unsaved(t *testing.T, p *pacs.PACS, aeTitle string) nodes.NewServer {
	t.Helper()
	host, port, err := net.SplitHostPort(p.Addr())
	require.NoError(t, err)
	n, err := strconv.Atoi(port)
	require.NoError(t, err)
	return nodes.NewServer{Name: "new", AETitle: aeTitle, Host: host, Port: n}
}

// slotsTaken returns which servers slots are taken of.
func slotsTaken(t *testing.T, n *harness.Member) (ids []int64) {
	t.Helper()
	require.NoError(t, n.Pool.QueryRow(
		t.Context(), "SELECT coalesce(array_agg(server_id ORDER BY id), '{}') FROM association_slots",
	).Scan(&ids))
	return ids
}

// TestDoctorTellsAsItGoes: a check is told as soon as it is done, all of them before what they suggest, and who leaves
// ends it.
func TestDoctorTellsAsItGoes(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	echoed := make(chan struct{})
	let := sync.OnceFunc(func() { close(echoed) })
	p := startPACS(t, pacs.Config{
		AETitle: "TELLS", Studies: []*phantom.Study{ct(1, 3)},
		Gate: func(ctx context.Context, e pacs.Event) {
			if e.Kind == pacs.AtMatch {
				select {
				case <-echoed:
				case <-ctx.Done():
				}
			}
		},
	})
	n.AddServer("tells", "TELLS", p.Addr(), func(s *nodes.NewServer) {
		s.Supports.StudyRootGet = false
		s.Supports.StudyRootMove = true
	})
	var names, suggested []string
	for f, err := range n.Engine.Doctor.Findings(t.Context(), n.Admin, "tells") {
		require.NoError(t, err)
		if f.Suggestion != nil {
			suggested = append(suggested, f.Suggestion.Setting)
			continue
		}
		require.Empty(t, suggested, "checks come first")
		names = append(names, f.Check.Name)
		if f.Check.Name == "echo" {
			let() // the search goes on when this was told
		}
	}
	require.Contains(t, names, "find images")
	require.Contains(t, suggested, "supports.study_root_get")

	for f, err := range n.Engine.Doctor.Findings(t.Context(), n.Admin, "tells") {
		require.NoError(t, err)
		require.Equal(t, "association", f.Check.Name)
		break
	}
	require.NoError(t, p.Recorder().WaitOpen(t.Context(), 0))
	require.Empty(t, slotsTaken(t, n))
}

// TestDoctorOfUnsavedServers: a server is tried before it is saved: what it offers is found and not asked for, nothing
// is kept but a row of the audit log, and it takes a slot as a saved one at its address would.
func TestDoctorOfUnsavedServers(t *testing.T) {
	n := harness.New(t, harness.Config{})
	p := startPACS(t, pacs.Config{
		AETitle: "NEW", Studies: []*phantom.Study{ct(2, 5)},
		MoveDestinations: map[string]string{"ADIT": "127.0.0.1:" + strconv.Itoa(n.ReceiverPort())},
	})
	check := func(s nodes.NewServer, during func()) doctor.Report {
		t.Helper()
		var r doctor.Report
		for f, err := range n.Engine.Doctor.FindingsOfUnsaved(t.Context(), n.Admin, s) {
			require.NoError(t, err)
			if f.Check != nil {
				r.Checks = append(r.Checks, *f.Check)
				during()
			} else {
				r.Suggestions = append(r.Suggestions, *f.Suggestion)
			}
		}
		return r
	}
	nothing := func() {}
	want := diagnosis{
		good: map[string]string{
			"association": "open after", "find (study root)": "offers it", "store": "offers it, too",
			"find images": "proven complete", "get": "arrived in", "move": "once the server is saved",
		},
		suggests: map[string]any{
			"supports.study_root_find": true, "supports.study_root_get": true, "supports.study_root_move": true,
		},
	}
	want.require(t, check(unsaved(t, p, "NEW"), func() {
		require.Equal(t, []int64{-n.Admin.ID}, slotsTaken(t, n))
		for _, err := range n.Engine.Doctor.FindingsOfUnsaved(t.Context(), n.Admin, unsaved(t, p, "NEW")) {
			var conflict *refusal.Conflict
			require.ErrorAs(t, err, &conflict, "one at a time")
		}
	}))
	require.Empty(t, slotsTaken(t, n))
	rows, err := n.People.ReadAudit(t.Context(), n.Admin, audit.Filter{Action: "server.check", Limit: 10})
	require.NoError(t, err)
	require.Len(t, rows, 1, "what was refused is none")
	require.Equal(t, "server new", rows[0].Object)
	require.Contains(t, rows[0].Detail, `"saved":false`)
	_, err = n.Engine.Nodes.ByName(t.Context(), "new")
	require.ErrorIs(t, err, refusal.ErrNotFound)

	// Settings that say more are judged as a saved server's.
	some := unsaved(t, p, "NEW")
	some.Supports = nodes.Supports{StudyRootFind: true, PatientRootGet: true}
	some.Retrieve.MoveDestination = "NOBODY"
	diagnosis{
		good: map[string]string{
			"find (study root)": "offers it", "store": "sends nothing there",
			"move (study root)": "only where nothing else brings",
		},
	}.require(t, check(some, nothing))
	some.Supports = nodes.Supports{}
	diagnosis{
		bad: map[string]string{"move": "doesn't know the Move Destination NOBODY"},
		suggests: map[string]any{
			"supports.study_root_find": true, "supports.study_root_get": true, "supports.study_root_move": true,
		},
	}.require(t, check(some, nothing))

	// A server of ours at that address gives the slot.
	saved := n.AddServer("saved", "NEW", p.Addr(), nil)
	check(unsaved(t, p, "NEW"), func() { require.Equal(t, []int64{saved.ID}, slotsTaken(t, n)) })
	require.Empty(t, slotsTaken(t, n))

	away := unsaved(t, p, "NEW")
	away.Port = 1
	diagnosis{bad: map[string]string{"association": "nothing listens there"}, absent: "find studies"}.require(
		t, check(away, nothing),
	)
	for field, s := range map[string]nodes.NewServer{
		"host": {Name: "x", AETitle: "X", Host: "a b", Port: 104}, "port": {Name: "x", AETitle: "X", Host: "a", Port: 0},
		"name":     {AETitle: "X", Host: "a", Port: 104},
		"ae_title": {Name: "x", Host: "a", Port: 104},
	} {
		for _, err := range n.Engine.Doctor.FindingsOfUnsaved(t.Context(), n.Admin, s) {
			var invalid *refusal.Invalid
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, field, invalid.Field)
		}
	}
	for _, err := range n.Engine.Doctor.FindingsOfUnsaved(t.Context(), people.User{ID: 4711}, away) {
		var denied *people.Denied
		require.ErrorAs(t, err, &denied)
	}
}

// TestSlotOfUnsavedServerExpires: the slot of a server that is not saved goes with the member that held it.
func TestSlotOfUnsavedServerExpires(t *testing.T) {
	n := harness.New(t, harness.Config{Idle: true})
	for _, sql := range []string{
		"INSERT INTO members (id, data_dir_id, name, version, schema_min, schema_max, fenced_at) VALUES ('00000000-0000-0000-0000-000000000001', gen_random_uuid(), 'x', 'x', 1, 1, now())",
		"INSERT INTO association_slots (server_id, use, member_id) VALUES (-1, 'interactive', '00000000-0000-0000-0000-000000000001')",
	} {
		_, err := n.Pool.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, n.Engine.Lease.Tidy(t.Context()))
	var expires bool
	require.NoError(t, n.Pool.QueryRow(t.Context(), "SELECT expires_at IS NOT NULL FROM association_slots").Scan(&expires))
	require.True(t, expires)
}
