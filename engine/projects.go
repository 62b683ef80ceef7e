// SPDX-License-Identifier: AGPL-3.0-or-later

package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/people"
)

// Project is what jobs belong to: whose key and profile they pseudonymize with.
type Project struct {
	ID          int64
	Name        string
	Description string
	Group       string // whose members all belong to it
	IsDefault   bool   // of the group: the project of jobs that name none, with a key for each trial
	Profile     ProfileName
	Members     []string // user names, besides the group's
	// UIDGeneration rises with the first job after the profile has changed.
	UIDGeneration int32
	// FromOriginal tells that it has a salt of the original ADIT, by which pseudonyms are derived.
	FromOriginal bool
	Scan         bool // what goes out under a pseudonym is searched for what came in
	Manifest     bool // jobs keep a manifest of what went out under a pseudonym
	CreatedAt    time.Time
}

// ProfileName names a profile. An empty version stands for the built-in profile of that name, or for the version uploaded last.
type ProfileName struct {
	Name, Version string
}

// NewProject is a project to be made.
type NewProject struct {
	Name        string
	Description string
	Group       string      // empty: the user's active group
	Profile     ProfileName // empty: deid.DefaultProfile
	Members     []string
	Salt        string // of the original ADIT; empty: none
	NoScan      bool
	Manifest    bool
}

// ProjectChange changes a project: nil fields stay as they are.
type ProjectChange struct {
	Description *string
	Profile     *ProfileName
	Members     *[]string
	Salt        *string // empty: none any more
	Scan        *bool   // of jobs made from now on
	Manifest    *bool   // of jobs made from now on
}

const (
	maxDescription = 2000
	maxMembers     = 1000
)

// Projects gives at most limit projects with an ID above the one given: those that the user belongs to, all for staff.
func (e *Engine) Projects(ctx context.Context, user people.User, above int64, limit int) ([]Project, error) {
	p := db.ListProjectsParams{Above: above, Max: int32(limit), UserID: user.ID}
	if user.IsStaff {
		p.UserID = 0
	}
	rows, err := e.q.ListProjects(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]Project, len(rows))
	for i, row := range rows {
		out[i] = projectOfRow(db.GetProjectByNameRow(row))
	}
	return out, nil
}

// Project gives a project by its name, in any case of letters. One that the user does not belong to is ErrNotFound, but for staff.
func (e *Engine) Project(ctx context.Context, user people.User, name string) (Project, error) {
	row, err := e.projectRow(ctx, user, name)
	return projectOfRow(row), err
}

func (e *Engine) projectRow(ctx context.Context, user people.User, name string) (db.GetProjectByNameRow, error) {
	row, err := e.q.GetProjectByName(ctx, name)
	if err != nil {
		return row, notFound(err, "project", fmt.Sprintf("%q", name))
	}
	if user.IsStaff {
		return row, nil
	}
	err = e.people.Check(ctx, user.ID, people.Action{Project: row.Project.ID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return db.GetProjectByNameRow{}, fmt.Errorf("project %q: %w", name, ErrNotFound)
	}
	return row, err
}

func projectOfRow(row db.GetProjectByNameRow) Project {
	p := row.Project
	return Project{
		ID: p.ID, Name: p.Name, Description: p.Description, Group: row.GroupName, IsDefault: p.IsDefault, Profile: profileName(p.Profile, row.ProfileVersion),
		Members: row.Members, UIDGeneration: p.UidGeneration, FromOriginal: len(p.SealedSalt) > 0, Scan: p.Scan, Manifest: p.Manifest, CreatedAt: p.CreatedAt,
	}
}

// profileName completes the name of a built-in profile, which has no row.
func profileName(name, version string) ProfileName {
	if profile, ok := deid.BuiltinProfile(name); ok && version == "" {
		version = profile.Version()
	}
	return ProfileName{name, version}
}

// projectOf finds the project of a job to be made.
func (e *Engine) projectOf(ctx context.Context, user people.User, name string) (int64, error) {
	if name == "" {
		if user.ActiveGroupID == nil {
			return 0, &Invalid{Field: "", Reason: "you have no active group; choose one, name a project, or ask your administrator to put you into a group"}
		}
		id, err := e.q.DefaultProject(ctx, *user.ActiveGroupID)
		return id, notFound(err, "default project of group", *user.ActiveGroupID)
	}
	row, err := e.q.GetProjectByName(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, noSuchProject()
	}
	if err != nil {
		return 0, err
	}
	err = e.people.Check(ctx, user.ID, people.Action{Project: row.Project.ID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return 0, noSuchProject() // not even that there is one
	}
	return row.Project.ID, err
}

func noSuchProject() error {
	return &Invalid{Field: "project", Reason: "you belong to no project of this name; `adit project list` shows those that you belong to"}
}

// CreateProject makes a project with a key of its own. It is for staff.
func (e *Engine) CreateProject(ctx context.Context, user people.User, n NewProject) (Project, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return Project{}, err
	}
	if err := n.validate(); err != nil {
		return Project{}, err
	}
	err := e.inTx(ctx, func(q *db.Queries) error {
		group, err := groupOf(ctx, q, user, n.Group)
		if err != nil {
			return err
		}
		if n.Profile.Name == "" {
			n.Profile.Name = deid.DefaultProfile
		}
		profile, err := findProfile(ctx, q, n.Profile)
		if err != nil {
			return err
		}
		var key deid.Key
		_, _ = rand.Read(key[:]) // never fails
		id, err := q.InsertNewProject(ctx, db.InsertNewProjectParams{
			Name: n.Name, Description: n.Description, GroupID: group, Profile: n.Profile.Name, ProfileID: profile,
			SealedKey: e.people.Seal(ProjectKeyPurpose, key[:]), SealedSalt: e.sealSalt(n.Salt),
			Scan: !n.NoScan, Manifest: n.Manifest,
		})
		if err != nil {
			return err
		}
		if err := putMembers(ctx, q, user, id, n.Members); err != nil {
			return err
		}
		return people.Record(ctx, q, people.Entry{
			Action: "project.create", Object: "project " + n.Name, Profile: strings.TrimSpace(n.Profile.Name + " " + n.Profile.Version),
			Detail: map[string]any{"members": n.Members, "salt": n.Salt != "", "scan": !n.NoScan, "manifest": n.Manifest},
		})
	})
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "23505" {
		return Project{}, &Conflict{Reason: "a project of this name exists already; choose another name"}
	}
	if err != nil {
		return Project{}, err
	}
	e.log.InfoContext(ctx, "project made", "project", n.Name, "profile", n.Profile.Name, "user", user.ID)
	return e.Project(ctx, user, n.Name)
}

func (n *NewProject) validate() error {
	if n.Name == "" || !validText(n.Name) || strings.TrimSpace(n.Name) != n.Name || strings.ContainsRune(n.Name, '/') {
		return &Invalid{Field: "name", Reason: "a name has 1 to 64 characters, without a slash and without blanks at its ends"}
	}
	return ProjectChange{Description: &n.Description, Members: &n.Members, Salt: &n.Salt}.validate()
}

func (c ProjectChange) validate() error {
	switch {
	case c.Description != nil && len(*c.Description) > maxDescription:
		return &Invalid{Field: "description", Reason: fmt.Sprintf("at most %d characters", maxDescription)}
	case c.Members != nil && len(*c.Members) > maxMembers:
		return &Invalid{Field: "members", Reason: fmt.Sprintf("at most %d; give the project a group of its own instead", maxMembers)}
	case c.Salt != nil && !validText(*c.Salt):
		return &Invalid{Field: "salt", Reason: "the salt of a mass transfer of the original ADIT has at most 64 characters, none of them a control character"}
	}
	return nil
}

func (e *Engine) sealSalt(salt string) []byte {
	if salt == "" {
		return nil
	}
	return e.people.Seal(projectSaltPurpose, []byte(salt))
}

func groupOf(ctx context.Context, q *db.Queries, user people.User, name string) (int64, error) {
	if name != "" {
		id, err := q.GroupByName(ctx, name)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, &Invalid{Field: "group", Reason: "there is no group of this name"}
		}
		return id, err
	}
	if user.ActiveGroupID == nil {
		return 0, &Invalid{Field: "group", Reason: "name the group that the project belongs to: you have no active one"}
	}
	return *user.ActiveGroupID, nil
}

// putMembers makes the people named, and nobody else, a project's members.
func putMembers(ctx context.Context, q *db.Queries, by people.User, project int64, names []string) error {
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(strings.TrimSpace(name))
	}
	slices.Sort(lower)
	lower = slices.Compact(lower)
	return people.GuardLinkage(ctx, q, by, func() error {
		if err := q.DeleteProjectMembers(ctx, project); err != nil {
			return err
		}
		n, err := q.AddProjectMembers(ctx, db.AddProjectMembersParams{ProjectID: project, Usernames: lower})
		if err == nil && n < int64(len(lower)) {
			return &Invalid{Field: "members", Reason: fmt.Sprintf("%d of the names are no user's", int64(len(lower))-n)}
		}
		return err
	})
}

// mayJoin keeps staff from putting themselves into a project, and so from the table that tells who is behind its pseudonyms.
func (e *Engine) mayJoin(ctx context.Context, user people.User, project int64, members []string) error {
	joins := slices.ContainsFunc(members, func(name string) bool { return strings.EqualFold(strings.TrimSpace(name), user.Username) })
	if !joins || user.IsSuperuser {
		return nil
	}
	err := e.people.Check(ctx, user.ID, people.Action{Project: project})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return &people.Denied{Reason: "only superusers may put themselves into a project; ask one of them"}
	}
	return err
}

// entry is what the audit log says of a change.
func (c *ProjectChange) entry(project string) people.Entry {
	detail := map[string]any{"fields": setFields(map[string]bool{
		"description": c.Description != nil, "profile": c.Profile != nil, "members": c.Members != nil, "salt": c.Salt != nil, "scan": c.Scan != nil, "manifest": c.Manifest != nil,
	})}
	if c.Members != nil {
		detail["members"] = *c.Members
	}
	entry := people.Entry{Action: "project.change", Object: "project " + project, Detail: detail}
	if c.Profile != nil {
		entry.Profile = strings.TrimSpace(c.Profile.Name + " " + c.Profile.Version)
	}
	return entry
}

// ChangeProject changes a project. Another profile is that of jobs made from then on, whose UIDs are of a new generation; jobs that were
// made before keep theirs. It is for staff.
func (e *Engine) ChangeProject(ctx context.Context, user people.User, name string, c ProjectChange) (Project, error) {
	if err := e.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return Project{}, err
	}
	if err := c.validate(); err != nil {
		return Project{}, err
	}
	found, err := e.Project(ctx, user, name)
	if err != nil {
		return Project{}, err
	}
	if c.Members != nil {
		if err := e.mayJoin(ctx, user, found.ID, *c.Members); err != nil {
			return Project{}, err
		}
	}
	err = e.inTx(ctx, func(q *db.Queries) error {
		p, err := q.LockProjectRow(ctx, found.ID)
		if err != nil {
			return notFound(err, "project", fmt.Sprintf("%q", name))
		}
		u := db.UpdateProjectParams{ID: p.ID, Description: p.Description, Profile: p.Profile, ProfileID: p.ProfileID, SealedSalt: p.SealedSalt, Scan: p.Scan, Manifest: p.Manifest}
		if c.Description != nil {
			u.Description = *c.Description
		}
		if c.Profile != nil {
			u.Profile = c.Profile.Name
			if u.ProfileID, err = findProfile(ctx, q, *c.Profile); err != nil {
				return err
			}
		}
		u.Scan, u.Manifest = setOr(c.Scan, u.Scan), setOr(c.Manifest, u.Manifest)
		if c.Salt != nil {
			if p.IsDefault && *c.Salt != "" {
				return &Conflict{Reason: "this is a group's default project, whose trials must not share pseudonyms; make a project of its own for the salt"}
			}
			u.SealedSalt = e.sealSalt(*c.Salt)
		}
		if err := q.UpdateProject(ctx, u); err != nil {
			return err
		}
		if err := people.Record(ctx, q, c.entry(found.Name)); err != nil {
			return err
		}
		if c.Members == nil {
			return nil
		}
		return putMembers(ctx, q, user, p.ID, *c.Members)
	})
	if err != nil {
		return Project{}, err
	}
	e.log.InfoContext(ctx, "project changed", "project", found.Name, "user", user.ID)
	return e.Project(ctx, user, found.Name)
}

// setOr gives what is said, or else what was before.
func setOr[T any](said *T, before T) T {
	if said != nil {
		return *said
	}
	return before
}
