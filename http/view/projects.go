// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/projects"
)

// Profile returns a de-identification profile.
func Profile(p projects.Profile) client.Profile {
	out := client.Profile{
		Name: p.Name, Version: p.Version, SHA256: p.SHA256, Words: p.Words, Builtin: p.ID == 0, Text: p.Text,
	}
	if p.ID != 0 {
		out.CreatedAt = &p.CreatedAt
	}
	return out
}

// Project returns a project.
func Project(p projects.Project) client.Project {
	return client.Project{
		ID: p.ID, Name: p.Name, Description: p.Description, Group: p.Group,
		IsDefault: p.IsDefault, Profile: p.Profile.Name, ProfileVersion: p.Profile.Version,
		Members: p.Members, UIDGeneration: int(p.UIDGeneration),
		FromOriginal: p.FromOriginal, Scan: p.Scan, Manifest: p.Manifest,
		CreatedAt: p.CreatedAt, ExcludedModalities: append([]string{}, p.ExcludedModalities...),
	}
}
