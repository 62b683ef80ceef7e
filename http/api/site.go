// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/http/route"
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
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/settings", ID: "get-settings", Editable: true,
		Summary: "Get the settings of the site",
		Description: "Shows what staff may change while ADIT runs: maintenance, limits, and how long things are " +
			"kept.", Tag: siteTag, Errors: []int{403},
	}, a.getSettings)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPatch, Path: "/settings", ID: "change-settings", Editable: true,
		Summary: "Change settings of the site", Tag: siteTag,
		Description: "Changes the settings that are given and leaves the others. They hold at once, on all members " +
			"of the cluster.",
		Example: `{"max_jobs_per_hour": 100, "keep_jobs": 90}`,
	}, a.changeSettings)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/announcement", ID: "get-announcement", Editable: true,
		Summary:     "Get the announcement",
		Description: "Shows what staff tells everybody now; the text is empty if there is nothing.",
		Tag:         siteTag, Always: true,
	}, a.getAnnouncement)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPut, Path: "/announcement", ID: "set-announcement", Editable: true,
		Summary:     "Announce something to everybody",
		Description: "Shows a text to everybody who is logged in, in the place of the last one, until it is ended.",
		Example:     `{"text": "Maintenance tonight from 22:00 to 23:00."}`, Tag: siteTag,
	}, a.announce)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodDelete, Path: "/announcement", ID: "delete-announcement", Editable: true,
		Summary:     "End the announcement",
		Description: "Takes away what is announced. If nothing is, the answer is 404.", Tag: siteTag,
		Status: http.StatusNoContent, Errors: []int{404},
	}, func(ctx context.Context, user people.User, _ *route.IfMatch) (*route.None, error) {
		return nil, a.people.Site.EndAnnouncement(ctx, user)
	})
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/mails", ID: "send-mail",
		Summary: "Send a mail to everybody", Tag: siteTag,
		Status: http.StatusAccepted, Errors: []int{409}, Body: 128 << 10,
		Description: "Puts a mail to each active user who has an address into the outbox; nobody sees the " +
			"addresses of others. The answer tells how many they are, and `GET /mails` what became of them.",
		Example: `{"subject": "ADIT moves to a new host", "text": "From Monday on, use https://adit.example.org."}`,
	}, a.broadcast)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/mails", ID: "list-mails",
		Summary: "List mails", Tag: siteTag,
		Errors: []int{403},
		Description: "Shows mails and what became of them, newest first. Filter by `given_up` to find those that " +
			"could not be delivered.",
	}, a.listMails)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/mails/{id}", ID: "get-mail",
		Summary: "Get a mail", Tag: siteTag, Errors: []int{403, 404},
		Description: "Shows one mail: its recipients, when it is tried next, and whether it was delivered.",
	}, a.getMail)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodPost, Path: "/mails/{id}:retry", ID: "retry-mail",
		Summary: "Try a mail again", Tag: siteTag,
		Errors:      []int{403, 404, 409},
		Description: "Puts a mail that was given up back into the outbox, where it is tried at once.",
	}, a.retryMail)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/stats", ID: "get-stats",
		Summary: "Get figures of jobs", Tag: siteTag,
		Description: "Counts jobs and tasks by status, and what was moved by day and by DICOM node. A user sees " +
			"their own jobs; staff sees all.",
	}, a.getStats)
	route.Handle(a.routes, route.Operation{
		Method: http.MethodGet, Path: "/housekeeping", ID: "get-housekeeping",
		Summary: "Get warnings and the last clean-up", Tag: siteTag,
		Errors:      []int{403},
		Description: "Shows what staff should know of, such as full disks, and what the daily clean-up removed.",
	}, a.getHouseKeeping)
}

func (a *siteRoutes) getSettings(
	ctx context.Context, user people.User, in *route.IfNoneMatch,
) (*route.Current[client.Settings], error) {
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
	return route.UnlessKnown(*in, s.Version(), out), nil
}

func (a *siteRoutes) changeSettings(ctx context.Context, user people.User, in *struct {
	route.IfMatch
	Body client.SettingsChange
},
) (*route.Changed[client.Settings], error) {
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
	return route.ChangedTo(s.Version(), out), nil
}

// set changes a field to what a request names.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *siteRoutes) getAnnouncement(ctx context.Context, _ people.User, in *route.IfNoneMatch) (
	*route.Current[client.Announcement], error,
) {
	an, err := a.people.Site.Announcement(ctx)
	if err != nil {
		return nil, err
	}
	return route.UnlessKnown(*in, an.Version(), client.Announcement{Text: an.Text, Since: view.Instant(an.Since)}), nil
}

func (a *siteRoutes) announce(ctx context.Context, user people.User, in *struct {
	route.IfMatch
	Body client.NewAnnouncement
},
) (*route.Changed[client.Announcement], error) {
	an, err := a.people.Site.Announce(ctx, user, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return route.ChangedTo(an.Version(), client.Announcement{Text: an.Text, Since: &an.Since}), nil
}

func (a *siteRoutes) broadcast(ctx context.Context, user people.User, in *struct{ Body client.Broadcast }) (
	*route.Body[client.Recipients], error,
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
	return route.Answer(client.Recipients{Recipients: n, Warning: a.people.Mail().Warning()}), nil
}

// MailID names a mail in a path.
type MailID struct {
	ID int64 `path:"id" minimum:"1" example:"12" doc:"Number of the mail."`
}

func (a *siteRoutes) getMail(ctx context.Context, user people.User, in *MailID) (*route.Body[client.Mail], error) {
	m, err := a.people.Mails.Get(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Mail(m)), nil
}

type listMails struct {
	route.Paging
	Status string `query:"status" enum:"pending,sent,given_up" doc:"Only mails in this status."`
}

func (a *siteRoutes) listMails(ctx context.Context, user people.User, in *listMails) (
	*route.Body[client.Page[client.Mail]], error,
) {
	below, err := in.After()
	if err != nil {
		return nil, err
	}
	mails, err := a.people.Mails.List(ctx, user, below, in.Status, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return route.PageOf(mails, in.Limit, view.Mail, func(m mail.Posted) int64 { return m.ID }), nil
}

func (a *siteRoutes) retryMail(ctx context.Context, user people.User, in *MailID) (*route.Body[client.Mail], error) {
	m, err := a.people.Mails.Retry(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Mail(m)), nil
}

func (a *siteRoutes) getStats(ctx context.Context, user people.User, in *struct {
	Days int `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days to look back, today included."`
},
) (*route.Body[client.Stats], error) {
	s, err := a.engine.Housekeeping.Stats(ctx, user, in.Days)
	if err != nil {
		return nil, err
	}
	return route.Answer(view.Stats(s)), nil
}

func (a *siteRoutes) getHouseKeeping(ctx context.Context, user people.User, _ *struct{}) (
	*route.Body[client.HouseKeeping], error,
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
	return route.Answer(out), nil
}
