// SPDX-License-Identifier: AGPL-3.0-or-later

// Package completion completes command lines of adit in a shell: commands, flags, and the names that the server knows.
// It reads the table of commands itself, since the libraries for kong and shells have had no release for years.
package completion

import (
	"context"
	"fmt"
	"iter"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"github.com/adit-go/adit/cli/command"
	"github.com/adit-go/adit/client"
	"github.com/adit-go/adit/internal/text"
)

// Cmd is the command adit completion.
type Cmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help tells where the script goes.
func (*Cmd) Help() string {
	return `bash: source <(adit completion bash), in ~/.bashrc.

zsh: source <(adit completion zsh), in ~/.zshrc, after compinit.

fish: adit completion fish > ~/.config/fish/completions/adit.fish

The shell then completes commands, flags, and the names that the server knows (DICOM nodes, projects, profiles, users, groups, settings, recent jobs), with the login or token that the command itself would use.`
}

// scripts make a shell run adit with the command line in COMP_LINE, and take a candidate per line.
var scripts = map[string]string{
	"bash": "complete -o default -C %[1]s adit\n",
	"zsh":  "autoload -U +X bashcompinit && bashcompinit\ncomplete -o default -C %[1]s adit\n",
	"fish": `function __adit_complete
    set -lx COMP_LINE (commandline -cp)
    %[2]s
end
complete -c adit -a "(__adit_complete)"
`,
}

// Run prints the script.
func (c *Cmd) Run(io command.Streams) error {
	program, err := os.Executable()
	if err != nil {
		return err
	}
	program = text.ShellWord(program)
	_, err = fmt.Fprintf(io.Out, scripts[c.Shell], text.ShellWord(program), program)
	return err
}

// Candidates follows a command line through the commands below a node, and returns what its last word may be.
func Candidates(ctx context.Context, at *kong.Node, line string) []string {
	words := strings.Fields(line)
	if len(words) == 0 || strings.HasSuffix(line, " ") {
		words = append(words, "")
	}
	before, last := words[min(1, len(words)-1):len(words)-1], words[len(words)-1]
	if len(before) > 0 && before[0] == "help" {
		at, _, _ = follow(at, before[1:])
		return commandNames(at, last)
	}
	at, valueOf, place := follow(at, before)
	name, part, assigned := strings.Cut(last, "=")
	switch {
	case valueOf != nil:
		return valuesOf(ctx, valueOf.Value, words, last)
	case assigned && strings.HasPrefix(name, "--"):
		if flag := flagOf(at, name); flag != nil {
			return valuesOf(ctx, flag.Value, words, part)
		}
		return nil
	case strings.HasPrefix(last, "-"):
		return flagNames(at, last)
	case len(at.Positional) > 0:
		arg := at.Positional[min(place, len(at.Positional)-1)]
		if place < len(at.Positional) || arg.IsCumulative() {
			return valuesOf(ctx, arg, words, last)
		}
		return nil
	}
	return commandNames(at, last)
}

// commandNames are the commands below a node whose names begin with a prefix.
func commandNames(at *kong.Node, prefix string) (names []string) {
	for _, c := range at.Children {
		if c.Type == kong.CommandNode && !c.Hidden && strings.HasPrefix(c.Name, prefix) {
			names = append(names, c.Name)
		}
	}
	return names
}

// follow goes through the words before the last one. It returns the command, the flag whose value comes next, if any,
// and the place of the positional argument that comes next.
func follow(at *kong.Node, words []string) (to *kong.Node, valueOf *kong.Flag, place int) {
	for _, word := range words {
		switch {
		case valueOf != nil:
			valueOf = nil
		case strings.HasPrefix(word, "-"):
			if flag := flagOf(at, word); flag != nil && !flag.IsBool() {
				valueOf = flag
			}
		case command.Child(at, word) != nil:
			at, place = command.Child(at, word), 0
		default:
			place++
		}
	}
	return at, valueOf, place
}

// flagsOf are the flags of a command and of its default command, and --help.
func flagsOf(n *kong.Node) []*kong.Flag {
	all := slices.Clone(n.Flags)
	if n.DefaultCmd != nil {
		all = append(all, n.DefaultCmd.Flags...)
	}
	for root := n.Parent; root != nil; root = root.Parent {
		for _, f := range root.Flags {
			if f.Name == "help" {
				all = append(all, f)
			}
		}
	}
	return all
}

func flagOf(n *kong.Node, word string) *kong.Flag {
	for _, f := range flagsOf(n) {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

func flagNames(n *kong.Node, prefix string) (names []string) {
	for _, f := range flagsOf(n) {
		for _, name := range []string{"--" + f.Name, "--no-" + f.Name} {
			negated := name != "--"+f.Name
			if !f.Hidden && strings.HasPrefix(name, prefix) && (!negated || f.Tag.Negatable != "") {
				names = append(names, name)
			}
		}
	}
	return names
}

// patience is how long the server may take to name what it knows.
const patience = 2 * time.Second

// valuesOf returns the values of a flag or an argument that begin with a prefix: of a list with commas, its last one.
func valuesOf(ctx context.Context, v *kong.Value, words []string, prefix string) []string {
	head := ""
	if i := strings.LastIndexByte(prefix, ','); i >= 0 {
		head, prefix = prefix[:i+1], prefix[i+1:]
	}
	var values []string
	if kind := v.Tag.Get("complete"); kind != "" {
		ctx, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		values = known(ctx, remoteOf(words), kind)
	} else if v.Enum != "" {
		for value := range v.EnumMap() {
			values = append(values, value)
		}
	}
	var out []string
	for _, value := range values {
		if value != "" && strings.HasPrefix(value, prefix) {
			name, assigns := strings.CutSuffix(value, "=")
			word := head + text.ShellWord(name)
			if assigns {
				word += "="
			}
			out = append(out, word)
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// remoteOf is the server that a command line speaks to.
func remoteOf(words []string) *command.Remote {
	r := &command.Remote{
		URL: command.DefaultURL, Token: os.Getenv("ADIT_TOKEN"), TokenFile: os.Getenv("ADIT_TOKEN_FILE"),
		DataDir: command.DefaultDataDir(),
	}
	for name, to := range map[string]*string{"ADIT_URL": &r.URL, "ADIT_DATA_DIR": &r.DataDir} {
		if value := os.Getenv(name); value != "" {
			*to = value
		}
	}
	for name, to := range map[string]*string{
		"--url": &r.URL, "--data-dir": &r.DataDir, "--token-file": &r.TokenFile, "--token": &r.Token,
	} {
		for i, word := range words {
			if value, ok := strings.CutPrefix(word, name+"="); ok {
				*to = value
			} else if word == name && i+1 < len(words) {
				*to = words[i+1]
			}
		}
	}
	return r
}

// known returns the names of a kind that the server knows; none if it doesn't answer.
func known(ctx context.Context, r *command.Remote, kind string) (all []string) {
	if kind == "setting" {
		return settingNames()
	}
	cl, err := r.Client()
	if err != nil {
		return nil
	}
	switch kind {
	case "job":
		recent := cl.Jobs.List(ctx, client.JobFilter{Limit: recentJobs})
		all = names(recent, func(j client.Job) string { return strconv.FormatInt(j.ID, 10) })
		return all[:min(len(all), recentJobs)]
	case "project":
		return names(cl.Projects.List(ctx), func(p client.Project) string { return p.Name })
	case "profile":
		return names(cl.Profiles.List(ctx), func(p client.Profile) string { return p.Name })
	case "user":
		return names(cl.Users.List(ctx, client.UserFilter{}), func(u client.User) string { return u.Username })
	case "member":
		members, _ := cl.Cluster.Members(ctx) // none, if it can't be asked
		for _, m := range members {
			all = append(all, m.Name)
		}
		return all
	case "group":
		return names(cl.Groups.List(ctx), func(g client.Group) string { return g.Name })
	}
	return names(cl.Nodes.List(ctx), func(n client.Node) string {
		wanted := map[string]bool{
			"node": true, "server": n.Kind == "server", "folder": n.Kind == "folder",
			"source": n.Kind == "server" && n.Source, "destination": n.Destination,
		}
		if !wanted[kind] {
			return ""
		}
		return n.Name
	})
}

// recentJobs is how many jobs are offered.
const recentJobs = 50

// settingNames are the settings of the site, each as the beginning of what adit settings set takes.
func settingNames() (all []string) {
	for field := range reflect.TypeFor[client.SettingsChange]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		all = append(all, name+"=")
	}
	return all
}

func names[T any](list iter.Seq2[T, error], name func(T) string) (all []string) {
	for item, err := range list {
		if err != nil {
			break
		}
		all = append(all, name(item))
	}
	return all
}
