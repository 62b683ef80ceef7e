// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"net/url"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/people"
)

// profilesRoutes are the routes of this file.
type profilesRoutes struct{ *API }

// profileBody has room for the longest profile.
const profileBody = 1 << 20

func (a *profilesRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/profiles", id: "list-profiles",
		summary: "List de-identification profiles", tag: projectsTag,
		description: "Shows the built-in profiles first, then those that were uploaded, each with what it does in " +
			"plain words.",
	}, a.listProfiles)
	handle(a.API, operation{
		method: http.MethodPost, path: "/profiles", id: "add-profile",
		summary: "Upload a de-identification profile", tag: projectsTag,
		status: http.StatusCreated, body: profileBody, raw: true, errors: []int{409},
		description: "Takes a profile in YAML and checks it. To upload the same again changes nothing; another " +
			"content under the same name and version is refused (409), as jobs refer to it.",
		example: "name: neuro\nversion: \"2\"\nbase: adit\n",
	}, a.addProfile)
	handle(a.API, operation{
		method: http.MethodGet, path: "/profiles/{name}", id: "get-profile",
		summary: "Get a de-identification profile", tag: projectsTag, errors: []int{404},
		description: "Shows one version of a profile and what it does in plain words; without `version`, the newest.",
	}, a.getProfile)
}

// listProfiles returns the built-in profiles at the head of the first page.
func (a *profilesRoutes) listProfiles(ctx context.Context, _ people.User, in *Paging) (
	*body[client.Page[client.Profile]], error,
) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	profiles, err := a.engine.Projects.Profiles(ctx, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := pageOf(profiles, in.Limit, view.Profile, func(p projects.Profile) int64 { return p.ID })
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
) (*created[client.Profile], error) {
	p, err := a.engine.Projects.AddProfile(ctx, user, in.RawBody)
	if err != nil {
		return nil, err
	}
	made := madeAt("/profiles", p.Name, view.Profile(p))
	made.Location += "?version=" + url.QueryEscape(p.Version)
	return made, nil
}

func (a *profilesRoutes) getProfile(ctx context.Context, _ people.User, in *struct {
	Name    string `path:"name" maxLength:"255" example:"adit" doc:"Name of the profile."`
	Version string `query:"version" maxLength:"255" example:"1" doc:"Its version; the one that was uploaded last by default."`
},
) (*body[client.Profile], error) {
	if err := plainText(map[string]string{"name": in.Name, "version": in.Version}); err != nil {
		return nil, err
	}
	p, err := a.engine.Projects.Profile(ctx, in.Name, in.Version)
	if err != nil {
		return nil, err
	}
	return &body[client.Profile]{view.Profile(p)}, nil
}
