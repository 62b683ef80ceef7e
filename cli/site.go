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

	"github.com/adit-go/adit/client"
)

type settingsCmd struct {
	Show settingsShowCmd `cmd:"" default:"withargs" help:"Show the settings of the site."`
	Set  settingsSetCmd  `cmd:"" help:"Change settings of the site."`
}

type settingsShowCmd struct {
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run shows the settings.
func (c *settingsShowCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	s, err := cl.Settings(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, s)
	}
	return printSettings(io.out, s)
}

// printSettings writes lines that settings set takes.
func printSettings(out stdio.Writer, s client.Settings) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	v := reflect.ValueOf(s)
	for i := range v.NumField() {
		field := v.Type().Field(i)
		value := v.Field(i).Interface()
		if list, ok := value.([]string); ok {
			value = strings.Join(list, ",")
		}
		fmt.Fprintf(w, "%s=%s\t%s\n", field.Tag.Get("json"), printable(fmt.Sprint(value)), field.Tag.Get("doc"))
	}
	return w.Flush()
}

type settingsSetCmd struct {
	remote
	Settings []string `arg:"" placeholder:"NAME=VALUE" help:"As adit settings shows them: maintenance=true, locked_sections=mass_transfer,explorer, keep_task_logs=30."`
}

// Run changes settings.
func (c *settingsSetCmd) Run(ctx context.Context, io streams) error {
	change, err := settingsChange(c.Settings)
	if err != nil {
		return err
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	s, err := cl.ChangeSettings(ctx, change)
	if err != nil {
		return err
	}
	return printSettings(io.out, s)
}

// settingsChange reads NAME=VALUE by the types of the settings.
func settingsChange(list []string) (client.SettingsChange, error) {
	var change client.SettingsChange
	v := reflect.ValueOf(&change).Elem()
	for _, assignment := range list {
		name, text, ok := strings.Cut(assignment, "=")
		if !ok {
			return change, usage("%q is no NAME=VALUE", assignment)
		}
		i := slices.IndexFunc(reflect.VisibleFields(v.Type()), func(f reflect.StructField) bool {
			tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
			return tag == name
		})
		if i < 0 {
			return change, usage("there is no setting %q; adit settings lists them", name)
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
				return change, usage("%s takes no %q: give true or false, or a number, as adit settings shows it", name, text)
			}
		}
		v.Field(i).Set(value)
	}
	return change, nil
}

type announcementCmd struct {
	Show announcementShowCmd `cmd:"" default:"withargs" help:"Show what is announced."`
	Set  announcementSetCmd  `cmd:"" help:"Announce something to everybody who is logged in."`
	End  announcementEndCmd  `cmd:"" help:"End the announcement."`
}

type announcementShowCmd struct {
	remote
}

// Run shows the announcement.
func (c *announcementShowCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	a, err := cl.Announcement(ctx)
	if err != nil {
		return err
	}
	if a.Text == "" {
		fmt.Fprintln(io.out, "Nothing is announced.")
		return nil
	}
	fmt.Fprintf(io.out, "%s\n", printableLines(a.Text))
	return nil
}

type announcementSetCmd struct {
	remote
	Text string `arg:"" help:"What everybody is to know."`
}

// Run sets the announcement.
func (c *announcementSetCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.Announce(ctx, c.Text); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "It is announced now.")
	return nil
}

type announcementEndCmd struct {
	remote
}

// Run ends the announcement.
func (c *announcementEndCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if err := cl.EndAnnouncement(ctx); err != nil {
		return err
	}
	fmt.Fprintln(io.out, "Nothing is announced any more.")
	return nil
}

type mailCmd struct {
	List  mailListCmd  `cmd:"" help:"List mails and what became of them, newest first."`
	Send  mailSendCmd  `cmd:"" help:"Send a mail to everybody; nobody sees the others' addresses."`
	Retry mailRetryCmd `cmd:"" help:"Try a mail again that was given up."`
}

type mailListCmd struct {
	remote
	Status string `enum:",pending,sent,given_up" default:"" help:"Only mails that are pending, sent or given_up."`
	Limit  int    `default:"50" placeholder:"N" help:"Most mails (${default}); 0: all."`
	JSON   bool   `name:"json" help:"Write JSON."`
}

// Run lists mails.
func (c *mailListCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	mails, more, err := upTo(cl.Mails(ctx, client.MailFilter{Status: c.Status}), c.Limit)
	if err != nil {
		return err
	}
	defer sayMore(io, more, len(mails), "mails")
	if c.JSON {
		return printJSON(io.out, mails)
	}
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "ID\tTO\tSUBJECT\tSTATUS\tWHY")
	for _, m := range mails {
		fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\n", m.ID, printable(m.Recipient), printable(m.Subject), strings.ReplaceAll(m.Status, "_", " "), printable(m.Error))
	}
	return w.Flush()
}

type mailSendCmd struct {
	remote
	Subject string `required:"" help:"Subject of the mail."`
	Text    string `required:"" help:"Text of the mail; @FILE reads it from a file, - from the standard input."`
}

// Run sends a mail to everybody.
func (c *mailSendCmd) Run(ctx context.Context, io streams) error {
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
	cl, err := c.client()
	if err != nil {
		return err
	}
	sent, err := cl.Broadcast(ctx, client.Broadcast{Subject: c.Subject, Text: string(text)})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "The mail goes to %d people; adit mail list tells what becomes of it.\n", sent.Recipients)
	warn(io, sent.Warning)
	return nil
}

type mailRetryCmd struct {
	remote
	ID int64 `arg:"" help:"As adit mail list shows it."`
}

// Run tries a mail again.
func (c *mailRetryCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	if _, err := cl.RetryMail(ctx, c.ID); err != nil {
		return err
	}
	fmt.Fprintf(io.out, "Mail %d is tried again.\n", c.ID)
	return nil
}

type statsCmd struct {
	remote
	Days int  `default:"7" help:"How many days to look back, today included (${default})."`
	JSON bool `name:"json" help:"Write JSON."`
}

// Run shows figures, to staff with what there is to know about the site.
func (c *statsCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	s, err := cl.Stats(ctx, c.Days)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, s)
	}
	fmt.Fprintf(io.out, "Jobs:  %s\nTasks: %s\n\n", countsWords(s.Jobs), countsWords(s.Tasks))
	w := tabwriter.NewWriter(io.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "DAY\tTASKS\tFAILED\tIMAGES\tGB\t")
	for _, d := range s.Days {
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.2f\t\n", d.Day, d.Tasks, d.Failed, d.Images, float64(d.Bytes)/1e9)
	}
	if err := w.Flush(); err != nil || len(s.Nodes) == 0 {
		return err
	}
	fmt.Fprintln(io.out)
	w = tabwriter.NewWriter(io.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NODE\tIMAGES FROM\tGB FROM\tIMAGES TO\tGB TO")
	for _, n := range s.Nodes {
		name := printable(n.Name)
		if name == "" {
			name = "(removed)"
		}
		fmt.Fprintf(w, "%s\t%d\t%.2f\t%d\t%.2f\n", name, n.From.Images, float64(n.From.Bytes)/1e9, n.To.Images, float64(n.To.Bytes)/1e9)
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
	remote
	JSON bool `name:"json" help:"Write JSON."`
}

// Run shows warnings and the last clean-up.
func (c *houseKeepingCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	h, err := cl.HouseKeeping(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(io.out, h)
	}
	if len(h.Warnings) == 0 {
		fmt.Fprintln(io.out, "There are no warnings.")
	}
	for _, w := range h.Warnings {
		fmt.Fprintf(io.out, "Since %s: %s\n", stamp(w.Since), printable(w.Message))
	}
	if h.LastCleanUp == nil {
		fmt.Fprintln(io.out, "The daily clean-up was not done yet.")
	} else {
		r := h.Removed
		fmt.Fprintf(io.out, "The last clean-up, of %s, removed %d sessions, %d idempotency keys, %d lines of task logs, %d mails, the patient IDs of %d jobs, the ledgers of %d jobs, and %d jobs.\n",
			stamp(*h.LastCleanUp), r.Sessions, r.IdempotencyKeys, r.TaskLogLines, r.Mails, r.ErasedJobs, r.ForgottenJobs, r.RemovedJobs)
	}
	if h.NextCleanUp != nil {
		fmt.Fprintf(io.out, "The next one is at %s.\n", stamp(*h.NextCleanUp))
	}
	return nil
}

type nodeLimitCmd struct {
	remote
	Name    string   `arg:"" help:"Name of the folder."`
	QuotaGB *float64 `name:"quota-gb" placeholder:"GB" help:"Beyond it transfers to the folder fail; 0: none."`
	WarnGB  *float64 `name:"warn-gb" placeholder:"GB" help:"When it is reached staff gets a mail; 0: none."`
}

// Run changes the limits of a folder.
func (c *nodeLimitCmd) Run(ctx context.Context, io streams) error {
	if c.QuotaGB == nil && c.WarnGB == nil {
		return usage("name what is to change: --quota-gb, --warn-gb")
	}
	cl, err := c.client()
	if err != nil {
		return err
	}
	f, err := cl.ChangeFolder(ctx, c.Name, client.FolderChange{QuotaGB: c.QuotaGB, WarnGB: c.WarnGB})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Folder %s: quota %s, warning at %s; its files take %.2f GB.\n", printable(f.Name), gigabytes(f.QuotaGB), gigabytes(f.WarnGB), f.UsedGB)
	return nil
}

type nodeAdoptCmd struct {
	remote
	Name string `arg:"" help:"Name of the folder."`
}

// Help is the long description.
func (*nodeAdoptCmd) Help() string {
	return `A folder has a marker file, .adit-folder, that says which one it is. Where it is missing or names another folder, the disk is not mounted, or another one is: tasks wait, and nothing is written.
After a disk was replaced or restored, this takes over its marker file, or writes one. What unfinished tasks had written to another folder is sent again.`
}

// Run adopts what is at the folder's path.
func (c *nodeAdoptCmd) Run(ctx context.Context, io streams) error {
	cl, err := c.client()
	if err != nil {
		return err
	}
	f, err := cl.ChangeFolder(ctx, c.Name, client.FolderChange{Adopt: true})
	if err != nil {
		return err
	}
	fmt.Fprintf(io.out, "DICOM Folder %s is what is at %s now; tasks that waited for it go on within a minute.\n", printable(f.Name), printable(f.Path))
	return nil
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
		lines[i] = printable(lines[i])
	}
	return strings.Join(lines, "\n")
}
