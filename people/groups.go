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

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
)

// Groups are people who work together: their members, permissions and DICOM nodes.
type Groups struct{ svc *Service }

// Group holds permissions and access to DICOM nodes for its members.
type Group struct {
	ID          int64
	Name        string
	Permissions []string
	Members     int
}

// Version tells what staff may change about a group apart from what it was before.
func (g Group) Version() string { return version.Of(g.Name, g.Permissions) }

// Member is a user as a member of a group.
type Member struct {
	ID                            int64
	Username, FirstName, LastName string
	IsActive                      bool
}

// Version tells an access apart from what it was before.
func (a Access) Version() string { return version.Of(a.Group, a.Node, a.Source, a.Destination) }

// Access is how a group may use a DICOM node.
type Access struct {
	GroupID, NodeID int64
	Group, Node     string
	Kind            string // server or folder
	Source          bool
	Destination     bool
}

func checkGroupName(name string) error {
	if n := utf8.RuneCountInString(name); n > maxName || strings.ContainsRune(name, '/') || !text.Name(name) {
		return &refusal.Invalid{
			Field: "name",
			Reason: "a name has 1 to 150 characters, without a slash, control characters or other invisible " +
				"characters, and with single spaces only between words",
		}
	}
	return nil
}

func checkPermissions(permissions []string) error {
	for _, p := range permissions {
		if !slices.Contains(allPermissions, p) {
			return &refusal.Invalid{
				Field: "permissions", Reason: "choose among these: " + strings.Join(allPermissions, ", "),
			}
		}
	}
	return nil
}

func once(list []string) []string {
	list = slices.Clone(list)
	slices.Sort(list)
	return slices.Compact(list)
}

// List lists groups, by id or name. It is for staff.
func (s *Groups) List(ctx context.Context, user User, o page.Order, limit int) ([]Group, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.svc.q.ListGroups(ctx, db.ListGroupsParams{
		Sort: o.By, Down: o.Down, Value: o.Value, After: o.After, Max: int32(limit),
	})
	out := make([]Group, len(rows))
	for i, r := range rows {
		out[i] = Group{r.ID, r.Name, r.Permissions, int(r.Members)}
	}
	return out, err
}

// Get gives a group by its name, in any case of letters. It is for staff.
func (s *Groups) Get(ctx context.Context, user User, name string) (Group, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	return groupByName(ctx, s.svc.q, name)
}

func groupByName(ctx context.Context, q *db.Queries, name string) (Group, error) {
	r, err := q.GetGroupByName(ctx, name)
	return Group{r.ID, r.Name, r.Permissions, int(r.Members)}, refusal.NotFound(err, "group", quote(name))
}

// Create makes a group with a default project, which has its name as far as that is free. It is for staff.
func (s *Groups) Create(ctx context.Context, user User, name string, permissions []string) (Group, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	if err := errors.Join(checkGroupName(name), checkPermissions(permissions)); err != nil {
		return Group{}, err
	}
	permissions = once(permissions)
	var g Group
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		lacked, err := mayGive(ctx, q, user, permissions)
		if err != nil {
			return err
		}
		id, err := q.InsertGroup(ctx, name)
		if db.Violates(err, db.UniqueViolation) {
			return &refusal.Conflict{Reason: "another group already has this name; choose another one"}
		}
		if err != nil {
			return err
		}
		if err := q.GrantPermissions(ctx, db.GrantPermissionsParams{
			GroupID: id, Permissions: permissions,
		}); err != nil {
			return err
		}
		if err := s.defaultProject(ctx, q, id, name); err != nil {
			return err
		}
		if g, err = groupByName(ctx, q, name); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "group.create", Object: groupTitle(name),
			Detail: map[string]any{"permissions": permissions}, Granted: permissions, Lacked: lacked,
		})
	})
	return g, err
}

func groupTitle(name string) string { return "group " + name }

// defaultProject gives a group the project of its jobs that name none, with a key of its own.
func (s *Groups) defaultProject(ctx context.Context, q *db.Queries, group int64, name string) error {
	projectKey := NewKey()
	taken, err := q.ProjectNameTaken(ctx, name)
	if err != nil {
		return err
	}
	if taken {
		name = fmt.Sprintf("%s (group %d)", name, group)
	}
	_, err = q.InsertProject(ctx, db.InsertProjectParams{
		Name: name, GroupID: group, IsDefault: true, SealedKey: s.svc.key.Seal(projectKeyPurpose, projectKey.secret[:]),
	})
	return err
}

// GroupChange changes a group: nil fields stay as they are.
type GroupChange struct {
	Name        *string
	Permissions *[]string // all of them
}

// Change changes a group. A permission that is taken away counts at once for requests, before the start of what
// waits, and at the next heartbeat for what runs. It is for staff.
func (s *Groups) Change(ctx context.Context, user User, name string, c GroupChange) (Group, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Group{}, err
	}
	if c.Name != nil {
		if err := checkGroupName(*c.Name); err != nil {
			return Group{}, err
		}
	}
	var g Group
	err := s.change(ctx, name, "group.change", func(q *db.Queries, row db.Group) (e audit.Entry, err error) {
		if err := checkGroup(ctx, q, row); err != nil {
			return e, err
		}
		e.Detail = map[string]any{}
		now := row.Name
		if c.Permissions != nil {
			permissions := once(*c.Permissions)
			if e.Granted, e.Lacked, err = setPermissions(ctx, q, user, row, permissions); err != nil {
				return e, err
			}
			e.Detail["permissions"] = permissions
		}
		if c.Name != nil {
			if err := q.RenameGroup(ctx, db.RenameGroupParams{ID: row.ID, Name: *c.Name}); err != nil {
				return e, err
			}
			e.Detail["name"], now = *c.Name, *c.Name
		}
		g, err = groupByName(ctx, q, now)
		return e, err
	})
	if db.Violates(err, db.UniqueViolation) {
		return Group{}, &refusal.Conflict{Reason: "another group already has this name; choose another one"}
	}
	return g, err
}

// setPermissions gives a group these permissions, and no others. It returns those that are new to it, and those of them
// that the user lacks.
func setPermissions(ctx context.Context, q *db.Queries, user User, group db.Group, permissions []string) (
	granted, lacked []string, err error,
) {
	if err := checkPermissions(permissions); err != nil {
		return nil, nil, err
	}
	before, err := groupByName(ctx, q, group.Name)
	if err != nil {
		return nil, nil, err
	}
	granted = slices.DeleteFunc(
		slices.Clone(permissions), func(p string) bool { return slices.Contains(before.Permissions, p) },
	)
	if lacked, err = mayGive(ctx, q, user, granted); err != nil {
		return nil, nil, err
	}
	return granted, lacked, GuardLinkage(ctx, q, user, func() error {
		if err := q.DeletePermissions(ctx, group.ID); err != nil {
			return err
		}
		return q.GrantPermissions(ctx, db.GrantPermissionsParams{GroupID: group.ID, Permissions: permissions})
	})
}

// change locks a group, has change work on it, and writes down what it says of that.
func (s *Groups) change(
	ctx context.Context, name, action string, change func(*db.Queries, db.Group) (audit.Entry, error),
) error {
	return s.svc.inTx(ctx, func(q *db.Queries) error {
		row, err := q.LockGroup(ctx, name)
		if err != nil {
			return refusal.NotFound(err, "group", quote(name))
		}
		entry, err := change(q, row)
		if err != nil {
			return err
		}
		entry.Action, entry.Object = action, groupTitle(row.Name)
		return audit.Record(ctx, q, entry)
	})
}

// Delete removes a group and its default project, if that was never used and there is no other. It is for staff.
func (s *Groups) Delete(ctx context.Context, user User, name string) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	err := s.change(ctx, name, "group.delete", func(q *db.Queries, row db.Group) (e audit.Entry, err error) {
		if err := checkGroup(ctx, q, row); err != nil {
			return e, err
		}
		members, err := q.StaffOfGroup(ctx, row.ID)
		if err != nil {
			return e, err
		}
		for _, m := range members {
			if err := MayTakeOut(user, m); err != nil {
				return e, err
			}
		}
		projects, err := q.ProjectsOfGroup(ctx, row.ID)
		if err != nil {
			return e, err
		}
		for _, p := range projects {
			if !p.IsDefault || p.Used {
				return e, &refusal.Conflict{Reason: fmt.Sprintf(
					"the project %q belongs to this group, and its pseudonyms must be kept; take the members and "+
						"permissions away from the group instead",
					p.Name,
				)}
			}
			if err := q.DeleteProject(ctx, p.ID); err != nil {
				return e, err
			}
		}
		if err := q.DeleteGroup(ctx, row.ID); err != nil {
			return e, err
		}
		return e, q.LeaveDeletedGroup(ctx)
	})
	if db.Violates(err, db.ForeignKeyViolation) {
		return &refusal.Conflict{Reason: "somebody has just used a project of this group; try again"}
	}
	return err
}

// checkGroup refuses what is done to a locked group if the caller expects another version.
func checkGroup(ctx context.Context, q *db.Queries, row db.Group) error {
	g, err := groupByName(ctx, q, row.Name)
	if err != nil {
		return err
	}
	return version.Check(ctx, g.Version())
}

// Members lists a group's members. It is for staff.
func (s *Groups) Members(ctx context.Context, user User, name string, above int64, limit int) ([]Member, error) {
	g, err := s.Get(ctx, user, name)
	if err != nil {
		return nil, err
	}
	rows, err := s.svc.q.ListMembers(ctx, db.ListMembersParams{GroupID: g.ID, Above: above, Max: int32(limit)})
	out := make([]Member, len(rows))
	for i, r := range rows {
		out[i] = Member(r)
	}
	return out, err
}

// AddMember puts a user into a group; who belonged to none has it as the active one. To do it again changes nothing. It
// is for staff that has all permissions of the group.
func (s *Groups) AddMember(ctx context.Context, user User, group, username string) error {
	return s.changeMember(
		ctx, user, group, username, "group.add_member",
		func(q *db.Queries, g db.Group, u db.User) (e audit.Entry, err error) {
			e.Granted, e.Lacked, err = join(ctx, q, user, g, u)
			return e, err
		},
	)
}

// Membership is what somebody is granted who is put into a group or project, besides the permissions of the group.
const Membership = "membership"

// join makes a user a member of a group, if who does it may give what the group has. It returns what the user has by
// it, nothing if they were a member before, and what of it those lack who give it. A group has more than permissions:
// projects, and access to DICOM nodes. So nobody but a superuser puts themselves into one.
func join(ctx context.Context, q *db.Queries, by User, g db.Group, u db.User) (granted, lacked []string, err error) {
	full, err := groupByName(ctx, q, g.Name)
	if err != nil {
		return nil, nil, err
	}
	if lacked, err = mayGive(ctx, q, by, full.Permissions); err != nil {
		return nil, nil, err
	}
	var n int64
	err = GuardLinkage(ctx, q, by, func() (err error) {
		n, err = q.JoinGroup(ctx, db.JoinGroupParams{GroupID: g.ID, UserID: u.ID})
		return err
	})
	if err != nil || n == 0 {
		return nil, nil, err
	}
	if by.ID == u.ID {
		if !by.IsSuperuser {
			return nil, nil, &Denied{Reason: "only superusers may put themselves into a group; ask one of them"}
		}
		lacked = append(lacked, Membership)
	}
	return append(full.Permissions, Membership), lacked, nil
}

// MayTakeOut keeps staff from taking staff and superusers, but themselves, out of a group or project.
func MayTakeOut(by User, member db.User) error {
	if by.ID != member.ID && mayTouch(by, member) != nil {
		return &Denied{
			Reason: "only superusers may take staff and superusers out of a group or project; ask one of them",
		}
	}
	return nil
}

// RemoveMember takes a user out of a group, who then works in another one of theirs. It is for staff; staff and
// superusers are taken out by themselves or by superusers.
func (s *Groups) RemoveMember(ctx context.Context, user User, group, username string) error {
	return s.changeMember(
		ctx, user, group, username, "group.remove_member",
		func(q *db.Queries, g db.Group, u db.User) (e audit.Entry, err error) {
			if err := MayTakeOut(user, u); err != nil {
				return e, err
			}
			n, err := q.LeaveGroup(ctx, db.LeaveGroupParams{GroupID: g.ID, UserID: u.ID})
			if err != nil {
				return e, err
			}
			if n == 0 {
				return e, fmt.Errorf("member %q of group %q: %w", u.Username, g.Name, refusal.ErrNotFound)
			}
			return e, q.LeaveActiveGroup(ctx, u.ID)
		},
	)
}

// changeMember locks the group before the user, and writes down what was done.
func (s *Groups) changeMember(
	ctx context.Context, user User, group, username, action string,
	change func(*db.Queries, db.Group, db.User) (audit.Entry, error),
) error {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return err
	}
	return s.change(ctx, group, action, func(q *db.Queries, g db.Group) (audit.Entry, error) {
		u, err := q.LockUser(ctx, username)
		if err != nil {
			return audit.Entry{}, refusal.NotFound(err, "user", quote(username))
		}
		e, err := change(q, g, u)
		e.Detail = map[string]any{"user": u.Username}
		return e, err
	})
}

// AccessFilter chooses rows of access. Empty fields match everything.
type AccessFilter struct {
	Group, Node           string
	AboveGroup, AboveNode int64 // IDs of the last row before
	Limit                 int
}

// Accesses lists which groups may use which DICOM nodes. It is for staff.
func (s *Groups) Accesses(ctx context.Context, user User, f AccessFilter) ([]Access, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return nil, err
	}
	rows, err := s.svc.q.ListAccess(ctx, db.ListAccessParams{
		GroupName: f.Group, NodeName: f.Node, AboveGroup: f.AboveGroup,
		AboveNode: f.AboveNode, Max: int32(f.Limit),
	})
	out := make([]Access, len(rows))
	for i, r := range rows {
		out[i] = Access{r.GroupID, r.DicomNodeID, r.GroupName, r.NodeName, r.Kind, r.IsSource, r.IsDestination}
	}
	return out, err
}

// SetAccess says how a group may use a DICOM node; as neither source nor destination takes the access away. It is for
// staff.
func (s *Groups) SetAccess(
	ctx context.Context, user User, group, node string, source, destination bool,
) (Access, error) {
	if err := s.svc.Check(ctx, user.ID, Action{Staff: true}); err != nil {
		return Access{}, err
	}
	a := Access{Source: source, Destination: destination}
	err := s.svc.inTx(ctx, func(q *db.Queries) error {
		g, err := q.LockGroup(ctx, group)
		if errors.Is(err, pgx.ErrNoRows) {
			return &refusal.Invalid{Field: "group", Reason: "there is no group of this name"}
		}
		if err != nil {
			return err
		}
		n, err := q.NodeIDByName(ctx, node)
		if errors.Is(err, pgx.ErrNoRows) {
			return &refusal.Invalid{Field: "node", Reason: "there is no DICOM node of this name"}
		}
		if err != nil {
			return err
		}
		a.GroupID, a.Group, a.NodeID, a.Node, a.Kind = g.ID, g.Name, n.ID, n.Name, n.Kind
		before, err := q.LockAccess(ctx, db.LockAccessParams{GroupID: g.ID, DicomNodeID: n.ID})
		if err != nil && !errors.Is(err, pgx.ErrNoRows) { // no row: no access
			return err
		}
		now := Access{Group: g.Name, Node: n.Name, Source: before.IsSource, Destination: before.IsDestination}
		if err := version.Check(ctx, now.Version()); err != nil {
			return err
		}
		if source || destination {
			err = q.PutAccess(ctx, db.PutAccessParams{
				GroupID: g.ID, DicomNodeID: n.ID, IsSource: source, IsDestination: destination,
			})
		} else {
			err = q.DeleteAccess(ctx, db.DeleteAccessParams{GroupID: g.ID, DicomNodeID: n.ID})
		}
		if err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{
			Action: "access.change", Object: groupTitle(g.Name),
			Detail:  map[string]any{"node": n.Name, "source": source, "destination": destination},
			Granted: NodeUse{source && !before.IsSource, destination && !before.IsDestination}.Words(),
		})
	})
	return a, err
}
