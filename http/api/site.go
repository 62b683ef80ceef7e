// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/view"
	"github.com/adit-go/adit/internal/refusal"
	"github.com/adit-go/adit/internal/text"
	"github.com/adit-go/adit/mail"
	"github.com/adit-go/adit/people"
)

// siteRoutes are the routes of this file.
type siteRoutes struct{ *API }

const siteTag = "Site"

func (a *siteRoutes) register() {
	handle(a.API, operation{
		method: http.MethodGet, path: "/settings", id: "get-settings", editable: true,
		summary: "Get the settings of the site",
		description: "Shows what staff may change while ADIT runs: maintenance, limits, and how long things are " +
			"kept.", tag: siteTag, errors: []int{403},
	}, a.getSettings)
	handle(a.API, operation{
		method: http.MethodPatch, path: "/settings", id: "change-settings", editable: true,
		summary: "Change settings of the site", tag: siteTag,
		description: "Changes the settings that are given and leaves the others. They hold at once, on all members " +
			"of the cluster.",
		example: `{"max_jobs_per_hour": 100, "keep_jobs": 90}`,
	}, a.changeSettings)
	handle(a.API, operation{
		method: http.MethodGet, path: "/announcement", id: "get-announcement", editable: true,
		summary:     "Get the announcement",
		description: "Shows what staff tells everybody now; the text is empty if there is nothing.",
		tag:         siteTag, always: true,
	}, a.getAnnouncement)
	handle(a.API, operation{
		method: http.MethodPut, path: "/announcement", id: "set-announcement", editable: true,
		summary:     "Announce something to everybody",
		description: "Shows a text to everybody who is logged in, in the place of the last one, until it is ended.",
		example:     `{"text": "Maintenance tonight from 22:00 to 23:00."}`, tag: siteTag,
	}, a.announce)
	handle(a.API, operation{
		method: http.MethodDelete, path: "/announcement", id: "delete-announcement", editable: true,
		summary:     "End the announcement",
		description: "Takes away what is announced. If nothing is, the answer is 404.", tag: siteTag,
		status: http.StatusNoContent, errors: []int{404},
	}, func(ctx context.Context, user people.User, _ *IfMatch) (*none, error) {
		return nil, a.people.Site.EndAnnouncement(ctx, user)
	})
	handle(a.API, operation{
		method: http.MethodPost, path: "/mails", id: "send-mail",
		summary: "Send a mail to everybody", tag: siteTag,
		status: http.StatusAccepted, errors: []int{409}, body: 128 << 10,
		description: "Puts a mail to each active user who has an address into the outbox; nobody sees the " +
			"addresses of others. The answer tells how many they are, and `GET /mails` what became of them.",
		example: `{"subject": "ADIT moves to a new host", "text": "From Monday on, use https://adit.example.org."}`,
	}, a.broadcast)
	handle(a.API, operation{
		method: http.MethodGet, path: "/mails", id: "list-mails",
		summary: "List mails", tag: siteTag,
		errors: []int{403},
		description: "Shows mails and what became of them, newest first. Filter by `given_up` to find those that " +
			"could not be delivered.",
	}, a.listMails)
	handle(a.API, operation{
		method: http.MethodGet, path: "/mails/{id}", id: "get-mail",
		summary: "Get a mail", tag: siteTag, errors: []int{403, 404},
		description: "Shows one mail: its recipients, when it is tried next, and whether it was delivered.",
	}, a.getMail)
	handle(a.API, operation{
		method: http.MethodPost, path: "/mails/{id}:retry", id: "retry-mail",
		summary: "Try a mail again", tag: siteTag,
		errors:      []int{403, 404, 409},
		description: "Puts a mail that was given up back into the outbox, where it is tried at once.",
	}, a.retryMail)
	handle(a.API, operation{
		method: http.MethodGet, path: "/stats", id: "get-stats",
		summary: "Get figures of jobs", tag: siteTag,
		description: "Counts jobs and tasks by status, and what was moved by day and by DICOM node. A user sees " +
			"their own jobs; staff sees all.",
	}, a.getStats)
	handle(a.API, operation{
		method: http.MethodGet, path: "/housekeeping", id: "get-housekeeping",
		summary: "Get warnings and the last clean-up", tag: siteTag,
		errors:      []int{403},
		description: "Shows what staff should know of, such as full disks, and what the daily clean-up removed.",
	}, a.getHouseKeeping)
}

func (a *siteRoutes) getSettings(
	ctx context.Context, user people.User, in *IfNoneMatch,
) (*current[client.Settings], error) {
	if err := a.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	s, err := a.people.Settings(ctx)
	if err != nil {
		return nil, err
	}
	var out client.Settings
	if err := convert(s, &out); err != nil {
		return nil, err
	}
	return unlessKnown(*in, s.Version(), out), nil
}

func (a *siteRoutes) changeSettings(ctx context.Context, user people.User, in *struct {
	IfMatch
	Body client.SettingsChange
},
) (*changed[client.Settings], error) {
	c := in.Body
	s, err := a.people.Site.ChangeSettings(ctx, user, func(s *people.Settings) {
		set(&s.Maintenance, c.Maintenance)
		set(&s.MaintenanceMessage, c.MaintenanceMessage)
		set(&s.LockedSections, c.LockedSections)
		set(&s.SectionMessage, c.SectionMessage)
		set(&s.MaxJobsPerHour, c.MaxJobsPerHour)
		set(&s.MaxStudies, c.MaxStudies)
		set(&s.MaxSeries, c.MaxSeries)
		set(&s.EthicsIDNeeded, c.EthicsIDNeeded)
		set(&s.LowDiskGB, c.LowDiskGB)
		set(&s.CleanUpAt, c.CleanUpAt)
		set(&s.KeepSessions, c.KeepSessions)
		set(&s.KeepQuarantine, c.KeepQuarantine)
		set(&s.KeepPartFiles, c.KeepPartFiles)
		set(&s.KeepTaskLogs, c.KeepTaskLogs)
		set(&s.KeepIdentifiers, c.KeepIdentifiers)
		set(&s.KeepMails, c.KeepMails)
		set(&s.KeepJobs, c.KeepJobs)
		set(&s.KeepDeidentifiedJobs, c.KeepDeidentifiedJobs)
		set(&s.KeepLedgers, c.KeepLedgers)
		set(&s.KeepStats, c.KeepStats)
		set(&s.KeepUnsolicited, c.KeepUnsolicited)
	})
	if err != nil {
		return nil, err
	}
	var out client.Settings
	if err := convert(s, &out); err != nil {
		return nil, err
	}
	return &changed[client.Settings]{s.Version(), out}, nil
}

// set changes a field to what a request names.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *siteRoutes) getAnnouncement(ctx context.Context, _ people.User, in *IfNoneMatch) (
	*current[client.Announcement], error,
) {
	an, err := a.people.Site.Announcement(ctx)
	if err != nil {
		return nil, err
	}
	return unlessKnown(*in, an.Version(), client.Announcement{Text: an.Text, Since: view.Instant(an.Since)}), nil
}

func (a *siteRoutes) announce(ctx context.Context, user people.User, in *struct {
	IfMatch
	Body client.NewAnnouncement
},
) (*changed[client.Announcement], error) {
	an, err := a.people.Site.Announce(ctx, user, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return &changed[client.Announcement]{an.Version(), client.Announcement{Text: an.Text, Since: &an.Since}}, nil
}

func (a *siteRoutes) broadcast(ctx context.Context, user people.User, in *struct{ Body client.Broadcast }) (
	*body[client.Recipients], error,
) {
	if err := plainName(map[string]string{"subject": in.Body.Subject}); err != nil {
		return nil, err
	}
	if !text.PlainLines(in.Body.Text) {
		return nil,
			&refusal.Invalid{Field: "text", Reason: "it must not contain control characters or other invisible characters"}
	}
	n, err := a.people.Mails.Broadcast(ctx, user, in.Body.Subject, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return &body[client.Recipients]{client.Recipients{Recipients: n, Warning: a.people.Mail().Warning()}}, nil
}

// MailID names a mail in a path.
type MailID struct {
	ID int64 `path:"id" minimum:"1" example:"12" doc:"Number of the mail."`
}

func (a *siteRoutes) getMail(ctx context.Context, user people.User, in *MailID) (*body[client.Mail], error) {
	m, err := a.people.Mails.Get(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[client.Mail]{view.Mail(m)}, nil
}

type listMails struct {
	Paging
	Status string `query:"status" enum:"pending,sent,given_up" doc:"Only mails in this status."`
}

func (a *siteRoutes) listMails(ctx context.Context, user people.User, in *listMails) (
	*body[client.Page[client.Mail]], error,
) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	mails, err := a.people.Mails.List(ctx, user, below, in.Status, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(mails, in.Limit, view.Mail, func(m mail.Posted) int64 { return m.ID }), nil
}

func (a *siteRoutes) retryMail(ctx context.Context, user people.User, in *MailID) (*body[client.Mail], error) {
	m, err := a.people.Mails.Retry(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[client.Mail]{view.Mail(m)}, nil
}

func (a *siteRoutes) getStats(ctx context.Context, user people.User, in *struct {
	Days int `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days to look back, today included."`
},
) (*body[client.Stats], error) {
	s, err := a.engine.Housekeeping.Stats(ctx, user, in.Days)
	if err != nil {
		return nil, err
	}
	return &body[client.Stats]{view.Stats(s)}, nil
}

func (a *siteRoutes) getHouseKeeping(ctx context.Context, user people.User, _ *struct{}) (
	*body[client.HouseKeeping], error,
) {
	h, err := a.engine.Housekeeping.HouseKeeping(ctx, user)
	if err != nil {
		return nil, err
	}
	out := client.HouseKeeping{
		Warnings: []client.SiteWarning{}, LastCleanUp: h.Last,
		NextCleanUp: h.Next, Removed: client.CleanedUp(h.Removed),
	}
	for _, w := range h.Warnings {
		out.Warnings = append(out.Warnings, client.SiteWarning{Message: w.Message, Since: w.Since})
	}
	return &body[client.HouseKeeping]{out}, nil
}
