// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"context"
	"encoding/json"
	"fmt"
	stdio "io"
	"maps"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/words"
)

type settingsCmd struct {
	Show settingsShowCmd `cmd:"" default:"withargs" help:"Show the settings of the site."`
	Set  settingsSetCmd  `cmd:"" help:"Change settings of the site."`
}

type settingsShowCmd struct {
	command.Remote
}

// Run shows the settings.
func (c *settingsShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Site.Settings(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, s)
	}
	return printSettings(io.Out, s)
}

// printSettings writes lines that settings set takes.
func printSettings(out stdio.Writer, s client.Settings) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		if field.Anonymous { // the version, which is no setting
			continue
		}
		value := v.Field(i).Interface()
		if list, ok := value.([]string); ok {
			value = strings.Join(list, ",")
		}
		fmt.Fprintf(w, "%s=%s\t%s\n", field.Tag.Get("json"), command.Printable(fmt.Sprint(value)), field.Tag.Get("doc"))
	}
	return w.Flush()
}

type settingsSetCmd struct {
	command.Remote
	Settings []string `complete:"setting" arg:"" placeholder:"NAME=VALUE" help:"As adit settings shows them: maintenance=true, locked_sections=mass_transfer,explorer, keep_task_logs=30."`
}

// Run changes settings.
func (c *settingsSetCmd) Run(ctx context.Context, io command.Streams) error {
	change, err := settingsChange(c.Settings)
	if err != nil {
		return err
	}
	s, err := command.AsMyself(
		ctx, io, &c.Remote,
		func(cl *client.Client) (client.Settings, error) { return cl.Site.ChangeSettings(ctx, change) },
	)
	if err != nil {
		return err
	}
	return c.Tell(io, s, func(w stdio.Writer) error { return printSettings(w, s) })
}

// settingsChange reads NAME=VALUE by the types of the settings.
func settingsChange(list []string) (client.SettingsChange, error) {
	var change client.SettingsChange
	v := reflect.ValueOf(&change).Elem()
	for _, assignment := range list {
		name, text, ok := strings.Cut(assignment, "=")
		if !ok {
			return change, command.Usage("%q is not of the form NAME=VALUE", assignment)
		}
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return tag == name
		})
		if i < 0 {
			return change, command.Usage("there is no setting %q; adit settings lists them", name)
		}
		value := reflect.New(v.Field(i).Type().Elem())
		switch p := value.Interface().(type) {
		case *string:
			*p = text
		case *[]string:
			*p = []string{}
			if text != "" {
				*p = strings.Split(text, ",")
			}
		default:
			if err := json.Unmarshal([]byte(text), p); err != nil {
				return change, command.Usage(
					"%s takes no %q: give true or false, or a number, as adit settings shows it", name, text,
				)
			}
		}
		v.Field(i).Set(value)
	}
	return change, nil
}

type announcementCmd struct {
	Show announcementShowCmd `cmd:"" default:"withargs" help:"Show the announcement."`
	Set  announcementSetCmd  `cmd:"" help:"Show an announcement to everybody who is logged in."`
	End  announcementEndCmd  `cmd:"" help:"End the announcement."`
}

type announcementShowCmd struct {
	command.Remote
}

// Run shows the announcement.
func (c *announcementShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	a, err := cl.Site.Announcement(ctx)
	if err != nil {
		return err
	}
	if a.Text == "" {
		return c.Say(io, a, "There is no announcement.")
	}
	return c.Say(io, a, "%s", printableLines(a.Text))
}

type announcementSetCmd struct {
	command.Remote
	Text string `arg:"" help:"The announcement."`
}

// Run sets the announcement.
func (c *announcementSetCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	a, err := cl.Site.Announce(ctx, c.Text)
	if err != nil {
		return err
	}
	return c.Say(io, a, "Everybody who is logged in sees the announcement now.")
}

type announcementEndCmd struct {
	command.Remote
}

// Run ends the announcement.
func (c *announcementEndCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Site.EndAnnouncement(ctx); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "announcement_ended"}, "The announcement has ended.")
}

type mailCmd struct {
	List  mailListCmd  `cmd:"" help:"List mails and their status, newest first."`
	Send  mailSendCmd  `cmd:"" help:"Send a mail to everybody; no recipient sees the others' addresses."`
	Retry mailRetryCmd `cmd:"" help:"Try again to send a mail that was given up."`
}

type mailListCmd struct {
	command.Remote
	Status string `enum:",pending,sent,given_up" default:"" help:"Only mails that are pending, sent or given_up."`
	Limit  int    `default:"50" placeholder:"N" help:"Maximum number of mails (${default}); 0: all."`
}

// Run lists mails.
func (c *mailListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	mails, more, err := command.UpTo(cl.Mails.List(ctx, client.MailFilter{Status: c.Status}), c.Limit)
	if err != nil {
		return err
	}
	defer command.SayMore(io, more, len(mails), "mails")
	if c.JSON {
		return command.PrintJSON(io.Out, mails)
	}
	if len(mails) == 0 {
		fmt.Fprintln(io.Out, "There are no mails.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTO\tSUBJECT\tSTATUS\tWHY")
	for _, m := range mails {
		fmt.Fprintf(
			w, "%d\t%s\t%s\t%s\t%s\n", m.ID, command.Printable(m.Recipient), command.Printable(m.Subject),
			strings.ReplaceAll(m.Status, "_", " "), command.Printable(m.Error),
		)
	}
	return w.Flush()
}

type mailSendCmd struct {
	command.Remote
	Subject string `required:"" help:"Subject of the mail."`
	Text    string `required:"" help:"Text of the mail; @FILE reads it from a file, - from the standard input."`
}

// Run sends a mail to everybody.
func (c *mailSendCmd) Run(ctx context.Context, io command.Streams) error {
	text := []byte(c.Text)
	var err error
	if file, ok := strings.CutPrefix(c.Text, "@"); ok {
		text, err = os.ReadFile(file)
	} else if c.Text == "-" {
		text, err = stdio.ReadAll(os.Stdin)
	}
	if err != nil {
		return err
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	sent, err := cl.Mails.Send(ctx, client.Broadcast{Subject: c.Subject, Text: string(text)})
	if err != nil {
		return err
	}
	command.Warn(io, sent.Warning)
	return c.Tell(io, sent, func(w stdio.Writer) error {
		if sent.Warning == "" {
			fmt.Fprintf(
				w, "The mail goes to %s; adit mail list shows whether it was sent.\n",
				words.Plural(sent.Recipients, "person", "people"),
			)
		}
		return nil
	})
}

type mailRetryCmd struct {
	command.Remote
	ID int64 `arg:"" help:"Number of the mail, as adit mail list shows it."`
}

// Run tries a mail again.
func (c *mailRetryCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	m, err := cl.Mails.Retry(ctx, c.ID)
	if err != nil {
		return err
	}
	return c.Say(io, m, "Mail %d is tried again.", c.ID)
}

type statsCmd struct {
	command.Remote
	Days int `default:"7" help:"How many days to look back, today included (${default})."`
}

// Run shows figures, to staff with what there is to know about the site.
func (c *statsCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Site.Stats(ctx, c.Days)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, s)
	}
	fmt.Fprintf(io.Out, "Jobs:  %s\nTasks: %s\n\n", countsWords(s.Jobs), countsWords(s.Tasks))
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "DAY\tTASKS\tFAILED\tINSTANCES\tGB\t")
	for _, d := range s.Days {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f\t\n", d.Day, d.Tasks, d.Failed, d.Images, float64(d.Bytes)/1e9)
	}
	if err := w.Flush(); err != nil || len(s.Nodes) == 0 {
		return err
	}
	fmt.Fprintln(io.Out)
	w = tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tINSTANCES FROM\tGB FROM\tINSTANCES TO\tGB TO")
	for _, n := range s.Nodes {
		name := command.Printable(n.Name)
		if name == "" {
			name = "(removed)"
		}
		fmt.Fprintf(
			w, "%s\t%d\t%.2f\t%d\t%.2f\n", name, n.From.Images,
			float64(n.From.Bytes)/1e9, n.To.Images, float64(n.To.Bytes)/1e9,
		)
	}
	return w.Flush()
}

func countsWords(counts map[string]int64) string {
	var words []string
	for _, status := range slices.Sorted(maps.Keys(counts)) {
		if counts[status] > 0 {
			words = append(words, fmt.Sprintf("%d %s", counts[status], strings.ReplaceAll(status, "_", " ")))
		}
	}
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ", ")
}

type houseKeepingCmd struct {
	command.Remote
}

// Run shows warnings and the last clean-up.
func (c *houseKeepingCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	h, err := cl.Site.HouseKeeping(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, h)
	}
	if len(h.Warnings) == 0 {
		fmt.Fprintln(io.Out, "There are no warnings.")
	}
	for _, w := range h.Warnings {
		fmt.Fprintf(io.Out, "Since %s: %s\n", command.Stamp(w.Since), command.Printable(w.Message))
	}
	if h.LastCleanUp == nil {
		fmt.Fprintln(io.Out, "The daily clean-up has not run yet.")
	} else {
		r := h.Removed
		fmt.Fprintf(io.Out, "The last clean-up, of %s, removed %d sessions, %d idempotency keys, %d lines of task "+
			"logs, %d mails, the patient IDs of %d jobs, the ledgers of %d jobs, and %d jobs.\n",
			command.Stamp(*h.LastCleanUp), r.Sessions, r.IdempotencyKeys, r.TaskLogLines,
			r.Mails, r.ErasedJobs, r.ForgottenJobs, r.RemovedJobs)
	}
	if h.NextCleanUp != nil {
		fmt.Fprintf(io.Out, "The next one is at %s.\n", command.Stamp(*h.NextCleanUp))
	}
	return nil
}

type nodeLimitCmd struct {
	command.Remote
	Name    string   `complete:"folder" arg:"" help:"Name of the folder."`
	QuotaGB *float64 `name:"quota-gb" placeholder:"GB" help:"Transfers to the folder fail once it holds this much; 0: no quota."`
	WarnGB  *float64 `name:"warn-gb" placeholder:"GB" help:"Staff get a mail when the folder holds this much; 0: no mail."`
}

// Run changes the limits of a folder.
func (c *nodeLimitCmd) Run(ctx context.Context, io command.Streams) error {
	if c.QuotaGB == nil && c.WarnGB == nil {
		return command.Usage("name at least one change: --quota-gb or --warn-gb")
	}
	cl, err := c.Client()
	if err != nil {
		return err
	}
	f, err := cl.Folders.Change(ctx, c.Name, client.FolderChange{QuotaGB: c.QuotaGB, WarnGB: c.WarnGB})
	if err != nil {
		return err
	}
	return c.Say(
		io, f, "DICOM Folder %s: quota %s, warning at %s; its files take %.2f GB.",
		command.Printable(f.Name), gigabytes(f.QuotaGB), gigabytes(f.WarnGB), f.UsedGB,
	)
}

type nodeAdoptCmd struct {
	command.Remote
	Name string `complete:"folder" arg:"" help:"Name of the folder."`
}

// Help is the long description.
func (*nodeAdoptCmd) Help() string {
	return `The marker file .adit-folder identifies a folder. If it is missing or names another folder, the right disk is not mounted: tasks wait, and ADIT writes nothing.
After a disk was replaced or restored, this command accepts its marker file, or writes one. Unfinished tasks send again what they had written to the other disk.`
}

// Run adopts what is at the folder's path.
func (c *nodeAdoptCmd) Run(ctx context.Context, io command.Streams) error {
	f, err := command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.Folder, error) {
		return cl.Folders.Change(ctx, c.Name, client.FolderChange{Adopt: true})
	})
	if err != nil {
		return err
	}
	return c.Say(
		io, f, "DICOM Folder %s now uses what is at %s; tasks that waited for it continue within a minute.",
		command.Printable(f.Name), command.Printable(f.Path),
	)
}

func gigabytes(gb float64) string {
	if gb == 0 {
		return "none"
	}
	return strconv.FormatFloat(gb, 'g', -1, 64) + " GB"
}

// printableLines is printable for text of several lines.
func printableLines(text string) string {
	lines := strings.Split(text, "\n")
	for i := range lines {
		lines[i] = command.Printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
