// SPDX-License-Identifier: AGPL-3.0-or-later

package cli

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	stdio "io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/text"
)

type nodeCmd struct {
	Add      nodeAddCmd      `cmd:"" help:"Add a server or folder."`
	Set      nodeSetCmd      `cmd:"" help:"Change settings of a server."`
	Limit    nodeLimitCmd    `cmd:"" help:"Change how much a folder may hold, and when staff are warned."`
	Adopt    nodeAdoptCmd    `cmd:"" help:"Accept what is now at a folder's path, such as a new or restored disk."`
	List     nodeListCmd     `cmd:"" help:"List servers and folders."`
	Show     nodeShowCmd     `cmd:"" help:"Show all settings of a server or folder."`
	Check    nodeCheckCmd    `cmd:"" help:"Check whether a server answers and offers its services, or whether a folder is writable."`
	Pause    nodePauseCmd    `cmd:"" help:"Keep jobs away from a server: running tasks stop at the next instance and continue later."`
	Continue nodeContinueCmd `cmd:"" help:"Let jobs use a paused server again."`
	Remove   nodeRemoveCmd   `cmd:"" help:"Remove a server or folder that no job names."`
}

type nodeAddCmd struct {
	Server nodeAddServerCmd `cmd:"" help:"Add a server."`
	Folder nodeAddFolderCmd `cmd:"" help:"Add a folder on the machine where ADIT runs."`
}

type nodeAddServerCmd struct {
	command.Remote
	Name string `arg:"" help:"Its name in ADIT."`
	newServerFlags
}

// textOf returns the text of a file that a flag names: it is read here and sent to the server. An empty name is an
// empty text.
func textOf(file *string) (*string, error) {
	if file == nil || *file == "" {
		return file, nil
	}
	b, err := os.ReadFile(*file)
	return new(string(b)), err
}

// lineOf returns the one line of a file that a flag names.
func lineOf(flag string, file *string) (*string, error) {
	text, err := textOf(file)
	if err != nil || text == nil || *text == "" {
		return text, err
	}
	line := strings.TrimSuffix(strings.TrimSuffix(*text, "\n"), "\r")
	if line == "" || strings.ContainsAny(line, "\r\n") {
		return nil, command.Usage("--%s: %s has not one line", flag, *file)
	}
	return &line, nil
}

// parseMethods reads retrieve methods. An empty list takes them back to the default.
func parseMethods(flag string, text *string) (*[]string, error) {
	methods := splitList(text)
	if methods == nil {
		return nil, nil //nolint:nilnil // nothing is to be changed
	}
	for i, m := range *methods {
		switch strings.ToLower(m) {
		case "wado":
			(*methods)[i] = "WADO-RS"
		case "get":
			(*methods)[i] = "C-GET"
		case "move":
			(*methods)[i] = "C-MOVE"
		default:
			return nil, command.Usage("--%s: %q is none of wado, get and move", flag, m)
		}
	}
	return methods, nil
}

// splitPairs reads names with a text for each.
func splitPairs(flag string, text *string) (map[string]string, error) {
	if text == nil {
		return nil, nil //nolint:nilnil // nothing is to be changed
	}
	pairs := map[string]string{}
	for _, pair := range *splitList(text) {
		name, title, ok := strings.Cut(pair, "=")
		if !ok {
			return nil, command.Usage("--%s: %q is not NAME=AET", flag, pair)
		}
		pairs[name] = title
	}
	return pairs, nil
}

// splitList splits at commas; AE titles may hold blanks, but not at their ends.
func splitList(text *string) *[]string {
	if text == nil {
		return nil
	}
	list := []string{}
	for part := range strings.SplitSeq(*text, ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return &list
}

func seconds(d *time.Duration) *int {
	if d == nil {
		return nil
	}
	n := int(*d / time.Second)
	return &n
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// settings returns what a server is added with: the flags as a change of one that has no settings yet.
func (c *nodeAddServerCmd) settings() (client.ServerSettings, error) {
	out := client.ServerSettings{Name: c.Name}
	change, err := c.change()
	if err != nil {
		return out, err
	}
	text, err := json.Marshal(change)
	if err != nil {
		return out, err
	}
	if err := json.Unmarshal(text, &out); err != nil {
		return out, err
	}
	if change.Retrieve != nil {
		out.Retrieve.AddressRanges = append(out.Retrieve.AddressRanges, change.Retrieve.AddAddressRanges...)
	}
	if change.TLS != nil && change.TLS.Use == nil && out.Host != "" {
		out.TLS.Use = true // whoever says how it is secured wants it to be
	}
	return out, nil
}

// Run adds the server.
func (c *nodeAddServerCmd) Run(ctx context.Context, io command.Streams) error {
	settings, err := c.settings()
	if err != nil {
		return err
	}
	added, err := command.AsMyself(
		ctx, io, &c.Remote, func(cl *client.Client) (client.Server, error) { return cl.Servers.Add(ctx, settings) },
	)
	if err != nil {
		return err
	}
	warn(io, added)
	return c.Say(io, added, "DICOM Server %s was added; adit node check %s tries it.", c.Name, text.ShellWord(c.Name))
}

// warn says what is to be known of a server's settings.
func warn(io command.Streams, s client.Server) {
	for _, warning := range s.Warnings {
		_, _ = fmt.Fprintln(io.Err, "Warning: "+warning) // there is nowhere else to say so
	}
}

type nodeSetCmd struct {
	command.Remote
	Name string `complete:"server" arg:"" help:"Name of the server."`
	serverFlags

	// Flags of adit node limit, where they are looked for.
	QuotaGB *float64 `name:"quota-gb" hidden:""`
	WarnGB  *float64 `name:"warn-gb" hidden:""`
}

// Run changes the server.
func (c *nodeSetCmd) Run(ctx context.Context, io command.Streams) error {
	if c.QuotaGB != nil || c.WarnGB != nil {
		return command.Usage("only folders have limits; adit node limit FOLDER sets them")
	}
	change, err := c.change()
	if err != nil {
		return err
	}
	if change == (client.ServerChange{}) {
		return command.Usage("name at least one change; adit node set --help lists the settings")
	}
	changed, err := command.AsMyself(
		ctx, io, &c.Remote,
		func(cl *client.Client) (client.Server, error) { return cl.Servers.Change(ctx, c.Name, change) },
	)
	if err != nil {
		return err
	}
	warn(io, changed)
	return c.Say(
		io, changed, "DICOM Server %s was changed; adit node check %s tries it.", c.Name, text.ShellWord(c.Name),
	)
}

func parseSupports(list []string) (client.Supports, error) {
	var s client.Supports
	for _, word := range list {
		wanted := strings.ToLower(strings.TrimSpace(word))
		i := slices.IndexFunc(supportsWords, func(w supportsWord) bool { return w.word == wanted })
		if i < 0 {
			var words []string
			for _, w := range supportsWords {
				words = append(words, w.word)
			}
			return s, command.Usage("--supports: %q is not one of %s", word, strings.Join(words, ", "))
		}
		*supportsWords[i].of(&s) = true
	}
	return s, nil
}

// wordsOf returns what a server offers in the words of --supports.
func wordsOf(s client.Supports) string {
	var list []string
	for _, w := range supportsWords {
		if *w.of(&s) {
			list = append(list, w.word)
		}
	}
	return strings.Join(list, ",")
}

type nodeAddFolderCmd struct {
	command.Remote
	Name    string  `arg:"" help:"Its name in ADIT."`
	Path    string  `required:"" type:"path" placeholder:"DIR" help:"Path of the folder, which must exist and be writable by ADIT."`
	QuotaGB float64 `name:"quota-gb" placeholder:"GB" help:"Transfers to the folder fail once it holds this much."`
	WarnGB  float64 `name:"warn-gb" placeholder:"GB" help:"Staff get a mail when the folder holds this much."`
}

// Run adds the folder.
func (c *nodeAddFolderCmd) Run(ctx context.Context, io command.Streams) error {
	settings := client.FolderSettings{
		Name: c.Name, Path: c.Path, FolderLimits: client.FolderLimits{QuotaGB: c.QuotaGB, WarnGB: c.WarnGB},
	}
	added, err := command.AsMyself(
		ctx, io, &c.Remote, func(cl *client.Client) (client.Folder, error) { return cl.Folders.Add(ctx, settings) },
	)
	if err != nil {
		return err
	}
	return c.Say(io, added, "DICOM Folder %s was added.", c.Name)
}

type nodeListCmd struct {
	command.Remote
}

// Run lists the nodes.
func (c *nodeListCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	nodes, err := command.Collect(cl.Nodes.List(ctx))
	if err != nil {
		return err
	}
	if c.JSON {
		return command.PrintJSON(io.Out, nodes)
	}
	if len(nodes) == 0 {
		fmt.Fprintln(io.Out, "There are no DICOM nodes yet; adit node add server adds one.")
		return nil
	}
	w := tabwriter.NewWriter(io.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "NAME\tKIND\tWHERE\tSUPPORTS\tYOU MAY")
	for _, n := range nodes {
		where, supports := "", "" // for staff
		if n.Server != nil {
			where = command.Printable(n.Server.AETitle) + " at " + addressOf(n.Server)
			supports = wordsOf(n.Server.Supports)
		}
		if n.Folder != nil {
			where = command.Printable(n.Folder.Path)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", command.Printable(n.Name), n.Kind, where, supports, usesWords(n))
	}
	return w.Flush()
}

// addressOf says where a server is: by DIMSE, by DICOMweb or both.
func addressOf(s *client.Server) string {
	var places []string
	if s.Host != "" {
		places = append(places, fmt.Sprintf("%s:%d", s.Host, s.Port))
	}
	if s.DICOMweb.RootURL != "" {
		places = append(places, s.DICOMweb.RootURL)
	}
	return strings.Join(places, " and ")
}

// usesWords says what one may do with a DICOM node, and whether it is paused, or takes less than it is allowed to.
func usesWords(n client.Node) string {
	var list []string
	if n.Source {
		list = append(list, "read")
	}
	if n.Destination {
		list = append(list, "write")
	}
	text := cmp.Or(strings.Join(list, ", "), "nothing")
	if n.Paused {
		text += " (paused)"
	}
	if n.Takes != nil {
		text += " (takes " + takesWords(n) + ")"
	}
	return text
}

// takesWords says how many associations a server takes now, why not one, and when it is asked again.
func takesWords(n client.Node) string {
	text := strconv.Itoa(*n.Takes)
	if n.TakesOf != nil {
		text += fmt.Sprintf(" of %d", *n.TakesOf)
	}
	text += " now"
	if n.Down != "" {
		text += ": " + command.Printable(n.Down)
	}
	return text + command.AskedAgain(n.NextProbe)
}

type nodeShowCmd struct {
	command.Remote
	Name string `complete:"node" arg:"" help:"Name of the server or folder."`
}

// Run shows the node.
func (c *nodeShowCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	node, err := cl.Nodes.Get(ctx, c.Name)
	if err != nil {
		return err
	}
	return c.Tell(io, node, func(w stdio.Writer) error { return printNode(w, node) })
}

// printNode writes the settings by their names in the REST API, with an indent for those that belong together.
func printNode(w stdio.Writer, n client.Node) error {
	text, err := json.Marshal(n)
	if err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return err
	}
	unfold(&doc)
	plain, err := yaml.Marshal(&doc)
	if err != nil {
		return err
	}
	_, err = fmt.Fprint(w, printableLines(string(plain)))
	return err
}

// unfold gives each setting a line of its own; JSON has them between braces.
func unfold(n *yaml.Node) {
	n.Style = 0
	for _, c := range n.Content {
		unfold(c)
	}
}

type nodeCheckCmd struct {
	command.Remote
	Name  string `complete:"node" arg:"" help:"Name of the server or folder."`
	Apply bool   `help:"Make the changes to the server's settings that the check suggests."`
}

// Run checks the node. The exit code is 1 if a check failed.
func (c *nodeCheckCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	report := client.CheckReport{Checks: []client.Check{}, Suggestions: []client.Suggestion{}}
	for line, err := range cl.Nodes.CheckLines(ctx, c.Name) {
		switch {
		case err != nil:
			return err
		case line.Check != nil:
			report.Checks = append(report.Checks, *line.Check)
		case line.Suggestion != nil:
			report.Suggestions = append(report.Suggestions, *line.Suggestion)
		}
		if !c.JSON {
			printCheck(io.Out, line)
		}
	}
	failed := slices.ContainsFunc(report.Checks, func(c client.Check) bool { return !c.OK })
	switch {
	case c.JSON:
		err = command.PrintJSON(io.Out, report)
	case len(report.Suggestions) > 0 && !c.Apply:
		fmt.Fprintf(io.Out, "adit node check --apply %s makes these changes.\n", text.ShellWord(c.Name))
	}
	if c.Apply && len(report.Suggestions) > 0 && err == nil {
		_, err = command.AsMyself(ctx, io, &c.Remote, func(cl *client.Client) (client.Server, error) {
			return cl.Servers.Apply(ctx, c.Name, report.Suggestions)
		})
		if err == nil {
			fmt.Fprintf(io.Err, "The settings of DICOM Server %s were changed.\n", c.Name)
		}
	}
	if failed {
		err = errors.Join(err, &command.Status{Code: command.ExitFailure})
	}
	return err
}

func printCheck(w stdio.Writer, line client.CheckLine) {
	if check := line.Check; check != nil {
		word := "ok    "
		if !check.OK {
			word = "FAILED"
		}
		fmt.Fprintf(w, "%s  %s: %s\n", word, check.Name, command.Printable(check.Detail))
	}
	if s := line.Suggestion; s != nil {
		fmt.Fprintf(w, "change  %s from %v to %v: %s\n", s.Setting, s.Now, s.Suggested, command.Printable(s.Why))
	}
}

type nodeRemoveCmd struct {
	command.Remote
	Name string `complete:"node" arg:"" help:"Name of the server or folder."`
}

// Run removes the node.
func (c *nodeRemoveCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	if err := cl.Nodes.Delete(ctx, c.Name); err != nil {
		return err
	}
	return c.Say(io, command.Done{"done": "deleted", "node": c.Name}, "%s was removed.", command.Printable(c.Name))
}

type nodePauseCmd struct {
	command.Remote
	Name string `complete:"server" arg:"" help:"Name of the server."`
}

// Run pauses the server.
func (c *nodePauseCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Servers.Pause(ctx, c.Name)
	if err != nil {
		return err
	}
	return c.Say(
		io, s, "DICOM Server %s is paused; adit node continue %s lets jobs use it again.",
		c.Name, text.ShellWord(c.Name),
	)
}

type nodeContinueCmd struct {
	command.Remote
	Name string `complete:"server" arg:"" help:"Name of the server."`
}

// Run continues.
func (c *nodeContinueCmd) Run(ctx context.Context, io command.Streams) error {
	cl, err := c.Client()
	if err != nil {
		return err
	}
	s, err := cl.Servers.Continue(ctx, c.Name)
	if err != nil {
		return err
	}
	return c.Say(io, s, "Jobs may use DICOM Server %s again.", c.Name)
}
