// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"encoding/json"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// Me returns what people see of themselves.
func Me(p people.Profile) client.Me {
	return client.Me{
		Username: p.Username, Person: client.Person(p.Person), IsStaff: p.IsStaff,
		IsSuperuser: p.IsSuperuser, HasPassword: p.HasPassword,
		Groups: p.Groups, ActiveGroup: p.ActiveGroup, Permissions: p.Permissions,
		Preferences: preferences(p.Preferences),
	}
}

// preferences leaves out what is none, such as what an interface of an earlier version has kept.
func preferences(kept map[string]any) (p client.Preferences) {
	for name, value := range kept {
		text, err := json.Marshal(map[string]any{name: value})
		if err != nil {
			continue
		}
		with := p
		if json.Unmarshal(text, &with) == nil {
			p = with
		}
	}
	return p
}

// PreferencesChange returns the preferences that a change names, by their names.
func PreferencesChange(p *client.Preferences) (map[string]any, error) {
	if p == nil {
		return nil, nil //nolint:nilnil // nothing changes
	}
	text, err := json.Marshal(p)
	if err != nil {
		return nil, err
	}
	change := map[string]any{}
	return change, json.Unmarshal(text, &change)
}
