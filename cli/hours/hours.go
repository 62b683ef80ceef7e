// SPDX-License-Identifier: AGPL-3.0-or-later

// Package hours is adit schedule: when a server may be used, and with how many associations.
package hours

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/engine/schedule"
	"github.com/adit-go/adit/internal/text"
)

// Cmd is adit schedule.
type Cmd struct {
	Show   showCmd   `cmd:"" help:"Show a server's schedule and the limits in force now."`
	Set    setCmd    `cmd:"" help:"Change a server's schedule."`
	Export exportCmd `cmd:"" help:"Write a schedule as JSON."`
	Import importCmd `cmd:"" help:"Set a schedule from JSON, as export writes it."`
	Clear  clearCmd  `cmd:"" help:"Remove the worker schedule of cluster members: they run as many tasks at once as they were started with."`
}

type showCmd struct {
	command.Remote
	Server string `complete:"server" arg:"" help:"Name of the server."`
}

// Run shows the schedule.
func (c *showCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Servers.Schedule(ctx, c.Server)
	if err != nil {
		return err
	}
	return tellSchedule(io, c.Output, c.Server, s)
}

func tellSchedule(streams command.Streams, o command.Output, server string, s client.ServerSchedule) error {
	return o.Tell(streams, s, func(w stdio.Writer) error {
		printSchedule(w, server, s)
		return nil
	})
}

func printSchedule(w stdio.Writer, server string, s client.ServerSchedule) {
	which := "the default" + named(s.InForce) + " holds"
	if s.Window > 0 {
		which = fmt.Sprintf("window %d%s is open", s.Window, named(s.InForce))
	}
	fmt.Fprintf(w, "DICOM Server %s: %s (%s)", command.Printable(server), which, limits(s.InForce))
	if s.Until != nil {
		fmt.Fprintf(w, " until %s", stampIn(*s.Until, s.TimeZone))
	}
	fmt.Fprintf(w, "; in use: %d by jobs, %d interactively.\n", s.BatchInUse, s.InteractiveInUse)
	if s.Paused {
		fmt.Fprintf(w, "It is paused; adit node continue %s lets jobs use it again.\n", text.ShellWord(server))
	}
	if s.Down != "" {
		fmt.Fprintf(w, "%s\n", command.Printable(s.Down))
	}
	if s.Takes != nil {
		fmt.Fprintf(
			w, "It takes %d of %d now, because it refused more%s.\n", *s.Takes, s.InForce.Batch, command.AskedAgain(s.NextProbe),
		)
	}
	switch {
	case s.InForce.Batch == 0 && s.Opens != nil:
		fmt.Fprintf(w, "It takes jobs again from %s.\n", stampIn(*s.Opens, s.TimeZone))
	case s.InForce.Batch == 0:
		fmt.Fprintln(w, "No window opens it for jobs.")
	}
	fmt.Fprintf(w, "  default%s: %s\n", named(s.Schedule.Default), limits(s.Schedule.Default))
	for i, win := range s.Schedule.Windows {
		days := "every day"
		if len(win.Weekdays) > 0 {
			days = strings.Join(win.Weekdays, ",")
		}
		fmt.Fprintf(
			w, "  window %d%s: %s %s-%s %s: %s\n", i+1, named(win.Limits), days, win.From,
			win.To, command.Printable(win.TimeZone), limits(win.Limits),
		)
	}
	if len(s.Schedule.Holidays) > 0 {
		fmt.Fprintf(
			w, "  holidays: %s: windows of weekdays don't begin then, unless they name holiday, too\n",
			strings.Join(s.Schedule.Holidays, ", "),
		)
	}
	grace := schedule.DefaultGrace
	if s.Schedule.Grace != nil {
		grace = time.Duration(*s.Schedule.Grace) * time.Second
	}
	fmt.Fprintf(w, "  grace: %s for the series in hand when a window closes or a cap falls\n", grace)
}

// stampIn returns an instant by the clock of a time zone.
func stampIn(t time.Time, zone string) string {
	loc, err := time.LoadLocation(zone)
	if err != nil || zone == "" {
		return command.Stamp(t)
	}
	return t.In(loc).Format(command.TimeForm)
}

// named returns what people call limits, in quotes behind a blank.
func named(l client.Limits) string {
	if l.Name == "" {
		return ""
	}
	return ` "` + command.Printable(l.Name) + `"`
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

type setCmd struct {
	command.Remote
	Server           string         `complete:"server" arg:"" help:"Name of the server."`
	Name             *string        `placeholder:"NAME" help:"Outside all windows: what people call these limits, such as day."`
	Batch            *int           `placeholder:"N" help:"Outside all windows: maximum number of associations for jobs; 0 closes the server for jobs."`
	Interactive      *int           `placeholder:"N" help:"Outside all windows: maximum number of associations for searches and checks."`
	StudiesPerMinute *float64       `placeholder:"N" help:"Outside all windows: maximum number of studies that start within any 60 seconds; 0: no limit."`
	MBPerSecond      *float64       `name:"mb-per-second" placeholder:"N" help:"Outside all windows: maximum rate of all jobs together, from and to the server; 0: no limit."`
	Window           []string       `sep:"none" placeholder:"WINDOW" help:"A window, such as 'mon-fri 20:00-06:00 Europe/Berlin batch=8 interactive=1'. name=night, or name=\"late night\" in quotes, is what people call it. The windows given replace all existing ones. Days: mon to sun, holiday; without days the window opens every day, also on holidays. A window with weekdays doesn't open on a holiday unless it names holiday as well. The flag may be given several times: the first open window applies."`
	NoWindows        bool           `help:"Remove all windows."`
	Holiday          []string       `placeholder:"DATE" help:"Holidays, such as 2026-12-25; they replace all existing ones. On a holiday only windows open that name holiday or no day."`
	DryRun           bool           `help:"Change nothing: show what the schedule would mean now."`
	Grace            *time.Duration `placeholder:"DURATION" help:"How long the current series may continue when a window closes or a limit is lowered (5m); 0s: stop at the next instance."`
}

// Run changes the schedule: what no flag names stays as it is.
func (c *setCmd) Run(ctx context.Context, io command.Streams) error {
	windows := make([]client.Window, 0, len(c.Window))
	for _, text := range c.Window {
		w, err := parseWindow(text)
		if err != nil {
			return err
		}
		windows = append(windows, w)
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	now, err := cl.Servers.Schedule(ctx, c.Server)
	if err != nil {
		return err
	}
	s := now.Schedule
	set(&s.Default.Name, c.Name)
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
	if c.DryRun {
		p, err := cl.Servers.PreviewSchedule(ctx, c.Server, s)
		if err != nil {
			return err
		}
		return c.Tell(io, p, func(w stdio.Writer) error {
			printPreview(w, p)
			return nil
		})
	}
	if now, err = cl.Servers.SetSchedule(ctx, c.Server, s); err != nil {
		return err
	}
	return tellSchedule(io, c.Output, c.Server, now)
}

// printPreview says what a schedule would mean.
func printPreview(w stdio.Writer, p client.SchedulePreview) {
	fmt.Fprintf(w, "Now%s: %s", named(p.InForce), limits(p.InForce))
	if p.Until != nil && p.Next != nil {
		fmt.Fprintf(w, "; from %s%s: %s", stampIn(*p.Until, p.TimeZone), named(*p.Next), limits(*p.Next))
	}
	fmt.Fprintln(w, ".")
	for _, effect := range p.Effects {
		fmt.Fprintln(w, effect)
	}
	fmt.Fprintln(w, "Nothing was changed.")
}

func set[T any](to, from *T) {
	if from != nil {
		*to = *from
	}
}

// parseWindow reads a window as people write it: days, times, time zone and limits, with blanks between them.
func parseWindow(text string) (client.Window, error) {
	var w client.Window
	words, err := splitWords(text)
	if err != nil {
		return w, err
	}
	for _, word := range words {
		name, value, isLimit := strings.Cut(word, "=")
		from, to, isTimes := strings.Cut(word, "-")
		switch {
		case isLimit && name == "name":
			w.Name = value
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
		return w, command.Usage(
			"--window %q: it needs times and a time zone, as in 'mon-fri 20:00-06:00 Europe/Berlin batch=8'", text,
		)
	}
	return w, nil
}

// splitWords splits at blanks that are not within double quotes, and leaves the quotes out.
func splitWords(text string) ([]string, error) {
	quoted := false
	words := strings.FieldsFunc(text, func(r rune) bool {
		if r == '"' {
			quoted = !quoted
		}
		return !quoted && unicode.IsSpace(r)
	})
	if quoted {
		return nil, command.Usage("--window %q: a quote is not closed", text)
	}
	for i := range words {
		words[i] = strings.ReplaceAll(words[i], `"`, "")
	}
	return words, nil
}

func setLimit(l *client.Limits, name, value string) error {
	number, err := strconv.ParseFloat(value, 64)
	if err != nil {
		return command.Usage("--window: %q is not a number", value)
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
		return command.Usage(
			"--window: %q is not one of batch, interactive, studies-per-minute, mb-per-second and name", name,
		)
	}
	return nil
}

// parseDays reads mon, mon-fri, sat-mon, or a list of them.
func parseDays(text string) ([]string, error) {
	var days []string
	for part := range strings.SplitSeq(strings.ToLower(text), ",") {
		if part == "holiday" {
			days = append(days, part)
			continue
		}
		some, ok := command.Weekdays(part)
		if !ok {
			return nil, command.Usage(
				"--window: %q is neither a day (mon to sun, holiday), nor times such as 20:00-06:00, nor a time zone "+
					"such as Europe/Berlin",
				part,
			)
		}
		days = append(days, some...)
	}
	return days, nil
}

type exportCmd struct {
	command.Remote
	Name    string `complete:"server" arg:"" help:"Name of the server; with --workers, of cluster members."`
	Workers bool   `help:"The schedule of workers: how many tasks cluster members of that name run at once."`
}

// Run writes the JSON form.
func (c *exportCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.Workers {
		w, err := cl.Workers.Get(ctx, c.Name)
		if err != nil {
			return err
		}
		return command.PrintJSON(io.Out, w)
	}
	s, err := cl.Servers.Schedule(ctx, c.Name)
	if err != nil {
		return err
	}
	return command.PrintJSON(io.Out, s.Schedule)
}

type importCmd struct {
	command.Remote
	Name    string `complete:"server" arg:"" help:"Name of the server; with --workers, of cluster members."`
	File    string `arg:"" type:"path" help:"The file; -: the standard input."`
	Workers bool   `help:"The schedule of workers: how many tasks cluster members of that name run at once."`
}

// Run reads the JSON form. What it doesn't know it refuses: a misspelt cap would be none.
func (c *importCmd) Run(ctx context.Context, io command.Streams) error {
	text, err := readSchedule(c.File)
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if c.Workers {
		var w client.WorkerSchedule
		if err := decodeSchedule(text, &w); err != nil {
			return err
		}
		if w, err = cl.Workers.Set(ctx, c.Name, w); err != nil {
			return err
		}
		return c.Say(io, w, "The worker schedule of members named %s was changed.", command.Printable(c.Name))
	}
	var s client.Schedule
	if err := decodeSchedule(text, &s); err != nil {
		return err
	}
	now, err := cl.Servers.SetSchedule(ctx, c.Name, s)
	if err != nil {
		return err
	}
	return tellSchedule(io, c.Output, c.Name, now)
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
	text, err := stdio.ReadAll(stdio.LimitReader(f, maxScheduleFile))
	return string(text), err
}

func decodeSchedule(text string, to any) error {
	d := json.NewDecoder(strings.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(to)
	if err == nil {
		if _, err = d.Token(); errors.Is(err, stdio.EOF) {
			return nil
		}
		err = errors.New("something follows its end")
	}
	return command.Usage("the file holds no schedule: %s; adit schedule export shows the form", jsonFault(err, text))
}

// jsonFault says in the words of JSON what is wrong with a text.
func jsonFault(err error, text string) string {
	lineOf := func(offset int64) int { return 1 + strings.Count(text[:min(int(offset), len(text))], "\n") }
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf(
			"line %d: %s is a %s and must be %s", lineOf(wrong.Offset), cmp.Or(wrong.Field, "the whole"),
			wrong.Value, kindWords(wrong.Type.Kind()),
		)
	}
	if wrong, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("line %d is not JSON: %s", lineOf(wrong.Offset), wrong)
	}
	switch {
	case errors.Is(err, stdio.EOF):
		return "it is empty"
	case errors.Is(err, stdio.ErrUnexpectedEOF):
		return "it ends in the middle"
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func kindWords(k reflect.Kind) string {
	switch k {
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Struct, reflect.Map, reflect.Pointer:
		return "an object"
	case reflect.String:
		return "a text"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	}
	return "a number"
}

type clearCmd struct {
	command.Remote
	Member  string `arg:"" help:"Name of the cluster members."`
	Workers bool   `required:"" help:"The schedule of workers."`
}

// Run removes the schedule of workers.
func (c *clearCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Workers.Delete(ctx, c.Member); err != nil {
		return err
	}
	return c.Say(
		io, command.Done{"done": "deleted", "workers": c.Member},
		"Members named %s run as many tasks at once as they were started with.", command.Printable(c.Member),
	)
}
