// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/route"
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
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/projects", ID: "list-projects",
		Summary: "List projects", Tag: projectsTag,
		Description: "Shows the projects that the caller belongs to; staff sees all. A job names one, or belongs " +
			"to the default project of its owner's active group.",
	}, a.listProjects)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/projects", ID: "add-project",
		Summary: "Make a project", Tag: projectsTag,
		Status: http.StatusCreated, Errors: []int{409},
		Description: "Makes a project with a secret key of its own, from which its pseudonyms and UIDs are " +
			"derived. The members of its group may use it at once.",
		Example: `{"name": "stroke-2026", "description": "Stroke imaging", "group": "Radiology", "profile": "adit-default"}`,
	}, a.addProject)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/projects/{name}", ID: "get-project", Editable: true,
		Summary: "Get a project", Tag: projectsTag, Errors: []int{404},
		Description: "Shows a project with its members and its de-identification profile. Its key is never shown.",
	}, a.getProject)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/projects/{name}", ID: "change-project", Editable: true,
		Summary: "Change a project", Tag: projectsTag,
		Errors: []int{404, 409},
		Description: "Changes the properties that are given and leaves the others. Another profile holds for jobs " +
			"made from then on, and gives the same images new UIDs.",
		Example: `{"description": "Stroke imaging, second phase", "manifest": true}`,
	}, a.changeProject)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/projects/{name}", ID: "delete-project", Editable: true,
		Summary: "Remove a project", Tag: projectsTag,
		Description: "Removes a project that no job ever belonged to. Any other stays (409), because pseudonyms " +
			"depend on its key.",
		Status: http.StatusNoContent, Errors: []int{404, 409},
	}, func(ctx context.Context, user people.User, in *struct {
		ProjectName
		route.IfMatch
	},
	) (*route.None, error) {
		return nil, a.engine.Projects.Delete(ctx, user, in.Name)
	})
}

func (a *projectsRoutes) listProjects(ctx context.Context, user people.User, in *listProjects) (
	*route.Body[client.Page[client.Project]], error,
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
	return route.Ordered(list, in.Limit, o, view.Project, func(p projects.Project) (string, int64) {
		return nameOf(o, p.Name), p.ID
	}), nil
}

func (a *projectsRoutes) getProject(
	ctx context.Context, user people.User, in *struct {
		ProjectName
		route.IfNoneMatch
	},
) (*route.Current[client.Project], error) {
	p, err := a.engine.Projects.Get(ctx, user, in.Name)
	if err != nil {
		return nil, err
	}
	return route.UnlessKnown(in.IfNoneMatch, p.Version(), view.Project(p)), nil
}

func (a *projectsRoutes) addProject(ctx context.Context, user people.User, in *struct{ Body client.NewProject }) (
	*route.Created[client.Project], error,
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
	return route.MadeAt("/projects", p.Name, view.Project(p)), nil
}

func (a *projectsRoutes) changeProject(ctx context.Context, user people.User, in *struct {
	ProjectName
	route.IfMatch
	Body client.ProjectChange
},
) (*route.Changed[client.Project], error) {
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
	return route.ChangedTo(p.Version(), view.Project(p)), nil
}
