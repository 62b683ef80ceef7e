// SPDX-License-Identifier: AGPL-3.0-or-later

// Package rights is the table of who may use which route of the REST API, with which each request is checked.
package rights

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/adit-go/adit/audit"
	"github.com/adit-go/adit/people"
)

// Who is let to a route, before any permission.
type Who string

// Those who may be let to a route.
const (
	Anybody Who = "anybody"    // known or not
	User    Who = "every user" // whoever has a session or a token
	Owner   Who = "owner"      // whose it is, and staff; for all others it is not there
	// who belongs to the project; for all others it is not there, but for staff, who is refused
	Member Who = "member"
	Staff  Who = "staff" // superusers are staff
)

// Right says who may use a route.
type Right struct {
	Who         Who
	Needs       people.Action // the permissions; handle asks for them at each request, before anything else is done
	Source      bool          // needs access to the DICOM node that it names, as a source
	Destination bool          // likewise as a destination
	Also        string        // what depends on the request, in words
	Reads       bool          // it changes nothing, whatever its method
	Acts        []string      // what it does, as the audit log calls it; people knows which of that takes the password
}

var (
	anybody = Right{Who: Anybody}
	user    = Right{Who: User}
	owner   = Right{Who: Owner}
	staff   = Right{Who: Staff, Needs: people.Action{Staff: true}}
	linkage = Right{Who: Member, Needs: people.LinkageRight()}
	search  = Right{Who: User, Needs: people.SearchRight(), Source: true, Acts: []string{audit.ActSearch}}
	qido    = Right{
		Who: User, Needs: people.Action{Permissions: []string{people.DICOMwebQuery}}, Source: true,
		Also: "a server that one may not read from is not there",
	}
	wado = Right{
		Who: User, Needs: people.Action{Permissions: []string{people.DICOMwebRetrieve}}, Source: true,
		Also: "transfer_unpseudonymized without a pseudonym; a server that one may not read from is not there",
		Acts: []string{audit.ActRead},
	}
	stow = Right{
		Who: User, Needs: people.Action{Permissions: []string{people.DICOMwebStore}}, Destination: true,
		Also: "a server that one may not write to is not there; transfer_unpseudonymized for objects that do not say " +
			"that their patient was removed (0012,0062)",
		Acts: []string{audit.ActStoring},
	}
	kept = Right{Who: Staff, Needs: people.QuarantineRight()}
)

func (r Right) also(words string) Right {
	r.Also = words
	return r
}

func (r Right) does(acts ...string) Right {
	r.Acts = acts
	return r
}

// Password says when a route takes the password again: "yes", "no", or of which requests, in words; empty: it changes
// nothing.
func (r Right) Password() string {
	var words []string
	for _, act := range r.Acts {
		if when := audit.TakesPassword(act); len(r.Acts) == 1 {
			words = append(words, when)
		} else if when != "no" {
			words = append(words, act+": "+when)
		}
	}
	if len(words) == 0 && len(r.Acts) > 0 {
		return "no"
	}
	return strings.Join(words, "; ")
}

const (
	ofBegun  = "the owner still needs what the job took; its section must not be locked"
	ofStaff  = "superusers only, where it concerns staff"
	ofUrgent = "urgent and urgent_outside_windows for jobs that are so; staff for a priority"
)

// table is the one table of who may use which route. A route that is not in it can't be registered.
var table = map[string]Right{
	"GET /healthz":             anybody,
	"GET /readyz":              anybody,
	"GET /about":               anybody,
	"GET /api/v1/openapi.json": anybody,
	"GET /api/docs":            anybody,
	"GET /api/docs/{file}":     anybody,

	"GET /dicom-web/{ae_title}/studies":                                              qido,
	"GET /dicom-web/{ae_title}/series":                                               qido,
	"GET /dicom-web/{ae_title}/instances":                                            qido,
	"GET /dicom-web/{ae_title}/studies/{study}/series":                               qido,
	"GET /dicom-web/{ae_title}/studies/{study}/instances":                            qido,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances":            qido,
	"GET /api/dicom-web/{ae_title}/qidors/studies":                                   qido,
	"GET /api/dicom-web/{ae_title}/qidors/series":                                    qido,
	"GET /api/dicom-web/{ae_title}/qidors/instances":                                 qido,
	"GET /api/dicom-web/{ae_title}/qidors/studies/{study}/series":                    qido,
	"GET /api/dicom-web/{ae_title}/qidors/studies/{study}/instances":                 qido,
	"GET /api/dicom-web/{ae_title}/qidors/studies/{study}/series/{series}/instances": qido,

	"GET /dicom-web/{ae_title}/studies/{study}":                                                                 wado,
	"GET /dicom-web/{ae_title}/studies/{study}/metadata":                                                        wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}":                                                 wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/metadata":                                        wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}":                            wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/metadata":                   wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}":                                                      wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/metadata":                                             wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/nifti":                                                wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}":                                      wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/metadata":                             wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/nifti":                                wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}":                 wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/metadata":        wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/nifti":           wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}":            wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}":            wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}": wado,
	"GET /dicom-web/{ae_title}/studies/{study}/bulkdata/{name}":                                                 wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/bulkdata/{name}":                                      wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/bulkdata/{path}": wado,

	"GET /dicom-web/{ae_title}/studies/{study}/rendered":                                                                  wado,
	"GET /dicom-web/{ae_title}/studies/{study}/thumbnail":                                                                 wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/rendered":                                                  wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/thumbnail":                                                 wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/rendered":                             wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/thumbnail":                            wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered":             wado,
	"GET /dicom-web/{ae_title}/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail":            wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/rendered":                                                       wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/thumbnail":                                                      wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/rendered":                                       wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/thumbnail":                                      wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/rendered":                  wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/thumbnail":                 wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/rendered":  wado,
	"GET /api/dicom-web/{ae_title}/wadors/studies/{study}/series/{series}/instances/{instance}/frames/{frames}/thumbnail": wado,

	"POST /dicom-web/{ae_title}/studies":                    stow,
	"POST /dicom-web/{ae_title}/studies/{study}":            stow,
	"POST /api/dicom-web/{ae_title}/stowrs/studies":         stow,
	"POST /api/dicom-web/{ae_title}/stowrs/studies/{study}": stow,

	"GET /api/v1/me":          user,
	"PATCH /api/v1/me":        user.does("me.change"),
	"PUT /api/v1/me/password": user.also("the current password").does("password.change"),

	"POST /api/v1/session":   anybody.also("username and password").does("session.begin"),
	"GET /api/v1/session":    user,
	"DELETE /api/v1/session": user.does("session.end"),
	"POST /api/v1/session:confirm": user.also(
		"one's own password; a token has no session to confirm",
	).does("session.confirm"),
	"POST /api/v1/password-resets":     anybody.does("password.request"),
	"POST /api/v1/password-resets:use": anybody.also("the code of the mail").does("password.reset"),
	"POST /api/v1/registrations":       anybody.does("registration.create"),

	"GET /api/v1/tokens": user.also("staff for those of others"),
	"POST /api/v1/tokens": {
		Who: User, Needs: people.TokenRight(),
		Also: "tokens_without_expiry for one that never expires", Acts: []string{"token.create"},
	},
	"GET /api/v1/tokens/{id}":    owner,
	"DELETE /api/v1/tokens/{id}": owner.does("token.revoke"),

	"GET /api/v1/users":                                staff,
	"POST /api/v1/users":                               staff.also(ofStaff).does("user.create"),
	"GET /api/v1/users/{username}":                     staff,
	"PATCH /api/v1/users/{username}":                   staff.also(ofStaff).does("user.change"),
	"DELETE /api/v1/users/{username}":                  staff.also(ofStaff).does("user.delete"),
	"PUT /api/v1/users/{username}/password":            staff.also(ofStaff).does("password.set"),
	"GET /api/v1/registrations":                        staff,
	"GET /api/v1/registrations/{id}":                   staff,
	"POST /api/v1/registrations/{id}:approve":          staff.does("registration.approve"),
	"POST /api/v1/registrations/{id}:refuse":           staff.does("registration.refuse"),
	"GET /api/v1/groups":                               staff,
	"POST /api/v1/groups":                              staff.does("group.create"),
	"GET /api/v1/groups/{group}":                       staff,
	"PATCH /api/v1/groups/{group}":                     staff.does("group.change"),
	"DELETE /api/v1/groups/{group}":                    staff.does("group.delete"),
	"GET /api/v1/groups/{group}/members":               staff,
	"PUT /api/v1/groups/{group}/members/{username}":    staff.does("group.add_member"),
	"DELETE /api/v1/groups/{group}/members/{username}": staff.does("group.remove_member"),
	"GET /api/v1/access":                               staff,
	"GET /api/v1/access/{group}/{node}":                staff,
	"PUT /api/v1/access":                               staff.does("access.change"),

	"GET /api/v1/nodes":                    user.also("staff for where they are and how they are set"),
	"GET /api/v1/nodes/{name}":             user.also("staff for where it is and how it is set"),
	"DELETE /api/v1/nodes/{name}":          staff.does("server.delete", "folder.delete"),
	"POST /api/v1/nodes/{name}:check":      staff.also("30 in five minutes").does("server.check", "folder.check"),
	"POST /api/v1/servers:check":           staff.also("30 in five minutes").does("server.check"),
	"GET /api/v1/servers":                  staff,
	"POST /api/v1/servers":                 staff.does("server.create"),
	"GET /api/v1/servers:now":              user.also("staff for those that one may not use"),
	"GET /api/v1/servers/{name}":           staff,
	"PATCH /api/v1/servers/{name}":         staff.does("server.change"),
	"DELETE /api/v1/servers/{name}":        staff.does("server.delete"),
	"POST /api/v1/servers/{name}:pause":    staff.does("server.pause"),
	"POST /api/v1/servers/{name}:continue": staff.does("server.continue"),
	"GET /api/v1/servers/{name}/use":       staff,
	"GET /api/v1/servers/{name}/schedule":  user,
	"POST /api/v1/servers/{name}/schedule:preview": {
		Who: Staff, Needs: people.Action{Staff: true}, Reads: true,
	},
	"PUT /api/v1/servers/{name}/schedule":          staff.does("schedule.change"),
	"POST /api/v1/servers/{name}/studies:search":   search,
	"POST /api/v1/servers/{name}/series:search":    search,
	"POST /api/v1/servers/{name}/instances:search": search,
	"GET /api/v1/servers/{name}/studies/{study}/download": {
		Who: User, Needs: people.Action{Permissions: []string{people.DirectDownload}}, Source: true,
		Also: "transfer_unpseudonymized without a pseudonym", Acts: []string{audit.ActDownload},
	},
	"GET /api/v1/folders":                      staff,
	"POST /api/v1/folders":                     staff.does("folder.create"),
	"GET /api/v1/folders/{name}":               staff,
	"PATCH /api/v1/folders/{name}":             staff.does("folder.change", "folder.adopt"),
	"DELETE /api/v1/folders/{name}":            staff.does("folder.delete"),
	"GET /api/v1/workers/{member}/schedule":    staff,
	"PUT /api/v1/workers/{member}/schedule":    staff.does("workers.change"),
	"DELETE /api/v1/workers/{member}/schedule": staff.does("workers.delete"),

	"GET /api/v1/cluster/members":                  staff,
	"PATCH /api/v1/cluster/members/{member}":       staff.does("member.change"),
	"POST /api/v1/cluster/members/{member}:drain":  staff.does("member.drain"),
	"POST /api/v1/cluster/members/{member}:resume": staff.does("member.resume"),

	"GET /api/v1/jobs":       user.also("staff for those of others"),
	"GET /api/v1/jobs:count": user.also("staff for those of others"),
	"POST /api/v1/jobs": {
		Who: User, Needs: people.SectionRight(people.SelectiveTransfer), Source: true, Destination: true,
		Also: "transfer_unpseudonymized unless all studies are de-identified; " + ofUrgent,
		Acts: []string{"job.create"},
	},
	"POST /api/v1/batch:check":         {Who: User, Needs: people.BatchRight(), Reads: true},
	"POST /api/v1/batch:remarks":       {Who: User, Needs: people.BatchRight(), Reads: true},
	"GET /api/v1/batch-samples/{kind}": user,
	"POST /api/v1/batch-queries": {
		Who: User, Needs: people.SectionRight(people.BatchQuery), Source: true, Also: ofUrgent,
		Acts: []string{"job.create"},
	},
	"POST /api/v1/batch-transfers": {
		Who: User, Needs: people.SectionRight(people.BatchTransfer), Source: true, Destination: true,
		Also: "transfer_unpseudonymized unless all studies are de-identified; " + ofUrgent,
		Acts: []string{"job.create"},
	},
	"POST /api/v1/mass-transfers": {
		Who: User, Needs: people.SectionRight(people.MassTransfer), Source: true, Destination: true,
		Also: "transfer_unpseudonymized unless it pseudonymizes", Acts: []string{"job.create"},
	},
	"POST /api/v1/mass-filters:read": {Who: User, Needs: people.SectionRight(people.MassTransfer), Reads: true},
	"GET /api/v1/recurrences":        user.also("staff for those of others"),
	"POST /api/v1/recurrences": {
		Who: User, Source: true,
		Also: "what its kind of job takes, now and at each run", Acts: []string{"recurrence.create"},
	},
	"GET /api/v1/recurrences/{id}":                  owner,
	"PATCH /api/v1/recurrences/{id}":                owner.does("recurrence.change"),
	"DELETE /api/v1/recurrences/{id}":               owner.does("recurrence.delete"),
	"POST /api/v1/recurrences/{id}:run":             owner.also(ofBegun).does("recurrence.run"),
	"GET /api/v1/jobs/{id}/mass":                    owner,
	"GET /api/v1/jobs/{id}/partitions":              owner,
	"GET /api/v1/jobs/{id}/volumes":                 owner,
	"GET /api/v1/jobs/{id}/volumes:export":          owner.also("the pseudonyms for those with the permission linkage"),
	"GET /api/v1/jobs/{id}/results":                 owner,
	"GET /api/v1/jobs/{id}/results:count":           owner,
	"GET /api/v1/jobs/{id}/results:export":          owner,
	"GET /api/v1/jobs/{id}/failed-rows":             owner,
	"GET /api/v1/jobs/{id}":                         owner,
	"PATCH /api/v1/jobs/{id}":                       owner.also(ofUrgent).does("job.change"),
	"DELETE /api/v1/jobs/{id}":                      owner.also("staff for one that has ended").does("job.delete"),
	"GET /api/v1/jobs/{id}/deidentification":        owner,
	"GET /api/v1/jobs/{id}/deidentification:export": owner,
	"GET /api/v1/jobs/{id}/failed-studies":          owner,
	"GET /api/v1/jobs/{id}/failures":                owner,
	"GET /api/v1/jobs/{id}/manifest":                owner,
	"GET /api/v1/jobs/{id}/tasks":                   owner,
	"POST /api/v1/jobs/{id}:verify":                 staff.does("job.verify"),
	"POST /api/v1/jobs/{id}:cancel":                 owner.does("job.cancel"),
	"POST /api/v1/jobs/{id}:resume":                 owner.also(ofBegun).does("job.resume"),
	"POST /api/v1/jobs/{id}:retry":                  owner.also(ofBegun).does("job.retry"),
	"POST /api/v1/jobs/{id}:restart": staff.also(
		"the owner still needs what the job took",
	).does("job.restart"),
	"POST /api/v1/jobs/{id}:begin":            owner.also(ofBegun).does("job.begin"),
	"POST /api/v1/jobs/{id}:pause":            owner.does("job.pause"),
	"POST /api/v1/jobs/{id}:continue":         owner.also(ofBegun).does("job.continue"),
	"GET /api/v1/tasks/{id}":                  owner,
	"DELETE /api/v1/tasks/{id}":               owner.does("task.delete"),
	"GET /api/v1/tasks/{id}/deidentification": owner,
	"GET /api/v1/tasks/{id}/log":              staff,
	"POST /api/v1/tasks/{id}:reset":           owner.also(ofBegun).does("task.reset"),
	"POST /api/v1/tasks/{id}:kill":            staff.does("task.kill"),

	"GET /api/v1/projects":                        user.also("staff for those that one doesn't belong to"),
	"POST /api/v1/projects":                       staff.does("project.create"),
	"GET /api/v1/projects/{name}":                 owner.also("members"),
	"PATCH /api/v1/projects/{name}":               staff.does("project.change"),
	"DELETE /api/v1/projects/{name}":              staff.does("project.delete"),
	"POST /api/v1/projects/{name}/linkage:search": linkage.does("linkage.read"),
	"GET /api/v1/projects/{name}/linkage:export":  linkage,
	"POST /api/v1/projects/{name}/linkage:import": linkage.does("linkage.import"),
	"GET /api/v1/profiles":                        user,
	"GET /api/v1/profiles/{name}":                 user,
	"POST /api/v1/profiles":                       staff.does("profile.create"),

	"GET /api/v1/unsolicited-instances": staff,
	"GET /api/v1/rejected-callers":      staff,
	"GET /api/v1/receiver":              staff,
	"GET /api/v1/api-use":               staff,
	"GET /api/v1/quarantine":            kept,
	"GET /api/v1/quarantine/{id}":       kept,
	"DELETE /api/v1/quarantine/{id}":    kept.does("quarantine.delete"),
	"POST /api/v1/quarantine/{id}:release": {
		Who: Staff, Needs: people.QuarantineRight(), Destination: true,
		Also: "transfer_unpseudonymized", Acts: []string{"quarantine.release"},
	},

	"POST /api/v1/audit:search":     staff.does("audit.read"),
	"GET /api/v1/settings":          staff,
	"PATCH /api/v1/settings":        staff.does("settings.change"),
	"GET /api/v1/announcement":      user,
	"PUT /api/v1/announcement":      staff.does("announcement.change"),
	"DELETE /api/v1/announcement":   staff.does("announcement.delete"),
	"GET /api/v1/mails":             staff,
	"GET /api/v1/mails/{id}":        staff,
	"POST /api/v1/mails":            staff.does("mail.broadcast"),
	"POST /api/v1/mails/{id}:retry": staff.does("mail.retry"),
	"GET /api/v1/stats":             user.also("staff for the jobs of others"),
	"GET /api/v1/housekeeping":      staff,
	"GET /api/v1/live":              user.also("for each topic the right to see what it tells of"),
}

// Table returns the table of who may use which route, by method and path.
func Table() map[string]Right { return maps.Clone(table) }

// Of returns the right that a route takes, by method and path. Who adds a route says in the table who may use it.
func Of(route string) Right {
	r, ok := table[route]
	if !ok {
		panic(fmt.Sprintf("rights: %s is not in the table (rights.go)", route))
	}
	if !strings.HasPrefix(route, http.MethodGet+" ") && !r.Reads && r.Password() == "" {
		panic(fmt.Sprintf("rights: nothing says whether %s takes the password (rights.go and audit/acts.go)", route))
	}
	return r
}

// Known reports whether there is a route of a method and a path.
func Known(route string) bool {
	_, ok := table[route]
	return ok
}

// TakesPermission reports whether people has to be asked before a route is used.
func (r Right) TakesPermission() bool {
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
	switch when := r.Password(); when {
	case "", "no":
	case "yes":
		also = append(also, "with the password given again (password_needed)")
	default:
		also = append(also, "with the password given again (password_needed) for: "+when)
	}
	text := "For " + map[Who]string{
		Anybody: "everybody, known or not", User: "every user",
		Owner: "the owner and staff", Member: "members of the project", Staff: "staff",
	}[r.Who]
	return strings.Join(append([]string{text}, also...), ", ") + "."
}
