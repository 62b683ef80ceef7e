// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/route"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// profilesRoutes are the routes of this file.
type profilesRoutes struct{ *API }

// profileBody has room for the longest profile.
const profileBody = 1 << 20

func (a *profilesRoutes) register() {
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/profiles", ID: "list-profiles",
		Summary: "List de-identification profiles", Tag: projectsTag,
		Description: "Shows the built-in profiles first, then those that were uploaded, each with what it does in " +
			"plain words.",
	}, a.listProfiles)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/profiles", ID: "add-profile",
		Summary: "Upload a de-identification profile", Tag: projectsTag,
		Status: http.StatusCreated, Body: profileBody, Raw: true, Errors: []int{409},
		Description: "Takes a profile in YAML and checks it. To upload the same again changes nothing; another " +
			"content under the same name and version is refused (409), as jobs refer to it.",
		Example: "name: neuro\nversion: \"2\"\nbase: adit\n",
	}, a.addProfile)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/profiles/{name}", ID: "get-profile",
		Summary: "Get a de-identification profile", Tag: projectsTag, Errors: []int{404},
		Description: "Shows one version of a profile and what it does in plain words; without `version`, the newest.",
	}, a.getProfile)
}

// listProfiles returns the built-in profiles at the head of the first page.
func (a *profilesRoutes) listProfiles(ctx context.Context, _ people.User, in *route.Paging) (
	*route.Body[client.Page[client.Profile]], error,
) {
	above, err := in.After()
	if err != nil {
		return nil, err
	}
	profiles, err := a.engine.Projects.Profiles(ctx, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := route.PageOf(profiles, in.Limit, view.Profile, func(p projects.Profile) int64 { return p.ID })
	if above == 0 {
		var builtin []client.Profile
		for _, p := range projects.BuiltinProfiles() {
			builtin = append(builtin, view.Profile(p))
		}
		page.Body.Items = append(builtin, page.Body.Items...)
	}
	return page, nil
}

func (a *profilesRoutes) addProfile(ctx context.Context, user people.User, in *struct {
	RawBody []byte `contentType:"application/yaml"`
},
) (*route.Created[client.Profile], error) {
	p, err := a.engine.Projects.AddProfile(ctx, user, in.RawBody)
	if err != nil {
		return nil, err
	}
	made := route.MadeAt("/profiles", p.Name, view.Profile(p))
	made.Location += "?version=" + url.QueryEscape(p.Version)
	return made, nil
}

func (a *profilesRoutes) getProfile(ctx context.Context, _ people.User, in *struct {
	Name    string `path:"name" maxLength:"255" example:"adit" doc:"Name of the profile."`
	Version string `query:"version" maxLength:"255" example:"1" doc:"Its version; the one that was uploaded last by default."`
},
) (*route.Body[client.Profile], error) {
	if err := plainText(map[string]string{"name": in.Name, "version": in.Version}); err != nil {
		return nil, err
	}
	p, err := a.engine.Projects.Profile(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Profile(p)), nil
}
