// SPDX-License-Identifier: AGPL-3.0-or-later

package projects

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/db"
	"github.com/adit-go/adit/dicom/deid"
	"github.com/adit-go/adit/engine/base"
	"github.com/adit-go/adit/engine/fault"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/internal/version"
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
	// FromOriginal says that it has a salt of the original ADIT, from which pseudonyms are derived.
	FromOriginal bool
	Scan         bool // what goes out under a pseudonym is searched for what came in
	Manifest     bool // jobs keep a manifest of what went out under a pseudonym
	// ExcludedModalities are those of the series that its jobs leave out where they pseudonymize.
	ExcludedModalities []string
	CreatedAt          time.Time
}

// ProfileName names a profile. An empty version stands for the built-in profile of that name, or for the version
// uploaded last.
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

// Filter chooses projects for a list.
type Filter struct {
	Order page.Order // by id or name
	Group string     // that they belong to; empty: any
	Limit int
}

// List returns the projects that the user belongs to, all for staff.
func (svc *Service) List(ctx context.Context, user people.User, f Filter) ([]Project, error) {
	p := db.ListProjectsParams{
		UserID: user.ID, InGroup: f.Group, Sort: f.Order.By, Down: f.Order.Down, Value: f.Order.Value,
		After: f.Order.After, Max: int32(f.Limit),
	}
	if user.IsStaff {
		p.UserID = 0
	}
	rows, err := svc.Q.ListProjects(ctx, p)
	if err != nil {
		return nil, err
	}
	out := make([]Project, len(rows))
	for i, row := range rows {
		out[i] = svc.projectOf(db.GetProjectByNameRow(row))
	}
	return out, nil
}

// Get returns a project by its name, in any case of letters. One that the user does not belong to is ErrNotFound, but
// for staff.
func (svc *Service) Get(ctx context.Context, user people.User, name string) (Project, error) {
	row, err := svc.projectRow(ctx, user, name)
	return svc.projectOf(row), err
}

func (svc *Service) projectRow(ctx context.Context, user people.User, name string) (db.GetProjectByNameRow, error) {
	row, err := svc.Q.GetProjectByName(ctx, name)
	if err != nil {
		return row, refusal.NotFound(err, "project", fmt.Sprintf("%q", name))
	}
	if user.IsStaff {
		return row, nil
	}
	err = svc.People.Check(ctx, user.ID, people.Action{Project: row.Project.ID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return db.GetProjectByNameRow{}, fmt.Errorf("project %q: %w", name, refusal.ErrNotFound)
	}
	return row, err
}

func (svc *Service) projectOf(row db.GetProjectByNameRow) Project {
	p := projectOfRow(row)
	p.ExcludedModalities = svc.Config.ExcludedModalities
	return p
}

func projectOfRow(row db.GetProjectByNameRow) Project {
	p := row.Project
	return Project{
		ID: p.ID, Name: p.Name, Description: p.Description, Group: row.GroupName,
		IsDefault: p.IsDefault, Profile: profileName(p.Profile, row.ProfileVersion),
		Members: row.Members, UIDGeneration: p.UidGeneration, FromOriginal: len(p.SealedSalt) > 0,
		Scan: p.Scan, Manifest: p.Manifest, CreatedAt: p.CreatedAt,
	}
}

// profileName completes the name of a built-in profile, which has no row.
func profileName(name, version string) ProfileName {
	if profile, ok := deid.BuiltinProfile(name); ok && version == "" {
		version = profile.Version()
	}
	return ProfileName{name, version}
}

// ProjectOf finds the project of a job to be made.
func (svc *Service) ProjectOf(ctx context.Context, user people.User, name string) (int64, error) {
	if name == "" {
		if user.ActiveGroupID == nil {
			return 0, &refusal.Invalid{
				Field: "",
				Reason: "you have no active group; choose one, name a project, or ask your administrator to put you " +
					"into a group",
			}
		}
		id, err := svc.Q.DefaultProject(ctx, *user.ActiveGroupID)
		return id, refusal.NotFound(err, "default project of group", *user.ActiveGroupID)
	}
	row, err := svc.Q.GetProjectByName(ctx, name)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, noSuchProject()
	}
	if err != nil {
		return 0, err
	}
	err = svc.People.Check(ctx, user.ID, people.Action{Project: row.Project.ID})
	if _, denied := errors.AsType[*people.Denied](err); denied {
		return 0, noSuchProject() // not even that there is one
	}
	return row.Project.ID, err
}

func noSuchProject() error {
	return &refusal.Invalid{
		Field:  "project",
		Reason: "you are not a member of a project of this name; `adit project list` shows your projects",
	}
}

// Create makes a project with a key of its own. It is for staff.
func (svc *Service) Create(ctx context.Context, user people.User, n NewProject) (Project, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return Project{}, err
	}
	if err := n.validate(); err != nil {
		return Project{}, err
	}
	err := svc.InTx(ctx, func(q *db.Queries) error {
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
			SealedKey: svc.People.Seal(ProjectKeyPurpose, key[:]), SealedSalt: svc.sealSalt(n.Salt),
			Scan: !n.NoScan, Manifest: n.Manifest,
		})
		if err != nil {
			return err
		}
		entry := audit.Entry{
			Action: "project.create", Object: "project " + n.Name,
			Profile: strings.TrimSpace(n.Profile.Name + " " + n.Profile.Version),
			Detail: map[string]any{
				"group": n.Group, "members": n.Members, "salt": n.Salt != "",
				"scan": !n.NoScan, "manifest": n.Manifest,
			},
		}
		if err := putMembers(ctx, q, user, id, n.Members, &entry); err != nil {
			return err
		}
		return audit.Record(ctx, q, entry)
	})
	if db.Violates(err, db.UniqueViolation) {
		return Project{}, &refusal.Conflict{Reason: "a project of this name already exists; choose another name"}
	}
	if err != nil {
		return Project{}, err
	}
	svc.Log.InfoContext(ctx, "project made", "project", n.Name, "profile", n.Profile.Name, "user", user.ID)
	return svc.Get(ctx, user, n.Name)
}

func (n *NewProject) validate() error {
	if !fault.ValidText(n.Name) || !text.Name(n.Name) || strings.ContainsRune(n.Name, '/') {
		return &refusal.Invalid{
			Field: "name",
			Reason: "a name has 1 to 64 characters, without a slash or invisible characters, and with single " +
				"spaces only between words",
		}
	}
	return ProjectChange{Description: &n.Description, Members: &n.Members, Salt: &n.Salt}.validate()
}

func (c ProjectChange) validate() error {
	switch {
	case c.Description != nil && len(*c.Description) > maxDescription:
		return &refusal.Invalid{Field: "description", Reason: fmt.Sprintf("at most %d characters", maxDescription)}
	case c.Members != nil && len(*c.Members) > maxMembers:
		return &refusal.Invalid{Field: "members", Reason: fmt.Sprintf(
			"at most %d; give the project a group of its own instead", maxMembers,
		)}
	case c.Salt != nil && !fault.ValidText(*c.Salt):
		return &refusal.Invalid{
			Field: "salt",
			Reason: "the salt of a mass transfer of the original ADIT has at most 64 characters, none of them a " +
				"control character",
		}
	}
	return nil
}

func (svc *Service) sealSalt(salt string) []byte {
	if salt == "" {
		return nil
	}
	return svc.People.Seal(projectSaltPurpose, []byte(salt))
}

func groupOf(ctx context.Context, q *db.Queries, user people.User, name string) (int64, error) {
	if name != "" {
		id, err := q.GroupByName(ctx, name)
		if errors.Is(err, pgx.ErrNoRows) {
			return 0, &refusal.Invalid{Field: "group", Reason: "there is no group of this name"}
		}
		return id, err
	}
	if user.ActiveGroupID == nil {
		return 0, &refusal.Invalid{
			Field: "group", Reason: "name the group that the project belongs to: you have no active group",
		}
	}
	return *user.ActiveGroupID, nil
}

// putMembers makes the people named, and nobody else, a project's members, and says in the entry whom that adds. Staff
// puts itself into no project, and takes nobody out of one who is staff.
func putMembers(
	ctx context.Context, q *db.Queries, by people.User, project int64, names []string, entry *audit.Entry,
) error {
	lower := make([]string, len(names))
	for i, name := range names {
		lower[i] = strings.ToLower(strings.TrimSpace(name))
	}
	slices.Sort(lower)
	lower = slices.Compact(lower)
	before, err := q.MembersOfProject(ctx, project)
	if err != nil {
		return err
	}
	belongs := db.BelongsToProjectParams{ProjectID: project, UserID: by.ID}
	belonged, err := q.BelongsToProject(ctx, belongs)
	if err != nil {
		return err
	}
	err = people.GuardLinkage(ctx, q, by, func() error {
		if err := q.DeleteProjectMembers(ctx, project); err != nil {
			return err
		}
		n, err := q.AddProjectMembers(ctx, db.AddProjectMembersParams{ProjectID: project, Usernames: lower})
		if err == nil && n < int64(len(lower)) {
			return &refusal.Invalid{
				Field: "members", Reason: fmt.Sprintf("%d of the names belong to no user", int64(len(lower))-n),
			}
		}
		return err
	})
	if err != nil {
		return err
	}
	after, err := q.MembersOfProject(ctx, project)
	if err != nil {
		return err
	}
	belongsNow, err := q.BelongsToProject(ctx, belongs)
	if err != nil {
		return err
	}
	if belongsNow && !belonged {
		if !by.IsSuperuser {
			return &people.Denied{Reason: "only superusers may put themselves into a project; ask one of them"}
		}
		entry.Lacked = append(entry.Lacked, people.Membership)
	}
	for _, u := range without(before, after) {
		if err := people.MayTakeOut(by, u); err != nil {
			return err
		}
	}
	if added := without(after, before); len(added) > 0 {
		names := make([]string, len(added))
		for i, u := range added {
			names[i] = u.Username
		}
		entry.Detail["added"], entry.Granted = names, append(entry.Granted, people.Membership)
	}
	return nil
}

// without returns those of some people who are not among others.
func without(list, others []db.User) []db.User {
	return slices.DeleteFunc(slices.Clone(list), func(u db.User) bool {
		return slices.ContainsFunc(others, func(o db.User) bool { return o.ID == u.ID })
	})
}

// entry is what the audit log says of a change of a project. Another profile or salt, and a scan that is switched off,
// are about what of a patient goes out.
func (c *ProjectChange) entry(project string, before, after db.UpdateProjectParams) audit.Entry {
	detail := map[string]any{"fields": base.SetFields(map[string]bool{
		"description": c.Description != nil, "profile": c.Profile != nil, "members": c.Members != nil,
		"salt": c.Salt != nil, "scan": c.Scan != nil, "manifest": c.Manifest != nil,
	})}
	if c.Members != nil {
		detail["members"] = *c.Members
	}
	entry := audit.Entry{
		Action: "project.change", Object: "project " + project, Detail: detail,
		Widens: c.Salt != nil || before.Scan && !after.Scan ||
			before.Profile != after.Profile || !reflect.DeepEqual(before.ProfileID, after.ProfileID),
	}
	if c.Profile != nil {
		entry.Profile = strings.TrimSpace(c.Profile.Name + " " + c.Profile.Version)
	}
	return entry
}

// Change changes a project. Another profile is that of jobs made from then on, whose UIDs are of a new generation; jobs
// that were made before keep theirs. It is for staff.
func (svc *Service) Change(ctx context.Context, user people.User, name string, c ProjectChange) (Project, error) {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return Project{}, err
	}
	if err := c.validate(); err != nil {
		return Project{}, err
	}
	found, err := svc.Get(ctx, user, name)
	if err != nil {
		return Project{}, err
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		p, err := q.LockProjectRow(ctx, found.ID)
		if err != nil {
			return refusal.NotFound(err, "project", fmt.Sprintf("%q", name))
		}
		if err := checkVersion(ctx, q, p); err != nil {
			return err
		}
		u := db.UpdateProjectParams{
			ID: p.ID, Description: p.Description, Profile: p.Profile, ProfileID: p.ProfileID,
			SealedSalt: p.SealedSalt, Scan: p.Scan, Manifest: p.Manifest,
		}
		before := u
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
				return &refusal.Conflict{
					Reason: "this is the default project of a group, whose trials must not share pseudonyms; make a separate " +
						"project for the salt",
				}
			}
			u.SealedSalt = svc.sealSalt(*c.Salt)
		}
		if err := q.UpdateProject(ctx, u); err != nil {
			return err
		}
		entry := c.entry(found.Name, before, u)
		if c.Members != nil {
			if err := putMembers(ctx, q, user, p.ID, *c.Members, &entry); err != nil {
				return err
			}
		}
		return audit.Record(ctx, q, entry)
	})
	if err != nil {
		return Project{}, err
	}
	svc.Log.InfoContext(ctx, "project changed", "project", found.Name, "user", user.ID)
	return svc.Get(ctx, user, found.Name)
}

// Version tells what staff may change about a project apart from what it was before. Another salt makes another
// generation of UIDs.
func (p Project) Version() string {
	return version.Of(p.Name, p.Description, p.Profile, p.Members, p.UIDGeneration, p.FromOriginal, p.Scan, p.Manifest)
}

// checkVersion refuses what is done to a locked project if the caller expects another version.
func checkVersion(ctx context.Context, q *db.Queries, p db.Project) error {
	row, err := q.GetProjectByName(ctx, p.Name)
	if err != nil {
		return refusal.NotFound(err, "project", fmt.Sprintf("%q", p.Name))
	}
	return version.Check(ctx, projectOfRow(row).Version())
}

// Delete removes a project that was never used. A group keeps its default project. It is for staff.
func (svc *Service) Delete(ctx context.Context, user people.User, name string) error {
	if err := svc.People.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return err
	}
	found, err := svc.Get(ctx, user, name)
	if err != nil {
		return err
	}
	inUse := &refusal.Conflict{
		Reason: "jobs or pseudonyms belong to this project, and must not be lost; take its members away instead",
	}
	err = svc.InTx(ctx, func(q *db.Queries) error {
		p, err := q.LockProjectRow(ctx, found.ID)
		if err != nil {
			return refusal.NotFound(err, "project", fmt.Sprintf("%q", name))
		}
		if err := checkVersion(ctx, q, p); err != nil {
			return err
		}
		if p.IsDefault {
			return &refusal.Conflict{Reason: "this is the default project of a group; it goes with the group"}
		}
		if used, err := q.ProjectUsed(ctx, p.ID); err != nil || used {
			return cmp.Or(err, error(inUse))
		}
		members, err := q.MembersOfProject(ctx, p.ID)
		if err != nil {
			return err
		}
		for _, u := range members {
			if err := people.MayTakeOut(user, u); err != nil {
				return err
			}
		}
		if err := q.DeleteProject(ctx, p.ID); err != nil {
			return err
		}
		return audit.Record(ctx, q, audit.Entry{Action: "project.delete", Object: "project " + p.Name})
	})
	if db.Violates(err, db.ForeignKeyViolation) {
		return inUse // since just now
	}
	return err
}

// setOr returns what is said, or else what was before.
func setOr[T any](said *T, before T) T {
	if said != nil {
		return *said
	}
	return before
}
