// SPDX-License-Identifier: AGPL-3.0-or-later

package api

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine"
	"github.com/adit-go/adit/people"
)

const siteTag = "Site"

func (a *API) registerSite() {
	handle(a, operation{
		method: http.MethodGet, path: "/settings", id: "get-settings", summary: "Get the settings of the site (staff)", tag: siteTag, errors: []int{403},
	}, a.getSettings)
	handle(a, operation{
		method: http.MethodPatch, path: "/settings", id: "change-settings", summary: "Change settings of the site (staff)", tag: siteTag,
		errors: []int{400, 403, 413},
	}, a.changeSettings)
	handle(a, operation{
		method: http.MethodGet, path: "/announcement", id: "get-announcement", summary: "Get what is announced to everybody", tag: siteTag, always: true,
	}, a.getAnnouncement)
	handle(a, operation{
		method: http.MethodPut, path: "/announcement", id: "set-announcement", summary: "Announce something to everybody who is logged in (staff)", tag: siteTag,
		errors: []int{400, 403, 413},
	}, a.announce)
	handle(a, operation{
		method: http.MethodDelete, path: "/announcement", id: "delete-announcement", summary: "End the announcement (staff)", tag: siteTag,
		status: http.StatusNoContent, errors: []int{403, 404},
	}, func(ctx context.Context, user people.User, _ *struct{}) (*none, error) {
		return nil, a.people.EndAnnouncement(ctx, user)
	})
	handle(a, operation{
		method: http.MethodPost, path: "/mails", id: "send-mail", summary: "Send a mail to everybody, none of whom sees the others (staff)", tag: siteTag,
		status: http.StatusAccepted, errors: []int{400, 403, 409, 413}, body: 128 << 10,
	}, a.broadcast)
	handle(a, operation{
		method: http.MethodGet, path: "/mails", id: "list-mails", summary: "List mails and what became of them, newest first (staff)", tag: siteTag,
		errors: []int{403},
	}, a.listMails)
	handle(a, operation{
		method: http.MethodPost, path: "/mails/{id}:retry", id: "retry-mail", summary: "Try a mail again that was given up (staff)", tag: siteTag,
		errors: []int{403, 404, 409},
	}, a.retryMail)
	handle(a, operation{
		method: http.MethodGet, path: "/stats", id: "get-stats", summary: "Get figures of one's own jobs, of all jobs for staff", tag: siteTag,
	}, a.getStats)
	handle(a, operation{
		method: http.MethodGet, path: "/housekeeping", id: "get-housekeeping", summary: "Get warnings, and what the daily clean-up did (staff)", tag: siteTag,
		errors: []int{403},
	}, a.getHouseKeeping)
}

func (a *API) getSettings(ctx context.Context, user people.User, _ *struct{}) (*body[client.Settings], error) {
	if err := a.people.Check(ctx, user.ID, people.Action{Staff: true}); err != nil {
		return nil, err
	}
	s, err := a.people.Settings(ctx)
	if err != nil {
		return nil, err
	}
	return &body[client.Settings]{client.Settings(s)}, nil
}

func (a *API) changeSettings(ctx context.Context, user people.User, in *struct{ Body client.SettingsChange }) (*body[client.Settings], error) {
	c := in.Body
	s, err := a.people.ChangeSettings(ctx, user, func(s *people.Settings) {
		set(&s.Maintenance, c.Maintenance)
		set(&s.MaintenanceMessage, c.MaintenanceMessage)
		set(&s.LockedSections, c.LockedSections)
		set(&s.SectionMessage, c.SectionMessage)
		set(&s.MaxJobsPerHour, c.MaxJobsPerHour)
		set(&s.MaxStudies, c.MaxStudies)
		set(&s.MaxSeries, c.MaxSeries)
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
		set(&s.KeepForeign, c.KeepForeign)
	})
	if err != nil {
		return nil, err
	}
	return &body[client.Settings]{client.Settings(s)}, nil
}

// set changes a field to what a request names.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *API) getAnnouncement(ctx context.Context, _ people.User, _ *struct{}) (*body[client.Announcement], error) {
	an, err := a.people.Announcement(ctx)
	if err != nil {
		return nil, err
	}
	return &body[client.Announcement]{client.Announcement{Text: an.Text, Since: instant(an.Since)}}, nil
}

func (a *API) announce(ctx context.Context, user people.User, in *struct{ Body client.NewAnnouncement }) (*body[client.Announcement], error) {
	an, err := a.people.Announce(ctx, user, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return &body[client.Announcement]{client.Announcement{Text: an.Text, Since: &an.Since}}, nil
}

func (a *API) broadcast(ctx context.Context, user people.User, in *struct{ Body client.Broadcast }) (*body[client.Recipients], error) {
	lines := strings.NewReplacer("\r", "", "\n", "", "\t", "").Replace(in.Body.Text)
	if err := plainText(map[string]string{"subject": in.Body.Subject, "text": lines}); err != nil {
		return nil, err
	}
	n, err := a.people.Broadcast(ctx, user, in.Body.Subject, in.Body.Text)
	if err != nil {
		return nil, err
	}
	return &body[client.Recipients]{client.Recipients{Recipients: n, Warning: a.people.MailWarning()}}, nil
}

type listMails struct {
	Paging
	Status string `query:"status" enum:"pending,sent,given_up" doc:"Only mails in this status."`
}

func (a *API) listMails(ctx context.Context, user people.User, in *listMails) (*body[client.Page[client.Mail]], error) {
	below, err := in.after()
	if err != nil {
		return nil, err
	}
	mails, err := a.people.Mails(ctx, user, below, in.Status, in.Limit+1)
	if err != nil {
		return nil, err
	}
	return pageOf(mails, in.Limit, clientMail, func(m people.PostedMail) int64 { return m.ID }), nil
}

func (a *API) retryMail(ctx context.Context, user people.User, in *struct {
	ID int64 `path:"id" minimum:"1"`
},
) (*body[client.Mail], error) {
	m, err := a.people.RetryMail(ctx, user, in.ID)
	if err != nil {
		return nil, err
	}
	return &body[client.Mail]{clientMail(m)}, nil
}

func clientMail(m people.PostedMail) client.Mail {
	out := client.Mail{
		ID: m.ID, Recipient: m.Recipient, Subject: m.Subject, Status: m.Status, Attempts: int(m.Attempts), Error: m.Error, CreatedAt: m.CreatedAt, EndedAt: m.EndedAt,
	}
	if m.Status == people.MailPending {
		out.NextAttempt = &m.NextAt
	}
	return out
}

func (a *API) getStats(ctx context.Context, user people.User, in *struct {
	Days int `query:"days" minimum:"1" maximum:"366" default:"30" doc:"How many days to look back, today included."`
},
) (*body[client.Stats], error) {
	s, err := a.engine.Stats(ctx, user, in.Days)
	if err != nil {
		return nil, err
	}
	out := client.Stats{TimeZone: s.Zone.String(), Jobs: s.Jobs, Tasks: s.Tasks, Days: []client.DayMoved{}, Nodes: []client.NodeMoved{}}
	for _, d := range s.Days {
		out.Days = append(out.Days, client.DayMoved{Day: d.Day.Format(time.DateOnly), Moved: clientMoved(d)})
	}
	for _, n := range s.Nodes {
		out.Nodes = append(out.Nodes, client.NodeMoved{Name: n.Name, From: clientMoved(n.From), To: clientMoved(n.To)})
	}
	return &body[client.Stats]{out}, nil
}

func clientMoved(m engine.Moved) client.Moved {
	return client.Moved{Tasks: m.Tasks, Failed: m.Failed, Images: m.Images, Bytes: m.Bytes}
}

func (a *API) getHouseKeeping(ctx context.Context, user people.User, _ *struct{}) (*body[client.HouseKeeping], error) {
	h, err := a.engine.HouseKeeping(ctx, user)
	if err != nil {
		return nil, err
	}
	out := client.HouseKeeping{Warnings: []client.SiteWarning{}, LastCleanUp: h.Last, NextCleanUp: h.Next, Removed: client.CleanedUp(h.Removed)}
	for _, w := range h.Warnings {
		out.Warnings = append(out.Warnings, client.SiteWarning{Message: w.Message, Since: w.Since})
	}
	return &body[client.HouseKeeping]{out}, nil
}
