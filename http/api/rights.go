// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/adit-go/adit/people"
)

// Who is let to a route, before any permission.
type Who string

// Those who may be let to a route.
const (
	Anybody Who = "anybody"    // known or not
	User    Who = "every user" // whoever has a session or a token
	Owner   Who = "owner"      // whose it is, and staff; for all others it is not there
	Member  Who = "member"     // who belongs to the project; for all others it is not there, but for staff, who is refused
	Staff   Who = "staff"      // superusers are staff
)

// Right says who may use a route.
type Right struct {
	Who         Who
	Needs       people.Action // the permissions; handle asks for them at each request, before anything else is done
	Source      bool          // needs access to the DICOM node that it names, as a source
	Destination bool          // likewise as a destination
	Also        string        // what depends on the request, in words
}

var (
	anybody = Right{Who: Anybody}
	user    = Right{Who: User}
	owner   = Right{Who: Owner}
	staff   = Right{Who: Staff, Needs: people.Action{Staff: true}}
	linkage = Right{Who: Member, Needs: people.LinkageRight()}
	kept    = Right{Who: Staff, Needs: people.QuarantineRight()}
)

func (r Right) also(words string) Right {
	r.Also = words
	return r
}

const (
	ofStaff  = "superusers only, where it concerns staff"
	ofUrgent = "urgent and urgent_outside_windows for jobs that are so; staff for a priority"
)

// rights is the one table of who may use which route. A route that is not in it can't be registered.
var rights = map[string]Right{
	"GET /healthz":             anybody,
	"GET /readyz":              anybody,
	"GET /about":               anybody,
	"GET /api/v1/openapi.json": anybody,

	"GET /api/v1/me":          user,
	"PATCH /api/v1/me":        user,
	"PUT /api/v1/me/password": user.also("the current password"),

	"POST /api/v1/session":             anybody.also("username and password"),
	"GET /api/v1/session":              user,
	"DELETE /api/v1/session":           user,
	"POST /api/v1/session:confirm":     user.also("one's own password; a token has no session to confirm"),
	"POST /api/v1/password-resets":     anybody,
	"POST /api/v1/password-resets:use": anybody.also("the code of the mail"),
	"POST /api/v1/registrations":       anybody,

	"GET /api/v1/tokens":         user.also("staff for those of others"),
	"POST /api/v1/tokens":        {Who: User, Needs: people.TokenRight(), Also: "tokens_without_expiry for one that never expires"},
	"DELETE /api/v1/tokens/{id}": owner,

	"GET /api/v1/users":                                staff,
	"POST /api/v1/users":                               staff.also(ofStaff),
	"GET /api/v1/users/{username}":                     staff,
	"PATCH /api/v1/users/{username}":                   staff.also(ofStaff),
	"DELETE /api/v1/users/{username}":                  staff.also(ofStaff),
	"PUT /api/v1/users/{username}/password":            staff.also(ofStaff),
	"GET /api/v1/registrations":                        staff,
	"POST /api/v1/registrations/{id}:approve":          staff,
	"POST /api/v1/registrations/{id}:refuse":           staff,
	"GET /api/v1/groups":                               staff,
	"POST /api/v1/groups":                              staff,
	"GET /api/v1/groups/{group}":                       staff,
	"PATCH /api/v1/groups/{group}":                     staff,
	"DELETE /api/v1/groups/{group}":                    staff,
	"GET /api/v1/groups/{group}/members":               staff,
	"PUT /api/v1/groups/{group}/members/{username}":    staff,
	"DELETE /api/v1/groups/{group}/members/{username}": staff,
	"GET /api/v1/access":                               staff,
	"PUT /api/v1/access":                               staff,

	"GET /api/v1/nodes":                      user.also("staff for where they are and how they are set"),
	"GET /api/v1/nodes/{name}":               user.also("staff for where it is and how it is set"),
	"DELETE /api/v1/nodes/{name}":            staff,
	"POST /api/v1/nodes/{name}:check":        staff.also("30 in five minutes"),
	"GET /api/v1/servers":                    staff,
	"POST /api/v1/servers":                   staff,
	"GET /api/v1/servers/{name}":             staff,
	"PATCH /api/v1/servers/{name}":           staff,
	"DELETE /api/v1/servers/{name}":          staff,
	"POST /api/v1/servers/{name}:pause":      staff,
	"POST /api/v1/servers/{name}:continue":   staff,
	"GET /api/v1/servers/{name}/schedule":    user,
	"PUT /api/v1/servers/{name}/schedule":    staff,
	"GET /api/v1/servers/{name}/studies":     {Who: User, Needs: people.SearchRight(), Source: true},
	"GET /api/v1/folders":                    staff,
	"POST /api/v1/folders":                   staff,
	"GET /api/v1/folders/{name}":             staff,
	"PATCH /api/v1/folders/{name}":           staff,
	"DELETE /api/v1/folders/{name}":          staff,
	"GET /api/v1/workers/{node}/schedule":    staff,
	"PUT /api/v1/workers/{node}/schedule":    staff,
	"DELETE /api/v1/workers/{node}/schedule": staff,

	"GET /api/v1/jobs": user.also("staff for those of others"),
	"POST /api/v1/jobs": {
		Who: User, Needs: people.TransferRight(), Source: true, Destination: true,
		Also: "transfer_unpseudonymized unless all studies are de-identified; " + ofUrgent,
	},
	"GET /api/v1/jobs/{id}":                   owner,
	"PATCH /api/v1/jobs/{id}":                 owner.also(ofUrgent),
	"DELETE /api/v1/jobs/{id}":                owner.also("staff for one that has ended"),
	"GET /api/v1/jobs/{id}/deidentification":  owner,
	"GET /api/v1/jobs/{id}/manifest":          owner,
	"GET /api/v1/jobs/{id}/tasks":             owner,
	"POST /api/v1/jobs/{id}:verify":           staff,
	"POST /api/v1/jobs/{id}:cancel":           owner,
	"POST /api/v1/jobs/{id}:resume":           owner.also("the owner still needs what the job took"),
	"POST /api/v1/jobs/{id}:retry":            owner.also("the owner still needs what the job took"),
	"POST /api/v1/jobs/{id}:restart":          staff.also("the owner still needs what the job took"),
	"POST /api/v1/jobs/{id}:pause":            owner,
	"POST /api/v1/jobs/{id}:continue":         owner.also("the owner still needs what the job took"),
	"GET /api/v1/tasks/{id}":                  owner,
	"DELETE /api/v1/tasks/{id}":               owner,
	"GET /api/v1/tasks/{id}/deidentification": owner,
	"GET /api/v1/tasks/{id}/log":              staff,
	"POST /api/v1/tasks/{id}:reset":           owner.also("the owner still needs what the job took"),
	"POST /api/v1/tasks/{id}:kill":            staff,

	"GET /api/v1/projects":                        user.also("staff for those that one doesn't belong to"),
	"POST /api/v1/projects":                       staff,
	"GET /api/v1/projects/{name}":                 owner.also("members"),
	"PATCH /api/v1/projects/{name}":               staff,
	"GET /api/v1/projects/{name}/linkage":         linkage,
	"GET /api/v1/projects/{name}/linkage:export":  linkage,
	"POST /api/v1/projects/{name}/linkage:import": linkage,
	"GET /api/v1/profiles":                        user,
	"POST /api/v1/profiles":                       staff,

	"GET /api/v1/foreign-objects":          staff,
	"GET /api/v1/rejected-callers":         staff,
	"GET /api/v1/quarantine":               kept,
	"GET /api/v1/quarantine/{id}":          kept,
	"DELETE /api/v1/quarantine/{id}":       kept,
	"POST /api/v1/quarantine/{id}:release": {Who: Staff, Needs: people.QuarantineRight(), Destination: true, Also: "transfer_unpseudonymized"},

	"GET /api/v1/audit":             staff,
	"GET /api/v1/settings":          staff,
	"PATCH /api/v1/settings":        staff,
	"GET /api/v1/announcement":      user,
	"PUT /api/v1/announcement":      staff,
	"DELETE /api/v1/announcement":   staff,
	"GET /api/v1/mails":             staff,
	"POST /api/v1/mails":            staff,
	"POST /api/v1/mails/{id}:retry": staff,
	"GET /api/v1/stats":             user.also("staff for the jobs of others"),
	"GET /api/v1/housekeeping":      staff,
}

// Rights returns the table of who may use which route, by method and path.
func Rights() map[string]Right { return maps.Clone(rights) }

// rightOf returns the right that a route takes. Who adds a route says in rights who may use it.
func rightOf(op operation) Right {
	r, ok := rights[op.method+" "+prefix+op.path]
	if !ok {
		panic(fmt.Sprintf("api: %s %s is not in the table of rights (rights.go)", op.method, prefix+op.path))
	}
	return r
}

// takesPermission reports whether people has to be asked before a route is used.
func (r Right) takesPermission() bool {
	return r.Needs.Staff || r.Needs.Superuser || len(r.Needs.Permissions)+len(r.Needs.Sections) > 0
}

// Permissions says in words which permissions a route takes; empty: none.
func (r Right) Permissions() string {
	list := slices.Clone(r.Needs.Permissions)
	if len(r.Needs.Sections) > 0 {
		list = append(list, strings.Join(r.Needs.Sections, " or "))
	}
	return strings.Join(list, " and ")
}

// String says who may use a route, for the document of the API.
func (r Right) String() string {
	var also []string
	if p := r.Permissions(); p != "" {
		also = append(also, "with the permission "+p)
	}
	switch {
	case r.Source && r.Destination:
		also = append(also, "with access to the source and the destination")
	case r.Source:
		also = append(also, "with access to the source")
	case r.Destination:
		also = append(also, "with access to the destination")
	}
	if r.Also != "" {
		also = append(also, "also: "+r.Also)
	}
	text := "For " + map[Who]string{
		Anybody: "everybody, known or not", User: "every user", Owner: "the owner and staff", Member: "members of the project", Staff: "staff",
	}[r.Who]
	return strings.Join(append([]string{text}, also...), ", ") + "."
}
