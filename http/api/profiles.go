// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

// profileBody has room for the longest profile.
const profileBody = 1 << 20

func (a *API) registerProfiles() {
	handle(a, operation{
		method: http.MethodGet, path: "/profiles", id: "list-profiles", summary: "List de-identification profiles", tag: projectsTag,
	}, a.listProfiles)
	handle(a, operation{
		method: http.MethodPost, path: "/profiles", id: "add-profile", summary: "Upload a de-identification profile (staff)", tag: projectsTag,
		status: http.StatusCreated, body: profileBody, raw: true, errors: []int{403, 409, 413},
	}, a.addProfile)
}

// listProfiles gives the built-in profiles at the head of the first page.
func (a *API) listProfiles(ctx context.Context, _ people.User, in *Paging) (*body[client.Page[client.Profile]], error) {
	above, err := in.after()
	if err != nil {
		return nil, err
	}
	profiles, err := a.engine.Profiles(ctx, above, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := pageOf(profiles, in.Limit, clientProfile, func(p engine.Profile) int64 { return p.ID })
	if above == 0 {
		var builtin []client.Profile
		for _, p := range engine.BuiltinProfiles() {
			builtin = append(builtin, clientProfile(p))
		}
		page.Body.Items = append(builtin, page.Body.Items...)
	}
	return page, nil
}

func (a *API) addProfile(ctx context.Context, user people.User, in *struct {
	RawBody []byte `contentType:"application/yaml"`
},
) (*body[client.Profile], error) {
	p, err := a.engine.AddProfile(ctx, user, in.RawBody)
	if err != nil {
		return nil, err
	}
	return &body[client.Profile]{clientProfile(p)}, nil
}

func clientProfile(p engine.Profile) client.Profile {
	out := client.Profile{Name: p.Name, Version: p.Version, SHA256: p.SHA256, Words: p.Words, Builtin: p.ID == 0, Text: p.Text}
	if p.ID != 0 {
		out.CreatedAt = &p.CreatedAt
	}
	return out
}
