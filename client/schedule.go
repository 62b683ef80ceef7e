// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Schedule is what a server allows over the week. The first window of the list that is open holds; outside all windows the default does.
type Schedule struct {
	Default  Limits   `json:"default" doc:"Outside all windows."`
	Windows  []Window `json:"windows,omitempty" maxItems:"100" doc:"The first one that is open holds."`
	Holidays []string `json:"holidays,omitempty" maxItems:"1000" doc:"Dates, as 2026-12-25, by the calendar of each window's time zone. On them only windows begin that name holiday, or no weekday."`
	Grace    *int     `json:"grace,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that the series in hand may go on when a window closes or a cap falls, before its retrieve is ended between two instances; 300 by default."`
}

// Limits are what a server allows at once and per time.
type Limits struct {
	Batch            int     `json:"batch" minimum:"0" maximum:"1000" doc:"Associations of jobs at once; 0: closed for jobs."`
	Interactive      int     `json:"interactive" minimum:"0" maximum:"1000" doc:"Associations of searches and checks at once; both 0: nobody."`
	StudiesPerMinute float64 `json:"studies_per_minute,omitempty" minimum:"0" maximum:"6000" doc:"Studies that may start within any 60 seconds, of all jobs together; absent: no limit."`
	MBPerSecond      float64 `json:"mb_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Of all jobs together, from the server and to it; of source and destination the stricter limit holds. Absent: no limit."`
}

// Window is open from one time of day until another, on certain days.
type Window struct {
	Weekdays []string `json:"weekdays,omitempty" enum:"mon,tue,wed,thu,fri,sat,sun,holiday" doc:"Days on which it begins; absent: every day, holidays too. On a holiday only windows begin that name holiday or no day."`
	From     string   `json:"from" example:"20:00" doc:"By the clock on the wall."`
	To       string   `json:"to" example:"06:00" doc:"Not later than from: on the next day. 24:00 is the end of the day."`
	TimeZone string   `json:"time_zone" example:"Europe/Berlin"`
	Limits
}

// ServerSchedule is the schedule of a server and what follows from it now.
type ServerSchedule struct {
	Schedule         Schedule   `json:"schedule"`
	Now              time.Time  `json:"now" doc:"By the database's clock, which all schedules go by."`
	TimeZone         string     `json:"time_zone" example:"Europe/Berlin" doc:"That now, until and opens are told in: of the window that is open or opens next, else of the site."`
	InForce          Limits     `json:"in_force"`
	Window           int        `json:"window" doc:"Place of the window that is open, from 1; 0: the default holds."`
	Until            *time.Time `json:"until,omitempty" doc:"From then on something else holds."`
	Opens            *time.Time `json:"opens,omitempty" doc:"When it takes jobs again, while it is closed for them."`
	Paused           bool       `json:"paused"`
	Down             string     `json:"down,omitempty" doc:"Why it can't be had now. Its tasks wait."`
	Takes            *int       `json:"takes,omitempty" doc:"So many associations of jobs at once it is used for now, since it refused more; absent: as many as its schedule allows."`
	NextProbe        *time.Time `json:"next_probe,omitempty" doc:"When it is asked again for a sign of life, or for one association more."`
	BatchInUse       int        `json:"batch_in_use"`
	InteractiveInUse int        `json:"interactive_in_use"`
}

// WorkerSchedule is how many tasks the nodes of a name run at once over the week.
type WorkerSchedule struct {
	Default  int            `json:"default" minimum:"0" maximum:"1000" doc:"Outside all windows."`
	Windows  []WorkerWindow `json:"windows,omitempty" maxItems:"100" doc:"The first one that is open holds."`
	Holidays []string       `json:"holidays,omitempty" maxItems:"1000" doc:"Dates, as 2026-12-25. On them only windows begin that name holiday, or no weekday."`
	Grace    *int           `json:"grace,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that the series in hand of tasks beyond the number may go on; 300 by default."`
}

// WorkerWindow is a window with a number of workers of its own.
type WorkerWindow struct {
	Weekdays []string `json:"weekdays,omitempty" enum:"mon,tue,wed,thu,fri,sat,sun,holiday" doc:"As of a server's windows: a window that names weekdays doesn't begin on a holiday, unless it names holiday, too."`
	From     string   `json:"from" example:"20:00"`
	To       string   `json:"to" example:"06:00"`
	TimeZone string   `json:"time_zone" example:"Europe/Berlin"`
	Workers  int      `json:"workers" minimum:"0" maximum:"1000"`
}

// JobChange changes where a job stands in the row of all jobs: nil fields stay as they are.
type JobChange struct {
	Urgent         *bool `json:"urgent,omitempty" doc:"Before all that is not urgent; needs a permission."`
	OutsideWindows *bool `json:"outside_windows,omitempty" doc:"An urgent job runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	Priority       *int  `json:"priority,omitempty" minimum:"1" maximum:"8" doc:"8 comes first; staff only."`
}

// Rules are what a server is asked and spared of at all hours.
type Rules struct {
	MaxPDU            int      `json:"max_pdu,omitempty" minimum:"0" maximum:"1048576" doc:"Bytes of a PDU that ADIT announces there, 16384 to 1048576; 1048564 by default."`
	MinStudyAge       int      `json:"min_study_age,omitempty" minimum:"0" maximum:"31536000" doc:"Seconds from the date and time of a study, before which it is not read."`
	YoungStudy        *int     `json:"young_study,omitempty" minimum:"0" maximum:"31536000" doc:"Seconds from the date and time of a study, up to which it may still grow: its lists are then asked for once more at the end, as are those of a study without a date. 86400 by default; 0: only where something is missing or does not agree."`
	OfflinePatience   int      `json:"offline_patience,omitempty" minimum:"0" maximum:"86400" doc:"Seconds for which a study that is offline or nearline is waited for, before its task fails; 14400 by default."`
	Duplicates        string   `json:"duplicates,omitempty" enum:"send,skip,refuse" doc:"What becomes of images that it holds already, as a destination: they are sent all the same (send, by default), are asked for first and not sent (skip), or make the task fail before anything is sent (refuse)."`
	RefusedSOPClasses []string `json:"refused_sop_classes,omitempty" maxItems:"100" doc:"SOP classes that it never takes, as a destination: left out and noted."`
	FallbackCharset   string   `json:"fallback_character_set,omitempty" maxLength:"64" example:"ISO_IR 100" doc:"As a source, what the text of objects is read in that declare no character set, have other bytes than ASCII, and are no UTF-8 throughout: a term of Specific Character Set, ISO_IR 100 by default. ISO_IR 6: such objects are not de-identified, and not sent."`
	IgnoreCounts      bool     `json:"ignore_counts,omitempty" doc:"As a source, its counts of instances are known to be wrong, and are not used as evidence of what a study holds. Tasks note it."`
}

// RulesChange changes them: nil fields stay as they are.
type RulesChange struct {
	MaxPDU            *int      `json:"max_pdu,omitempty" minimum:"0" maximum:"1048576"`
	MinStudyAge       *int      `json:"min_study_age,omitempty" minimum:"0" maximum:"31536000"`
	YoungStudy        *int      `json:"young_study,omitempty" minimum:"0" maximum:"31536000"`
	OfflinePatience   *int      `json:"offline_patience,omitempty" minimum:"0" maximum:"86400"`
	Duplicates        *string   `json:"duplicates,omitempty" enum:"send,skip,refuse"`
	RefusedSOPClasses *[]string `json:"refused_sop_classes,omitempty" maxItems:"100"`
	FallbackCharset   *string   `json:"fallback_character_set,omitempty" maxLength:"64"`
	IgnoreCounts      *bool     `json:"ignore_counts,omitempty"`
}

// Schedule gives a server's schedule.
func (c *Client) Schedule(ctx context.Context, server string) (ServerSchedule, error) {
	var s ServerSchedule
	return s, c.do(ctx, get("/api/v1/servers/"+escape(server)+"/schedule", nil), &s)
}

// SetSchedule changes a server's schedule. It is for staff.
func (c *Client) SetSchedule(ctx context.Context, server string, s Schedule) (ServerSchedule, error) {
	var out ServerSchedule
	return out, c.do(ctx, request{method: http.MethodPut, path: "/api/v1/servers/" + escape(server) + "/schedule", body: s, repeatable: true}, &out)
}

// PauseServer keeps jobs away from a server; what runs there stops at the next instance and goes on later. It is for staff.
func (c *Client) PauseServer(ctx context.Context, server string) (Server, error) {
	var out Server
	return out, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers/" + escape(server) + ":pause"}, &out)
}

// ContinueServer lets jobs use a paused server again. It is for staff.
func (c *Client) ContinueServer(ctx context.Context, server string) (Server, error) {
	var out Server
	return out, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers/" + escape(server) + ":continue"}, &out)
}

// Workers gives how many tasks the nodes of a name run at once; a *Problem with Status 404 if they run as many as they were started with.
func (c *Client) Workers(ctx context.Context, node string) (WorkerSchedule, error) {
	var out WorkerSchedule
	return out, c.do(ctx, get(workersPath(node), nil), &out)
}

// SetWorkers changes that. It is for staff.
func (c *Client) SetWorkers(ctx context.Context, node string, s WorkerSchedule) (WorkerSchedule, error) {
	var out WorkerSchedule
	return out, c.do(ctx, request{method: http.MethodPut, path: workersPath(node), body: s, repeatable: true}, &out)
}

// DeleteWorkers lets the nodes run as many tasks as they were started with. It is for staff.
func (c *Client) DeleteWorkers(ctx context.Context, node string) error {
	return c.do(ctx, request{method: http.MethodDelete, path: workersPath(node)}, nil)
}

func workersPath(node string) string { return "/api/v1/workers/" + url.PathEscape(node) + "/schedule" }

// ChangeJob changes where a job stands in the row of all jobs.
func (c *Client) ChangeJob(ctx context.Context, id int64, change JobChange) (Job, error) {
	var job Job
	return job, c.do(ctx, request{method: http.MethodPatch, path: jobPath(id), body: change}, &job)
}
