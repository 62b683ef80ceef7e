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
	Versioned
	Maintenance        bool     `json:"maintenance" doc:"Keeps people without staff rights out; transfers that were asked for go on."`
	MaintenanceMessage string   `json:"maintenance_message" doc:"What people are told during maintenance; empty: a sentence of ADIT's." example:"ADIT is back at 23:00."`
	LockedSections     []string `json:"locked_sections" doc:"Permissions that nobody without staff rights may use for something new; what has begun goes on." example:"mass_transfer"`
	SectionMessage     string   `json:"section_message" doc:"Why they are locked; it is added to the refusal." example:"The archive is being moved."`
	MaxJobsPerHour     int      `json:"max_jobs_per_hour" doc:"Jobs that one user may make in an hour; 0: no bound." example:"100"`
	MaxStudies         int      `json:"max_studies" doc:"Studies of one job; 0: no bound besides that of a request." example:"10000"`
	MaxSeries          int      `json:"max_series" doc:"Series that one job names; 0: no bound besides that of a request." example:"50000"`
	EthicsIDNeeded     bool     `json:"ethics_id_needed" doc:"A batch transfer needs the number of an application to the ethics committee."`
	LowDiskGB          float64  `json:"low_disk_gb" doc:"Gigabytes (10⁹ bytes): staff gets a mail when less is free in a folder or the data directory; 0: never." example:"20"`
	CleanUpAt          string   `json:"clean_up_at" example:"03:00" doc:"Time of day when the daily clean-up begins, as HH:MM in the time zone of the server."`
	KeepSessions       int      `json:"keep_sessions" doc:"Days that sessions are kept after they ended." example:"30"`
	KeepQuarantine     int      `json:"keep_quarantine" doc:"Days that instances are kept that nobody asked for; 0: for ever." example:"14"`
	KeepPartFiles      int      `json:"keep_part_files" doc:"Days that unfinished files are kept in folders; 0: for ever." example:"2"`
	KeepTaskLogs       int      `json:"keep_task_logs" doc:"Days that the logs of tasks are kept; 0: for ever." example:"90"`
	KeepIdentifiers    int      `json:"keep_identifiers" doc:"Days that jobs which have ended keep the IDs of patients; 0: for ever." example:"90"`
	KeepMails          int      `json:"keep_mails" doc:"Days that ADIT remembers what became of a mail; 0: for ever." example:"30"`

	KeepJobs             int `json:"keep_jobs" doc:"Days that jobs that did not de-identify are kept after they ended, with their tasks; 0: for ever." example:"365"`
	KeepDeidentifiedJobs int `json:"keep_deidentified_jobs" doc:"Days that jobs that de-identified are kept after they ended, with their reports and manifests; 0: for ever." example:"3650"`
	KeepLedgers          int `json:"keep_ledgers" doc:"Days that a job can be retried or resumed after it ended; 0: for ever." example:"90"`
	KeepStats            int `json:"keep_stats" doc:"Days that figures by day are kept; 0: for ever." example:"730"`
	KeepUnsolicited      int `json:"keep_unsolicited" doc:"Days that it is kept who sent what nobody asked for; 0: for ever." example:"90"`
}

// SettingsChange changes settings: nil fields stay as they are.
type SettingsChange struct {
	Maintenance        *bool     `json:"maintenance,omitempty" doc:"Keeps people without staff rights out; transfers that were asked for go on. Absent: as it is."`
	MaintenanceMessage *string   `json:"maintenance_message,omitempty" maxLength:"1000" doc:"What people are told during maintenance; empty: a sentence of ADIT's. Absent: as it is." example:"ADIT is back at 23:00."`
	LockedSections     *[]string `json:"locked_sections,omitempty" maxItems:"20" doc:"All permissions that nobody without staff rights may use for something new, of selective_transfer, batch_query, mass_transfer, explorer and upload. Absent: as they are." example:"mass_transfer"`
	SectionMessage     *string   `json:"section_message,omitempty" maxLength:"1000" doc:"Why they are locked; it is added to the refusal. Absent: as it is." example:"The archive is being moved."`
	MaxJobsPerHour     *int      `json:"max_jobs_per_hour,omitempty" minimum:"0" maximum:"1000000" doc:"Jobs that one user may make in an hour; 0: no bound. Absent: as it is." example:"100"`
	MaxStudies         *int      `json:"max_studies,omitempty" minimum:"0" maximum:"1000000" doc:"Studies of one job; 0: no bound besides that of a request. Absent: as it is." example:"10000"`
	MaxSeries          *int      `json:"max_series,omitempty" minimum:"0" maximum:"1000000" doc:"Series that one job names; 0: no bound besides that of a request. Absent: as it is." example:"50000"`
	EthicsIDNeeded     *bool     `json:"ethics_id_needed,omitempty" doc:"A batch transfer needs the number of an application to the ethics committee. Absent: as it is."`
	LowDiskGB          *float64  `json:"low_disk_gb,omitempty" minimum:"0" maximum:"1000000" doc:"Gigabytes (10⁹ bytes): staff gets a mail when less is free in a folder or the data directory; 0: never. Absent: as it is." example:"20"`
	CleanUpAt          *string   `json:"clean_up_at,omitempty" maxLength:"5" example:"03:00" doc:"Time of day when the daily clean-up begins, as HH:MM in the time zone of the server. Absent: as it is."`
	KeepSessions       *int      `json:"keep_sessions,omitempty" minimum:"0" maximum:"36500" doc:"Days that sessions are kept after they ended. Absent: as it is." example:"30"`
	KeepQuarantine     *int      `json:"keep_quarantine,omitempty" minimum:"0" maximum:"36500" doc:"Days that instances are kept that nobody asked for; 0: for ever. Absent: as it is." example:"14"`
	KeepPartFiles      *int      `json:"keep_part_files,omitempty" minimum:"0" maximum:"36500" doc:"Days that unfinished files are kept in folders; 0: for ever. Absent: as it is." example:"2"`
	KeepTaskLogs       *int      `json:"keep_task_logs,omitempty" minimum:"0" maximum:"36500" doc:"Days that the logs of tasks are kept; 0: for ever. Absent: as it is." example:"90"`
	KeepIdentifiers    *int      `json:"keep_identifiers,omitempty" minimum:"0" maximum:"36500" doc:"Days that jobs which have ended keep the IDs of patients; 0: for ever. Absent: as it is." example:"90"`
	KeepMails          *int      `json:"keep_mails,omitempty" minimum:"0" maximum:"36500" doc:"Days that ADIT remembers what became of a mail; 0: for ever. Absent: as it is." example:"30"`

	KeepJobs             *int `json:"keep_jobs,omitempty" minimum:"0" maximum:"36500" doc:"Days that jobs that did not de-identify are kept after they ended, with their tasks; 0: for ever. Absent: as it is." example:"365"`
	KeepDeidentifiedJobs *int `json:"keep_deidentified_jobs,omitempty" minimum:"0" maximum:"36500" doc:"Days that jobs that de-identified are kept after they ended, with their reports and manifests; 0: for ever. Absent: as it is." example:"3650"`
	KeepLedgers          *int `json:"keep_ledgers,omitempty" minimum:"0" maximum:"36500" doc:"Days that a job can be retried or resumed after it ended; 0: for ever. Absent: as it is." example:"90"`
	KeepStats            *int `json:"keep_stats,omitempty" minimum:"0" maximum:"36500" doc:"Days that figures by day are kept; 0: for ever. Absent: as it is." example:"730"`
	KeepUnsolicited      *int `json:"keep_unsolicited,omitempty" minimum:"0" maximum:"36500" doc:"Days that it is kept who sent what nobody asked for; 0: for ever. Absent: as it is." example:"90"`
}

// Announcement is shown to everybody who is logged in.
type Announcement struct {
	Versioned
	Text  string     `json:"text" doc:"Empty: there is none." example:"Maintenance tonight from 22:00 to 23:00."`
	Since *time.Time `json:"since,omitempty" doc:"When it was announced; absent if nothing is." example:"2026-11-23T08:15:30Z"`
}

// NewAnnouncement takes the place of the last announcement.
type NewAnnouncement struct {
	Text string `json:"text" minLength:"1" maxLength:"1000" doc:"What everybody is told; 1 to 1000 characters." example:"Maintenance tonight from 22:00 to 23:00."`
}

// Broadcast is a mail to everybody, none of whom sees the others.
type Broadcast struct {
	Subject string `json:"subject" minLength:"1" maxLength:"200" doc:"One line of 1 to 200 characters." example:"ADIT moves to a new host"`
	Text    string `json:"text" minLength:"1" maxLength:"20000" doc:"Plain text of 1 to 20,000 characters, with line breaks." example:"From Monday on, use https://adit.example.org."`
}

// Recipients tells how many people a mail goes to.
type Recipients struct {
	Recipients int    `json:"recipients" doc:"How many people the mail goes to." example:"42"`
	Warning    string `json:"warning,omitempty" doc:"Why the mail waits: ADIT has no mail server." example:"No mail server is set; mails wait until one is."`
}

// Mail is a mail on its way, or what became of it. Its text is not shown.
type Mail struct {
	ID          int64      `json:"id" doc:"Number of the mail." example:"88"`
	Recipient   string     `json:"recipient" doc:"Address that it goes to." example:"researcher@example.org"`
	Subject     string     `json:"subject" doc:"Its first line, as the recipient sees it." example:"Job 4711: Success"`
	Status      string     `json:"status" enum:"pending,sent,given_up" doc:"Whether it waits, was sent, or was given up after several attempts." example:"sent"`
	Attempts    int        `json:"attempts" doc:"How often it was tried." example:"1"`
	Error       string     `json:"error,omitempty" doc:"Why the last attempt failed; absent if it did not." example:"The mail server did not answer."`
	CreatedAt   time.Time  `json:"created_at" doc:"When it was posted." example:"2026-11-23T08:15:30Z"`
	NextAttempt *time.Time `json:"next_attempt,omitempty" doc:"When it is tried next; absent unless it waits." example:"2026-11-23T08:15:30Z"`
	EndedAt     *time.Time `json:"ended_at,omitempty" doc:"When it was sent or given up; absent while it waits." example:"2026-11-23T08:15:30Z"`
}

// MailFilter chooses mails.
type MailFilter struct {
	Status string // pending, sent, given_up; empty: all
}

// Settings returns the settings of the site. It is for staff.
func (c Site) Settings(ctx context.Context) (Settings, error) {
	var s Settings
	return s, c.do(ctx, get("/api/v1/settings", nil), &s)
}

// ChangeSettings changes settings of the site. It is for staff.
func (c Site) ChangeSettings(ctx context.Context, change SettingsChange, only ...Condition) (Settings, error) {
	var s Settings
	return s, c.do(ctx, patch("/api/v1/settings", change).only(only), &s)
}

// Announcement returns what is announced.
func (c Site) Announcement(ctx context.Context) (Announcement, error) {
	var a Announcement
	return a, c.do(ctx, get("/api/v1/announcement", nil), &a)
}

// Announce puts an announcement in the place of the last one. It is for staff.
func (c Site) Announce(ctx context.Context, text string, only ...Condition) (Announcement, error) {
	var a Announcement
	return a, c.do(ctx, put("/api/v1/announcement", NewAnnouncement{text}).only(only), &a)
}

// EndAnnouncement ends the announcement; a *Problem with Status 404 if there is none. It is for staff.
func (c Site) EndAnnouncement(ctx context.Context, only ...Condition) error {
	return c.do(ctx, remove("/api/v1/announcement").only(only), nil)
}

// Send sends a mail to everybody who has an address, and tells how many they are. It is for staff.
func (c Mails) Send(ctx context.Context, mail Broadcast) (Recipients, error) {
	var out Recipients
	return out, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/mails", body: mail}, &out)
}

// List returns mails and what became of them, newest first. It is for staff.
func (c Mails) List(ctx context.Context, f MailFilter) iter.Seq2[Mail, error] {
	query := url.Values{}
	if f.Status != "" {
		query.Set("status", f.Status)
	}
	return list[Mail](ctx, c.caller, "/api/v1/mails", query)
}

// Get returns a mail and what became of it. It is for staff.
func (c Mails) Get(ctx context.Context, id int64) (Mail, error) {
	var m Mail
	return m, c.do(ctx, get(fmt.Sprintf("/api/v1/mails/%d", id), nil), &m)
}

// Retry has a mail that was given up tried again. It is for staff.
func (c Mails) Retry(ctx context.Context, id int64) (Mail, error) {
	var m Mail
	return m, c.do(ctx, request{method: http.MethodPost, path: fmt.Sprintf("/api/v1/mails/%d:retry", id)}, &m)
}

// Stats are figures of jobs: of one's own, of all jobs for staff.
type Stats struct {
	TimeZone string           `json:"time_zone" doc:"Name of the time zone by which days begin." example:"Europe/Berlin"`
	Jobs     map[string]int64 `json:"jobs" doc:"How many jobs are in which status." example:"{\"success\":40,\"failure\":1}"`
	Tasks    map[string]int64 `json:"tasks" doc:"How many tasks are in which status." example:"{\"success\":118,\"failure\":2}"`
	Days     []DayMoved       `json:"days" nullable:"false" doc:"Each day, oldest first; the last one is today."`
	Nodes    []NodeMoved      `json:"nodes" nullable:"false" doc:"Over all these days, by name."`
}

// Moved is what tasks that ended in some time had moved.
type Moved struct {
	Tasks  int64 `json:"tasks" doc:"Tasks that ended." example:"120"`
	Failed int64 `json:"failed" doc:"Of the tasks, those that ended with Failure." example:"2"`
	Images int64 `json:"images" doc:"Instances that destinations acknowledged." example:"28800"`
	Bytes  int64 `json:"bytes" doc:"Bytes that destinations acknowledged." example:"15099494400"`
}

// DayMoved is what was moved on a day.
type DayMoved struct {
	Day string `json:"day" format:"date" example:"2026-11-23" doc:"The day that the figures are of, in the time zone of the answer."`
	Moved
}

// NodeMoved is what was moved from and to a DICOM node.
type NodeMoved struct {
	Name string `json:"name" doc:"Name of the DICOM node; empty: all that were removed since." example:"PACS"`
	From Moved  `json:"from" doc:"What was read from it."`
	To   Moved  `json:"to" doc:"What was sent to it."`
}

// HouseKeeping is how the site keeps itself in order.
type HouseKeeping struct {
	Warnings    []SiteWarning `json:"warnings" nullable:"false" doc:"What staff was told of and still holds."`
	LastCleanUp *time.Time    `json:"last_clean_up,omitempty" doc:"When the daily clean-up last ran; absent: never yet." example:"2026-11-23T08:15:30Z"`
	NextCleanUp *time.Time    `json:"next_clean_up,omitempty" doc:"When it runs next; absent if that is not known." example:"2026-11-24T02:00:00Z"`
	Removed     CleanedUp     `json:"removed" doc:"What the last clean-up removed."`
}

// SiteWarning is something that staff was told of.
type SiteWarning struct {
	Message string    `json:"message" doc:"What is wrong, and what to do about it." example:"Folder research has less than 20 GB free; make room or lower its use."`
	Since   time.Time `json:"since" doc:"When staff was told of it." example:"2026-11-23T08:15:30Z"`
}

// CleanedUp is what a daily clean-up removed.
type CleanedUp struct {
	Sessions        int64  `json:"sessions" doc:"Sessions that had ended." example:"12"`
	IdempotencyKeys int64  `json:"idempotency_keys" doc:"Idempotency keys older than 24 hours." example:"3"`
	TaskLogLines    int64  `json:"task_log_lines" doc:"Lines that were older than task logs are kept." example:"1840"`
	Mails           int64  `json:"mails" doc:"Mails whose end was longer ago than mails are kept." example:"25"`
	ErasedJobs      int64  `json:"erased_jobs" doc:"Jobs whose identifiers of patients were removed." example:"4"`
	RemovedJobs     int64  `json:"removed_jobs" doc:"Jobs that were deleted with all their tasks." example:"4"`
	ForgottenJobs   int64  `json:"forgotten_jobs" doc:"Jobs that can't be retried any more, because what they delivered is no longer known." example:"2"`
	SummedUp        string `json:"summed_up,omitempty" doc:"Last day whose figures stay when its jobs are deleted." example:"2026-08-23"`
}

// Stats returns figures of the last so many days, 1 to 366.
func (c Site) Stats(ctx context.Context, days int) (Stats, error) {
	var s Stats
	return s, c.do(ctx, get("/api/v1/stats", url.Values{"days": {strconv.Itoa(days)}}), &s)
}

// HouseKeeping tells how the site keeps itself in order. It is for staff.
func (c Site) HouseKeeping(ctx context.Context) (HouseKeeping, error) {
	var h HouseKeeping
	return h, c.do(ctx, get("/api/v1/housekeeping", nil), &h)
}
