// SPDX-License-Identifier: AGPL-3.0-or-later

package people

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/text"
)

// Group is what permissions and access to DICOM nodes are given to.
type Group struct {
	ID          int64
	Name        string
	Permissions []string
	Members     int
}

// Member is a user as one of a group.
type Member struct {
	ID                            int64
	Username, FirstName, LastName string
	IsActive                      bool
}

// Access is how a group may use a DICOM node.
type Access struct {
	GroupID, NodeID int64
	Group, Node     string
	Kind            string // server or folder
	Source          bool
	Destination     bool
}

func checkGroupName(name string) error {
	if n := utf8.RuneCountInString(name); n == 0 || n > maxName || strings.TrimSpace(name) != name || strings.ContainsRune(name, '/') || !text.Plain(name) {
		return &Invalid{Field: "name", Reason: "a name has 1 to 150 characters, without a slash, control characters and blanks at its ends"}
	}
	return nil
}

func checkPermissions(permissions []string) error {
	for _, p := range permissions {
		if !slices.Contains(allPermissions, p) {
			return &Invalid{Field: "permissions", Reason: "there are these: " + strings.Join(allPermissions, ", ")}
		}
	}
	return nil
}

func once(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// Groups lists groups. It is for staff.
func (s *Service) Groups(ctx context.Context, user User, above int64, limit int) ([]Group, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.q.ListGroups(ctx, db.ListGroupsParams{Above: above, Max: int32(limit)})
	out := make([]Group, len(rows))
	for i, r := range rows {
		out[i] = Group{r.ID, r.Name, r.Permissions, int(r.Members)}
	}
	return out, err
}

// Group gives a group by its name, in any case of letters. It is for staff.
func (s *Service) Group(ctx context.Context, user User, name string) (Group, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	return groupByName(ctx, s.q, name)
}

func groupByName(ctx context.Context, q *db.Queries, name string) (Group, error) {
	r, err := q.GetGroupByName(ctx, name)
	return Group{r.ID, r.Name, r.Permissions, int(r.Members)}, notFound(err, "group", quote(name))
}

// CreateGroup makes a group with a default project, which has its name as far as that is free. It is for staff.
func (s *Service) CreateGroup(ctx context.Context, user User, name string, permissions []string) (Group, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	if err := errors.Join(checkGroupName(name), checkPermissions(permissions)); err != nil {
		return Group{}, err
	}
	permissions = once(permissions)
	var g Group
	err := s.inTx(ctx, func(q *db.Queries) error {
		granted, err := mayGive(ctx, q, user, permissions)
		if err == nil && len(permissions) > 0 {
			err = confirmed(ctx, q)
		}
		if err != nil {
			return err
		}
		id, err := q.InsertGroup(ctx, name)
		if violates(err, uniqueViolation) {
			return &Conflict{Reason: "another group has this name already; choose another one"}
		}
		if err != nil {
			return err
		}
		if err := q.GrantPermissions(ctx, db.GrantPermissionsParams{GroupID: id, Permissions: permissions}); err != nil {
			return err
		}
		if err := s.defaultProject(ctx, q, id, name); err != nil {
			return err
		}
		if g, err = groupByName(ctx, q, name); err != nil {
			return err
		}
		return Record(ctx, q, grantEntry(Entry{Action: "group.create", Object: groupTitle(name), Detail: map[string]any{"permissions": permissions}}, granted))
	})
	return g, err
}

func groupTitle(name string) string { return "group " + name }

// defaultProject gives a group the project of its jobs that name none, with a key of its own.
func (s *Service) defaultProject(ctx context.Context, q *db.Queries, group int64, name string) error {
	projectKey := NewKey()
	taken, err := q.ProjectNameTaken(ctx, name)
	if err != nil {
		return err
	}
	if taken {
		name = fmt.Sprintf("%s (group %d)", name, group)
	}
	_, err = q.InsertProject(ctx, db.InsertProjectParams{
		Name: name, GroupID: group, IsDefault: true, SealedKey: s.key.Seal(projectKeyPurpose, projectKey.secret[:]),
	})
	return err
}

// GroupChange changes a group: nil fields stay as they are.
type GroupChange struct {
	Name        *string
	Permissions *[]string // all of them
}

// ChangeGroup changes a group. A permission that is taken away counts at once for requests, before the start of what waits, and at the next
// heartbeat for what runs. It is for staff.
func (s *Service) ChangeGroup(ctx context.Context, user User, name string, c GroupChange) (Group, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	if c.Name != nil {
		if err := checkGroupName(*c.Name); err != nil {
			return Group{}, err
		}
	}
	var g Group
	err := s.changeGroup(ctx, name, "group.change", func(q *db.Queries, row db.Group) (detail map[string]any, granted []string, err error) {
		detail = map[string]any{}
		now := row.Name
		if c.Permissions != nil {
			permissions := once(*c.Permissions)
			if granted, err = setPermissions(ctx, q, user, row, permissions); err != nil {
				return nil, nil, err
			}
			detail["permissions"] = permissions
		}
		if c.Name != nil {
			if err := q.RenameGroup(ctx, db.RenameGroupParams{ID: row.ID, Name: *c.Name}); err != nil {
				return nil, nil, err
			}
			detail["name"], now = *c.Name, *c.Name
		}
		g, err = groupByName(ctx, q, now)
		return detail, granted, err
	})
	if violates(err, uniqueViolation) {
		return Group{}, &Conflict{Reason: "another group has this name already; choose another one"}
	}
	return g, err
}

// setPermissions gives a group these permissions, and no others. It returns those that are new to it and that the user lacks.
func setPermissions(ctx context.Context, q *db.Queries, user User, group db.Group, permissions []string) (granted []string, err error) {
	if err := checkPermissions(permissions); err != nil {
		return nil, err
	}
	before, err := groupByName(ctx, q, group.Name)
	if err != nil {
		return nil, err
	}
	added := slices.DeleteFunc(slices.Clone(permissions), func(p string) bool { return slices.Contains(before.Permissions, p) })
	if len(added) > 0 {
		if granted, err = mayGive(ctx, q, user, added); err != nil {
			return nil, err
		}
		if err := confirmed(ctx, q); err != nil {
			return nil, err
		}
	}
	return granted, GuardLinkage(ctx, q, user, func() error {
		if err := q.DeletePermissions(ctx, group.ID); err != nil {
			return err
		}
		return q.GrantPermissions(ctx, db.GrantPermissionsParams{GroupID: group.ID, Permissions: permissions})
	})
}

// changeGroup locks a group, has change work on it, and writes down what it says of that, with the permissions that were given by somebody
// who lacks them.
func (s *Service) changeGroup(ctx context.Context, name, action string, change func(*db.Queries, db.Group) (detail map[string]any, granted []string, err error)) error {
	return s.inTx(ctx, func(q *db.Queries) error {
		row, err := q.LockGroup(ctx, name)
		if err != nil {
			return notFound(err, "group", quote(name))
		}
		detail, granted, err := change(q, row)
		if err != nil {
			return err
		}
		return Record(ctx, q, grantEntry(Entry{Action: action, Object: groupTitle(row.Name), Detail: detail}, granted))
	})
}

// DeleteGroup removes a group and its default project, if that was never used and there is no other. It is for staff.
func (s *Service) DeleteGroup(ctx context.Context, user User, name string) error {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	err := s.changeGroup(ctx, name, "group.delete", func(q *db.Queries, row db.Group) (map[string]any, []string, error) {
		projects, err := q.ProjectsOfGroup(ctx, row.ID)
		if err != nil {
			return nil, nil, err
		}
		for _, p := range projects {
			if !p.IsDefault || p.Used {
				return nil, nil, &Conflict{Reason: fmt.Sprintf("the project %q belongs to this group, and its pseudonyms must not be lost; take the members and permissions away from the group instead", p.Name)}
			}
			if err := q.DeleteProject(ctx, p.ID); err != nil {
				return nil, nil, err
			}
		}
		if err := q.DeleteGroup(ctx, row.ID); err != nil {
			return nil, nil, err
		}
		return nil, nil, q.LeaveDeletedGroup(ctx)
	})
	if violates(err, foreignKeyViolation) {
		return &Conflict{Reason: "a project of this group came into use just now; try again"}
	}
	return err
}

// Members lists a group's members. It is for staff.
func (s *Service) Members(ctx context.Context, user User, name string, above int64, limit int) ([]Member, error) {
	g, err := s.Group(ctx, user, name)
	if err != nil {
		return nil, err
	}
	rows, err := s.q.ListMembers(ctx, db.ListMembersParams{GroupID: g.ID, Above: above, Max: int32(limit)})
	out := make([]Member, len(rows))
	for i, r := range rows {
		out[i] = Member(r)
	}
	return out, err
}

// AddMember puts a user into a group; who belonged to none has it as the active one. To do it again changes nothing. It is for staff that has
// all permissions of the group.
func (s *Service) AddMember(ctx context.Context, user User, group, username string) error {
	return s.changeMember(ctx, user, group, username, "group.add_member", func(q *db.Queries, g db.Group, u db.User) ([]string, error) {
		if err := confirmed(ctx, q); err != nil {
			return nil, err
		}
		return join(ctx, q, user, g, u)
	})
}

// join makes a user a member of a group, if who does it may give what the group has. It returns the permissions that they lack themselves. A group
// has more than permissions: projects, and access to DICOM nodes. So nobody but a superuser puts themselves into one.
func join(ctx context.Context, q *db.Queries, by User, g db.Group, u db.User) (granted []string, err error) {
	full, err := groupByName(ctx, q, g.Name)
	if err != nil {
		return nil, err
	}
	if granted, err = mayGive(ctx, q, by, full.Permissions); err != nil {
		return nil, err
	}
	var n int64
	err = GuardLinkage(ctx, q, by, func() (err error) {
		n, err = q.JoinGroup(ctx, db.JoinGroupParams{GroupID: g.ID, UserID: u.ID})
		return err
	})
	if err != nil || n == 0 {
		return nil, err
	}
	if by.ID == u.ID {
		if !by.IsSuperuser {
			return nil, &Denied{Reason: "only superusers may put themselves into a group; ask one of them"}
		}
		granted = append(granted, "membership")
	}
	return granted, nil
}

// RemoveMember takes a user out of a group, who then works in another one of theirs. It is for staff.
func (s *Service) RemoveMember(ctx context.Context, user User, group, username string) error {
	return s.changeMember(ctx, user, group, username, "group.remove_member", func(q *db.Queries, g db.Group, u db.User) ([]string, error) {
		n, err := q.LeaveGroup(ctx, db.LeaveGroupParams{GroupID: g.ID, UserID: u.ID})
		if err != nil {
			return nil, err
		}
		if n == 0 {
			return nil, fmt.Errorf("member %q of group %q: %w", u.Username, g.Name, ErrNotFound)
		}
		return nil, q.LeaveActiveGroup(ctx, u.ID)
	})
}

// changeMember locks the group before the user, and writes down what was done.
func (s *Service) changeMember(ctx context.Context, user User, group, username, action string, change func(*db.Queries, db.Group, db.User) ([]string, error)) error {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	return s.changeGroup(ctx, group, action, func(q *db.Queries, g db.Group) (map[string]any, []string, error) {
		u, err := q.LockUser(ctx, username)
		if err != nil {
			return nil, nil, notFound(err, "user", quote(username))
		}
		granted, err := change(q, g, u)
		return map[string]any{"user": u.Username}, granted, err
	})
}

// AccessFilter chooses rows of access. Empty fields match everything.
type AccessFilter struct {
	Group, Node           string
	AboveGroup, AboveNode int64 // IDs of the last row before
	Limit                 int
}

// Accesses lists which groups may use which DICOM nodes. It is for staff.
func (s *Service) Accesses(ctx context.Context, user User, f AccessFilter) ([]Access, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.q.ListAccess(ctx, db.ListAccessParams{GroupName: f.Group, NodeName: f.Node, AboveGroup: f.AboveGroup, AboveNode: f.AboveNode, Max: int32(f.Limit)})
	out := make([]Access, len(rows))
	for i, r := range rows {
		out[i] = Access{r.GroupID, r.DicomNodeID, r.GroupName, r.NodeName, r.Kind, r.IsSource, r.IsDestination}
	}
	return out, err
}

// SetAccess says how a group may use a DICOM node; as neither source nor destination takes the access away. It is for staff.
func (s *Service) SetAccess(ctx context.Context, user User, group, node string, source, destination bool) (Access, error) {
	if err := s.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Access{}, err
	}
	a := Access{Source: source, Destination: destination}
	err := s.inTx(ctx, func(q *db.Queries) error {
		g, err := q.LockGroup(ctx, group)
		if errors.Is(err, pgx.ErrNoRows) {
			return &Invalid{Field: "group", Reason: "there is no group of this name"}
		}
		if err != nil {
			return err
		}
		n, err := q.NodeIDByName(ctx, node)
		if errors.Is(err, pgx.ErrNoRows) {
			return &Invalid{Field: "node", Reason: "there is no DICOM node of this name"}
		}
		if err != nil {
			return err
		}
		a.GroupID, a.Group, a.NodeID, a.Node, a.Kind = g.ID, g.Name, n.ID, n.Name, n.Kind
		if source || destination {
			err = q.PutAccess(ctx, db.PutAccessParams{GroupID: g.ID, DicomNodeID: n.ID, IsSource: source, IsDestination: destination})
		} else {
			err = q.DeleteAccess(ctx, db.DeleteAccessParams{GroupID: g.ID, DicomNodeID: n.ID})
		}
		if err != nil {
			return err
		}
		return Record(ctx, q, Entry{Action: "access.change", Object: groupTitle(g.Name), Detail: map[string]any{"node": n.Name, "source": source, "destination": destination}})
	})
	return a, err
}
