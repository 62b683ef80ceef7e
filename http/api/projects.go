// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const projectsTag = "Projects"

// ProjectName names a project in a path.
type ProjectName struct {
	Name string `path:"name" doc:"Name of the project, in any case of letters." maxLength:"255"`
}

func (a *API) registerProjects() {
	handle(a, operation{
		method: http.MethodGet, path: "/projects", id: "list-projects", summary: "List the projects that one belongs to, all for staff", tag: projectsTag,
	}, a.listProjects)
	handle(a, operation{
		method: http.MethodPost, path: "/projects", id: "add-project", summary: "Make a project with a key of its own (staff)", tag: projectsTag,
		status: http.StatusCreated, errors: []int{400, 403, 409, 413},
	}, a.addProject)
	handle(a, operation{method: http.MethodGet, path: "/projects/{name}", id: "get-project", summary: "Get a project", tag: projectsTag, errors: []int{404}}, a.getProject)
	handle(a, operation{
		method: http.MethodPatch, path: "/projects/{name}", id: "change-project", summary: "Change a project (staff)", tag: projectsTag,
		errors: []int{400, 403, 404, 409, 413},
	}, a.changeProject)
}

func (a *API) listProjects(ctx context.Context, user people.User, in *Paging) (*body[client.Page[client.Project]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	projects, err := a.engine.Projects(ctx, user, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(projects, in.Limit, clientProject, func(p engine.Project) int64 { return p.ID }), nil
}

func (a *API) getProject(ctx context.Context, user people.User, in *ProjectName) (*body[client.Project], error) {
	p, err := a.engine.Project(ctx, user, in.Name)
	if err != nil {
		return nil, err
	}
	return &body[client.Project]{clientProject(p)}, nil
}

func (a *API) addProject(ctx context.Context, user people.User, in *struct{ Body client.NewProject }) (*created[client.Project], error) {
	n := in.Body
	if err := plainName(map[string]string{"description": n.Description, "group": n.Group, "profile": n.Profile, "profile_version": n.ProfileVersion}); err != nil {
		return nil, err
	}
	p, err := a.engine.CreateProject(ctx, user, engine.NewProject{
		Name: n.Name, Description: n.Description, Group: n.Group, Profile: engine.ProfileName{Name: n.Profile, Version: n.ProfileVersion},
		Members: n.Members, Salt: n.Salt, NoScan: n.NoScan, Manifest: n.Manifest,
	})
	if err != nil {
		return nil, err
	}
	return madeAt("/projects", p.Name, clientProject(p)), nil
}

func (a *API) changeProject(ctx context.Context, user people.User, in *struct {
	ProjectName
	Body client.ProjectChange
},
) (*body[client.Project], error) {
	c := engine.ProjectChange{Description: in.Body.Description, Members: in.Body.Members, Salt: in.Body.Salt, Scan: in.Body.Scan, Manifest: in.Body.Manifest}
	version := ""
	if in.Body.ProfileVersion != nil {
		version = *in.Body.ProfileVersion
	}
	if in.Body.Profile != nil {
		c.Profile = &engine.ProfileName{Name: *in.Body.Profile, Version: version}
		if err := plainName(map[string]string{"profile": *in.Body.Profile, "profile_version": version}); err != nil {
			return nil, err
		}
	} else if version != "" {
		return nil, &engine.Invalid{Field: "profile", Reason: "name the profile of this version"}
	}
	if in.Body.Description != nil {
		if err := plainName(map[string]string{"description": *in.Body.Description}); err != nil {
			return nil, err
		}
	}
	p, err := a.engine.ChangeProject(ctx, user, in.Name, c)
	if err != nil {
		return nil, err
	}
	return &body[client.Project]{clientProject(p)}, nil
}

func clientProject(p engine.Project) client.Project {
	return client.Project{
		ID: p.ID, Name: p.Name, Description: p.Description, Group: p.Group, IsDefault: p.IsDefault, Profile: p.Profile.Name, ProfileVersion: p.Profile.Version,
		Members: p.Members, UIDGeneration: int(p.UIDGeneration), FromOriginal: p.FromOriginal, Scan: p.Scan, Manifest: p.Manifest,
		CreatedAt: p.CreatedAt,
	}
}
