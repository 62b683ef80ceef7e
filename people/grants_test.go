// SPDX-License-Identifier: AGPL-3.0-or-later

package people_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/adit-go/adit/people"
)

// TestEveryWideningIsAGrant: by whatever way somebody comes to rights, the audit log says who gave whom what, and what
// of it the giver lacks; what changes nothing, or takes away, is none.
func TestEveryWideningIsAGrant(t *testing.T) {
	for name, test := range map[string]struct {
		do      func(h *house) error
		by      string // of the row; empty: no grant
		granted []string
	}{
		"a member": {
			func(h *house) error { return h.Groups.AddMember(h.t.Context(), h.admin, "Readers", "plain") },
			"group.add_member",
			[]string{"explorer", "membership"},
		},
		"a member already": {
			func(h *house) error { return h.Groups.AddMember(h.t.Context(), h.admin, "Readers", "reader") }, "", nil,
		},
		"no member": {
			func(h *house) error { return h.Groups.RemoveMember(h.t.Context(), h.admin, "Readers", "reader") }, "", nil,
		},
		"access": {func(h *house) error {
			return second(h.Groups.SetAccess(h.t.Context(), h.admin, "Readers", "PACS", true, true))
		}, "access.change", []string{"destination"}},
		"the same access": {func(h *house) error {
			return second(h.Groups.SetAccess(h.t.Context(), h.admin, "Readers", "PACS", true, false))
		}, "", nil},
		"other access": {func(h *house) error {
			return second(h.Groups.SetAccess(h.t.Context(), h.admin, "Readers", "PACS", false, true))
		}, "access.change", []string{"destination"}},
		"no access": {func(h *house) error {
			return second(h.Groups.SetAccess(h.t.Context(), h.admin, "Readers", "PACS", false, false))
		}, "", nil},
		"first access": {func(h *house) error {
			return second(h.Groups.SetAccess(h.t.Context(), h.admin, "Radiology", "PACS", true, false))
		}, "access.change", []string{"source"}},
		"permissions": {func(h *house) error {
			return second(h.Groups.Change(h.t.Context(), h.admin, "Readers", people.GroupChange{
				Permissions: &[]string{people.Explorer, people.Upload},
			}))
		}, "group.change", []string{"upload"}},
		"fewer": {func(h *house) error {
			return second(
				h.Groups.Change(h.t.Context(), h.admin, "Readers", people.GroupChange{Permissions: &[]string{}}),
			)
		}, "", nil},
		"a group": {func(h *house) error {
			return second(h.Groups.Create(h.t.Context(), h.admin, "New", []string{people.Upload}))
		}, "group.create", []string{"upload"}},
		"an empty group": {
			func(h *house) error { return second(h.Groups.Create(h.t.Context(), h.admin, "New", nil)) }, "", nil,
		},
		"an account": {func(h *house) error {
			return second(
				h.Users.Create(h.t.Context(), h.admin, people.NewAccount{Username: "new", Groups: []string{"Readers"}}),
			)
		}, "user.create", []string{"explorer", "membership"}},
		"a bare account": {func(h *house) error {
			return second(h.Users.Create(h.t.Context(), h.admin, people.NewAccount{Username: "new"}))
		}, "", nil},
		"an approval": {func(h *house) error {
			err := h.Registrations.Register(
				h.t.Context(), people.Registration{Username: "new", Person: people.Person{Mail: "p@example.org"}},
				"192.0.2.1:1",
			)
			if err != nil {
				return err
			}
			return second(h.Registrations.Approve(
				h.t.Context(), h.admin, int64(h.count("SELECT id FROM registrations")), "", []string{"Readers"},
			))
		}, "registration.approve", []string{"explorer", "membership"}},
		"raised": {func(h *house) error {
			return second(h.Users.Change(h.t.Context(), h.admin, "plain", people.AccountChange{Superuser: new(true)}))
		}, "user.change", []string{"staff", "superuser"}},
		"enabled again": {func(h *house) error {
			return second(h.Users.Change(h.t.Context(), h.admin, "gone", people.AccountChange{Active: new(true)}))
		}, "user.change", []string{"active"}},
		"lowered": {func(h *house) error {
			return second(h.Users.Change(h.t.Context(), h.admin, "staff", people.AccountChange{Staff: new(false)}))
		}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			require.NoError(t, second(h.Groups.Create(t.Context(), h.admin, "Readers", []string{people.Explorer})))
			h.add(people.NewAccount{Username: "reader", Groups: []string{"Readers"}})
			h.add(people.NewAccount{Username: "staff", Staff: true})
			h.add(people.NewAccount{Username: "plain"})
			h.exec("INSERT INTO users (username, is_active) VALUES ('gone', false)")
			h.exec("INSERT INTO dicom_nodes (name, kind) VALUES ('PACS', 'server')")
			h.exec("INSERT INTO node_access SELECT g.id, n.id, true, false FROM groups g, dicom_nodes n WHERE g.name = 'Readers'")
			grants := h.recorded("rights.grant")
			require.NoError(t, test.do(h))
			if test.by == "" {
				require.Equal(t, grants, h.recorded("rights.grant"))
				return
			}
			require.Equal(t, grants+1, h.recorded("rights.grant"))
			var text string
			require.NoError(t, h.pool.QueryRow(
				t.Context(), "SELECT detail FROM audit ORDER BY id DESC LIMIT 1",
			).Scan(&text))
			var detail struct {
				By      string   `json:"by"`
				Granted []string `json:"granted"`
			}
			require.NoError(t, json.Unmarshal([]byte(text), &detail))
			require.Equal(t, test.by, detail.By)
			require.Equal(t, test.granted, detail.Granted)
		})
	}
}

// TestSuperusersStay: staff takes neither superusers nor other staff out of a group, and deletes none that they are in;
// itself and users it may.
func TestSuperusersStay(t *testing.T) {
	for name, test := range map[string]struct {
		do func(h *house, who people.User) error
		ok bool
	}{
		"a superuser": {func(h *house, who people.User) error {
			return h.Groups.RemoveMember(h.t.Context(), who, "Readers", "admin")
		}, false},
		"a superuser, in capitals": {func(h *house, who people.User) error {
			return h.Groups.RemoveMember(h.t.Context(), who, "READERS", "ADMIN")
		}, false},
		"another of staff": {func(h *house, who people.User) error {
			return h.Groups.RemoveMember(h.t.Context(), who, "Readers", "colleague")
		}, false},
		"with the group": {
			func(h *house, who people.User) error { return h.Groups.Delete(h.t.Context(), who, "Readers") }, false,
		},
		"itself": {func(h *house, who people.User) error {
			return h.Groups.RemoveMember(h.t.Context(), who, "Readers", "staff")
		}, true},
		"a user": {func(h *house, who people.User) error {
			return h.Groups.RemoveMember(h.t.Context(), who, "Readers", "reader")
		}, true},
		"a group without them": {
			func(h *house, who people.User) error { return h.Groups.Delete(h.t.Context(), who, "Users") }, true,
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			for _, group := range []string{"Readers", "Users"} {
				require.NoError(t, second(h.Groups.Create(t.Context(), h.admin, group, nil)))
			}
			staff := h.add(people.NewAccount{Username: "staff", Staff: true, Groups: []string{"Readers"}})
			h.add(people.NewAccount{Username: "colleague", Staff: true, Groups: []string{"Readers"}})
			h.add(people.NewAccount{Username: "reader", Groups: []string{"Readers", "Users"}})
			require.NoError(t, h.Groups.AddMember(t.Context(), h.admin, "Readers", "admin"))
			if test.ok {
				require.NoError(t, test.do(h, staff))
				return
			}
			before := h.count("SELECT count(*) FROM group_members")
			requireDenied(t, test.do(h, staff), "superusers")
			require.Equal(t, before, h.count("SELECT count(*) FROM group_members"))
			require.NoError(t, test.do(h, h.admin))
		})
	}
}
