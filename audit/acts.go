// SPDX-License-Identifier: AGPL-3.0-or-later

package audit

// When an act takes the password; anything else says in words of which changes.
const (
	never  = "no"
	always = "yes"
)

// acts is the one table of which acts take the password again (confirmed): those that keep an account, let somebody
// reach or do more than before, or say where data goes and what is left of it. Record asks for it, so no change passes
// by. To take something away, and what is done every day, takes none. An act that is not here takes it always.
var acts = map[string]string{
	"session.begin": never, "session.confirm": never, "session.end": never, "session.refused": never,
	"password.change": never, "password.request": never, "password.reset": never, // they are proven otherwise
	"password.set": always,

	"me.change":     "all except the active group and the preferences",
	"token.create":  always,
	"token.revoke":  never,
	"user.create":   always,
	"user.change":   "all except disabling one",
	"user.delete":   never,
	"group.create":  "to give permissions",
	"group.change":  "to give permissions",
	"group.delete":  never,
	"access.change": "to give more than before",

	"group.add_member": always, "group.remove_member": never,
	"registration.create": never, "registration.approve": always, "registration.refuse": never,

	"project.create": always,
	"project.change": "another profile or salt, the scan switched off, new members",
	"project.delete": never,
	"profile.create": never, // it counts where a project chooses it
	"linkage.read":   never, "linkage.export": never, "linkage.import": never,

	"server.create": always,
	"server.change": "where it is, what it is called, what it offers, TLS, who may call, issuer of Patient IDs",
	"server.delete": never, "server.pause": never, "server.continue": never, "server.check": never, ActSearch: never,
	ActRead: never, ActDownload: never, ActStoring: never, ActStore: never,
	"folder.create": always, "folder.adopt": always,
	"folder.change": never, "folder.delete": never, "folder.check": never,
	"schedule.change": never, "workers.change": never, "workers.delete": never,
	"member.drain": never, "member.resume": never, "member.change": never,

	"job.create": never, "job.change": never, "job.delete": never, "job.verify": never, "job.cancel": never,
	"job.resume": never, "job.retry": never, "job.restart": never, "job.begin": never, "job.pause": never, "job.continue": never,
	"job.results": never, "job.failed_rows": never, "job.volumes": never,
	"recurrence.create": never, "recurrence.change": never, "recurrence.delete": never, "recurrence.run": never,
	"task.delete": never, "task.reset": never, "task.kill": never, ActBegin: never, ActTransfer: never,
	"quarantine.release": never, "quarantine.delete": never,

	"settings.change":     "to unlock a section",
	"announcement.change": never, "announcement.delete": never, "mail.broadcast": never, "mail.retry": never,
	"audit.read": never, ActDetach: never, ActStart: never, ActStop: never,
}

// TakesPassword returns when an act takes the password: "yes", "no", or of which changes, in words; empty: there is no
// such act.
func TakesPassword(act string) string { return acts[act] }

// takesPassword reports whether this act of its kind does.
func (e Entry) takesPassword() bool {
	when, known := acts[e.Action]
	return !known || when == always || e.Widens || len(e.Granted) > 0
}
