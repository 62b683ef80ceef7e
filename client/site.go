// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Settings are what staff may change about the site while it runs.
type Settings struct {
	Maintenance        bool     `json:"maintenance" doc:"Keeps people without staff rights out; transfers that were asked for go on."`
	MaintenanceMessage string   `json:"maintenance_message" doc:"What they are told; empty: a sentence of ADIT's."`
	LockedSections     []string `json:"locked_sections" doc:"Permissions whose use nobody without staff rights may begin. What has begun goes on."`
	SectionMessage     string   `json:"section_message" doc:"Why, added to the refusal."`
	MaxJobsPerHour     int      `json:"max_jobs_per_hour" doc:"Jobs that one user may make in an hour; 0: no bound."`
	MaxStudies         int      `json:"max_studies" doc:"Studies of one job; 0: no bound besides that of a request."`
	MaxSeries          int      `json:"max_series" doc:"Series that one job names; 0: no bound besides that of a request."`
	LowDiskGB          float64  `json:"low_disk_gb" doc:"Staff gets a mail when less space is free in a folder or the data directory; 0: never."`
	CleanUpAt          string   `json:"clean_up_at" example:"03:00" doc:"When the daily clean-up begins, by the clock on the wall of the server's --timezone."`
	KeepSessions       int      `json:"keep_sessions" doc:"Days that sessions are kept after they ended."`
	KeepQuarantine     int      `json:"keep_quarantine" doc:"Days that objects are kept which nobody asked for; 0: for ever."`
	KeepPartFiles      int      `json:"keep_part_files" doc:"Days that unfinished files are kept in folders; 0: for ever."`
	KeepTaskLogs       int      `json:"keep_task_logs" doc:"Days; 0: for ever."`
	KeepIdentifiers    int      `json:"keep_identifiers" doc:"Days that jobs which have ended keep the IDs of patients; 0: for ever."`
	KeepMails          int      `json:"keep_mails" doc:"Days that it is kept what became of a mail; 0: for ever."`

	KeepJobs             int `json:"keep_jobs" doc:"Days that jobs are kept after they ended, with their tasks, unless they de-identified; 0: for ever."`
	KeepDeidentifiedJobs int `json:"keep_deidentified_jobs" doc:"The same for jobs that de-identified: their reports and manifests go with them; 0: for ever."`
	KeepLedgers          int `json:"keep_ledgers" doc:"Days that a job can be retried or resumed after it ended; 0: for ever."`
	KeepStats            int `json:"keep_stats" doc:"Days that figures by day are kept; 0: for ever."`
	KeepForeign          int `json:"keep_foreign" doc:"Days that it is kept who sent what nobody asked for; 0: for ever."`
}

// SettingsChange changes settings: nil fields stay as they are.
type SettingsChange struct {
	Maintenance        *bool     `json:"maintenance,omitempty"`
	MaintenanceMessage *string   `json:"maintenance_message,omitempty" maxLength:"1000"`
	LockedSections     *[]string `json:"locked_sections,omitempty" maxItems:"20" doc:"As in selective_transfer, batch_query, mass_transfer, explorer, upload."`
	SectionMessage     *string   `json:"section_message,omitempty" maxLength:"1000"`
	MaxJobsPerHour     *int      `json:"max_jobs_per_hour,omitempty" minimum:"0" maximum:"1000000"`
	MaxStudies         *int      `json:"max_studies,omitempty" minimum:"0" maximum:"1000000"`
	MaxSeries          *int      `json:"max_series,omitempty" minimum:"0" maximum:"1000000"`
	LowDiskGB          *float64  `json:"low_disk_gb,omitempty" minimum:"0" maximum:"1000000"`
	CleanUpAt          *string   `json:"clean_up_at,omitempty" maxLength:"5" example:"03:00"`
	KeepSessions       *int      `json:"keep_sessions,omitempty" minimum:"0" maximum:"36500"`
	KeepQuarantine     *int      `json:"keep_quarantine,omitempty" minimum:"0" maximum:"36500"`
	KeepPartFiles      *int      `json:"keep_part_files,omitempty" minimum:"0" maximum:"36500"`
	KeepTaskLogs       *int      `json:"keep_task_logs,omitempty" minimum:"0" maximum:"36500"`
	KeepIdentifiers    *int      `json:"keep_identifiers,omitempty" minimum:"0" maximum:"36500"`
	KeepMails          *int      `json:"keep_mails,omitempty" minimum:"0" maximum:"36500"`

	KeepJobs             *int `json:"keep_jobs,omitempty" minimum:"0" maximum:"36500"`
	KeepDeidentifiedJobs *int `json:"keep_deidentified_jobs,omitempty" minimum:"0" maximum:"36500"`
	KeepLedgers          *int `json:"keep_ledgers,omitempty" minimum:"0" maximum:"36500"`
	KeepStats            *int `json:"keep_stats,omitempty" minimum:"0" maximum:"36500"`
	KeepForeign          *int `json:"keep_foreign,omitempty" minimum:"0" maximum:"36500"`
}

// Announcement is shown to everybody who is logged in.
type Announcement struct {
	Text  string     `json:"text" doc:"Empty: there is none."`
	Since *time.Time `json:"since,omitempty"`
}

// NewAnnouncement takes the place of the last announcement.
type NewAnnouncement struct {
	Text string `json:"text" minLength:"1" maxLength:"1000"`
}

// Broadcast is a mail to everybody, none of whom sees the others.
type Broadcast struct {
	Subject string `json:"subject" minLength:"1" maxLength:"200"`
	Text    string `json:"text" minLength:"1" maxLength:"20000"`
}

// Recipients tells how many people a mail goes to.
type Recipients struct {
	Recipients int    `json:"recipients"`
	Warning    string `json:"warning,omitempty" doc:"Why the mail waits: ADIT has no mail server."`
}

// Mail is a mail on its way, or what became of it. Its text is not shown.
type Mail struct {
	ID          int64      `json:"id"`
	Recipient   string     `json:"recipient"`
	Subject     string     `json:"subject"`
	Status      string     `json:"status" enum:"pending,sent,given_up"`
	Attempts    int        `json:"attempts"`
	Error       string     `json:"error,omitempty" doc:"Why the last attempt failed."`
	CreatedAt   time.Time  `json:"created_at"`
	NextAttempt *time.Time `json:"next_attempt,omitempty"`
	EndedAt     *time.Time `json:"ended_at,omitempty"`
}

// MailFilter chooses mails.
type MailFilter struct {
	Status string // pending, sent, given_up; empty: all
}

// Settings gives the settings of the site. It is for staff.
func (c *Client) Settings(ctx context.Context) (Settings, error) {
	var s Settings
	return s, c.do(ctx, get("/api/v1/settings", nil), &s)
}

// ChangeSettings changes settings of the site. It is for staff.
func (c *Client) ChangeSettings(ctx context.Context, change SettingsChange) (Settings, error) {
	var s Settings
	return s, c.do(ctx, request{method: http.MethodPatch, path: "/api/v1/settings", body: change, repeatable: true}, &s)
}

// Announcement gives what is announced.
func (c *Client) Announcement(ctx context.Context) (Announcement, error) {
	var a Announcement
	return a, c.do(ctx, get("/api/v1/announcement", nil), &a)
}

// Announce puts an announcement in the place of the last one. It is for staff.
func (c *Client) Announce(ctx context.Context, text string) (Announcement, error) {
	var a Announcement
	return a, c.do(ctx, request{method: http.MethodPut, path: "/api/v1/announcement", body: NewAnnouncement{text}, repeatable: true}, &a)
}

// EndAnnouncement ends the announcement; a *Problem with Status 404 if there is none. It is for staff.
func (c *Client) EndAnnouncement(ctx context.Context) error {
	return c.do(ctx, request{method: http.MethodDelete, path: "/api/v1/announcement"}, nil)
}

// Broadcast sends a mail to everybody who has an address, and tells how many they are. It is for staff.
func (c *Client) Broadcast(ctx context.Context, mail Broadcast) (Recipients, error) {
	var out Recipients
	return out, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/mails", body: mail}, &out)
}

// Mails lists mails and what became of them, newest first. It is for staff.
func (c *Client) Mails(ctx context.Context, f MailFilter) iter.Seq2[Mail, error] {
	query := url.Values{}
	if f.Status != "" {
		query.Set("status", f.Status)
	}
	return list[Mail](ctx, c, "/api/v1/mails", query)
}

// RetryMail has a mail that was given up tried again. It is for staff.
func (c *Client) RetryMail(ctx context.Context, id int64) (Mail, error) {
	var m Mail
	return m, c.do(ctx, request{method: http.MethodPost, path: fmt.Sprintf("/api/v1/mails/%d:retry", id)}, &m)
}

// Stats are figures of jobs: of one's own, of all jobs for staff.
type Stats struct {
	TimeZone string           `json:"time_zone" doc:"Of the days."`
	Jobs     map[string]int64 `json:"jobs" doc:"By status."`
	Tasks    map[string]int64 `json:"tasks" doc:"By status."`
	Days     []DayMoved       `json:"days" nullable:"false" doc:"Each day, oldest first; the last one is today."`
	Nodes    []NodeMoved      `json:"nodes" nullable:"false" doc:"Over all these days, by name."`
}

// Moved is what tasks that ended in some time had moved.
type Moved struct {
	Tasks  int64 `json:"tasks"`
	Failed int64 `json:"failed" doc:"Of the tasks."`
	Images int64 `json:"images"`
	Bytes  int64 `json:"bytes"`
}

// DayMoved is what was moved on a day.
type DayMoved struct {
	Day string `json:"day" format:"date" example:"2026-11-23"`
	Moved
}

// NodeMoved is what was moved from and to a DICOM node.
type NodeMoved struct {
	Name string `json:"name" doc:"Empty: nodes that have been removed."`
	From Moved  `json:"from"`
	To   Moved  `json:"to"`
}

// HouseKeeping is how the site keeps itself in order.
type HouseKeeping struct {
	Warnings    []SiteWarning `json:"warnings" nullable:"false" doc:"Of which staff was told and that still hold."`
	LastCleanUp *time.Time    `json:"last_clean_up,omitempty"`
	NextCleanUp *time.Time    `json:"next_clean_up,omitempty"`
	Removed     CleanedUp     `json:"removed" doc:"By the last clean-up."`
}

// SiteWarning is something that staff was told of.
type SiteWarning struct {
	Message string    `json:"message"`
	Since   time.Time `json:"since"`
}

// CleanedUp is what a daily clean-up removed.
type CleanedUp struct {
	Sessions        int64  `json:"sessions"`
	IdempotencyKeys int64  `json:"idempotency_keys"`
	TaskLogLines    int64  `json:"task_log_lines"`
	Mails           int64  `json:"mails"`
	ErasedJobs      int64  `json:"erased_jobs" doc:"Whose identifiers of patients were removed."`
	RemovedJobs     int64  `json:"removed_jobs" doc:"With all their tasks."`
	ForgottenJobs   int64  `json:"forgotten_jobs" doc:"That can't be retried any more: what they delivered is not known any more."`
	SummedUp        string `json:"summed_up,omitempty" doc:"Last day whose figures stay when its jobs are deleted."`
}

// Stats gives figures of the last so many days, 1 to 366.
func (c *Client) Stats(ctx context.Context, days int) (Stats, error) {
	var s Stats
	return s, c.do(ctx, get("/api/v1/stats", url.Values{"days": {strconv.Itoa(days)}}), &s)
}

// HouseKeeping tells how the site keeps itself in order. It is for staff.
func (c *Client) HouseKeeping(ctx context.Context) (HouseKeeping, error) {
	var h HouseKeeping
	return h, c.do(ctx, get("/api/v1/housekeeping", nil), &h)
}
