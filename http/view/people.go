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
		LockedSections: p.LockedSections, SectionMessage: p.SectionMessage, EthicsIDNeeded: p.EthicsIDNeeded,
		TimeZone:    p.TimeZone,
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

// Access returns what the members of a group may do with a DICOM node.
func Access(a people.Access) client.Access {
	return client.Access{Group: a.Group, Node: a.Node, Kind: a.Kind, Source: a.Source, Destination: a.Destination}
}

// Group returns a group.
func Group(g people.Group) client.Group {
	return client.Group{ID: g.ID, Name: g.Name, Permissions: g.Permissions, Members: g.Members}
}

// Registration returns a registration.
func Registration(r people.Registration) client.Registration {
	return client.Registration{
		ID: r.ID, Username: r.Username, Person: client.Person(r.Person),
		Message: r.Message, CreatedAt: r.CreatedAt,
	}
}

// User returns an account.
func User(u people.Account) client.User {
	return client.User{
		ID: u.ID, Username: u.Username, Person: client.Person(u.Person),
		IsActive: u.IsActive, IsStaff: u.IsStaff, IsSuperuser: u.IsSuperuser,
		HasPassword: u.HasPassword, Groups: u.Groups, CreatedAt: u.CreatedAt,
	}
}
