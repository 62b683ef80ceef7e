// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/schedule"
)

type scheduleCmd struct {
	Show   scheduleShowCmd   `cmd:"" help:"Show a server's schedule and what holds now."`
	Set    scheduleSetCmd    `cmd:"" help:"Change a server's schedule."`
	Export scheduleExportCmd `cmd:"" help:"Write a schedule as JSON."`
	Import scheduleImportCmd `cmd:"" help:"Read a schedule from JSON, as export writes it."`
	Clear  scheduleClearCmd  `cmd:"" help:"Let nodes run as many tasks at once as they were started with (--workers)."`
}

type scheduleShowCmd struct {
	remote
	Server string `arg:"" help:"Name of the server."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

// Run shows the schedule.
func (c *scheduleShowCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	s, err := cl.Schedule(ctx, c.Server)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, s)
	}
	printSchedule(io.out, c.Server, s)
	return nil
}

func printSchedule(w io.Writer, server string, s client.ServerSchedule) {
	which := "the default holds"
	if s.Window > 0 {
		which = fmt.Sprintf("window %d is open", s.Window)
	}
	fmt.Fprintf(w, "DICOM Server %s: %s (%s)", printable(server), which, limits(s.InForce))
	if s.Until != nil {
		fmt.Fprintf(w, " until %s", clockIn(*s.Until, s.TimeZone))
	}
	fmt.Fprintf(w, "; in use: %d by jobs, %d interactively.\n", s.BatchInUse, s.InteractiveInUse)
	if s.Paused {
		fmt.Fprintf(w, "It is paused; adit node continue %s lets jobs use it again.\n", quoted(server))
	}
	if s.Down != "" {
		fmt.Fprintf(w, "%s\n", printable(s.Down))
	}
	if s.Takes != nil {
		fmt.Fprintf(w, "It takes %d of %d now, since it refused more%s.\n", *s.Takes, s.InForce.Batch, askedAgain(s.NextProbe))
	}
	switch {
	case s.InForce.Batch == 0 && s.Opens != nil:
		fmt.Fprintf(w, "It takes jobs again from %s.\n", clockIn(*s.Opens, s.TimeZone))
	case s.InForce.Batch == 0:
		fmt.Fprintln(w, "No window opens it for jobs.")
	}
	fmt.Fprintf(w, "  default: %s\n", limits(s.Schedule.Default))
	for i, win := range s.Schedule.Windows {
		days := "every day"
		if len(win.Weekdays) > 0 {
			days = strings.Join(win.Weekdays, ",")
		}
		fmt.Fprintf(w, "  window %d: %s %s-%s %s: %s\n", i+1, days, win.From, win.To, printable(win.TimeZone), limits(win.Limits))
	}
	if len(s.Schedule.Holidays) > 0 {
		fmt.Fprintf(w, "  holidays: %s: windows of weekdays don't begin then, unless they name holiday, too\n", strings.Join(s.Schedule.Holidays, ", "))
	}
	grace := schedule.DefaultGrace
	if s.Schedule.Grace != nil {
		grace = time.Duration(*s.Schedule.Grace) * time.Second
	}
	fmt.Fprintf(w, "  grace: %s for the series in hand when a window closes or a cap falls\n", grace)
}

// askedAgain says when a server is asked for more than it takes, if that is known.
func askedAgain(at *time.Time) string {
	if at == nil {
		return ""
	}
	return ", asked again at " + clock(*at)
}

func clock(t time.Time) string { return t.Local().Format("Mon 2006-01-02 15:04 MST") }

// stamp is clock to the second, for lists.
func stamp(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05 MST") }

// clockIn tells an instant by the clock of a time zone, and names it.
func clockIn(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return clock(t)
	}
	return t.In(loc).Format("Mon 2006-01-02 15:04") + " (" + loc.String() + ")"
}

func limits(l client.Limits) string {
	if l.Batch+l.Interactive == 0 {
		return "nobody"
	}
	text := fmt.Sprintf("batch=%d interactive=%d", l.Batch, l.Interactive)
	if l.StudiesPerMinute > 0 {
		text += fmt.Sprintf(" studies-per-minute=%g", l.StudiesPerMinute)
	}
	if l.MBPerSecond > 0 {
		text += fmt.Sprintf(" mb-per-second=%g", l.MBPerSecond)
	}
	return text
}

type scheduleSetCmd struct {
	remote
	Server           string         `arg:"" help:"Name of the server."`
	Batch            *int           `placeholder:"N" help:"Outside all windows: most associations at once for jobs; 0 closes it for jobs."`
	Interactive      *int           `placeholder:"N" help:"Outside all windows: most associations at once for searches and checks."`
	StudiesPerMinute *float64       `placeholder:"N" help:"Outside all windows: studies that may start within any 60 seconds; 0: no limit."`
	MBPerSecond      *float64       `name:"mb-per-second" placeholder:"N" help:"Outside all windows: MB per second of all jobs together, from the server and to it; 0: no limit."`
	Window           []string       `sep:"none" placeholder:"WINDOW" help:"A window, in place of all that are there, such as 'mon-fri 20:00-06:00 Europe/Berlin batch=8 interactive=1'. Without days: every day, holidays too. Days: mon to sun, holiday; a window that names weekdays doesn't begin on a holiday, unless it names holiday, too. May be given several times: the first one that is open holds."`
	NoWindows        bool           `help:"Remove all windows."`
	Holiday          []string       `placeholder:"DATE" help:"Holidays, in place of all that are there, as 2026-12-25. On them only windows begin that name holiday, or no day."`
	Grace            *time.Duration `placeholder:"DURATION" help:"How long the series in hand may go on when a window closes or a cap falls (5m); 0s: its retrieve is ended at once, between two instances."`
}

// Run changes the schedule: what no flag names stays as it is.
func (c *scheduleSetCmd) Run(ctx context.Context, io streams) error {
	windows := make([]client.Window, 0, len(c.Window))
	for _, text := range c.Window {
		w, err := parseWindow(text)
		if err != nil {
			return err
		}
		windows = append(windows, w)
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	now, err := cl.Schedule(ctx, c.Server)
	if err != nil {
		return err
	}
	s := now.Schedule
	set(&s.Default.Batch, c.Batch)
	set(&s.Default.Interactive, c.Interactive)
	set(&s.Default.StudiesPerMinute, c.StudiesPerMinute)
	set(&s.Default.MBPerSecond, c.MBPerSecond)
	if len(windows) > 0 || c.NoWindows {
		s.Windows = windows
	}
	if len(c.Holiday) > 0 {
		s.Holidays = c.Holiday
	}
	if c.Grace != nil {
		grace := int(c.Grace.Round(time.Second) / time.Second)
		s.Grace = &grace
	}
	if now, err = cl.SetSchedule(ctx, c.Server, s); err != nil {
		return err
	}
	printSchedule(io.out, c.Server, now)
	return nil
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// parseWindow reads a window as people write it: days, times, time zone and limits, with blanks between them.
func parseWindow(text string) (client.Window, error) {
	var w client.Window
	for word := range strings.FieldsSeq(text) {
		name, value, isLimit := strings.Cut(word, "=")
		from, to, isTimes := strings.Cut(word, "-")
		switch {
		case isLimit:
			if err := setLimit(&w.Limits, name, value); err != nil {
				return w, err
			}
		case isTimes && strings.Contains(word, ":"):
			w.From, w.To = from, to
		case strings.Contains(word, "/") || word == "UTC":
			w.TimeZone = word
		default:
			days, err := parseDays(word)
			if err != nil {
				return w, err
			}
			w.Weekdays = append(w.Weekdays, days...)
		}
	}
	if w.From == "" || w.TimeZone == "" {
		return w, usage("--window %q: it needs times and a time zone, as in 'mon-fri 20:00-06:00 Europe/Berlin batch=8'", text)
	}
	return w, nil
}

func setLimit(l *client.Limits, name, value string) error {
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return usage("--window: %q is not a number", value)
	}
	switch name {
	case "batch":
		l.Batch = int(number)
	case "interactive":
		l.Interactive = int(number)
	case "studies-per-minute":
		l.StudiesPerMinute = number
	case "mb-per-second":
		l.MBPerSecond = number
	default:
		return usage("--window: %q is not one of batch, interactive, studies-per-minute and mb-per-second", name)
	}
	return nil
}

var weekdays = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

// parseDays reads mon, mon-fri, sat-mon, or a list of them.
func parseDays(text string) ([]string, error) {
	var days []string
	for part := range strings.SplitSeq(strings.ToLower(text), ",") {
		first, last, isRange := strings.Cut(part, "-")
		if part == "holiday" {
			days = append(days, part)
			continue
		}
		from, to := slices.Index(weekdays, first), slices.Index(weekdays, last)
		switch {
		case from < 0 || isRange && to < 0:
			return nil, usage("--window: %q is neither a day (mon to sun, holiday), nor times such as 20:00-06:00, nor a time zone such as Europe/Berlin", part)
		case !isRange:
			to = from
		}
		for i := from; ; i = (i + 1) % len(weekdays) {
			days = append(days, weekdays[i])
			if i == to {
				break
			}
		}
	}
	return days, nil
}

type scheduleExportCmd struct {
	remote
	Name    string `arg:"" help:"Name of the server, or of the nodes."`
	Workers bool   `help:"How many tasks the nodes of that name run at once."`
}

// Run writes the JSON form.
func (c *scheduleExportCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.Workers {
		w, err := cl.Workers(ctx, c.Name)
		if err != nil {
			return err
		}
		return printJSON(io.out, w)
	}
	s, err := cl.Schedule(ctx, c.Name)
	if err != nil {
		return err
	}
	return printJSON(io.out, s.Schedule)
}

type scheduleImportCmd struct {
	remote
	Name    string `arg:"" help:"Name of the server, or of the nodes."`
	File    string `arg:"" type:"path" help:"The file; - for the standard input."`
	Workers bool   `help:"How many tasks the nodes of that name run at once."`
}

// Run reads the JSON form. What it doesn't know it refuses: a misspelt cap would be none.
func (c *scheduleImportCmd) Run(ctx context.Context, io streams) error {
	text, err := readSchedule(c.File)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	if c.Workers {
		var w client.WorkerSchedule
		if err := decodeSchedule(text, &w); err != nil {
			return err
		}
		if _, err := cl.SetWorkers(ctx, c.Name, w); err != nil {
			return err
		}
		fmt.Fprintf(io.out, "The workers of nodes named %s were changed.\n", c.Name)
		return nil
	}
	var s client.Schedule
	if err := decodeSchedule(text, &s); err != nil {
		return err
	}
	now, err := cl.SetSchedule(ctx, c.Name, s)
	if err != nil {
		return err
	}
	printSchedule(io.out, c.Name, now)
	return nil
}

const maxScheduleFile = 1 << 20

func readSchedule(path string) (string, error) {
	f := os.Stdin
	if path != "-" {
		var err error
		if f, err = os.Open(path); err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }() // was only read
	}
	text, err := io.ReadAll(io.LimitReader(f, maxScheduleFile))
	return string(text), err
}

func decodeSchedule(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return usage("the file holds no schedule: %s; adit schedule export shows the form", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

type scheduleClearCmd struct {
	remote
	Node    string `arg:"" help:"Name of the nodes."`
	Workers bool   `required:"" help:"How many tasks they run at once."`
}

// Run removes the schedule of workers.
func (c *scheduleClearCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.DeleteWorkers(ctx, c.Node); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Nodes named %s run as many tasks at once as they were started with.\n", c.Node)
	return nil
}
