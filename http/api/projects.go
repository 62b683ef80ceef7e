// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/page"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/people"
)

// projectsRoutes are the routes of this file.
type projectsRoutes struct{ *API }

const projectsTag = "Projects"

// ProjectName names a project in a path.
type ProjectName struct {
	Name string `path:"name" doc:"Name of the project, in any case of letters." maxLength:"255" example:"stroke-2026"`
}

type listProjects struct {
	NamedList
	Group string `query:"group" maxLength:"150" example:"Radiology" doc:"Only projects of this group."`
}

func (a *projectsRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/projects", id: "list-projects",
		summary: "List projects", tag: projectsTag,
		description: "Shows the projects that the caller belongs to; staff sees all. A job names one, or belongs " +
			"to the default project of its owner's active group.",
	}, a.listProjects)
	handle(a.API, operation{
		method: http.MethodPost, path: "/projects", id: "add-project",
		summary: "Make a project", tag: projectsTag,
		status: http.StatusCreated, errors: []int{409},
		description: "Makes a project with a secret key of its own, from which its pseudonyms and UIDs are " +
			"derived. The members of its group may use it at once.",
		example: `{"name": "stroke-2026", "description": "Stroke imaging", "group": "Radiology", "profile": "adit-default"}`,
	}, a.addProject)
	handle(a.API, operation{
		method: http.MethodGet, path: "/projects/{name}", id: "get-project", editable: true,
		summary: "Get a project", tag: projectsTag, errors: []int{404},
		description: "Shows a project with its members and its de-identification profile. Its key is never shown.",
	}, a.getProject)
	handle(a.API, operation{
		method: http.MethodPatch, path: "/projects/{name}", id: "change-project", editable: true,
		summary: "Change a project", tag: projectsTag,
		errors: []int{404, 409},
		description: "Changes the properties that are given and leaves the others. Another profile holds for jobs " +
			"made from then on, and gives the same images new UIDs.",
		example: `{"description": "Stroke imaging, second phase", "manifest": true}`,
	}, a.changeProject)
	handle(a.API, operation{
		method: http.MethodDelete, path: "/projects/{name}", id: "delete-project", editable: true,
		summary: "Remove a project", tag: projectsTag,
		description: "Removes a project that no job ever belonged to. Any other stays (409), because pseudonyms " +
			"depend on its key.",
		status: http.StatusNoContent, errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		ProjectName
		IfMatch
	},
	) (*none, error) {
		return nil, a.engine.Projects.Delete(ctx, user, in.Name)
	})
}

func (a *projectsRoutes) listProjects(ctx context.Context, user people.User, in *listProjects) (
	*body[client.Page[client.Project]], error,
) {
	if err := plainText(map[string]string{"group": in.Group}); err != nil {
		return nil, err
	}
	o, err := page.Parse(in.Sort, in.Cursor)
	if err != nil {
		return nil, err
	}
	list, err := a.engine.Projects.List(
		ctx, user, projects.Filter{Order: o, Group: in.Group, Limit: in.Limit + 1},
	)
	if err != nil {
		return nil, err
	}
	return ordered(list, in.Limit, o, view.Project, func(p projects.Project) (string, int64) {
		return nameOf(o, p.Name), p.ID
	}), nil
}

func (a *projectsRoutes) getProject(
	ctx context.Context, user people.User, in *struct {
		ProjectName
		IfNoneMatch
	},
) (*current[client.Project], error) {
	p, err := a.engine.Projects.Get(ctx, user, in.Name)
	if err != nil {
		return nil, err
	}
	return unlessKnown(in.IfNoneMatch, p.Version(), view.Project(p)), nil
}

func (a *projectsRoutes) addProject(ctx context.Context, user people.User, in *struct{ Body client.NewProject }) (
	*created[client.Project], error,
) {
	n := in.Body
	if err := plainName(map[string]string{
		"description": n.Description, "group": n.Group, "profile": n.Profile, "profile_version": n.ProfileVersion,
	}); err != nil {
		return nil, err
	}
	p, err := a.engine.Projects.Create(ctx, user, projects.NewProject{
		Name: n.Name, Description: n.Description, Group: n.Group,
		Profile: projects.ProfileName{Name: n.Profile, Version: n.ProfileVersion},
		Members: n.Members, Salt: n.Salt, NoScan: n.NoScan, Manifest: n.Manifest,
	})
	if err != nil {
		return nil, err
	}
	return madeAt("/projects", p.Name, view.Project(p)), nil
}

func (a *projectsRoutes) changeProject(ctx context.Context, user people.User, in *struct {
	ProjectName
	IfMatch
	Body client.ProjectChange
},
) (*changed[client.Project], error) {
	c := projects.ProjectChange{
		Description: in.Body.Description, Members: in.Body.Members,
		Salt: in.Body.Salt, Scan: in.Body.Scan, Manifest: in.Body.Manifest,
	}
	version := ""
	if in.Body.ProfileVersion != nil {
		version = *in.Body.ProfileVersion
	}
	if in.Body.Profile != nil {
		c.Profile = &projects.ProfileName{Name: *in.Body.Profile, Version: version}
		if err := plainName(map[string]string{"profile": *in.Body.Profile, "profile_version": version}); err != nil {
			return nil, err
		}
	} else if version != "" {
		return nil, &refusal.Invalid{Field: "profile", Reason: "name the profile of this version"}
	}
	if in.Body.Description != nil {
		if err := plainName(map[string]string{"description": *in.Body.Description}); err != nil {
			return nil, err
		}
	}
	p, err := a.engine.Projects.Change(ctx, user, in.Name, c)
	if err != nil {
		return nil, err
	}
	return &changed[client.Project]{p.Version(), view.Project(p)}, nil
}
