// SPDX-License-Identifier: AGPL-3.0-or-later

package view

import (
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/people"
)

// Me returns what people see of themselves.
func Me(p people.Profile) client.Me {
	return client.Me{
		Username: p.Username, Person: client.Person(p.Person), IsStaff: p.IsStaff,
		IsSuperuser: p.IsSuperuser, HasPassword: p.HasPassword,
		Groups: p.Groups, ActiveGroup: p.ActiveGroup, Permissions: p.Permissions, Preferences: p.Preferences,
	}
}
