// SPDX-License-Identifier: AGPL-3.0-or-later

package client

import (
	"context"
	"net/http"
	"net/url"
	"time"
)

// Schedule is what a server allows over the week. The first window of the list that is open holds; outside all windows
// the default does.
type Schedule struct {
	Default  Limits   `json:"default" doc:"Outside all windows."`
	Windows  []Window `json:"windows,omitempty" maxItems:"100" doc:"The first one that is open holds."`
	Holidays []string `json:"holidays,omitempty" maxItems:"1000" doc:"Dates, as 2026-12-25, by the calendar of each window's time zone. On them only windows begin that name holiday, or no weekday." example:"2026-12-25"`
	Grace    *int     `json:"grace,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that the series in hand may go on when a window closes or a cap falls, before its retrieve is ended between two instances; 300 by default." example:"300"`
}

// Limits are what a server allows at once and per time.
type Limits struct {
	Name             string  `json:"name,omitempty" maxLength:"64" doc:"What people call these limits, in plain text." example:"night"`
	Batch            int     `json:"batch" minimum:"0" maximum:"1000" doc:"Associations that jobs may have at once; 0: closed for jobs." example:"4"`
	Interactive      int     `json:"interactive" minimum:"0" maximum:"1000" doc:"Associations that searches and checks may have at once; with batch 0 as well, nobody may use the server." example:"2"`
	StudiesPerMinute float64 `json:"studies_per_minute,omitempty" minimum:"0" maximum:"6000" doc:"Studies that may start within any 60 seconds, of all jobs together; absent: no limit." example:"30"`
	MBPerSecond      float64 `json:"mb_per_second,omitempty" minimum:"0" maximum:"100000" doc:"Megabytes (10⁶ bytes) a second that all jobs together may move from the server and to it; of source and destination the stricter limit holds. Absent: no limit." example:"50"`
}

// Window is open from one time of day until another, on certain days.
type Window struct {
	Weekdays []string `json:"weekdays,omitempty" enum:"mon,tue,wed,thu,fri,sat,sun,holiday" doc:"Days on which it begins; absent: every day, holidays too. On a holiday only windows begin that name holiday or no day." example:"mon,tue,wed,thu,fri"`
	From     string   `json:"from" example:"20:00" doc:"Time of day when it opens, as HH:MM."`
	To       string   `json:"to" example:"06:00" doc:"Time of day when it closes, as HH:MM; not later than from: on the next day; 24:00 is the end of the day."`
	TimeZone string   `json:"time_zone" example:"Europe/Berlin" doc:"Name of the time zone in the IANA database by whose clock it opens and closes."`
	Limits
}

// ServerNow is what holds of a server now, and what is in use of it.
type ServerNow struct {
	ID               int64      `json:"id" doc:"Number of the server, which stays the same if its name changes." example:"3"`
	Name             string     `json:"name" doc:"Name of the server." example:"PACS"`
	Now              time.Time  `json:"now" doc:"By the database's clock, which all schedules go by."`
	TimeZone         string     `json:"time_zone" example:"Europe/Berlin" doc:"That now, until and opens are told in: of the window that is open or opens next, else of the site."`
	InForce          Limits     `json:"in_force" doc:"The limits that hold now."`
	Window           int        `json:"window" doc:"Place of the window that is open, from 1; 0: the default holds." example:"1"`
	Until            *time.Time `json:"until,omitempty" doc:"From then on something else holds."`
	Opens            *time.Time `json:"opens,omitempty" doc:"When it takes jobs again, while it is closed for them."`
	Paused           bool       `json:"paused" doc:"Whether staff keeps jobs away from the server."`
	Down             string     `json:"down,omitempty" doc:"Why the server is not available now; its tasks wait. Absent if it is." example:"PACS does not answer at pacs.example.org:104."`
	Takes            *int       `json:"takes,omitempty" doc:"So many associations of jobs at once it is used for now, since it refused more; absent: as many as its schedule allows." example:"2"`
	NextProbe        *time.Time `json:"next_probe,omitempty" doc:"When it is asked again for a sign of life, or for one association more."`
	BatchInUse       int        `json:"batch_in_use" doc:"Associations that jobs have now." example:"1"`
	InteractiveInUse int        `json:"interactive_in_use" doc:"Associations that searches and checks have now." example:"0"`
}

// ServerSchedule is the schedule of a server and what follows from it now.
type ServerSchedule struct {
	Versioned
	Schedule Schedule `json:"schedule" doc:"What staff has set."`
	ServerNow
}

// SchedulePreview is what a schedule would mean now, if it were saved.
type SchedulePreview struct {
	ServerNow
	Next         *Limits    `json:"next,omitempty" doc:"The limits that would follow at until; absent if nothing else follows within the next weeks."`
	NextWindow   int        `json:"next_window" doc:"Place of the window that would open then, from 1; 0: the default." example:"2"`
	NextUntil    *time.Time `json:"next_until,omitempty" doc:"Until when those would hold."`
	Over         int        `json:"over" doc:"Running tasks beyond the new cap: they go on for the grace period, and then wait." example:"3"`
	FurtherOver  int        `json:"further_over" doc:"Associations that other running tasks would give back beside that." example:"1"`
	Grace        int        `json:"grace" doc:"Seconds that their series in hand may go on." example:"300"`
	Starting     int        `json:"starting" doc:"Pending tasks that wait for the server to open, which it would do at once." example:"12"`
	Waiting      int        `json:"waiting" doc:"Pending tasks that the schedule would keep from starting now." example:"184"`
	WaitingUntil *time.Time `json:"waiting_until,omitempty" doc:"Until when those would wait; absent if there are none, or no window opens within a year."`
	Effects      []string   `json:"effects" nullable:"false" doc:"In sentences, what becomes of what runs and waits; at least one." example:"3 running studies would be over the new cap: they finish their series within 5 minutes and wait."`
}

// WorkerSchedule is how many tasks the members of a name run at once over the week.
type WorkerSchedule struct {
	Versioned
	Default  int            `json:"default" minimum:"0" maximum:"1000" doc:"Tasks that each member runs at once outside all windows." example:"2"`
	Windows  []WorkerWindow `json:"windows,omitempty" maxItems:"100" doc:"The first one that is open holds."`
	Holidays []string       `json:"holidays,omitempty" maxItems:"1000" doc:"Dates, as 2026-12-25. On them only windows begin that name holiday, or no weekday." example:"2026-12-25"`
	Grace    *int           `json:"grace,omitempty" minimum:"0" maximum:"86400" doc:"Seconds that the series in hand of tasks beyond the number may go on; 300 by default." example:"300"`
}

// WorkerWindow is a window with a number of workers of its own.
type WorkerWindow struct {
	Weekdays []string `json:"weekdays,omitempty" enum:"mon,tue,wed,thu,fri,sat,sun,holiday" doc:"As of a server's windows: a window that names weekdays doesn't begin on a holiday, unless it names holiday, too." example:"mon,tue,wed,thu,fri"`
	From     string   `json:"from" example:"20:00" doc:"Time of day when it opens, as HH:MM."`
	To       string   `json:"to" example:"06:00" doc:"Time of day when it closes, as HH:MM; not later than from: on the next day."`
	TimeZone string   `json:"time_zone" example:"Europe/Berlin" doc:"Name of the time zone in the IANA database by whose clock it opens and closes."`
	Workers  int      `json:"workers" minimum:"0" maximum:"1000" doc:"Tasks that each member runs at once while it is open." example:"8"`
}

// JobChange changes where a job stands in the row of all jobs: nil fields stay as they are.
type JobChange struct {
	Urgent         *bool `json:"urgent,omitempty" doc:"Before all that is not urgent; needs a permission."`
	OutsideWindows *bool `json:"outside_windows,omitempty" doc:"An urgent job runs where the window of a server is closed for jobs, within the default's cap; needs a permission."`
	Priority       *int  `json:"priority,omitempty" minimum:"1" maximum:"8" doc:"From 1 to 8; 8 comes first; staff only. Absent: as it is." example:"8"`
}

// Schedule returns a server's schedule.
func (c Servers) Schedule(ctx context.Context, server string) (ServerSchedule, error) {
	var s ServerSchedule
	return s, c.do(ctx, get("/api/v1/servers/"+escape(server)+"/schedule", nil), &s)
}

// Now returns what holds now of all servers that one may use, and what is in use of them; for staff, of all.
func (c Servers) Now(ctx context.Context) ([]ServerNow, error) {
	var page Page[ServerNow]
	err := c.do(ctx, get("/api/v1/servers:now", nil), &page)
	return page.Items, err
}

// SetSchedule changes a server's schedule. It is for staff.
func (c Servers) SetSchedule(
	ctx context.Context, server string, s Schedule, only ...Condition,
) (ServerSchedule, error) {
	var out ServerSchedule
	return out, c.do(ctx, put("/api/v1/servers/"+escape(server)+"/schedule", s).only(only), &out)
}

// PreviewSchedule tells what a schedule of a server would mean now, and changes nothing. It is for staff.
func (c Servers) PreviewSchedule(ctx context.Context, server string, s Schedule) (SchedulePreview, error) {
	var out SchedulePreview
	return out, c.do(ctx, request{
		method: http.MethodPost, path: "/api/v1/servers/" + escape(server) + "/schedule:preview", body: s, repeatable: true,
	}, &out)
}

// Pause keeps jobs away from a server; what runs there stops at the next instance and goes on later. It is for staff.
func (c Servers) Pause(ctx context.Context, server string) (Server, error) {
	var out Server
	return out, c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers/" + escape(server) + ":pause"}, &out)
}

// Continue lets jobs use a paused server again. It is for staff.
func (c Servers) Continue(ctx context.Context, server string) (Server, error) {
	var out Server
	return out,
		c.do(ctx, request{method: http.MethodPost, path: "/api/v1/servers/" + escape(server) + ":continue"}, &out)
}

// Get returns how many tasks the members of a name run at once; a *Problem with Status 404 if they run as many as they
// were started with.
func (c Workers) Get(ctx context.Context, member string) (WorkerSchedule, error) {
	var out WorkerSchedule
	return out, c.do(ctx, get(workersPath(member), nil), &out)
}

// Set changes that. It is for staff.
func (c Workers) Set(
	ctx context.Context, member string, s WorkerSchedule, only ...Condition,
) (WorkerSchedule, error) {
	var out WorkerSchedule
	return out, c.do(ctx, put(workersPath(member), s).only(only), &out)
}

// Delete lets the members run as many tasks as they were started with. It is for staff.
func (c Workers) Delete(ctx context.Context, member string, only ...Condition) error {
	return c.do(ctx, remove(workersPath(member)).only(only), nil)
}

func workersPath(member string) string {
	return "/api/v1/workers/" + url.PathEscape(member) + "/schedule"
}

// Change changes where a job stands in the row of all jobs.
func (c Jobs) Change(ctx context.Context, id int64, change JobChange, only ...Condition) (Job, error) {
	var job Job
	return job, c.do(ctx, patch(jobPath(id), change).only(only), &job)
}
